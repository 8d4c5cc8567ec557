//! Lint: what is allowed, and most often an oversight.
//!
//! In: a module in which nothing is wrong. Out: warnings; `--deny` makes errors of them.

use std::collections::BTreeSet;

use prost_reflect::{Kind, MessageDescriptor};

use super::{
    AggregateId, Command, Event, EventId, Module, Rpc, RpcKind,
    context::{Context, Element, extension},
};
use crate::{diagnostic::Code, options};

/// Reports what looks like an oversight.
pub(super) fn check(module: &Module, context: &mut Context<'_>) {
    commands(module, context);
    events(module, context);
    read_models(module, context);
    errors(module, context);
    personal_data(module, context);
    documentation(module, context);
}

fn all_commands(module: &Module) -> impl Iterator<Item = (&Rpc, &Command)> {
    module.services.iter().flat_map(|it| &it.rpcs).filter_map(|rpc| match &rpc.kind {
        RpcKind::Command(command) => Some((rpc, command)),
        RpcKind::Query(_) => None,
    })
}

fn commands(module: &Module, context: &mut Context<'_>) {
    for (rpc, command) in all_commands(module).filter(|(_, it)| it.emits.is_empty()) {
        let name = rpc.descriptor.name();
        let has_events = !module.aggregates[command.aggregate.0].events.is_empty();
        let help = match has_events {
            true => "say with `emits: \"…\"` which event it records; if there is none yet, declare it",
            false => "declare a message with (potter.event) that says what happens then",
        };
        let text = format!("it isn't plain what {name} records; it will answer UNIMPLEMENTED until you write it");
        let element = Element::Method(&rpc.descriptor);
        context.on_option(element, extension::COMMAND, Code::CommandWithoutEffect, text, help.to_owned());
    }
}

/// An event is told of only where all commands of its aggregate say, or make plain, what they record.
fn events(module: &Module, context: &mut Context<'_>) {
    for (at, event) in module.events.iter().enumerate().filter(|(_, it)| !it.retired) {
        let mut own = all_commands(module).filter(|(_, it)| it.aggregate == event.aggregate).map(|(_, it)| it);
        if own.all(|it| !it.emits.is_empty() && !it.emits.contains(&EventId(at))) {
            let text = format!("no command records event `{}`", event.event_type);
            let help = format!(
                "add `emits: \"{}\"` to the command that does, or `retired: true` if none does any more",
                event.message.name()
            );
            report(&event.message, extension::EVENT, Code::EventNeverRecorded, (text, help), context);
        }
    }
}

fn read_models(module: &Module, context: &mut Context<'_>) {
    for model in module.read_models.iter().filter(|it| it.events.is_empty()) {
        let text = format!("no event changes read model {}: it will always be empty", model.name);
        let of_row = if model.derived_from.is_some() { extension::AGGREGATE } else { extension::READ_MODEL };
        let help = match model.derived_from {
            Some(AggregateId(at)) => format!("declare the events of {}", module.aggregates[at].name),
            None => "name its `events`, or let a query read it whose aggregate has some".to_owned(),
        };
        report(&model.row, of_row, Code::ReadModelWithoutEvents, (text, help), context);
    }
}

/// Errors are told of only in a module whose commands say what they fail with.
fn errors(module: &Module, context: &mut Context<'_>) {
    let used: BTreeSet<_> = all_commands(module).flat_map(|(_, it)| &it.fails_with).collect();
    if used.is_empty() {
        return;
    }
    for (_, error) in module.errors.iter().enumerate().filter(|(at, _)| !used.contains(&super::ErrorId(*at))) {
        let text = format!("no command fails with `{}`, while others say what they fail with", error.code);
        let help = format!("add `fails_with: \"{}\"` to a command, or leave the message out", error.message.name());
        report(&error.message, extension::ERROR_EVENT, Code::ErrorNeverUsed, (text, help), context);
    }
}

fn personal_data(module: &Module, context: &mut Context<'_>) {
    for event in module.events.iter().filter(|it| !it.internal && !it.retired) {
        if let Some(field) = personal_field(event) {
            let text = format!("event `{}` is published with personal data: `{field}`", event.event_type);
            let help = "add `internal: true`, or record a reference to the person instead".to_owned();
            report(&event.message, extension::EVENT, Code::PersonalDataPublished, (text, help), context);
        }
    }
}

/// The first field with personal data that an event holds, at any depth.
fn personal_field(event: &Event) -> Option<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![event.message.clone()]);
    while let Some(message) = open.pop() {
        if !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        for field in message.fields() {
            if options::field(&field).is_some_and(|it| it.personal_data) {
                return Some(field.full_name().to_owned());
            }
            if let Kind::Message(inner) = field.kind() {
                open.push(inner);
            }
        }
    }
    None
}

/// Comments become the documentation of every transport and of the SDK. One finding per file tells of all that lack
/// one.
fn documentation(module: &Module, context: &mut Context<'_>) {
    let mut lacking: Vec<(Element<'_>, String)> = Vec::new();
    for service in &module.services {
        lacking.extend(without_comment(Element::Service(&service.descriptor), service.descriptor.name(), context));
        for rpc in service.rpcs.iter().filter(|it| it.docs.summary.is_empty() && it.docs.description.is_empty()) {
            lacking.extend(without_comment(Element::Method(&rpc.descriptor), rpc.descriptor.name(), context));
        }
    }
    let declared = module.read_models.iter().filter(|it| it.derived_from.is_none()).map(|it| &it.row);
    let aggregates = module.aggregates.iter().map(|it| &it.message);
    let told = module.events.iter().map(|it| &it.message).chain(module.errors.iter().map(|it| &it.message));
    for message in aggregates.chain(told).chain(declared) {
        lacking.extend(without_comment(Element::Message(message), message.name(), context));
    }
    report_lacking(&lacking, context);
}

fn without_comment<'a>(element: Element<'a>, name: &str, context: &Context<'_>) -> Option<(Element<'a>, String)> {
    context.comment(element).is_empty().then(|| (element, format!("`{name}`")))
}

/// The first of the names, and how many more there are.
fn abridged(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn report_lacking(lacking: &[(Element<'_>, String)], context: &mut Context<'_>) {
    let files: BTreeSet<String> = lacking.iter().map(|(element, _)| element.file().name().to_owned()).collect();
    for file in files {
        let of_file: Vec<_> = lacking.iter().filter(|(element, _)| element.file().name() == file).collect();
        let Some((first, _)) = of_file.iter().min_by_key(|(element, _)| context.line(*element)) else { continue };
        let names: Vec<&str> = of_file.iter().map(|(_, name)| name.as_str()).collect();
        let text = match names.as_slice() {
            [only] => format!("{only} has no comment"),
            many => format!("{} elements have no comment: {}", many.len(), abridged(many)),
        };
        let help = "write one before each: it becomes the documentation of the API and of the SDK".to_owned();
        context.on(*first, Code::MissingDocs, text, help);
    }
}

fn report(
    message: &MessageDescriptor,
    extension: i32,
    code: Code,
    (text, help): (String, String),
    context: &mut Context<'_>,
) {
    context.on_option(Element::Message(message), extension, code, text, help);
}
