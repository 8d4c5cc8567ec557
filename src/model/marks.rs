//! Marks: what `(potter.field)` says of fields, and whether it says it where it counts.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::{
    RpcKind, Service,
    context::{Context, Element, Key, extension},
    fields::{check_default, column_type, type_name},
    roles::{AggregateDraft, ReadModelDraft},
    scope::Scope,
};
use crate::{
    diagnostic::Code,
    options::{self, FieldOptions},
};

/// Fields of `potter.FieldOptions`.
mod key {
    use super::Key;

    pub const ID: Key = (1, "id");
    pub const INDEX: Key = (2, "index");
    pub const UNIQUE: Key = (3, "unique");
    pub const DEFAULT_VALUE: Key = (4, "default_value");
    pub const PERSONAL_DATA: Key = (5, "personal_data");
}

/// Where marks count.
struct Places<'a> {
    rows: Vec<&'a MessageDescriptor>,
    /// Messages in which an identity is looked for.
    identified: Vec<MessageDescriptor>,
    /// Messages whose defaults are filled in on creation.
    created: Vec<MessageDescriptor>,
}

/// Judges every `(potter.field)` of the module.
pub(super) fn check(
    scope: &Scope,
    aggregates: &[AggregateDraft],
    services: &[Service],
    read_models: &[ReadModelDraft],
    context: &mut Context<'_>,
) {
    let places = places(scope, aggregates, services, read_models);
    for field in scope.messages.iter().flat_map(|it| it.fields().collect::<Vec<_>>()) {
        if let Some(marks) = options::field(&field) {
            check_id(&field, &marks, &places, context);
            check_index(&field, &marks, &places, context);
            check_default_value(&field, &marks, &places, context);
            if marks.personal_data {
                let text = format!("personal_data of `{}` is not encrypted by this version", field.name());
                let help = "what is recorded cannot be forgotten: record a reference to the person instead".to_owned();
                report(&field, key::PERSONAL_DATA, Code::OptionWithoutEffect, (text, help), context);
            }
        }
    }
}

fn places<'a>(
    scope: &Scope,
    aggregates: &[AggregateDraft],
    services: &[Service],
    read_models: &'a [ReadModelDraft],
) -> Places<'a> {
    let rpcs: Vec<_> = services.iter().flat_map(|it| &it.rpcs).collect();
    let states = aggregates.iter().map(|it| it.message.clone());
    let creating = rpcs.iter().filter(|it| matches!(&it.kind, RpcKind::Command(command) if command.creates));
    let events = scope.messages.iter().filter(|it| options::event(it).is_some()).cloned();
    // Requests count even where their rpc is broken: what is said of it is enough.
    let requests = scope.services.iter().flat_map(|it| it.methods().map(|it| it.input()).collect::<Vec<_>>());
    let rows: Vec<_> = read_models.iter().map(|it| &it.row).collect();
    Places {
        identified: states.clone().chain(requests).chain(events).chain(rows.iter().copied().cloned()).collect(),
        created: states.chain(creating.map(|it| it.descriptor.input())).collect(),
        rows,
    }
}

fn check_id(field: &FieldDescriptor, marks: &FieldOptions, places: &Places<'_>, context: &mut Context<'_>) {
    if marks.id && !places.identified.contains(field.parent_message()) {
        let text = format!("id of `{}` has no effect in {}", field.name(), field.parent_message().name());
        let help = "it counts in aggregates, events, read models and requests; leave it out here".to_owned();
        report(field, key::ID, Code::FieldOptionWithoutEffect, (text, help), context);
    }
}

fn check_index(field: &FieldDescriptor, marks: &FieldOptions, places: &Places<'_>, context: &mut Context<'_>) {
    let is_row = places.rows.contains(&field.parent_message());
    for (key, _) in [(key::INDEX, marks.index), (key::UNIQUE, marks.unique)].into_iter().filter(|(_, set)| *set) {
        if !is_row {
            let text = format!(
                "{} of `{}` has no effect: no read model has rows of {}",
                key.1,
                field.name(),
                field.parent_message().name()
            );
            let help = "mark the field of the message that the queries read".to_owned();
            report(field, key, Code::IndexWithoutReadModel, (text, help), context);
        } else if column_type(field).is_none() {
            let text = format!("`{}` is {} and cannot have {}", field.name(), type_name(field), key.1);
            let help = "only a single scalar, enum, Timestamp, Duration or wrapper becomes a column".to_owned();
            report(field, key, Code::FieldNotIndexable, (text, help), context);
        }
    }
}

fn check_default_value(field: &FieldDescriptor, marks: &FieldOptions, places: &Places<'_>, context: &mut Context<'_>) {
    if marks.default_value.is_empty() {
        return;
    }
    if let Err(wrong) = check_default(field, &marks.default_value) {
        let text = format!("default_value of `{}` is no {}: {wrong}", field.name(), type_name(field));
        report(field, key::DEFAULT_VALUE, Code::InvalidDefaultValue, (text, help_for_default(field, marks)), context);
    } else if !places.created.contains(field.parent_message()) {
        let text = format!("default_value of `{}` has no effect in {}", field.name(), field.parent_message().name());
        let help = "it counts in aggregates and in the requests of commands that create".to_owned();
        report(field, key::DEFAULT_VALUE, Code::FieldOptionWithoutEffect, (text, help), context);
    }
}

/// Most often the quotes are missing that a string has in JSON.
fn help_for_default(field: &FieldDescriptor, marks: &FieldOptions) -> String {
    let quoted = serde_json::Value::from(marks.default_value.as_str()).to_string();
    let in_proto = serde_json::Value::from(quoted.as_str());
    match check_default(field, &quoted) {
        Ok(()) => format!("in JSON it has quotes of its own: `default_value = {in_proto}`"),
        Err(_) => "write it in proto3 JSON: https://protobuf.dev/programming-guides/json/".to_owned(),
    }
}

fn report(field: &FieldDescriptor, key: Key, code: Code, text: (String, String), context: &mut Context<'_>) {
    context.on_value((Element::Field(field), extension::FIELD), key, None, code, text);
}
