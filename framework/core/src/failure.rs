//! How things go wrong, told once for all transports.

use std::borrow::Cow;

use crate::domain::{DomainError, Invalid};
use crate::flood::Flood;
use crate::store::StoreError;

/// The five kinds of failure; each transport maps them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The request is wrong; sending it again won't help.
    Invalid,
    /// The domain says no.
    Refused,
    /// Somebody else was first.
    Conflict,
    /// Not now; trying again may help.
    Unavailable,
    /// Our fault; the details are logged, never returned.
    Bug,
}

impl FailureKind {
    /// What the kind is called beside a failure on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Bug => "bug",
        }
    }
}

/// Codes that the framework itself uses; others come from error events.
pub mod codes {
    /// A request that isn't valid; the violations say where.
    pub const INVALID_REQUEST: &str = "INVALID_REQUEST";
    /// No such aggregate or row. Kind: refused.
    pub const NOT_FOUND: &str = "NOT_FOUND";
    /// A command that creates found its stream already there. Kind: conflict.
    pub const ALREADY_EXISTS: &str = "ALREADY_EXISTS";
    /// The expected version is not the actual one. Kind: conflict.
    pub const VERSION_MISMATCH: &str = "VERSION_MISMATCH";
    /// Too many others wrote to the same aggregate. Kind: conflict, retryable.
    pub const CONTENTION: &str = "CONTENTION";
    /// The idempotency key was used with another request. Kind: conflict.
    pub const IDEMPOTENCY_KEY_REUSED: &str = "IDEMPOTENCY_KEY_REUSED";
    /// A message was to be replayed before an earlier one of its stream. Kind: conflict.
    pub const OUT_OF_ORDER: &str = "OUT_OF_ORDER";
    /// Nobody has written this rule or query yet. Kind: refused.
    pub const UNIMPLEMENTED: &str = "UNIMPLEMENTED";
    /// The deadline passed. Kind: unavailable.
    pub const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
    /// Shutting down, store out of reach, queue full. Kind: unavailable.
    pub const UNAVAILABLE: &str = "UNAVAILABLE";
    /// A bug. Kind: bug.
    pub const INTERNAL: &str = "INTERNAL";
}

/// A failed command or query.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// Which of the five kinds.
    pub kind: FailureKind,
    /// Stable, for programs: one of [`codes`] or an error event's.
    pub code: Cow<'static, str>,
    /// For people; lowercase, no internals.
    pub message: String,
    /// Whether sending the same again may succeed.
    pub retryable: bool,
    /// What is wrong where, for invalid requests.
    pub violations: Vec<FieldViolation>,
    /// The error event's full name and protobuf bytes, for refusals by the domain; boxed, because every result of a
    /// handler has room for a failure.
    pub event: Option<Box<(String, Vec<u8>)>>,
}

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field: `items[2].price`.
    pub field: String,
    /// The rule: `string.min_len`.
    pub rule: String,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure with nothing but kind, code and message.
    fn plain(kind: FailureKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let retryable = kind == FailureKind::Unavailable;
        Self { kind, code: code.into(), message: message.into(), retryable, violations: Vec::new(), event: None }
    }

    /// The request is wrong at one field.
    ///
    /// ```
    /// let failure = potter_core::failure::Failure::invalid("page_size", "must not be negative");
    /// assert_eq!(failure.violations[0].field, "page_size");
    /// ```
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::violations(vec![FieldViolation { field, rule: "request".to_owned(), message }])
    }

    /// The request is wrong at these fields.
    #[must_use]
    pub fn violations(violations: Vec<FieldViolation>) -> Self {
        let message = match violations.as_slice() {
            [only] if only.field.is_empty() => only.message.clone(),
            [only] => format!("`{}` {}", only.field, only.message),
            several => format!("{} fields are not valid", several.len()),
        };
        Self { violations, ..Self::plain(FailureKind::Invalid, codes::INVALID_REQUEST, message) }
    }

    /// The request as a whole cannot be read.
    #[must_use]
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::plain(FailureKind::Invalid, codes::INVALID_REQUEST, message)
    }

    /// There is no such thing: `Failure::not_found("product", &query.id)`.
    #[must_use]
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::plain(FailureKind::Refused, codes::NOT_FOUND, format!("no {what} `{id}`"))
    }

    /// The domain says no.
    #[must_use]
    pub fn refused(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::plain(FailureKind::Refused, code, message)
    }

    /// Nobody has written this rule or query yet.
    #[must_use]
    pub fn unimplemented(what: &str) -> Self {
        Self::plain(FailureKind::Refused, codes::UNIMPLEMENTED, format!("`{what}` is not implemented yet"))
    }

    /// Somebody else was first.
    #[must_use]
    pub fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::plain(FailureKind::Conflict, code, message)
    }

    /// Not now; trying again may help.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::plain(FailureKind::Unavailable, codes::UNAVAILABLE, message)
    }

    /// The deadline passed.
    #[must_use]
    pub fn deadline_exceeded() -> Self {
        Self::plain(FailureKind::Unavailable, codes::DEADLINE_EXCEEDED, "the deadline passed")
    }

    /// Our fault. The caller learns nothing but that; `details` go to the log, where the span has the correlation id.
    #[must_use]
    pub fn bug(details: &(impl std::fmt::Display + ?Sized)) -> Self {
        tracing::error!(%details, "a bug");
        Self::plain(FailureKind::Bug, codes::INTERNAL, "internal error")
    }

    /// The same failure, said to be worth trying again.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }
}

impl From<&dyn DomainError> for Failure {
    fn from(error: &dyn DomainError) -> Self {
        let refusal = error.refusal();
        Self {
            retryable: refusal.retryable,
            event: refusal.event.map(|(name, payload)| Box::new((name.to_owned(), payload))),
            ..Self::refused(refusal.code, error.to_string())
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let Invalid { field, rule, message } = invalid;
        Self::violations(vec![FieldViolation {
            field: field.to_owned(),
            rule: rule.to_owned(),
            message: message.to_owned(),
        }])
    }
}

/// Requests that failed because the store did.
static STORE_FAILED: Flood = Flood::new();

/// A database that fails may work again in a moment; what the driver says stays in the log.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match STORE_FAILED.admits(error.operation) {
            Some(left_out) => tracing::error!(%error, left_out, "the store failed"),
            None => tracing::debug!(%error, "the store failed"),
        }
        Self::unavailable("the store is out of reach")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_violation_is_told_in_the_message() {
        let failure = Failure::invalid("price", "must be positive");
        assert_eq!(failure.message, "`price` must be positive");
        assert_eq!(failure.kind, FailureKind::Invalid);
    }

    #[test]
    fn internals_stay_in_the_log() {
        let error = StoreError { operation: "commit", source: "disk on fire".into() };
        let failure = Failure::from(error);
        assert!(!failure.to_string().contains("fire"), "{failure}");
        assert!(failure.retryable);
        assert!(!Failure::bug("secret").to_string().contains("secret"));
    }
}
