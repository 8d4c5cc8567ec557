//! The OpenAPI document of a module: exactly the routes that the service serves.
//!
//! In: the model and the protos' comments. Out: the text of `openapi.json`. Schemas describe canonical proto3 JSON;
//! `schema` knows the forms, `constraints` what `buf.validate` adds, `paths` the routes.

mod constraints;
mod paths;
mod schema;

use serde_json::{Map, Value, json};

use crate::docs::Comments;
use crate::model::{Module, OpenApi, OpenApiVersion, RpcKind};

use schema::Schemas;

/// The document, or `None` if the module has none.
pub fn document(module: &Module, comments: &Comments) -> Option<String> {
    let settings = module.openapi.as_ref()?;
    let mut schemas = Schemas::new(module, settings.version, comments);
    let mut paths = paths::of(module, &mut schemas, comments);
    if has_async_commands(module) {
        paths.insert("/api/v1/commands/{command_id}".to_owned(), paths::status());
    }
    let document = json!({
        "openapi": match settings.version {
            OpenApiVersion::V3_0 => "3.0.3",
            OpenApiVersion::V3_1 => "3.1.0",
        },
        "info": info(settings),
        "tags": tags(module, comments),
        "paths": paths,
        "components": { "schemas": components(module, schemas), "responses": problem_responses() },
    });
    let mut text = serde_json::to_string_pretty(&document).expect("JSON values have a text");
    text.push('\n');
    Some(text)
}

fn has_async_commands(module: &Module) -> bool {
    let mut rpcs = module.services.iter().flat_map(|service| &service.rpcs);
    rpcs.any(|rpc| matches!(&rpc.kind, RpcKind::Command(command) if command.is_async))
}

fn info(settings: &OpenApi) -> Value {
    let mut info = Map::new();
    info.insert("title".into(), settings.title.clone().into());
    info.insert("version".into(), settings.info_version.clone().into());
    put(&mut info, "description", &settings.description);
    put(&mut info, "termsOfService", &settings.terms_of_service);
    let contact = named(["name", "url", "email"], &settings.contact);
    let license = named(["name", "url"], &settings.license);
    for (key, object) in [("contact", contact), ("license", license)] {
        if !object.is_empty() {
            info.insert(key.into(), object.into());
        }
    }
    info.into()
}

fn named<const N: usize>(keys: [&str; N], values: &[String; N]) -> Map<String, Value> {
    let mut object = Map::new();
    for (key, value) in keys.iter().zip(values) {
        put(&mut object, key, value);
    }
    object
}

/// Every tag that an rpc has, with the comment of the service of that name.
fn tags(module: &Module, comments: &Comments) -> Vec<Value> {
    let mut names: Vec<&String> = Vec::new();
    for tag in module.services.iter().flat_map(|it| &it.rpcs).flat_map(|rpc| &rpc.docs.tags) {
        if !names.contains(&tag) {
            names.push(tag);
        }
    }
    let describe = |name: &&String| {
        let mut tag = Map::from_iter([("name".to_owned(), Value::from(name.as_str()))]);
        if let Some(service) = module.services.iter().find(|it| it.descriptor.name() == name.as_str()) {
            put(&mut tag, "description", comments.raw(&service.descriptor).trim());
        }
        tag.into()
    };
    names.iter().map(describe).collect()
}

fn components(module: &Module, schemas: Schemas<'_>) -> Map<String, Value> {
    let mut components = schemas.finish();
    components.insert("potter.Problem".into(), problem());
    if has_async_commands(module) {
        components.insert("potter.CommandStatus".into(), command_status());
    }
    components
}

/// See RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong, as RFC 9457 has it.",
        "required": ["type", "title", "status", "detail", "instance", "code", "retryable"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string" },
            "code": { "type": "string", "description": "Stable, for programs." },
            "retryable": { "type": "boolean", "description": "Whether sending the same again may succeed." },
            "violations": violations(),
            "event": { "type": "object", "description": "The error event, if the domain refused with one." },
        },
    })
}

/// What is wrong where, of a request that is not valid.
fn violations() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["field", "rule", "message"],
            "properties": {
                "field": { "type": "string" },
                "rule": { "type": "string" },
                "message": { "type": "string" },
            },
        },
    })
}

/// Problem documents, by what they are about.
fn problem_responses() -> Value {
    let response = |about: &str| {
        json!({
            "description": about,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/potter.Problem" } } },
        })
    };
    json!({
        "Invalid": response("The request is wrong; `violations` says where."),
        "NotFound": response("There is no such thing, or no longer."),
        "Conflict": response("It exists already, the key was used for another request, or others were faster."),
        "VersionMismatch": response("The aggregate has another version than If-Match says."),
        "TooLarge": response("The body is too large."),
        "UnsupportedMediaType": response("The body isn't JSON."),
        "Refused": response("A rule refused; `code` says which, `event` has its error event."),
        "Problem": response("Anything else that goes wrong."),
    })
}

/// `potter.runtime.v1.CommandStatus`, as JSON.
fn command_status() -> Value {
    json!({
        "type": "object",
        "description": "How far an asynchronous command is, and how it went.",
        "required": ["commandId", "command", "status", "aggregateId"],
        "properties": {
            "commandId": { "type": "string", "format": "uuid" },
            "command": { "type": "string" },
            "status": { "type": "string", "enum": ["PENDING", "SUCCEEDED", "FAILED"] },
            "aggregateId": { "type": "string" },
            "version": { "type": "string" },
            "events": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": { "type": { "type": "string" }, "data": { "type": "object" } },
                },
            },
            "error": {
                "type": "object",
                "properties": {
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                    "retryable": { "type": "boolean" },
                    "event": { "type": "object" },
                    "violations": violations(),
                },
            },
            "acceptedAt": { "type": "string", "format": "date-time" },
            "correlationId": { "type": "string" },
        },
    })
}

/// Sets a text, unless it is empty.
fn put(object: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        object.insert(key.to_owned(), text.into());
    }
}
