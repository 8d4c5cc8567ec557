//! Names of the metadata that requests and replies carry.

use std::str::FromStr;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// Deduplicates a command. Request.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The version that the aggregate must have. Request.
pub(crate) const EXPECTED_VERSION: &str = "potter-expected-version";
/// The position that a query must at least have seen. Request.
pub(crate) const AT_LEAST: &str = "potter-at-least";
/// Ties together everything that follows from one request. Request and reply.
pub(crate) const CORRELATION_ID: &str = "x-correlation-id";
/// What directly caused the request. Request.
pub(crate) const CAUSATION_ID: &str = "potter-causation-id";
/// Position of the command's last event. Reply.
pub(crate) const POSITION: &str = "potter-position";
/// Version of the aggregate. Reply.
pub(crate) const VERSION: &str = "potter-version";
/// Identity of the aggregate. Reply.
pub(crate) const AGGREGATE_ID: &str = "potter-aggregate-id";
/// Identity of an accepted command; in a request one that the caller has chosen. Request and reply.
pub(crate) const COMMAND_ID: &str = "potter-command-id";
/// Present when the reply was recorded by an earlier try. Reply.
pub(crate) const REPLAYED: &str = "potter-replayed";

/// The value `name` of a reply, read as a `T`; `None` when it isn't there or isn't a `T`.
pub(crate) fn read<T: FromStr>(metadata: &MetadataMap, name: &str) -> Option<T> {
    metadata.get(name)?.to_str().ok()?.parse().ok()
}

/// `text` as a metadata value.
pub(crate) fn value(name: &str, text: &str) -> Result<MetadataValue<Ascii>, crate::Failure> {
    text.parse().map_err(|_| {
        crate::Failure::new(
            crate::FailureKind::Invalid,
            "INVALID_REQUEST",
            format!("`{name}` may only hold printable ASCII characters"),
        )
    })
}
