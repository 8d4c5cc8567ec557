//! Messages that could not be taken in, kept until a person decides.

use std::time::SystemTime;

use bytes::Bytes;
use prost::Message;
use prost_types::Timestamp;
use uuid::Uuid;

/// A message that could not be taken in.
///
/// Until it is replayed or discarded, later messages of the same source and key wait behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// UUIDv7.
    pub id: Uuid,
    /// Who could not take it in: the name of a subscription, or `commands`.
    pub source: String,
    /// What waits behind it: the stream that the message is of; empty: nothing.
    pub key: String,
    /// The message's own id; with `source` unique.
    pub message_id: String,
    /// Where it was published.
    pub subject: String,
    /// What was said beside the payload.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub payload: Bytes,
    /// Why it could not be taken in.
    pub reason: String,
    /// What was tried, oldest first.
    pub history: Vec<DeadAttempt>,
    /// When it was given up.
    pub parked_at: SystemTime,
}

/// A try that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadAttempt {
    /// When.
    pub at: SystemTime,
    /// Why.
    pub reason: String,
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Only of that source.
    pub source: Option<String>,
    /// Only with that key.
    pub key: Option<String>,
    /// Only that one.
    pub id: Option<Uuid>,
    /// At most so many; `None`: all.
    pub limit: Option<u32>,
}

/// What a store keeps in one column: everything that nobody searches by.
#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(string, tag = "1")]
    subject: String,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<StoredHeader>,
    #[prost(bytes = "bytes", tag = "3")]
    payload: Bytes,
    #[prost(message, repeated, tag = "4")]
    history: Vec<StoredAttempt>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredHeader {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct StoredAttempt {
    #[prost(message, optional, tag = "1")]
    at: Option<Timestamp>,
    #[prost(string, tag = "2")]
    reason: String,
}

/// The attempts that are told of a letter at most; the first ones go.
const ATTEMPTS_TOLD: usize = 20;

impl DeadLetter {
    /// Notes that it was tried again, and why that failed.
    pub fn tried(&mut self, at: SystemTime, reason: String) {
        self.reason.clone_from(&reason);
        self.history.push(DeadAttempt { at, reason });
        let surplus = self.history.len().saturating_sub(ATTEMPTS_TOLD);
        self.history.drain(..surplus);
    }

    /// Subject, headers, payload and history as a store keeps them in one column.
    #[must_use]
    pub fn encode_message(&self) -> Vec<u8> {
        let header = |(name, value): &(String, String)| StoredHeader { name: name.clone(), value: value.clone() };
        let attempt = |it: &DeadAttempt| StoredAttempt { at: Some(it.at.into()), reason: it.reason.clone() };
        let stored = Stored {
            subject: self.subject.clone(),
            headers: self.headers.iter().map(header).collect(),
            payload: self.payload.clone(),
            history: self.history.iter().map(attempt).collect(),
        };
        stored.encode_to_vec()
    }

    /// The same letter with what [`DeadLetter::encode_message`] wrote.
    ///
    /// # Errors
    /// `bytes` were not written by it.
    pub fn with_message(self, bytes: Bytes) -> Result<Self, prost::DecodeError> {
        let Stored { subject, headers, payload, history } = Stored::decode(bytes)?;
        let attempt = |it: StoredAttempt| DeadAttempt {
            at: it.at.and_then(|at| at.try_into().ok()).unwrap_or(SystemTime::UNIX_EPOCH),
            reason: it.reason,
        };
        Ok(Self {
            subject,
            headers: headers.into_iter().map(|header| (header.name, header.value)).collect(),
            payload,
            history: history.into_iter().map(attempt).collect(),
            ..self
        })
    }
}

impl DeadLetterFilter {
    /// The oldest letters of a source with a key, so many at most.
    #[must_use]
    pub fn oldest(source: &str, key: &str, limit: u32) -> Self {
        Self { source: Some(source.to_owned()), key: Some(key.to_owned()), limit: Some(limit), id: None }
    }

    /// Whether a letter is meant, the limit apart.
    #[must_use]
    pub fn admits(&self, letter: &DeadLetter) -> bool {
        self.source.as_ref().is_none_or(|source| *source == letter.source)
            && self.key.as_ref().is_none_or(|key| *key == letter.key)
            && self.id.is_none_or(|id| id == letter.id)
    }
}
