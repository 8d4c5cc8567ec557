//! From a message to JSON.

use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::well_known::WellKnown;

/// An `Any` may hold an `Any`, as bytes, so that decoding doesn't bound their nesting. Deeper ones stay bytes.
const MAX_ANYS: usize = 16;

/// A message that serde writes in canonical proto3 JSON.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    message: &'a DynamicMessage,
    anys: usize,
}

impl<'a> From<&'a DynamicMessage> for Written<'a> {
    fn from(message: &'a DynamicMessage) -> Self {
        Self { message, anys: 0 }
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match WellKnown::of(&self.message.descriptor()) {
            None => {
                let mut map = serializer.serialize_map(None)?;
                self.fields(&mut map)?;
                map.end()
            }
            Some(WellKnown::Any) => self.any(serializer),
            Some(WellKnown::Wrapper) => self.wrapper(serializer),
            Some(_) => self.in_its_form(serializer),
        }
    }
}

impl<'a> Written<'a> {
    /// Every field that has a value: with presence only if it is set, otherwise its default as well.
    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for field in self.message.descriptor().fields() {
            if !field.supports_presence() || self.message.has_field(&field) {
                let value = self.message.get_field(&field);
                let written = WrittenField { value: &value, field: &field, anys: self.anys };
                map.serialize_entry(field.json_name(), &written)?;
            }
        }
        Ok(())
    }

    /// A time beyond the year 9999 or a NaN in a `Value` has no JSON form; it is written as `null`, because one such
    /// value must not make a whole list unreadable.
    fn in_its_form<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = self.message.serialize(serde_json::value::Serializer).unwrap_or_default();
        form.serialize(serializer)
    }

    /// prost-reflect writes `null` for a wrapped NaN.
    fn wrapper<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let field =
            self.message.descriptor().get_field(1).ok_or_else(|| S::Error::custom("a wrapper has one field"))?;
        let value = self.message.get_field(&field);
        single(&value, &field.kind(), self.anys, serializer)
    }

    fn any<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let any: prost_types::Any = self.message.transcode_to().map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        if any.type_url.is_empty() && any.value.is_empty() {
            return map.end();
        }
        map.serialize_entry("@type", &any.type_url)?;
        match self.unpacked(&any) {
            Some(inner) => {
                let written = Written { message: &inner, anys: self.anys + 1 };
                match WellKnown::of(&inner.descriptor()) {
                    Some(_) => map.serialize_entry("value", &written)?,
                    None => written.fields(&mut map)?,
                }
            }
            // A type that this service doesn't know must not make the whole reply unreadable.
            None => map.serialize_entry("value", &base64(&any.value))?,
        }
        map.end()
    }

    fn unpacked(&self, any: &prost_types::Any) -> Option<DynamicMessage> {
        let name = any.type_url.rsplit('/').next().filter(|_| self.anys < MAX_ANYS)?;
        let ty = self.message.descriptor().parent_pool().get_message_by_name(name)?;
        DynamicMessage::decode(ty, any.value.as_slice()).ok()
    }
}

/// The value of one field, as [`Written`] writes it.
#[derive(Debug)]
pub(crate) struct WrittenField<'a> {
    pub(crate) value: &'a Value,
    pub(crate) field: &'a FieldDescriptor,
    pub(crate) anys: usize,
}

impl Serialize for WrittenField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.field.kind();
        match self.value {
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&WrittenSingle { value, kind: &kind, anys: self.anys })?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let kind = kind.as_message().map(|entry| entry.map_entry_value_field().kind()).unwrap_or(kind);
                let mut entries: Vec<(&MapKey, &Value)> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(&WrittenKey(key), &WrittenSingle { value, kind: &kind, anys: self.anys })?;
                }
                map.end()
            }
            value => single(value, &kind, self.anys, serializer),
        }
    }
}

struct WrittenSingle<'a> {
    value: &'a Value,
    kind: &'a Kind,
    anys: usize,
}

impl Serialize for WrittenSingle<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        single(self.value, self.kind, self.anys, serializer)
    }
}

struct WrittenKey<'a>(&'a MapKey);

impl Serialize for WrittenKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MapKey::Bool(key) => serializer.collect_str(key),
            MapKey::I32(key) => serializer.collect_str(key),
            MapKey::I64(key) => serializer.collect_str(key),
            MapKey::U32(key) => serializer.collect_str(key),
            MapKey::U64(key) => serializer.collect_str(key),
            MapKey::String(key) => serializer.serialize_str(key),
        }
    }
}

/// Anything but a list or a map.
fn single<S: Serializer>(value: &Value, kind: &Kind, anys: usize, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Value::Bool(value) => serializer.serialize_bool(*value),
        Value::I32(value) => serializer.serialize_i32(*value),
        Value::U32(value) => serializer.serialize_u32(*value),
        // JavaScript would round 64-bit numbers, so they travel as strings.
        Value::I64(value) => serializer.collect_str(value),
        Value::U64(value) => serializer.collect_str(value),
        Value::F32(value) if value.is_finite() => serializer.serialize_f32(*value),
        Value::F32(value) => serializer.serialize_str(not_finite(f64::from(*value))),
        Value::F64(value) if value.is_finite() => serializer.serialize_f64(*value),
        Value::F64(value) => serializer.serialize_str(not_finite(*value)),
        Value::String(value) => serializer.serialize_str(value),
        Value::Bytes(value) => serializer.collect_str(&Base64Display::new(value, &BASE64_STANDARD)),
        Value::EnumNumber(number) => enumeration(*number, kind, serializer),
        Value::Message(message) => Written { message, anys }.serialize(serializer),
        Value::List(_) | Value::Map(_) => Err(S::Error::custom("lists and maps don't nest")),
    }
}

/// By name; a number that this service has no name for stays one.
fn enumeration<S: Serializer>(number: i32, kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(ty) = kind.as_enum() else {
        return serializer.serialize_i32(number);
    };
    match ty.get_value(number) {
        _ if ty.full_name() == "google.protobuf.NullValue" => serializer.serialize_unit(),
        Some(value) => serializer.serialize_str(value.name()),
        None => serializer.serialize_i32(number),
    }
}

fn not_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

fn base64(bytes: &[u8]) -> String {
    Base64Display::new(bytes, &BASE64_STANDARD).to_string()
}
