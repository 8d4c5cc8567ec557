//! Rpcs: commands and queries, with everything that they name resolved.

use std::collections::BTreeMap;

use heck::ToSnakeCase;
use prost_reflect::{FieldDescriptor, MessageDescriptor, MethodDescriptor};

use super::{
    AggregateId, Cache, Command, ErrorEvent, ErrorId, EventId, Query, QueryIntent, ReadModelId, Rpc, RpcDocs, RpcKind,
    Service, Transport,
    context::{Context, Element, Key, comment, extension},
    events::{EventDraft, event_named, suggest_event},
    fields::{IdField, id_field},
    intent,
    roles::{AggregateDraft, ReadModelDraft, aggregate_named, is_called, report_id_type, report_several_ids},
    routes::{Role, Routable, routes},
    services::Annotated,
    told::{self, Asked},
    words::words,
};
use crate::{
    diagnostic::{Code, nearest, suggestion},
    options::{self, CommandOptions, DocOptions, QueryOptions},
};

/// Fields of `potter.CommandOptions` and `potter.QueryOptions`.
mod key {
    use super::Key;

    pub const AGGREGATE: Key = (1, "aggregate");
    pub const TIMEOUT_SECONDS: Key = (4, "timeout_seconds");
    pub const EMITS: Key = (9, "emits");
    pub const FAILS_WITH: Key = (10, "fails_with");
    pub const ID: Key = (12, "id");
    pub const RENAMED_FROM: Key = (13, "renamed_from");
    pub const CACHE_TTL_SECONDS: Key = (2, "cache_ttl_seconds");
    pub const READ_MODEL: Key = (3, "read_model");
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
    fn aggregate(&self, AggregateId(at): AggregateId) -> &AggregateDraft {
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
    Some(Rpc { descriptor: method.clone(), kind, routes: Vec::new(), docs: rpc_docs(method, docs) })
}

fn rpc_docs(method: &MethodDescriptor, options: DocOptions) -> RpcDocs {
    let comment = comment(Element::Method(method));
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
        inferred_event(method, aggregate, drafts)
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
fn refuse_streams(method: &MethodDescriptor, is_command: bool, context: &mut Context<'_>) -> bool {
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

fn command_id(method: &MethodDescriptor, options: &CommandOptions, module: &str, context: &mut Context<'_>) -> String {
    if options.id.is_empty() {
        return format!("{module}.{}", method.name().to_snake_case());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !options.id.chars().all(plain) {
        let text = format!("`{}` cannot be the id of a command", options.id);
        let help =
            format!("use letters, digits, `.`, `_` and `-`, such as `{module}.{}`", method.name().to_snake_case());
        report(method, key::ID, Some(&options.id), Code::InvalidCommandId, (text, help), context);
    }
    options.id.clone()
}

/// Tells commands of the same default id apart by their services, or within one service by their exact names, which
/// a warning asks to pin; ids that are written must differ.
fn unique_command_ids(services: &mut [Service], module: &str, context: &mut Context<'_>) {
    qualify_default_ids(services, module, context);
    let mut seen: Vec<(&str, &MethodDescriptor)> = Vec::new();
    for rpc in services.iter().flat_map(|it| &it.rpcs) {
        let RpcKind::Command(command) = &rpc.kind else { continue };
        match seen.iter().find(|(id, _)| *id == command.id) {
            Some((id, first)) => {
                let text =
                    format!("{} has the command id `{id}`, like {}", rpc.descriptor.full_name(), first.full_name());
                let help = "give one of them another `id`".to_owned();
                report(&rpc.descriptor, key::ID, Some(id), Code::DuplicateCommandId, (text, help), context);
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

fn inferred_event(method: &MethodDescriptor, aggregate: AggregateId, drafts: &Drafts<'_>) -> Vec<EventId> {
    let own: Vec<_> = (0..drafts.events.len())
        .filter(|at| drafts.events[*at].aggregate == Some(aggregate) && !drafts.events[*at].retired)
        .collect();
    let names: Vec<_> = own.iter().map(|at| drafts.events[*at].message.name()).collect();
    let found = told::emitted(method.name(), &drafts.aggregate(aggregate).name, &names);
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

/// The read model of each rpc that is a query. Queries that name one come first: what they name is then there for
/// those that name none.
fn read_models(
    all: &[MethodDescriptor],
    drafts: &mut Drafts<'_>,
    context: &mut Context<'_>,
) -> Vec<Option<ReadModelId>> {
    let mut found = vec![None; all.len()];
    for names_one in [true, false] {
        for (at, method) in all.iter().enumerate() {
            if let Some(options) = options::query(method).filter(|it| it.read_model.is_empty() != names_one) {
                found[at] = read_model(method, &options, drafts, context);
            }
        }
    }
    found
}

fn read_model(
    method: &MethodDescriptor,
    options: &QueryOptions,
    drafts: &mut Drafts<'_>,
    context: &mut Context<'_>,
) -> Option<ReadModelId> {
    let name = options.read_model.as_str();
    if let Some(declared) = declared_read_model(name, &method.output(), drafts) {
        return Some(declared);
    }
    let declared: Vec<_> =
        drafts.read_models.iter().filter(|it| it.derived_from.is_none()).map(|it| it.name.as_str()).collect();
    let near = nearest(name, declared.iter().copied()).filter(|_| !name.is_empty()).map(str::to_owned);
    let reply = method.output();
    let asked = Asked { rpc: method.name(), read_model: name, reply: &reply };
    let told = told::aggregate_of(&asked, &drafts.named);
    match (near, told) {
        (Some(near), _) => {
            let text =
                (format!("{} reads an unknown read model `{name}`", method.name()), format!("did you mean `{near}`?"));
            report_query(method, key::READ_MODEL, Some(name), Code::UnknownReadModel, text, context);
            None
        }
        (None, Some(at)) => Some(derived(name, AggregateId(at), drafts)),
        // Where nothing is declared, as in protos of the Go Potter, a name that tells nothing is no mistake.
        (None, None) if name.is_empty() || declared.is_empty() => {
            let text =
                format!("it isn't plain what {} reads; it will answer UNIMPLEMENTED until you write it", method.name());
            let help = match name {
                "" => "add `read_model: \"…\"`, the name of a message with (potter.read_model)".to_owned(),
                _ => format!("declare a message {name} with `option (potter.read_model) = {{}};`"),
            };
            context.on_option(Element::Method(method), extension::QUERY, Code::QueryWithoutReadModel, text, help);
            None
        }
        (None, None) => {
            let text = format!("{} reads an unknown read model `{name}`", method.name());
            let text = (text, suggestion(name, declared));
            report_query(method, key::READ_MODEL, Some(name), Code::UnknownReadModel, text, context);
            None
        }
    }
}

/// The declared read model of that name; without a name, the only one whose rows the reply holds.
fn declared_read_model(name: &str, reply: &MessageDescriptor, drafts: &Drafts<'_>) -> Option<ReadModelId> {
    let find = |is: &dyn Fn(&ReadModelDraft) -> bool| drafts.read_models.iter().position(is).map(ReadModelId);
    if !name.is_empty() {
        return find(&|it| it.name == name)
            .or_else(|| find(&|it| it.row.full_name() == name && it.derived_from.is_none()))
            .or_else(|| find(&|it| it.table == name));
    }
    let holds = |it: &ReadModelDraft| {
        it.derived_from.is_none()
            && (it.row == *reply || reply.fields().any(|field| super::fields::nested(&field).as_ref() == Some(&it.row)))
    };
    let mut found = (0..drafts.read_models.len()).filter(|at| holds(&drafts.read_models[*at]));
    found.next().filter(|_| found.next().is_none()).map(ReadModelId)
}

/// The default read model of an aggregate: the one of that name; without a name, the one that is there.
fn derived(name: &str, aggregate: AggregateId, drafts: &mut Drafts<'_>) -> ReadModelId {
    let there = drafts
        .read_models
        .iter()
        .position(|it| it.derived_from == Some(aggregate) && (name.is_empty() || it.name == name));
    if let Some(at) = there {
        return ReadModelId(at);
    }
    let owner = drafts.aggregate(aggregate);
    let name = if name.is_empty() { format!("{}ReadModel", owner.name) } else { name.to_owned() };
    let events = (0..drafts.events.len()).filter(|at| drafts.events[*at].aggregate == Some(aggregate)).map(EventId);
    let model = ReadModelDraft {
        table: name.to_snake_case(),
        row: owner.message.clone(),
        key: owner.id_field.clone(),
        events: events.collect(),
        derived_from: Some(aggregate),
        name,
    };
    drafts.read_models.push(model);
    ReadModelId(drafts.read_models.len() - 1)
}

/// Gives the declared read models that name no events those of the aggregates that they and their queries name.
fn events_of_read_models(all: &[MethodDescriptor], models: &[Option<ReadModelId>], drafts: &mut Drafts<'_>) {
    for at in 0..drafts.read_models.len() {
        let model = &drafts.read_models[at];
        if model.derived_from.is_some() || !model.events.is_empty() {
            continue;
        }
        let aggregates = &drafts.named;
        let queries =
            all.iter().zip(models).filter(|(_, model)| **model == Some(ReadModelId(at))).map(|(it, _)| it.name());
        let mut named: Vec<_> = queries.filter_map(|it| told::by_name(it, aggregates)).collect();
        named.extend(told::by_prefix(&model.name, aggregates));
        let counts = |event: &EventDraft| {
            event.aggregate.is_some_and(|AggregateId(owner)| named.is_empty() || named.contains(&owner))
        };
        let events = (0..drafts.events.len()).filter(|it| counts(&drafts.events[*it])).map(EventId).collect();
        drafts.read_models[at].events = events;
    }
}

fn query(
    method: &MethodDescriptor,
    options: &QueryOptions,
    read_model: Option<ReadModelId>,
    drafts: &Drafts<'_>,
    context: &mut Context<'_>,
) -> Option<Query> {
    let streams = refuse_streams(method, false, context);
    let ttl = options.cache_ttl_seconds;
    let ttl_seconds = not_negative_ttl(method, ttl, context);
    if ttl > 0 && !options.cacheable {
        let text = format!("{} has cache_ttl_seconds, but isn't cacheable", method.name());
        let help = "add `cacheable: true`, or leave cache_ttl_seconds out".to_owned();
        report_query(method, key::CACHE_TTL_SECONDS, None, Code::TtlWithoutCache, (text, help), context);
    }
    let (id_field, intent) = match read_model {
        Some(ReadModelId(at)) => {
            let (id, intent) = intent_of(method, &drafts.read_models[at], drafts);
            if intent == QueryIntent::Unclear {
                report_misfits(method, &drafts.read_models[at], context);
            }
            (id, intent)
        }
        None => (id_field(&method.input(), &[], None).found(), QueryIntent::Unclear),
    };
    let cache = options.cacheable.then_some(Cache { ttl_seconds });
    (!streams).then_some(Query { read_model, id_field, cache, intent })
}

fn report_misfits(method: &MethodDescriptor, model: &ReadModelDraft, context: &mut Context<'_>) {
    for field in intent::misfits(&method.input(), &method.output(), &model.row) {
        let name = field.name();
        let text = format!("{} will answer UNIMPLEMENTED until you write it: `{name}` fits no column", method.name());
        let bare = name.trim_start_matches("min_").trim_start_matches("max_");
        let columns: Vec<String> = model.row.fields().map(|it| it.name().to_owned()).collect();
        let help = suggestion(bare, columns.iter().map(String::as_str));
        context.on(Element::Field(&field), Code::FilterFitsNothing, text, help);
    }
}

fn not_negative_ttl(method: &MethodDescriptor, ttl: i32, context: &mut Context<'_>) -> Option<u32> {
    if ttl < 0 {
        let text = format!("cache_ttl_seconds of {} is negative", method.name());
        let help = "0 means until the read model changes".to_owned();
        report_query(method, key::CACHE_TTL_SECONDS, None, Code::NegativeNumber, (text, help), context);
    }
    u32::try_from(ttl).ok().filter(|it| *it > 0)
}

fn intent_of(
    method: &MethodDescriptor,
    model: &ReadModelDraft,
    drafts: &Drafts<'_>,
) -> (Option<FieldDescriptor>, QueryIntent) {
    let owner = model.derived_from.map(|it| drafts.aggregate(it));
    let names: Vec<&str> = owner.iter().flat_map(|it| it.names()).chain([model.name.as_str()]).collect();
    let (request, reply) = (method.input(), method.output());
    let id = id_field(&request, &names, model.key.as_ref()).found();
    let intent = if intent::get(&request, &reply, &model.row, id.as_ref()).is_some() {
        QueryIntent::Get
    } else if intent::list(&request, &reply, &model.row).is_some() {
        QueryIntent::List
    } else {
        QueryIntent::Unclear
    };
    (id, intent)
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

fn report_query(
    method: &MethodDescriptor,
    key: Key,
    value: Option<&str>,
    code: Code,
    text: (String, String),
    context: &mut Context<'_>,
) {
    context.on_value((Element::Method(method), extension::QUERY), key, value, code, text);
}
