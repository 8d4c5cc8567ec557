//! What the dispatcher promises, on every store that there is: the sample service over memory, SQLite and PostgreSQL.

mod keys;
mod rebuilds;
mod snapshots;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use potter::dispatch::Options;
use potter::memory::MemoryStore;
use potter::retries::Retries;
use potter::store::SharedStore;
use potter::testing::TestApp;
use potter_postgres::PostgresStore;
use potter_sqlite::SqliteStore;

/// What must come, comes within that time.
const SOON: Duration = Duration::from_secs(20);

const CREATE: &str = "shop.v1.Catalogue/CreateProduct";
const UPDATE: &str = "shop.v1.Catalogue/UpdateProduct";
const IMPORT: &str = "shop.v1.Catalogue/ImportProduct";

fn memory() -> SharedStore {
    Arc::new(MemoryStore::new())
}

fn sqlite(directory: &Path) -> SharedStore {
    Arc::new(SqliteStore::open(&crate::in_process::sqlite(directory)).expect("it can be opened"))
}

/// A node on that database.
async fn postgres(dsn: &str) -> SharedStore {
    Arc::new(PostgresStore::open(dsn).await.expect("it can be opened"))
}

/// Starts the sample on a store.
async fn start(store: &SharedStore) -> TestApp {
    // What is sold out stays so: nobody restocks.
    let options = Options { retries: Retries::none(), ..Options::default() };
    TestApp::start_with(potter_sample::module(), store.clone(), options).await
}
