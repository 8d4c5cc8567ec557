//! Routes as OpenAPI operations.

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::put;
use super::schema::Schemas;
use crate::docs::Comments;
use crate::model::{Module, PathTemplate, Route, RouteBody, Rpc, RpcKind, Segment, Service};

/// How deep query parameters reach into nested messages.
const DEEPEST: usize = 3;

/// Every path of the module with its operations.
pub(super) fn of(module: &Module, schemas: &mut Schemas<'_>, comments: &Comments) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    for service in &module.services {
        for rpc in &service.rpcs {
            for (index, route) in rpc.routes.iter().enumerate() {
                let path = path(route);
                let operation = operation(service, rpc, index, &path, schemas, comments);
                let entry = paths.entry(path.text).or_insert_with(|| json!({}));
                entry[route.method.to_lowercase()] = operation;
            }
        }
    }
    paths
}

/// Where the outcome of an asynchronous command is read.
pub(super) fn status() -> Value {
    json!({
        "get": {
            "operationId": "potterCommandStatus",
            "summary": "How far an asynchronous command is.",
            "parameters": [
                {
                    "name": "command_id",
                    "in": "path",
                    "required": true,
                    "schema": { "type": "string", "format": "uuid" },
                },
                {
                    "name": "wait",
                    "in": "query",
                    "description": "Seconds to wait for the outcome at most.",
                    "schema": { "type": "integer", "minimum": 0 },
                },
            ],
            "responses": {
                "200": {
                    "description": "Its stage and, once it has one, its outcome.",
                    "content": {
                        "application/json": { "schema": { "$ref": "#/components/schemas/potter.CommandStatus" } },
                    },
                },
                "default": problem(),
            },
        },
    })
}

/// A path as OpenAPI writes it, and the parameters in it.
struct Path {
    text: String,
    /// Name of the parameter, field of the request, whether it is the field as a whole.
    parameters: Vec<(String, String, bool)>,
}

/// `/v1/{name=shelves/*}:archive` becomes `/v1/shelves/{name}:archive`: a parameter stands for what varies.
fn path(route: &Route) -> Path {
    let template = PathTemplate::parse(&route.path).expect("the model has checked the templates");
    let mut path = Path { text: String::new(), parameters: Vec::new() };
    for segment in &template.segments {
        match segment {
            Segment::Literal(text) => path.text.push_str(&format!("/{text}")),
            Segment::Any | Segment::Rest => push_parameter(&mut path, "", true),
            Segment::Variable { field, pattern } => {
                let whole = matches!(pattern.as_slice(), [Segment::Any | Segment::Rest]);
                for part in pattern {
                    match part {
                        Segment::Literal(text) => path.text.push_str(&format!("/{text}")),
                        _ => push_parameter(&mut path, field, whole),
                    }
                }
            }
        }
    }
    if let Some(verb) = template.verb {
        path.text.push_str(&format!(":{verb}"));
    }
    path
}

fn push_parameter(path: &mut Path, field: &str, whole: bool) {
    let base = if field.is_empty() { "segment" } else { field };
    let same = path.parameters.iter().filter(|(_, of, _)| of == field).count();
    let name = if same == 0 { base.to_owned() } else { format!("{base}_{}", same + 1) };
    path.text.push_str(&format!("/{{{name}}}"));
    path.parameters.push((name, field.to_owned(), whole));
}

fn operation(
    service: &Service,
    rpc: &Rpc,
    index: usize,
    path: &Path,
    schemas: &mut Schemas<'_>,
    comments: &Comments,
) -> Value {
    let route = &rpc.routes[index];
    let mut operation = Map::new();
    operation.insert("operationId".into(), operation_id(service, rpc, index).into());
    operation.insert("tags".into(), json!(rpc.docs.tags));
    put(&mut operation, "summary", &rpc.docs.summary);
    put(&mut operation, "description", &rpc.docs.description);
    if rpc.docs.deprecated {
        operation.insert("deprecated".into(), true.into());
    }
    let parameters = parameters(rpc, route, path, schemas, comments);
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = request_body(rpc, route, path, schemas) {
        operation.insert("requestBody".into(), body);
    }
    operation.insert("responses".into(), responses(rpc, route, schemas));
    operation.into()
}

/// `Catalogue_CreateProduct`, and a number from the second route on.
fn operation_id(service: &Service, rpc: &Rpc, index: usize) -> String {
    let name = format!("{}_{}", service.descriptor.name(), rpc.descriptor.name());
    if index == 0 { name } else { format!("{name}_{}", index + 1) }
}

fn parameters(rpc: &Rpc, route: &Route, path: &Path, schemas: &mut Schemas<'_>, comments: &Comments) -> Vec<Value> {
    let request = rpc.descriptor.input();
    let mut parameters = Vec::new();
    for (name, field, whole) in &path.parameters {
        let schema = match find(&request, field).filter(|_| *whole) {
            Some(field) => schemas.parameter(&field),
            None => json!({ "type": "string" }),
        };
        let mut parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
        if let Some(field) = find(&request, field) {
            describe(&mut parameter, comments.raw(&field));
        }
        parameters.push(parameter);
    }
    if route.body != RouteBody::All {
        let mut query = Query { path, route, schemas, comments, parameters: &mut parameters };
        query.collect(&request, "", "", 0);
    }
    parameters.extend(headers(rpc));
    parameters
}

/// What of a request comes as query parameters.
struct Query<'a, 'b> {
    path: &'a Path,
    route: &'a Route,
    schemas: &'a mut Schemas<'b>,
    comments: &'a Comments,
    parameters: &'a mut Vec<Value>,
}

impl Query<'_, '_> {
    fn collect(&mut self, message: &MessageDescriptor, proto: &str, json: &str, depth: usize) {
        for field in message.fields() {
            let (proto, json) = (format!("{proto}{}", field.name()), format!("{json}{}", field.json_name()));
            let in_path = self.path.parameters.iter().any(|(_, it, _)| *it == proto);
            let in_body = matches!(&self.route.body, RouteBody::Field(body) if *body == proto);
            if in_path || in_body || field.is_map() {
                continue;
            }
            match field.kind() {
                Kind::Message(nested) if !nested.full_name().starts_with("google.protobuf.") => {
                    if depth < DEEPEST && field.cardinality() != Cardinality::Repeated {
                        self.collect(&nested, &format!("{proto}."), &format!("{json}."), depth + 1);
                    }
                }
                Kind::Message(known) if !Schemas::fits_a_parameter(&known) => {}
                _ => self.push(&field, &json),
            }
        }
    }

    fn push(&mut self, field: &FieldDescriptor, name: &str) {
        let schema = self.schemas.parameter(field);
        let mut parameter = json!({ "name": name, "in": "query", "schema": schema });
        describe(&mut parameter, self.comments.raw(field));
        self.parameters.push(parameter);
    }
}

/// The headers that mean something to a command.
fn headers(rpc: &Rpc) -> Vec<Value> {
    let RpcKind::Command(command) = &rpc.kind else { return Vec::new() };
    let header = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "header", "description": about, "schema": schema });
    let mut headers = Vec::new();
    if command.idempotent {
        let about = "The same key and body get the same reply; the command is executed once.";
        headers.push(header("Idempotency-Key", about, json!({ "type": "string", "minLength": 1, "maxLength": 255 })));
    }
    if !command.creates {
        let about = "The version that the aggregate must have, as an ETag of an earlier reply, or `*`.";
        headers.push(header("If-Match", about, json!({ "type": "string", "pattern": "^(\\*|(W/)?\"[0-9]{1,18}\")$" })));
    }
    headers
}

fn request_body(rpc: &Rpc, route: &Route, path: &Path, schemas: &mut Schemas<'_>) -> Option<Value> {
    let request = rpc.descriptor.input();
    let schema = match &route.body {
        RouteBody::None => return None,
        RouteBody::Field(name) => schemas.request_field(&request.get_field_by_name(name)?),
        RouteBody::All => {
            let in_path: Vec<&str> = path.parameters.iter().map(|(_, field, _)| field.as_str()).collect();
            schemas.request(&request, &in_path)
        }
    };
    Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }))
}

fn responses(rpc: &Rpc, route: &Route, schemas: &mut Schemas<'_>) -> Value {
    let reply = rpc.descriptor.output();
    let part = route.response_body.as_ref().and_then(|name| reply.get_field_by_name(name));
    let schema = match part {
        Some(field) => schemas.reply_field(&field),
        None => schemas.reply(&reply),
    };
    let content = json!({ "application/json": { "schema": schema } });
    let version = json!({ "description": "Version of the aggregate.", "schema": { "type": "string" } });
    let location = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    let (status, response) = match &rpc.kind {
        RpcKind::Query(_) => ("200", json!({ "description": "The answer.", "content": content })),
        RpcKind::Command(command) if command.is_async => {
            let headers = json!({ "Location": location("Where its outcome can be read.") });
            ("202", json!({ "description": "Accepted; executed later.", "headers": headers, "content": content }))
        }
        RpcKind::Command(command) if command.creates => {
            let headers = json!({ "Location": location("Where it can be read."), "ETag": version });
            ("201", json!({ "description": "Created.", "headers": headers, "content": content }))
        }
        RpcKind::Command(_) => {
            ("200", json!({ "description": "Done.", "headers": { "ETag": version }, "content": content }))
        }
    };
    let mut responses = Map::new();
    responses.insert(status.to_owned(), response);
    responses.insert("default".to_owned(), problem());
    responses.into()
}

fn problem() -> Value {
    json!({ "$ref": "#/components/responses/Problem" })
}

/// The field at a path such as `product.id`.
fn find(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = message.get_field_by_name(first)?;
    match (rest, field.kind()) {
        (None, _) => Some(field),
        (Some(rest), Kind::Message(nested)) => find(&nested, rest),
        (Some(_), _) => None,
    }
}

fn describe(parameter: &mut Value, comment: &str) {
    if let Some(object) = parameter.as_object_mut() {
        put(object, "description", comment.trim());
    }
}
