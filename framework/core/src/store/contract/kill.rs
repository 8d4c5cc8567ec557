//! `kill -9` in the middle of a load, again and again, on one database.
//!
//! A child process appends with many callers and prints what has been acknowledged; the parent kills it, opens the
//! database and looks: every acknowledged append is there exactly once, positions and versions have no gap, and what
//! shares a transaction is there together or not at all. `POTTER_KILLS` says how often; it is 8 unless told.
//!
//! The child is the same program, so the test has a `main` of its own instead of the test harness, and calls [`run`] there.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use super::crash::{self, Acknowledged};
use crate::store::SharedStore;

/// Tells the child which database to use; the parent has none.
const CHILD: &str = "POTTER_KILL_CHILD";

/// Runs the test, or what its child does.
///
/// `database` makes one, empty, and gives its DSN and what lives as long as the test; `open` opens it; `closed` looks at what
/// a store has left that was closed.
///
/// # Panics
/// When something was lost, is there twice, or is there without what it belongs to.
pub fn run<G>(
    database: impl AsyncFnOnce() -> (String, G),
    open: impl AsyncFn(&str) -> SharedStore,
    closed: impl Fn(&G),
) -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        println!("acknowledged_appends_survive_kills: test");
        return ExitCode::SUCCESS;
    }
    crate::testing::block_on(async {
        match std::env::var(CHILD) {
            Ok(dsn) => append_until_killed(&open(&dsn).await).await,
            Err(_) => {
                let (dsn, guard) = database().await;
                acknowledged_appends_survive_kills(&dsn, &open, || closed(&guard)).await;
            }
        }
    });
    ExitCode::SUCCESS
}

async fn acknowledged_appends_survive_kills(dsn: &str, open: &impl AsyncFn(&str) -> SharedStore, closed: impl Fn()) {
    let kills: u64 = std::env::var("POTTER_KILLS").map_or(8, |kills| kills.parse().expect("POTTER_KILLS is a number"));
    let mut acknowledged = Acknowledged::new();
    for kill in 0..kills {
        // From the first commits to well into a load, without rhythm.
        let enough = 1 + usize::try_from((kill * 7919) % 1500).expect("small");
        acknowledged.extend(kill_after(dsn, enough));
        let store = open(dsn).await;
        crash::check(&store, &acknowledged).await;
        store.close().await;
        closed();
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

async fn append_until_killed(store: &SharedStore) {
    crash::append(store, |id, position| println!("{id} {position}")).await;
    panic!("the store has failed");
}
