//! What became of a batch whose connection broke: the receipt says, and whoever asks first decides.

mod support;

use potter_postgres::PostgresStore;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

async fn connect() -> Client {
    let dsn = support::database().await;
    PostgresStore::open(&dsn).await.expect("it can be opened");
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await.expect("the server answers");
    drop(tokio::spawn(connection));
    client
}

/// Writes a batch of nothing under that number.
async fn commit(client: &Client, batch: Uuid) -> Result<(), tokio_postgres::Error> {
    let nothing = "'{}'";
    let (events, claims, accepted, settled) =
        ([nothing; 13].join(", "), [nothing; 10].join(", "), [nothing; 10].join(", "), [nothing; 9].join(", "));
    let sql = format!("SELECT potter_commit('{batch}', false, {events}, {claims}, {accepted}, NULL, {settled})");
    client.batch_execute(&sql).await
}

async fn resolve(client: &Client, batch: Uuid) -> Option<i64> {
    client.query_one("SELECT head FROM potter_resolve($1)", &[&batch]).await.expect("it answers").get(0)
}

#[tokio::test]
async fn a_batch_that_was_written_has_a_receipt() {
    let client = connect().await;
    let batch = Uuid::now_v7();
    commit(&client, batch).await.expect("written");
    assert_eq!(resolve(&client, batch).await, Some(0));
}

/// It may still be on its way, in the buffers of a connection that broke.
#[tokio::test]
async fn a_batch_that_was_asked_for_cannot_be_written_any_more() {
    let client = connect().await;
    let batch = Uuid::now_v7();
    assert_eq!(resolve(&client, batch).await, None);
    let error = commit(&client, batch).await.expect_err("it comes too late");
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    assert_eq!(resolve(&client, batch).await, None);
}
