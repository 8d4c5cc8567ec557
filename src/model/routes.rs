//! Routes: how REST reaches each rpc.
//!
//! `google.api.http` decides where it is present. Everything else gets a default route below
//! `/api/v1/<plural-kebab aggregate>`; where two would share one, the later gets its own name behind it.

use std::collections::BTreeMap;

use heck::ToKebabCase;
use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor};

use super::{
    PathTemplate, Route, RouteBody,
    context::{Context, Element, Key, extension},
    fields::in_oneof,
    told::rest_of_rpc,
    words::{plural, singular, words},
};
use crate::{
    diagnostic::{Code, suggestion},
    options::{self, HttpRule},
};

/// What the default route of an rpc depends on.
pub(super) struct Routable {
    /// The rpc.
    pub method: MethodDescriptor,
    /// What it is about: an aggregate's name, or a read model's.
    pub resource: String,
    /// Name of the request's field with the id, unless the rpc makes the id.
    pub id: Option<String>,
    /// What it does to the resource.
    pub role: Role,
}

/// What an rpc does, as far as its route goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A command that creates.
    Creates,
    /// Any other command.
    Changes,
    /// A query.
    Reads,
}

/// Paths that every service serves itself.
const OWN: &[(&str, &str)] = &[
    ("GET", "/api/v1/commands/*"),
    ("GET", "/docs"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
];

/// The routes of each rpc, in their order.
pub(super) fn routes(rpcs: &[Routable], context: &mut Context<'_>) -> Vec<Vec<Route>> {
    let mut taken: Taken =
        OWN.iter().map(|(method, path)| ((*method).into(), (*path).into())).map(|it| (it, None)).collect();
    let rules: Vec<_> = rpcs.iter().map(|it| options::http(&it.method)).collect();
    let mut routes: Vec<Vec<Route>> = Vec::new();
    for (rpc, rule) in rpcs.iter().zip(&rules) {
        routes.push(rule.as_ref().map(|rule| annotated(rpc, rule, &mut taken, context)).unwrap_or_default());
    }
    for (at, rpc) in rpcs.iter().enumerate().filter(|(at, _)| rules[*at].is_none()) {
        routes[at] = default_route(rpc, rpcs, &mut taken, context);
    }
    routes
}

/// Method and shape of the paths in use, and the rpc that has each; `None` for the service itself.
type Taken = BTreeMap<(String, String), Option<String>>;

/// Takes a route for an rpc; if it is taken, says by whom.
fn take(taken: &mut Taken, rpc: &MethodDescriptor, method: &str, path: &PathTemplate) -> Result<(), String> {
    let key = (method.to_owned(), path.shape());
    match taken.get(&key) {
        Some(Some(other)) => Err(format!("rpc {other}")),
        Some(None) => Err("the service itself".to_owned()),
        None => {
            taken.insert(key, Some(rpc.name().to_owned()));
            Ok(())
        }
    }
}

/// Fields of `google.api.HttpRule`.
mod rule {
    use super::Key;

    pub const BODY: Key = (7, "body");
    pub const RESPONSE_BODY: Key = (12, "response_body");

    /// The field that says method and path.
    pub fn pattern(method: &str) -> Key {
        match method {
            "GET" => (2, "get"),
            "PUT" => (3, "put"),
            "POST" => (4, "post"),
            "DELETE" => (5, "delete"),
            "PATCH" => (6, "patch"),
            _ => (8, "custom"),
        }
    }
}

fn annotated(rpc: &Routable, rule: &HttpRule, taken: &mut Taken, context: &mut Context<'_>) -> Vec<Route> {
    if rule.additional_bindings.iter().any(|it| !it.additional_bindings.is_empty()) {
        let message =
            format!("google.api.http of {} has additional_bindings within additional_bindings", rpc.method.name());
        let help = "write them one after the other, all in the outer rule".to_owned();
        context.on_option(Element::Method(&rpc.method), extension::HTTP, Code::InvalidHttpRule, message, help);
    }
    let bindings = std::iter::once(rule).chain(&rule.additional_bindings);
    bindings.filter_map(|rule| binding(&rpc.method, rule, taken, context)).collect()
}

fn binding(rpc: &MethodDescriptor, rule: &HttpRule, taken: &mut Taken, context: &mut Context<'_>) -> Option<Route> {
    let mut checks = Checks { rpc, context, failed: false };
    let Some((method, path)) = &rule.pattern else {
        let help = "say `get: \"/v1/…\"`, or put, post, delete, patch";
        checks.on_rule(Code::InvalidHttpRule, format!("google.api.http of {} has no path", rpc.name()), help);
        return None;
    };
    checks.method(method);
    let template = checks.template(method, path)?;
    let body = checks.body(method, &rule.body, &template);
    checks.response_body(&rule.response_body);
    if let Err(by) = take(taken, rpc, method, &template) {
        let message = format!("{method} {path} of {} is already taken by {by}", rpc.name());
        checks.on(rule::pattern(method), path, Code::RouteConflict, message, "give it another path".to_owned());
    }
    let response_body = Some(rule.response_body.clone()).filter(|it| !it.is_empty());
    let route = Route { method: method.clone(), path: template.to_string(), body, response_body };
    (!checks.failed).then_some(route)
}

/// Checks a rule against its rpc.
struct Checks<'a, 'b> {
    rpc: &'a MethodDescriptor,
    context: &'a mut Context<'b>,
    failed: bool,
}

impl Checks<'_, '_> {
    fn on(&mut self, key: Key, value: &str, code: Code, message: String, help: String) {
        self.failed = true;
        let option = (Element::Method(self.rpc), extension::HTTP);
        self.context.on_value(option, key, Some(value), code, (message, help));
    }

    fn on_rule(&mut self, code: Code, message: String, help: &str) {
        self.failed = true;
        self.context.on_option(Element::Method(self.rpc), extension::HTTP, code, message, help.to_owned());
    }

    fn method(&mut self, method: &str) {
        let known = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"];
        if !known.contains(&method) {
            let message = format!("`{method}` of {} is no HTTP method that can be served", self.rpc.name());
            self.on(rule::pattern(method), method, Code::InvalidHttpRule, message, suggestion(method, known));
        }
    }

    fn template(&mut self, method: &str, path: &str) -> Option<PathTemplate> {
        let template = match PathTemplate::parse(path) {
            Ok(template) => template,
            Err(wrong) => {
                let message = format!("invalid path `{path}` of {}: {wrong}", self.rpc.name());
                let help = "a path looks like `/v1/products/{id}` or `/v1/{name=shelves/*}:archive`".to_owned();
                self.on(rule::pattern(method), path, Code::InvalidPath, message, help);
                return None;
            }
        };
        for variable in template.variables() {
            match resolve(&self.rpc.input(), variable) {
                Ok(()) => {}
                Err(Unresolved::Unknown(message)) => {
                    let help = suggest_field(&message, variable);
                    let last = variable.rsplit('.').next().unwrap_or(variable);
                    let text = format!(
                        "path variable `{variable}` of {}: {} has no field `{last}`",
                        self.rpc.name(),
                        message.name()
                    );
                    self.on(rule::pattern(method), path, Code::UnknownHttpField, text, help);
                }
                Err(Unresolved::Type) => {
                    let text = format!("path variable `{variable}` of {} is no single scalar", self.rpc.name());
                    let help = "only a field of a scalar type, not repeated, can stand in a path".to_owned();
                    self.on(rule::pattern(method), path, Code::HttpFieldType, text, help);
                }
            }
        }
        Some(template)
    }

    fn body(&mut self, method: &str, body: &str, template: &PathTemplate) -> RouteBody {
        if !body.is_empty() && matches!(method, "GET" | "HEAD") {
            let message = format!("{method} of {} takes no body", self.rpc.name());
            let help = "leave `body` out: what the path doesn't carry comes as query parameters".to_owned();
            self.on(rule::BODY, body, Code::InvalidHttpRule, message, help);
        }
        match body {
            "" => RouteBody::None,
            "*" => RouteBody::All,
            field => {
                if self.rpc.input().get_field_by_name(field).is_none() {
                    let message = format!("body `{field}` is no field of {}", self.rpc.input().name());
                    let help = suggest_field(&self.rpc.input(), field);
                    self.on(rule::BODY, field, Code::UnknownHttpField, message, help);
                } else if template.variables().any(|it| it == field) {
                    let message = format!("`{field}` of {} is in the path and in the body", self.rpc.name());
                    self.on(
                        rule::BODY,
                        field,
                        Code::InvalidHttpRule,
                        message,
                        "leave it out of one of them".to_owned(),
                    );
                }
                RouteBody::Field(field.to_owned())
            }
        }
    }

    fn response_body(&mut self, field: &str) {
        if !field.is_empty() && self.rpc.output().get_field_by_name(field).is_none() {
            let message = format!("response_body `{field}` is no field of {}", self.rpc.output().name());
            let help = suggest_field(&self.rpc.output(), field);
            self.on(rule::RESPONSE_BODY, field, Code::UnknownHttpField, message, help);
        }
    }
}

enum Unresolved {
    /// The message that lacks the field.
    Unknown(MessageDescriptor),
    Type,
}

/// Follows `a.b.c` from a message to a scalar.
fn resolve(message: &MessageDescriptor, path: &str) -> Result<(), Unresolved> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = message.get_field_by_name(name).ok_or_else(|| Unresolved::Unknown(message.clone()))?;
    match (field.kind(), rest) {
        _ if field.is_list() || field.is_map() || in_oneof(&field) && rest.is_some() => Err(Unresolved::Type),
        (Kind::Message(inner), Some(rest)) => resolve(&inner, rest),
        (Kind::Message(_), None) | (_, Some(_)) => Err(Unresolved::Type),
        (_, None) => Ok(()),
    }
}

fn suggest_field(message: &MessageDescriptor, name: &str) -> String {
    let names: Vec<String> = message.fields().map(|it| it.name().to_owned()).collect();
    let last = name.rsplit('.').next().unwrap_or(name);
    suggestion(last, names.iter().map(String::as_str))
}

fn default_route(rpc: &Routable, rpcs: &[Routable], taken: &mut Taken, context: &mut Context<'_>) -> Vec<Route> {
    let method = method_of(rpc);
    let name = rpc.method.name().to_kebab_case();
    let service = rpc.method.parent_service().name().to_kebab_case();
    let paths = [preferred(rpc, rpcs), distinct(rpc, &name), distinct(rpc, &format!("{service}-{name}"))];
    for path in paths {
        // A name that cannot stand in a path was reported as a name.
        let Ok(template) = PathTemplate::parse(&path) else { return Vec::new() };
        if take(taken, &rpc.method, method, &template).is_ok() {
            let body = if matches!(method, "GET" | "DELETE") { RouteBody::None } else { RouteBody::All };
            return vec![Route { method: method.to_owned(), path, body, response_body: None }];
        }
    }
    let message = format!("the default routes of {} are taken", rpc.method.name());
    let help = "give it one: `option (google.api.http) = { … };`".to_owned();
    context.on(Element::Method(&rpc.method), Code::RouteConflict, message, help);
    Vec::new()
}

fn method_of(rpc: &Routable) -> &'static str {
    match (rpc.role, verb_alone(rpc).as_deref()) {
        (Role::Reads, _) => "GET",
        (Role::Changes, Some("update")) => "PUT",
        (Role::Changes, Some("delete")) => "DELETE",
        _ => "POST",
    }
}

/// The verb, if the rpc's name is nothing but a verb and the resource.
fn verb_alone(rpc: &Routable) -> Option<String> {
    match rest_of_rpc(rpc.method.name(), &rpc.resource).as_slice() {
        [verb] => Some(verb.clone()),
        _ => None,
    }
}

/// The route that says most with least.
fn preferred(rpc: &Routable, rpcs: &[Routable]) -> String {
    let collection = collection(rpc);
    let rest = rest_of_rpc(rpc.method.name(), &rpc.resource);
    let name = rest.join("-");
    match (rpc.role, &rpc.id, verb_alone(rpc).as_deref()) {
        (Role::Changes, _, Some("create")) => collection,
        (Role::Creates, ..) if is_first_to_create(rpc, rpcs) => collection,
        (Role::Creates, ..) => format!("{collection}/{name}"),
        (Role::Changes, Some(id), Some("update" | "delete")) => format!("{collection}/{{{id}}}"),
        (Role::Changes, Some(id), _) => format!("{collection}/{{{id}}}/{name}"),
        (Role::Reads, Some(id), Some(verb)) if is_get(verb) => format!("{collection}/{{{id}}}"),
        (Role::Reads, None, Some(verb)) if is_list(verb) && names_many(rpc) => collection,
        (Role::Reads, ..) => format!("{collection}/{}", without_get(&rest).join("-")),
        (Role::Changes, None, _) => format!("{collection}/{name}"),
    }
}

/// A route that hardly any other rpc has by default.
fn distinct(rpc: &Routable, name: &str) -> String {
    let collection = collection(rpc);
    match (rpc.role, &rpc.id) {
        (Role::Changes, Some(id)) => format!("{collection}/{{{id}}}/{name}"),
        _ => format!("{collection}/{name}"),
    }
}

/// `/api/v1/order-lines` for `OrderLine`.
fn collection(rpc: &Routable) -> String {
    let mut words = words(&rpc.resource);
    if let Some(last) = words.pop() {
        words.push(plural(&singular(&last)));
    }
    format!("/api/v1/{}", words.join("-"))
}

/// The collection itself is for the command that is called Create, else for the first one that creates.
fn is_first_to_create(rpc: &Routable, rpcs: &[Routable]) -> bool {
    let of_same: Vec<_> = rpcs.iter().filter(|it| it.role == Role::Creates && it.resource == rpc.resource).collect();
    let create = of_same.iter().find(|it| verb_alone(it).as_deref() == Some("create"));
    create.or(of_same.first()).is_some_and(|it| it.method == rpc.method)
}

fn is_get(verb: &str) -> bool {
    matches!(verb, "get" | "find" | "fetch" | "read" | "load" | "show" | "view" | "describe" | "lookup")
}

fn is_list(verb: &str) -> bool {
    is_get(verb) || matches!(verb, "list" | "browse" | "query")
}

/// Whether the name speaks of several: `ListProducts`, not `GetProduct`.
fn names_many(rpc: &Routable) -> bool {
    let words = words(rpc.method.name());
    words.iter().any(|it| it == "list") || words.last().is_some_and(|it| *it != singular(it))
}

fn without_get(words: &[String]) -> &[String] {
    match words {
        [verb, rest @ ..] if is_list(verb) && !rest.is_empty() => rest,
        _ => words,
    }
}
