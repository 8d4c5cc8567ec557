//! The PostgreSQL store passes the suite of all stores.

mod support;

use std::sync::Arc;

use potter_core::store::contract::Fixture;
use potter_core::store::sql::create_postgres_table;
use potter_postgres::PostgresStore;

async fn open() -> Fixture {
    let store = PostgresStore::open(&support::database().await).await.expect("it can be opened");
    let create_table = |table: &_| create_postgres_table(table, table.name);
    Fixture { store: Arc::new(store), create_table, guard: Box::new(()) }
}

potter_core::store_contract!(open);
