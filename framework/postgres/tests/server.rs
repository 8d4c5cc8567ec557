//! The server goes away under load: what was acknowledged stays, callers are told within seconds, and all goes on
//! when it comes back. `POTTER_RESTARTS` says how often it is restarted; 4 times unless told.

mod support {
    pub mod server;
}

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use potter_core::store::contract::crash::{self, Acknowledged};
use potter_core::store::{ClaimKey, CommitError, SharedStore, Unit};
use potter_postgres::PostgresStore;

use support::server::Server;

async fn open(server: &Server) -> SharedStore {
    Arc::new(PostgresStore::open(&server.dsn()).await.expect("it can be opened"))
}

/// What a load has got acknowledged so far.
#[derive(Clone, Default)]
struct Load(Arc<Mutex<Acknowledged>>);

impl Load {
    /// Keeps callers busy; those that were told an error come again.
    fn start(&self, store: &SharedStore) -> tokio::task::JoinHandle<()> {
        let (load, store) = (self.clone(), store.clone());
        tokio::spawn(async move {
            loop {
                crash::append(&store, |id, position| load.note(id, position)).await;
                tokio::task::yield_now().await;
            }
        })
    }

    fn note(&self, id: uuid::Uuid, position: u64) {
        let before = self.0.lock().expect("no panic").insert(id, position);
        assert_eq!(before, None, "acknowledged once");
    }

    fn count(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }

    /// Waits until so many more are acknowledged.
    async fn goes_on(&self, more: usize) {
        let enough = self.count() + more;
        let until = Instant::now() + Duration::from_secs(60);
        while self.count() < enough {
            assert!(Instant::now() < until, "the load doesn't go on");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_restarts_and_crashes() {
    let restarts: usize =
        std::env::var("POTTER_RESTARTS").map_or(4, |it| it.parse().expect("POTTER_RESTARTS is a number"));
    let server = Arc::new(Server::start());
    let store = open(&server).await;
    let load = Load::default();
    let running = load.start(&store);
    for restart in 0..restarts {
        load.goes_on(300).await;
        let server = server.clone();
        let restarting = move || if restart % 2 == 0 { server.crash() } else { server.restart() };
        tokio::task::spawn_blocking(restarting).await.expect("restarted");
    }
    load.goes_on(300).await;
    running.abort();
    let _ = running.await;
    store.close().await;
    let acknowledged = load.0.lock().expect("no panic").clone();
    crash::check(&open(&server).await, &acknowledged).await;
    println!("restarted {restarts} times: {} appends acknowledged, 0 lost, 0 twice", acknowledged.len());
}

async fn commit_nothing(store: &SharedStore) -> Result<(), CommitError> {
    store.commit(Unit::default()).await.map(drop)
}

/// Within the second of the DSN, and a moment for finding out.
const SOON: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_fail_soon_while_the_server_is_away() {
    let server = Server::start();
    let store = open(&server).await;
    commit_nothing(&store).await.expect("it is there");
    server.stop();
    for _ in 0..3 {
        let asked = Instant::now();
        let error = commit_nothing(&store).await.expect_err("it is away");
        assert!(matches!(error, CommitError::Store(_)), "{error}");
        let key = ClaimKey { command: "a", caller: String::new(), key: String::new() };
        assert!(store.find_claim(key).await.is_err());
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
    server.start_again();
    until_it_works(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_fail_soon_while_the_server_is_frozen() {
    let server = Server::start();
    let store = open(&server).await;
    let load = Load::default();
    let running = load.start(&store);
    load.goes_on(100).await;
    server.freeze();
    let asked = Instant::now();
    assert!(commit_nothing(&store).await.is_err());
    assert!(store.ping().await.is_err());
    assert!(asked.elapsed() < 2 * SOON, "{:?}", asked.elapsed());
    server.thaw();
    until_it_works(&store).await;
    load.goes_on(100).await;
    running.abort();
    let _ = running.await;
    store.close().await;
    let acknowledged = load.0.lock().expect("no panic").clone();
    crash::check(&open(&server).await, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_waits_for_a_server_that_starts_and_not_for_one_that_refuses() {
    let server = Arc::new(Server::start());
    server.stop();
    let starting = tokio::task::spawn_blocking({
        let server = server.clone();
        move || server.start_again()
    });
    open(&server).await.ping().await.expect("it was waited for");
    starting.await.expect("started");
    let asked = Instant::now();
    let unknown = server.dsn().replace("/postgres?", "/unknown?");
    let Err(error) = PostgresStore::open(&unknown).await else { panic!("there is no such database") };
    assert!(error.to_string().contains("database \"unknown\" does not exist"), "{error}");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
}

async fn until_it_works(store: &SharedStore) {
    let until = Instant::now() + Duration::from_secs(30);
    while let Err(error) = commit_nothing(store).await {
        assert!(Instant::now() < until, "{error}");
        tokio::task::yield_now().await;
    }
    store.ping().await.expect("readers come back as well");
}
