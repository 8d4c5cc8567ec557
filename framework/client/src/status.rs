//! Reads a gRPC status: which failure it tells of, and whether the service had the request.

use std::error::Error as _;
use std::time::Duration;

use prost::Message as _;
use prost_types::Any;
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::pb;

use crate::error::{Error, ErrorEvent, Failure, FailureKind, FieldViolation};
use crate::metadata;
use crate::retry::Reach;

/// A try that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// As told to the caller.
    pub(crate) failure: Failure,
    /// Whether the service may have acted on it.
    pub(crate) reach: Reach,
    /// What the status carries that isn't a standard detail: an error event.
    events: Vec<Any>,
}

impl Failed {
    /// A failure on this side, before anything was sent.
    pub(crate) fn before_sending(failure: Failure) -> Self {
        Self { failure, reach: Reach::NotSent, events: Vec::new() }
    }

    /// A failure of which nobody knows what the service made of it.
    pub(crate) fn unknown(failure: Failure) -> Self {
        Self { failure, reach: Reach::Unknown, events: Vec::new() }
    }

    /// What the caller gets: the service's error event if there is one that `X` knows.
    pub(crate) fn into_error<X: ErrorEvent>(self) -> Error<X> {
        let event = self.events.iter().find_map(|any| decode_event(any));
        match event {
            Some(event) => Error::Refused { event, failure: Box::new(self.failure) },
            None => self.failure.into(),
        }
    }
}

/// Reads an error event; one that cannot be read is as unknown as one that this client doesn't have.
pub(crate) fn decode_event<X: ErrorEvent>(any: &Any) -> Option<X> {
    let message = full_name(any);
    X::decode(message, &any.value)
        .inspect_err(|error| tracing::warn!(message, %error, "cannot read the error event"))
        .ok()
        .flatten()
}

/// The full name of the message in `any`.
pub(crate) fn full_name(any: &Any) -> &str {
    any.type_url.rsplit('/').next().unwrap_or_default()
}

/// Reads `status`; `address` is named where the service wasn't reached.
pub(crate) fn read(status: &Status, address: &str) -> Failed {
    if status.source().is_some() {
        return broken(status, address);
    }
    let (failure, events) = answered(status);
    Failed { reach: reach(status, &failure), failure, events }
}

/// Whether an answer that could be tried again comes from the service: its own say why. A proxy that lost the service
/// on the way doesn't know what that has done.
fn reach(status: &Status, failure: &Failure) -> Reach {
    let is_potters = details(status).iter().any(|detail| full_name(detail) == "google.rpc.ErrorInfo");
    if failure.retryable && !is_potters { Reach::Unknown } else { Reach::Answered }
}

fn details(status: &Status) -> Vec<Any> {
    pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default()
}

/// A status that was made on this side: connecting, sending or receiving failed.
fn broken(status: &Status, address: &str) -> Failed {
    if in_sources::<TimeoutExpired>(status) {
        return Failed::unknown(Failure::deadline_exceeded(format!("{address} did not answer in time")));
    }
    let not_sent = in_sources::<ConnectError>(status);
    let what = if not_sent { "cannot connect to" } else { "lost the connection to" };
    let message = format!("{what} {address}: {}", root_cause(status));
    Failed {
        failure: Failure::new(FailureKind::Unavailable, "UNAVAILABLE", message).retryable(),
        reach: if not_sent { Reach::NotSent } else { Reach::Unknown },
        events: Vec::new(),
    }
}

fn in_sources<E: std::error::Error + 'static>(status: &Status) -> bool {
    sources(status).any(|error| error.is::<E>())
}

fn root_cause(status: &Status) -> String {
    sources(status).last().map_or_else(|| status.message().to_owned(), ToString::to_string)
}

fn sources(status: &Status) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(status.source(), |&error| error.source())
}

/// A status that the service (or something between) answered with.
fn answered(status: &Status) -> (Failure, Vec<Any>) {
    let mut failure = Failure::new(kind_of(status.code()), &code_name(status.code()), status.message());
    failure.retryable = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
    failure.correlation_id = metadata::read(status.metadata(), metadata::CORRELATION_ID);
    let events = details(status).into_iter().filter(|detail| !apply_detail(&mut failure, detail)).collect();
    (failure, events)
}

/// Takes in a standard detail; `false`: it isn't one.
fn apply_detail(failure: &mut Failure, detail: &Any) -> bool {
    let payload = detail.value.as_slice();
    match full_name(detail) {
        "google.rpc.ErrorInfo" => pb::ErrorInfo::decode(payload).map(|info| apply_info(failure, info)).is_ok(),
        "google.rpc.BadRequest" => pb::BadRequest::decode(payload).map(|bad| apply_violations(failure, bad)).is_ok(),
        "google.rpc.RetryInfo" => pb::RetryInfo::decode(payload).map(|retry| apply_delay(failure, retry)).is_ok(),
        other => other.starts_with("google.rpc."),
    }
}

fn apply_info(failure: &mut Failure, info: pb::ErrorInfo) {
    failure.code = info.reason;
    if let Some(kind) = info.metadata.get("kind").and_then(|kind| kind_named(kind)) {
        failure.kind = kind;
    }
    if let Some(retryable) = info.metadata.get("retryable").and_then(|it| it.parse().ok()) {
        failure.retryable = retryable;
    }
}

fn apply_violations(failure: &mut Failure, bad: pb::BadRequest) {
    failure.violations = bad
        .field_violations
        .into_iter()
        .map(|it| FieldViolation { field: it.field, rule: it.reason, message: it.description })
        .collect();
}

fn apply_delay(failure: &mut Failure, retry: pb::RetryInfo) {
    failure.retry_after = retry.retry_delay.and_then(|delay| Duration::try_from(delay).ok());
}

fn kind_named(name: &str) -> Option<FailureKind> {
    Some(match name {
        "invalid" => FailureKind::Invalid,
        "refused" => FailureKind::Refused,
        "conflict" => FailureKind::Conflict,
        "unavailable" => FailureKind::Unavailable,
        "bug" => FailureKind::Bug,
        _ => return None,
    })
}

/// The kind that a bare status code stands for, as something other than a Potter service may send.
fn kind_of(code: Code) -> FailureKind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => FailureKind::Invalid,
        Code::FailedPrecondition
        | Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => FailureKind::Refused,
        Code::Aborted | Code::AlreadyExists => FailureKind::Conflict,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled => {
            FailureKind::Unavailable
        }
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => FailureKind::Bug,
    }
}

/// `NotFound` → `NOT_FOUND`
fn code_name(code: Code) -> String {
    let name = format!("{code:?}");
    let mut upper = String::with_capacity(name.len() + 2);
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            upper.push('_');
        }
        upper.push(letter.to_ascii_uppercase());
    }
    upper
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "http://shop:50051";

    fn detail(name: &str, message: &impl prost::Message) -> Any {
        Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
    }

    fn status(code: Code, message: &str, details: Vec<Any>) -> Status {
        let rich = pb::Status { code: code as i32, message: message.to_owned(), details };
        Status::with_details(code, message, rich.encode_to_vec().into())
    }

    fn info(code: &str, kind: &str, retryable: &str) -> Any {
        let metadata = [("kind", kind), ("retryable", retryable)].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        detail("google.rpc.ErrorInfo", &pb::ErrorInfo { reason: code.into(), domain: "product".into(), metadata })
    }

    #[test]
    fn details_tell_code_kind_and_retryability() {
        let status = status(Code::Aborted, "too many writers", vec![info("CONTENTION", "conflict", "true")]);
        let failed = read(&status, ADDRESS);
        assert_eq!(failed.reach, Reach::Answered);
        assert_eq!(failed.failure.code, "CONTENTION");
        assert_eq!(failed.failure.kind, FailureKind::Conflict);
        assert!(failed.failure.retryable);
        assert_eq!(failed.failure.message, "too many writers");
    }

    #[test]
    fn violations_name_field_and_rule() {
        let bad = pb::BadRequest {
            field_violations: vec![pb::bad_request::FieldViolation {
                field: "price".into(),
                description: "must be at least 0".into(),
                reason: "double.gte".into(),
                ..Default::default()
            }],
        };
        let details = vec![info("INVALID_REQUEST", "invalid", "false"), detail("google.rpc.BadRequest", &bad)];
        let failure = read(&status(Code::InvalidArgument, "", details), ADDRESS).failure;
        let expected =
            FieldViolation { field: "price".into(), rule: "double.gte".into(), message: "must be at least 0".into() };
        assert_eq!(failure.violations, [expected]);
    }

    #[test]
    fn the_delay_that_the_service_asks_for_is_read() {
        let retry = pb::RetryInfo { retry_delay: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }) };
        let details = vec![info("UNAVAILABLE", "unavailable", "true"), detail("google.rpc.RetryInfo", &retry)];
        let failure = read(&status(Code::Unavailable, "", details), ADDRESS).failure;
        assert_eq!(failure.retry_after, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_bare_status_is_understood_by_its_code() {
        let failure = read(&Status::not_found("no such method"), ADDRESS).failure;
        assert_eq!((failure.code.as_str(), failure.kind), ("NOT_FOUND", FailureKind::Refused));
        let failed = read(&Status::unavailable("no upstream"), ADDRESS);
        assert!(failed.failure.retryable);
        assert_eq!(failed.reach, Reach::Unknown, "whoever is between doesn't know what the service did");
    }

    #[test]
    fn unreadable_details_are_passed_over() {
        let status = Status::with_details(Code::Internal, "oops", vec![0xff, 0xff].into());
        assert_eq!(read(&status, ADDRESS).failure.message, "oops");
    }

    #[test]
    fn a_status_with_a_source_was_made_on_this_side() {
        let failed = read(&Status::from_error(Box::new(ConnectError("refused".into()))), ADDRESS);
        assert_eq!(failed.reach, Reach::NotSent);
        assert!(failed.failure.message.contains(ADDRESS), "{}", failed.failure);
        let failed = read(&Status::from_error("connection reset".into()), ADDRESS);
        assert_eq!(failed.reach, Reach::Unknown);
        assert_eq!(failed.failure.kind, FailureKind::Unavailable);
    }

    #[test]
    fn code_names_are_those_of_the_grpc_specification() {
        assert_eq!(code_name(Code::DeadlineExceeded), "DEADLINE_EXCEEDED");
        assert_eq!(code_name(Code::Ok), "OK");
    }
}
