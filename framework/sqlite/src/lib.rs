//! The SQLite store of the Potter framework: one file, durable, nothing to install.
//!
//! [`SqliteStore::open`] takes a `DATABASE_DSN` and gives what [`potter_core::store::Store`] asks for. What goes where:
//! `writer` is the thread that commits (group commit), `unit` what it writes for a command (`versions` saves it
//! searches) and `rows` what projections write and queries read (`totals` saves it counting); `checkpoint` empties the
//! write-ahead log; `readers` are the threads that read; `admin` holds migrations, rebuilds and purges; `schema`
//! describes the tables.
//!
//! Durable means: `journal_mode = WAL` with `synchronous = FULL`, so that whatever was answered is on the disk.
//! Several processes may use the file at the same time; each sees the others' events at most 50 ms later.

mod admin;
mod checkpoint;
mod connection;
mod convert;
mod dsn;
mod messages;
mod readers;
mod records;
mod rows;
mod totals;
mod unit;
mod versions;
mod writer;

use std::collections::HashSet;
use std::sync::Mutex;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use potter_core::event::{RecordedEvent, StreamId};
use potter_core::read_model::Table;
use potter_core::store::{
    AcceptedCommand, AppliedMigration, ClaimKey, CommandStatus, CommitError, Committed, DeadLetter, DeadLetterFilter,
    Expiry, Generation, Migration, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, ReadModels,
    Rebuild, RecordedClaim, Script, Selected, Selection, Snapshot, Store, StoreError, Unit,
};
use rusqlite::{Connection, params};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::convert::{EVENT_COLUMNS, recorded_event};
use crate::dsn::Dsn;
use crate::readers::{Readers, closed};
use crate::writer::{Job, Task, Writer};

/// A store in a SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    /// Who has asked for pending commands.
    nodes: Mutex<HashSet<Uuid>>,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The DSN isn't one.
    #[error("cannot open `{dsn}`: {reason}")]
    Dsn {
        /// As it was given.
        dsn: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file's directory is missing.
    #[error("cannot open `{path}`: there is no directory `{directory}`")]
    Directory {
        /// The file.
        path: String,
        /// Its directory.
        directory: String,
    },
    /// The file is something else.
    #[error("cannot open `{path}`: the file is no SQLite database")]
    NoDatabase {
        /// The file.
        path: String,
    },
    /// The file is on something that cannot hold a write-ahead log, such as a network share.
    #[error("cannot open `{path}`: a write-ahead log isn't possible there, the journal mode stays `{mode}`")]
    NoWal {
        /// The file.
        path: String,
        /// What SQLite offers instead.
        mode: String,
    },
    /// A newer version of Potter has changed the framework's tables.
    #[error("cannot open `{path}`: its tables have version {found}, this service knows up to {known}")]
    Newer {
        /// The file.
        path: String,
        /// Version of the tables.
        found: usize,
        /// The newest that this version of Potter knows.
        known: usize,
    },
    /// The database failed.
    #[error("cannot open `{path}`: {source}")]
    Database {
        /// The file.
        path: String,
        /// What the driver says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system grants no more threads.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl SqliteStore {
    /// Opens the database, makes it if it isn't there, and brings the framework's tables up to date.
    ///
    /// `dsn` is one of `sqlite://data.db`, `sqlite:///var/lib/shop/data.db`, `sqlite:data.db`, `sqlite::memory:`. It
    /// takes no parameters. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// Says which file, and what is wrong with it.
    pub fn open(dsn: &str) -> Result<Self, OpenError> {
        let dsn = Dsn::parse(dsn)?;
        let writer = Writer::open(&dsn)?;
        let readers = Readers::open(&dsn)?;
        Ok(Self { writer, readers, nodes: Mutex::default() })
    }

    /// Whether there is a database to open.
    ///
    /// # Errors
    /// `dsn` isn't one, as [`SqliteStore::open`] says.
    pub fn exists(dsn: &str) -> Result<bool, OpenError> {
        Ok(match Dsn::parse(dsn)? {
            Dsn::File(path) => path.exists(),
            Dsn::Memory => false,
        })
    }

    fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        self.readers.read(&self.writer, operation, read).boxed()
    }

    /// In a transaction that others share.
    async fn share<T, E: From<StoreError>>(
        &self,
        operation: &'static str,
        task: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Task,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        self.writer.send(operation, Job::Shared(task(answer)))?;
        answered.await.unwrap_or_else(|_| Err(closed(operation).into()))
    }

    /// On the writer's connection, between transactions.
    async fn alone<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        // Who asked may have gone meanwhile.
        let act = move |connection: &Connection| drop(answer.send(act(connection)));
        self.writer.send(operation, Job::Alone(Box::new(act)))?;
        answered.await.unwrap_or_else(|_| Err(closed(operation).into()))
    }

    /// On the writer's connection, between transactions, with nothing but the database to go wrong.
    fn administer<T: Send + 'static>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        self.alone(operation, move |connection| act(connection).map_err(|error| StoreError::new(operation, error)))
            .boxed()
    }
}

impl Store for SqliteStore {
    fn commit(&self, unit: Unit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        self.share("commit", |answer| Task::Commit(Box::new(unit), answer)).boxed()
    }

    fn read_stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.read("read a stream", move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {EVENT_COLUMNS} FROM potter_events \
                 WHERE aggregate = ?1 AND aggregate_id = ?2 AND version > ?3 ORDER BY version"
            ))?;
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            statement.query_map(params![stream.aggregate(), stream.id(), after], recorded_event)?.collect()
        })
    }

    fn read_all(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.read("read the log", move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {EVENT_COLUMNS} FROM potter_events WHERE position > ?1 ORDER BY position LIMIT ?2"
            ))?;
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            statement.query_map([after, limit], recorded_event)?.collect()
        })
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.writer.head()
    }

    fn load_snapshot(&self, stream: StreamId, schema: String) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.read("load a snapshot", move |connection| records::load_snapshot(connection, stream, &schema))
    }

    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.share("save a snapshot", |answer| Task::Save(Box::new(snapshot), answer)).boxed()
    }

    fn find_claim(&self, key: ClaimKey) -> BoxFuture<'_, Result<Option<RecordedClaim>, StoreError>> {
        self.read("find a claim", move |connection| records::find_claim(connection, &key))
    }

    fn processed_up_to(&self, subscription: String, stream: String) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read("look for processed events", move |connection| {
            records::processed_up_to(connection, &subscription, &stream)
        })
    }

    fn pending_commands(&self) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.read("list the pending commands", records::pending_commands)
    }

    /// Whoever shares the file looks after what it has accepted itself, until it starts again.
    fn adopt_commands(&self, node: Uuid) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        let first = self.nodes.lock().expect("nothing panics while it holds the lock").insert(node);
        if first { self.pending_commands() } else { ready(Ok(Vec::new())).boxed() }
    }

    fn command_status(&self, id: Uuid) -> BoxFuture<'_, Result<Option<CommandStatus>, StoreError>> {
        self.read("find a command", move |connection| records::command_status(connection, id))
    }

    fn unannounced_outcomes(&self, limit: u32) -> BoxFuture<'_, Result<Vec<CommandStatus>, StoreError>> {
        self.read("list the outcomes", move |connection| records::unannounced_outcomes(connection, limit))
    }

    fn mark_announced(&self, ids: Vec<Uuid>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.administer("note what is announced", move |connection| records::mark_announced(connection, &ids))
    }

    fn keep_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        self.administer("keep a dead letter", move |connection| messages::keep(connection, &letter))
    }

    fn dead_letters(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        self.read("list the dead letters", move |connection| messages::list(connection, &filter))
    }

    fn dead_letter_counts(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.read("count the dead letters", messages::counts)
    }

    fn renew_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.administer("renew a dead letter", move |connection| messages::renew(connection, &letter))
    }

    fn remove_dead_letter(&self, id: Uuid) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.administer("remove a dead letter", move |connection| messages::remove(connection, id))
    }

    fn migrate(&self, migrations: &'static [Migration]) -> BoxFuture<'_, Result<Vec<&'static str>, StoreError>> {
        self.alone("migrate", move |connection| admin::migrate(connection, migrations)).boxed()
    }

    fn revert(&self, migration: Migration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.alone("take a migration back", move |connection| admin::revert(connection, &migration)).boxed()
    }

    fn script(&self, migration: &Migration) -> Script {
        migration.sqlite
    }

    fn applied_migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, StoreError>> {
        self.read("read migrations", admin::applied_migrations)
    }

    fn purge(&self, expiry: Expiry) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.administer("purge", move |connection| admin::purge(connection, expiry))
    }
}

impl ReadModels for SqliteStore {
    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        self.read("read rows", move |connection| rows::rows_by_key(connection, &table, generation, keys))
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        self.read("select rows", move |connection| rows::select(connection, &table, &selection))
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read("read a checkpoint", move |connection| rows::checkpoint(connection, projection, generation))
    }

    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.share("commit a projection", |answer| Task::Project(Box::new(batch), answer)).boxed()
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        self.read("list the parked events", move |connection| rows::parked(connection, projection, generation))
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        self.read("read about a projection", move |connection| rows::projection(connection, projection))
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.administer("pause a projection", move |connection| rows::set_paused(connection, projection, paused))
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        self.administer("begin a rebuild", move |connection| {
            admin::begin_rebuild(connection, projection, &table, &begin)
        })
    }

    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.administer("save a read model", move |connection| admin::save_copy(connection, projection, &table))
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        self.administer("reset a projection", move |connection| admin::reset(connection, projection, &table))
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.alone("finish a rebuild", move |connection| {
            admin::finish_rebuild(connection, projection, &table, number, expected_checkpoint)
        })
        .boxed()
    }

    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.administer("drop a rebuild", move |connection| {
            admin::drop_rebuild(connection, projection, &table, number, &reason)
        })
    }

    /// Both sides must answer: whoever writes and somebody who reads.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            let see = |connection: &Connection| connection.query_row("SELECT 1 FROM potter_schema", [], |_| Ok(()));
            self.read("ping", see).await?;
            self.alone("ping", move |connection| see(connection).map_err(|error| StoreError::new("ping", error))).await
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            self.readers.close().await;
            self.writer.close().await;
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use potter_core::event::{EventMetadata, NewEvent};
    use potter_core::store::Append;

    use super::*;

    fn open(directory: &tempfile::TempDir) -> SqliteStore {
        let path = directory.path().join("data.db");
        SqliteStore::open(&format!("sqlite://{}", path.display())).expect("it can be opened")
    }

    fn appending(id: &str) -> Unit {
        let payload = Bytes::from(vec![7; 10_000]);
        let event = NewEvent { id: Uuid::now_v7(), event_type: "thing.happened", schema_version: 1, payload };
        let append = Append {
            aggregate: "Thing",
            aggregate_id: id.to_owned(),
            expected_version: 0,
            events: vec![event],
            metadata: EventMetadata::default(),
            time: SystemTime::now(),
        };
        Unit { append: Some(append), ..Unit::default() }
    }

    async fn on_the_writer(
        store: &SqliteStore,
        act: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) {
        let act = |connection: &Connection| act(connection).map_err(|error| StoreError::new("test", error));
        store.alone("test", act).await.expect("it works");
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_passes() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(&directory);
        // As many pages as there are now and a few more, as if the disk were full then.
        on_the_writer(&store, |connection| connection.pragma_update(None, "max_page_count", 40)).await;
        let mut recorded = 0;
        let error = loop {
            match store.commit(appending(&recorded.to_string())).await {
                Ok(committed) => recorded = committed.position,
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("full"), "{error}");
        assert_eq!(store.read_all(0, 1000).await.expect("readable").len() as u64, recorded);

        on_the_writer(&store, |connection| connection.pragma_update(None, "max_page_count", 4000)).await;
        let committed = store.commit(appending(&recorded.to_string())).await.expect("there is room again");
        assert_eq!(committed.position, recorded + 1);
    }

    #[tokio::test]
    async fn a_locked_database_is_an_error_and_passes() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(&directory);
        on_the_writer(&store, |connection| connection.busy_timeout(Duration::from_millis(1))).await;
        let other = Connection::open(directory.path().join("data.db")).expect("it can be opened");
        other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
        let error = store.commit(appending("1")).await.expect_err("locked").to_string();
        assert!(error.contains("locked"), "{error}");
        assert_eq!(store.read_all(0, 10).await.expect("readers don't wait"), []);
        other.execute_batch("ROLLBACK").expect("it holds the lock");
        store.commit(appending("1")).await.expect("it is free again");
    }

    #[tokio::test]
    async fn an_unreadable_snapshot_is_a_miss() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(&directory);
        let stream = StreamId::new("Thing", "1");
        let (schema, state) = ("s".to_owned(), Bytes::new());
        let snapshot = Snapshot { stream: stream.clone(), schema, version: 1, ended: false, state };
        store.save_snapshot(snapshot).await.expect("saved");
        assert!(store.load_snapshot(stream.clone(), "s".to_owned()).await.expect("readable").is_some());
        on_the_writer(&store, |connection| {
            connection.execute("UPDATE potter_snapshots SET version = -1", []).map(|_| ())
        })
        .await;
        assert_eq!(store.load_snapshot(stream, "s".to_owned()).await.expect("a miss"), None);
    }
}
