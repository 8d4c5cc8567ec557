//! What commands are called on the wire.

use std::collections::BTreeMap;

use heck::ToSnakeCase;
use prost_reflect::MethodDescriptor;

use super::{
    Rpc, RpcKind, Service,
    context::{Context, Element, Key, extension},
};
use crate::{
    diagnostic::Code,
    options::{self, CommandOptions},
};

/// `potter.CommandOptions.id`.
const ID: Key = (12, "id");

pub(super) fn command_id(
    method: &MethodDescriptor,
    options: &CommandOptions,
    module: &str,
    context: &mut Context<'_>,
) -> String {
    if options.id.is_empty() {
        return format!("{module}.{}", method.name().to_snake_case());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !options.id.chars().all(plain) {
        let text = format!("`{}` cannot be the id of a command", options.id);
        let help =
            format!("use letters, digits, `.`, `_` and `-`, such as `{module}.{}`", method.name().to_snake_case());
        report(method, &options.id, Code::InvalidCommandId, (text, help), context);
    }
    options.id.clone()
}

/// Tells commands of the same default id apart by their services, or within one service by their exact names, which
/// a warning asks to pin; ids that are written must differ.
pub(super) fn unique_command_ids(services: &mut [Service], module: &str, context: &mut Context<'_>) {
    qualify_default_ids(services, module, context);
    let mut seen: Vec<(&str, &MethodDescriptor)> = Vec::new();
    for rpc in services.iter().flat_map(|it| &it.rpcs) {
        let RpcKind::Command(command) = &rpc.kind else { continue };
        match seen.iter().find(|(id, _)| *id == command.id) {
            Some((id, first)) => {
                let text =
                    format!("{} has the command id `{id}`, like {}", rpc.descriptor.full_name(), first.full_name());
                let help = "give one of them another `id`".to_owned();
                report(&rpc.descriptor, id, Code::DuplicateCommandId, (text, help), context);
            }
            None => seen.push((&command.id, &rpc.descriptor)),
        }
    }
}

fn qualify_default_ids(services: &mut [Service], module: &str, context: &mut Context<'_>) {
    let is_default = |rpc: &Rpc| options::command(&rpc.descriptor).is_some_and(|it| it.id.is_empty());
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rpc in services.iter().flat_map(|it| &it.rpcs).filter(|it| is_default(it)) {
        if let RpcKind::Command(command) = &rpc.kind {
            let service = rpc.descriptor.parent_service().full_name().to_owned();
            owners.entry(command.id.clone()).or_default().push(service);
        }
    }
    for rpc in services.iter_mut().flat_map(|it| &mut it.rpcs).filter(|it| is_default(it)) {
        let RpcKind::Command(command) = &mut rpc.kind else { continue };
        let owners = &owners[&command.id];
        if owners.len() > 1 {
            let qualified = qualified_id(&rpc.descriptor, owners, module);
            let text = format!("several commands go by `{}`; this one goes by `{qualified}`", command.id);
            let help = format!("pin it with `id: \"{qualified}\"`, so that it stays when rpcs come and go");
            let element = Element::Method(&rpc.descriptor);
            context.on_option(element, extension::COMMAND, Code::CommandIdQualified, text, help);
            command.id = qualified;
        }
    }
}

/// The id of one of several commands, in the services of `owners`, whose default ids are the same.
fn qualified_id(method: &MethodDescriptor, owners: &[String], module: &str) -> String {
    let service = method.parent_service();
    let is_alone = owners.iter().filter(|it| *it == service.full_name()).count() == 1;
    let name = if is_alone { method.name().to_snake_case() } else { method.name().to_owned() };
    let is_one_service = owners.iter().all(|it| *it == service.full_name());
    if is_one_service {
        format!("{module}.{name}")
    } else {
        format!("{module}.{}.{name}", service.name().to_snake_case())
    }
}

fn report(method: &MethodDescriptor, id: &str, code: Code, text: (String, String), context: &mut Context<'_>) {
    context.on_value((Element::Method(method), extension::COMMAND), ID, Some(id), code, text);
}
