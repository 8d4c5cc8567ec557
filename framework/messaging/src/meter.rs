//! What is counted of messages; every series has the labels `module` and `name`.
//!
//! | metric | kind | counts |
//! |---|---|---|
//! | `potter_outgoing_lag` | gauge | events that have not been published yet; `name` is empty |
//! | `potter_outgoing_lag_seconds` | gauge | how long the oldest of them has waited; `name` is empty |
//! | `potter_published_total` | counter | published messages: `name` is `events` or `outcomes` |
//! | `potter_publish_failures_total` | counter | tries that failed, `name` as above |
//! | `potter_publish_delay_seconds` | histogram | from the acceptance of the command to the broker's word for its event |
//! | `potter_broker_commands_total` | counter | commands by what became of them: `accepted`, `repeated`, `refused` |
//! | `potter_subscription_events_total` | counter | events by `outcome`: `processed`, `repeated`, `set_aside` |
//! | `potter_subscription_retries_total` | counter | events tried again |
//! | `potter_subscription_duration_seconds` | histogram | from the delivery of an event to its acknowledgement |
//! | `potter_subscription_lag` | gauge | events that the broker has for the subscription, as far as it knows |
//! | `potter_dead_letters` | gauge | messages that wait for a person, by their source |
//!
//! Of the last five `name` is the subscription's, or the letters' source.

use std::time::SystemTime;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

pub(crate) struct Meter {
    module: &'static str,
    pub lag: Gauge,
    pub age: Gauge,
    pub events: Kind,
    pub outcomes: Kind,
    pub accepted: Counter,
    pub repeated: Counter,
    pub refused: Counter,
    delay: Histogram,
}

/// Messages of one kind.
pub(crate) struct Kind {
    pub published: Counter,
    pub failures: Counter,
}

impl Meter {
    pub fn new(module: &'static str) -> Self {
        let kind = |name| Kind {
            published: counter!("potter_published_total", "module" => module, "name" => name),
            failures: counter!("potter_publish_failures_total", "module" => module, "name" => name),
        };
        let commands = |name| counter!("potter_broker_commands_total", "module" => module, "name" => name);
        Self {
            module,
            lag: gauge!("potter_outgoing_lag", "module" => module, "name" => ""),
            age: gauge!("potter_outgoing_lag_seconds", "module" => module, "name" => ""),
            events: kind("events"),
            outcomes: kind("outcomes"),
            accepted: commands("accepted"),
            repeated: commands("repeated"),
            refused: commands("refused"),
            delay: histogram!("potter_publish_delay_seconds", "module" => module, "name" => "events"),
        }
    }

    /// So many messages of a source wait for a person.
    pub fn letters(&self, source: &str, count: u64) {
        gauge!("potter_dead_letters", "module" => self.module, "name" => source.to_owned()).set(count as f64);
    }

    /// So many events wait for a subscription.
    pub fn backlog(&self, subscription: &str, count: u64) {
        gauge!("potter_subscription_lag", "module" => self.module, "name" => subscription.to_owned()).set(count as f64);
    }

    /// The broker has an event that was recorded at that time.
    pub fn delayed(&self, recorded_at: SystemTime) {
        if let Ok(delay) = recorded_at.elapsed() {
            self.delay.record(delay);
        }
    }
}

/// What is counted of a subscription.
pub(crate) struct SubscriptionMeter {
    pub processed: Counter,
    pub repeated: Counter,
    pub set_aside: Counter,
    pub retries: Counter,
    pub duration: Histogram,
}

impl SubscriptionMeter {
    pub fn new(module: &'static str, name: &str) -> Self {
        let name = || name.to_owned();
        let events = |outcome| counter!("potter_subscription_events_total", "module" => module, "name" => name(), "outcome" => outcome);
        Self {
            processed: events("processed"),
            repeated: events("repeated"),
            set_aside: events("set_aside"),
            retries: counter!("potter_subscription_retries_total", "module" => module, "name" => name()),
            duration: histogram!("potter_subscription_duration_seconds", "module" => module, "name" => name()),
        }
    }
}
