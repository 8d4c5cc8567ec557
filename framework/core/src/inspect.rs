//! What is stored, as JSON for people and programs: the same on the command line and in the admin API.

use std::time::SystemTime;

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

use crate::event::RecordedEvent;
use crate::messages::{MessagesStatus, Replayed};
use crate::module::{DescriptorError, Module};
use crate::projection::{ProjectionState, ProjectionStatus};
use crate::store::{CommandOutcome, CommandStatus, DeadLetter, ParkedEvent, RebuildEnd, RebuildRecord, columns};

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

    /// The payload of an event as canonical JSON; that of a former version as the service reads it: upcast.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(&self, event: &RecordedEvent) -> Result<Value, String> {
        self.read_as(event).map(|(_, payload)| payload)
    }

    /// The version that an event is read as, and its payload.
    fn read_as(&self, event: &RecordedEvent) -> Result<(u32, Value), String> {
        let RecordedEvent { event_type, schema_version, payload, .. } = event;
        if let Some(message) = self.module.event_message(event_type, *schema_version) {
            return Ok((*schema_version, self.json(message, payload)?));
        }
        let current = self.module.current_event(event_type, *schema_version, payload);
        let current = current.map_err(|error| error.to_string())?;
        Ok((current.schema_version, self.json(current.message, &current.payload)?))
    }

    fn json(&self, message: &str, payload: &[u8]) -> Result<Value, String> {
        let descriptor =
            self.pool.get_message_by_name(message).ok_or_else(|| format!("unknown message `{message}`"))?;
        let payload = DynamicMessage::decode(descriptor, payload).map_err(|error| error.to_string())?;
        let options = SerializeOptions::new().skip_default_fields(false);
        payload.serialize_with_options(serde_json::value::Serializer, &options).map_err(|error| error.to_string())
    }

    /// A recorded event with its payload; one of a former version says in `dataVersion` as which it is read, and one that
    /// cannot be read is shown in hexadecimal, with the reason.
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
        match self.read_as(event) {
            Ok((version, payload)) => {
                record["data"] = payload;
                if version != event.schema_version {
                    record["dataVersion"] = version.into();
                }
            }
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
    let mut record = json!({
        "name": status.name,
        "state": projection_state(&status.state),
        "position": status.position,
        "head": status.head,
        "lag": status.lag(),
        "parked": status.parked,
    });
    if let ProjectionState::Error(reason) = &status.state {
        record["reason"] = reason.as_str().into();
    }
    if let Some(rebuilt) = &status.rebuild {
        record["rebuild"] = rebuild(rebuilt);
    }
    record
}

/// A rebuild, and what has become of it.
fn rebuild(rebuild: &RebuildRecord) -> Value {
    let mut record = json!({
        "number": rebuild.number,
        "begin": columns::rebuild(&rebuild.begin),
        "begunAt": rfc3339(rebuild.begun_at),
        "state": rebuild_state(rebuild),
    });
    if let Some(end) = &rebuild.end {
        record["endedAt"] = rfc3339(end.at).into();
        if let Some(reason) = &end.failure {
            record["reason"] = reason.as_str().into();
        }
    }
    record
}

/// What has become of a rebuild, in a word; one that was broken off counts as building until somebody takes it up.
#[must_use]
pub fn rebuild_state(rebuild: &RebuildRecord) -> &'static str {
    match &rebuild.end {
        None => "building",
        Some(RebuildEnd { failure: None, .. }) => "done",
        Some(RebuildEnd { failure: Some(_), .. }) => "failed",
    }
}

/// What a projection is doing, in a word.
#[must_use]
pub fn projection_state(state: &ProjectionState) -> &'static str {
    match state {
        ProjectionState::Active => "active",
        ProjectionState::Paused => "paused",
        ProjectionState::Building => "building",
        ProjectionState::Error(_) => "error",
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

/// How far messages are.
#[must_use]
pub fn outgoing(status: &MessagesStatus) -> Value {
    let consumers = status.consumers.iter().map(|it| match &it.backlog {
        Ok(lag) => json!({ "subscription": it.subscription, "module": it.module, "lag": lag }),
        Err(problem) => json!({ "subscription": it.subscription, "module": it.module, "problem": problem }),
    });
    json!({
        "published": status.published,
        "head": status.head,
        "lag": status.lag(),
        "broker": if status.trouble.is_none() { "up" } else { "out of reach" },
        "problem": status.trouble,
        "subscriptions": consumers.collect::<Vec<_>>(),
    })
}

/// A message that could not be taken in, or published.
#[must_use]
pub fn dead_letter(letter: &DeadLetter) -> Value {
    let history = letter.history.iter().map(|it| json!({ "at": rfc3339(it.at), "reason": it.reason }));
    let headers = letter.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    json!({
        "id": letter.id.to_string(),
        "source": letter.source,
        "key": letter.key,
        "messageId": letter.message_id,
        "subject": letter.subject,
        "reason": letter.reason,
        "parkedAt": rfc3339(letter.parked_at),
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "payload": payload(letter),
        "history": history.collect::<Vec<_>>(),
    })
}

/// Text as it is, everything else in hexadecimal.
fn payload(letter: &DeadLetter) -> Value {
    match std::str::from_utf8(&letter.payload) {
        Ok(text) if !text.contains(char::is_control) => text.into(),
        _ => format!("0x{}", hex(&letter.payload)).into(),
    }
}

/// What came of a dead letter that was tried again.
#[must_use]
pub fn replayed(replayed: &Replayed) -> Value {
    json!({
        "id": replayed.letter.id.to_string(),
        "source": replayed.letter.source,
        "key": replayed.letter.key,
        "problem": replayed.failure.as_ref().map(ToString::to_string),
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
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use prost::Message as _;
    use prost_types::{Duration, Timestamp};

    use super::*;
    use crate::domain::{Aggregate, DomainEvent, UnreadableEvent};
    use crate::event::EventMetadata;

    /// An event that was a number in decimal digits, and is a duration since version 2.
    #[derive(Clone, Debug)]
    pub struct Waited(Duration);

    impl DomainEvent for Waited {
        fn event_type(&self) -> &'static str {
            "waited"
        }

        fn version(&self) -> u32 {
            2
        }

        fn encode(&self) -> Vec<u8> {
            self.0.encode_to_vec()
        }

        fn decode(event_type: &str, version: u32, payload: &[u8]) -> Result<Self, UnreadableEvent> {
            let unreadable = |reason| UnreadableEvent { event_type: event_type.to_owned(), version, reason };
            let digits = String::from_utf8_lossy(payload);
            match version {
                1 => digits.parse().map(|seconds| Waited(Duration { seconds, nanos: 0 })).map_err(|it| it.to_string()),
                _ => Duration::decode(payload).map(Waited).map_err(|it| it.to_string()),
            }
            .map_err(unreadable)
        }
    }

    impl Aggregate for Timestamp {
        const NAME: &'static str = "Wait";
        const SNAPSHOT_EVERY: u32 = 0;
        const SCHEMA: &'static str = "";
        type Event = Waited;

        fn with_id(_: &str) -> Self {
            Self::default()
        }

        fn apply(&mut self, _: Waited) {}

        fn ends(_: &Waited) -> bool {
            false
        }
    }

    fn recorded(schema_version: u32, payload: &[u8]) -> RecordedEvent {
        RecordedEvent {
            position: 1,
            id: uuid::Uuid::nil(),
            aggregate: "Wait".to_owned(),
            aggregate_id: "a".to_owned(),
            version: 1,
            event_type: "waited".to_owned(),
            schema_version,
            payload: payload.to_vec().into(),
            metadata: EventMetadata::default(),
            recorded_at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn events_of_former_versions_are_shown_as_they_are_read() {
        let descriptors = STANDARD.encode(DescriptorPool::global().encode_to_vec());
        let mut module = Module::new("wait", descriptors.leak());
        module.aggregate::<Timestamp>(&[("waited", 2, "google.protobuf.Duration")]);
        let payloads = Payloads::of(&module).expect("descriptors");
        let now = payloads.event(&recorded(2, &Duration { seconds: 8, nanos: 0 }.encode_to_vec()));
        assert_eq!((&now["data"], &now["dataVersion"]), (&"8s".into(), &Value::Null));
        let former = payloads.event(&recorded(1, b"7"));
        assert_eq!(
            (&former["schemaVersion"], &former["data"], &former["dataVersion"]),
            (&1.into(), &"7s".into(), &2.into())
        );
        let wrong = payloads.event(&recorded(1, b"x"));
        assert_eq!(wrong["payloadHex"], "78");
        assert!(wrong["problem"].as_str().is_some_and(|it| it.contains("version 1")), "{wrong}");
    }

    #[test]
    fn a_projection_that_cannot_go_on_says_why_beside_its_state() {
        let status =
            |state| ProjectionStatus { name: "Products", state, position: 3, head: 5, parked: 0, rebuild: None };
        let failing = projection(&status(ProjectionState::Error("out of reach".to_owned())));
        assert_eq!((&failing["state"], &failing["reason"]), (&"error".into(), &"out of reach".into()));
        let paused = projection(&status(ProjectionState::Paused));
        assert_eq!((&paused["state"], paused.get("reason")), (&"paused".into(), None));
    }

    #[test]
    fn bytes_are_shown_in_hex() {
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
