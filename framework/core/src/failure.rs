//! How things go wrong, told once for all transports.

use std::borrow::Cow;

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
    /// The error event's full name and protobuf bytes, for refusals by the domain.
    pub event: Option<(String, Vec<u8>)>,
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
