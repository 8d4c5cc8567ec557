//! How things go wrong, as RFC 9457 problem documents.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, Method, StatusCode};
use potter_core::failure::{Failure, FailureKind, FieldViolation, codes};
use serde::Serialize;

use crate::exchange::Exchange;
use crate::messages::Messages;

/// The media type of problem documents.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Codes of what goes wrong before a request reaches its rpc; the others are in [`potter_core::failure::codes`].
pub mod http_codes {
    /// No route leads there.
    pub const ROUTE_NOT_FOUND: &str = "ROUTE_NOT_FOUND";
    /// The path has routes, but none for this method.
    pub const METHOD_NOT_ALLOWED: &str = "METHOD_NOT_ALLOWED";
    /// The request doesn't show who it comes from.
    pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    /// The body didn't arrive in time.
    pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
    /// The body is larger than configured.
    pub const BODY_TOO_LARGE: &str = "BODY_TOO_LARGE";
    /// The body isn't JSON.
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "UNSUPPORTED_MEDIA_TYPE";
}

/// A problem document on its way to the caller; boxed, because most requests have none.
#[derive(Debug)]
pub(crate) struct Problem(Box<Contents>);

#[derive(Debug)]
struct Contents {
    status: StatusCode,
    failure: Failure,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The document itself. Its type is always `about:blank`: `code` is what programs look at.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    ty: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violations: Vec<Violation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    rule: &'a str,
    message: &'a str,
}

impl Problem {
    /// A problem that HTTP itself has with a request.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let mut failure = Failure::malformed(detail);
        failure.code = Cow::Borrowed(code);
        Self::with_status(status, failure)
    }

    fn with_status(status: StatusCode, failure: Failure) -> Self {
        Self(Box::new(Contents { status, failure, headers: Vec::new() }))
    }

    /// A request whose fields are wrong.
    pub(crate) fn violations(violations: Vec<FieldViolation>) -> Self {
        let mut failure = Failure::violations(violations);
        if let [FieldViolation { field, message, .. }] = failure.violations.as_slice()
            && field.is_empty()
        {
            failure.message = format!("the body {message}");
        }
        Self::from(failure)
    }

    /// A request one of whose headers or parameters is wrong.
    pub(crate) fn invalid(field: &str, rule: &str, message: impl Into<String>) -> Self {
        let (field, rule, message) = (field.to_owned(), rule.to_owned(), message.into());
        Self::violations(vec![FieldViolation { field, rule, message }])
    }

    pub(crate) fn route_not_found(method: &Method, path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, http_codes::ROUTE_NOT_FOUND, format!("nothing at {method} {path}"))
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Where the failed precondition was the caller's `If-Match`, HTTP has a status of its own.
    pub(crate) fn of(failure: Failure, has_precondition: bool) -> Self {
        let mut problem = Self::from(failure);
        if has_precondition && problem.0.failure.code == codes::VERSION_MISMATCH {
            problem.0.status = StatusCode::PRECONDITION_FAILED;
        }
        problem
    }

    pub(crate) fn into_response(self, exchange: &Exchange, messages: &Messages) -> Response {
        let document = self.0.document(exchange.path(), messages);
        // Strings, numbers and JSON values always have a JSON form.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.status;
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response.headers_mut().extend(self.0.headers);
        response
    }
}

impl Contents {
    fn document<'a>(&'a self, instance: &'a str, messages: &Messages) -> Document<'a> {
        let failure = &self.failure;
        Document {
            ty: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &failure.message,
            instance,
            code: &failure.code,
            retryable: failure.retryable,
            violations: failure
                .violations
                .iter()
                .map(|FieldViolation { field, rule, message }| Violation { field, rule, message })
                .collect(),
            event: failure.event.as_deref().map(|(name, payload)| messages.any_json(name, payload)),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let status = status(&failure);
        let problem = Self::with_status(status, failure);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return problem.with_header(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        problem
    }
}

/// The one place where failures become statuses.
fn status(failure: &Failure) -> StatusCode {
    let code = failure.code.as_ref();
    match failure.kind {
        FailureKind::Invalid => StatusCode::BAD_REQUEST,
        FailureKind::Refused if code == codes::NOT_FOUND => StatusCode::NOT_FOUND,
        FailureKind::Refused if code == codes::UNIMPLEMENTED => StatusCode::NOT_IMPLEMENTED,
        FailureKind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        FailureKind::Conflict => StatusCode::CONFLICT,
        FailureKind::Unavailable if code == codes::DEADLINE_EXCEEDED => StatusCode::GATEWAY_TIMEOUT,
        FailureKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FailureKind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
