//! What only a file can be asked: that it is there the next time, that others may use it, that its absence is told.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::future::join_all;
use potter_core::event::{EventMetadata, NewEvent, StreamId};
use potter_core::read_model::{ColumnType, Table, TableColumn, Value};
use potter_core::store::contract::hot;
use potter_core::store::sql::create_sqlite_table;
use potter_core::store::{
    AcceptedCommand, Append, CommitError, DeadLetterFilter, Generation, Migration, ProjectionBatch, ProjectionError,
    ProjectionRecord, ReadModels, Rebuild, RowChange, Selection, Snapshot, Store, Unit,
};
use potter_sqlite::SqliteStore;
use tempfile::TempDir;
use uuid::Uuid;

fn dsn(directory: &TempDir) -> String {
    format!("sqlite://{}", directory.path().join("data.db").display())
}

fn open(directory: &TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&dsn(directory)).expect("it can be opened"))
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn appending(id: &str, expected_version: u64, payload: Bytes) -> Unit {
    let event = NewEvent { id: Uuid::now_v7(), event_type: "thing.happened", schema_version: 1, payload };
    let append = Append {
        aggregate: "Thing",
        aggregate_id: id.to_owned(),
        expected_version,
        events: vec![event],
        metadata: EventMetadata::default(),
        time: SystemTime::now(),
    };
    Unit { append: Some(append), ..Unit::default() }
}

fn accepting(id: Uuid) -> Unit {
    let command = AcceptedCommand {
        id,
        name: "thing.make".to_owned(),
        aggregate: "Thing".to_owned(),
        aggregate_id: "1".to_owned(),
        request: Bytes::new(),
        expected_version: None,
        correlation_id: String::new(),
        causation_id: None,
        actor: None,
        accepted_at: SystemTime::now(),
    };
    Unit { accept: Some(command), ..Unit::default() }
}

const THINGS: Table = Table {
    name: "things",
    key: "id",
    columns: &[TableColumn { name: "name", ty: ColumnType::Text, indexed: true, unique: false }],
};

fn things() -> &'static [Migration] {
    let sql: &'static str = Box::leak(create_sqlite_table(&THINGS, "things", "things").into_boxed_str());
    Box::leak(Box::new([Migration::of_any_database("0001_things", sql)]))
}

fn batch(generation: Generation, expected_checkpoint: u64, checkpoint: u64, key: &str) -> ProjectionBatch {
    let row = Bytes::copy_from_slice(key.as_bytes());
    ProjectionBatch {
        projection: "Things",
        table: THINGS,
        generation,
        epoch: 0,
        expected_checkpoint,
        checkpoint,
        put: vec![RowChange { key: key.to_owned(), values: vec![Value::Text(key.to_owned())], row }],
        remove: Vec::new(),
        park: Vec::new(),
        unpark: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_the_next_time() {
    let directory = directory();
    let snapshot = Snapshot {
        stream: StreamId::new("Thing", "1"),
        schema: "s".to_owned(),
        version: 1,
        ended: false,
        state: Bytes::from_static(b"state"),
    };
    let command = Uuid::now_v7();
    {
        let store = open(&directory);
        store.migrate(things()).await.expect("applied");
        store.commit(appending("1", 0, Bytes::from_static(b"x"))).await.expect("a new stream");
        store.commit(accepting(command)).await.expect("a new command");
        store.save_snapshot(snapshot.clone()).await.expect("saved");
        store.commit_projection(batch(Generation::Live, 0, 1, "a")).await.expect("it fits");
        store.close().await;
    }
    let store = open(&directory);
    assert_eq!(*store.head().borrow(), 1);
    assert_eq!(store.migrate(things()).await.expect("nothing to do"), [""; 0]);
    assert_eq!(store.read_all(0, 10).await.expect("readable").len(), 1);
    assert_eq!(store.pending_commands().await.expect("readable")[0].id, command);
    assert_eq!(store.load_snapshot(snapshot.stream.clone(), "s".to_owned()).await.expect("readable"), Some(snapshot));
    assert_eq!(store.checkpoint("Things", Generation::Live).await.expect("readable"), 1);
    assert_eq!(store.select(THINGS, Selection::default()).await.expect("readable").rows, ["a"]);
}

/// Two stores on one file are to each other as two processes are: nothing but the file is shared.
#[tokio::test(flavor = "multi_thread")]
async fn two_writers_share_one_log() {
    const EACH: u64 = 300;
    let directory = directory();
    let stores = [open(&directory), open(&directory)];
    let callers = (0..8).map(|caller: u64| {
        let store = stores[usize::try_from(caller % 2).expect("small")].clone();
        tokio::spawn(async move {
            let (mut version, mut positions) = (0, Vec::new());
            while (positions.len() as u64) < EACH / 4 {
                // Four callers on each stream, two of them in the other store.
                match store.commit(appending(&(caller / 4).to_string(), version, Bytes::new())).await {
                    Ok(committed) => positions.push(committed.position),
                    Err(CommitError::Conflict { actual }) => {
                        version = actual;
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                }
                version += 1;
            }
            positions
        })
    });
    let mut positions = Vec::new();
    for result in join_all(callers).await {
        positions.extend(result.expect("no caller panics"));
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=2 * EACH).collect::<Vec<_>>());

    for store in &stores {
        // The one that didn't write last learns of it by itself.
        store.head().wait_for(|head| *head == 2 * EACH).await.expect("the store lives");
        for stream in ["0", "1"] {
            let events = store.read_stream(StreamId::new("Thing", stream), 0).await.expect("readable");
            let versions: Vec<u64> = events.iter().map(|event| event.version).collect();
            assert_eq!(versions, (1..=EACH).collect::<Vec<_>>());
        }
    }
}

/// As the first version of the framework's tables left it.
fn first_version(directory: &TempDir) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(directory.path().join("data.db")).expect("it can be made");
    connection.execute_batch(include_str!("../src/schema/1_tables.sql")).expect("the tables of the first version");
    connection
        .execute_batch(
            "CREATE TABLE potter_schema (version INTEGER NOT NULL) STRICT; INSERT INTO potter_schema VALUES (1)",
        )
        .expect("its number");
    connection
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let directory = directory();
    let settled = "INSERT INTO potter_commands (id, name, aggregate, aggregate_id, request, correlation_id, \
        accepted_at, outcome, outcome_version, outcome_events, settled_at) \
        VALUES (randomblob(16), 'thing.make', 'Thing', '1', x'', '', 1, 'succeeded', 1, x'', 1)";
    first_version(&directory).execute_batch(settled).expect("a command from then");
    let store = open(&directory);
    assert_eq!(store.unannounced_outcomes(10).await.expect("readable"), [], "nobody waits for those of then");
    assert_eq!(store.projection("Things").await.expect("readable"), ProjectionRecord::default());
    assert_eq!(store.dead_letters(DeadLetterFilter::default()).await.expect("readable"), []);
    store.commit(appending("1", 0, Bytes::new())).await.expect("it goes on");
}

/// Nobody knows whether its rows are made from the log, or a copy that was to be made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_of_an_earlier_version_is_dropped_and_told() {
    let directory = directory();
    let begun = "INSERT INTO potter_checkpoints VALUES ('Things', 'live', 7), ('Things', 'next', 5)";
    first_version(&directory).execute_batch(begun).expect("a rebuild from then");
    let store = open(&directory);
    let record = store.projection("Things").await.expect("readable");
    assert!(!record.rebuilding, "{record:?}");
    let failure = record.rebuild.and_then(|it| it.end).and_then(|it| it.failure).expect("it is told");
    assert!(failure.contains("begin it anew"), "{failure}");
    assert_eq!(store.checkpoint("Things", Generation::Live).await.expect("readable"), 7);
    assert_eq!(store.begin_rebuild("Things", THINGS, Rebuild::After(0)).await.expect("begun"), Some(2));
}

/// A node of an earlier version may begin one when the tables are those of now already.
#[tokio::test]
async fn a_rebuild_that_nothing_is_known_of_is_dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(&directory);
    let number = store.begin_rebuild("Things", THINGS, Rebuild::After(0)).await.expect("begun").expect("the first");
    assert!(!store.drop_rebuild("Things", THINGS, 0, "unknown".to_owned()).await.expect("asked"), "it is known");
    let connection = rusqlite::Connection::open(directory.path().join("data.db")).expect("it can be opened");
    connection.execute("DELETE FROM potter_rebuilds WHERE number = ?1", [number]).expect("forgotten");
    assert!(store.drop_rebuild("Things", THINGS, 0, "unknown".to_owned()).await.expect("dropped"));
    assert!(!store.projection("Things").await.expect("readable").rebuilding);
    assert!(!store.drop_rebuild("Things", THINGS, 0, "unknown".to_owned()).await.expect("asked"), "there is none");
}

/// `projections rebuild` runs beside the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_by_another_process_takes_effect() {
    let directory = directory();
    let (service, tool) = (open(&directory), open(&directory));
    service.migrate(things()).await.expect("applied");
    service.commit_projection(batch(Generation::Live, 0, 1, "old")).await.expect("it fits");
    assert_eq!(service.select(THINGS, Selection::default()).await.expect("readable").rows, ["old"]);

    let number = tool.begin_rebuild("Things", THINGS, Rebuild::After(0)).await.expect("begun").expect("the first");
    let new = ProjectionBatch { epoch: number, ..batch(Generation::Next, 0, 2, "new") };
    tool.commit_projection(new).await.expect("it fits");
    tool.finish_rebuild("Things", THINGS, number, 2).await.expect("ahead of the live one");

    assert_eq!(service.select(THINGS, Selection::default()).await.expect("readable").rows, ["new"]);
    let late = service.commit_projection(batch(Generation::Live, 1, 2, "late")).await;
    assert!(matches!(late, Err(ProjectionError::Moved { actual: 2 })), "{late:?}");
    let newer = ProjectionBatch { epoch: 1, ..batch(Generation::Live, 2, 3, "newer") };
    service.commit_projection(newer).await.expect("it knows of the rebuild");
    assert_eq!(service.select(THINGS, Selection::default()).await.expect("readable").rows, ["new", "newer"]);
}

/// They wait together and share a transaction; what the database chokes on fails alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_unit_does_not_harm_the_others() {
    let directory = directory();
    let store = open(&directory);
    let taken = Uuid::now_v7();
    store.commit(accepting(taken)).await.expect("a new command");
    let units = (0..300).map(|number: u32| match number % 100 {
        50 => Unit { accept: accepting(taken).accept, ..appending(&number.to_string(), 0, Bytes::new()) },
        _ => appending(&number.to_string(), 0, Bytes::new()),
    });
    let results = join_all(units.map(|unit| store.commit(unit))).await;
    for (number, result) in results.iter().enumerate() {
        match number % 100 {
            50 => assert!(matches!(result, Err(CommitError::Store(_))), "{number}: {result:?}"),
            _ => assert!(result.is_ok(), "{number}: {result:?}"),
        }
    }
    let log = store.read_all(0, 1000).await.expect("readable");
    assert_eq!(log.iter().map(|event| event.position).collect::<Vec<_>>(), (1..=297).collect::<Vec<_>>());
    assert!(log.iter().all(|event| !event.aggregate_id.ends_with("50")));
}

/// The log would grow until the store is closed.
#[tokio::test(flavor = "multi_thread")]
async fn the_write_ahead_log_is_emptied_meanwhile() {
    let directory = directory();
    let store = open(&directory);
    let payload = Bytes::from(vec![7; 100_000]);
    for number in 0..2000 {
        store.commit(appending(&number.to_string(), 0, payload.clone())).await.expect("a new stream");
        // Without a checkpoint everything stays in the log and the file has hardly a page.
        if size(&directory.path().join("data.db")) > 5_000_000 {
            return;
        }
    }
    panic!("200 MB are in the log, and {} bytes in the file", size(&directory.path().join("data.db")));
}

fn size(path: &Path) -> u64 {
    path.metadata().expect("the file is there").len()
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing() {
    const BROKEN: Migration = Migration::of_any_database("0001_broken", "CREATE TABLE one (a TEXT); CREATE TABLE;");
    const MENDED: Migration = Migration::of_any_database("0001_broken", "CREATE TABLE one (a TEXT);");
    let directory = directory();
    let store = open(&directory);
    let error = store.migrate(&[BROKEN]).await.expect_err("no name").to_string();
    assert!(error.contains("0001_broken") && error.contains("syntax error"), "{error}");
    assert_eq!(store.migrate(&[MENDED]).await.expect("applied"), ["0001_broken"]);
}

/// A checkout on Windows has other line endings.
#[tokio::test]
async fn line_endings_do_not_change_a_migration() {
    const UNIX: Migration = Migration::of_any_database("0001", "CREATE TABLE one (\n a TEXT\n);\n");
    const WINDOWS: Migration = Migration::of_any_database("0001", "CREATE TABLE one (\r\n a TEXT\r\n);\r\n");
    let directory = directory();
    let store = open(&directory);
    store.migrate(&[UNIX]).await.expect("applied");
    assert_eq!(store.migrate(&[WINDOWS]).await.expect("the same"), [""; 0]);
}

#[test]
fn a_missing_directory_is_named() {
    let directory = directory();
    let path = directory.path().join("missing/data.db");
    let error = SqliteStore::open(&format!("sqlite://{}", path.display())).err().expect("it is missing").to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("there is no directory"), "{error}");
}

#[test]
fn another_kind_of_file_is_left_alone() {
    let directory = directory();
    let path = directory.path().join("data.db");
    let text = "This is no database, however long it may be. ".repeat(100);
    std::fs::write(&path, &text).expect("written");
    let error = SqliteStore::open(&dsn(&directory)).err().expect("no database").to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("no SQLite database"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("readable"), text);
}

#[test]
fn tables_of_a_newer_version_are_left_alone() {
    let directory = directory();
    drop(open(&directory));
    let connection = rusqlite::Connection::open(directory.path().join("data.db")).expect("it can be opened");
    connection.execute("UPDATE potter_schema SET version = 1000", []).expect("written");
    let error = SqliteStore::open(&dsn(&directory)).err().expect("too new").to_string();
    assert!(error.contains("version 1000"), "{error}");
}

/// `POTTER_HOT_COMMANDS` says how many commands; 640 unless told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_stream_has_no_stale_decisions() {
    let commands =
        std::env::var("POTTER_HOT_COMMANDS").map_or(640, |it| it.parse().expect("POTTER_HOT_COMMANDS is a number"));
    let directory = directory();
    hot::has_no_stale_decisions(&[open(&directory)], commands).await;
}
