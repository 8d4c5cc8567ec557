//! An encoded message as the fields that it is made of, those unknown included.

use prost::{
    bytes::Buf,
    encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint},
};

/// Fields in the order in which they were encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raw {
    fields: Vec<(u32, Value)>,
}

/// The value of a field. Groups are not among them: `descriptor.proto` has none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(Vec<u8>),
    Fixed32([u8; 4]),
}

impl Raw {
    /// Takes a message apart; `None` if it is none.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while bytes.has_remaining() {
            let (tag, wire_type) = decode_key(&mut bytes).ok()?;
            let value = match wire_type {
                WireType::Varint => Value::Varint(decode_varint(&mut bytes).ok()?),
                WireType::SixtyFourBit => Value::Fixed64(take(&mut bytes, 8)?.try_into().ok()?),
                WireType::ThirtyTwoBit => Value::Fixed32(take(&mut bytes, 4)?.try_into().ok()?),
                WireType::LengthDelimited => {
                    let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
                    Value::Bytes(take(&mut bytes, length)?.to_vec())
                }
                WireType::StartGroup | WireType::EndGroup => return None,
            };
            fields.push((tag, value));
        }
        Some(Raw { fields })
    }

    /// Puts the message together again.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, value) in &self.fields {
            match value {
                Value::Varint(it) => {
                    encode_key(*tag, WireType::Varint, &mut bytes);
                    encode_varint(*it, &mut bytes);
                }
                Value::Fixed64(it) => {
                    encode_key(*tag, WireType::SixtyFourBit, &mut bytes);
                    bytes.extend_from_slice(it);
                }
                Value::Fixed32(it) => {
                    encode_key(*tag, WireType::ThirtyTwoBit, &mut bytes);
                    bytes.extend_from_slice(it);
                }
                Value::Bytes(it) => {
                    encode_key(*tag, WireType::LengthDelimited, &mut bytes);
                    encode_varint(it.len() as u64, &mut bytes);
                    bytes.extend_from_slice(it);
                }
            }
        }
        bytes
    }

    /// The number of a field, the last one if there are several.
    pub fn number(&self, tag: u32) -> Option<u64> {
        self.fields.iter().rev().find_map(|(it, value)| match value {
            Value::Varint(number) if *it == tag => Some(*number),
            _ => None,
        })
    }

    /// All that is length-delimited under a tag.
    pub fn bytes(&self, tag: u32) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter_map(move |(it, value)| match value {
            Value::Bytes(bytes) if *it == tag => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// The text of a field; empty if there is none.
    pub fn text(&self, tag: u32) -> String {
        self.bytes(tag).last().map(|it| String::from_utf8_lossy(it).into_owned()).unwrap_or_default()
    }

    /// The messages of a repeated field; what is none comes out empty.
    pub fn children(&self, tag: u32) -> impl Iterator<Item = Raw> {
        self.bytes(tag).map(|it| Raw::decode(it).unwrap_or_default())
    }

    /// The message of a field, its parts merged if it was encoded in several; empty if there is none.
    pub fn child(&self, tag: u32) -> Raw {
        Raw { fields: self.children(tag).flat_map(|it| it.fields).collect() }
    }

    /// Changes each message of a repeated field; what is none stays as it is.
    pub fn edit(&mut self, tag: u32, mut edit: impl FnMut(&mut Raw)) {
        for (it, value) in &mut self.fields {
            if let Value::Bytes(bytes) = value
                && *it == tag
                && let Some(mut child) = Raw::decode(bytes)
            {
                edit(&mut child);
                *bytes = child.encode();
            }
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, tag: u32) {
        self.fields.retain(|(it, _)| *it != tag);
    }

    /// Adds a string, bytes or an encoded message.
    pub fn push_bytes(&mut self, tag: u32, bytes: Vec<u8>) {
        self.fields.push((tag, Value::Bytes(bytes)));
    }

    /// Sets a number.
    pub fn set_number(&mut self, tag: u32, number: u64) {
        self.remove(tag);
        self.fields.push((tag, Value::Varint(number)));
    }

    /// Sets a message; an empty one is left out.
    pub fn set_child(&mut self, tag: u32, child: Raw) {
        self.remove(tag);
        if !child.fields.is_empty() {
            self.push_bytes(tag, child.encode());
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
