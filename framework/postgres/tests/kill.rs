//! `kill -9` in the middle of a load, again and again, on one database: see [`potter_core::store::contract::kill`].

mod support;

use std::process::ExitCode;
use std::sync::Arc;

use potter_core::store::SharedStore;
use potter_core::store::contract::kill;
use potter_postgres::PostgresStore;

fn main() -> ExitCode {
    kill::run(async || (support::database().await, ()), open, |()| {})
}

async fn open(dsn: &str) -> SharedStore {
    Arc::new(PostgresStore::open(dsn).await.expect("it can be opened"))
}
