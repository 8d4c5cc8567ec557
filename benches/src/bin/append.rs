//! Appends events: one per operation, to a stream that the caller has to itself, with the expected version.
//!
//! `append compare PEERS ROUNDS SECONDS DIRECTORY` runs Potter and the peers (`PEERS` is the path of the program that
//! `benches/peers` builds) in turns, each in a process of its own, and prints the medians as a table.
//! `append potter CALLERS SECONDS DIRECTORY` prints operations per second, p50 and p99 in microseconds of one run;
//! `append probe DIRECTORY` those of the disk alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail};
use bytes::Bytes;
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

/// In turns, so that whatever else the machine does meanwhile is shared fairly.
fn compare(peers: &str, rounds: usize, seconds: &str, directory: &str) -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    let own = own.to_str().context("the path of this program is text")?;
    let systems = [("Potter", own, "potter"), ("evento", peers, "evento"), ("sqlite-es", peers, "sqlite-es")];
    let mut disk = Vec::new();
    let mut runs: BTreeMap<(&str, &str), Vec<Numbers>> = BTreeMap::new();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        disk.push(measure(own, &["probe", directory])?);
        for callers in ["1", "256"] {
            for (name, program, system) in systems {
                let numbers = measure(program, &[system, callers, seconds, directory])?;
                runs.entry((callers, name)).or_default().push(numbers);
            }
        }
    }
    let Numbers { p50, p99, .. } = medians(&disk);
    println!("append 4 KiB, fdatasync: p50 {p50} µs, p99 {p99} µs\n");
    println!("| callers | store | appends/s | p50 µs | p99 µs | Potter's rate |\n|---|---|---|---|---|---|");
    for ((callers, name), numbers) in &runs {
        let Numbers { rate, p50, p99 } = medians(numbers);
        let ratio = medians(&runs[&(*callers, "Potter")]).rate as f64 / rate as f64;
        println!("| {callers} | {name} | {rate} | {p50} | {p99} | {ratio:.1} × |");
    }
    Ok(())
}

/// What a run prints.
#[derive(Clone, Copy)]
struct Numbers {
    rate: u64,
    p50: u64,
    p99: u64,
}

fn measure(program: &str, arguments: &[&str]) -> anyhow::Result<Numbers> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot start {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split_whitespace().map_while(|number| number.parse().ok()).collect();
    match numbers[..] {
        [rate, p50, p99] if output.status.success() => Ok(Numbers { rate, p50, p99 }),
        _ => bail!("{program} {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn medians(runs: &[Numbers]) -> Numbers {
    let median = |number: fn(&Numbers) -> u64| {
        let mut numbers: Vec<u64> = runs.iter().map(number).collect();
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied().unwrap_or_default()
    };
    Numbers { rate: median(|it| it.rate), p50: median(|it| it.p50), p99: median(|it| it.p99) }
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
