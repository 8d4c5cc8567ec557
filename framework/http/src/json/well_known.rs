//! The messages that have a JSON form of their own.

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use prost_types::value::Kind as ValueKind;
use prost_types::{ListValue, Struct, Value};
use serde::de::IntoDeserializer;
use serde::de::value::{Error as PlainError, StrDeserializer};

use super::leaf::Wrong;

/// What is special about a message in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WellKnown {
    Any,
    /// Timestamp, Duration, FieldMask: a string.
    Text,
    /// `Int32Value` and its like: the value alone.
    Wrapper,
    Struct,
    List,
    Value,
    Empty,
}

impl WellKnown {
    pub(crate) fn of(ty: &MessageDescriptor) -> Option<Self> {
        let name = ty.full_name().strip_prefix("google.protobuf.")?;
        Some(match name {
            "Any" => Self::Any,
            "Timestamp" | "Duration" | "FieldMask" => Self::Text,
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
            | "BoolValue" | "StringValue" | "BytesValue" => Self::Wrapper,
            "Struct" => Self::Struct,
            "ListValue" => Self::List,
            "Value" => Self::Value,
            "Empty" => Self::Empty,
            _ => return None,
        })
    }
}

/// A timestamp, duration or field mask.
pub(crate) fn from_text(ty: &MessageDescriptor, text: &str) -> Result<DynamicMessage, Wrong> {
    let text: StrDeserializer<'_, PlainError> = text.into_deserializer();
    DynamicMessage::deserialize(ty.clone(), text).map_err(|error| {
        let wanted = match ty.name() {
            "Timestamp" => "a time like 2024-02-29T12:30:00Z",
            "Duration" => "a duration like 1.5s",
            _ => "names of fields, separated by commas",
        };
        Wrong::new("format", format!("must be {wanted}: {error}"))
    })
}

/// A typed well-known message as a dynamic one of this pool.
pub(crate) fn dynamic(ty: &MessageDescriptor, message: &impl Message) -> Result<DynamicMessage, Wrong> {
    DynamicMessage::decode(ty.clone(), message.encode_to_vec().as_slice())
        .map_err(|error| Wrong::new("depth", format!("cannot be encoded: {error}")))
}

pub(crate) fn value(kind: ValueKind) -> Value {
    Value { kind: Some(kind) }
}

pub(crate) fn structure(fields: impl IntoIterator<Item = (String, Value)>) -> Struct {
    Struct { fields: fields.into_iter().collect() }
}

pub(crate) fn list(values: Vec<Value>) -> ListValue {
    ListValue { values }
}
