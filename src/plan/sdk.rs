//! The SDK: a crate with the messages that callers need and a client with a method for each rpc.

mod invokers;

use std::collections::BTreeSet;

use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor};
use serde::Serialize;

use super::{
    Scope,
    domain::article,
    imports::Imports,
    root_package,
    symbols::{docs_or, take},
    types::Item,
};
use crate::{
    file::{Class, File},
    lower::{Lowered, lower, names::to_snake},
    model::{Command, Rpc, RpcKind, Service, Transport},
    render::{self, Bug},
    rust,
};

/// Path of the messages in the SDK.
const MESSAGES: &str = "crate::messages";

pub(super) fn files(scope: &Scope<'_>) -> Result<Vec<File>, Bug> {
    let (messages, enums) = reachable(scope);
    let mut lowered = lower(&messages, &enums, scope.comments);
    lowered.names.root = root_package(scope.module, &lowered);
    let serves = |transport| scope.module.transports.contains(&transport);
    let (client, invokers) = (serves(Transport::Grpc), serves(Transport::Nats));
    let sdk = Sdk { scope, lowered: &lowered };
    let mut files = super::messages_files(scope, "sdk/src/messages", "::potter_client", &lowered)?;
    let package = scope.symbols.library.replace('_', "-");
    let name = &scope.module.name;
    let view = ManifestView { package: &package, name, invokers };
    files.push(scope.written("sdk/Cargo.toml".into(), Class::Generated, name, "sdk/Cargo.toml.tera", &view)?);
    let text = render::text("sdk/lib.rs.tera", &sdk.library(client, invokers))?;
    let contents = format!("{}{text}", scope.origin);
    let attributes = "# After a merge `potter-gen update` writes these files anew.\n* -merge\n".to_owned();
    let path = "sdk/.gitattributes".to_owned();
    files.push(File { path, class: Class::Generated, symbol: name.clone(), contents: attributes });
    let (path, class) = ("sdk/src/lib.rs".to_owned(), Class::Generated);
    files.push(File { path, class, symbol: name.clone(), contents });
    if client {
        files.push(sdk.file("client", name, &sdk.client())?);
    }
    if invokers {
        files.push(sdk.file("invokers", name, &sdk.invokers())?);
    }
    if client || invokers {
        files.push(sdk.file("errors", name, &sdk.errors())?);
        files.push(sdk.file("events", name, &sdk.events())?);
    }
    Ok(files)
}

/// What callers see: requests, replies, events, errors, and all that these hold; top-level ones.
fn reachable(scope: &Scope<'_>) -> (Vec<MessageDescriptor>, Vec<EnumDescriptor>) {
    let module = scope.module;
    let rpcs = module.services.iter().flat_map(|it| &it.rpcs);
    let mut open: Vec<MessageDescriptor> =
        rpcs.flat_map(|it| [it.descriptor.input(), it.descriptor.output()]).collect();
    open.extend(module.events.iter().filter(|it| !it.internal).map(|it| it.message.clone()));
    open.extend(module.errors.iter().map(|it| it.message.clone()));
    let (mut messages, mut enums) = (BTreeSet::new(), BTreeSet::new());
    while let Some(message) = open.pop() {
        let top = top_level(message);
        if top.package_name() == "google.protobuf" || !messages.insert(top.full_name().to_owned()) {
            continue;
        }
        held_by(&top, &mut open, &mut enums);
    }
    // In the model's order, which is that of declaration.
    let messages = module.messages.iter().filter(|it| messages.contains(it.full_name())).cloned().collect();
    let enums = module.enums.iter().filter(|it| enums.contains(it.full_name())).cloned().collect();
    (messages, enums)
}

fn top_level(message: MessageDescriptor) -> MessageDescriptor {
    match message.parent_message() {
        Some(parent) => top_level(parent),
        None => message,
    }
}

/// The messages and top-level enums that a message and those nested in it hold.
fn held_by(message: &MessageDescriptor, messages: &mut Vec<MessageDescriptor>, enums: &mut BTreeSet<String>) {
    for field in message.fields() {
        match field.kind() {
            Kind::Message(held) => messages.push(held),
            Kind::Enum(held) => match held.parent_message() {
                Some(parent) => messages.push(parent),
                None => {
                    enums.insert(held.full_name().to_owned());
                }
            },
            _ => {}
        }
    }
    for child in message.child_messages() {
        held_by(&child, messages, enums);
    }
}

struct Sdk<'a, 'b> {
    scope: &'b Scope<'a>,
    lowered: &'b Lowered,
}

#[derive(Serialize)]
struct ManifestView<'a> {
    package: &'a str,
    name: &'a str,
    invokers: bool,
}

#[derive(Serialize)]
struct LibraryView<'a> {
    name: &'a str,
    library: &'a str,
    client: bool,
    modules: Vec<ModuleView>,
    invokers: String,
    uses: String,
    example: Option<ExampleView>,
}

#[derive(Serialize)]
struct ModuleView {
    name: &'static str,
    /// The feature that it takes; empty: none.
    feature: &'static str,
}

#[derive(Serialize)]
struct ExampleView {
    client: String,
    method: String,
    unit: bool,
}

#[derive(Serialize)]
struct ClientView<'a> {
    uses: String,
    timeouts: bool,
    services: Vec<ServiceView<'a>>,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    full_name: &'a str,
    docs: Vec<String>,
    client: String,
    rpcs: Vec<RpcView>,
}

#[derive(Serialize)]
struct RpcView {
    docs: Vec<String>,
    deprecated: bool,
    method: String,
    request: String,
    kind: &'static str,
    call: String,
    path: String,
    settings: String,
}

#[derive(Serialize)]
struct ErrorsView {
    uses: String,
    errors: Vec<VariantView>,
}

#[derive(Serialize)]
struct EventsView<'a> {
    uses: String,
    enums: Vec<EnumView<'a>>,
}

#[derive(Serialize)]
struct EnumView<'a> {
    name: &'a str,
    article: &'static str,
    words: &'a str,
    events: Vec<VariantView>,
}

#[derive(Serialize)]
struct VariantView {
    docs: Vec<String>,
    variant: String,
    ty: String,
    full_name: String,
}

impl<'a> Sdk<'a, '_> {
    fn file(&self, name: &str, symbol: &str, view: &impl Serialize) -> Result<File, Bug> {
        let path = format!("sdk/src/{name}.rs");
        let text = render::text(&format!("sdk/{name}.rs.tera"), view)?;
        let contents = render::rust(&path, self.scope.origin, &text)?;
        Ok(File { path, class: Class::Generated, symbol: symbol.to_owned(), contents })
    }

    fn imports(&self, own: &[&str]) -> Imports<'_> {
        Imports::new(&self.lowered.names, MESSAGES, "potter_client", own)
    }

    fn library(&self, client: bool, invokers: bool) -> LibraryView<'a> {
        let scope = self.scope;
        let mut clients = self.client_names();
        let example = scope.module.services.iter().zip(&clients).find_map(|(service, client)| {
            let rpc = service.rpcs.first().filter(|it| !it.docs.deprecated)?;
            let unit = Item::of_message(&rpc.descriptor.input()) == Item::Unit;
            let client = if clients.len() == 1 { "Client".to_owned() } else { client.clone() };
            Some(ExampleView { client, method: methods(service).remove(0), unit })
        });
        if clients.len() == 1 {
            clients.push("Client".to_owned());
        }
        clients.sort_by(|a, b| super::imports::compare(a, b));
        LibraryView {
            name: &scope.module.name,
            library: &scope.symbols.library,
            client,
            modules: modules(client, invokers),
            invokers: if invokers { self.use_invokers() } else { String::new() },
            uses: rust::use_list("client", &clients, 0).replacen("use", "pub use", 1),
            example: example.filter(|_| client),
        }
    }

    fn use_invokers(&self) -> String {
        let mut names = self.invoker_names();
        names.sort_by(|a, b| super::imports::compare(a, b));
        rust::use_list("invokers", &names, 0).replacen("use", "pub use", 1)
    }

    /// The structs of the services.
    fn client_names(&self) -> Vec<String> {
        self.scope.symbols.services.iter().map(|it| format!("{}Client", it.service)).collect()
    }

    fn client(&self) -> ClientView<'a> {
        let clients = self.client_names();
        let events: Vec<&str> = self.scope.symbols.aggregates.iter().map(|it| it.event.as_str()).collect();
        let names =
            ["AsyncCommand", "Client", "Command", "Connection", "Duration", "ErrorEvent", "InvalidAddress", "Query"];
        let own: Vec<&str> = clients.iter().map(String::as_str).chain(names).chain(events).collect();
        let mut imports = self.imports(&own);
        imports.add("potter_client", "Connection");
        imports.add("potter_client", "InvalidAddress");
        let mut services = Vec::new();
        for (service, client) in self.scope.module.services.iter().zip(clients) {
            let rpcs = service.rpcs.iter().zip(methods(service));
            let rpcs: Vec<_> = rpcs.map(|(rpc, method)| self.rpc(rpc, method, &mut imports)).collect();
            services.push(ServiceView {
                full_name: service.descriptor.full_name(),
                docs: self.scope.comments.lines(&service.descriptor),
                client,
                rpcs,
            });
        }
        let timeouts = services.iter().flat_map(|it| &it.rpcs).any(|it| it.settings.contains("Duration"));
        ClientView { uses: imports.render(0), timeouts, services }
    }

    fn rpc(&self, rpc: &Rpc, method: String, imports: &mut Imports<'_>) -> RpcView {
        let request = match Item::of_message(&rpc.descriptor.input()) {
            Item::Unit => String::new(),
            item => imports.item(&item),
        };
        let reply = imports.item(&Item::of_message(&rpc.descriptor.output()));
        imports.add("crate::errors", "ErrorEvent");
        let (kind, call, settings) = match &rpc.kind {
            RpcKind::Query(_) => ("Query", format!("Query<{reply}, ErrorEvent>"), String::new()),
            RpcKind::Command(command) if command.is_async => {
                let event = &self.scope.symbols.aggregates[command.aggregate.0].event;
                imports.add("crate::events", event);
                ("AsyncCommand", format!("AsyncCommand<{reply}, {event}, ErrorEvent>"), settings(command))
            }
            RpcKind::Command(command) => ("Command", format!("Command<{reply}, ErrorEvent>"), settings(command)),
        };
        imports.add("potter_client", kind);
        RpcView {
            docs: docs_or(self.scope.comments, &rpc.descriptor, format!("Calls `{}`.", rpc.descriptor.name())),
            deprecated: rpc.docs.deprecated,
            method,
            request,
            kind,
            call,
            path: rust::string_literal(&format!("/{}", super::application::rpc_path(rpc))),
            settings,
        }
    }

    fn errors(&self) -> ErrorsView {
        let mut imports = self.imports(&["DecodeError", "Error", "ErrorEvent", "Message"]);
        let errors = self.scope.module.errors.iter();
        let described = errors.map(|it| (&it.message, format!("Refused with `{}`.", it.code)));
        let errors = self.variants(described, &mut imports);
        ErrorsView { uses: imports.render(0), errors }
    }

    fn events(&self) -> EventsView<'a> {
        let scope = self.scope;
        let own: Vec<&str> =
            scope.symbols.aggregates.iter().map(|it| it.event.as_str()).chain(["DecodeError", "Message"]).collect();
        let mut imports = self.imports(&own);
        let enums = scope.symbols.aggregates.iter().enumerate().map(|(index, names)| {
            let events = scope.module.aggregates[index].events.iter().map(|id| &scope.module.events[id.0]);
            // What is internal is recorded, and nobody's business.
            let events = events.filter(|it| !it.internal);
            let described = events.map(|it| (&it.message, format!("Recorded as `{}`.", it.event_type)));
            let events = self.variants(described, &mut imports);
            EnumView { name: &names.event, article: article(&names.words), words: &names.words, events }
        });
        let enums = enums.collect();
        EventsView { uses: imports.render(0), enums }
    }

    fn variants<'m>(
        &self,
        messages: impl Iterator<Item = (&'m MessageDescriptor, String)>,
        imports: &mut Imports<'_>,
    ) -> Vec<VariantView> {
        let mut taken = BTreeSet::new();
        imports.add("potter_client::prost", "DecodeError");
        let view = |(message, otherwise): (&MessageDescriptor, String)| {
            let path = self.lowered.names.message(message).cloned().expect("events and errors are reachable");
            imports.add("potter_client::prost", "Message");
            VariantView {
                docs: docs_or(self.scope.comments, message, otherwise),
                variant: take(&path.ident, &mut taken),
                ty: imports.path(&path),
                full_name: rust::string_literal(message.full_name()),
            }
        };
        messages.map(view).collect()
    }
}

/// The SDK's modules, in the order of their names.
fn modules(client: bool, invokers: bool) -> Vec<ModuleView> {
    let all = [
        ("client", client, ""),
        ("errors", client || invokers, ""),
        ("events", client || invokers, ""),
        ("invokers", invokers, "nats"),
        ("messages", true, ""),
    ];
    let there = all.into_iter().filter(|(_, there, _)| *there);
    there.map(|(name, _, feature)| ModuleView { name, feature }).collect()
}

/// What an annotation says of the calls of a command.
fn settings(command: &Command) -> String {
    let idempotent = if command.idempotent { ".idempotent()" } else { "" };
    let timeout = command.timeout_seconds.map(|it| format!(".timeout(Duration::from_secs({it}))"));
    format!("{idempotent}{}", timeout.unwrap_or_default())
}

/// The client's methods, parallel to the rpcs.
fn methods(service: &Service) -> Vec<String> {
    let own = ["clone", "connect", "connection", "fmt", "new"];
    let mut taken: BTreeSet<String> = own.iter().map(|it| (*it).to_owned()).collect();
    service.rpcs.iter().map(|it| take(&to_snake(it.descriptor.name()), &mut taken)).collect()
}
