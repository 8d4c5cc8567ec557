//! What `buf.validate` says of a field, as far as JSON schema can say it too.

use potter_validate::Pattern;
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value as Proto};
use serde_json::{Value, json};

use crate::model::OpenApiVersion;

/// The extension of `google.protobuf.FieldOptions`.
const FIELD: &str = "buf.validate.field";

/// Values of `buf.validate.Ignore` with which a field may be left out, whatever its rules say.
const IGNORE_IF_ZERO_VALUE: i32 = 1;
const IGNORE_ALWAYS: i32 = 3;

/// Whether a request without the field is refused: the rules say so, or they refuse the default value that a field
/// without presence then has.
pub(super) fn is_required(field: &FieldDescriptor) -> bool {
    let Some(rules) = rules(field) else { return false };
    let ignore = get(&rules, "ignore").and_then(|it| it.as_enum_number());
    match ignore {
        Some(IGNORE_ALWAYS) => false,
        _ if is_true(&rules, "required") => true,
        Some(IGNORE_IF_ZERO_VALUE) => false,
        _ => !field.supports_presence() && refuses_default(field, &rules),
    }
}

fn refuses_default(field: &FieldDescriptor, rules: &DynamicMessage) -> bool {
    let default = field.default_value();
    let mut of_types = rules.fields().filter_map(|(_, value)| value.as_message());
    of_types.any(|of_type| of_type.fields().any(|(rule, value)| refuses(rule.name(), value, &default)))
}

/// Whether a rule refuses the default value of its field: nothing, 0, empty text.
fn refuses(rule: &str, demanded: &Proto, default: &Proto) -> bool {
    match rule {
        "min_len" | "len" | "min_bytes" | "len_bytes" | "min_items" | "min_pairs" => demanded.as_u64() > Some(0),
        "pattern" => demanded.as_str().and_then(|it| Pattern::new(it).ok()).is_some_and(|it| !it.is_match("")),
        "prefix" | "suffix" | "contains" => demanded.as_str().is_some_and(|it| !it.is_empty()),
        "email" | "hostname" | "ip" | "ipv4" | "ipv6" | "uri" | "uuid" | "tuuid" => demanded.as_bool() == Some(true),
        "const" => demanded != default,
        "in" => demanded.as_list().is_some_and(|it| !it.contains(default)),
        "not_in" => demanded.as_list().is_some_and(|it| it.contains(default)),
        "gt" => as_float(demanded).is_some_and(|it| it >= 0.0),
        "gte" => as_float(demanded).is_some_and(|it| it > 0.0),
        "lt" => as_float(demanded).is_some_and(|it| it <= 0.0),
        "lte" => as_float(demanded).is_some_and(|it| it < 0.0),
        _ => false,
    }
}

fn as_float(value: &Proto) -> Option<f64> {
    to_json(value).as_f64()
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
                "int64" | "sint64" | "sfixed64" | "uint64" | "fixed64" => wide(schema, of_type, version),
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
        if is_true(rules, rule) {
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

/// 64-bit numbers come as text too, where a bound can only be said of the sign; with any other they are described as
/// numbers alone.
fn wide(schema: &mut Value, rules: &DynamicMessage, version: OpenApiVersion) {
    let bounds: Vec<(String, Option<f64>)> =
        rules.fields().map(|(rule, value)| (rule.name().to_owned(), as_float(value))).collect();
    let pattern = match bounds.as_slice() {
        [] => return,
        [(rule, Some(0.0))] if rule == "gte" => Some("^[0-9]{1,18}$"),
        [(rule, Some(0.0))] if rule == "gt" => Some("^[1-9][0-9]{0,17}$"),
        [(rule, Some(1.0))] if rule == "gte" => Some("^[1-9][0-9]{0,17}$"),
        _ => None,
    };
    for alternative in alternatives(schema) {
        match pattern {
            Some(pattern) if alternative.get("pattern").is_some() => alternative["pattern"] = pattern.into(),
            _ => {}
        }
    }
    if pattern.is_none() {
        *schema = json!({ "type": "integer", "format": schema_format(schema) });
    }
    for alternative in alternatives(schema) {
        if alternative["type"] != "string" {
            number(alternative, rules, version);
        }
    }
}

/// The parts of a schema that says what else a value may be, or the schema as the only one.
fn alternatives(schema: &mut Value) -> Vec<&mut Value> {
    match schema.get("anyOf").is_some() {
        true => schema["anyOf"].as_array_mut().into_iter().flatten().collect(),
        false => vec![schema],
    }
}

fn schema_format(schema: &mut Value) -> Value {
    alternatives(schema).first().map_or(Value::Null, |it| it["format"].clone())
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

fn is_true(rules: &DynamicMessage, name: &str) -> bool {
    get(rules, name).and_then(|it| it.as_bool()) == Some(true)
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
