//! The project around the layers: the library's root, `main`, and the tests that come with it.

use serde::Serialize;

use super::{Scope, imports::Imports, symbols::docs_or};
use crate::{
    file::{Class, File},
    model::{Repository, Transport},
    render::Bug,
    rust::{self, Expr, Stmt},
};

pub(super) fn files(scope: &Scope<'_>) -> Result<Vec<File>, Bug> {
    let name = &scope.module.name;
    let mut files = Vec::new();
    let path = "src/generated/mod.rs".to_owned();
    files.push(scope.generated(path, name, "generated/mod.rs.tera", &generated_view(scope))?);
    let view = LibView { docs: format!("The module `{name}`."), modules: vec!["application", "domain"] };
    files.push(scope.written("src/lib.rs".into(), Class::Structured, name, "seed/lib.rs.tera", &view)?);
    files.push(scope.written("src/main.rs".into(), Class::Seed, name, "seed/main.rs.tera", &main_view(scope))?);
    let path = "tests/layers.rs".to_owned();
    files.push(scope.written(path, Class::Seed, name, "seed/tests/layers.rs.tera", &Nothing {})?);
    files.push(super::tests::service_file(scope)?);
    files.push(File {
        path: "rustfmt.toml".to_owned(),
        class: Class::Seed,
        symbol: name.clone(),
        contents: "style_edition = \"2024\"\n".to_owned(),
    });
    Ok(files)
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct LibView {
    docs: String,
    modules: Vec<&'static str>,
}

#[derive(Serialize)]
struct GeneratedView<'a> {
    name: &'a str,
    literal: String,
    modules: Vec<&'static str>,
    uses: String,
    services: Vec<ServiceView<'a>>,
    aggregates: Vec<AggregateView>,
    /// Types of the events that stay inside, quoted.
    internal: Vec<String>,
    read_models: Vec<&'a str>,
    /// Modules of the subscriptions.
    subscriptions: Vec<&'a str>,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    module: &'a str,
    argument: String,
    handlers: &'a str,
}

#[derive(Serialize)]
struct AggregateView {
    state: String,
    constant: String,
    events: Vec<EventView>,
}

#[derive(Serialize)]
struct EventView {
    event_type: String,
    version: u32,
    full_name: String,
}

fn generated_view<'a>(scope: &Scope<'a>) -> GeneratedView<'a> {
    let mut own = vec!["Module", "messages"];
    own.extend(scope.symbols.services.iter().map(|it| it.handlers.as_str()));
    own.extend(scope.symbols.read_models.iter().map(|it| it.marker.as_str()));
    let mut imports = scope.imports(&own);
    imports.add("potter::module", "Module");
    for service in &scope.symbols.services {
        imports.add(&format!("crate::generated::application::{}", service.module), &service.handlers);
    }
    for model in &scope.symbols.read_models {
        imports.add(&format!("crate::generated::application::{}", model.module), &model.marker);
    }
    let both = scope.module.aggregates.iter().zip(&scope.symbols.aggregates);
    let aggregates = both.map(|(aggregate, names)| AggregateView {
        constant: format!("{}_EVENTS", names.module.to_uppercase().trim_end_matches('_')),
        state: imports.path(scope.path(&aggregate.message)),
        events: aggregate
            .events
            .iter()
            .map(|id| &scope.module.events[id.0])
            .map(|event| EventView {
                event_type: rust::string_literal(&event.event_type),
                version: event.version,
                full_name: rust::string_literal(event.message.full_name()),
            })
            .collect(),
    });
    let aggregates = aggregates.collect();
    let modules = vec!["application", "domain", "infrastructure", "messages", "transport"];
    GeneratedView {
        name: &scope.module.name,
        literal: rust::string_literal(&scope.module.name),
        modules,
        uses: imports.render(0),
        services: scope
            .symbols
            .services
            .iter()
            .map(|it| ServiceView { module: &it.module, argument: argument(&it.module), handlers: &it.handlers })
            .collect(),
        aggregates,
        internal: internal_events(scope),
        read_models: scope.symbols.read_models.iter().map(|it| it.marker.as_str()).collect(),
        subscriptions: scope.symbols.subscriptions.iter().map(|it| it.module.as_str()).collect(),
    }
}

fn internal_events(scope: &Scope<'_>) -> Vec<String> {
    let internal = scope.module.events.iter().filter(|event| event.internal);
    internal.map(|event| rust::string_literal(&event.event_type)).collect()
}

/// The name of a parameter of `module`; not that of its own variable.
fn argument(module: &str) -> String {
    if module == "module" { "module_handlers".to_owned() } else { module.to_owned() }
}

#[derive(Serialize)]
struct MainView {
    docs: Vec<String>,
    uses: String,
    body: String,
}

fn main_view(scope: &Scope<'_>) -> MainView {
    let library = &scope.symbols.library;
    let mut imports = Imports::new(&scope.symbols.names, super::MESSAGES, "potter", &[]);
    let services: Vec<Expr> = scope.symbols.services.iter().map(|it| Expr::text(&it.service)).collect();
    for service in &scope.symbols.services {
        imports.add(&format!("{library}::application"), &service.service);
    }
    imports.add(library, "generated");
    let module = Expr::call("generated::module", services);
    let mut app = Expr::call("potter::App::new", [module]);
    for transport in &scope.module.transports {
        app = match transport {
            Transport::Rest => app.method("rest", [Expr::text("generated::transport::rest::api()")]),
            Transport::Grpc => app.method("grpc", []),
            Transport::Nats => app.method("nats", []),
        };
    }
    let in_memory = |it: &crate::model::Aggregate| it.repository == Repository::InMemory;
    if !scope.module.aggregates.is_empty() && scope.module.aggregates.iter().all(in_memory) {
        app = app.method("default_database", [Expr::string("memory://")]);
    }
    let body = rust::block(&[Stmt::Value(app.method("run", []))], 4);
    let service = scope.module.services.first();
    let docs = service.map_or_else(
        || vec![format!("Serves the module `{}`.", scope.module.name)],
        |it| docs_or(scope.comments, &it.descriptor, format!("Serves the module `{}`.", scope.module.name)),
    );
    MainView { docs, uses: imports.render(0), body: body.trim().to_owned() }
}
