//! What requests and replies carry beside their messages.

use std::str::FromStr;
use std::time::{Duration, Instant};

use potter_core::dispatch::{Outcome, Reply, RequestMetadata};
use potter_core::failure::Failure;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use uuid::Uuid;

/// A repeat under the same key gets the recorded reply. Request.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The version that the aggregate must have. Request.
pub const EXPECTED_VERSION: &str = "potter-expected-version";
/// The same as REST has it, for gateways that pass headers on: a version with or without quotes, or `*`. Request.
pub const IF_MATCH: &str = "if-match";
/// The position in the log that a query must see at least. Request.
pub const AT_LEAST: &str = "potter-at-least";
/// Ties together everything that follows from one request; made when absent. Request and reply.
pub const CORRELATION_ID: &str = "x-correlation-id";
/// What directly caused the request: the id of an event or of another command. Request.
pub const CAUSATION_ID: &str = "potter-causation-id";
/// W3C trace context; without a correlation id, its trace id is taken for it. Request.
pub const TRACEPARENT: &str = "traceparent";
/// Position in the log that includes the command's events. Reply.
pub const POSITION: &str = "potter-position";
/// Version of the aggregate after the command. Reply.
pub const VERSION: &str = "potter-version";
/// Identity of the aggregate; left out if it isn't printable ASCII. Reply.
pub const AGGREGATE_ID: &str = "potter-aggregate-id";
/// Identity of an accepted command. In a request the caller has chosen it: the command is accepted whether it is asynchronous
/// or not, and the same id again is no second command. Request and reply.
pub const COMMAND_ID: &str = "potter-command-id";
/// `true` if the reply was recorded by an earlier request with the same key. Reply.
pub const REPLAYED: &str = "potter-replayed";

/// Longest correlation id that is taken over.
const MAX_ID: usize = 128;

/// So much of a deadline is left for the reply's way back, so that the caller learns what happened.
const WAY_BACK: Duration = Duration::from_millis(50);

/// The correlation id of a request.
pub(crate) fn correlation_id(request: &MetadataMap) -> String {
    text(request, CORRELATION_ID)
        .or_else(|| trace_id(request))
        .filter(|id| (1..=MAX_ID).contains(&id.len()))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The id that the caller has chosen for the command.
pub(crate) fn command_id(request: &MetadataMap) -> Result<Option<Uuid>, Failure> {
    let parse = |value: &MetadataValue<_>| value.to_str().unwrap_or_default().parse();
    request.get(COMMAND_ID).map(parse).transpose().map_err(|_| Failure::invalid(COMMAND_ID, "must be a UUID"))
}

/// What the dispatcher is told beside the request.
pub(crate) fn read(
    request: &MetadataMap,
    correlation_id: &str,
    actor_key: Option<&str>,
) -> Result<RequestMetadata, Failure> {
    let key = request.get(IDEMPOTENCY_KEY).map(|key| key.to_str().map(str::to_owned));
    Ok(RequestMetadata {
        idempotency_key: key.transpose().map_err(|_| Failure::invalid(IDEMPOTENCY_KEY, "must be printable ASCII"))?,
        expected_version: expected_version(request)?,
        actor: actor_key.and_then(|key| text(request, key)).map(str::to_owned),
        correlation_id: Some(correlation_id.to_owned()),
        causation_id: text(request, CAUSATION_ID).filter(|id| !id.is_empty()).map(str::to_owned),
        effect_of: None,
        command_id: None,
        deadline: deadline(request),
        at_least: number(request, AT_LEAST)?,
    })
}

/// What a reply carries.
pub(crate) fn write(reply: &Reply, metadata: &mut MetadataMap) {
    match &reply.outcome {
        Outcome::Queried => {}
        Outcome::Executed { id, version, position, .. } => {
            put(metadata, AGGREGATE_ID, id);
            put(metadata, VERSION, &version.to_string());
            put(metadata, POSITION, &position.to_string());
        }
        Outcome::Accepted { id, command_id } => {
            put(metadata, AGGREGATE_ID, id);
            put(metadata, COMMAND_ID, &command_id.to_string());
        }
    }
    if reply.replayed {
        put(metadata, REPLAYED, "true");
    }
}

/// Sets a value, unless it cannot be one.
pub(crate) fn put(metadata: &mut MetadataMap, name: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::from_str(value) {
        metadata.insert(MetadataKey::from_static(name), value);
    }
}

/// When the caller stops waiting, as `grpc-timeout` says.
pub(crate) fn deadline(request: &MetadataMap) -> Option<Instant> {
    let timeout = timeout(text(request, "grpc-timeout")?)?;
    Instant::now().checked_add(timeout.saturating_sub(WAY_BACK.min(timeout / 10)))
}

/// At most eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit).filter(|digits| (1..=8).contains(&digits.len()))?;
    let amount: u32 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(3600) * amount,
        'M' => Duration::from_secs(60) * amount,
        'S' => Duration::from_secs(1) * amount,
        'm' => Duration::from_millis(1) * amount,
        'u' => Duration::from_micros(1) * amount,
        'n' => Duration::from_nanos(1) * amount,
        _ => return None,
    })
}

fn text<'a>(request: &'a MetadataMap, name: &str) -> Option<&'a str> {
    request.get(name)?.to_str().ok()
}

fn number(request: &MetadataMap, name: &str) -> Result<Option<u64>, Failure> {
    match request.get(name) {
        None => Ok(None),
        Some(value) => match value.to_str().unwrap_or_default().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Failure::invalid(name, "must be a whole number")),
        },
    }
}

fn expected_version(request: &MetadataMap) -> Result<Option<u64>, Failure> {
    if let Some(version) = number(request, EXPECTED_VERSION)? {
        return Ok(Some(version));
    }
    let Some(tag) = request.get(IF_MATCH).map(|tag| tag.to_str().unwrap_or_default().trim()) else {
        return Ok(None);
    };
    let version = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    match version.parse() {
        Ok(version) => Ok(Some(version)),
        Err(_) if tag == "*" => Ok(None),
        Err(_) => Err(Failure::invalid(IF_MATCH, "must be the version of a reply, like \"3\", or *")),
    }
}

/// `00-<trace id>-<span id>-<flags>`
fn trace_id(request: &MetadataMap) -> Option<&str> {
    let trace_id = text(request, TRACEPARENT)?.split('-').nth(1)?;
    let valid = trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (valid && trace_id.bytes().any(|byte| byte != b'0')).then_some(trace_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_a_unit() {
        for (text, wanted) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1ü", None),
        ] {
            assert_eq!(timeout(text), wanted, "{text}");
        }
    }
}
