//! What read models are told: where they are kept, how they are filled.

use std::num::NonZeroUsize;

use super::database::{Database, database};
use super::reader::{Reader, parse};
use super::{Variable, variable};
use crate::read_models::{Places, RedisAddress};

pub(super) const VARIABLES: &[Variable] = &[
    variable(
        "READ_MODELS_STORE",
        "",
        "where read models are kept: database (beside the events), redis or postgres; or NAME=redis,NAME=postgres",
    ),
    variable("READ_MODELS_DSN", "", "postgres://… of read models that are kept in a PostgreSQL of their own"),
    variable("REDIS_ADDR", "", "HOST:6379 or redis://… of read models that are kept in Redis"),
    variable(
        "PROJECTION_BATCH",
        "",
        "events that a read model takes in at a time, in one transaction, 1 to 65536; without it as the code says, else 1000",
    ),
];

const PLACES: &str = "database, redis or postgres, for all or as NAME=redis, separated by commas";

impl Reader<'_> {
    pub(super) fn read_models(&mut self) -> Places {
        self.get("READ_MODELS_STORE", PLACES, parse).unwrap_or_default()
    }

    pub(super) fn read_models_dsn(&mut self) -> Option<Database> {
        self.secret("READ_MODELS_DSN", "postgres://…", read_models_dsn)
    }

    pub(super) fn redis_addr(&mut self) -> Option<RedisAddress> {
        self.secret("REDIS_ADDR", "HOST:6379 or redis://…", RedisAddress::parse)
    }

    pub(super) fn projection_batch(&mut self) -> Option<NonZeroUsize> {
        self.get("PROJECTION_BATCH", "a number from 1 to 65536", projection_batch)
    }
}

/// A batch is in memory as a whole, with its rows, and so is the one that is read ahead.
const LARGEST_BATCH: usize = 65_536;

fn projection_batch(value: &str) -> Option<NonZeroUsize> {
    parse(value).filter(|batch: &NonZeroUsize| batch.get() <= LARGEST_BATCH)
}

fn read_models_dsn(dsn: &str) -> Option<Database> {
    database(dsn).ok().filter(|database| matches!(database, Database::Postgres(_)))
}
