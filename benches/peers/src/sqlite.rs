//! The same work as `append potter`, done by the peers on SQLite.
//!
//! Both get what Potter has: a file, a write-ahead log, `synchronous = FULL`; and one connection, which suits them
//! best: more of them only wait for each other's lock.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use cqrs_es::{Aggregate, DomainEvent};
use evento::migrator::{Migrate, Plan};
use serde::{Deserialize, Serialize};

use crate::drive::{Summary, drive};

/// Events in a stream before the next one is begun.
const STREAM_LENGTH: u64 = 100;

/// Long enough for any queue.
const PATIENCE: Duration = Duration::from_secs(60);

/// Appends as long as told.
pub fn append(peer: &str, callers: usize, seconds: u64, directory: &str) -> anyhow::Result<Summary> {
    let directory = tempfile::tempdir_in(Path::new(directory))?;
    let url = format!("sqlite://{}", directory.path().join("data.db").display());
    match peer {
        "sqlite-es" => with_sqlite_es(callers, seconds, &url),
        "evento" => with_evento(callers, seconds, &url),
        other => bail!("unknown peer: {other}"),
    }
}

fn stream(caller: usize, count: u64) -> String {
    format!("{caller:08}-{:08}", count / STREAM_LENGTH)
}

// ---- sqlite-es, the SQLite repository of cqrs-es

/// Its README's tables.
const TABLES: &str = "CREATE TABLE events (
  aggregate_type text                          NOT NULL,
  aggregate_id   text                          NOT NULL,
  sequence       integer CHECK (sequence >= 0) NOT NULL,
  event_type     text                          NOT NULL,
  event_version  text                          NOT NULL,
  payload        text                          NOT NULL,
  metadata       text                          NOT NULL,
  PRIMARY KEY (aggregate_type, aggregate_id, sequence)
) STRICT";

#[derive(Default, Deserialize, Serialize)]
struct Thing;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Happened;

#[derive(Debug)]
struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("never")
    }
}

impl std::error::Error for Never {}

impl DomainEvent for Happened {
    fn event_type(&self) -> String {
        "thing.happened".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Thing {
    const TYPE: &'static str = "Thing";
    type Command = ();
    type Event = Happened;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Never> {
        Ok(())
    }

    fn apply(&mut self, _: Happened) {}
}

#[tokio::main]
async fn with_sqlite_es(callers: usize, seconds: u64, url: &str) -> anyhow::Result<Summary> {
    use sqlx_of_others::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE);
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(options).await?;
    sqlx_of_others::query(TABLES).execute(&pool).await?;
    let repository = std::sync::Arc::new(sqlite_es::SqliteEventRepository::new(pool));
    Ok(drive(callers, seconds, move |caller, count| {
        let repository = repository.clone();
        async move {
            let event = SerializedEvent::new(
                stream(caller, count),
                usize::try_from(count % STREAM_LENGTH + 1).expect("small"),
                Thing::TYPE.to_owned(),
                "thing.happened".to_owned(),
                "1".to_owned(),
                serde_json::json!({ "payload": "*".repeat(100) }),
                serde_json::json!({
                    "correlation_id": "0190a8c6-1b1f-7c3a-9d3b-2f7a5c1e8d42",
                    "causation_id": "0190a8c6-1b1f-7c3a-9d3b-2f7a5c1e8d43",
                }),
            );
            repository.persist::<Thing>(&[event], None).await.expect("the stream is the caller's own");
        }
    })
    .await)
}

// ---- evento

#[evento::aggregate(name = "benchmark/Item")]
pub enum Item {
    ItemHappened { payload: Vec<u8> },
}

#[tokio::main]
async fn with_evento(callers: usize, seconds: u64, url: &str) -> anyhow::Result<Summary> {
    use sqlx_of_evento::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE);
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(options).await?;
    let migrator = evento::sql_migrator::new::<sqlx_of_evento::Sqlite>()?;
    migrator.run(&mut *pool.acquire().await?, &Plan::apply_all()).await?;
    let executor: evento::Sqlite = pool.into();
    Ok(drive(callers, seconds, move |caller, count| {
        let executor = executor.clone();
        async move {
            evento::append(stream(caller, count))
                .original_version(u16::try_from(count % STREAM_LENGTH).expect("small"))
                .event(&ItemHappened { payload: vec![42; 100] })
                .commit(&executor)
                .await
                .expect("the stream is the caller's own");
        }
    })
    .await)
}
