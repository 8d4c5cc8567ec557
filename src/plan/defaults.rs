//! Defaults that annotations give, from JSON to Rust.

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, MapKey, ReflectMessage, Value};

use super::{
    copy,
    imports::Imports,
    types::{FieldType, Item, Shape, struct_fields, struct_size},
};
use crate::rust::Expr;

/// A literal for a field from its default in canonical JSON; none for what the model has refused already, and for
/// what has no short literal.
pub fn default_literal(field: &FieldDescriptor, json: &str, imports: &mut Imports<'_>) -> Option<Expr> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let object = serde_json::Value::Object([(field.json_name().to_owned(), value)].into_iter().collect());
    let message = DynamicMessage::deserialize(field.parent_message().clone(), object).ok()?;
    field_literal(field, &message.get_field(field), imports)
}

fn field_literal(field: &FieldDescriptor, value: &Value, imports: &mut Imports<'_>) -> Option<Expr> {
    let ty = FieldType::of(field);
    match (&ty.shape, value) {
        (Shape::List, Value::List(values)) => {
            let items: Option<Vec<_>> = values.iter().map(|it| item_literal(&ty.item, it, imports)).collect();
            Some(Expr::Macro("vec".to_owned(), items?))
        }
        (Shape::Map(key), Value::Map(entries)) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| format!("{key:?}"));
            let pair = |(map_key, value): (&MapKey, &Value)| {
                let key = scalar_literal(key, &map_key.clone().into(), imports)?;
                Some(Expr::call("", [key, item_literal(&ty.item, value, imports)?]))
            };
            let pairs: Option<Vec<_>> = entries.into_iter().map(pair).collect();
            Some(Expr::Array(pairs?).method("into", []))
        }
        (Shape::Option, value) => Some(Expr::call("Some", [item_literal(&ty.item, value, imports)?])),
        (Shape::Plain, value) => item_literal(&ty.item, value, imports),
        _ => None,
    }
}

fn item_literal(item: &Item, value: &Value, imports: &mut Imports<'_>) -> Option<Expr> {
    match (item, value) {
        (Item::Message(_), Value::Message(message)) => message_literal(message, imports),
        // A wrapper is what it wraps.
        (_, Value::Message(message)) => {
            let field = message.descriptor().get_field_by_name("value")?;
            scalar_literal(item, &message.get_field(&field), imports)
        }
        _ => scalar_literal(item, value, imports),
    }
}

/// Messages of the module and well-known ones alike; without oneofs, which defaults needn't have.
fn message_literal(message: &DynamicMessage, imports: &mut Imports<'_>) -> Option<Expr> {
    let descriptor = message.descriptor();
    let known = descriptor.full_name().strip_prefix("google.protobuf.");
    let is_known = matches!(known, Some("Duration" | "Timestamp"));
    if known.is_some() && !is_known {
        return None;
    }
    let path = imports.item(&Item::Message(descriptor.clone()));
    if message.fields().any(|(field, _)| field.containing_oneof().is_some_and(|it| !it.is_synthetic())) {
        return None;
    }
    let mut fields = Vec::new();
    for field in struct_fields(&descriptor).filter(|it| message.has_field(it)) {
        let ident = known.map_or_else(|| imports.names().field(&field).to_owned(), |_| field.name().to_owned());
        fields.push((ident, field_literal(&field, &message.get_field(&field), imports)?));
    }
    Some(copy::with_rest(path, fields, struct_size(&descriptor)))
}

fn scalar_literal(item: &Item, value: &Value, imports: &mut Imports<'_>) -> Option<Expr> {
    Some(match (item, value) {
        (Item::Enum(enumeration), Value::EnumNumber(it)) => enum_literal(enumeration, *it, imports),
        (_, Value::Bool(it)) => Expr::text(it.to_string()),
        (_, Value::I32(it)) => Expr::text(it.to_string()),
        (_, Value::I64(it)) => Expr::text(it.to_string()),
        (_, Value::U32(it)) => Expr::text(it.to_string()),
        (_, Value::U64(it)) => Expr::text(it.to_string()),
        (_, Value::F32(it)) if it.is_finite() => Expr::text(format!("{it:?}")),
        (_, Value::F64(it)) if it.is_finite() => Expr::text(format!("{it:?}")),
        (_, Value::String(it)) => Expr::string(it).method("to_owned", []),
        (_, Value::Bytes(it)) => {
            Expr::Macro("vec".to_owned(), it.iter().map(|byte| Expr::text(byte.to_string())).collect())
        }
        _ => return None,
    })
}

/// The number of an enum's value, by its name if it has one.
pub fn enum_literal(enumeration: &EnumDescriptor, number: i32, imports: &mut Imports<'_>) -> Expr {
    let path = imports.names().enumeration(enumeration).cloned();
    match (path, enumeration.get_value(number)) {
        (Some(path), Some(value)) => {
            let variant = imports.names().value(&value).to_owned();
            Expr::text(format!("{}::{variant}", imports.path(&path))).method("into", [])
        }
        _ => Expr::text(number.to_string()),
    }
}

/// How it is asked whether a field was left unset, where unset is a value like any other. Not for yes and no, of
/// which one can't be told from unset.
pub fn unset_test(field: &FieldDescriptor, expr: &str) -> Option<String> {
    let ty = FieldType::of(field);
    match (&ty.shape, &ty.item) {
        (Shape::List | Shape::Map(_), _) => Some(format!("{expr}.is_empty()")),
        (Shape::Plain, Item::String | Item::Bytes) => Some(format!("{expr}.is_empty()")),
        (Shape::Plain, Item::F32 | Item::F64) => Some(format!("{expr} == 0.0")),
        (Shape::Plain, Item::I32 | Item::I64 | Item::U32 | Item::U64 | Item::Enum(_)) => Some(format!("{expr} == 0")),
        _ => None,
    }
}
