//! The application: what services answer, as traits and as seeds; views and read models.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Scope,
    domain::Function,
    queries, read_models, replies, subscriptions,
    symbols::{ServiceSymbols, docs_or},
    types::{FieldType, Item, Shape},
};
use crate::{
    file::{Class, File},
    model::{Command, Query, Rpc, RpcKind, Service},
    render::Bug,
    rust,
};

pub(super) fn files(scope: &Scope<'_>) -> Result<Vec<File>, Bug> {
    let mut files = Vec::new();
    let mut seeds: Vec<&str> = Vec::new();
    let mut seed_services = Vec::new();
    for (service, symbols) in scope.module.services.iter().zip(&scope.symbols.services) {
        seeds.push(&symbols.module);
        seed_services.push(ServiceName { module: &symbols.module, service: &symbols.service });
        let symbol = service.descriptor.full_name();
        let path = format!("src/generated/application/{}.rs", symbols.module);
        let view = service_view(scope, service, symbols);
        files.push(scope.generated(path, symbol, "generated/application/service.rs.tera", &view)?);
        let path = format!("src/application/{}.rs", symbols.module);
        let view = seed_view(scope, service, symbols);
        files.push(scope.written(path, Class::Seed, symbol, "seed/application/service.rs.tera", &view)?);
    }
    for index in 0..scope.module.read_models.len() {
        seeds.push(&scope.symbols.read_models[index].module);
        files.extend(read_models::files(scope, index)?);
    }
    for (index, symbols) in scope.symbols.subscriptions.iter().enumerate() {
        seeds.push(&symbols.module);
        files.extend(subscriptions::files(scope, index)?);
    }
    seeds.sort_unstable();
    seed_services.sort_by_key(|it| it.module);
    let name = &scope.module.name;
    let mut modules = seeds.clone();
    if let Some(effects) = subscriptions::effects_file(scope)? {
        files.push(effects);
        modules.push("effects");
    }
    if has_queries(scope) {
        modules.push("views");
        let path = "src/generated/application/views.rs".to_owned();
        files.push(scope.generated(path, name, "generated/application/views.rs.tera", &views_view(scope))?);
    }
    modules.sort_unstable();
    let path = "src/generated/application/mod.rs".to_owned();
    files.push(scope.generated(path, name, "generated/application/mod.rs.tera", &ModulesView { modules })?);
    let view = SeedModulesView { modules: seeds, services: seed_services };
    let path = "src/application/mod.rs".to_owned();
    files.push(scope.written(path, Class::Structured, name, "seed/application/mod.rs.tera", &view)?);
    Ok(files)
}

fn has_queries(scope: &Scope<'_>) -> bool {
    scope.module.services.iter().flat_map(|it| &it.rpcs).any(|it| matches!(it.kind, RpcKind::Query(_)))
}

#[derive(Serialize)]
struct ModulesView<'a> {
    modules: Vec<&'a str>,
}

#[derive(Serialize)]
struct SeedModulesView<'a> {
    modules: Vec<&'a str>,
    services: Vec<ServiceName<'a>>,
}

#[derive(Serialize)]
struct ServiceName<'a> {
    module: &'a str,
    service: &'a str,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    full_name: &'a str,
    docs: Vec<String>,
    uses: String,
    handlers: &'a str,
    rpcs: Vec<RpcView>,
}

#[derive(Serialize)]
struct RpcView {
    docs: Vec<String>,
    kind: &'static str,
    method: String,
    /// `executed` or `accepted`, what a command's reply is made from.
    answer: &'static str,
    rpc: String,
    request: String,
    reply: String,
    state: String,
    decide: String,
    id: String,
    /// Calls on the command's builder.
    settings: String,
    id_field: String,
    id_access: String,
    reads: String,
    cached: String,
}

fn service_view<'a>(scope: &Scope<'a>, service: &'a Service, symbols: &'a ServiceSymbols) -> ServiceView<'a> {
    let mut imports = scope.imports(&[
        &symbols.handlers,
        "Accepted",
        "Arc",
        "Command",
        "Executed",
        "Failure",
        "Module",
        "Query",
        "Views",
    ]);
    imports.add("potter::module", "Module");
    let mut deciders = BTreeSet::new();
    let mut rpcs = Vec::new();
    for (rpc, method) in service.rpcs.iter().zip(&symbols.methods) {
        // A synchronous command without an id is decided and answered without its request being named.
        let names_request = !matches!(&rpc.kind, RpcKind::Command(it) if !it.is_async && it.id_field.is_none());
        let request = names_request.then(|| imports.item(&Item::of_message(&rpc.descriptor.input())));
        let reply = imports.item(&Item::of_message(&rpc.descriptor.output()));
        let docs = docs_or(scope.comments, &rpc.descriptor, format!("Answers `{}`.", rpc.descriptor.name()));
        let full = format!("{}/{}", service.descriptor.full_name(), rpc.descriptor.name());
        let mut view = RpcView {
            docs,
            method: method.clone(),
            rpc: rust::string_literal(&full),
            request: request.unwrap_or_default(),
            reply,
            ..RpcView::new()
        };
        match &rpc.kind {
            RpcKind::Command(command) => {
                let (aggregate, names) = scope.aggregate(command.aggregate);
                deciders.insert(command.aggregate);
                view.state = imports.path(scope.path(&aggregate.message));
                view.decide = names.commands[rpc.descriptor.full_name()].clone();
                command_view(scope, command, &mut view);
                imports.add("potter::command", "Command");
                imports.add("potter::command", if command.is_async { "Accepted" } else { "Executed" });
            }
            RpcKind::Query(query) => {
                query_view(scope, query, &mut view);
                imports.add("potter::query", "Query");
                imports.add("potter::failure", "Failure");
                imports.add("crate::generated::application::views", "Views");
            }
        }
        rpcs.push(view);
    }
    for id in deciders {
        let (_, names) = scope.aggregate(id);
        imports.add(&format!("crate::generated::domain::{}", names.module), &names.decider);
    }
    ServiceView {
        full_name: service.descriptor.full_name(),
        docs: scope.comments.lines(&service.descriptor),
        uses: imports.render(0),
        handlers: &symbols.handlers,
        rpcs,
    }
}

impl RpcView {
    fn new() -> Self {
        Self {
            docs: Vec::new(),
            kind: "query",
            method: String::new(),
            answer: "executed",
            rpc: String::new(),
            request: String::new(),
            reply: String::new(),
            state: String::new(),
            decide: String::new(),
            id: String::new(),
            settings: String::new(),
            id_field: String::new(),
            id_access: String::new(),
            reads: String::new(),
            cached: String::new(),
        }
    }
}

fn command_view(scope: &Scope<'_>, command: &Command, view: &mut RpcView) {
    (view.kind, view.answer) = if command.is_async { ("async", "accepted") } else { ("command", "executed") };
    view.id = rust::string_literal(&command.id);
    let timeout = command.timeout_seconds.map(|it| format!(".timeout_seconds({it})"));
    let settings =
        [command.creates.then_some(".creates()"), command.idempotent.then_some(".idempotent()"), timeout.as_deref()];
    view.settings = settings.into_iter().flatten().collect();
    if let Some(field) = &command.id_field {
        let optional = FieldType::of(field).shape == Shape::Option;
        let access = if optional { "as_deref().unwrap_or_default()" } else { "as_str()" };
        view.id_field = rust::string_literal(field.name());
        view.id_access = format!("{}.{access}", scope.symbols.names.field(field));
    }
}

fn query_view(scope: &Scope<'_>, query: &Query, view: &mut RpcView) {
    if let Some(id) = query.read_model {
        view.reads = rust::string_literal(&scope.module.read_models[id.0].name);
    }
    if let Some(cache) = query.cache {
        view.cached = match cache.ttl_seconds {
            Some(seconds) => format!("Some({seconds})"),
            None => "None".to_owned(),
        };
    }
}

#[derive(Serialize)]
struct ViewsView<'a> {
    uses: String,
    models: Vec<ModelView<'a>>,
}

#[derive(Serialize)]
struct ModelView<'a> {
    field: &'a str,
    marker: &'a str,
    table: &'a str,
}

fn views_view<'a>(scope: &Scope<'a>) -> ViewsView<'a> {
    let mut imports = scope.imports(&[]);
    imports.add("potter::query", "QueryContext");
    let models = scope.symbols.read_models.iter().map(|it| {
        imports.add("potter::query", "View");
        imports.add(&format!("crate::generated::application::{}", it.module), &it.marker);
        ModelView { field: &it.module, marker: &it.marker, table: &it.table }
    });
    let models = models.collect();
    ViewsView { models, uses: imports.render(0) }
}

#[derive(Serialize)]
struct ServiceSeedView<'a> {
    full_name: &'a str,
    uses: String,
    service: &'a str,
    implement: String,
    rpcs: Vec<Function>,
}

fn seed_view<'a>(scope: &Scope<'a>, service: &'a Service, symbols: &'a ServiceSymbols) -> ServiceSeedView<'a> {
    let mut imports = scope.imports(&[&symbols.service, &symbols.handlers, "Accepted", "Executed", "Failure", "Views"]);
    imports.add(&format!("crate::generated::application::{}", symbols.module), &symbols.handlers);
    let mut rpcs = Vec::new();
    for (rpc, method) in service.rpcs.iter().zip(&symbols.methods) {
        rpcs.push(match &rpc.kind {
            RpcKind::Command(command) => replies::function(scope, rpc, command, method, &mut imports),
            RpcKind::Query(query) => queries::function(scope, rpc, query, method, &mut imports),
        });
    }
    ServiceSeedView {
        full_name: service.descriptor.full_name(),
        uses: imports.render(0),
        service: &symbols.service,
        implement: format!("impl {} for {}", symbols.handlers, symbols.service),
        rpcs,
    }
}

/// The rpc's path as transports call it.
pub(super) fn rpc_path(rpc: &Rpc) -> String {
    format!("{}/{}", rpc.descriptor.parent_service().full_name(), rpc.descriptor.name())
}
