//! What the benchmarks share: the service that is measured ([`catalogue`]), how work is driven and summed up
//! ([`drive`]), where it is stored ([`database`]), how the disk is probed, and how peers are measured in turns
//! ([`compare`]).
//!
//! Each binary in `src/bin` says what it measures; `docs/benchmarks.md` has the commands and the figures. The peers
//! are in a workspace of their own, `peers`: their dependencies are not Potter's.

pub mod catalogue;
pub mod compare;
pub mod database;
pub mod drive;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use drive::Summary;

/// What a service has by default.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the disk takes for what a commit must wait for: append 4 KiB, `fdatasync`, 1,000 times.
///
/// # Errors
/// When the directory cannot be written to.
pub fn probe_disk(directory: &Path) -> std::io::Result<Summary> {
    let path = directory.join("probe");
    let mut file = File::create(&path)?;
    let begin = Instant::now();
    let mut latencies = Vec::new();
    for _ in 0..1000 {
        let called = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        latencies.push(called.elapsed());
    }
    let summary = Summary::of(latencies, begin.elapsed());
    std::fs::remove_file(path)?;
    Ok(summary)
}
