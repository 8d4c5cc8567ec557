//! What is counted of messages; every series has the labels `module` and `name`.
//!
//! | metric | kind | counts |
//! |---|---|---|
//! | `potter_outgoing_lag` | gauge | events and outcomes that have not been published yet; `name` is empty |
//! | `potter_published_total` | counter | published messages: `name` is `events` or `outcomes` |
//! | `potter_publish_failures_total` | counter | tries that failed, `name` as above |
//! | `potter_publish_delay_seconds` | histogram | from the acceptance of the command to the broker's word for its event |
//! | `potter_broker_commands_total` | counter | commands by what became of them: `accepted`, `repeated`, `refused` |

use std::time::SystemTime;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

pub(crate) struct Meter {
    pub lag: Gauge,
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
            lag: gauge!("potter_outgoing_lag", "module" => module, "name" => ""),
            events: kind("events"),
            outcomes: kind("outcomes"),
            accepted: commands("accepted"),
            repeated: commands("repeated"),
            refused: commands("refused"),
            delay: histogram!("potter_publish_delay_seconds", "module" => module, "name" => "events"),
        }
    }

    /// The broker has an event that was recorded at that time.
    pub fn delayed(&self, recorded_at: SystemTime) {
        if let Ok(delay) = recorded_at.elapsed() {
            self.delay.record(delay);
        }
    }
}
