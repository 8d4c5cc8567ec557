//! Routes as OpenAPI operations.

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::put;
use super::schema::{Schemas, supplement};
use crate::docs::Comments;
use crate::model::{
    Command, Module, PathTemplate, QueryIntent, ReadModel, Route, RouteBody, Rpc, RpcKind, Segment, Service, intent,
};

/// What commands take for the identity of an aggregate. Letters of any script will do, but not every tool that reads
/// the document knows a pattern for those.
const IDENTITY: &str = r"^[A-Za-z0-9][A-Za-z0-9\-._~:@+=,;!$&*'()|]*$";

const IDENTITY_OR_NONE: &str = r"^([A-Za-z0-9][A-Za-z0-9\-._~:@+=,;!$&*'()|]*)?$";

/// What `Idempotency-Key` may be: as it is or in quotes.
const KEY: &str = r#"^("[ !#-~]{1,255}"|[!#-~]([ -~]{0,253}[!-~])?)$"#;

/// What `If-Match` may be.
const VERSION: &str = r#"^(\*|(W/)?("(0|[1-9][0-9]{0,17})"|(0|[1-9][0-9]{0,17})))$"#;

/// How deep query parameters reach into nested messages.
const DEEPEST: usize = 3;

/// Every path of the module with its operations.
pub(super) fn of(module: &Module, schemas: &mut Schemas<'_>, comments: &Comments) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    for service in &module.services {
        for rpc in &service.rpcs {
            for (index, route) in rpc.routes.iter().enumerate() {
                let path = path(route);
                let operation = operation(&Place { module, service, rpc, index }, &path, schemas, comments);
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
                    "description": "Seconds to wait for the outcome at most; more than 60 are 60.",
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
                "400": { "$ref": "#/components/responses/Invalid" },
                "404": { "$ref": "#/components/responses/NotFound" },
                "default": { "$ref": "#/components/responses/Problem" },
            },
        },
    })
}

/// One route of an rpc, and where it stands.
struct Place<'a> {
    module: &'a Module,
    service: &'a Service,
    rpc: &'a Rpc,
    index: usize,
}

impl Place<'_> {
    fn route(&self) -> &Route {
        &self.rpc.routes[self.index]
    }
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

fn operation(place: &Place<'_>, path: &Path, schemas: &mut Schemas<'_>, comments: &Comments) -> Value {
    let (rpc, route) = (place.rpc, place.route());
    let mut operation = Map::new();
    operation.insert("operationId".into(), operation_id(place.service, rpc, place.index).into());
    operation.insert("tags".into(), json!(rpc.docs.tags));
    put(&mut operation, "summary", &rpc.docs.summary);
    put(&mut operation, "description", &rpc.docs.description);
    if rpc.docs.deprecated {
        operation.insert("deprecated".into(), true.into());
    }
    let parameters = parameters(place, path, schemas, comments);
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

fn parameters(place: &Place<'_>, path: &Path, schemas: &mut Schemas<'_>, comments: &Comments) -> Vec<Value> {
    let (rpc, route) = (place.rpc, place.route());
    let request = rpc.descriptor.input();
    let mut parameters = Vec::new();
    for (name, field, whole) in &path.parameters {
        let schema = match find(&request, field).filter(|_| *whole) {
            Some(field) if is_identity(rpc, &field) => {
                let mut schema = schemas.parameter(&field);
                supplement(&mut schema, identity(IDENTITY));
                schema
            }
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
        let roles = roles(place);
        let mut query = Query { path, route, schemas, comments, roles, parameters: &mut parameters };
        query.collect(&request, "", "", 0);
    }
    parameters.extend(headers(rpc));
    parameters
}

/// What makes text an identity.
fn identity(pattern: &str) -> Map<String, Value> {
    Map::from_iter([("maxLength".to_owned(), 255.into()), ("pattern".to_owned(), pattern.into())])
}

/// Whether a command finds its aggregate by that field.
fn is_identity(rpc: &Rpc, field: &FieldDescriptor) -> bool {
    matches!(&rpc.kind, RpcKind::Command(Command { id_field: Some(id), .. }) if id == field)
}

/// What more than its type the fields of a plain List's request demand.
fn roles(place: &Place<'_>) -> Vec<(FieldDescriptor, Map<String, Value>)> {
    let RpcKind::Query(query) = &place.rpc.kind else { return Vec::new() };
    let Some(read_model) = query.read_model.filter(|_| query.intent == QueryIntent::List) else { return Vec::new() };
    let read_model = &place.module.read_models[read_model.0];
    let (request, reply) = (place.rpc.descriptor.input(), place.rpc.descriptor.output());
    let list = intent::list(&request, &reply, &read_model.row);
    let demanded = |role: &intent::RequestRole| match role {
        intent::RequestRole::Page | intent::RequestRole::PageSize => json!({ "minimum": 0 }),
        intent::RequestRole::OrderBy => json!({ "pattern": order(read_model) }),
        _ => json!({}),
    };
    let fields = list.into_iter().flat_map(|list| list.request);
    fields.filter_map(|(field, role)| Some((field, demanded(&role).as_object()?.clone()))).collect()
}

/// Columns, each with its direction, separated by commas.
fn order(read_model: &ReadModel) -> String {
    let mut columns = vec![read_model.key.json_name().to_owned()];
    columns.extend(read_model.columns.iter().map(|column| column.field.json_name().to_owned()));
    let term = format!("({})( asc| desc)?", columns.join("|"));
    format!("^({term}(, ?{term})*)?$")
}

/// What of a request comes as query parameters.
struct Query<'a, 'b> {
    path: &'a Path,
    route: &'a Route,
    schemas: &'a mut Schemas<'b>,
    comments: &'a Comments,
    roles: Vec<(FieldDescriptor, Map<String, Value>)>,
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
        let mut schema = self.schemas.parameter(field);
        if let Some((_, demanded)) = self.roles.iter().find(|(it, _)| it == field) {
            // The bound of the type gives way, one of a rule stays.
            if schema["minimum"].as_f64().is_some_and(|minimum| minimum < 0.0) {
                schema.as_object_mut().and_then(|schema| schema.shift_remove("minimum"));
            }
            supplement(&mut schema, demanded.clone());
        }
        let mut parameter = json!({ "name": name, "in": "query", "schema": schema });
        if super::constraints::is_required(field) && !name.contains('.') {
            parameter["required"] = true.into();
        }
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
        headers.push(header("Idempotency-Key", about, json!({ "type": "string", "pattern": KEY })));
    }
    if !command.creates {
        let about = "The version that the aggregate must have, as an ETag of an earlier reply, or `*`.";
        headers.push(header("If-Match", about, json!({ "type": "string", "pattern": VERSION })));
    }
    headers
}

fn request_body(rpc: &Rpc, route: &Route, path: &Path, schemas: &mut Schemas<'_>) -> Option<Value> {
    let request = rpc.descriptor.input();
    let mut schema = match &route.body {
        RouteBody::None => return None,
        RouteBody::Field(name) => schemas.request_field(&request.get_field_by_name(name)?),
        RouteBody::All => {
            let in_path: Vec<&str> = path.parameters.iter().map(|(_, field, _)| field.as_str()).collect();
            schemas.request(&request, &in_path)
        }
    };
    if let RpcKind::Command(Command { id_field: Some(id), creates, .. }) = &rpc.kind {
        // What is created may leave the choice to the service.
        let pattern = if *creates { IDENTITY_OR_NONE } else { IDENTITY };
        schemas.demand(&mut schema, id.json_name(), identity(pattern));
    }
    let required = match &route.body {
        RouteBody::Field(name) => super::constraints::is_required(&request.get_field_by_name(name)?),
        _ => schemas.demands_something(&schema),
    };
    Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }))
}

fn responses(rpc: &Rpc, route: &Route, schemas: &mut Schemas<'_>) -> Value {
    let reply = rpc.descriptor.output();
    let part = route.response_body.as_ref().and_then(|name| reply.get_field_by_name(name));
    let schema = match part {
        Some(field) => schemas.reply_field(&field),
        None => schemas.reply(&reply),
    };
    let content = json!({ "application/json": { "schema": schema } });
    let version = json!({ "description": "Version of the aggregate, for If-Match.", "schema": { "type": "string" } });
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
    for (status, response) in problems(rpc, route) {
        responses.insert(status.to_owned(), json!({ "$ref": format!("#/components/responses/{response}") }));
    }
    responses.into()
}

/// How a request at this route can go wrong, and the names of the responses.
fn problems(rpc: &Rpc, route: &Route) -> Vec<(&'static str, &'static str)> {
    let mut problems = vec![("400", "Invalid")];
    match &rpc.kind {
        RpcKind::Query(query) => problems.extend((query.intent != QueryIntent::List).then_some(("404", "NotFound"))),
        RpcKind::Command(command) => problems.extend(refusals(command)),
    }
    if route.body != RouteBody::None {
        problems.extend([("413", "TooLarge"), ("415", "UnsupportedMediaType")]);
    }
    problems.push(("default", "Problem"));
    problems.sort_unstable();
    problems
}

/// What an asynchronous command can be refused with is in its outcome, but for what concerns its key.
fn refusals(command: &Command) -> Vec<(&'static str, &'static str)> {
    let mut refusals = Vec::new();
    if !command.is_async {
        refusals.extend((!command.creates).then_some(("404", "NotFound")));
        refusals.push(("422", "Refused"));
    }
    refusals.extend((!command.creates).then_some(("412", "VersionMismatch")));
    refusals.push(("409", "Conflict"));
    refusals
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
