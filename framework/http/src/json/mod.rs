//! Canonical proto3 JSON, both ways, for messages that are known by their descriptors only.
//!
//! [`read`] takes JSON text to a [`DynamicMessage`]; what is wrong comes back as violations that name the field.
//! [`Written`] is the way out. Both follow <https://protobuf.dev/programming-guides/json/>; names are camelCase on
//! the way out and either spelling on the way in; default values are written, absent optionals are left out.
//!
//! prost-reflect's own serde support is used where it is strict enough (times, masks); what it cannot do is done
//! here: name the field, refuse duplicates, write maps in order, survive an `Any` of a type that nobody knows.

mod leaf;
mod read;
mod tree;
mod well_known;
mod write;

use potter_core::failure::FieldViolation;
use prost_reflect::{DynamicMessage, MessageDescriptor};

pub(crate) use leaf::Wrong;
pub(crate) use read::{Reader, field_named, is_text, text_value};
pub(crate) use tree::{Json, parse};
pub use write::Written;
pub(crate) use write::WrittenField;

/// How deep messages may nest in a request: prost refuses to decode more than 100, and replies and events wrap what
/// a request carries.
pub(crate) const MAX_DEPTH: usize = 90;

/// Reads a message.
///
/// # Errors
/// Everything that is wrong with it, up to a limit.
pub fn read(ty: &MessageDescriptor, json: &[u8]) -> Result<DynamicMessage, Vec<FieldViolation>> {
    let tree = parse(json).map_err(|violation| vec![violation])?;
    let mut reader = Reader::default();
    let message = reader.message(ty, tree);
    reader.finish(message)
}
