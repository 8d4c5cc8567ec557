//! Events: whose they are, and what they plainly do.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::{
    AggregateId, EventEffect, EventId,
    context::{Context, Element, Key, extension},
    fields::{IdField, id_field},
    roles::{self, AggregateDraft, report_id_type},
    scope::Scope,
    told,
};
use crate::{
    diagnostic::{Code, suggestion},
    options::{self, EventOptions},
};

/// Fields of `potter.EventOptions`.
mod key {
    use super::Key;

    pub const EVENT_TYPE: Key = (1, "event_type");
    pub const AGGREGATE: Key = (2, "aggregate");
    pub const VERSION: Key = (3, "version");
}

/// An event, its aggregate perhaps unknown.
pub(super) struct EventDraft {
    pub message: MessageDescriptor,
    pub event_type: String,
    pub version: u32,
    pub aggregate: Option<AggregateId>,
    pub internal: bool,
    pub retired: bool,
    pub id_field: Option<FieldDescriptor>,
    /// As told from its name and type alone.
    pub effect: EventEffect,
}

/// The messages with `(potter.event)`.
pub(super) fn events(scope: &Scope, aggregates: &[AggregateDraft], context: &mut Context<'_>) -> Vec<EventDraft> {
    let annotated = scope.messages.iter().filter_map(|it| options::event(it).map(|options| (it.clone(), options)));
    let events: Vec<_> = annotated.map(|(message, options)| event(message, options, aggregates, context)).collect();
    for (at, event) in events.iter().enumerate() {
        if let Some(first) = events[..at].iter().find(|it| it.event_type == event.event_type) {
            let message = format!(
                "event_type `{}` of {} is already that of {}",
                event.event_type,
                event.message.name(),
                first.message.name()
            );
            let help = "give every event a type of its own; stored events are told apart by it".to_owned();
            let value = Some(event.event_type.as_str());
            report(&event.message, key::EVENT_TYPE, value, Code::DuplicateEventType, (message, help), context);
        }
    }
    events
}

fn event(
    message: MessageDescriptor,
    options: EventOptions,
    aggregates: &[AggregateDraft],
    context: &mut Context<'_>,
) -> EventDraft {
    let aggregate = aggregate(&message, &options, aggregates, context);
    let owner = aggregate.map(|AggregateId(at)| &aggregates[at]);
    let owner_name = owner.map_or("", |it| it.name.as_str());
    let event_type = event_type(&message, &options, context);
    EventDraft {
        version: version(&message, &options, context),
        id_field: owner.and_then(|owner| carried_id(&message, owner, context)),
        effect: told::effect(&[message.name(), &event_type], owner_name),
        event_type,
        aggregate,
        internal: options.internal,
        retired: options.retired,
        message,
    }
}

fn aggregate(
    message: &MessageDescriptor,
    options: &EventOptions,
    aggregates: &[AggregateDraft],
    context: &mut Context<'_>,
) -> Option<AggregateId> {
    let known = || suggestion(&options.aggregate, aggregates.iter().map(|it| it.name.as_str()));
    if options.aggregate.is_empty() {
        let text = format!("event {} names no aggregate", message.name());
        let help = match aggregates {
            [only] => format!("add `aggregate: \"{}\"`: an event is recorded in an aggregate's stream", only.name),
            _ => "add `aggregate: \"…\"`: an event is recorded in an aggregate's stream".to_owned(),
        };
        context.on_option(Element::Message(message), extension::EVENT, Code::EventWithoutAggregate, text, help);
        return None;
    }
    let found = roles::aggregate_named(&options.aggregate, aggregates);
    if found.is_none() {
        let text = format!("event {} names an unknown aggregate `{}`", message.name(), options.aggregate);
        let value = Some(options.aggregate.as_str());
        report(message, key::AGGREGATE, value, Code::UnknownAggregate, (text, known()), context);
    }
    found
}

/// Left out, it is the message's full name, which a warning asks to pin.
fn event_type(message: &MessageDescriptor, options: &EventOptions, context: &mut Context<'_>) -> String {
    if !options.event_type.is_empty() {
        return options.event_type.clone();
    }
    let name = message.full_name().to_owned();
    let text = format!("event {} has no event_type; it is stored as `{name}`", message.name());
    let help = format!("pin it with `event_type: \"{name}\"`, so that the message can be renamed later");
    context.on_option(Element::Message(message), extension::EVENT, Code::EventWithoutType, text, help);
    name
}

fn version(message: &MessageDescriptor, options: &EventOptions, context: &mut Context<'_>) -> u32 {
    if options.version < 0 {
        let text = format!("version of event {} is negative", message.name());
        let help = "versions count from 1; leave it out for the first".to_owned();
        report(message, key::VERSION, None, Code::NegativeNumber, (text, help), context);
    }
    u32::try_from(options.version).unwrap_or(1).max(1)
}

/// An event need not carry the identity; a field that is marked must be able to.
fn carried_id(
    message: &MessageDescriptor,
    owner: &AggregateDraft,
    context: &mut Context<'_>,
) -> Option<FieldDescriptor> {
    match id_field(message, &owner.names(), owner.id_field.as_ref()) {
        IdField::Found(field) => Some(field),
        IdField::WrongType(field) if options::field(&field).is_some_and(|it| it.id) => {
            report_id_type(&field, context);
            None
        }
        IdField::Several(field) => {
            roles::report_several_ids(&field, context);
            None
        }
        IdField::WrongType(_) | IdField::Missing => None,
    }
}

/// Finds an event by its type, or by the name of its message, with or without its package.
pub(super) fn event_named(name: &str, events: &[EventDraft]) -> Option<EventId> {
    let find = |is: &dyn Fn(&EventDraft) -> bool| events.iter().position(is).map(EventId);
    find(&|it| it.message.full_name() == name)
        .or_else(|| find(&|it| roles::is_called(&it.message, name)))
        .or_else(|| find(&|it| it.event_type == name))
}

/// What to write instead of an unknown event.
pub(super) fn suggest_event(name: &str, events: &[EventDraft]) -> String {
    let names = if name.contains('.') {
        events.iter().map(|it| it.event_type.as_str()).collect::<Vec<_>>()
    } else {
        events.iter().map(|it| it.message.name()).collect()
    };
    suggestion(name, names)
}

fn report(
    message: &MessageDescriptor,
    key: Key,
    value: Option<&str>,
    code: Code,
    text: (String, String),
    context: &mut Context<'_>,
) {
    context.on_value((Element::Message(message), extension::EVENT), key, value, code, text);
}
