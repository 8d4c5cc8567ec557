//! What is known of a request before anybody has looked at its body: ids, conditions, keys.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use potter_core::dispatch::RequestMetadata;
use uuid::Uuid;

use crate::options::Options;
use crate::problem::Problem;

/// Headers of our own, and what they mean.
pub mod headers {
    use http::HeaderName;

    /// Identifies one request; made when absent, and always sent back.
    pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    /// Ties together everything that follows from one request; made when absent, and always sent back.
    pub const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
    /// What directly caused the request: the id of an event or of another command.
    pub const POTTER_CAUSATION_ID: HeaderName = HeaderName::from_static("potter-causation-id");
    /// W3C trace context; without a correlation id, its trace id is taken for it.
    pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
    /// A repeat under the same key gets the recorded reply.
    pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    /// `true` on a recorded reply.
    pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
    /// On a command's reply the position in the log that includes its events; on a query the position that it must
    /// see at least.
    pub const POTTER_POSITION: HeaderName = HeaderName::from_static("potter-position");
}

/// Longest idempotency key, in characters.
const MAX_KEY: usize = 255;

/// Longest request id or correlation id that is taken over.
const MAX_ID: usize = 128;

/// One request and its ids.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) parts: Parts,
    pub(crate) correlation_id: String,
    request_id: String,
}

impl Exchange {
    pub(crate) fn new(parts: Parts) -> Self {
        let given = |name: HeaderName| id(&parts.headers, &name);
        let request_id = given(headers::X_REQUEST_ID).unwrap_or_else(|| Uuid::now_v7().to_string());
        let correlation_id =
            given(headers::X_CORRELATION_ID).or_else(|| trace_id(&parts.headers)).unwrap_or_else(|| request_id.clone());
        Self { parts, correlation_id, request_id }
    }

    pub(crate) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// Puts the ids into a response.
    pub(crate) fn sign(&self, response: &mut HeaderMap) {
        for (name, id) in [(headers::X_REQUEST_ID, &self.request_id), (headers::X_CORRELATION_ID, &self.correlation_id)]
        {
            // Both were a header's value or are made of hexadecimal digits.
            if let Ok(value) = HeaderValue::from_str(id) {
                response.insert(name, value);
            }
        }
    }

    /// What the dispatcher is told beside the request.
    pub(crate) fn metadata(&self, options: &Options) -> Result<RequestMetadata, Problem> {
        let headers = &self.parts.headers;
        Ok(RequestMetadata {
            idempotency_key: idempotency_key(headers)?,
            expected_version: expected_version(headers)?,
            actor: options.actor_header.as_ref().and_then(|name| id(headers, name)),
            correlation_id: Some(self.correlation_id.clone()),
            causation_id: id(headers, &self::headers::POTTER_CAUSATION_ID),
            effect_of: None,
            command_id: None,
            deadline: None,
            at_least: position(headers)?,
        })
    }
}

/// An id as a caller sends it, if it is short and printable.
fn id(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (1..=MAX_ID).contains(&value.len()).then(|| value.to_owned())
}

/// `00-<trace id>-<span id>-<flags>`
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let mut parts = headers.get(headers::TRACEPARENT)?.to_str().ok()?.split('-');
    let trace_id = parts.nth(1)?;
    let valid = trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (valid && trace_id.bytes().any(|byte| byte != b'0')).then(|| trace_id.to_owned())
}

/// The IETF draft has the key in quotes, almost everybody sends it without; both mean the same.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(headers::IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let wrong =
        || Problem::invalid("Idempotency-Key", "header", format!("must be 1 to {MAX_KEY} printable characters"));
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match (1..=MAX_KEY).contains(&key.len()) {
        true => Ok(Some(key.to_owned())),
        false => Err(wrong()),
    }
}

/// `"3"`, `W/"3"`, or `*` for whatever there is. Many a client leaves the quotes out; a bare number can mean nothing else.
fn expected_version(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(http::header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let version = tag.strip_prefix('"').map_or(Some(tag), |tag| tag.strip_suffix('"'));
    version
        .filter(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|version| version.parse().ok())
        .map(Some)
        .ok_or_else(|| Problem::invalid("If-Match", "header", "must be the ETag of a reply, like \"3\", or *"))
}

fn position(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(headers::POTTER_POSITION) else {
        return Ok(None);
    };
    match value.to_str().unwrap_or_default().trim().parse() {
        Ok(position) => Ok(Some(position)),
        Err(_) => Err(Problem::invalid("Potter-Position", "header", "must be the Potter-Position of a reply")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a header's value")))
            .collect()
    }

    #[test]
    fn a_version_is_expected_by_its_tag() {
        let version = |value| expected_version(&headers(&[("if-match", value)])).map_err(|_| "refused");
        assert_eq!(version("\"3\""), Ok(Some(3)));
        assert_eq!(version(" W/\"12\" "), Ok(Some(12)));
        assert_eq!(version("*"), Ok(None));
        assert_eq!(version("3"), Ok(Some(3)));
        for wrong in ["x", "3\"", "+3", "\"+3\"", "\"x\"", "\"3", "\"-1\"", "\"3\", \"4\"", ""] {
            assert_eq!(version(wrong), Err("refused"), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        let key = |value: &str| idempotency_key(&headers(&[("idempotency-key", value)])).map_err(|_| "refused");
        assert_eq!(key("abc"), Ok(Some("abc".to_owned())));
        assert_eq!(key("\"abc\""), Ok(Some("abc".to_owned())));
        assert_eq!(key(&"x".repeat(255)), Ok(Some("x".repeat(255))));
        assert_eq!(key(&"x".repeat(256)), Err("refused"));
        assert_eq!(key("\"\""), Err("refused"));
    }

    #[test]
    fn a_trace_correlates() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let found = |value: &str| trace_id(&headers(&[("traceparent", value)]));
        assert_eq!(found(&format!("00-{trace}-00f067aa0ba902b7-01")).as_deref(), Some(trace));
        assert_eq!(found("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
        assert_eq!(found("garbage"), None);
    }
}
