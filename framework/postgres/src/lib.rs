//! The PostgreSQL store of the Potter framework: several nodes on one database, 15 or later.
//!
//! [`PostgresStore::open`] takes a `DATABASE_DSN` and gives what [`potter_core::store::Store`] asks for. What goes where:
//! `writer` is the task that commits (group commit), `batch` what it writes, as columns for the function
//! `potter_commit`; `head` hears of what other nodes commit; `pool` lends connections to whoever reads, keeps read models
//! (`models`, `rows`) or administrates (`admin`); `records` are claims, commands and snapshots; `connection` makes
//! connections (`dsn`, `tls`) and the tables, which `schema.sql` and the steps after it describe together with the
//! functions.
//!
//! Durable means: a command is answered after the commit, with `synchronous_commit` at least `on`. What is derived from
//! the log (read models with their checkpoints, snapshots) is written with `synchronous_commit = off`: a crash of the
//! server may take the last moments of it, and then they are derived again.
//!
//! Positions are taken under a lock that ends with the transaction, so they are gap-free and in the order of the
//! commits, however many nodes write and whatever other transactions go on.

mod admin;
mod batch;
mod connection;
mod convert;
mod dsn;
mod head;
mod messages;
mod models;
mod pool;
mod records;
mod rows;
mod tls;
mod writer;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use potter_core::event::{RecordedEvent, StreamId};
use potter_core::read_model::Table;
use potter_core::store::{
    AcceptedCommand, AppliedMigration, ClaimKey, CommandStatus, CommitError, Committed, DeadLetter, DeadLetterFilter,
    Expiry, Generation, Migration, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, ReadModels,
    Rebuild, RecordedClaim, Script, Selected, Selection, Snapshot, Store, StoreError, Unit,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use crate::models::PostgresReadModels;

use crate::connection::{Connection, Connector, bring_up_to_date, failure};
use crate::convert::{EVENT_COLUMNS, Text, recorded_event, stored};
use crate::dsn::Dsn;
use crate::head::Head;
use crate::writer::{Node, Refusal, Writer};

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    writer: Writer,
    models: PostgresReadModels,
    head: Arc<Head>,
    following: JoinHandle<()>,
    node: Node,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The DSN isn't one.
    #[error("cannot open `{dsn}`: {reason}")]
    Dsn {
        /// Without its password.
        dsn: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer version of Potter has changed the framework's tables.
    #[error("cannot open `{dsn}`: its tables have version {found}, this service knows up to {known}")]
    Newer {
        /// Without its password.
        dsn: String,
        /// Version of the tables.
        found: i32,
        /// The newest that this version of Potter knows.
        known: i32,
    },
    /// The server cannot be reached, or refuses.
    #[error("cannot open `{dsn}`: {reason}")]
    Database {
        /// Without its password.
        dsn: String,
        /// What the driver says.
        reason: String,
    },
}

/// Whether `dsn` is one that [`PostgresStore::open`] takes; connects to nothing.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(dsn: &str) -> Result<(), String> {
    match Dsn::parse(dsn) {
        Ok(_) => Ok(()),
        Err(OpenError::Dsn { reason, .. }) => Err(reason),
        Err(error) => Err(error.to_string()),
    }
}

impl PostgresStore {
    /// Connects, and brings the framework's tables up to date. Gives a server that doesn't answer yet five seconds.
    ///
    /// `dsn` is `postgres://user:password@host:5432/database`, with libpq's parameters for connections (`sslmode`,
    /// `sslrootcert`, `connect_timeout`, `options`, …), `pool_size` (connections beside the two that write and listen,
    /// 8) and `timeout` (seconds that callers wait for the server, 2). The database must exist.
    ///
    /// # Errors
    /// Says which database, without the password, and what is wrong.
    pub async fn open(dsn: &str) -> Result<Self, OpenError> {
        let connector = Connector::new(Dsn::parse(dsn)?)?;
        let failed = |reason| OpenError::Database { dsn: connector.dsn.to_string(), reason };
        let connection = connector.connect_patiently().await.map_err(failed)?;
        bring_up_to_date(&connection, &connector.dsn).await?;
        let head = Arc::new(Head::read(&connection).await.map_err(failed)?);
        let node = Arc::new(Mutex::new(None));
        let writer = Writer::start(connector.clone(), head.clone(), node.clone()).await.map_err(failed)?;
        let following = head.clone().follow(connector.clone());
        Ok(Self { writer, models: PostgresReadModels::of_store(connector), head, following, node })
    }

    /// Whether the framework's tables are there.
    ///
    /// # Errors
    /// See [`PostgresStore::open`].
    pub async fn exists(dsn: &str) -> Result<bool, OpenError> {
        let connector = Connector::new(Dsn::parse(dsn)?)?;
        let failed = |reason| OpenError::Database { dsn: connector.dsn.to_string(), reason };
        let connection = connector.connect_patiently().await.map_err(failed)?;
        let found = connection.row("SELECT to_regclass('potter_events') IS NOT NULL", &[]).await;
        let found = found.map_err(|error| failed(connection::told(&error)))?;
        Ok(found.is_some_and(|row| row.get(0)))
    }

    /// Reads events.
    async fn events(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &connection::Parameters<'_>,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let read = |connection: Arc<Connection>| async move {
            connection.query(sql, parameters).await?.iter().map(recorded_event).collect()
        };
        self.models.pool.read(operation, read).await
    }

    /// The claim that somebody else has made; it stays for days, so it is there.
    async fn taken(&self, key: &ClaimKey) -> CommitError {
        match self
            .models
            .pool
            .read("commit", |connection| async move { records::find_claim(&connection, key).await })
            .await
        {
            Ok(Some(claim)) => CommitError::Claimed(claim),
            Ok(None) => StoreError::new("commit", "the claim that was in the way has been removed").into(),
            Err(error) => error.into(),
        }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Store for PostgresStore {
    fn commit(&self, unit: Unit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        async {
            match self.writer.commit(unit).await {
                Ok(committed) => Ok(committed),
                Err(Refusal::Told(error)) => Err(error),
                Err(Refusal::Taken(key)) => Err(self.taken(&key).await),
            }
        }
        .boxed()
    }

    fn read_stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        async move {
            let sql = format!(
                "SELECT {EVENT_COLUMNS} FROM potter_events \
                 WHERE aggregate_id = $1 AND aggregate = $2 AND version > $3 ORDER BY version"
            );
            let (aggregate, id) = (Text(stream.aggregate()), Text(stream.id()));
            self.events("read a stream", &sql, &[&id, &aggregate, &stored(after)]).await
        }
        .boxed()
    }

    fn read_all(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        async move {
            let sql =
                format!("SELECT {EVENT_COLUMNS} FROM potter_events WHERE position > $1 ORDER BY position LIMIT $2");
            self.events("read the log", &sql, &[&stored(after), &stored(limit as u64)]).await
        }
        .boxed()
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.head.watch()
    }

    fn load_snapshot(&self, stream: StreamId, schema: String) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        async move {
            let (stream, schema) = (&stream, schema.as_str());
            let load =
                |connection: Arc<Connection>| async move { records::load_snapshot(&connection, stream, schema).await };
            self.models.pool.read("load a snapshot", load).await
        }
        .boxed()
    }

    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let snapshot = &snapshot;
            let save = |connection: Arc<Connection>| async move { records::save_snapshot(&connection, snapshot).await };
            self.models.pool.read("save a snapshot", save).await
        }
        .boxed()
    }

    fn find_claim(&self, key: ClaimKey) -> BoxFuture<'_, Result<Option<RecordedClaim>, StoreError>> {
        async move {
            let key = &key;
            let find = |connection: Arc<Connection>| async move { records::find_claim(&connection, key).await };
            self.models.pool.read("find a claim", find).await
        }
        .boxed()
    }

    fn processed_up_to(&self, subscription: String, stream: String) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let (subscription, stream) = (&subscription, &stream);
            let look = |connection: Arc<Connection>| async move {
                records::processed_up_to(&connection, subscription, stream).await
            };
            self.models.pool.read("look for processed events", look).await
        }
        .boxed()
    }

    fn pending_commands(&self) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        let list = |connection: Arc<Connection>| async move { records::pending_commands(&connection).await };
        self.models.pool.read("list the pending commands", list).boxed()
    }

    fn adopt_commands(&self, node: Uuid) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        async move {
            *self.node.lock().expect("nothing panics while it holds the lock") = Some(node);
            let adopt = |connection: Arc<Connection>| async move {
                let adopted = records::adopt_commands(&connection, node).await;
                adopted.map_err(|error| failure("adopt commands", &error))
            };
            // Not as a read: what is adopted and then not told would be looked after by nobody.
            self.models.pool.act("adopt commands", adopt).await
        }
        .boxed()
    }

    fn command_status(&self, id: Uuid) -> BoxFuture<'_, Result<Option<CommandStatus>, StoreError>> {
        let find = move |connection: Arc<Connection>| async move { records::command_status(&connection, id).await };
        self.models.pool.read("find a command", find).boxed()
    }

    fn unannounced_outcomes(&self, limit: u32) -> BoxFuture<'_, Result<Vec<CommandStatus>, StoreError>> {
        let list =
            move |connection: Arc<Connection>| async move { records::unannounced_outcomes(&connection, limit).await };
        self.models.pool.read("list the outcomes", list).boxed()
    }

    fn mark_announced(&self, ids: Vec<Uuid>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let ids = &ids;
            let mark = |connection: Arc<Connection>| async move { records::mark_announced(&connection, ids).await };
            self.models.pool.read("note what is announced", mark).await
        }
        .boxed()
    }

    fn keep_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let letter = &letter;
            let keep = |connection: Arc<Connection>| async move { messages::keep(&connection, letter).await };
            self.models.pool.read("keep a dead letter", keep).await
        }
        .boxed()
    }

    fn dead_letters(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        async move {
            let filter = &filter;
            let list = |connection: Arc<Connection>| async move { messages::list(&connection, filter).await };
            self.models.pool.act("list the dead letters", list).await
        }
        .boxed()
    }

    fn dead_letter_counts(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        let count = |connection: Arc<Connection>| async move { messages::counts(&connection).await };
        self.models.pool.read("count the dead letters", count).boxed()
    }

    fn renew_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let letter = &letter;
            let renew = |connection: Arc<Connection>| async move { messages::renew(&connection, letter).await };
            self.models.pool.read("renew a dead letter", renew).await
        }
        .boxed()
    }

    fn remove_dead_letter(&self, id: Uuid) -> BoxFuture<'_, Result<bool, StoreError>> {
        let remove = move |connection: Arc<Connection>| async move {
            let removed = messages::remove(&connection, id).await;
            removed.map_err(|error| failure("remove a dead letter", &error))
        };
        self.models.pool.act("remove a dead letter", remove).boxed()
    }

    fn migrate(&self, migrations: &'static [Migration]) -> BoxFuture<'_, Result<Vec<&'static str>, StoreError>> {
        let migrate = move |connection: Arc<Connection>| async move { admin::migrate(&connection, migrations).await };
        self.models.pool.act("migrate", migrate).boxed()
    }

    fn revert(&self, migration: Migration) -> BoxFuture<'_, Result<bool, StoreError>> {
        let revert = move |connection: Arc<Connection>| async move { admin::revert(&connection, &migration).await };
        self.models.pool.act("take a migration back", revert).boxed()
    }

    fn script(&self, migration: &Migration) -> Script {
        migration.postgres
    }

    fn applied_migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, StoreError>> {
        let read = |connection: Arc<Connection>| async move { admin::applied_migrations(&connection).await };
        self.models.pool.read("read migrations", read).boxed()
    }

    fn purge(&self, expiry: Expiry) -> BoxFuture<'_, Result<u64, StoreError>> {
        let purge = move |connection: Arc<Connection>| async move { records::purge(&connection, expiry).await };
        self.models.pool.read("purge", purge).boxed()
    }
}

impl ReadModels for PostgresStore {
    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        self.models.rows_by_key(table, generation, keys)
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        self.models.select(table, selection)
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.models.checkpoint(projection, generation)
    }

    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.models.commit_projection(batch)
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        self.models.parked(projection, generation)
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        self.models.projection(projection)
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.models.set_paused(projection, paused)
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        self.models.begin_rebuild(projection, table, begin)
    }

    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.models.save_copy(projection, table)
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        self.models.reset_projection(projection, table)
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.models.finish_rebuild(projection, table, number, expected_checkpoint)
    }

    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.models.drop_rebuild(projection, table, number, reason)
    }

    /// A connection of the pool answers. The writer's own is made anew with the next command if it is broken.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.models.ping()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            self.writer.close().await;
            self.following.abort();
            self.models.close().await;
        }
        .boxed()
    }
}
