//! Queries, and the read models that they read.

use heck::ToSnakeCase;
use prost_reflect::{FieldDescriptor, MessageDescriptor, MethodDescriptor};

use super::{
    AggregateId, Cache, EventId, KeptIn, Query, QueryIntent, ReadModelId,
    context::{Context, Element, Key, extension},
    events::EventDraft,
    fields::{self, id_field},
    intent,
    roles::ReadModelDraft,
    rpcs::{Drafts, refuse_streams},
    told::{self, Asked},
};
use crate::{
    diagnostic::{Code, nearest, suggestion},
    options::{self, QueryOptions},
};

/// Fields of `potter.QueryOptions`.
mod key {
    use super::Key;

    pub const CACHE_TTL_SECONDS: Key = (2, "cache_ttl_seconds");
    pub const READ_MODEL: Key = (3, "read_model");
}

/// The read model of each rpc that is a query. Queries that name one come first: what they name is then there for
/// those that name none.
pub(super) fn read_models(
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
            report(method, key::READ_MODEL, Some(name), Code::UnknownReadModel, text, context);
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
            report(method, key::READ_MODEL, Some(name), Code::UnknownReadModel, text, context);
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
            && (it.row == *reply || reply.fields().any(|field| fields::nested(&field).as_ref() == Some(&it.row)))
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
        kept_in: KeptIn::default(),
        derived_from: Some(aggregate),
        name,
    };
    drafts.read_models.push(model);
    ReadModelId(drafts.read_models.len() - 1)
}

/// Gives the declared read models that name no events those of the aggregates that they and their queries name.
pub(super) fn events_of_read_models(all: &[MethodDescriptor], models: &[Option<ReadModelId>], drafts: &mut Drafts<'_>) {
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

pub(super) fn query(
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
        report(method, key::CACHE_TTL_SECONDS, None, Code::TtlWithoutCache, (text, help), context);
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
        report(method, key::CACHE_TTL_SECONDS, None, Code::NegativeNumber, (text, help), context);
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

fn report(
    method: &MethodDescriptor,
    key: Key,
    value: Option<&str>,
    code: Code,
    text: (String, String),
    context: &mut Context<'_>,
) {
    context.on_value((Element::Method(method), extension::QUERY), key, value, code, text);
}
