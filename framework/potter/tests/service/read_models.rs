//! A service whose read models are kept elsewhere than its events.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use potter::{App, Service};

use crate::catalogue;
use crate::http::get;
use crate::in_process::{config, create, postgres, sqlite};

/// What must come, comes within that time.
const SOON: Duration = Duration::from_secs(20);

/// A database of the Redis that `scripts/with-servers` has started; each test has one, empty at first.
pub fn redis(database: u32) -> String {
    let server = std::env::var("POTTER_TEST_REDIS")
        .unwrap_or_else(|_| panic!("there is no Redis: run `scripts/with-servers redis -- cargo test -p potter`"));
    format!("{server}/{database}")
}

async fn start(variables: &[(&str, &str)]) -> Service {
    let app = App::new(catalogue::module(std::future::pending)).rest(catalogue::api());
    app.start(config(variables)).await.expect("started")
}

async fn name_of(address: SocketAddr, id: &str) -> serde_json::Value {
    get(address, &format!("/api/v1/products/{id}")).await.expect("an answer").json()["product"]["name"].clone()
}

/// Status of readiness, and what it says of a part.
async fn health(address: SocketAddr, part: &str) -> (u16, Option<serde_json::Value>) {
    let ready = get(address, "/health/ready").await.expect("an answer");
    let components = ready.json()["components"].as_array().expect("components").clone();
    (ready.status, components.into_iter().find(|it| it["name"] == part).map(|it| it["status"].clone()))
}

async fn keeps_read_models(directory: &Path, place: &str, variables: &[(&str, &str)]) {
    let dsn = sqlite(directory);
    let elsewhere = [&[("DATABASE_DSN", dsn.as_str()), ("READ_MODELS_STORE", place)], variables].concat();
    let first = start(&elsewhere).await;
    let id = create(first.http_address(), "lamp").await;
    assert_eq!(name_of(first.http_address(), &id).await, "lamp");
    let part = format!("read models in {place}");
    assert_eq!(health(first.http_address(), &part).await, (200, Some("UP".into())));
    first.stop().await.expect("stopped");

    let again = start(&elsewhere).await;
    assert_eq!(name_of(again.http_address(), &id).await, "lamp");
    again.stop().await.expect("stopped");

    // The log has everything: the same read model grows beside it.
    let beside = start(&[("DATABASE_DSN", &dsn)]).await;
    assert_eq!(name_of(beside.http_address(), &id).await, "lamp");
    assert_eq!(health(beside.http_address(), &part).await, (200, None));
    beside.stop().await.expect("stopped");
}

#[tokio::test]
async fn read_models_are_kept_in_redis() {
    let directory = tempfile::tempdir().expect("a directory");
    keeps_read_models(directory.path(), "redis", &[("REDIS_ADDR", &redis(1))]).await;
}

#[tokio::test]
async fn read_models_are_kept_in_a_postgres_of_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    keeps_read_models(directory.path(), "postgres", &[("READ_MODELS_DSN", &postgres("read_models").await)]).await;
}

/// A Redis of the test's own.
struct Redis(Child);

impl Redis {
    fn start(port: u16, directory: &Path) -> Self {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"]).arg(directory);
        Self(command.stdout(Stdio::null()).spawn().expect("`scripts/with-servers redis -- …` installs redis-server"))
    }

    /// Stops it where it is, or lets it go on.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_service_starts_before_its_redis_and_heals() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let directory = tempfile::tempdir().expect("a directory");
    let (dsn, address) = (sqlite(directory.path()), format!("127.0.0.1:{port}"));
    let variables = [("DATABASE_DSN", dsn.as_str()), ("READ_MODELS_STORE", "redis"), ("REDIS_ADDR", &address)];
    let service = start(&variables).await;
    let http = service.http_address();
    let id = create(http, "lamp").await;
    let told = async {
        while health(http, "projection Products").await != (503, Some("DOWN".into())) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, told).await.expect("the health says so");
    let began = Instant::now();
    assert_eq!(get(http, &format!("/api/v1/products/{id}")).await.expect("an answer").status, 503);
    assert!(began.elapsed() < Duration::from_secs(4), "it is told at once: {:?}", began.elapsed());
    assert_eq!(health(http, "read models in redis").await, (503, Some("DOWN".into())));

    let redis = Redis::start(port, directory.path());
    let healed = async {
        while name_of(http, &id).await != "lamp" || health(http, "read models in redis").await.0 != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, healed).await.expect("it heals");

    // What Redis loses, the log still has; also when nothing is recorded meanwhile.
    drop(redis);
    let second = create(http, "desk").await;
    for _ in 0..2 {
        let _empty = Redis::start(port, directory.path());
        let rebuilt = async {
            while name_of(http, &id).await != "lamp" || name_of(http, &second).await != "desk" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, rebuilt).await.expect("it is taken in again");
    }
    service.stop().await.expect("stopped");
}

/// Neither the first query that meets the outage nor one that waits for events to be taken in.
#[tokio::test]
async fn a_query_waits_for_a_frozen_redis_no_longer_than_configured() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let directory = tempfile::tempdir().expect("a directory");
    let (dsn, address) = (sqlite(directory.path()), format!("127.0.0.1:{port}"));
    let redis = Redis::start(port, directory.path());
    let places = [("DATABASE_DSN", dsn.as_str()), ("READ_MODELS_STORE", "redis"), ("REDIS_ADDR", &address)];
    let service = start(&[&places[..], &[("DATABASE_TIMEOUT_MS", "100")]].concat()).await;
    let http = service.http_address();
    let lamp = create(http, "lamp").await;
    let known = async { while name_of(http, &lamp).await != "lamp" {} };
    tokio::time::timeout(SOON, known).await.expect("Redis is there");

    redis.signal("STOP");
    let refused = async |id: &str| {
        let began = Instant::now();
        assert_eq!(get(http, &format!("/api/v1/products/{id}")).await.expect("an answer").status, 503);
        // Without being configured it would take 5 s.
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    };
    refused(&lamp).await;
    refused(&create(http, "desk").await).await;
    redis.signal("CONT");
    let healed = async { while name_of(http, &lamp).await != "lamp" {} };
    tokio::time::timeout(SOON, healed).await.expect("it heals");
    service.stop().await.expect("stopped");
}
