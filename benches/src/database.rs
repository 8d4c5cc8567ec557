//! Where what is measured is stored.

use std::sync::Arc;

use anyhow::Context;
use potter_core::read_model::Table;
use potter_core::store::{Migration, Script, SharedStore, sql};
use potter_postgres::PostgresStore;
use potter_sqlite::SqliteStore;
use tokio_postgres::NoTls;
use uuid::Uuid;

/// A store that is empty in the beginning.
pub struct Database {
    /// To be measured.
    pub store: SharedStore,
    dsn: String,
    place: Place,
}

enum Place {
    Directory(tempfile::TempDir),
    /// The DSN of the server that has it.
    Server(String),
}

impl Database {
    /// A SQLite file in the directory `place`, or a new database on the PostgreSQL server `place`, a DSN.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn make(place: &str) -> anyhow::Result<Self> {
        if place.starts_with("postgres://") {
            let dsn = new_database(place).await?;
            return Ok(Self { store: open(&dsn).await?, dsn, place: Place::Server(place.to_owned()) });
        }
        let directory = tempfile::tempdir_in(place)?;
        let dsn = format!("sqlite://{}", directory.path().join("data.db").display());
        Ok(Self { store: open(&dsn).await?, dsn, place: Place::Directory(directory) })
    }

    /// The same database as another node sees it.
    ///
    /// # Errors
    /// It cannot be opened again.
    pub async fn another(&self) -> anyhow::Result<SharedStore> {
        open(&self.dsn).await
    }

    /// Removes it from the server or the disk.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn discard(self) -> anyhow::Result<()> {
        match self.place {
            Place::Directory(directory) => directory.close()?,
            Place::Server(server) => {
                let (_, name) = self.dsn.rsplit_once('/').context("the DSN names a database")?;
                execute(&server, &[&format!("DROP DATABASE {name} WITH (FORCE)")]).await?;
            }
        }
        Ok(())
    }
}

async fn open(dsn: &str) -> anyhow::Result<SharedStore> {
    Ok(match dsn.starts_with("postgres://") {
        true => Arc::new(PostgresStore::open(dsn).await?),
        false => Arc::new(SqliteStore::open(dsn)?),
    })
}

/// Begins with a checkpoint, so that no run pays for what another has written.
async fn new_database(server: &str) -> anyhow::Result<String> {
    let name = format!("bench_{}", Uuid::now_v7().simple());
    execute(server, &["CHECKPOINT", &format!("CREATE DATABASE {name} TEMPLATE template0")]).await?;
    let (place, _) = server.rsplit_once('/').context("the DSN names a database")?;
    Ok(format!("{place}/{name}"))
}

/// One after the other, because some of them refuse to share a transaction.
async fn execute(server: &str, statements: &[&str]) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    let driver = tokio::spawn(connection);
    for statement in statements {
        client.batch_execute(statement).await?;
    }
    driver.abort();
    Ok(())
}

/// What makes a read model's table.
#[must_use]
pub fn migrations(table: &Table) -> &'static [Migration] {
    // Migrations live as long as the program.
    let script = |sql: String| Script { up: Box::leak(sql.into_boxed_str()), down: "" };
    let sqlite = script(sql::create_sqlite_table(table, table.name, table.name));
    let postgres = script(sql::create_postgres_table(table, table.name));
    Box::leak(Box::new([Migration { name: "0001_table", sqlite, postgres }]))
}
