//! Appends events: one per operation, to a stream that the caller has to itself, with the expected version.
//!
//! `append potter CALLERS SECONDS DIRECTORY` prints operations per second, p50 and p99 in microseconds.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail};
use bytes::Bytes;
use potter_benches::{Summary, drive, probe_disk};
use potter_core::event::{EventMetadata, NewEvent};
use potter_core::store::{Append, Store, Unit};
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
        ["probe", directory] => println!("{}", probe_disk(Path::new(directory))?),
        ["potter", callers, seconds, directory] => {
            let callers = callers.parse().context("CALLERS is a number")?;
            let seconds = seconds.parse().context("SECONDS is a number")?;
            println!("{}", potter(callers, seconds, Path::new(directory))?);
        }
        _ => bail!("usage: append potter CALLERS SECONDS DIRECTORY | append probe DIRECTORY"),
    }
    Ok(())
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
