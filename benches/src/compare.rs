//! Runs Potter and its peers in turns, each in a process of its own, and compares what they print.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::probe_disk;

/// Who does the same work.
pub struct Contender<'a> {
    /// How the table calls it.
    pub name: &'a str,
    /// The path of its program, which prints a [`Summary`](crate::drive::Summary).
    pub program: &'a str,
    /// What the program is told.
    pub arguments: Vec<&'a str>,
}

/// Work that is done by everybody: a part of the table.
pub struct Cell<'a> {
    /// What it is, for the table's first columns.
    pub label: String,
    /// Potter first: the others are compared with it.
    pub contenders: Vec<Contender<'a>>,
}

/// Each cell `rounds` times, its contenders in turns, so that whatever else the machine does meanwhile is shared
/// fairly. Before each run the disk is probed. Prints the medians as a table with these first columns.
///
/// # Errors
/// A program cannot be run, or prints something else.
pub fn print(columns: &str, cells: &[Cell<'_>], rounds: usize, directory: &Path) -> anyhow::Result<()> {
    let mut disk = Vec::new();
    let mut runs: BTreeMap<(usize, usize), Vec<Numbers>> = BTreeMap::new();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (row, cell) in cells.iter().enumerate() {
            for (place, contender) in cell.contenders.iter().enumerate() {
                disk.push(probe(directory)?);
                runs.entry((row, place)).or_default().push(measure(contender)?);
            }
        }
    }
    let Numbers { p50, p99, .. } = medians(&disk);
    let (best, worst) = disk.iter().fold((u64::MAX, 0), |(best, worst), it| (best.min(it.p50), worst.max(it.p50)));
    println!("append 4 KiB, fdatasync, before each run: p50 {p50} µs ({best} to {worst}), p99 {p99} µs\n");
    println!("| {columns} | store | per second | p50 µs | p99 µs | p99.9 µs | Potter's rate |");
    println!("|{}", "---|".repeat(columns.split('|').count() + 6));
    for ((row, place), numbers) in &runs {
        let Numbers { rate, p50, p99, p999 } = medians(numbers);
        let ratio = medians(&runs[&(*row, 0)]).rate as f64 / rate as f64;
        let ratio = if *place == 0 { String::new() } else { format!("{ratio:.1} × ") };
        let (label, name) = (&cells[*row].label, cells[*row].contenders[*place].name);
        println!("| {label} | {name} | {rate} | {p50} | {p99} | {p999} | {ratio}|");
    }
    Ok(())
}

/// What a run prints.
#[derive(Clone, Copy)]
struct Numbers {
    rate: u64,
    p50: u64,
    p99: u64,
    p999: u64,
}

fn probe(directory: &Path) -> anyhow::Result<Numbers> {
    numbers(&probe_disk(directory)?.to_string()).context("a summary is four numbers")
}

fn measure(contender: &Contender<'_>) -> anyhow::Result<Numbers> {
    let Contender { program, arguments, .. } = contender;
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot start {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match numbers(&text) {
        Some(numbers) if output.status.success() => Ok(numbers),
        _ => bail!("{program} {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn numbers(text: &str) -> Option<Numbers> {
    let numbers: Vec<u64> = text.split_whitespace().map_while(|number| number.parse().ok()).collect();
    let [rate, p50, p99, p999] = numbers[..] else { return None };
    Some(Numbers { rate, p50, p99, p999 })
}

fn medians(runs: &[Numbers]) -> Numbers {
    let median = |number: fn(&Numbers) -> u64| {
        let mut numbers: Vec<u64> = runs.iter().map(number).collect();
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied().unwrap_or_default()
    };
    Numbers {
        rate: median(|it| it.rate),
        p50: median(|it| it.p50),
        p99: median(|it| it.p99),
        p999: median(|it| it.p999),
    }
}
