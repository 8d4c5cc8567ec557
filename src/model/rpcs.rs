//! Rpcs: commands and queries, with everything that they name resolved.

use heck::ToSnakeCase;
use prost_reflect::{FieldDescriptor, MethodDescriptor};

use super::{
    AggregateId, Command, ErrorEvent, ErrorId, EventId, Query, ReadModelId, Rpc, RpcDocs, RpcKind, Service, Transport,
    command_ids::{command_id, unique_command_ids},
    context::{Context, Element, Key, extension},
    events::{EventDraft, event_named, suggest_event},
    fields::{IdField, id_field},
    queries::{events_of_read_models, query, read_models},
    roles::{AggregateDraft, ReadModelDraft, aggregate_named, is_called, report_id_type, report_several_ids},
    routes::{Role, Routable, routes},
    services::Annotated,
    told,
    words::words,
};
use crate::{
    diagnostic::{Code, suggestion},
    options::{self, CommandOptions, DocOptions},
};

/// Fields of `potter.CommandOptions`.
mod key {
    use super::Key;

    pub const AGGREGATE: Key = (1, "aggregate");
    pub const TIMEOUT_SECONDS: Key = (4, "timeout_seconds");
    pub const EMITS: Key = (9, "emits");
    pub const FAILS_WITH: Key = (10, "fails_with");
    pub const RENAMED_FROM: Key = (13, "renamed_from");
}

/// What rpcs refer to. Queries add the read models that no message declares.
pub(super) struct Drafts<'a> {
    pub module: &'a str,
    pub aggregates: &'a [AggregateDraft],
    /// The same, as far as names and types tell of them.
    pub named: Vec<told::Named<'a>>,
    pub events: &'a [EventDraft],
    pub errors: &'a [ErrorEvent],
    pub read_models: Vec<ReadModelDraft>,
}

impl Drafts<'_> {
    pub(super) fn aggregate(&self, AggregateId(at): AggregateId) -> &AggregateDraft {
        &self.aggregates[at]
    }
}

/// The services with their rpcs; an rpc with errors is left out.
pub(super) fn services(
    annotated: &[Annotated],
    (transports, has_openapi): (&[Transport], bool),
    drafts: &mut Drafts<'_>,
    context: &mut Context<'_>,
) -> Vec<Service> {
    let methods: Vec<_> = annotated.iter().map(|(service, _)| service.methods().collect::<Vec<_>>()).collect();
    let all: Vec<_> = methods.iter().flatten().cloned().collect();
    let models = read_models(&all, drafts, context);
    events_of_read_models(&all, &models, drafts);

    let mut services = Vec::new();
    let mut at = 0;
    for ((service, _), methods) in annotated.iter().zip(methods) {
        let mut rpcs = Vec::new();
        for method in methods {
            rpcs.extend(rpc(&method, models[at], &all, drafts, context));
            at += 1;
        }
        services.push(Service { descriptor: service.clone(), rpcs });
    }
    unique_command_ids(&mut services, drafts.module, context);
    if !has_openapi {
        report_tags(&services, context);
    }
    if transports.contains(&Transport::Rest) {
        add_routes(&mut services, drafts, context);
    } else {
        // Rules are judged even if nobody serves them now.
        add_routes(&mut services.clone(), drafts, context);
    }
    services
}

/// Tags are for OpenAPI alone; summaries and descriptions are in the SDK too.
fn report_tags(services: &[Service], context: &mut Context<'_>) {
    for rpc in services.iter().flat_map(|it| &it.rpcs) {
        let (extension, key, docs) = match &rpc.kind {
            RpcKind::Command(_) => {
                (extension::COMMAND, (5, "tags"), options::command(&rpc.descriptor).map(|it| it.docs))
            }
            RpcKind::Query(_) => (extension::QUERY, (4, "tags"), options::query(&rpc.descriptor).map(|it| it.docs)),
        };
        if docs.is_some_and(|it| !it.tags.is_empty()) {
            let text = format!("tags of {} have no effect: there is no OpenAPI document", rpc.descriptor.name());
            let help = "leave them out, or serve REST".to_owned();
            let option = (Element::Method(&rpc.descriptor), extension);
            context.on_value(option, key, None, Code::OptionWithoutEffect, (text, help));
        }
    }
}

fn rpc(
    method: &MethodDescriptor,
    read_model: Option<ReadModelId>,
    all: &[MethodDescriptor],
    drafts: &Drafts<'_>,
    context: &mut Context<'_>,
) -> Option<Rpc> {
    let element = Element::Method(method);
    let name = method.name();
    let (kind, docs) = match (options::command(method), options::query(method)) {
        (Some(options), None) => (RpcKind::Command(command(method, &options, all, drafts, context)?), options.docs),
        (None, Some(options)) => (RpcKind::Query(query(method, &options, read_model, drafts, context)?), options.docs),
        (Some(_), Some(_)) => {
            let text = format!("{name} is both (potter.command) and (potter.query)");
            let help = "a command changes, a query reads: keep one, and make the other an rpc of its own".to_owned();
            context.on_option(element, extension::QUERY, Code::RpcWithTwoRoles, text, help);
            return None;
        }
        (None, None) => {
            let text = format!("{name} is neither (potter.command) nor (potter.query)");
            let help = "add `option (potter.command) = { aggregate: \"…\" };` if it changes something, \
                        `option (potter.query) = {};` if it reads"
                .to_owned();
            context.on(element, Code::RpcWithoutRole, text, help);
            return None;
        }
    };
    Some(Rpc { descriptor: method.clone(), kind, routes: Vec::new(), docs: rpc_docs(method, docs, context) })
}

fn rpc_docs(method: &MethodDescriptor, options: DocOptions, context: &Context<'_>) -> RpcDocs {
    let comment = context.comment(Element::Method(method));
    let first_line = comment.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    let or = |given: String, default: String| if given.is_empty() { default } else { given };
    let tags = if options.tags.is_empty() { vec![method.parent_service().name().to_owned()] } else { options.tags };
    RpcDocs {
        tags,
        summary: or(options.summary, first_line),
        description: or(options.description, comment),
        deprecated: options.deprecated || options::is_deprecated(&method.options()),
    }
}

fn command(
    method: &MethodDescriptor,
    options: &CommandOptions,
    all: &[MethodDescriptor],
    drafts: &Drafts<'_>,
    context: &mut Context<'_>,
) -> Option<Command> {
    let streams = refuse_streams(method, true, context);
    let timeout = not_negative(method, options.timeout_seconds, key::TIMEOUT_SECONDS, "0 means no deadline", context);
    let renamed_from = renamed_from(method, options, all, context);
    let fails_with = fails_with(method, options, drafts, context);
    let id = command_id(method, options, drafts.module, context);
    let Some(aggregate) = command_aggregate(method, options, drafts, context) else {
        given_events(method, options, None, drafts, context);
        return None;
    };
    let emits = if options.emits.is_empty() {
        inferred_event(method, renamed_from.as_deref(), aggregate, drafts)
    } else {
        given_events(method, options, Some(aggregate), drafts, context)
    };
    let (creates, id_field) = identity(method, options, drafts.aggregate(aggregate), context)?;
    (!streams).then_some(Command {
        id,
        aggregate,
        id_field,
        creates,
        is_async: options.is_async,
        idempotent: options.idempotent,
        timeout_seconds: timeout,
        emits,
        fails_with,
        renamed_from,
    })
}

/// Reports streams that cannot be served; says whether there are any.
pub(super) fn refuse_streams(method: &MethodDescriptor, is_command: bool, context: &mut Context<'_>) -> bool {
    let (refused, help) = match (method.is_client_streaming(), method.is_server_streaming(), is_command) {
        (false, false, _) => return false,
        (true, _, true) => (
            "a request that is a stream cannot be served",
            "send one message per command, with a repeated field if they belong together",
        ),
        (true, _, false) => ("a request that is a stream cannot be served", "ask with one message"),
        (false, true, true) => {
            ("a command cannot answer with a stream", "answer with one message; what happens later is read by a query")
        }
        (false, true, false) => (
            "a query cannot answer with a stream",
            "answer with one message that has a repeated field, in pages: `page`, `page_size` in the request",
        ),
    };
    context.on(
        Element::Method(method),
        Code::StreamingNotServed,
        format!("{}: {refused}", method.name()),
        help.to_owned(),
    );
    true
}

fn not_negative(
    method: &MethodDescriptor,
    number: i32,
    key: Key,
    help: &str,
    context: &mut Context<'_>,
) -> Option<u32> {
    if number < 0 {
        let text = format!("{} of {} is negative", key.1, method.name());
        report(method, key, None, Code::NegativeNumber, (text, help.to_owned()), context);
    }
    u32::try_from(number).ok().filter(|it| *it > 0)
}

fn renamed_from(
    method: &MethodDescriptor,
    options: &CommandOptions,
    all: &[MethodDescriptor],
    context: &mut Context<'_>,
) -> Option<String> {
    let old = Some(options.renamed_from.as_str()).filter(|it| !it.is_empty())?;
    if all.iter().any(|it| it.name() == old && it.parent_service() == method.parent_service()) {
        let text = format!("{} is renamed from `{old}`, which still exists", method.name());
        let help = "name the rpc as it was called before, or leave `renamed_from` out".to_owned();
        report(method, key::RENAMED_FROM, Some(old), Code::RenamedFromExists, (text, help), context);
    }
    Some(old.to_owned())
}

fn fails_with(
    method: &MethodDescriptor,
    options: &CommandOptions,
    drafts: &Drafts<'_>,
    context: &mut Context<'_>,
) -> Vec<ErrorId> {
    let mut found = Vec::new();
    for name in &options.fails_with {
        let is = |it: &ErrorEvent| is_called(&it.message, name) || &it.code == name;
        match drafts.errors.iter().position(is).map(ErrorId) {
            Some(id) if !found.contains(&id) => found.push(id),
            Some(_) => {}
            None => {
                let text = format!("{} fails with an unknown error event `{name}`", method.name());
                let help = suggestion(name, drafts.errors.iter().map(|it| it.message.name()));
                report(method, key::FAILS_WITH, Some(name), Code::UnknownErrorEvent, (text, help), context);
            }
        }
    }
    found
}

fn command_aggregate(
    method: &MethodDescriptor,
    options: &CommandOptions,
    drafts: &Drafts<'_>,
    context: &mut Context<'_>,
) -> Option<AggregateId> {
    let found = aggregate_named(&options.aggregate, drafts.aggregates);
    if found.is_none() {
        let name = options.aggregate.as_str();
        let help = suggestion(name, drafts.aggregates.iter().map(|it| it.name.as_str()));
        let (text, help) = match (name, drafts.aggregates) {
            (_, []) => (
                format!("command {} is sent to `{name}`, but no message has (potter.aggregate)", method.name()),
                "add `option (potter.aggregate) = {};` to the message that is its state".to_owned(),
            ),
            ("", _) => (format!("command {} names no aggregate", method.name()), format!("add `aggregate`; {help}")),
            _ => (format!("command {} names an unknown aggregate `{name}`", method.name()), help),
        };
        report(method, key::AGGREGATE, Some(name), Code::UnknownAggregate, (text, help), context);
    }
    found
}

/// The events that `emits` names; they must be of the command's aggregate, if that is known.
fn given_events(
    method: &MethodDescriptor,
    options: &CommandOptions,
    aggregate: Option<AggregateId>,
    drafts: &Drafts<'_>,
    context: &mut Context<'_>,
) -> Vec<EventId> {
    let mut found = Vec::new();
    for name in &options.emits {
        let Some(id) = event_named(name, drafts.events) else {
            let text = format!("{} emits an unknown event `{name}`", method.name());
            let text = (text, suggest_event(name, drafts.events));
            report(method, key::EMITS, Some(name), Code::UnknownEvent, text, context);
            continue;
        };
        let event = &drafts.events[id.0];
        let foreign = aggregate.is_some() && event.aggregate.is_some() && event.aggregate != aggregate;
        let wrong = match (foreign, event.retired) {
            (true, _) => Some("another aggregate's"),
            (_, true) => Some("retired"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let text = format!("{} emits `{name}`, which is {wrong}", method.name());
            let help = "a command records events of its own aggregate that are not retired".to_owned();
            report(method, key::EMITS, Some(name), Code::EventNotEmittable, (text, help), context);
        }
        if !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// The event that the command plainly records, as its name tells or the one that it had before; events are named by
/// their messages, or else by their types, which stay when a message is called differently.
fn inferred_event(
    method: &MethodDescriptor,
    renamed_from: Option<&str>,
    aggregate: AggregateId,
    drafts: &Drafts<'_>,
) -> Vec<EventId> {
    let own: Vec<_> = (0..drafts.events.len())
        .filter(|at| drafts.events[*at].aggregate == Some(aggregate) && !drafts.events[*at].retired)
        .collect();
    let names: Vec<_> = own.iter().map(|at| drafts.events[*at].message.name()).collect();
    let types: Vec<_> = own.iter().map(|at| drafts.events[*at].event_type.as_str()).collect();
    let owner = &drafts.aggregate(aggregate).name;
    let of = |rpc| told::emitted(rpc, owner, &names).or_else(|| told::emitted(rpc, owner, &types));
    let found = of(method.name()).or_else(|| renamed_from.and_then(of));
    found.map(|at| EventId(own[at])).into_iter().collect()
}

/// Whether the command creates, and the field of its request with the id.
fn identity(
    method: &MethodDescriptor,
    options: &CommandOptions,
    aggregate: &AggregateDraft,
    context: &mut Context<'_>,
) -> Option<(bool, Option<FieldDescriptor>)> {
    let request = method.input();
    let is_create = words(method.name()).first().is_some_and(|it| it == "create");
    match id_field(&request, &aggregate.names(), aggregate.id_field.as_ref()) {
        IdField::Found(field) => return Some((options.creates.unwrap_or(false), Some(field))),
        IdField::Missing if options.creates.unwrap_or(is_create) => return Some((true, None)),
        IdField::Missing => {
            let by_owner = format!("{}_id", aggregate.name.to_snake_case());
            let text = format!(
                "command {} doesn't say which {} it is for: {} has neither `id` nor `{by_owner}`",
                method.name(),
                aggregate.name,
                request.name()
            );
            let help = format!("add `string {by_owner} = …;` to {}, or `creates: true` to the command", request.name());
            context.on(Element::Method(method), Code::IdFieldMissing, text, help);
        }
        IdField::WrongType(field) => report_id_type(&field, context),
        IdField::Several(field) => report_several_ids(&field, context),
    }
    None
}

fn add_routes(services: &mut [Service], drafts: &Drafts<'_>, context: &mut Context<'_>) {
    let rpcs: Vec<_> = services.iter().flat_map(|it| &it.rpcs).map(|it| routable(it, drafts)).collect();
    let routes = routes(&rpcs, context);
    let all = services.iter_mut().flat_map(|it| &mut it.rpcs);
    all.zip(routes).for_each(|(rpc, routes)| rpc.routes = routes);
}

fn routable(rpc: &Rpc, drafts: &Drafts<'_>) -> Routable {
    let name = |field: &Option<FieldDescriptor>| field.as_ref().map(|it| it.name().to_owned());
    let (resource, id, role) = match &rpc.kind {
        RpcKind::Command(it) => {
            let role = if it.creates { Role::Creates } else { Role::Changes };
            (drafts.aggregate(it.aggregate).name.clone(), name(&it.id_field), role)
        }
        RpcKind::Query(it) => (resource_of(it, rpc, drafts), name(&it.id_field), Role::Reads),
    };
    Routable { method: rpc.descriptor.clone(), resource, id, role }
}

/// What a query's route begins with: the aggregate that it is about, else its read model, else its service.
fn resource_of(query: &Query, rpc: &Rpc, drafts: &Drafts<'_>) -> String {
    let model = query.read_model.map(|ReadModelId(at)| &drafts.read_models[at]);
    let aggregates = &drafts.named;
    let told = model
        .and_then(|it| it.derived_from)
        .map(|AggregateId(at)| at)
        .or_else(|| told::by_name(rpc.descriptor.name(), aggregates))
        .or_else(|| told::by_prefix(model.map_or("", |it| it.name.as_str()), aggregates));
    match (told, model) {
        (Some(at), _) => aggregates[at].name.to_owned(),
        (None, Some(model)) => model.row.name().to_owned(),
        (None, None) => {
            let service = rpc.descriptor.parent_service().name().to_owned();
            service.strip_suffix("Service").filter(|it| !it.is_empty()).unwrap_or(&service).to_owned()
        }
    }
}

fn report(
    method: &MethodDescriptor,
    key: Key,
    value: Option<&str>,
    code: Code,
    text: (String, String),
    context: &mut Context<'_>,
) {
    context.on_value((Element::Method(method), extension::COMMAND), key, value, code, text);
}
