//! The server that `scripts/with-servers` has started.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::NoTls;

/// The server's DSN.
pub fn server() -> String {
    std::env::var("POTTER_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("there is no PostgreSQL: run `scripts/with-servers postgres -- cargo test -p potter-postgres`")
    })
}

/// A new database on it, empty: its DSN.
pub async fn database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let server = server();
    execute(&server, &format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    let (place, _) = server.rsplit_once('/').expect("a DSN with a database");
    format!("{place}/{name}")
}

/// Executes statements beside the store.
pub async fn execute(dsn: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.expect("the server answers");
    let driver = tokio::spawn(connection);
    client.batch_execute(sql).await.expect("the statements are valid");
    drop(client);
    driver.await.expect("no panic").expect("it ends in order");
}
