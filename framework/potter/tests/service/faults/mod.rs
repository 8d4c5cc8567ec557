//! Processes that freeze, are killed or told to stop under load. In the end every command must have had its effect once
//! and every read model be what a cold replay gives, whatever the callers were told meanwhile.

mod away;
mod frozen;
mod killed;
mod load;
mod projecting;
mod publishing;
mod rebuilt;
mod restored;
mod stopped;

#[path = "../../../../nats/tests/server/mod.rs"]
mod broker;
#[path = "../../../../postgres/tests/support/server.rs"]
mod database;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use potter::read_model::ReadModel;
use potter::store::contract::ledger::{self, Ledger};
use potter::store::{Elsewhere, Generation, Routed, SharedStore};
use potter_postgres::PostgresStore;
use potter_redis::RedisReadModels;
use potter_sample::Products;
use potter_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::http::get;
use crate::process::Process;
use load::Load;

/// Everything that must happen, happens within that time.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the admin API wants to see.
const ADMIN_TOKEN: &str = "sixteen letters are enough";

/// A number that a variable may enlarge.
fn variable(name: &str, small: usize) -> usize {
    std::env::var(name).map_or(small, |it| it.parse().unwrap_or_else(|_| panic!("{name}={it} is not a number")))
}

/// A database, and the processes' directory.
struct Place {
    directory: TempDir,
    dsn: String,
    /// Where read models are kept, if not in the database.
    redis: Option<String>,
    /// Where messages go over, if not within each process.
    nats: Option<String>,
}

impl Place {
    fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let dsn = format!("sqlite://{}", directory.path().join("data.db").display());
        Self { directory, dsn, redis: None, nats: None }
    }

    async fn postgres(name: &str) -> Self {
        Self::at(crate::in_process::postgres(name).await)
    }

    /// With a database that is there already.
    fn at(dsn: String) -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), dsn, redis: None, nats: None }
    }

    /// With read models in a database of Redis, which nobody else has used.
    fn with_redis(self, database: u32) -> Self {
        Self { redis: Some(crate::read_models::redis(database)), ..self }
    }

    fn with_nats(self, url: &str) -> Self {
        Self { nats: Some(url.to_owned()), ..self }
    }

    /// What kind of a database it is, or Redis where that keeps the read models.
    fn kind(&self) -> &str {
        if self.redis.is_some() { "redis" } else { self.dsn.split(':').next().expect("a DSN") }
    }

    /// Starts the sample service there.
    fn start(&self) -> Process {
        let mut variables = vec![("DATABASE_DSN", &*self.dsn), ("LOG_LEVEL", "info"), ("ADMIN_TOKEN", ADMIN_TOKEN)];
        if let Some(redis) = &self.redis {
            variables.extend([("READ_MODELS_STORE", "redis"), ("REDIS_ADDR", redis)]);
        }
        variables.extend(self.nats.as_deref().map(|url| ("NATS_URL", url)));
        Process::start_example("shop", self.directory.path(), &variables).0
    }

    /// Opens the database, and Redis if there is one, beside the service, to look or to write.
    async fn open(&self) -> SharedStore {
        let store: SharedStore = match self.dsn.strip_prefix("sqlite:") {
            Some(_) => Arc::new(SqliteStore::open(&self.dsn).expect("it can be opened")),
            // Patiently: a busy machine is no finding.
            None => Arc::new(PostgresStore::open(&format!("{}?timeout=60", self.dsn)).await.expect("it can be opened")),
        };
        let Some(redis) = &self.redis else { return store };
        let read_models = vec![(Products::NAME, Products::TABLE)];
        let keeper = RedisReadModels::new(redis, "shop", &read_models).expect("an address");
        Arc::new(Routed::new(store, vec![Elsewhere { place: "redis", keeper: Arc::new(keeper), read_models }]))
    }

    /// Waits until services have nothing left to do, ends them, and holds what there is against what callers know.
    async fn check(&self, services: impl IntoIterator<Item = Process>, ledger: &Ledger) {
        let store = self.open().await;
        let head = *store.head().borrow();
        until("every command has its outcome", async || store.pending_commands().await.expect("readable").is_empty())
            .await;
        until("the read model is up to date", async || checkpoint(&store).await >= head).await;
        for service in services {
            service.signal("TERM");
            assert_eq!(service.wait().code(), Some(0));
        }
        ledger::check(&*store, ledger).await;
        ledger::check_read_model::<Products>(&*store).await;
        store.close().await;
    }
}

async fn checkpoint(store: &SharedStore) -> u64 {
    store.checkpoint("Products", Generation::Live).await.expect("readable")
}

/// How many events a node has published.
async fn published(node: SocketAddr) -> u64 {
    counted(node, r#"potter_published_total{module="shop",name="events"} "#).await
}

/// What a node's metrics say of a counter.
async fn counted(node: SocketAddr, series: &str) -> u64 {
    let metrics = get(node, "/metrics").await.expect("an answer").body;
    let count = metrics.lines().find_map(|line| line.strip_prefix(series)).expect("it is counted");
    count.parse().expect("a number")
}

/// Looks again and again until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let held = async {
        let mut look = tokio::time::interval(Duration::from_millis(2));
        while !holds().await {
            look.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, held).await.unwrap_or_else(|_| panic!("it takes too long until {what}"));
}
