//! Fields: which one carries the identity, which ones SQL can hold.

use heck::ToSnakeCase;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage};

use super::{Column, ColumnType};
use crate::options;

/// The field of a message that carries an identity.
pub(super) enum IdField {
    Found(FieldDescriptor),
    /// It is there, but isn't a plain string.
    WrongType(FieldDescriptor),
    /// More than one is marked; the second one.
    Several(FieldDescriptor),
    Missing,
}

impl IdField {
    pub fn found(self) -> Option<FieldDescriptor> {
        match self {
            IdField::Found(field) => Some(field),
            _ => None,
        }
    }
}

/// Finds the identity of one of `owners` in a message: `(potter.field).id`, else `id`, else `<owner>_id`, else a
/// field named like the owner's own identity.
pub(super) fn id_field(message: &MessageDescriptor, owners: &[&str], own: Option<&FieldDescriptor>) -> IdField {
    let marked: Vec<_> = message.fields().filter(|it| options::field(it).is_some_and(|it| it.id)).collect();
    match marked.as_slice() {
        [] => {}
        [one] => return judge(one.clone()),
        [_, second, ..] => return IdField::Several(second.clone()),
    }
    let names = std::iter::once("id".to_owned())
        .chain(owners.iter().map(|owner| format!("{}_id", owner.to_snake_case())))
        .chain(own.map(|it| it.name().to_owned()));
    let candidates: Vec<_> = names.filter_map(|name| message.get_field_by_name(&name)).collect();
    match candidates.iter().find(|it| is_plain_string(it)).or(candidates.first()) {
        Some(field) => judge(field.clone()),
        None => IdField::Missing,
    }
}

fn judge(field: FieldDescriptor) -> IdField {
    if is_plain_string(&field) { IdField::Found(field) } else { IdField::WrongType(field) }
}

fn is_plain_string(field: &FieldDescriptor) -> bool {
    field.kind() == Kind::String && !field.is_list() && !in_oneof(field)
}

/// Whether the field is one of several of which only one is set; `optional` is not.
pub(super) fn in_oneof(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|it| !it.is_synthetic())
}

/// How a field's type is written in a proto.
pub(super) fn type_name(field: &FieldDescriptor) -> String {
    let kind = |kind: &Kind| match kind {
        Kind::Message(it) => it.full_name().to_owned(),
        Kind::Enum(it) => it.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    };
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            format!(
                "map<{}, {}>",
                kind(&entry.map_entry_key_field().kind()),
                kind(&entry.map_entry_value_field().kind())
            )
        }
        it if field.is_list() => format!("repeated {}", kind(&it)),
        it if in_oneof(field) => format!("{} in a oneof", kind(&it)),
        it => kind(&it),
    }
}

/// The columns of a table with such rows, the key left out.
pub(super) fn columns(row: &MessageDescriptor, key: Option<&FieldDescriptor>) -> Vec<Column> {
    row.fields().filter(|it| Some(it) != key).filter_map(|it| column(&it)).collect()
}

fn column(field: &FieldDescriptor) -> Option<Column> {
    let ty = column_type(field)?;
    let marks = options::field(field).unwrap_or_default();
    Some(Column {
        field: field.clone(),
        ty,
        nullable: field.supports_presence() && !field.is_required(),
        indexed: marks.index,
        unique: marks.unique,
    })
}

/// The type in SQL; `None` for lists, maps and messages.
pub(super) fn column_type(field: &FieldDescriptor) -> Option<ColumnType> {
    if field.is_list() || field.is_map() {
        return None;
    }
    match field.kind() {
        Kind::Message(message) => message_type(message.full_name()),
        scalar => Some(scalar_type(&scalar)),
    }
}

fn scalar_type(kind: &Kind) -> ColumnType {
    match kind {
        Kind::Bool => ColumnType::Bool,
        Kind::Float | Kind::Double => ColumnType::Real,
        Kind::String => ColumnType::Text,
        Kind::Bytes => ColumnType::Bytes,
        _ => ColumnType::Integer,
    }
}

fn message_type(full_name: &str) -> Option<ColumnType> {
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "Timestamp" => ColumnType::Timestamp,
        "Duration" => ColumnType::Duration,
        "BoolValue" => ColumnType::Bool,
        "Int32Value" | "Int64Value" | "UInt32Value" | "UInt64Value" => ColumnType::Integer,
        "FloatValue" | "DoubleValue" => ColumnType::Real,
        "StringValue" => ColumnType::Text,
        "BytesValue" => ColumnType::Bytes,
        _ => return None,
    })
}

/// Whether `json` is a value of the field in canonical proto3 JSON; if not, why.
pub(super) fn check_default(field: &FieldDescriptor, json: &str) -> Result<(), String> {
    let value: serde_json::Value = serde_json::from_str(json).map_err(|_| format!("`{json}` is no JSON"))?;
    let object = serde_json::Value::Object([(field.json_name().to_owned(), value)].into_iter().collect());
    let message = DynamicMessage::deserialize(field.parent_message().clone(), object).map_err(|it| it.to_string())?;
    debug_assert_eq!(message.descriptor().full_name(), field.parent_message().full_name());
    Ok(())
}

/// Whether two fields hold the same kind of value.
pub(super) fn same_type(a: &FieldDescriptor, b: &FieldDescriptor) -> bool {
    a.kind() == b.kind() && a.is_list() == b.is_list() && a.is_map() == b.is_map()
}

/// Whether every field of `copy` is a field of `row`, by name and type: a flat copy of it, or of a part of it.
pub(super) fn is_flat_copy(copy: &MessageDescriptor, row: &MessageDescriptor) -> bool {
    copy.fields().len() > 0
        && copy.fields().all(|it| row.get_field_by_name(it.name()).is_some_and(|own| same_type(&it, &own)))
}

/// A singular field whose type is a message.
pub(super) fn nested(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_map() => Some(message),
        _ => None,
    }
}
