//! The SQLite store passes the suite of all stores, in a file and in memory.

use std::sync::Arc;

use potter_core::store::contract::Fixture;
use potter_core::store::sql::create_sqlite_table;
use potter_sqlite::SqliteStore;

async fn open_file() -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    let dsn = format!("sqlite://{}", directory.path().join("data.db").display());
    fixture(&dsn, Box::new(directory))
}

async fn open_memory() -> Fixture {
    fixture("sqlite::memory:", Box::new(()))
}

fn fixture(dsn: &str, guard: Box<dyn std::any::Any + Send>) -> Fixture {
    let store = SqliteStore::open(dsn).expect("it can be opened");
    let create_table = |table: &_| create_sqlite_table(table, table.name, table.name);
    Fixture { store: Arc::new(store), create_table, guard }
}

mod file {
    use super::open_file;
    potter_core::store_contract!(open_file);
}

mod memory {
    use super::open_memory;
    potter_core::store_contract!(open_memory);
}
