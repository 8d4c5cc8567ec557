//! Services: what they say about the module as a whole.

use std::collections::BTreeSet;

use heck::ToSnakeCase;
use prost_reflect::ServiceDescriptor;

use super::{
    OpenApi, OpenApiVersion, Settings, Transport,
    context::{Context, Element, Key, extension},
    scope::Scope,
};
use crate::{
    diagnostic::{Code, Diagnostic, nearest},
    options::{self, OpenApiInfo, ServiceOptions},
};

/// A service and its `(potter.service)`.
pub(super) type Annotated = (ServiceDescriptor, ServiceOptions);

/// Fields of `potter.ServiceOptions`.
pub(super) mod key {
    use super::Key;

    pub const MODULE_NAME: Key = (1, "module_name");
    pub const TRANSPORT: Key = (2, "transport");
    pub const ENABLE_OPENAPI: Key = (3, "enable_openapi");
    pub const OPENAPI_VERSION: Key = (4, "openapi_version");
    pub const OPENAPI_INFO: Key = (5, "openapi_info");
    pub const SUBSCRIBES: Key = (6, "subscribes");
}

/// The services with `(potter.service)`.
pub(super) fn annotated(scope: &Scope, context: &mut Context<'_>) -> Vec<Annotated> {
    let annotated: Vec<Annotated> =
        scope.services.iter().filter_map(|it| options::service(it).map(|options| (it.clone(), options))).collect();
    if annotated.is_empty() {
        report_none(scope, context);
    } else {
        for service in scope.services.iter().filter(|it| !annotated.iter().any(|(own, _)| own == *it)) {
            let message = format!("service {} has no (potter.service) and is left out", service.name());
            let help = "add `option (potter.service) = {};` to it, or take it out of the file".to_owned();
            context.on(Element::Service(service), Code::ServiceIgnored, message, help);
        }
    }
    annotated
}

fn report_none(scope: &Scope, context: &mut Context<'_>) {
    let help =
        "add `option (potter.service) = { module_name: \"…\" };` to a service; if it is in another file, name that \
                one too (under buf: `strategy: all`, which gives all files at once)"
            .to_owned();
    let message = "no service has (potter.service)".to_owned();
    match scope.services.first() {
        Some(service) => context.on(Element::Service(service), Code::NoService, message, help),
        None => {
            let place = context.descriptors().files().first().map(|it| context.descriptors().locate(it, &[]));
            context.findings.push(Diagnostic::new(Code::NoService, place, message).help(help));
        }
    }
}

/// The module's name: the command line's, else the one that the services agree on.
pub(super) fn module_name(services: &[Annotated], settings: &Settings, context: &mut Context<'_>) -> String {
    if let Some(name) = &settings.module {
        if let Err(wrong) = check_module_name(name) {
            let message = format!("`{name}` cannot name a module: {wrong}");
            let help = format!("use something like `{}`", proposal(name));
            context.findings.push(Diagnostic::new(Code::InvalidModuleName, None, message).help(help));
        }
        return name.clone();
    }
    let named: Vec<_> = services.iter().filter(|(_, it)| !it.module_name.is_empty()).collect();
    let Some(((_, first), others)) = named.split_first() else {
        if let Some((service, _)) = services.first() {
            let message = "the module has no name".to_owned();
            let help = "add `module_name: \"…\"` to (potter.service), or give `--module`".to_owned();
            context.on_option(Element::Service(service), extension::SERVICE, Code::ModuleNameMissing, message, help);
        }
        return String::new();
    };
    for (service, options) in others.iter().filter(|(_, it)| it.module_name != first.module_name) {
        let message = format!("two names for one module: `{}` and `{}`", first.module_name, options.module_name);
        let help = "let the services agree, give `--module`, or generate the modules apart".to_owned();
        report(
            service,
            key::MODULE_NAME,
            Some(&options.module_name),
            Code::ModuleNameMissing,
            (message, help),
            context,
        );
    }
    check_names(&named, context);
    first.module_name.clone()
}

fn check_names(named: &[&Annotated], context: &mut Context<'_>) {
    for (service, options) in named {
        if let Err(wrong) = check_module_name(&options.module_name) {
            let message = format!("`{}` cannot name a module: {wrong}", options.module_name);
            let help = format!("use something like `{}`", proposal(&options.module_name));
            let value = Some(options.module_name.as_str());
            report(service, key::MODULE_NAME, value, Code::InvalidModuleName, (message, help), context);
        }
    }
}

/// Says why a name cannot name a crate, once it is in snake case.
fn check_module_name(name: &str) -> Result<(), &'static str> {
    const KEYWORDS: &[&str] = &[
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
        "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
        "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
        "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    ];
    const CRATES: &[&str] = &["alloc", "core", "potter", "proc_macro", "std", "test"];
    const FOLDERS: &[&str] = &["build", "deps", "examples", "incremental"];
    let snake = name.to_snake_case();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Err("it must begin with a letter")
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        Err("only letters, digits, `-` and `_` can stand in it")
    } else if KEYWORDS.contains(&snake.as_str()) {
        Err("it is a keyword of Rust")
    } else if CRATES.contains(&snake.as_str()) || snake.starts_with("potter_") {
        Err("a crate of that name is needed by the service")
    } else if FOLDERS.contains(&snake.as_str()) {
        Err("cargo keeps that name for a folder of its own")
    } else if name.len() > 40 {
        Err("it is longer than 40 characters")
    } else {
        Ok(())
    }
}

/// A name near to the given one that can be used.
fn proposal(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let snake = plain.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).to_snake_case();
    let short: String = snake.chars().take(32).collect();
    match check_module_name(&short) {
        Ok(()) => short,
        Err(_) if check_module_name(&format!("{short}_service")).is_ok() => format!("{short}_service"),
        Err(_) => "shop".to_owned(),
    }
}

/// Every transport of the contract, and what serves it here.
const TRANSPORTS: &[(&str, Option<Transport>)] = &[
    ("REST", Some(Transport::Rest)),
    ("gRPC", Some(Transport::Grpc)),
    ("GraphQL", None),
    ("NATS", Some(Transport::Nats)),
    ("Kafka", None),
    ("Redis", None),
    ("RabbitMQ", None),
    ("WebSocket", None),
    ("SSE", None),
];

/// The transports that the services ask for and that can be served; REST when there would be none.
pub(super) fn transports(services: &[Annotated], context: &mut Context<'_>) -> Vec<Transport> {
    let mut served = BTreeSet::new();
    for (service, options) in services {
        if options.transport.is_empty() {
            served.extend([Transport::Rest, Transport::Grpc]);
        }
        let asked: Vec<_> = options.transport.iter().map(|name| (name, transport(name))).collect();
        served.extend(asked.iter().filter_map(|(_, it)| it.flatten()));
        let none_served = !asked.iter().any(|(_, it)| matches!(it, None | Some(Some(_))));
        for (name, found) in asked {
            match found {
                None => report_unknown(service, name, context),
                Some(None) => report_not_served(service, name, none_served, context),
                Some(Some(_)) => {}
            }
        }
        if none_served && !options.transport.is_empty() {
            served.insert(Transport::Rest);
        }
    }
    report_different(services, context);
    served.into_iter().collect()
}

/// `None` for an unknown name, `Some(None)` for one that isn't served yet.
fn transport(name: &str) -> Option<Option<Transport>> {
    TRANSPORTS.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, served)| *served)
}

fn report_unknown(service: &ServiceDescriptor, name: &str, context: &mut Context<'_>) {
    let names = TRANSPORTS.iter().map(|(it, _)| *it);
    let help = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
    };
    let message = format!("unknown transport `{name}`");
    report(service, key::TRANSPORT, Some(name), Code::UnknownTransport, (message, help), context);
}

fn report_not_served(service: &ServiceDescriptor, name: &str, none_served: bool, context: &mut Context<'_>) {
    let proper = TRANSPORTS.iter().map(|(it, _)| *it).find(|it| it.eq_ignore_ascii_case(name)).unwrap_or(name);
    let message = if none_served {
        format!("this version doesn't serve {proper} yet; the service is reached by REST instead")
    } else {
        format!("this version doesn't serve {proper} yet; the others are served without it")
    };
    let help = "REST, gRPC and NATS are served; nothing needs to be changed".to_owned();
    report(service, key::TRANSPORT, Some(name), Code::TransportNotServed, (message, help), context);
}

fn report_different(services: &[Annotated], context: &mut Context<'_>) {
    let set = |it: &ServiceOptions| match it.transport.as_slice() {
        [] => ["grpc", "rest"].map(str::to_owned).into(),
        named => named.iter().map(|it| it.to_lowercase()).collect::<BTreeSet<_>>(),
    };
    let Some(((first, options), others)) = services.split_first() else { return };
    for (service, _) in others.iter().filter(|(_, it)| set(it) != set(options)) {
        let message = format!(
            "services {} and {} ask for different transports; both are served by all of them",
            first.name(),
            service.name()
        );
        let help = "let the services of one module agree, or generate them as two modules".to_owned();
        report(service, key::TRANSPORT, None, Code::ServicesDisagree, (message, help), context);
    }
}

/// The OpenAPI document, if there is to be one.
pub(super) fn openapi(
    services: &[Annotated],
    transports: &[Transport],
    module: &str,
    context: &mut Context<'_>,
) -> Option<OpenApi> {
    let versions: Vec<_> = services.iter().map(|it| openapi_version(it, context)).collect();
    if !transports.contains(&Transport::Rest) {
        report_unused_openapi(
            services,
            "isn't served by REST",
            "add \"REST\" to `transport`, or leave it out",
            context,
        );
        return None;
    }
    let switched: Vec<_> = services.iter().filter(|(_, it)| it.enable_openapi.is_some()).collect();
    report_disagreement(&switched, key::ENABLE_OPENAPI, |it| it.enable_openapi.map(|it| it.to_string()), context);
    let versioned: Vec<_> = services.iter().filter(|(_, it)| !it.openapi_version.is_empty()).collect();
    report_disagreement(&versioned, key::OPENAPI_VERSION, |it| Some(it.openapi_version.clone()), context);
    let informed: Vec<_> = services.iter().filter(|(_, it)| it.openapi_info.is_some()).collect();
    report_disagreement(
        &informed,
        key::OPENAPI_INFO,
        |it| it.openapi_info.as_ref().map(|it| format!("{it:?}")),
        context,
    );

    let enabled = switched.first().is_none_or(|(_, it)| it.enable_openapi == Some(true));
    let info = informed.first().and_then(|(_, it)| it.openapi_info.clone()).unwrap_or_default();
    let version = versions.into_iter().flatten().next().unwrap_or_default();
    if !enabled {
        report_unused_openapi(
            services,
            "has no OpenAPI document",
            "leave `enable_openapi: false` out, or this",
            context,
        );
    }
    enabled.then(|| document(info, version, module, services, context))
}

fn document(
    info: OpenApiInfo,
    version: OpenApiVersion,
    module: &str,
    services: &[Annotated],
    context: &Context<'_>,
) -> OpenApi {
    let or = |given: String, default: &str| if given.is_empty() { default.to_owned() } else { given };
    let about = services.first().map(|(it, _)| context.comment(Element::Service(it))).unwrap_or_default();
    OpenApi {
        version,
        title: or(info.title, module),
        info_version: or(info.version, "1.0.0"),
        description: or(info.description, &about),
        terms_of_service: info.terms_of_service,
        contact: info.contact,
        license: info.license,
    }
}

fn openapi_version((service, options): &Annotated, context: &mut Context<'_>) -> Option<OpenApiVersion> {
    match options.openapi_version.as_str() {
        "" => None,
        "3.0.3" => Some(OpenApiVersion::V3_0),
        "3.1.0" => Some(OpenApiVersion::V3_1),
        other => {
            let near = if other.starts_with("3.0") { "3.0.3" } else { "3.1.0" };
            let message = format!("unknown OpenAPI version `{other}`");
            let help = format!("write `{near}`; there are 3.0.3 and 3.1.0");
            report(service, key::OPENAPI_VERSION, Some(other), Code::InvalidOpenApiVersion, (message, help), context);
            None
        }
    }
}

fn report_unused_openapi(services: &[Annotated], why: &str, help: &str, context: &mut Context<'_>) {
    for (service, options) in services {
        let said = [
            (key::ENABLE_OPENAPI, options.enable_openapi == Some(true)),
            (key::OPENAPI_VERSION, !options.openapi_version.is_empty()),
            (key::OPENAPI_INFO, options.openapi_info.is_some()),
        ];
        for (key, _) in said.into_iter().filter(|(_, said)| *said) {
            let text = format!("{} has no effect: service {} {why}", key.1, service.name());
            report(service, key, None, Code::OpenApiWithoutEffect, (text, help.to_owned()), context);
        }
    }
}

/// Reports the services that say something else than the first one that says anything.
fn report_disagreement(
    services: &[&Annotated],
    key: Key,
    said: impl Fn(&ServiceOptions) -> Option<String>,
    context: &mut Context<'_>,
) {
    let Some(((first, options), others)) = services.split_first() else { return };
    for (service, _) in others.iter().filter(|(_, it)| said(it) != said(options)) {
        let message = format!("{} of {} gives way to that of {}", key.1, service.name(), first.name());
        let help = "the services of one module share one OpenAPI document; let them agree".to_owned();
        report(service, key, None, Code::ServicesDisagree, (message, help), context);
    }
}

pub(super) fn report(
    service: &ServiceDescriptor,
    key: Key,
    value: Option<&str>,
    code: Code,
    text: (String, String),
    context: &mut Context<'_>,
) {
    context.on_value((Element::Service(service), extension::SERVICE), key, value, code, text);
}
