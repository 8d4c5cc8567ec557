//! The types that expressions are checked with before they are ever run.

use std::fmt;

use prost_reflect::{Cardinality, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::value::is_wrapper;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    /// Known at run time only.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Message(MessageDescriptor),
    /// Of what `type(x)` gives.
    Kind,
}

impl Type {
    pub(crate) fn of_field(field: &FieldDescriptor) -> Self {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let of = |field: FieldDescriptor| Box::new(Self::of_kind(&field.kind()));
                Self::Map(of(entry.map_entry_key_field()), of(entry.map_entry_value_field()))
            }
            kind if field.is_list() => Self::List(Box::new(Self::of_kind(&kind))),
            kind => Self::of_kind(&kind),
        }
    }

    pub(crate) fn of_extension(extension: &ExtensionDescriptor) -> Self {
        let kind = Self::of_kind(&extension.kind());
        match extension.cardinality() {
            Cardinality::Repeated => Self::List(Box::new(kind)),
            Cardinality::Optional | Cardinality::Required => kind,
        }
    }

    pub(crate) fn of_kind(kind: &Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool,
            Kind::Int32
            | Kind::Sint32
            | Kind::Sfixed32
            | Kind::Int64
            | Kind::Sint64
            | Kind::Sfixed64
            | Kind::Enum(_) => Self::Int,
            Kind::Uint32 | Kind::Fixed32 | Kind::Uint64 | Kind::Fixed64 => Self::Uint,
            Kind::Float | Kind::Double => Self::Double,
            Kind::String => Self::String,
            Kind::Bytes => Self::Bytes,
            Kind::Message(message) => Self::of_message(message),
        }
    }

    pub(crate) fn of_message(message: &MessageDescriptor) -> Self {
        match message.full_name().strip_prefix("google.protobuf.") {
            Some("Timestamp") => Self::Timestamp,
            Some("Duration") => Self::Duration,
            Some("Struct") => Self::Map(Box::new(Self::String), Box::new(Self::Dyn)),
            Some("ListValue") => Self::List(Box::new(Self::Dyn)),
            // A wrapper is its value or null, the others are anything.
            Some(name) if is_wrapper(name) || matches!(name, "Value" | "Any") => Self::Dyn,
            _ => Self::Message(message.clone()),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether values of the two types can ever be equal.
    pub(crate) fn is_comparable_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) => a.is_comparable_with(b),
            (Self::Map(a, b), Self::Map(c, d)) => a.is_comparable_with(c) && b.is_comparable_with(d),
            // `this.nested == null` is asked a lot; it is false.
            (Self::Null, Self::Message(_) | Self::Timestamp | Self::Duration) => true,
            (Self::Message(_) | Self::Timestamp | Self::Duration, Self::Null) => true,
            (a, b) => a == b || a.is_number() && b.is_number(),
        }
    }

    /// The type of a value that is of the one or of the other.
    pub(crate) fn or(self, other: &Self) -> Self {
        match (self, other) {
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.or(b))),
            (Self::Map(a, b), Self::Map(c, d)) => Self::Map(Box::new(a.or(c)), Box::new(b.or(d))),
            (a, b) if a == *b => a,
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dyn => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Kind => "type",
            Self::List(of) => return write!(f, "list({of})"),
            Self::Map(key, value) => return write!(f, "map({key}, {value})"),
            Self::Message(message) => message.full_name(),
        })
    }
}
