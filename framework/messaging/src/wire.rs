//! Puts events, outcomes and requests into messages, and reads them.

use bytes::Bytes;
use potter_broker::subject::{Subjects, is_address};
use potter_broker::{Message, headers};
use potter_core::dispatch::{Dispatcher, RequestMetadata};
use potter_core::event::RecordedEvent;
use potter_core::failure::Failure;
use potter_core::store::CommandStatus;
use potter_proto::runtime::v1;
use potter_proto::status::{StatusTeller, command_error, query_error};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage};

/// How payloads are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// Protobuf bytes.
    #[default]
    Protobuf,
    /// Canonical proto3 JSON.
    Json,
}

/// A module's descriptors contradict those of Potter's own messages.
#[derive(Debug, thiserror::Error)]
#[error("the module's descriptors contradict those of potter.runtime.v1: {0}")]
pub struct DescriptorsError(#[from] prost_reflect::DescriptorError);

const STATUS: &str = "potter.runtime.v1.CommandStatus";
const QUERY_ERROR: &str = "potter.runtime.v1.QueryError";

/// The language of a module's messages.
pub(crate) struct Wire {
    dispatcher: Dispatcher,
    subjects: Subjects,
    pool: DescriptorPool,
    teller: StatusTeller,
    payload: Payload,
}

impl Wire {
    pub fn new(dispatcher: &Dispatcher, payload: Payload) -> Result<Self, DescriptorsError> {
        let mut pool = dispatcher.pool().clone();
        // Files that the module has already, such as any.proto, are passed over.
        pool.decode_file_descriptor_set(potter_proto::DESCRIPTORS)?;
        let module = dispatcher.module();
        let (subjects, teller) = (Subjects::of(module.name()), StatusTeller::new(module));
        Ok(Self { dispatcher: dispatcher.clone(), subjects, pool, teller, payload })
    }

    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// An event as it is published; `None` if it stays inside.
    pub fn event(&self, event: &RecordedEvent) -> Option<Message> {
        let module = self.dispatcher.module();
        if module.is_internal(&event.event_type) {
            return None;
        }
        let (name, schema_version, payload) = self.as_known(event);
        let (content_type, payload) = self.encode(name, payload, self.payload);
        let metadata = &event.metadata;
        let message = Message::new(self.subjects.event(&event.event_type), payload)
            .id(event.id.to_string())
            .header(headers::EVENT_ID, event.id.to_string())
            .header(headers::EVENT_TYPE, event.event_type.as_str())
            .header(headers::SCHEMA_VERSION, schema_version.to_string())
            .header(headers::MESSAGE, name)
            .header(headers::AGGREGATE, event.aggregate.as_str())
            .header(headers::AGGREGATE_ID, event.aggregate_id.as_str())
            .header(headers::VERSION, event.version.to_string())
            .header(headers::POSITION, event.position.to_string())
            .header(headers::CORRELATION_ID, metadata.correlation_id.as_str())
            .header(headers::CAUSATION_ID, metadata.causation_id.as_str())
            .header(headers::ACTOR, metadata.actor.clone().unwrap_or_default())
            .header(headers::TIME, event.timestamp().to_string())
            .header(headers::CONTENT_TYPE, content_type);
        Some(message)
    }

    /// The name of an event's message, its version and payload. One of a former version, which was recorded before a
    /// deployment and is published after it, is upcast: its message is nobody's any more.
    fn as_known(&self, event: &RecordedEvent) -> (&'static str, u32, Bytes) {
        let RecordedEvent { event_type, schema_version, payload, .. } = event;
        let module = self.dispatcher.module();
        if let Some(name) = module.event_message(event_type, *schema_version) {
            return (name, *schema_version, payload.clone());
        }
        match module.current_event(event_type, *schema_version, payload) {
            Ok(current) => (current.message, current.schema_version, current.payload.into()),
            Err(_) => ("", *schema_version, payload.clone()),
        }
    }

    /// The outcome of a command as it is announced, once.
    pub fn announcements(&self, status: &CommandStatus) -> Vec<Message> {
        self.outcome(&self.teller.tell(status), &format!("outcome-{}", status.command.id))
    }

    /// The outcome of a command once more, for who has missed it: under the id of the first time the broker would drop
    /// it.
    pub fn announcements_again(&self, status: &CommandStatus) -> Vec<Message> {
        self.outcome(&self.teller.tell(status), "")
    }

    /// Tells the sender of a message that it never became a command; `None` if the message doesn't say whom to tell.
    pub fn refusal(&self, message: &Message, failure: &Failure) -> Option<Vec<Message>> {
        let command_id = command_id(message);
        let correlation_id = message.get(headers::CORRELATION_ID).unwrap_or(command_id);
        let status = v1::CommandStatus {
            command_id: command_id.to_owned(),
            command: message.subject.clone(),
            status: v1::command_status::Status::Failed.into(),
            correlation_id: correlation_id.to_owned(),
            error: Some(command_error(failure)),
            ..v1::CommandStatus::default()
        };
        let is_told = is_address(correlation_id) || is_address(command_id);
        // Whoever asks again asks for it to be told again: it has no id that the broker would know it by.
        is_told.then(|| self.outcome(&status, ""))
    }

    /// An outcome in protobuf, which every invoker reads; and beside it in JSON if the service writes that. The broker
    /// drops repeats of `id`, unless that is empty.
    fn outcome(&self, status: &v1::CommandStatus, id: &str) -> Vec<Message> {
        let v1::CommandStatus { command_id, correlation_id, .. } = status;
        let subject = self.subjects.outcome(correlation_id, command_id);
        let protobuf = Message::new(subject, status.encode_to_vec())
            .id(id)
            .header(headers::MESSAGE, STATUS)
            .header(headers::COMMAND_ID, command_id)
            .header(headers::CORRELATION_ID, correlation_id)
            .header(headers::CAUSATION_ID, command_id)
            .header(headers::CONTENT_TYPE, headers::PROTOBUF);
        match self.payload {
            Payload::Protobuf => vec![protobuf],
            Payload::Json => vec![self.beside(&protobuf), protobuf],
        }
    }

    /// An outcome in JSON.
    fn beside(&self, protobuf: &Message) -> Message {
        let Message { subject, id, headers: said, payload } = protobuf.clone();
        let id = if id.is_empty() { id } else { id + "-json" };
        let (content_type, payload) = self.encode(STATUS, payload, Payload::Json);
        let json = Message { subject: subject + ".json", id, headers: said, payload };
        json.header(headers::CONTENT_TYPE, content_type)
    }

    /// A failed answer to a query.
    pub fn failure(&self, failure: &Failure, payload: Payload) -> Message {
        let (content_type, payload) = self.encode(QUERY_ERROR, query_error(failure).encode_to_vec().into(), payload);
        Message::new("", payload)
            .header(headers::ERROR_CODE, failure.code.as_ref())
            .header(headers::ERROR_KIND, failure.kind.as_str())
            .header(headers::CONTENT_TYPE, content_type)
    }

    /// Protobuf bytes of the message `name` as they are sent, and how; what isn't known stays protobuf.
    pub fn encode(&self, name: &str, bytes: Bytes, payload: Payload) -> (&'static str, Bytes) {
        let json = match payload {
            Payload::Protobuf => None,
            Payload::Json => self.json(name, &bytes),
        };
        json.map_or((headers::PROTOBUF, bytes), |json| (headers::JSON, json))
    }

    fn json(&self, name: &str, bytes: &Bytes) -> Option<Bytes> {
        let descriptor = self.pool.get_message_by_name(name)?;
        let message = DynamicMessage::decode(descriptor, bytes.clone()).ok()?;
        serde_json::to_vec(&message).ok().map(Bytes::from)
    }

    /// Protobuf bytes of the request of `rpc`, however the message writes it.
    pub fn request(&self, rpc: &str, message: &Message) -> Result<Bytes, Failure> {
        let name = self.method(rpc).map(|method| method.input().full_name().to_owned());
        self.protobuf(&name.unwrap_or_default(), message)
    }

    /// Protobuf bytes of a message's payload, of the type `name`, however it is written; nothing may be in it that isn't
    /// known.
    pub fn protobuf(&self, name: &str, message: &Message) -> Result<Bytes, Failure> {
        self.read(name, message, &DeserializeOptions::new().deny_unknown_fields(true))
    }

    /// Protobuf bytes of an event of the type `name`, however it is written. As in protobuf itself, fields that a newer
    /// publisher has added are passed over.
    pub fn event_payload(&self, name: &str, message: &Message) -> Result<Bytes, Failure> {
        self.read(name, message, &DeserializeOptions::new().deny_unknown_fields(false))
    }

    fn read(&self, name: &str, message: &Message, options: &DeserializeOptions) -> Result<Bytes, Failure> {
        if payload_of(message)? == Payload::Protobuf {
            return Ok(message.payload.clone());
        }
        let descriptor = self.pool.get_message_by_name(name);
        let descriptor = descriptor.ok_or_else(|| Failure::malformed(format!("`{name}` in JSON is not known here")))?;
        let mut json = serde_json::Deserializer::from_slice(&message.payload);
        let read = DynamicMessage::deserialize_with_options(descriptor, &mut json, options);
        let read = read.and_then(|read| json.end().map(|()| read));
        read.map(|read| read.encode_to_vec().into()).map_err(|error| Failure::malformed(format!("not valid: {error}")))
    }

    /// Full name of the reply of `rpc`.
    pub fn reply_name(&self, rpc: &str) -> String {
        self.method(rpc).map(|method| method.output().full_name().to_owned()).unwrap_or_default()
    }

    fn method(&self, rpc: &str) -> Option<prost_reflect::MethodDescriptor> {
        let (service, method) = rpc.split_once('/')?;
        self.pool.get_service_by_name(service)?.methods().find(|it| it.name() == method)
    }
}

/// A command's id: whoever asks again for its outcome says it beside a message id that the broker doesn't know yet.
pub(crate) fn command_id(message: &Message) -> &str {
    message.get(headers::COMMAND_ID).unwrap_or(&message.id)
}

/// How a message's payload is written.
pub(crate) fn payload_of(message: &Message) -> Result<Payload, Failure> {
    let content_type = message.get(headers::CONTENT_TYPE).unwrap_or(headers::PROTOBUF);
    match content_type.split(';').next().unwrap_or_default().trim() {
        headers::PROTOBUF | "application/x-protobuf" | "" => Ok(Payload::Protobuf),
        headers::JSON => Ok(Payload::Json),
        other => Err(Failure::malformed(format!(
            "`{}` is `{other}`; expected {} or {}",
            headers::CONTENT_TYPE,
            headers::PROTOBUF,
            headers::JSON
        ))),
    }
}

/// What a message says beside its payload.
pub(crate) fn metadata_of(message: &Message) -> Result<RequestMetadata, Failure> {
    let timeout = message.parse::<u64>(headers::TIMEOUT_MS).map_err(Failure::malformed)?;
    let deadline = timeout.and_then(|it| std::time::Instant::now().checked_add(std::time::Duration::from_millis(it)));
    Ok(RequestMetadata {
        expected_version: message.parse(headers::EXPECTED_VERSION).map_err(Failure::malformed)?,
        at_least: message.parse(headers::AT_LEAST).map_err(Failure::malformed)?,
        actor: message.get(headers::ACTOR).map(str::to_owned),
        correlation_id: message.get(headers::CORRELATION_ID).map(str::to_owned),
        causation_id: message.get(headers::CAUSATION_ID).map(str::to_owned),
        deadline,
        ..RequestMetadata::default()
    })
}
