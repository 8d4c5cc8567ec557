//! Messages as JSON schemas, in the forms of canonical proto3 JSON.
//!
//! A message that only requests reach is described as it is read: `null` stands for a field that isn't there, and a
//! field that no one knows is refused. Any other is described as it is written.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{constraints, put};
use crate::docs::Comments;
use crate::model::{Module, OpenApiVersion};

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
            return self.message(message);
        }
        let mut schema = self.object(message);
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.retain(|name, _| {
                !message.get_field_by_json_name(name).is_some_and(|field| in_path.contains(&field.name()))
            });
        }
        if let Some(required) = schema["required"].as_array_mut() {
            let json_names = in_path.iter().filter_map(|name| message.get_field_by_name(name));
            let json_names: Vec<String> = json_names.map(|field| field.json_name().to_owned()).collect();
            required.retain(|name| !json_names.iter().any(|it| name == it));
        }
        schema
    }

    /// A request's body that is one field of it.
    pub(super) fn request_field(&mut self, field: &FieldDescriptor) -> Value {
        self.value(field)
    }

    /// A reply's body.
    pub(super) fn reply(&mut self, message: &MessageDescriptor) -> Value {
        self.message(message)
    }

    /// A reply's body that is one field of it.
    pub(super) fn reply_field(&mut self, field: &FieldDescriptor) -> Value {
        self.value(field)
    }

    /// A path or query parameter.
    pub(super) fn parameter(&mut self, field: &FieldDescriptor) -> Value {
        self.value(field)
    }

    /// Whether a well-known type is one value in JSON.
    pub(super) fn fits_a_parameter(message: &MessageDescriptor) -> bool {
        !matches!(
            message.full_name(),
            "google.protobuf.Any" | "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue"
        ) && !message.full_name().eq("google.protobuf.Empty")
    }

    /// A reference to a message's schema, which is made if it isn't there.
    fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(known) = self.well_known(message) {
            return known;
        }
        let name = self.name(message.full_name());
        if !self.done.contains_key(&name) {
            // A placeholder ends the recursion of messages that hold themselves.
            self.done.insert(name.clone(), Value::Null);
            let schema = self.object(message);
            self.done.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let is_read = !self.written.contains(message.full_name());
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            let mut schema = self.value(&field);
            if is_read {
                schema = self.or_null(schema);
            }
            let schema = self.described(schema, &field);
            if constraints::is_required(&field) || (!is_read && is_always_written(&field)) {
                required.push(field.json_name().to_owned());
            }
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
    fn value(&mut self, field: &FieldDescriptor) -> Value {
        if let Kind::Message(entry) = field.kind()
            && entry.is_map_entry()
        {
            let value = entry.map_entry_value_field();
            let items = self.value(&value);
            let mut map = json!({ "type": "object", "additionalProperties": items });
            constraints::add(&mut map, field, self.version);
            return map;
        }
        let single = self.single(&field.kind());
        let mut schema = match field.cardinality() {
            Cardinality::Repeated => json!({ "type": "array", "items": single }),
            _ => single,
        };
        constraints::add(&mut schema, field, self.version);
        schema
    }

    fn single(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX })
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]{1,18}$" })
            }
            Kind::Uint64 | Kind::Fixed64 => {
                json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]{1,19}$" })
            }
            Kind::Float => json!({ "type": "number", "format": "float", "minimum": -3.4e38, "maximum": 3.4e38 }),
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => match self.version {
                OpenApiVersion::V3_0 => json!({ "type": "string", "format": "byte" }),
                OpenApiVersion::V3_1 => json!({ "type": "string", "contentEncoding": "base64" }),
            },
            Kind::Enum(descriptor) => self.enumeration(descriptor),
            Kind::Message(message) => self.message(message),
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
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// The JSON forms of protobuf's own messages.
    fn well_known(&self, message: &MessageDescriptor) -> Option<Value> {
        let name = message.full_name().strip_prefix("google.protobuf.")?;
        let wrapped = |value: Value| Some(self.or_null(value));
        match name {
            "Timestamp" => Some(json!({ "type": "string", "format": "date-time" })),
            "Duration" => {
                Some(json!({ "type": "string", "format": "duration", "pattern": "^-?[0-9]{1,11}(\\.[0-9]{1,9})?s$" }))
            }
            "FieldMask" => Some(json!({ "type": "string", "format": "field-mask", "pattern": "^[a-zA-Z0-9.,]*$" })),
            "Struct" => Some(json!({ "type": "object", "additionalProperties": true })),
            "ListValue" => Some(json!({ "type": "array", "items": {} })),
            "Value" => Some(json!({})),
            "Any" => Some(json!({
                "type": "object",
                "properties": { "@type": { "type": "string" } },
                "additionalProperties": true,
            })),
            "Empty" => Some(json!({ "type": "object", "additionalProperties": false })),
            "BoolValue" => wrapped(json!({ "type": "boolean" })),
            "Int32Value" => wrapped(json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })),
            "UInt32Value" => wrapped(json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })),
            "Int64Value" => wrapped(json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]{1,18}$" })),
            "UInt64Value" => wrapped(json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]{1,19}$" })),
            "FloatValue" | "DoubleValue" => wrapped(json!({ "type": "number" })),
            "StringValue" | "BytesValue" => wrapped(json!({ "type": "string" })),
            _ => None,
        }
    }

    fn or_null(&self, mut schema: Value) -> Value {
        match self.version {
            OpenApiVersion::V3_0 if schema.get("$ref").is_some() => json!({ "nullable": true, "allOf": [schema] }),
            OpenApiVersion::V3_0 => {
                schema["nullable"] = true.into();
                schema
            }
            OpenApiVersion::V3_1 => match schema.get("type").and_then(Value::as_str).map(str::to_owned) {
                Some(ty) => {
                    schema["type"] = json!([ty, "null"]);
                    schema
                }
                None if schema.get("$ref").is_some() => json!({ "anyOf": [schema, { "type": "null" }] }),
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
