//! The same work as Potter's benchmarks, done by its peers, each in the way that its README recommends.
//!
//! - `potter-bench-peers append sqlite-es|evento CALLERS SECONDS DIRECTORY`: appends to SQLite, as `append potter`;
//! - `potter-bench-peers commands PEER create|change CALLERS SECONDS SERVER CONNECTIONS`: whole commands on PostgreSQL,
//!   as Potter's `commands`; PEER is one of postgres-es, esrs, evento and disintegrate, SERVER a DSN;
//! - `potter-bench-peers loss evento|disintegrate EVENTS DELAY SERVER`: what a follower of the peer's log never sees,
//!   while eight writers' transactions take up to DELAY milliseconds, and one of ten is rolled back.
//!
//! The first two print operations per second, p50, p99 and p99.9 in microseconds.

#[path = "../../src/drive.rs"]
mod drive;
mod loss;
mod server;
mod shop;
mod shops;
mod sqlite;

use anyhow::{Context, bail};
use drive::Summary;
use server::Database;
use shop::Work;

/// What Potter has too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["append", peer, callers, seconds, directory] => {
            println!("{}", sqlite::append(peer, number(callers)?, number(seconds)?, directory)?);
        }
        ["commands", peer, what, callers, seconds, server, connections] => {
            let work = Work { what: what.parse()?, callers: number(callers)?, seconds: number(seconds)? };
            println!("{}", commands(peer, work, server, number(connections)?)?);
        }
        ["loss", peer, events, delay, server] => {
            println!("{}", loss::run(peer, number(events)?, number(delay)?, server)?);
        }
        _ => bail!("usage: potter-bench-peers append … | commands … | loss …, see src/main.rs"),
    }
    Ok(())
}

fn number<N: std::str::FromStr>(text: &str) -> anyhow::Result<N> {
    text.parse().ok().with_context(|| format!("not a number: {text}"))
}

#[tokio::main]
async fn commands(peer: &str, work: Work, server: &str, connections: u32) -> anyhow::Result<Summary> {
    let database = Database::make(server).await?;
    let dsn = database.dsn();
    let summary = match peer {
        "postgres-es" => shop::run(shops::postgres_es::open(dsn, connections).await?, work, &database).await?,
        "esrs" => shop::run(shops::esrs::open(dsn, connections).await?, work, &database).await?,
        "evento" => shop::run(shops::evento::open(dsn, connections).await?, work, &database).await?,
        "disintegrate" => shop::run(shops::disintegrate::open(dsn, connections).await?, work, &database).await?,
        other => bail!("unknown peer: {other}"),
    };
    database.discard().await?;
    Ok(summary)
}
