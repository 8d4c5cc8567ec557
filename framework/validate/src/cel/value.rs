//! The values that expressions compute with.
//!
//! A value borrows from the message under validation (`'a`) wherever it can: reading a field copies nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value as Field};

use super::time::{Duration, Timestamp};

#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Duration(Duration),
    Timestamp(Timestamp),
    List(List<'a>),
    Map(Map<'a>),
    Message(Message<'a>),
    /// The name of a type, as `type(this)` gives it.
    Type(Cow<'static, str>),
}

#[derive(Clone, Debug)]
pub(crate) enum List<'a> {
    Field(&'a [Field]),
    Values(Arc<[Value<'a>]>),
}

#[derive(Clone, Debug)]
pub(crate) enum Map<'a> {
    Field(&'a HashMap<MapKey, Field>),
    Entries(Arc<[(Value<'a>, Value<'a>)]>),
}

#[derive(Clone, Debug)]
pub(crate) enum Message<'a> {
    Borrowed(&'a DynamicMessage),
    Owned(Arc<DynamicMessage>),
    /// Of a field that isn't set: all its fields have their defaults, and nothing needs to be built for that.
    Unset(MessageDescriptor),
}

impl<'a> Value<'a> {
    pub(crate) fn of(field: &'a Field) -> Self {
        match field {
            Field::Bool(it) => Self::Bool(*it),
            Field::I32(it) | Field::EnumNumber(it) => Self::Int(i64::from(*it)),
            Field::I64(it) => Self::Int(*it),
            Field::U32(it) => Self::Uint(u64::from(*it)),
            Field::U64(it) => Self::Uint(*it),
            Field::F32(it) => Self::Double(f64::from(*it)),
            Field::F64(it) => Self::Double(*it),
            Field::String(it) => Self::String(Cow::Borrowed(it)),
            Field::Bytes(it) => Self::Bytes(Cow::Borrowed(it)),
            Field::Message(it) => Self::of_message(it),
            Field::List(it) => Self::List(List::Field(it)),
            Field::Map(it) => Self::Map(Map::Field(it)),
        }
    }

    pub(crate) fn of_key(key: &'a MapKey) -> Self {
        match key {
            MapKey::Bool(it) => Self::Bool(*it),
            MapKey::I32(it) => Self::Int(i64::from(*it)),
            MapKey::I64(it) => Self::Int(*it),
            MapKey::U32(it) => Self::Uint(u64::from(*it)),
            MapKey::U64(it) => Self::Uint(*it),
            MapKey::String(it) => Self::String(Cow::Borrowed(it)),
        }
    }

    /// The well-known types are what they stand for, everything else is a message.
    pub(crate) fn of_message(message: &'a DynamicMessage) -> Self {
        let descriptor = message.descriptor();
        let Some(name) = descriptor.full_name().strip_prefix("google.protobuf.") else {
            return Self::Message(Message::Borrowed(message));
        };
        match name {
            "Timestamp" => Self::Timestamp(Timestamp::new(int(message, 1), nanos(message))),
            "Duration" => Self::Duration(Duration::new(int(message, 1), nanos(message))),
            name if is_wrapper(name) => by_number(message, 1),
            "Struct" => match by_number(message, 1) {
                Value::Map(it) => Self::Map(Map::Entries(it.entries().collect())),
                other => other,
            },
            "ListValue" => by_number(message, 1),
            "Value" => message.fields().next().map_or(Self::Null, |(field, it)| match field.number() {
                1 => Self::Null,
                _ => Self::of(it),
            }),
            "Any" => packed(message).map_or(Self::Message(Message::Borrowed(message)), |it| match it {
                // One wrapping only: a request could nest them until the stack ends.
                it if it.descriptor().full_name() == descriptor.full_name() => {
                    Self::Message(Message::Owned(Arc::new(it)))
                }
                it => Value::of_message(&it).into_static(),
            }),
            _ => Self::Message(Message::Borrowed(message)),
        }
    }

    /// What reading a field gives that isn't set.
    pub(crate) fn unset(field: &FieldDescriptor) -> Value<'static> {
        match field.kind() {
            Kind::Message(message) if !field.is_list() && !field.is_map() => Self::unset_message(message),
            _ => Value::of(&field.default_value()).into_static(),
        }
    }

    fn unset_message(descriptor: MessageDescriptor) -> Value<'static> {
        match descriptor.full_name().strip_prefix("google.protobuf.") {
            Some("Timestamp") => Value::Timestamp(Timestamp::new(0, 0)),
            Some("Duration") => Value::Duration(Duration::new(0, 0)),
            Some("Struct") => Value::Map(Map::Entries(Arc::default())),
            Some("ListValue") => Value::List(List::Values(Arc::default())),
            Some(name) if is_wrapper(name) || matches!(name, "Value" | "Any") => Value::Null,
            _ => Value::Message(Message::Unset(descriptor)),
        }
    }

    /// The same value, borrowing the text and bytes of this one.
    pub(crate) fn borrowed(&'a self) -> Value<'a> {
        match self {
            Self::String(it) => Self::String(Cow::Borrowed(it)),
            Self::Bytes(it) => Self::Bytes(Cow::Borrowed(it)),
            Self::Message(Message::Owned(it)) => Self::Message(Message::Borrowed(it)),
            other => other.clone(),
        }
    }

    /// The same value with nothing borrowed, for keeping.
    pub(crate) fn into_static(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(it) => Value::Bool(it),
            Self::Int(it) => Value::Int(it),
            Self::Uint(it) => Value::Uint(it),
            Self::Double(it) => Value::Double(it),
            Self::String(it) => Value::String(Cow::Owned(it.into_owned())),
            Self::Bytes(it) => Value::Bytes(Cow::Owned(it.into_owned())),
            Self::Duration(it) => Value::Duration(it),
            Self::Timestamp(it) => Value::Timestamp(it),
            Self::List(it) => Value::List(List::Values(it.iter().map(Value::into_static).collect())),
            Self::Map(it) => {
                let entries = it.entries().map(|(key, value)| (key.into_static(), value.into_static()));
                Value::Map(Map::Entries(entries.collect()))
            }
            Self::Message(it) => Value::Message(it.into_static()),
            Self::Type(it) => Value::Type(it),
        }
    }

    pub(crate) fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Message(it) => return Cow::Owned(it.descriptor().full_name().to_owned()),
            Self::Type(_) => "type",
        })
    }

    /// The order of two values of one kind; numbers of different kinds compare by what they count.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::String(a), Self::String(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Double(a), b) => Some(compare_double(*a, b.whole_number()?)?),
            (a, Self::Double(b)) => Some(compare_double(*b, a.whole_number()?)?.reverse()),
            (a, b) => Some(a.whole_number()?.cmp(&b.whole_number()?)),
        }
    }

    fn whole_number(&self) -> Option<i128> {
        match self {
            Self::Int(it) => Some(i128::from(*it)),
            Self::Uint(it) => Some(i128::from(*it)),
            _ => None,
        }
    }
}

/// Without rounding the whole number to a double first, which would make neighbours equal.
fn compare_double(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates, far beyond every 64 bit number")]
    let floor = double.floor() as i128;
    Some(floor.cmp(&whole).then(if double > double.floor() { Ordering::Greater } else { Ordering::Equal }))
}

/// CEL's equality: values of different kinds are not equal, except numbers that count the same.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a == b),
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len() && a.entries().all(|(key, value)| b.get(&key).is_some_and(|it| it == value))
            }
            (Self::Message(a), Self::Message(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Field(it) => it.len(),
            Self::Values(it) => it.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Field(it) => it.get(index).map(Value::of),
            Self::Values(it) => it.get(index).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Value<'a>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Map<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Field(it) => it.len(),
            Self::Entries(it) => it.len(),
        }
    }

    pub(crate) fn entries(&self) -> Box<dyn Iterator<Item = (Value<'a>, Value<'a>)> + '_> {
        match self {
            Self::Field(it) => Box::new(it.iter().map(|(key, value)| (Value::of_key(key), Value::of(value)))),
            Self::Entries(it) => Box::new(it.iter().cloned()),
        }
    }

    pub(crate) fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match self {
            Self::Field(it) => map_keys(key).into_iter().flatten().find_map(|key| it.get(&key)).map(Value::of),
            Self::Entries(it) => it.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone()),
        }
    }
}

/// The keys of a map field that equal `key`. Which width of integer the map has cannot be seen from outside.
fn map_keys(key: &Value<'_>) -> [Option<MapKey>; 4] {
    let number = match key {
        Value::Bool(it) => return [Some(MapKey::Bool(*it)), None, None, None],
        Value::String(it) => return [Some(MapKey::String(it.clone().into_owned())), None, None, None],
        #[allow(clippy::cast_possible_truncation, reason = "only whole numbers, and the cast saturates")]
        Value::Double(it) if it.fract() == 0.0 => *it as i128,
        other => match other.whole_number() {
            Some(number) => number,
            None => return [const { None }; 4],
        },
    };
    [
        i32::try_from(number).ok().map(MapKey::I32),
        i64::try_from(number).ok().map(MapKey::I64),
        u32::try_from(number).ok().map(MapKey::U32),
        u64::try_from(number).ok().map(MapKey::U64),
    ]
}

impl<'a> Message<'a> {
    pub(crate) fn descriptor(&self) -> MessageDescriptor {
        match self {
            Self::Borrowed(it) => it.descriptor(),
            Self::Owned(it) => it.descriptor(),
            Self::Unset(it) => it.clone(),
        }
    }

    pub(crate) fn has(&self, field: &FieldDescriptor) -> bool {
        match self {
            Self::Borrowed(it) => it.has_field(field),
            Self::Owned(it) => it.has_field(field),
            Self::Unset(_) => false,
        }
    }

    pub(crate) fn get(&self, field: &FieldDescriptor) -> Value<'a> {
        match self {
            Self::Borrowed(it) => match it.get_field(field) {
                Cow::Borrowed(value) => Value::of(value),
                Cow::Owned(_) => Value::unset(field),
            },
            Self::Owned(it) => match it.get_field(field) {
                Cow::Borrowed(value) => Value::of(value).into_static(),
                Cow::Owned(_) => Value::unset(field),
            },
            Self::Unset(_) => Value::unset(field),
        }
    }

    fn into_static(self) -> Message<'static> {
        match self {
            Self::Borrowed(it) => Message::Owned(Arc::new(it.clone())),
            Self::Owned(it) => Message::Owned(it),
            Self::Unset(it) => Message::Unset(it),
        }
    }

    fn fields(&self) -> Vec<(u32, Value<'_>)> {
        let message = match self {
            Self::Borrowed(it) => it,
            Self::Owned(it) => it.as_ref(),
            Self::Unset(_) => return Vec::new(),
        };
        message.fields().map(|(field, value)| (field.number(), Value::of(value))).collect()
    }
}

/// By the fields that are set: a message can also hold a default that was sent explicitly.
impl PartialEq for Message<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.descriptor().full_name() == other.descriptor().full_name() && self.fields() == other.fields()
    }
}

/// Whether `google.protobuf.<name>` is a scalar with presence.
pub(crate) fn is_wrapper(name: &str) -> bool {
    let scalar = name.strip_suffix("Value").unwrap_or_default();
    matches!(scalar, "Double" | "Float" | "Int64" | "UInt64" | "Int32" | "UInt32" | "Bool" | "String" | "Bytes")
}

fn by_number(message: &DynamicMessage, number: u32) -> Value<'_> {
    match message.get_field_by_number(number) {
        Some(Cow::Borrowed(value)) => Value::of(value),
        Some(Cow::Owned(value)) => Value::of(&value).into_static(),
        None => Value::Null,
    }
}

fn int(message: &DynamicMessage, number: u32) -> i64 {
    match by_number(message, number) {
        Value::Int(it) => it,
        _ => 0,
    }
}

fn nanos(message: &DynamicMessage) -> i32 {
    i32::try_from(int(message, 2)).unwrap_or_default()
}

/// The message in an Any, when its type is known.
fn packed(any: &DynamicMessage) -> Option<DynamicMessage> {
    let (Value::String(url), Value::Bytes(bytes)) = (by_number(any, 1), by_number(any, 2)) else {
        return None;
    };
    let name = url.rsplit('/').next()?;
    let descriptor = any.descriptor().parent_pool().get_message_by_name(name)?;
    DynamicMessage::decode(descriptor, bytes.as_ref()).ok()
}
