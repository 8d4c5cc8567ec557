//! What is counted. Names begin with `potter_`; every series has the labels `module` and `name`,
//! but for those of guards, which have `part` instead.
//!
//! | metric | kind | further labels | counts |
//! |---|---|---|---|
//! | `potter_commands_total` | counter | `outcome` | executed, accepted and failed commands, by stable name |
//! | `potter_command_duration_seconds` | histogram | | from request to reply |
//! | `potter_queries_total` | counter | `outcome` | queries, by rpc |
//! | `potter_query_duration_seconds` | histogram | | from request to reply |
//! | `potter_query_cache_total` | counter | `result` | look-ups: `hit`, `miss` |
//! | `potter_errors_total` | counter | `code` | failed commands and queries, by stable error code |
//! | `potter_events_total` | counter | | recorded events, by stored type |
//! | `potter_pending_commands` | gauge | | accepted commands without an outcome; `name` is empty |
//! | `potter_worker_retries_total` | counter | | accepted commands tried again after a failure |
//! | `potter_worker_failures_total` | counter | | accepted commands that failed for good |
//! | `potter_projection_lag_events` | gauge | | events that a read model hasn't seen yet |
//! | `potter_projection_events_total` | counter | | events that a read model has taken in |
//! | `potter_projection_parked_events` | gauge | | events that a read model could not take in |
//! | `potter_guarded_call_duration_seconds` | histogram | `part` | calls to the database or broker, through its guard |
//! | `potter_guarded_call_outages_total` | counter | `part` | calls that found it out of reach |
//! | `potter_guarded_call_retries_total` | counter | `part` | calls made again |
//! | `potter_guarded_call_rejections_total` | counter | `part` | calls not made because the circuit was open |
//!
//! Handles are made once, when a module starts; whoever wants them counted installs the recorder before that.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::dispatch::Reply;
use crate::failure::{Failure, FailureKind};

/// How a request went: the label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    Ok,
    Replayed,
    Accepted,
    Invalid,
    Refused,
    Conflict,
    Unavailable,
    Bug,
}

/// All of them, in the order of the enum, with what they are called.
const OUTCOMES: [&str; 8] = ["ok", "replayed", "accepted", "invalid", "refused", "conflict", "unavailable", "bug"];

impl From<&Failure> for Went {
    fn from(failure: &Failure) -> Self {
        match failure.kind {
            FailureKind::Invalid => Self::Invalid,
            FailureKind::Refused => Self::Refused,
            FailureKind::Conflict => Self::Conflict,
            FailureKind::Unavailable => Self::Unavailable,
            FailureKind::Bug => Self::Bug,
        }
    }
}

/// An error, by its code; there are as many series as a module has codes that occur.
fn failed(module: &'static str, name: &'static str, failure: &Failure) {
    let code = failure.code.clone();
    counter!("potter_errors_total", "module" => module, "name" => name, "code" => code).increment(1);
}

/// What is counted of one command.
pub(crate) struct CommandMeter {
    module: &'static str,
    name: &'static str,
    outcomes: [Counter; OUTCOMES.len()],
    duration: Histogram,
}

impl CommandMeter {
    pub fn new(module: &'static str, name: &'static str) -> Self {
        Self {
            module,
            name,
            outcomes: OUTCOMES.map(
                |outcome| counter!("potter_commands_total", "module" => module, "name" => name, "outcome" => outcome),
            ),
            duration: histogram!("potter_command_duration_seconds", "module" => module, "name" => name),
        }
    }

    /// A command was executed, or was not.
    pub fn answered(&self, began: Instant, result: &Result<Reply, Failure>) {
        self.count(began, Went::Ok, result);
    }

    /// A command was stored for the workers, or was not.
    pub fn accepted(&self, began: Instant, result: &Result<Reply, Failure>) {
        self.count(began, Went::Accepted, result);
    }

    /// A request didn't get as far as the command.
    pub fn turned_away(&self, began: Instant, failure: &Failure) {
        failed(self.module, self.name, failure);
        self.note(began, failure.into());
    }

    fn count(&self, began: Instant, success: Went, result: &Result<Reply, Failure>) {
        let went = match result {
            Ok(reply) if reply.replayed => Went::Replayed,
            Ok(_) => success,
            Err(failure) => return self.turned_away(began, failure),
        };
        self.note(began, went);
    }

    fn note(&self, began: Instant, went: Went) {
        self.outcomes[went as usize].increment(1);
        self.duration.record(began.elapsed());
    }
}

/// What is counted of one query.
pub(crate) struct QueryMeter {
    module: &'static str,
    name: &'static str,
    outcomes: [Counter; OUTCOMES.len()],
    duration: Histogram,
    hits: Counter,
    misses: Counter,
}

impl QueryMeter {
    pub fn new(module: &'static str, name: &'static str) -> Self {
        let looked_up =
            |result| counter!("potter_query_cache_total", "module" => module, "name" => name, "result" => result);
        Self {
            module,
            name,
            outcomes: OUTCOMES.map(
                |outcome| counter!("potter_queries_total", "module" => module, "name" => name, "outcome" => outcome),
            ),
            duration: histogram!("potter_query_duration_seconds", "module" => module, "name" => name),
            hits: looked_up("hit"),
            misses: looked_up("miss"),
        }
    }

    /// A query was answered, or was not.
    pub fn answered(&self, began: Instant, result: &Result<Bytes, Failure>) {
        match result {
            Ok(_) => self.note(began, Went::Ok),
            Err(failure) => self.turned_away(began, failure),
        }
    }

    /// A request didn't get as far as the query.
    pub fn turned_away(&self, began: Instant, failure: &Failure) {
        failed(self.module, self.name, failure);
        self.note(began, failure.into());
    }

    fn note(&self, began: Instant, went: Went) {
        self.outcomes[went as usize].increment(1);
        self.duration.record(began.elapsed());
    }

    /// A result was looked up in the cache.
    pub fn looked_up(&self, hit: bool) {
        if hit { self.hits.increment(1) } else { self.misses.increment(1) }
    }
}

/// What is counted of recorded events, by stored type.
pub(crate) struct EventMeter {
    counters: HashMap<&'static str, Counter>,
}

impl EventMeter {
    pub fn new(module: &'static str, event_types: impl Iterator<Item = &'static str>) -> Self {
        let counter = |name| (name, counter!("potter_events_total", "module" => module, "name" => name));
        Self { counters: event_types.map(counter).collect() }
    }

    /// An event was recorded.
    pub fn recorded(&self, event_type: &str) {
        if let Some(counter) = self.counters.get(event_type) {
            counter.increment(1);
        }
    }
}

/// What is counted of one projection.
pub(crate) struct ProjectionMeter {
    pub lag: Gauge,
    pub events: Counter,
    pub parked: Gauge,
}

impl ProjectionMeter {
    pub fn new(module: &'static str, name: &'static str) -> Self {
        Self {
            lag: gauge!("potter_projection_lag_events", "module" => module, "name" => name),
            events: counter!("potter_projection_events_total", "module" => module, "name" => name),
            parked: gauge!("potter_projection_parked_events", "module" => module, "name" => name),
        }
    }
}

/// An accepted command is tried again.
pub(crate) fn worker_retries(module: &'static str, command: &str) {
    counter!("potter_worker_retries_total", "module" => module, "name" => command.to_owned()).increment(1);
}

/// An accepted command has failed for good.
pub(crate) fn worker_failures(module: &'static str, command: &str) {
    counter!("potter_worker_failures_total", "module" => module, "name" => command.to_owned()).increment(1);
}

/// The number of accepted commands without an outcome.
pub(crate) fn pending_commands(module: &'static str) -> Gauge {
    gauge!("potter_pending_commands", "module" => module, "name" => "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_label() {
        let labels = [
            (Went::Ok, "ok"),
            (Went::Replayed, "replayed"),
            (Went::Accepted, "accepted"),
            (Went::Invalid, "invalid"),
            (Went::Refused, "refused"),
            (Went::Conflict, "conflict"),
            (Went::Unavailable, "unavailable"),
            (Went::Bug, "bug"),
        ];
        for (went, label) in labels {
            assert_eq!(OUTCOMES[went as usize], label, "{went:?}");
        }
        assert_eq!(labels.len(), OUTCOMES.len());
    }
}
