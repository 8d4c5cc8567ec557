//! What the store is told: where it is, what it is given when it is ill, how long it keeps things.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use potter_core::resilience::Limits;
use potter_core::store::Retention;

use super::reader::{COUNT, LimitNames, Reader, parse};
use super::{Variable, variable};

/// Where everything is stored. It is shown without passwords.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// In this process; nothing survives it.
    Memory,
    /// In a SQLite file: the whole DSN.
    Sqlite(String),
    /// In a PostgreSQL database: the whole DSN.
    Postgres(String),
}

/// What `DATABASE_DSN` is when nobody sets it.
pub(crate) const DEFAULT: &str = "sqlite://data.db";

pub(super) const VARIABLES: &[Variable] = &[
    variable(
        "DATABASE_DSN",
        DEFAULT,
        "sqlite://PATH, postgres://USER:PASSWORD@HOST/DATABASE, or memory:// to keep nothing",
    ),
    variable("DATABASE_TIMEOUT_MS", "5000", "how long a call to postgres or redis may take, all attempts together"),
    variable("DATABASE_ATTEMPTS", "3", "how often a read is tried before the database counts as out of reach"),
    variable("DATABASE_CONCURRENCY", "512", "reads that run at the same time; others wait for their turn"),
    variable("DATABASE_BREAKER_OUTAGES", "5", "after so many outages in a row calls fail at once"),
    variable("DATABASE_BREAKER_MS", "1000", "how long they do before one is let through to try"),
    variable("IDEMPOTENCY_KEPT_HOURS", "48", "how long a repeat under an idempotency key gets the recorded reply"),
    variable(
        "PROCESSED_EVENTS_KEPT_DAYS",
        "30",
        "how long the effects of other modules' events are remembered one by one",
    ),
    variable("OUTCOMES_KEPT_DAYS", "7", "how long the outcome of an asynchronous command can be asked for"),
    variable(
        "DEAD_LETTERS_KEPT_DAYS",
        "",
        "how long dead letters are kept; without it until they are replayed or discarded",
    ),
];

const LIMITS: LimitNames = LimitNames {
    timeout: "DATABASE_TIMEOUT_MS",
    attempts: "DATABASE_ATTEMPTS",
    outages: "DATABASE_BREAKER_OUTAGES",
    open_for: "DATABASE_BREAKER_MS",
    concurrency: "DATABASE_CONCURRENCY",
};

impl Reader<'_> {
    pub(super) fn database(&mut self, default: &str) -> Database {
        let dsn = self.raw("DATABASE_DSN").unwrap_or_else(|| default.to_owned());
        match database(&dsn) {
            Ok(database) => database,
            Err(expected) => {
                self.problem(format!("DATABASE_DSN={}", without_secrets(&dsn)), expected);
                Database::Memory
            }
        }
    }

    pub(super) fn database_limits(&mut self) -> Limits {
        self.limits(&LIMITS, Limits::default())
    }

    pub(super) fn retention(&mut self) -> Retention {
        const HOUR: u32 = 60 * 60;
        let usual = Retention::default();
        let mut kept = |name, unit: u32| {
            let number: Option<NonZeroU32> = self.get(name, COUNT, parse);
            number.map(|number| Duration::from_secs(u64::from(number.get()) * u64::from(unit)))
        };
        Retention {
            claims: kept("IDEMPOTENCY_KEPT_HOURS", HOUR).unwrap_or(usual.claims),
            processed: kept("PROCESSED_EVENTS_KEPT_DAYS", 24 * HOUR).unwrap_or(usual.processed),
            outcomes: kept("OUTCOMES_KEPT_DAYS", 24 * HOUR).unwrap_or(usual.outcomes),
            dead_letters: kept("DEAD_LETTERS_KEPT_DAYS", 24 * HOUR),
        }
    }
}

pub(super) fn database(dsn: &str) -> Result<Database, String> {
    match dsn.split_once(':').map_or(dsn, |(scheme, _)| scheme) {
        "memory" => Ok(Database::Memory),
        "sqlite" if cfg!(feature = "sqlite") => Ok(Database::Sqlite(dsn.to_owned())),
        "sqlite" => Err("this service was built without the feature `sqlite` of potter".to_owned()),
        "postgres" | "postgresql" => postgres(dsn),
        "mysql" | "mariadb" | "mongodb" | "mongodb+srv" => Err(format!(
            "this version has the stores sqlite, postgres and memory: {DEFAULT}, or postgres://USER:PASSWORD@HOST/DATABASE"
        )),
        _ => Err(format!("expected `sqlite://PATH`, `postgres://…` or `memory://`, for example {DEFAULT}")),
    }
}

#[cfg(feature = "postgres")]
fn postgres(dsn: &str) -> Result<Database, String> {
    potter_postgres::check(dsn)?;
    Ok(Database::Postgres(dsn.to_owned()))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &str) -> Result<Database, String> {
    Err("this service was built without the feature `postgres` of potter".to_owned())
}

/// A DSN without its user and password.
fn without_secrets(dsn: &str) -> String {
    let (place, parameters) = dsn.split_once('?').unwrap_or((dsn, ""));
    let place = match (place.split_once("://"), place.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://…@{place}"),
        _ => place.to_owned(),
    };
    let shown: Vec<_> = parameters.split('&').filter(|it| !it.is_empty() && !it.starts_with("password")).collect();
    if shown.is_empty() { place } else { format!("{place}?{}", shown.join("&")) }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::Sqlite(dsn) => f.write_str(dsn),
            Self::Postgres(dsn) => f.write_str(&without_secrets(dsn)),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
