//! What travels.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What is said beside a payload.
pub type Headers = BTreeMap<String, String>;

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Where it goes: tokens separated by dots.
    pub subject: String,
    /// The same for every repeat; empty: it has none.
    pub id: String,
    /// What is said beside the payload.
    pub headers: Headers,
    /// The payload.
    pub payload: Bytes,
}

impl Message {
    /// A message without id and headers.
    #[must_use]
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), payload: payload.into(), ..Self::default() }
    }

    /// The same message under that id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The same message with a further header; one without a value is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.headers.insert(name.to_owned(), value);
        }
        self
    }

    /// The value of a header; `None` if it isn't there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The value of a header, read as a `T`; `None` if it isn't there.
    ///
    /// # Errors
    /// The header has a value that is no `T`; the error says which and what.
    pub fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let parse =
            |value: &str| value.parse().map_err(|_| format!("the header `{name}` has no valid value: `{value}`"));
        self.get(name).map(parse).transpose()
    }
}

/// Names of the headers that Potter writes and reads.
pub mod headers {
    /// Stored type of the event: `product.created`.
    pub const EVENT_TYPE: &str = "potter-event-type";
    /// Identity of the event: consumers deduplicate by it.
    pub const EVENT_ID: &str = "potter-event-id";
    /// Version of the payload's shape.
    pub const SCHEMA_VERSION: &str = "potter-schema-version";
    /// Full name of the payload's message.
    pub const MESSAGE: &str = "potter-message";
    /// Kind of the aggregate.
    pub const AGGREGATE: &str = "potter-aggregate";
    /// Identity of the aggregate.
    pub const AGGREGATE_ID: &str = "potter-aggregate-id";
    /// Place of the event in its aggregate's stream; of a reply: the aggregate's version.
    pub const VERSION: &str = "potter-version";
    /// Place of the event in its module's log.
    pub const POSITION: &str = "potter-position";
    /// Ties together everything that follows from one request.
    pub const CORRELATION_ID: &str = "x-correlation-id";
    /// What directly caused it.
    pub const CAUSATION_ID: &str = "potter-causation-id";
    /// Who.
    pub const ACTOR: &str = "potter-actor";
    /// When it was recorded, RFC 3339.
    pub const TIME: &str = "potter-time";
    /// How the payload is written: [`PROTOBUF`] or [`JSON`].
    pub const CONTENT_TYPE: &str = "content-type";
    /// Identity of an accepted command.
    pub const COMMAND_ID: &str = "potter-command-id";
    /// The version that the aggregate must have.
    pub const EXPECTED_VERSION: &str = "potter-expected-version";
    /// The position that a query must have seen.
    pub const AT_LEAST: &str = "potter-at-least";
    /// How long the caller waits, in milliseconds.
    pub const TIMEOUT_MS: &str = "potter-timeout-ms";
    /// Code of a failure; only a failed reply has it.
    pub const ERROR_CODE: &str = "potter-error-code";
    /// Kind of a failure: `invalid`, `refused`, `conflict`, `unavailable`, `bug`.
    pub const ERROR_KIND: &str = "potter-error-kind";

    /// The content type of protobuf bytes, and what holds when nothing is said.
    pub const PROTOBUF: &str = "application/protobuf";
    /// The content type of canonical proto3 JSON.
    pub const JSON: &str = "application/json";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_without_a_value_is_left_out() {
        let message = Message::new("a", "").header("x", "").header("y", "1");
        assert_eq!(message.get("x"), None);
        assert_eq!(message.parse::<u64>("y"), Ok(Some(1)));
        assert_eq!(message.parse::<u64>("x"), Ok(None));
    }

    #[test]
    fn a_header_that_cannot_be_read_is_named() {
        let message = Message::new("a", "").header("potter-version", "three");
        let error = message.parse::<u64>("potter-version").expect_err("no number");
        assert_eq!(error, "the header `potter-version` has no valid value: `three`");
    }
}
