//! What is stored, as JSON for people and programs: the same on the command line and in the admin API.

use std::time::SystemTime;

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

use crate::event::RecordedEvent;
use crate::module::{DescriptorError, Module};
use crate::projection::{ProjectionState, ProjectionStatus};
use crate::store::{CommandOutcome, CommandStatus, ParkedEvent};

/// Reads the payloads of a module's events.
pub struct Payloads<'m> {
    module: &'m Module,
    pool: DescriptorPool,
}

impl<'m> Payloads<'m> {
    /// Of `module`.
    ///
    /// # Errors
    /// Its descriptors cannot be read.
    pub fn of(module: &'m Module) -> Result<Self, DescriptorError> {
        Ok(Self { module, pool: module.descriptor_pool()? })
    }

    /// The payload of an event as canonical JSON.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(&self, event: &RecordedEvent) -> Result<Value, String> {
        let message = self
            .module
            .event_message(&event.event_type, event.schema_version)
            .ok_or_else(|| format!("unknown event type in version {}", event.schema_version))?;
        let descriptor =
            self.pool.get_message_by_name(message).ok_or_else(|| format!("unknown message `{message}`"))?;
        let payload = DynamicMessage::decode(descriptor, event.payload.as_ref()).map_err(|error| error.to_string())?;
        let options = SerializeOptions::new().skip_default_fields(false);
        payload.serialize_with_options(serde_json::value::Serializer, &options).map_err(|error| error.to_string())
    }

    /// A recorded event with its payload; one that cannot be read is shown in hexadecimal, with the reason.
    #[must_use]
    pub fn event(&self, event: &RecordedEvent) -> Value {
        let mut record = json!({
            "position": event.position,
            "stream": format!("{}-{}", event.aggregate, event.aggregate_id),
            "aggregate": event.aggregate,
            "aggregateId": event.aggregate_id,
            "version": event.version,
            "eventId": event.id.to_string(),
            "type": event.event_type,
            "schemaVersion": event.schema_version,
            "recordedAt": rfc3339(event.recorded_at),
            "correlationId": event.metadata.correlation_id,
            "causationId": event.metadata.causation_id,
            "actor": event.metadata.actor,
        });
        match self.read(event) {
            Ok(payload) => record["data"] = payload,
            Err(problem) => {
                record["problem"] = problem.into();
                record["payloadHex"] = hex(&event.payload).into();
            }
        }
        record
    }
}

/// An accepted command and how far it is.
#[must_use]
pub fn command(status: &CommandStatus) -> Value {
    let command = &status.command;
    let mut record = json!({
        "commandId": command.id.to_string(),
        "command": command.name,
        "aggregate": command.aggregate,
        "aggregateId": command.aggregate_id,
        "acceptedAt": rfc3339(command.accepted_at),
        "correlationId": command.correlation_id,
        "causationId": command.causation_id,
        "actor": command.actor,
        "status": "PENDING",
    });
    match &status.outcome {
        None => {}
        Some(CommandOutcome::Succeeded { version, events }) => {
            record["status"] = "SUCCEEDED".into();
            record["version"] = (*version).into();
            record["events"] = events.iter().map(|(event_type, _)| event_type.as_str()).collect::<Vec<_>>().into();
        }
        Some(CommandOutcome::Failed { code, message, retryable, .. }) => {
            record["status"] = "FAILED".into();
            record["error"] = json!({ "code": code, "message": message, "retryable": retryable });
        }
    }
    record
}

/// How a projection is.
#[must_use]
pub fn projection(status: &ProjectionStatus) -> Value {
    json!({
        "name": status.name,
        "state": projection_state(&status.state),
        "position": status.position,
        "head": status.head,
        "lag": status.lag(),
        "parked": status.parked,
    })
}

/// What a projection is doing, in a word; or why it cannot.
#[must_use]
pub fn projection_state(state: &ProjectionState) -> &str {
    match state {
        ProjectionState::Active => "active",
        ProjectionState::Paused => "paused",
        ProjectionState::Building => "building",
        ProjectionState::Error(reason) => reason,
    }
}

/// An event that a projection could not take in.
#[must_use]
pub fn parked(event: &ParkedEvent) -> Value {
    json!({
        "position": event.position,
        "row": event.key,
        "eventType": event.event_type,
        "parkedAt": rfc3339(event.parked_at),
        "reason": event.reason,
    })
}

/// A time as RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    prost_types::Timestamp::from(time).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_hex() {
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
