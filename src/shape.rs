//! Shapes: what a message looks like, as data that outlives its proto.
//!
//! In: a `MessageDescriptor`. Out: a [`Shape`], everything that decides how recorded bytes and JSON of that message
//! are read: fields, types, presence, oneofs, reserved numbers, and the same for each message and enum that it
//! reaches, so that a change in a nested message is seen. `potter.lock` keeps the shapes that an event ever had; the
//! evolution rules compare them.
//!
//! A shape has one text, with a line per field, made to be read and to give small diffs:
//!
//! ```text
//! message .shop.OrderPlaced {
//!   1 string order_id
//!   2 repeated .shop.Line lines
//!   3 optional enum .shop.Channel channel
//!   reserved 4, 6 to 8, old_name
//! }
//! message .shop.Line {
//!   1 string sku
//!   2 uint32 quantity
//! }
//! enum .shop.Channel {
//!   0 CHANNEL_UNSPECIFIED
//!   1 CHANNEL_WEB
//! }
//! ```
//!
//! The shape's own message comes first, the others by name. Types of protobuf itself (`google.protobuf.Timestamp`
//! and the like) are named, not spelled out.

/// Lets serde write a type as its text and read it back.
macro_rules! serde_as_text {
    ($type:ident) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

pub(crate) mod rebuild;
pub(crate) mod text;
mod types;

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use sha2::{Digest, Sha256};

pub use text::MalformedShape;
pub use types::{Cardinality, EnumShape, FieldShape, MessageShape, Reserved, Scalar, TypeShape};

/// What the names of types begin with that never change.
const WELL_KNOWN: &str = "google.protobuf.";

/// What a message and all that it reaches look like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Full name of the message; always in [`Types::messages`].
    message: String,
    types: Types,
}

/// Messages and enums by full name.
///
/// Every name that a field refers to is in here, unless it is of protobuf itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Types {
    messages: BTreeMap<String, MessageShape>,
    enums: BTreeMap<String, EnumShape>,
}

impl Shape {
    /// The shape of `message`.
    pub fn of(message: &MessageDescriptor) -> Self {
        let name = message.full_name().to_owned();
        let mut types = Types::reached_from([message.clone()]);
        types.messages.entry(name.clone()).or_insert_with(|| MessageShape::of(message));
        Shape { message: name, types }
    }

    /// Full name of the message, without a leading dot.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The fields of the message itself.
    pub fn root(&self) -> &MessageShape {
        &self.types.messages[&self.message]
    }

    /// The message and all that it reaches.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the shape's text: names this shape, among those that an
    /// event had, and the schema of a snapshot.
    pub fn hash(&self) -> String {
        hash(&self.to_string())
    }
}

impl Types {
    /// What the messages look like, and those that they reach; well-known types are left out.
    pub fn reached_from(messages: impl IntoIterator<Item = MessageDescriptor>) -> Self {
        let mut types = Types::default();
        let mut waiting: Vec<_> = messages.into_iter().collect();
        while let Some(message) = waiting.pop() {
            if is_well_known(message.full_name()) || types.messages.contains_key(message.full_name()) {
                continue;
            }
            message.fields().for_each(|field| types.add_field_type(&field, &mut waiting));
            types.messages.insert(message.full_name().to_owned(), MessageShape::of(&message));
        }
        types
    }

    fn add_field_type(&mut self, field: &FieldDescriptor, waiting: &mut Vec<MessageDescriptor>) {
        match value_kind(field) {
            Kind::Message(message) => waiting.push(message),
            Kind::Enum(of) if !is_well_known(of.full_name()) => {
                self.enums.entry(of.full_name().to_owned()).or_insert_with(|| EnumShape::of(&of));
            }
            _ => {}
        }
    }

    /// Adds what only `other` has.
    pub fn unite(&mut self, other: Types) {
        for (name, message) in other.messages {
            self.messages.entry(name).or_insert(message);
        }
        for (name, of) in other.enums {
            self.enums.entry(name).or_insert(of);
        }
    }

    /// The shape of one of the messages: it, and of the others those that it reaches.
    pub fn shape_of(&self, name: &str) -> Option<Shape> {
        let mut types = Types::default();
        let mut waiting = vec![name];
        while let Some((name, message)) = waiting.pop().and_then(|it| self.messages.get_key_value(it)) {
            if types.messages.insert(name.clone(), message.clone()).is_some() {
                continue;
            }
            for ty in message.fields.values().map(|it| &it.ty) {
                waiting.extend(ty.message().filter(|it| self.messages.contains_key(*it)));
                if let TypeShape::Enum(of) = ty {
                    types.enums.extend(self.enums.get(of).map(|it| (of.clone(), it.clone())));
                }
            }
        }
        types.messages.contains_key(name).then(|| Shape { message: name.to_owned(), types })
    }

    /// The message of that full name.
    pub fn message(&self, name: &str) -> Option<&MessageShape> {
        self.messages.get(name)
    }

    /// The message of that full name, and the name as it is kept here.
    pub(crate) fn message_entry(&self, name: &str) -> Option<(&str, &MessageShape)> {
        self.messages.get_key_value(name).map(|(name, it)| (name.as_str(), it))
    }

    /// The enum of that full name.
    pub fn enumeration(&self, name: &str) -> Option<&EnumShape> {
        self.enums.get(name)
    }

    /// All messages, by name.
    pub fn messages(&self) -> impl Iterator<Item = (&str, &MessageShape)> {
        self.messages.iter().map(|(name, it)| (name.as_str(), it))
    }

    /// All enums, by name.
    pub fn enums(&self) -> impl Iterator<Item = (&str, &EnumShape)> {
        self.enums.iter().map(|(name, it)| (name.as_str(), it))
    }
}

impl MessageShape {
    fn of(message: &MessageDescriptor) -> Self {
        let numbers = message.reserved_ranges().map(|it| (i64::from(it.start), i64::from(it.end) - 1));
        MessageShape {
            fields: message.fields().map(|field| (field.number(), FieldShape::of(&field))).collect(),
            reserved: Reserved::new(numbers, message.reserved_names().map(str::to_owned)),
        }
    }
}

impl FieldShape {
    fn of(field: &FieldDescriptor) -> Self {
        FieldShape {
            name: field.name().to_owned(),
            json_name: field.json_name().to_owned(),
            cardinality: Cardinality::of(field),
            ty: TypeShape::of(&value_kind(field), field.is_group()),
            default: field.field_descriptor_proto().default_value.clone(),
        }
    }
}

impl Cardinality {
    fn of(field: &FieldDescriptor) -> Self {
        let oneof = field.containing_oneof().filter(|it| !it.is_synthetic());
        match oneof {
            Some(oneof) => Cardinality::Oneof(oneof.name().to_owned()),
            None if field.is_map() => Cardinality::Map(map_key(field)),
            None if field.is_list() => Cardinality::Repeated,
            None => match field.cardinality() {
                prost_reflect::Cardinality::Required => Cardinality::Required,
                _ if field.supports_presence() => Cardinality::Optional,
                _ => Cardinality::Implicit,
            },
        }
    }
}

impl TypeShape {
    fn of(kind: &Kind, is_group: bool) -> Self {
        match kind {
            Kind::Message(message) if is_group => TypeShape::Group(message.full_name().to_owned()),
            Kind::Message(message) => TypeShape::Message(message.full_name().to_owned()),
            Kind::Enum(of) => TypeShape::Enum(of.full_name().to_owned()),
            scalar => TypeShape::Scalar(Scalar::of(scalar).expect("what is neither message nor enum is a scalar")),
        }
    }
}

impl EnumShape {
    fn of(descriptor: &EnumDescriptor) -> Self {
        let mut values: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        // The library gives values sorted by number, and aliases in any order; the first one is the name in JSON.
        for value in &descriptor.enum_descriptor_proto().value {
            values.entry(value.number()).or_default().push(value.name().to_owned());
        }
        let numbers = descriptor.reserved_ranges().map(|it| (i64::from(*it.start()), i64::from(*it.end())));
        EnumShape { values, reserved: Reserved::new(numbers, descriptor.reserved_names().map(str::to_owned)) }
    }
}

impl Scalar {
    fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Double => Scalar::Double,
            Kind::Float => Scalar::Float,
            Kind::Int32 => Scalar::Int32,
            Kind::Int64 => Scalar::Int64,
            Kind::Uint32 => Scalar::Uint32,
            Kind::Uint64 => Scalar::Uint64,
            Kind::Sint32 => Scalar::Sint32,
            Kind::Sint64 => Scalar::Sint64,
            Kind::Fixed32 => Scalar::Fixed32,
            Kind::Fixed64 => Scalar::Fixed64,
            Kind::Sfixed32 => Scalar::Sfixed32,
            Kind::Sfixed64 => Scalar::Sfixed64,
            Kind::Bool => Scalar::Bool,
            Kind::String => Scalar::String,
            Kind::Bytes => Scalar::Bytes,
            Kind::Message(_) | Kind::Enum(_) => return None,
        })
    }
}

/// The type of a field; of its values, if it is a map.
fn value_kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

fn map_key(field: &FieldDescriptor) -> Scalar {
    let key = field.kind().as_message().and_then(|entry| Scalar::of(&entry.map_entry_key_field().kind()));
    key.expect("the key of a map is a scalar")
}

/// Whether a type is of protobuf itself.
pub(crate) fn is_well_known(full_name: &str) -> bool {
    full_name.starts_with(WELL_KNOWN)
}

/// The first 16 hexadecimal digits of the SHA-256 of `text`.
pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
