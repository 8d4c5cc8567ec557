//! Failures as statuses with rich details.

use std::collections::HashMap;
use std::time::Duration;

use potter_core::failure::{Failure, FailureKind, codes};
use potter_proto::status::any;
use prost::Message;
use prost_types::Any;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::pb;

/// How long a caller should wait before it tries an unavailable service again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The status of a failed call of `module`.
pub(crate) fn of(failure: &Failure, module: &str, metadata: MetadataMap) -> Status {
    let code = code(failure);
    let status = pb::Status { code: code.into(), message: failure.message.clone(), details: details(failure, module) };
    let details = status.encode_to_vec().into();
    Status::with_details_and_metadata(code, &failure.message, details, metadata)
}

/// The one place where failures become codes.
fn code(failure: &Failure) -> Code {
    let code = failure.code.as_ref();
    match failure.kind {
        FailureKind::Invalid => Code::InvalidArgument,
        FailureKind::Refused if code == codes::NOT_FOUND => Code::NotFound,
        FailureKind::Refused if code == codes::UNIMPLEMENTED => Code::Unimplemented,
        FailureKind::Refused => Code::FailedPrecondition,
        FailureKind::Conflict if code == codes::ALREADY_EXISTS => Code::AlreadyExists,
        FailureKind::Conflict => Code::Aborted,
        FailureKind::Unavailable if code == codes::DEADLINE_EXCEEDED => Code::DeadlineExceeded,
        FailureKind::Unavailable => Code::Unavailable,
        FailureKind::Bug => Code::Internal,
    }
}

fn details(failure: &Failure, module: &str) -> Vec<Any> {
    let mut details = vec![packed("google.rpc.ErrorInfo", &error_info(failure, module))];
    if !failure.violations.is_empty() {
        details.push(packed("google.rpc.BadRequest", &bad_request(failure)));
    }
    if code(failure) == Code::Unavailable {
        let retry_delay = prost_types::Duration::try_from(RETRY_DELAY).ok();
        details.push(packed("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay }));
    }
    if let Some((name, payload)) = failure.event.as_deref() {
        details.push(any(name, payload));
    }
    details
}

fn error_info(failure: &Failure, module: &str) -> pb::ErrorInfo {
    let metadata = [("kind", failure.kind.as_str()), ("retryable", if failure.retryable { "true" } else { "false" })];
    pb::ErrorInfo {
        reason: failure.code.to_string(),
        domain: module.to_owned(),
        metadata: metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<HashMap<_, _>>(),
    }
}

fn bad_request(failure: &Failure) -> pb::BadRequest {
    let violations = failure.violations.iter().map(|violation| pb::bad_request::FieldViolation {
        field: violation.field.clone(),
        description: violation.message.clone(),
        reason: violation.rule.clone(),
        ..Default::default()
    });
    pb::BadRequest { field_violations: violations.collect() }
}

fn packed(name: &str, message: &impl Message) -> Any {
    any(name, &message.encode_to_vec())
}
