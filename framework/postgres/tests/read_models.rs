//! Read models in a PostgreSQL database whose events are elsewhere pass the part of the suite that is about them.

mod support;

use std::sync::Arc;

use potter_core::store::contract::ReadModelsFixture;
use potter_core::store::contract::read_models::THINGS;
use potter_core::store::sql::create_postgres_table;
use potter_core::store::{Generation, Migration, ReadModels, Selection};
use potter_postgres::PostgresReadModels;

/// A migration lives as long as its program; that of a test isn't long.
fn migrations() -> &'static [Migration] {
    let sql = Box::leak(create_postgres_table(&THINGS, THINGS.name).into_boxed_str());
    Box::leak(Box::new([Migration::of_any_database("0001_things", sql)]))
}

async fn open() -> ReadModelsFixture {
    let read_models = PostgresReadModels::new(&support::database().await, migrations()).expect("a DSN");
    ReadModelsFixture { read_models: Arc::new(read_models), guard: Box::new(()) }
}

potter_core::read_models_contract!(open);

/// Nothing is connected to before it is needed, and what cannot be reached now may be later.
#[tokio::test]
async fn the_server_may_come_later() {
    let dsn = support::database().await;
    let (place, name) = dsn.rsplit_once('/').expect("a DSN with a database");
    let later = format!("{name}_later");
    let models = PostgresReadModels::new(&format!("{place}/{later}"), migrations()).expect("a DSN");
    models.ping().await.expect_err("there is no such database yet");
    support::execute(&dsn, &format!("CREATE DATABASE {later} TEMPLATE template0")).await;
    models.ping().await.expect("now there is");
    assert_eq!(models.checkpoint("Things", Generation::Live).await.expect("readable"), 0);
    assert_eq!(models.select(THINGS, Selection::default()).await.expect("the table is there").rows.len(), 0);
}
