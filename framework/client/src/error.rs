//! How calls fail.

use std::fmt;
use std::time::Duration;

use potter_proto::runtime::v1;
use prost::DecodeError;

/// A failed call; `X` is the generated enum of the service's error events.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error<X> {
    /// The service's rules said no, with an error event.
    Refused {
        /// The error event.
        event: X,
        /// The rest of what the service said.
        failure: Box<Failure>,
    },
    /// Everything else.
    Failed(Box<Failure>),
}

/// What is known of every failed call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct Failure {
    /// Which of the five kinds.
    pub kind: FailureKind,
    /// Stable, for programs: `NOT_FOUND`, `VERSION_MISMATCH`, an error event's code, …
    ///
    /// Two are of this side: `DEADLINE_EXCEEDED`, when there was no answer in time and nobody knows what became of the
    /// call; and `NOT_SENT`, when a command certainly never left for its broker.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether sending the same again may succeed.
    pub retryable: bool,
    /// How long the service asks to wait before that.
    pub retry_after: Option<Duration>,
    /// What is wrong where, for invalid requests.
    pub violations: Vec<FieldViolation>,
    /// Finds the call in the service's logs.
    pub correlation_id: Option<String>,
}

/// The five kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The request is wrong; sending it again won't help.
    Invalid,
    /// The rules say no.
    Refused,
    /// Somebody else was first.
    Conflict,
    /// Not now, or not reached; trying again may help.
    Unavailable,
    /// A bug, of the service or of this client.
    Bug,
}

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldViolation {
    /// Path of the field: `items[2].price`.
    pub field: String,
    /// The rule: `string.min_len`.
    pub rule: String,
    /// For people.
    pub message: String,
}

impl From<v1::FieldViolation> for FieldViolation {
    fn from(v1::FieldViolation { field, rule, message }: v1::FieldViolation) -> Self {
        Self { field, rule, message }
    }
}

/// The error events of a service: a generated enum.
pub trait ErrorEvent: fmt::Debug + Send + Sync + Sized + 'static {
    /// Reads the error event `payload`, a message with the full name `message`; `None`: not one of these.
    ///
    /// # Errors
    /// `payload` isn't such a message.
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError>;
}

/// Stands for the error events of a service that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoErrorEvent {}

impl ErrorEvent for NoErrorEvent {
    fn decode(_message: &str, _payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(None)
    }
}

impl<X> Error<X> {
    /// The error event, if the service's rules said no with one that this client knows.
    pub fn event(&self) -> Option<&X> {
        match self {
            Self::Refused { event, .. } => Some(event),
            Self::Failed(_) => None,
        }
    }

    /// What is known of every failed call.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Refused { failure, .. } | Self::Failed(failure) => failure,
        }
    }

    /// Which of the five kinds.
    pub fn kind(&self) -> FailureKind {
        self.failure().kind
    }

    /// Stable, for programs: `NOT_FOUND`, an error event's code, …
    pub fn code(&self) -> &str {
        &self.failure().code
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.failure().message
    }

    /// Whether sending the same again may succeed.
    pub fn is_retryable(&self) -> bool {
        self.failure().retryable
    }

    /// What is wrong where, for invalid requests.
    pub fn violations(&self) -> &[FieldViolation] {
        &self.failure().violations
    }
}

impl<X> fmt::Display for Error<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(f)
    }
}

impl<X: fmt::Debug> std::error::Error for Error<X> {}

impl<X> From<Failure> for Error<X> {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl Failure {
    /// The deadline passed before the service answered.
    pub(crate) fn deadline_exceeded(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, "DEADLINE_EXCEEDED", message).retryable()
    }

    /// It is certain that nothing was sent.
    #[cfg(feature = "broker")]
    pub(crate) fn not_sent(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, "NOT_SENT", message).retryable()
    }

    /// The service breaks the protocol.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Bug, "PROTOCOL", message)
    }

    pub(crate) fn new(kind: FailureKind, code: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            message: message.into(),
            retryable: false,
            retry_after: None,
            violations: Vec::new(),
            correlation_id: None,
        }
    }

    pub(crate) fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }
}
