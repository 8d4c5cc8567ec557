//! What the broker is told, and the messages that go over it.

use potter_core::resilience::Limits;

use super::reader::{LimitNames, Reader};
use super::{Payload, Variable, variable};

pub(super) const VARIABLES: &[Variable] = &[
    variable("NATS_URL", "", "nats://HOST:4222, several separated by commas; without it messages stay in the process"),
    variable("NATS_PAYLOAD", "protobuf", "how events and outcomes are written: protobuf or json"),
    variable("BROKER_TIMEOUT_MS", "5000", "how long a call to the broker may take, all attempts together"),
    variable(
        "BROKER_ATTEMPTS",
        "3",
        "how often a message is published in a row before the broker counts as out of reach",
    ),
    variable(
        "BROKER_CONCURRENCY",
        "1024",
        "messages that are on their way at the same time; others wait for their turn",
    ),
    variable("BROKER_BREAKER_OUTAGES", "5", "after so many outages in a row calls fail at once"),
    variable("BROKER_BREAKER_MS", "1000", "how long they do before one is let through to try"),
];

const NATS: &str = "URLs such as nats://host:4222, separated by commas";

const LIMITS: LimitNames = LimitNames {
    timeout: "BROKER_TIMEOUT_MS",
    attempts: "BROKER_ATTEMPTS",
    outages: "BROKER_BREAKER_OUTAGES",
    open_for: "BROKER_BREAKER_MS",
    concurrency: "BROKER_CONCURRENCY",
};

impl Reader<'_> {
    pub(super) fn nats_url(&mut self) -> Option<String> {
        self.secret("NATS_URL", NATS, nats_url)
    }

    pub(super) fn nats_payload(&mut self) -> Payload {
        self.get("NATS_PAYLOAD", "protobuf or json", payload).unwrap_or_default()
    }

    pub(super) fn broker_limits(&mut self) -> Limits {
        self.limits(&LIMITS, Limits { concurrency: 1024, ..Limits::default() })
    }
}

fn nats_url(value: &str) -> Option<String> {
    let is_url =
        |url: &str| ["nats://", "tls://"].iter().any(|scheme| url.starts_with(scheme) && url.len() > scheme.len());
    value.split(',').all(|url| is_url(url.trim())).then(|| value.to_owned())
}

fn payload(value: &str) -> Option<Payload> {
    match value.to_ascii_lowercase().as_str() {
        "protobuf" => Some(Payload::Protobuf),
        "json" => Some(Payload::Json),
        _ => None,
    }
}
