//! Puts messages and errors into each other's words.

use async_nats::client::RequestErrorKind;
use async_nats::header::{HeaderMap, NATS_MESSAGE_ID};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::{RequestError, Subject};
use potter_broker::{BrokerError, BrokerErrorKind, Message};

/// A header of NATS's own; none of ours begins like that.
const OWN: &str = "Nats-";

pub(crate) fn headers_of(message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !message.id.is_empty() {
        headers.insert(NATS_MESSAGE_ID, one_line(&message.id));
    }
    for (name, value) in &message.headers {
        headers.insert(name.as_str(), one_line(value));
    }
    headers
}

/// A line break would end the header.
fn one_line(value: &str) -> String {
    value.replace(['\r', '\n'], " ")
}

pub(crate) fn message_of(message: async_nats::Message) -> Message {
    let mut read = Message::new(message.subject.as_str(), message.payload);
    let headers = message.headers.unwrap_or_default();
    for (name, values) in headers.iter() {
        let (name, value) = (name.to_string(), values.first().map(ToString::to_string).unwrap_or_default());
        if name == NATS_MESSAGE_ID.to_string() {
            read.id = value;
        } else if !name.starts_with(OWN) {
            read.headers.insert(name, value);
        }
    }
    read
}

/// A subject that can be sent to; a pattern cannot.
pub(crate) fn subject_of(subject: &str) -> Result<Subject, BrokerError> {
    let bad = |token: &str| token.is_empty() || token.contains(['*', '>']) || token.contains(char::is_whitespace);
    if subject.split('.').any(bad) {
        return Err(BrokerError::new(BrokerErrorKind::Refused, format!("`{subject}` is no subject")));
    }
    Ok(Subject::from(subject))
}

pub(crate) fn publish_failure(subject: &str, error: &PublishError) -> BrokerError {
    let kind = match error.kind() {
        PublishErrorKind::StreamNotFound => BrokerErrorKind::NoChannel,
        // A broken pipe ends the wait for the acknowledgement: the message may have gone before.
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => BrokerErrorKind::TimedOut,
        PublishErrorKind::MaxAckPending => BrokerErrorKind::Unreachable,
        PublishErrorKind::MaxPayloadExceeded => BrokerErrorKind::TooLarge,
        _ if is_too_large_for_the_stream(error) => BrokerErrorKind::TooLarge,
        _ => BrokerErrorKind::Refused,
    };
    BrokerError::new(kind, format!("cannot publish on `{subject}`: {error}"))
}

/// Streams may have a limit of their own, below the server's.
fn is_too_large_for_the_stream(error: &PublishError) -> bool {
    let told =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    let too_large = [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
    told.is_some_and(|told| too_large.contains(&told.error_code()))
}

pub(crate) fn request_failure(subject: &str, error: &RequestError) -> BrokerError {
    match error.kind() {
        RequestErrorKind::NoResponders => {
            BrokerError::new(BrokerErrorKind::NobodyServes, format!("nobody serves `{subject}`"))
        }
        RequestErrorKind::TimedOut => {
            BrokerError::new(BrokerErrorKind::TimedOut, format!("`{subject}` was not answered in time"))
        }
        _ => BrokerError::new(BrokerErrorKind::Unreachable, format!("cannot ask `{subject}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_does_not_end_a_header() {
        let message = Message::new("a", "").id("1").header("potter-actor", "ada\r\nevil: 1");
        let headers = headers_of(&message);
        assert_eq!(headers.get("potter-actor").map(ToString::to_string).as_deref(), Some("ada  evil: 1"));
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_pattern_is_no_subject() {
        for bad in ["", "a..b", "a.*", "a.>", "a b", "a.b\n"] {
            assert!(subject_of(bad).is_err(), "{bad}");
        }
        assert!(subject_of("a.b%20c").is_ok());
    }
}
