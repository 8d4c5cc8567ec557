//! What user code calls what the protos name, by an identity that survives a renaming.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::Scope;
use crate::model::{Rpc, RpcKind};

/// The Rust names by identity: `event product.created` is `ProductCreated`. `potter.lock` remembers them; see
/// [`crate::rename`] for what becomes of a difference.
pub(super) fn names(scope: &Scope<'_>) -> BTreeMap<String, String> {
    let module = scope.module;
    let mut names = BTreeMap::new();
    for it in &module.aggregates {
        names.insert(format!("aggregate {}", it.name), ident(scope, &it.message));
    }
    for it in &module.events {
        names.insert(format!("event {}", it.event_type), ident(scope, &it.message));
    }
    for it in &module.errors {
        names.insert(format!("error {}", it.code), ident(scope, &it.message));
    }
    for symbols in &scope.symbols.read_models {
        let table = &symbols.table;
        names.insert(format!("read-model {table}"), symbols.marker.clone());
        names.insert(format!("projection {table}"), symbols.projection.clone());
        names.insert(format!("view {table}"), symbols.module.clone());
    }
    rpcs(scope, &mut names);
    subscriptions(scope, &mut names);
    scope.module.messages.iter().for_each(|it| types(scope, it, &mut names));
    // Well-known types have no name of their own in user code.
    names.retain(|_, name| !name.is_empty());
    names
}

/// The events are other modules', and the names that this one has for them its own.
fn subscriptions(scope: &Scope<'_>, names: &mut BTreeMap<String, String>) {
    for (subscription, symbols) in scope.module.subscriptions.iter().zip(&scope.symbols.subscriptions) {
        for (event, method) in subscription.events.iter().zip(&symbols.methods) {
            let identity = format!("{} {}", subscription.name, event.event_type);
            names.insert(format!("heard {identity}"), ident(scope, &event.message));
            names.insert(format!("handler {identity}"), method.clone());
        }
    }
    if !scope.module.subscriptions.is_empty() {
        let effects = scope.symbols.effects.iter();
        names.extend(effects.map(|(rpc, function)| (format!("effect {rpc}"), function.clone())));
    }
}

fn rpcs(scope: &Scope<'_>, names: &mut BTreeMap<String, String>) {
    for (service, symbols) in scope.module.services.iter().zip(&scope.symbols.services) {
        for (rpc, method) in service.rpcs.iter().zip(&symbols.methods) {
            let full = rpc.descriptor.full_name();
            names.insert(format!("answer {full}"), method.clone());
            names.insert(format!("request {full}"), ident(scope, &rpc.descriptor.input()));
            names.insert(format!("reply {full}"), ident(scope, &rpc.descriptor.output()));
            command(scope, rpc, names);
        }
    }
}

fn command(scope: &Scope<'_>, rpc: &Rpc, names: &mut BTreeMap<String, String>) {
    let RpcKind::Command(command) = &rpc.kind else { return };
    let full = rpc.descriptor.full_name();
    let (_, symbols) = scope.aggregate(command.aggregate);
    names.insert(format!("rule {full}"), symbols.commands[full].clone());
    names.insert(format!("command {}", command.id), full.to_owned());
}

/// A message or an enum that is nothing but the type of fields is known by them: `type shop::OrderPlaced 3`.
fn types(scope: &Scope<'_>, message: &MessageDescriptor, names: &mut BTreeMap<String, String>) {
    let Some(path) = scope.symbols.names.message(message) else { return };
    names.insert(format!("fields {}", path.join()), fields(scope, message));
    for field in message.fields() {
        if let Some(name) = type_of(scope, &field) {
            names.insert(format!("type {} {}", path.join(), field.number()), name);
        }
    }
    message.child_messages().filter(|it| !it.is_map_entry()).for_each(|it| types(scope, &it, names));
}

/// The fields by number, `1 order_id, 2 note`; a oneof has the number of its first.
fn fields(scope: &Scope<'_>, message: &MessageDescriptor) -> String {
    let names = &scope.symbols.names;
    let name = |field: &FieldDescriptor| match field.containing_oneof().filter(|it| !it.is_synthetic()) {
        Some(oneof) if oneof.fields().map(|it| it.number()).min() != Some(field.number()) => None,
        Some(oneof) => Some(names.oneof(&oneof).to_owned()),
        None => Some(names.field(field).to_owned()),
    };
    let named = message.fields().filter_map(|it| Some(format!("{} {}", it.number(), name(&it)?)));
    named.collect::<Vec<_>>().join(", ")
}

/// What the type of a field is called; of its values, if it is a map.
fn type_of(scope: &Scope<'_>, field: &FieldDescriptor) -> Option<String> {
    let names = &scope.symbols.names;
    match field.kind() {
        Kind::Message(entry) if field.is_map() => type_of(scope, &entry.map_entry_value_field()),
        Kind::Message(message) => names.message(&message).map(|it| it.ident.clone()),
        Kind::Enum(of) => names.enumeration(&of).map(|it| it.ident.clone()),
        _ => None,
    }
}

fn ident(scope: &Scope<'_>, message: &MessageDescriptor) -> String {
    scope.symbols.names.message(message).map_or_else(String::new, |it| it.ident.clone())
}
