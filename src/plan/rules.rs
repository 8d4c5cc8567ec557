//! Rules: what the seeds of an aggregate do, where names and types make it plain.
//!
//! A command is plain when it records exactly one event, everything in that event is known (from the request, the
//! identity, the time, or a default where an aggregate comes into being) and the event changes the state in a way
//! that is known too. Any other command is refused with `UNIMPLEMENTED`.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::{
    copy::{Value, same_named},
    types::{FieldType, Item, Shape, struct_fields},
};
use crate::{
    lower::Names,
    model::{Aggregate, Command, Event, EventEffect, EventId, Module, Rpc, words},
    options,
    rust::Expr,
};

/// What is plain about a command.
#[derive(Debug)]
pub struct Rule<'a> {
    /// The event that it records.
    pub event: EventId,
    /// Where each field of the event comes from; fields that aren't here have their default.
    pub sources: Vec<(FieldDescriptor, Source)>,
    /// The request's field that has the aggregate in it, as in `CreateProductRequest { Product product = 1; }`.
    pub nested: Option<FieldDescriptor>,
    /// The request's field with the names of the fields to change.
    pub mask: Option<FieldDescriptor>,
    command: &'a Command,
}

/// Where a field of an event comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The aggregate's identity.
    Id,
    /// A field of the request.
    Request(FieldDescriptor),
    /// A field of the message nested in the request.
    Nested(FieldDescriptor),
    /// The message nested in the request, with the identity in it.
    Whole(FieldDescriptor),
    /// When the command was accepted.
    Time,
    /// Who sent it.
    Actor,
    /// The state, because the request leaves it as it is.
    State(FieldDescriptor),
    /// The default that an annotation gives, as JSON.
    Default(String),
}

/// What an event plainly does to a state.
#[derive(Debug)]
pub enum Effect {
    /// A field takes the value of the event's field.
    Copy {
        /// The event's.
        from: FieldDescriptor,
        /// The state's.
        to: FieldDescriptor,
    },
    /// The whole state is in this field of the event.
    Replace(FieldDescriptor),
    /// A yes-or-no field that is named like the event becomes true.
    Flag(FieldDescriptor),
    /// The field takes the enum's value that is named like the event.
    Status(FieldDescriptor, prost_reflect::EnumValueDescriptor),
}

/// Says what is plain about a command, if all is.
pub fn rule<'a>(module: &Module, rpc: &Rpc, command: &'a Command, names: &Names) -> Option<Rule<'a>> {
    let [id] = command.emits.as_slice() else { return None };
    let event = &module.events[id.0];
    let aggregate = &module.aggregates[command.aggregate.0];
    let request = rpc.descriptor.input();
    let nested = nested_aggregate(&request, aggregate);
    let mask = request.fields().find(|it| FieldType::of(it).item.is_known("FieldMask") && !it.is_list());
    let finder = Finder { names, aggregate, event, command, request: &request, nested: nested.as_ref(), rpc };
    let mut sources = Vec::new();
    for field in struct_fields(&event.message) {
        match finder.source(&field) {
            Some(source) => sources.push((field, source)),
            // An aggregate that comes into being or goes has defaults where nothing is said.
            None if event.effect != EventEffect::Changes || command.creates => {}
            None => return None,
        }
    }
    let has_oneof = event.message.oneofs().any(|it| !it.is_synthetic());
    let says_something = sources.iter().any(|(_, source)| !matches!(source, Source::Id | Source::Time | Source::Actor));
    let known = !says_something || event.effect == EventEffect::Ends || !effects(event, aggregate).is_empty();
    let plain = known && !(has_oneof && event.effect == EventEffect::Changes);
    plain.then_some(Rule { event: *id, sources, nested, mask, command })
}

impl Rule<'_> {
    /// Whether the request may leave fields as they are.
    pub fn is_partial(&self) -> bool {
        !self.command.creates
    }
}

struct Finder<'a> {
    names: &'a Names,
    aggregate: &'a Aggregate,
    event: &'a Event,
    command: &'a Command,
    request: &'a MessageDescriptor,
    nested: Option<&'a FieldDescriptor>,
    rpc: &'a Rpc,
}

impl Finder<'_> {
    fn source(&self, field: &FieldDescriptor) -> Option<Source> {
        if self.event.id_field.as_ref() == Some(field) {
            return Some(Source::Id);
        }
        let ty = FieldType::of(field);
        let of_request = same_named(self.request, field.name()).filter(|it| self.fits(it, &ty));
        let nested = self.nested.map(|it| (it, message_of(it)));
        let whole = nested.as_ref().filter(|(_, message)| ty.item == Item::Message(message.clone()) && ty.is_single());
        let of_nested =
            nested.as_ref().and_then(|(_, it)| same_named(it, field.name()).filter(|it| self.fits(it, &ty)));
        of_request
            .filter(|it| whole.is_none() || Some(it) != self.nested)
            .map(Source::Request)
            .or_else(|| whole.map(|(it, _)| Source::Whole((*it).clone())))
            .or_else(|| of_nested.map(Source::Nested))
            .or_else(|| self.ambient(field, &ty))
            .or_else(|| self.of_state(field, &ty))
            .or_else(|| self.default(field))
    }

    fn fits(&self, from: &FieldDescriptor, ty: &FieldType) -> bool {
        Value::field(self.names, "it", from, true).and_then(|it| it.into_field(ty)).is_some()
    }

    /// What the context knows.
    fn ambient(&self, field: &FieldDescriptor, ty: &FieldType) -> Option<Source> {
        let name = field.name();
        let is_actor = matches!(name, "actor" | "created_by" | "updated_by" | "deleted_by" | "changed_by");
        if is_actor && ty.item == Item::String && ty.is_single() {
            return Some(Source::Actor);
        }
        is_time(field).then_some(Source::Time)
    }

    /// A change that doesn't mention a field of the state leaves it.
    fn of_state(&self, field: &FieldDescriptor, ty: &FieldType) -> Option<Source> {
        let names = self.command.renamed_from.iter().map(String::as_str).chain([self.rpc.descriptor.name()]);
        let mut verbs = names.filter_map(|it| words::words(it).into_iter().next());
        let changes = verbs.any(|it| ["update", "change", "edit", "modify", "patch", "set"].contains(&it.as_str()));
        if self.command.creates || !(changes || self.event.effect == EventEffect::Ends) {
            return None;
        }
        let own = self.aggregate.message.get_field_by_name(field.name())?;
        self.fits(&own, ty).then_some(Source::State(own))
    }

    fn default(&self, field: &FieldDescriptor) -> Option<Source> {
        let own = self.aggregate.message.get_field_by_name(field.name());
        let of = |it: &FieldDescriptor| default_of(it).filter(|_| FieldType::of(it) == FieldType::of(field));
        let json = of(field).or_else(|| own.as_ref().and_then(of)).filter(|_| self.command.creates)?;
        Some(Source::Default(json))
    }
}

/// The default that an annotation gives a field on creation, as JSON.
pub fn default_of(field: &FieldDescriptor) -> Option<String> {
    options::field(field).map(|it| it.default_value).filter(|it| !it.is_empty())
}

/// Whether a field is a point in time that the clock tells: `created_at`, `create_time`, `timestamp`.
pub fn is_time(field: &FieldDescriptor) -> bool {
    let words = words::words(field.name());
    let told = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [verb, "at"] => verb.ends_with("ed"),
        [verb, "time"] => matches!(*verb, "create" | "update" | "delete"),
        [only] => matches!(*only, "timestamp" | "time"),
        _ => false,
    };
    let ty = FieldType::of(field);
    told && match ty.item {
        Item::I64 => ty.shape == Shape::Plain,
        item => item.is_known("Timestamp") && ty.shape == Shape::Option,
    }
}

/// The only singular field of the request whose message is the aggregate's.
fn nested_aggregate(request: &MessageDescriptor, aggregate: &Aggregate) -> Option<FieldDescriptor> {
    let mut found = struct_fields(request).filter(|it| {
        let ty = FieldType::of(it);
        ty.item == Item::Message(aggregate.message.clone()) && ty.shape == Shape::Option
    });
    found.next().filter(|_| found.next().is_none())
}

fn message_of(field: &FieldDescriptor) -> MessageDescriptor {
    match field.kind() {
        Kind::Message(message) => message,
        _ => unreachable!("only fields with messages are asked"),
    }
}

/// What an event plainly does to the state, in the order of its fields.
pub fn effects(event: &Event, aggregate: &Aggregate) -> Vec<Effect> {
    let state = &aggregate.message;
    let mut effects = Vec::new();
    for field in struct_fields(&event.message).filter(|it| Some(it) != event.id_field.as_ref()) {
        let ty = FieldType::of(&field);
        let own = same_named(state, field.name()).filter(|it| *it != aggregate.id_field && in_struct(it));
        let copied = own.filter(|it| can_copy(&ty, &FieldType::of(it)));
        if let Some(to) = copied {
            effects.push(Effect::Copy { from: field, to });
        } else if ty.item == Item::Message(state.clone()) && ty.shape == Shape::Option {
            effects.push(Effect::Replace(field));
        }
    }
    if event.effect == EventEffect::Changes {
        effects.extend(said_by_name(event, aggregate, &effects));
    }
    effects
}

fn in_struct(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_none_or(|it| it.is_synthetic())
}

/// Whether an event's field can be set into a state's.
fn can_copy(from: &FieldType, to: &FieldType) -> bool {
    let value = Value { expr: Expr::text("it"), ty: from.clone(), owned: true };
    value.into_field(to).is_some() || (from.item == to.item && from.shape == Shape::Option && to.shape == Shape::Plain)
}

/// `ProductArchived`, or an event of the type `product.archived`, sets `bool archived`, or an enum to its value
/// `ARCHIVED`.
fn said_by_name(event: &Event, aggregate: &Aggregate, others: &[Effect]) -> Option<Effect> {
    [event.message.name(), &event.event_type].into_iter().find_map(|name| said(name, aggregate, others))
}

fn said(name: &str, aggregate: &Aggregate, others: &[Effect]) -> Option<Effect> {
    let own = words::words(&aggregate.name);
    let said: Vec<String> = words::words(name).into_iter().filter(|it| it != "event" && !own.contains(it)).collect();
    let said = said.join("_");
    let untouched = |field: &FieldDescriptor| {
        !others.iter().any(|it| matches!(it, Effect::Copy { to, .. } if to == field)) && in_struct(field)
    };
    struct_fields(&aggregate.message).filter(untouched).find_map(|field| match FieldType::of(&field) {
        FieldType { item: Item::Bool, shape: Shape::Plain } => {
            let named = field.name() == said || field.name().strip_prefix("is_") == Some(&said);
            named.then_some(Effect::Flag(field))
        }
        FieldType { item: Item::Enum(enumeration), shape: Shape::Plain } => {
            let prefix = words::words(enumeration.name()).join("_");
            let value = enumeration.values().find(|it| {
                let value = words::words(it.name()).join("_");
                value == said || value.strip_prefix(&prefix).map(|it| it.trim_start_matches('_')) == Some(&said)
            })?;
            Some(Effect::Status(field, value))
        }
        _ => None,
    })
}
