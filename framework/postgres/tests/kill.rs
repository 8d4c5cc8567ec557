//! `kill -9` in the middle of a load, again and again, on one database.
//!
//! A child process appends with many callers and prints what has been acknowledged; the parent kills it, opens the
//! database and looks: every acknowledged append is there exactly once, positions and versions have no gap, and what
//! shares a transaction is there together or not at all. `POTTER_KILLS` says how often; it is 8 unless told.
//!
//! The child is this same program, so it has a `main` of its own instead of the test harness.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use potter_core::store::SharedStore;
use potter_core::store::contract::crash::{self, Acknowledged};
use potter_postgres::PostgresStore;

/// Tells the child which database to use; the parent has none.
const CHILD: &str = "POTTER_KILL_CHILD";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        println!("acknowledged_appends_survive_kills: test");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    match std::env::var(CHILD) {
        Ok(dsn) => runtime.block_on(append_until_killed(&dsn)),
        Err(_) => runtime.block_on(acknowledged_appends_survive_kills()),
    }
    ExitCode::SUCCESS
}

async fn acknowledged_appends_survive_kills() {
    let kills: u64 = std::env::var("POTTER_KILLS").map_or(8, |kills| kills.parse().expect("POTTER_KILLS is a number"));
    let dsn = support::database().await;
    let mut acknowledged = Acknowledged::new();
    for kill in 0..kills {
        // From the first commits to well into a load, without rhythm.
        let enough = 1 + usize::try_from((kill * 7919) % 1500).expect("small");
        acknowledged.extend(kill_after(&dsn, enough));
        check(&dsn, &acknowledged).await;
    }
    println!("killed {kills} times: {} appends acknowledged, 0 lost, 0 twice", acknowledged.len());
}

/// Lets a child work until so many appends are acknowledged, and kills it.
fn kill_after(dsn: &str, enough: usize) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .env(CHILD, dsn)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let output = child.stdout.take().expect("it was piped");
    let mut acknowledged = Acknowledged::new();
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

async fn check(dsn: &str, acknowledged: &Acknowledged) {
    let store: SharedStore = Arc::new(PostgresStore::open(dsn).await.expect("it can be opened again"));
    crash::check(&store, acknowledged).await;
    store.close().await;
}

async fn append_until_killed(dsn: &str) {
    let store: SharedStore = Arc::new(PostgresStore::open(dsn).await.expect("it can be opened"));
    crash::append(&store, |id, position| println!("{id} {position}")).await;
    panic!("the store has failed");
}
