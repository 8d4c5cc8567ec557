//! Messages as JSON schemas, in the forms of canonical proto3 JSON.
//!
//! What is read and what is written differ: `null` stands for a field that isn't there and 64-bit numbers may be numbers
//! in a request, while a reply always has its fields. A message that both reach has a schema for each, the one of
//! requests with `-Input` after its name.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{constraints, put};
use crate::docs::Comments;
use crate::model::{Module, OpenApiVersion};

/// Where schemas with a name are.
const COMPONENTS: &str = "#/components/schemas/";

/// What surely fits 64 bits as text; the largest numbers, which have a digit more, are left out.
const SIGNED: &str = "^-?[0-9]{1,18}$";
const UNSIGNED: &str = "^[0-9]{1,19}$";

/// What JSON has no numbers for.
const NOT_FINITE: &str = "^(NaN|-?Infinity)$";

const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
const DURATION: &str = "^-?[0-9]{1,11}(\\.[0-9]{1,9})?s$";
const FIELD_MASK: &str = "^([a-z][a-zA-Z0-9]*([.,][a-z][a-zA-Z0-9]*)*)?$";

/// The schemas that the document refers to, gathered while its paths are made.
pub(super) struct Schemas<'a> {
    version: OpenApiVersion,
    comments: &'a Comments,
    /// The package that names leave out.
    package: String,
    /// Messages that a reply reaches.
    written: BTreeSet<String>,
    done: BTreeMap<String, Value>,
}

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// In a request.
    Read,
    /// In a reply.
    Written,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(module: &Module, version: OpenApiVersion, comments: &'a Comments) -> Self {
        let package = module.services.first().map(|it| it.descriptor.package_name().to_owned()).unwrap_or_default();
        let mut written = BTreeSet::new();
        for rpc in module.services.iter().flat_map(|it| &it.rpcs) {
            reach(&rpc.descriptor.output(), &mut written);
        }
        Self { version, comments, package, written, done: BTreeMap::new() }
    }

    /// All schemas, by name.
    pub(super) fn finish(self) -> Map<String, Value> {
        self.done.into_iter().collect()
    }

    /// A request's body, without what the path carries.
    pub(super) fn request(&mut self, message: &MessageDescriptor, in_path: &[&str]) -> Value {
        if in_path.is_empty() {
            return self.message(message, Way::Read);
        }
        let mut schema = self.object(message, Way::Read);
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.retain(|name, _| {
                !message.get_field_by_json_name(name).is_some_and(|field| in_path.contains(&field.name()))
            });
        }
        let Some(object) = schema.as_object_mut() else { return schema };
        if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
            let json_names = in_path.iter().filter_map(|name| message.get_field_by_name(name));
            let json_names: Vec<String> = json_names.map(|field| field.json_name().to_owned()).collect();
            required.retain(|name| !json_names.iter().any(|it| name == it));
            if required.is_empty() {
                object.shift_remove("required");
            }
        }
        schema
    }

    /// Whether a body of that schema cannot be left out.
    pub(super) fn demands_something(&self, schema: &Value) -> bool {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix(COMPONENTS));
        let schema = name.and_then(|name| self.done.get(name)).unwrap_or(schema);
        schema.get("required").is_some()
    }

    /// A request's body that is one field of it.
    pub(super) fn request_field(&mut self, field: &FieldDescriptor) -> Value {
        let schema = self.value(field, Way::Read);
        if constraints::is_required(field) { schema } else { self.or_null(schema) }
    }

    /// Says more of a property of a request's body, but nothing else than its rules do.
    pub(super) fn demand(&mut self, body: &mut Value, property: &str, demanded: Map<String, Value>) {
        let name = body.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix(COMPONENTS));
        let schema = match name.and_then(|name| self.done.get_mut(name)) {
            Some(schema) => schema,
            None => body,
        };
        let property = schema.get_mut("properties").and_then(|it| it.get_mut(property));
        if let Some(property) = property {
            supplement(property, demanded);
        }
    }

    /// A reply's body.
    pub(super) fn reply(&mut self, message: &MessageDescriptor) -> Value {
        self.message(message, Way::Written)
    }

    /// A reply's body that is one field of it.
    pub(super) fn reply_field(&mut self, field: &FieldDescriptor) -> Value {
        self.value(field, Way::Written)
    }

    /// A path or query parameter: text, so that nothing can be told by its type.
    pub(super) fn parameter(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = match field.kind() {
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64", "pattern": SIGNED })
            }
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64", "pattern": UNSIGNED }),
            Kind::Float => float("float"),
            Kind::Double => float("double"),
            kind => self.single(&kind, Way::Read),
        };
        if field.cardinality() == Cardinality::Repeated {
            schema = json!({ "type": "array", "items": schema });
        }
        constraints::add(&mut schema, field, self.version);
        schema
    }

    /// Whether a well-known type is one value in JSON.
    pub(super) fn fits_a_parameter(message: &MessageDescriptor) -> bool {
        !matches!(
            message.full_name(),
            "google.protobuf.Any" | "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue"
        ) && !message.full_name().eq("google.protobuf.Empty")
    }

    /// A reference to a message's schema, which is made if it isn't there.
    fn message(&mut self, message: &MessageDescriptor, way: Way) -> Value {
        if let Some(known) = self.well_known(message, way) {
            return known;
        }
        let mut name = self.name(message.full_name());
        if way == Way::Read && self.written.contains(message.full_name()) {
            // No proto name has a hyphen.
            name.push_str("-Input");
        }
        if !self.done.contains_key(&name) {
            // A placeholder ends the recursion of messages that hold themselves.
            self.done.insert(name.clone(), Value::Null);
            let schema = self.object(message, way);
            self.done.insert(name.clone(), schema);
        }
        reference(&name)
    }

    fn object(&mut self, message: &MessageDescriptor, way: Way) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            let mut schema = self.value(&field, way);
            let is_required = match way {
                Way::Read => constraints::is_required(&field),
                Way::Written => is_always_written(&field),
            };
            if is_required {
                required.push(field.json_name().to_owned());
            } else if way == Way::Read {
                schema = self.or_null(schema);
            }
            let schema = self.described(schema, &field);
            properties.insert(field.json_name().to_owned(), schema);
        }
        let mut object = Map::new();
        object.insert("type".into(), "object".into());
        put(&mut object, "description", self.comments.raw(message).trim());
        if !required.is_empty() {
            object.insert("required".into(), required.into());
        }
        object.insert("properties".into(), properties.into());
        object.insert("additionalProperties".into(), false.into());
        let exclusive = exclusive(message);
        if !exclusive.is_empty() {
            object.insert("allOf".into(), exclusive.into());
        }
        object.into()
    }

    /// The schema of a field's value.
    fn value(&mut self, field: &FieldDescriptor, way: Way) -> Value {
        let mut schema = self.unconstrained(field, way);
        if way == Way::Read {
            // Replies aren't held to the rules: what they have was true when it was recorded.
            constraints::add(&mut schema, field, self.version);
        }
        schema
    }

    fn unconstrained(&mut self, field: &FieldDescriptor, way: Way) -> Value {
        if let Kind::Message(entry) = field.kind()
            && entry.is_map_entry()
        {
            let value = entry.map_entry_value_field();
            let items = self.value(&value, way);
            return json!({ "type": "object", "additionalProperties": items });
        }
        let single = self.single(&field.kind(), way);
        match field.cardinality() {
            Cardinality::Repeated => json!({ "type": "array", "items": single }),
            _ => single,
        }
    }

    fn single(&mut self, kind: &Kind, way: Way) -> Value {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX })
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => self.wide("int64", way),
            Kind::Uint64 | Kind::Fixed64 => self.wide("uint64", way),
            Kind::Float => self.or_text(float("float"), NOT_FINITE),
            Kind::Double => self.or_text(float("double"), NOT_FINITE),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => match self.version {
                OpenApiVersion::V3_0 => json!({ "type": "string", "format": "byte" }),
                OpenApiVersion::V3_1 => json!({ "type": "string", "contentEncoding": "base64", "pattern": BASE64 }),
            },
            Kind::Enum(descriptor) => match (self.enumeration(descriptor), way) {
                (name, Way::Read) if name.get("$ref").is_some() => {
                    json!({ "anyOf": [name, { "type": "integer", "format": "int32" }] })
                }
                (schema, _) => schema,
            },
            Kind::Message(message) => self.message(message, way),
        }
    }

    /// 64-bit numbers are written as text, and read as text or as numbers.
    fn wide(&self, format: &str, way: Way) -> Value {
        let signed = format == "int64";
        match (way, signed) {
            (Way::Written, true) => json!({ "type": "string", "format": format, "pattern": "^-?[0-9]{1,19}$" }),
            (Way::Written, false) => json!({ "type": "string", "format": format, "pattern": "^[0-9]{1,20}$" }),
            (Way::Read, true) => {
                let number = json!({ "type": "integer", "format": format, "minimum": i64::MIN, "maximum": i64::MAX });
                self.or_text(number, SIGNED)
            }
            (Way::Read, false) => {
                let number = json!({ "type": "integer", "format": format, "minimum": 0, "maximum": u64::MAX });
                self.or_text(number, UNSIGNED)
            }
        }
    }

    /// A number, or text of that pattern.
    fn or_text(&self, mut number: Value, pattern: &str) -> Value {
        match self.version {
            OpenApiVersion::V3_0 => json!({ "anyOf": [number, { "type": "string", "pattern": pattern }] }),
            OpenApiVersion::V3_1 => {
                number["type"] = json!([number["type"].take(), "string"]);
                number["pattern"] = pattern.into();
                number
            }
        }
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> Value {
        if descriptor.full_name() == "google.protobuf.NullValue" {
            return self.or_null(json!({}));
        }
        let name = self.name(descriptor.full_name());
        let values: Vec<String> = descriptor.values().map(|value| value.name().to_owned()).collect();
        let mut schema = Map::from_iter([("type".to_owned(), "string".into()), ("enum".to_owned(), values.into())]);
        put(&mut schema, "description", self.comments.raw(descriptor).trim());
        self.done.insert(name.clone(), schema.into());
        reference(&name)
    }

    /// The JSON forms of protobuf's own messages.
    fn well_known(&mut self, message: &MessageDescriptor, way: Way) -> Option<Value> {
        let name = message.full_name().strip_prefix("google.protobuf.")?;
        match name {
            "Timestamp" => Some(json!({ "type": "string", "format": "date-time" })),
            "Duration" => Some(json!({ "type": "string", "pattern": DURATION })),
            "FieldMask" => Some(json!({ "type": "string", "format": "field-mask", "pattern": FIELD_MASK })),
            "Struct" => Some(json!({ "type": "object", "additionalProperties": true })),
            "ListValue" => Some(json!({ "type": "array", "items": {} })),
            "Value" => Some(json!({})),
            "Any" => Some(json!({
                "type": "object",
                "properties": { "@type": { "type": "string" } },
                "additionalProperties": true,
            })),
            "Empty" => Some(json!({ "type": "object", "additionalProperties": false })),
            "BoolValue" | "Int32Value" | "UInt32Value" | "Int64Value" | "UInt64Value" | "FloatValue"
            | "DoubleValue" | "StringValue" | "BytesValue" => {
                let value = self.single(&message.get_field(1)?.kind(), way);
                Some(self.or_null(value))
            }
            _ => None,
        }
    }

    fn or_null(&self, mut schema: Value) -> Value {
        match self.version {
            OpenApiVersion::V3_0 if schema.get("$ref").is_some() => json!({ "nullable": true, "allOf": [schema] }),
            // It counts beside a type only.
            OpenApiVersion::V3_0 if schema.get("anyOf").is_some() => {
                let typed = schema["anyOf"].as_array_mut().into_iter().flatten().find(|it| it.get("type").is_some());
                if let Some(typed) = typed {
                    typed["nullable"] = true.into();
                }
                schema
            }
            OpenApiVersion::V3_0 => {
                schema["nullable"] = true.into();
                schema
            }
            OpenApiVersion::V3_1 => match schema.get("type").cloned() {
                Some(Value::Array(mut types)) => {
                    if !types.contains(&json!("null")) {
                        types.push("null".into());
                    }
                    schema["type"] = types.into();
                    schema
                }
                Some(ty) => {
                    schema["type"] = json!([ty, "null"]);
                    schema
                }
                None if schema.get("$ref").is_some() => json!({ "anyOf": [schema, { "type": "null" }] }),
                None if schema.get("anyOf").is_some() => {
                    if let Some(alternatives) = schema["anyOf"].as_array_mut() {
                        alternatives.push(json!({ "type": "null" }));
                    }
                    schema
                }
                None => schema,
            },
        }
    }

    fn described(&self, mut schema: Value, field: &FieldDescriptor) -> Value {
        let comment = self.comments.raw(field).trim().to_owned();
        let deprecated = field.field_descriptor_proto().options.as_ref().is_some_and(|it| it.deprecated());
        if comment.is_empty() && !deprecated {
            return schema;
        }
        if self.version == OpenApiVersion::V3_0 && schema.get("$ref").is_some() {
            // In 3.0 nothing may stand beside a reference.
            schema = json!({ "allOf": [schema] });
        }
        if let Some(object) = schema.as_object_mut() {
            put(object, "description", &comment);
            if deprecated {
                object.insert("deprecated".into(), true.into());
            }
        }
        schema
    }

    /// Without the module's package; others keep theirs.
    fn name(&self, full_name: &str) -> String {
        match full_name.strip_prefix(&self.package).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) if !self.package.is_empty() => rest.to_owned(),
            _ => full_name.to_owned(),
        }
    }
}

/// Adds keywords that a schema doesn't have yet.
pub(super) fn supplement(schema: &mut Value, keywords: Map<String, Value>) {
    let Some(schema) = schema.as_object_mut() else { return };
    for (keyword, value) in keywords {
        schema.entry(keyword).or_insert(value);
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{COMPONENTS}{name}") })
}

fn float(format: &str) -> Value {
    match format {
        "float" => json!({ "type": "number", "format": format, "minimum": -3.4e38, "maximum": 3.4e38 }),
        _ => json!({ "type": "number", "format": format }),
    }
}

/// Whether replies always have the field: default values are written, what can be absent may be.
fn is_always_written(field: &FieldDescriptor) -> bool {
    field.is_list() || field.is_map() || !field.supports_presence()
}

/// No two members of a oneof at once.
fn exclusive(message: &MessageDescriptor) -> Vec<Value> {
    let mut pairs = Vec::new();
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let names: Vec<String> = oneof.fields().map(|field| field.json_name().to_owned()).collect();
        for (index, first) in names.iter().enumerate() {
            for second in &names[index + 1..] {
                pairs.push(json!({ "not": { "required": [first, second] } }));
            }
        }
    }
    pairs
}

/// Every message that one reaches, itself included.
fn reach(message: &MessageDescriptor, reached: &mut BTreeSet<String>) {
    if !reached.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        if let Kind::Message(nested) = field.kind() {
            reach(&nested, reached);
        }
    }
}
