//! Rust types of proto fields, as prost makes them.

use std::collections::BTreeSet;

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

/// The type of one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `bool`
    Bool,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `String`
    String,
    /// `Vec<u8>`
    Bytes,
    /// `()`, for `google.protobuf.Empty`.
    Unit,
    /// `i32`, the number of a value.
    Enum(EnumDescriptor),
    /// A struct.
    Message(MessageDescriptor),
}

/// How a struct holds values of that type.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// `T`
    Plain,
    /// `Option<T>`
    Option,
    /// `Option<Box<T>>`
    Boxed,
    /// `Vec<T>`
    List,
    /// `BTreeMap<K, T>`
    Map(Item),
}

/// The type of a struct's field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldType {
    /// Of one value.
    pub item: Item,
    /// Around it.
    pub shape: Shape,
}

impl FieldType {
    /// The type of a field; for one in a oneof, that of its variant.
    pub fn of(field: &FieldDescriptor) -> Self {
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let key = item(&entry.map_entry_key_field().kind());
            return Self { item: item(&entry.map_entry_value_field().kind()), shape: Shape::Map(key) };
        }
        let in_oneof = field.containing_oneof().is_some_and(|it| !it.is_synthetic());
        let shape = match (field.cardinality(), field.kind()) {
            (Cardinality::Repeated, _) => Shape::List,
            (Cardinality::Required, _) => Shape::Plain,
            _ if in_oneof => Shape::Plain,
            (_, Kind::Message(message)) if is_within(field.parent_message(), &message) => Shape::Boxed,
            (_, Kind::Message(_)) => Shape::Option,
            _ if field.supports_presence() => Shape::Option,
            _ => Shape::Plain,
        };
        Self { item: item(&field.kind()), shape }
    }

    /// Whether values are `Copy`.
    pub fn is_copy(&self) -> bool {
        matches!(self.shape, Shape::Plain | Shape::Option) && self.item.is_copy()
    }

    /// Whether it is a whole `T` or an `Option<T>`.
    pub fn is_single(&self) -> bool {
        matches!(self.shape, Shape::Plain | Shape::Option | Shape::Boxed)
    }
}

impl Item {
    /// What a message is in Rust: a wrapper is what it wraps.
    pub fn of_message(message: &MessageDescriptor) -> Self {
        match message.full_name() {
            "google.protobuf.BoolValue" => Self::Bool,
            "google.protobuf.BytesValue" => Self::Bytes,
            "google.protobuf.DoubleValue" => Self::F64,
            "google.protobuf.Empty" => Self::Unit,
            "google.protobuf.FloatValue" => Self::F32,
            "google.protobuf.Int32Value" => Self::I32,
            "google.protobuf.Int64Value" => Self::I64,
            "google.protobuf.StringValue" => Self::String,
            "google.protobuf.UInt32Value" => Self::U32,
            "google.protobuf.UInt64Value" => Self::U64,
            _ => Self::Message(message.clone()),
        }
    }

    /// Whether it is this well-known type.
    pub fn is_known(&self, name: &str) -> bool {
        matches!(self, Self::Message(it) if it.full_name().strip_prefix("google.protobuf.") == Some(name))
    }

    fn is_copy(&self) -> bool {
        match self {
            Self::String | Self::Bytes => false,
            Self::Message(message) => is_message_copy(message),
            _ => true,
        }
    }
}

fn item(kind: &Kind) -> Item {
    match kind {
        Kind::Bool => Item::Bool,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Item::I32,
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Item::I64,
        Kind::Uint32 | Kind::Fixed32 => Item::U32,
        Kind::Uint64 | Kind::Fixed64 => Item::U64,
        Kind::Float => Item::F32,
        Kind::Double => Item::F64,
        Kind::String => Item::String,
        Kind::Bytes => Item::Bytes,
        Kind::Enum(enumeration) => Item::Enum(enumeration.clone()),
        Kind::Message(message) => Item::of_message(message),
    }
}

/// Whether prost derives `Copy` for a message.
pub fn is_message_copy(message: &MessageDescriptor) -> bool {
    message.fields().all(|field| match field.kind() {
        _ if field.is_list() || field.is_map() => false,
        Kind::String | Kind::Bytes => false,
        Kind::Message(inner) => !is_within(message, &inner) && is_message_copy(&inner),
        _ => true,
    })
}

/// Whether a struct of `outer` holds one of `inner` that could hold the outer one again, so that prost boxes it.
fn is_within(outer: &MessageDescriptor, inner: &MessageDescriptor) -> bool {
    fn reaches(from: &MessageDescriptor, to: &MessageDescriptor, seen: &mut BTreeSet<String>) -> bool {
        from == to
            || seen.insert(from.full_name().to_owned())
                && from.fields().any(|field| match field.kind() {
                    Kind::Message(next) if !field.is_list() && !field.is_map() => reaches(&next, to, seen),
                    _ => false,
                })
    }
    reaches(inner, outer, &mut BTreeSet::new())
}

/// The fields of a message that are fields of its struct, in the order of their numbers: those outside of oneofs.
pub fn struct_fields(message: &MessageDescriptor) -> impl Iterator<Item = FieldDescriptor> + '_ {
    message.fields().filter(|it| it.containing_oneof().is_none_or(|oneof| oneof.is_synthetic()))
}

/// How many fields the struct of a message has.
pub fn struct_size(message: &MessageDescriptor) -> usize {
    struct_fields(message).count() + message.oneofs().filter(|it| !it.is_synthetic()).count()
}
