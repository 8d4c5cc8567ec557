//! What `buf.validate` says of a field, as far as JSON schema can say it too.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value as Proto};
use serde_json::{Value, json};

use crate::model::OpenApiVersion;

/// The extension of `google.protobuf.FieldOptions`.
const FIELD: &str = "buf.validate.field";

/// Whether the field must be there.
pub(super) fn is_required(field: &FieldDescriptor) -> bool {
    rules(field).and_then(|rules| get(&rules, "required")).is_some_and(|it| it.as_bool() == Some(true))
}

/// Adds what the field's rules say to its schema.
pub(super) fn add(schema: &mut Value, field: &FieldDescriptor, version: OpenApiVersion) {
    let Some(rules) = rules(field) else { return };
    // The rules of a type lie in a field that is named after it: `string`, `int32`, `repeated`.
    for (descriptor, value) in rules.fields() {
        if let Some(of_type) = value.as_message() {
            match descriptor.name() {
                "string" => text(schema, of_type),
                "repeated" => array(schema, of_type),
                "map" => object(schema, of_type),
                "int32" | "sint32" | "sfixed32" | "uint32" | "fixed32" | "float" | "double" => {
                    number(schema, of_type, version);
                }
                _ => {}
            }
        }
    }
}

fn rules(field: &FieldDescriptor) -> Option<DynamicMessage> {
    let options = field.options();
    let extension = options.descriptor().parent_pool().get_extension_by_name(FIELD)?;
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

fn text(schema: &mut Value, rules: &DynamicMessage) {
    copy(schema, rules, &[("min_len", "minLength"), ("max_len", "maxLength"), ("pattern", "pattern")]);
    if let Some(length) = get(rules, "len") {
        schema["minLength"] = to_json(&length);
        schema["maxLength"] = to_json(&length);
    }
    for (rule, format) in [("email", "email"), ("uuid", "uuid"), ("uri", "uri"), ("hostname", "hostname")] {
        if get(rules, rule).and_then(|it| it.as_bool()) == Some(true) {
            schema["format"] = format.into();
        }
    }
    one_of(schema, rules);
}

fn array(schema: &mut Value, rules: &DynamicMessage) {
    copy(schema, rules, &[("min_items", "minItems"), ("max_items", "maxItems"), ("unique", "uniqueItems")]);
}

fn object(schema: &mut Value, rules: &DynamicMessage) {
    copy(schema, rules, &[("min_pairs", "minProperties"), ("max_pairs", "maxProperties")]);
}

fn number(schema: &mut Value, rules: &DynamicMessage, version: OpenApiVersion) {
    copy(schema, rules, &[("gte", "minimum"), ("lte", "maximum")]);
    for (rule, bound, exclusive) in [("gt", "minimum", "exclusiveMinimum"), ("lt", "maximum", "exclusiveMaximum")] {
        let Some(value) = get(rules, rule) else { continue };
        match version {
            OpenApiVersion::V3_0 => {
                schema[bound] = to_json(&value);
                schema[exclusive] = true.into();
            }
            OpenApiVersion::V3_1 => schema[exclusive] = to_json(&value),
        }
    }
    one_of(schema, rules);
}

fn one_of(schema: &mut Value, rules: &DynamicMessage) {
    if let Some(only) = get(rules, "const") {
        schema["enum"] = json!([to_json(&only)]);
    }
    if let Some(Proto::List(values)) = get(rules, "in") {
        schema["enum"] = values.iter().map(to_json).collect();
    }
}

fn copy(schema: &mut Value, rules: &DynamicMessage, pairs: &[(&str, &str)]) {
    for (rule, keyword) in pairs {
        if let Some(value) = get(rules, rule) {
            schema[*keyword] = to_json(&value);
        }
    }
}

/// The value of a rule that is set.
fn get(rules: &DynamicMessage, name: &str) -> Option<Proto> {
    let field = rules.descriptor().get_field_by_name(name)?;
    rules.has_field(&field).then(|| rules.get_field(&field).into_owned())
}

fn to_json(value: &Proto) -> Value {
    match value {
        Proto::Bool(it) => json!(it),
        Proto::I32(it) => json!(it),
        Proto::I64(it) => json!(it),
        Proto::U32(it) => json!(it),
        Proto::U64(it) => json!(it),
        Proto::F32(it) => json!(it),
        Proto::F64(it) => json!(it),
        Proto::String(it) => json!(it),
        _ => Value::Null,
    }
}
