//! Appends events: one per operation, to a stream that the caller has to itself, with the expected version.
//!
//! `append compare PEERS ROUNDS SECONDS DIRECTORY` runs Potter and the peers (`PEERS` is the path of the program that
//! `benches/peers` builds) in turns, each in a process of its own, and prints the medians as a table.
//! `append potter CALLERS SECONDS DIRECTORY` prints operations per second, p50, p99 and p99.9 in microseconds of one
//! run;
//! `append probe DIRECTORY` those of the disk alone.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail};
use bytes::Bytes;
use potter_benches::compare::{self, Cell, Contender};
use potter_benches::drive::{Summary, drive};
use potter_benches::probe_disk;
use potter_core::event::{EventMetadata, NewEvent};
use potter_core::store::{Append, ReadModels, Store, Unit};
use potter_sqlite::SqliteStore;
use uuid::Uuid;

/// Events in a stream before the next one is begun.
const STREAM_LENGTH: u64 = 100;

/// A payload of the size that events usually have.
const PAYLOAD: Bytes = Bytes::from_static(&[42; 100]);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["compare", peers, rounds, seconds, directory] => {
            compare(peers, rounds.parse().context("ROUNDS is a number")?, seconds, directory)?;
        }
        ["probe", directory] => println!("{}", probe_disk(Path::new(directory))?),
        ["potter", callers, seconds, directory] => {
            let callers = callers.parse().context("CALLERS is a number")?;
            let seconds = seconds.parse().context("SECONDS is a number")?;
            println!("{}", potter(callers, seconds, Path::new(directory))?);
        }
        _ => bail!(
            "usage: append compare PEERS ROUNDS SECONDS DIRECTORY | potter CALLERS SECONDS DIRECTORY | probe DIRECTORY"
        ),
    }
    Ok(())
}

fn compare(peers: &str, rounds: usize, seconds: &str, directory: &str) -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    let own = own.to_str().context("the path of this program is text")?;
    let cells: Vec<Cell<'_>> = ["1", "256"].map(|callers| cell(own, peers, [callers, seconds, directory])).into();
    compare::print("callers", &cells, rounds, Path::new(directory))
}

fn cell<'a>(own: &'a str, peers: &'a str, work: [&'a str; 3]) -> Cell<'a> {
    let [callers, seconds, directory] = work;
    let peer = |name| Contender { name, program: peers, arguments: vec!["append", name, callers, seconds, directory] };
    let potter = Contender { name: "Potter", program: own, arguments: vec!["potter", callers, seconds, directory] };
    Cell { label: callers.to_owned(), contenders: vec![potter, peer("evento"), peer("sqlite-es")] }
}

#[tokio::main]
async fn potter(callers: usize, seconds: u64, directory: &Path) -> anyhow::Result<Summary> {
    let directory = tempfile::tempdir_in(directory)?;
    let dsn = format!("sqlite://{}", directory.path().join("data.db").display());
    let store = Arc::new(SqliteStore::open(&dsn)?);
    let summary = drive(callers, seconds, {
        let store = store.clone();
        move |caller, count| {
            let store = store.clone();
            async move {
                store.commit(unit(caller, count)).await.expect("the stream is the caller's own");
            }
        }
    })
    .await;
    store.close().await;
    Ok(summary)
}

fn unit(caller: usize, count: u64) -> Unit {
    let event = NewEvent { id: Uuid::now_v7(), event_type: "thing.happened", schema_version: 1, payload: PAYLOAD };
    let append = Append {
        aggregate: "Thing",
        aggregate_id: format!("{caller:08}-{:08}", count / STREAM_LENGTH),
        expected_version: count % STREAM_LENGTH,
        events: vec![event],
        metadata: EventMetadata {
            correlation_id: "0190a8c6-1b1f-7c3a-9d3b-2f7a5c1e8d42".to_owned(),
            causation_id: "0190a8c6-1b1f-7c3a-9d3b-2f7a5c1e8d43".to_owned(),
            actor: None,
        },
        time: SystemTime::now(),
    };
    Unit { append: Some(append), ..Unit::default() }
}
