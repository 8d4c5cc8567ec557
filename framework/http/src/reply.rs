//! From an rpc's reply to an HTTP response.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use potter_core::dispatch::{Outcome, Reply};
use potter_core::failure::Failure;
use prost_reflect::DynamicMessage;
use serde::Serialize;

use crate::bind::Binding;
use crate::exchange::headers;
use crate::json::{Written, WrittenField};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Everything but what RFC 3986 calls unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The response of a request that went well. `resource` is the path under which what it created can be read.
pub(crate) fn response(binding: &Binding, reply: Reply, resource: Option<&str>) -> Result<Response, Failure> {
    let mut response = Response::new(Body::from(body(binding, &reply)?));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if reply.replayed {
        headers.insert(headers::IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    let status = match reply.outcome {
        Outcome::Queried => StatusCode::OK,
        Outcome::Executed { id, version, created, position } => {
            put(headers, ETAG, format!("\"{version}\""));
            headers.insert(headers::POTTER_POSITION, position.into());
            match (created, resource) {
                (false, _) => StatusCode::OK,
                (true, None) => StatusCode::CREATED,
                (true, Some(resource)) => {
                    put(headers, LOCATION, format!("{resource}/{}", utf8_percent_encode(&id, SEGMENT)));
                    StatusCode::CREATED
                }
            }
        }
        Outcome::Accepted { command_id, .. } => {
            put(headers, LOCATION, format!("/api/v1/commands/{command_id}"));
            StatusCode::ACCEPTED
        }
    };
    *response.status_mut() = status;
    Ok(response)
}

/// Any value as JSON.
pub(crate) fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    // What is given here are plain structures, which always have a JSON form.
    let mut response = Response::new(Body::from(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn body(binding: &Binding, reply: &Reply) -> Result<Vec<u8>, Failure> {
    let message = DynamicMessage::decode(binding.output.clone(), reply.body.as_ref()).map_err(|error| bug(&error))?;
    let mut body = Vec::with_capacity(64 + 2 * reply.body.len());
    match &binding.response_body {
        None => serde_json::to_writer(&mut body, &Written::from(&message)),
        Some(field) if field.supports_presence() && !message.has_field(field) => {
            serde_json::to_writer(&mut body, &serde_json::Value::Null)
        }
        Some(field) => {
            let value = message.get_field(field);
            serde_json::to_writer(&mut body, &WrittenField { value: &value, field, anys: 0 })
        }
    }
    .map_err(|error| bug(&error))?;
    Ok(body)
}

fn bug(error: &dyn std::fmt::Display) -> Failure {
    Failure::bug(&format!("a reply cannot be written: {error}"))
}

/// All of these are printable ASCII.
fn put(headers: &mut http::HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
