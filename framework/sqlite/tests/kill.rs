//! `kill -9` in the middle of a load, again and again, on one file.
//!
//! A child process appends with many callers and prints what has been acknowledged; the parent kills it, reopens the
//! file and looks: every acknowledged append is there exactly once, positions and versions have no gap, and what
//! shares a transaction is there together or not at all. `POTTER_KILLS` says how often; it is 8 unless told.
//!
//! The child is this same program, so it has a `main` of its own instead of the test harness.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use potter_core::event::{EventMetadata, NewEvent, RecordedEvent};
use potter_core::store::{
    AcceptedCommand, Append, Claim, ClaimKey, CommandOutcome, CommitError, RecordedReply, Settlement, Store, Unit,
};
use potter_sqlite::SqliteStore;
use uuid::Uuid;

/// Tells the child which database to use; the parent has none.
const CHILD: &str = "POTTER_KILL_CHILD";

/// Callers at a time, and the streams that they fight for.
const CALLERS: u128 = 64;
const STREAMS: u128 = 16;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        println!("acknowledged_appends_survive_kills: test");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("threads");
    match std::env::var(CHILD) {
        Ok(dsn) => runtime.block_on(append_until_killed(&dsn)),
        Err(_) => runtime.block_on(acknowledged_appends_survive_kills()),
    }
    ExitCode::SUCCESS
}

async fn acknowledged_appends_survive_kills() {
    let kills: u64 = std::env::var("POTTER_KILLS").map_or(8, |kills| kills.parse().expect("POTTER_KILLS is a number"));
    let directory = tempfile::tempdir().expect("a directory");
    let dsn = format!("sqlite://{}", directory.path().join("data.db").display());
    let mut acknowledged = BTreeMap::new();
    for kill in 0..kills {
        // From the first commits to well into a load, without rhythm.
        let enough = 1 + usize::try_from((kill * 7919) % 1500).expect("small");
        acknowledged.extend(kill_after(&dsn, enough));
        check(&dsn, directory.path(), &acknowledged).await;
    }
    println!("killed {kills} times: {} appends acknowledged, 0 lost, 0 twice", acknowledged.len());
}

/// Lets a child work until so many appends are acknowledged, and kills it.
fn kill_after(dsn: &str, enough: usize) -> BTreeMap<Uuid, u64> {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .env(CHILD, dsn)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let output = child.stdout.take().expect("it was piped");
    let mut acknowledged = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let line = line.expect("the child prints text");
        let (id, position) = line.split_once(' ').expect("a line is written at once");
        acknowledged.insert(id.parse().expect("an id"), position.parse().expect("a position"));
        if acknowledged.len() == enough {
            kill(&mut child);
        }
    }
    let status = child.wait().expect("the child has ended");
    assert!(!status.success() && acknowledged.len() >= enough, "the child ended by itself: {status}");
    acknowledged
}

/// On Unix this is SIGKILL: the child has no chance to do anything about it.
fn kill(child: &mut Child) {
    child.kill().expect("the child can be killed");
}

async fn check(dsn: &str, directory: &Path, acknowledged: &BTreeMap<Uuid, u64>) {
    let store = SqliteStore::open(dsn).expect("it can be opened again");
    let log = store.read_all(0, usize::MAX).await.expect("readable");
    assert_eq!(*store.head().borrow(), log.len() as u64);

    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for (event, position) in log.iter().zip(1..) {
        assert_eq!(event.position, position, "positions have no gap");
        let version = versions.entry(&event.aggregate_id).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "versions have no gap");
    }
    let recorded: BTreeMap<Uuid, u64> = log.iter().map(|event| (event.id, event.position)).collect();
    assert_eq!(recorded.len(), log.len(), "no event is there twice");
    for (id, position) in acknowledged {
        assert_eq!(recorded.get(id), Some(position), "an acknowledged append is there");
    }
    check_what_travels_together(&store, &log).await;

    store.close().await;
    let left: BTreeSet<_> = std::fs::read_dir(directory)
        .expect("the directory is there")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(left, BTreeSet::from(["data.db".into()]), "a closed store leaves one file");
}

/// An event has its claim, or its command is settled: never the one without the other.
async fn check_what_travels_together(store: &SqliteStore, log: &[RecordedEvent]) {
    let ids: BTreeSet<Uuid> = log.iter().map(|event| event.id).collect();
    for event in log {
        if is_idempotent(event.id) {
            let claim = store.find_claim(key(event.id)).await.expect("readable");
            assert_eq!(claim.map(|claim| claim.reply.version), Some(event.version));
        } else {
            let status = store.command_status(event.id).await.expect("readable").expect("it was accepted");
            assert!(status.outcome.is_some(), "an executed command is settled");
        }
    }
    for pending in store.pending_commands().await.expect("readable") {
        assert!(!ids.contains(&pending.id), "a pending command has not been executed");
    }
}

async fn append_until_killed(dsn: &str) {
    let store = Arc::new(SqliteStore::open(dsn).expect("it can be opened"));
    let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(call_until_killed(store.clone(), caller))).collect();
    for caller in callers {
        caller.await.expect("no caller panics");
    }
}

async fn call_until_killed(store: Arc<SqliteStore>, caller: u128) {
    let mut version = 0;
    loop {
        let id = Uuid::now_v7();
        if !is_idempotent(id) {
            let accept = Some(accepted(id));
            store.commit(Unit { accept, ..Unit::default() }).await.expect("a new command");
        }
        let stream = (caller % STREAMS).to_string();
        let position = loop {
            match store.commit(unit(id, &stream, version)).await {
                Ok(committed) => break committed.position,
                Err(CommitError::Conflict { actual }) => version = actual,
                Err(error) => panic!("{error}"),
            }
        };
        version += 1;
        println!("{id} {position}");
    }
}

/// Half of the appends claim a key, the others settle an accepted command.
fn is_idempotent(id: Uuid) -> bool {
    id.as_u128().is_multiple_of(2)
}

fn unit(id: Uuid, stream: &str, version: u64) -> Unit {
    let unit = Unit { append: Some(append(id, stream, version)), ..Unit::default() };
    if is_idempotent(id) {
        let reply = RecordedReply {
            body: Bytes::new(),
            aggregate_id: stream.to_owned(),
            version: version + 1,
            command_id: None,
        };
        Unit { claim: Some(Claim { key: key(id), request_hash: [0; 32], reply }), ..unit }
    } else {
        let outcome = CommandOutcome::Succeeded { version: version + 1, events: Vec::new() };
        Unit { settle: Some(Settlement { command_id: id, outcome }), ..unit }
    }
}

fn append(id: Uuid, stream: &str, version: u64) -> Append {
    let event = NewEvent {
        id,
        event_type: "thing.happened",
        schema_version: 1,
        payload: Bytes::copy_from_slice(id.to_string().as_bytes()),
    };
    Append {
        aggregate: "Thing",
        aggregate_id: stream.to_owned(),
        expected_version: version,
        events: vec![event],
        metadata: EventMetadata::default(),
        time: SystemTime::now(),
    }
}

fn accepted(id: Uuid) -> AcceptedCommand {
    AcceptedCommand {
        id,
        name: "thing.make".to_owned(),
        aggregate: "Thing".to_owned(),
        aggregate_id: "1".to_owned(),
        request: Bytes::new(),
        expected_version: None,
        correlation_id: String::new(),
        actor: None,
        accepted_at: SystemTime::now(),
    }
}

fn key(id: Uuid) -> ClaimKey {
    ClaimKey { command: "thing.make", caller: String::new(), key: id.to_string() }
}
