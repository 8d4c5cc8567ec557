//! The databases on the PostgreSQL server, and connections to them.

use std::time::Duration;

use anyhow::Context;
use sqlx_of_others::postgres::{PgPool, PgPoolOptions};
use sqlx_of_others::{Connection, Executor, PgConnection};
use uuid::Uuid;

/// Long enough for any queue.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A database of its own for each run.
pub struct Database {
    server: String,
    name: String,
    dsn: String,
}

impl Database {
    /// Begins with a checkpoint, so that no run pays for what another has written.
    pub async fn make(server: &str) -> anyhow::Result<Self> {
        let name = format!("peer_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(server).await?;
        connection.execute("CHECKPOINT").await?;
        connection.execute(format!("CREATE DATABASE {name} TEMPLATE template0").as_str()).await?;
        let (place, _) = server.rsplit_once('/').context("the DSN names a database")?;
        Ok(Self { server: server.to_owned(), dsn: format!("{place}/{name}"), name })
    }

    /// Where it is.
    pub fn dsn(&self) -> &str {
        &self.dsn
    }

    /// Lets the planner know what there is.
    pub async fn analyze(&self) -> anyhow::Result<()> {
        PgConnection::connect(&self.dsn).await?.execute("ANALYZE").await?;
        Ok(())
    }

    /// Whoever is still connected is thrown out.
    pub async fn discard(self) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.server).await?;
        connection.execute(format!("DROP DATABASE {} WITH (FORCE)", self.name).as_str()).await?;
        Ok(())
    }
}

/// So many connections, all of them open already.
pub async fn pool(dsn: &str, connections: u32) -> anyhow::Result<PgPool> {
    let options = PgPoolOptions::new().min_connections(connections).max_connections(connections);
    Ok(options.acquire_timeout(PATIENCE).connect(dsn).await?)
}

/// The same for evento, which uses another version of the driver.
pub async fn pool_for_evento(dsn: &str, connections: u32) -> anyhow::Result<sqlx_of_evento::PgPool> {
    let options = sqlx_of_evento::postgres::PgPoolOptions::new();
    let options = options.min_connections(connections).max_connections(connections);
    Ok(options.acquire_timeout(PATIENCE).connect(dsn).await?)
}
