//! Roles: what messages are annotated as, events apart.

use heck::{ToShoutySnakeCase, ToSnakeCase};
use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::{
    AggregateId, ErrorEvent, EventId, KeptIn, ReadModel, Repository,
    context::{Context, Element, Key, extension},
    events::{EventDraft, event_named, suggest_event},
    fields::{self, IdField, id_field, type_name},
    scope::Scope,
    told,
};
use crate::{
    diagnostic::{Code, suggestion},
    options::{self, AggregateOptions, ReadModelOptions},
};

/// Fields of the options of messages.
mod key {
    use super::Key;

    pub const AGGREGATE_NAME: Key = (1, "name");
    pub const REPOSITORY: Key = (2, "repository");
    pub const SNAPSHOT_EVERY: Key = (3, "snapshot_every");
    pub const ERROR_CODE: Key = (1, "error_code");
    pub const READ_MODEL_NAME: Key = (1, "name");
    pub const READ_MODEL_EVENTS: Key = (2, "events");
    pub const READ_MODEL_STORE: Key = (3, "store");
}

/// An aggregate, its id perhaps missing.
pub(super) struct AggregateDraft {
    pub name: String,
    pub message: MessageDescriptor,
    pub id_field: Option<FieldDescriptor>,
    pub repository: Repository,
    pub snapshot_every: Option<u32>,
}

impl AggregateDraft {
    /// The names by which fields refer to it.
    pub fn names(&self) -> [&str; 2] {
        [&self.name, self.message.name()]
    }

    /// What names and types tell of it.
    pub fn named(&self) -> told::Named<'_> {
        told::Named::new(&self.name, &self.message)
    }
}

/// The messages with `(potter.aggregate)`.
pub(super) fn aggregates(scope: &Scope, context: &mut Context<'_>) -> Vec<AggregateDraft> {
    let annotated = scope.messages.iter().filter_map(|it| options::aggregate(it).map(|options| (it.clone(), options)));
    let aggregates: Vec<_> = annotated.map(|(message, options)| aggregate(message, &options, context)).collect();
    for (at, aggregate) in aggregates.iter().enumerate() {
        // Names become types, files and tables, in which their case is lost.
        let snake = aggregate.name.to_snake_case();
        if let Some(first) = aggregates[..at].iter().find(|it| it.name.to_snake_case() == snake) {
            let text = format!(
                "aggregate {} is named `{}`, like {}",
                aggregate.message.full_name(),
                aggregate.name,
                first.message.full_name()
            );
            let help = "give one of them another `name`".to_owned();
            let option = (Element::Message(&aggregate.message), extension::AGGREGATE);
            context.on_value(
                option,
                key::AGGREGATE_NAME,
                Some(&aggregate.name),
                Code::DuplicateAggregate,
                (text, help),
            );
        }
    }
    aggregates
}

fn aggregate(message: MessageDescriptor, options: &AggregateOptions, context: &mut Context<'_>) -> AggregateDraft {
    let name = if options.name.is_empty() { message.name().to_owned() } else { options.name.clone() };
    let option = (Element::Message(&message), extension::AGGREGATE);
    if !is_name(&name) {
        let text = format!("`{name}` cannot name an aggregate");
        let help = "use letters, digits and `_`, beginning with a letter: it names types and streams".to_owned();
        context.on_value(option, key::AGGREGATE_NAME, Some(&name), Code::InvalidName, (text, help));
    }
    if options.snapshot_every < 0 {
        let text = format!("snapshot_every of {name} is negative");
        context.on_value(option, key::SNAPSHOT_EVERY, None, Code::NegativeNumber, (text, "0 means never".to_owned()));
    }
    let names = [name.as_str(), message.name()];
    let id_field = required_id(&message, &names, None, &format!("aggregate {name}"), context);
    AggregateDraft {
        id_field,
        repository: repository(&message, options, context),
        snapshot_every: u32::try_from(options.snapshot_every).ok().filter(|it| *it > 0),
        name,
        message,
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The framework and SQLite keep tables of their own.
fn is_table(name: &str) -> bool {
    is_name(name) && !name.starts_with("potter_") && !name.starts_with("sqlite_")
}

fn repository(message: &MessageDescriptor, options: &AggregateOptions, context: &mut Context<'_>) -> Repository {
    const REPOSITORIES: &[(&str, Repository)] = &[
        ("sqlite", Repository::Sqlite),
        ("postgres", Repository::Postgres),
        ("mysql", Repository::MySql),
        ("mongodb", Repository::MongoDb),
        ("inmemory", Repository::InMemory),
    ];
    let name = options.repository.as_str();
    if name.is_empty() {
        return Repository::default();
    }
    let option = (Element::Message(message), extension::AGGREGATE);
    let Some((_, found)) = REPOSITORIES.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)) else {
        let text = format!("unknown repository `{name}`");
        let help = suggestion(name, REPOSITORIES.iter().map(|(it, _)| *it));
        context.on_value(option, key::REPOSITORY, Some(name), Code::UnknownRepository, (text, help));
        return Repository::default();
    };
    if let Some(help) = instead_of(*found) {
        let text = format!("{} is stored in SQLite unless DATABASE_DSN says otherwise, not in {name}", message.name());
        context.on_value(option, key::REPOSITORY, Some(name), Code::RepositoryNotServed, (text, help.to_owned()));
    }
    *found
}

/// What to do about a store that the service doesn't have by itself.
fn instead_of(repository: Repository) -> Option<&'static str> {
    match repository {
        Repository::Sqlite | Repository::InMemory => None,
        Repository::Postgres => Some(
            "nothing needs to be changed here; run the service with DATABASE_DSN=postgres://USER:PASSWORD@HOST/DATABASE",
        ),
        Repository::MySql | Repository::MongoDb => {
            Some("nothing needs to be changed; DATABASE_DSN=sqlite://PATH or postgres://… says where the database is")
        }
    }
}

/// Finds the identity that `what` must have, and reports if it has none.
pub(super) fn required_id(
    message: &MessageDescriptor,
    owners: &[&str],
    own: Option<&FieldDescriptor>,
    what: &str,
    context: &mut Context<'_>,
) -> Option<FieldDescriptor> {
    match id_field(message, owners, own) {
        IdField::Found(field) => return Some(field),
        IdField::WrongType(field) => report_id_type(&field, context),
        IdField::Several(field) => report_several_ids(&field, context),
        IdField::Missing => {
            let by_owner = format!("{}_id", owners.first().copied().unwrap_or("aggregate").to_snake_case());
            let text = format!("{what} has no id: {} has neither `id` nor `{by_owner}`", message.name());
            let help = "add `string id = …;`, or mark a string field with `[(potter.field).id = true]`".to_owned();
            context.on(Element::Message(message), Code::IdFieldMissing, text, help);
        }
    }
    None
}

pub(super) fn report_id_type(field: &FieldDescriptor, context: &mut Context<'_>) {
    let text = format!("id field `{}` of {} is {}", field.name(), field.parent_message().name(), type_name(field));
    let help = format!("write `string {} = {};`: streams are named by it", field.name(), field.number());
    context.on(Element::Field(field), Code::IdFieldType, text, help);
}

pub(super) fn report_several_ids(field: &FieldDescriptor, context: &mut Context<'_>) {
    let text = format!("{} has several fields marked as its id", field.parent_message().name());
    let help = "mark only one field with `(potter.field).id`".to_owned();
    context.on(Element::Field(field), Code::SeveralIdFields, text, help);
}

/// Finds an aggregate by its name, or by that of its message, with or without its package.
pub(super) fn aggregate_named(name: &str, aggregates: &[AggregateDraft]) -> Option<AggregateId> {
    let find = |is: &dyn Fn(&AggregateDraft) -> bool| aggregates.iter().position(is).map(AggregateId);
    find(&|it| it.name == name).or_else(|| find(&|it| is_called(&it.message, name)))
}

/// Whether a name is that of the message, with its package, with a part of it, or without.
pub(super) fn is_called(message: &MessageDescriptor, name: &str) -> bool {
    let name = name.trim_start_matches('.');
    let package = message.full_name().strip_suffix(name);
    !name.is_empty() && package.is_some_and(|it| it.is_empty() || it.ends_with('.'))
}

/// The messages with `(potter.error_event)`.
pub(super) fn errors(scope: &Scope, context: &mut Context<'_>) -> Vec<ErrorEvent> {
    let mut errors: Vec<ErrorEvent> = Vec::new();
    for message in &scope.messages {
        let Some(options) = options::error_event(message) else { continue };
        let code = error_code(message, &options.error_code, context);
        if let Some(first) = errors.iter().find(|it| it.code == code) {
            let text = format!("error_code `{code}` of {} is already that of {}", message.name(), first.message.name());
            let help = "give every error event a code of its own; clients tell them apart by it".to_owned();
            let option = (Element::Message(message), extension::ERROR_EVENT);
            context.on_value(option, key::ERROR_CODE, Some(&code), Code::DuplicateErrorCode, (text, help));
        }
        errors.push(ErrorEvent { message: message.clone(), code, retryable: options.retryable });
    }
    errors
}

/// Left out, it is the message's name, which a warning asks to pin.
fn error_code(message: &MessageDescriptor, code: &str, context: &mut Context<'_>) -> String {
    if !code.is_empty() {
        return code.to_owned();
    }
    let name = message.name();
    let made = name.strip_suffix("Event").filter(|it| !it.is_empty()).unwrap_or(name).to_shouty_snake_case();
    let text = format!("error event {name} has no error_code; clients see `{made}`");
    let help = format!("pin it with `error_code: \"{made}\"`, so that the message can be renamed later");
    context.on_option(Element::Message(message), extension::ERROR_EVENT, Code::ErrorWithoutCode, text, help);
    made
}

/// The messages with `(potter.value_object)`.
pub(super) fn value_objects(scope: &Scope) -> Vec<MessageDescriptor> {
    scope.messages.iter().filter(|it| options::is_value_object(it)).cloned().collect()
}

/// A message is one thing only.
pub(super) fn no_two_roles(scope: &Scope, context: &mut Context<'_>) {
    for message in &scope.messages {
        let roles = [
            (options::aggregate(message).is_some(), "aggregate", extension::AGGREGATE),
            (options::event(message).is_some(), "event", extension::EVENT),
            (options::error_event(message).is_some(), "error_event", extension::ERROR_EVENT),
            (options::is_value_object(message), "value_object", extension::VALUE_OBJECT),
            (options::read_model(message).is_some(), "read_model", extension::READ_MODEL),
        ];
        let mut has = roles.iter().filter(|(has, ..)| *has);
        if let (Some((_, first, _)), Some((_, second, number))) = (has.next(), has.next()) {
            let text = format!("{} is both (potter.{first}) and (potter.{second})", message.name());
            let help = "give each role a message of its own".to_owned();
            context.on_option(Element::Message(message), *number, Code::MessageWithTwoRoles, text, help);
        }
        if options::is_saga(message) {
            let text = "(potter.saga) has no effect in this version".to_owned();
            let help = "leave it out, or keep it for a later version".to_owned();
            context.on_option(Element::Message(message), extension::SAGA, Code::OptionWithoutEffect, text, help);
        }
    }
}

/// A read model, its key perhaps missing.
pub(super) struct ReadModelDraft {
    pub name: String,
    pub table: String,
    pub row: MessageDescriptor,
    pub key: Option<FieldDescriptor>,
    pub events: Vec<EventId>,
    pub kept_in: KeptIn,
    pub derived_from: Option<AggregateId>,
}

impl ReadModelDraft {
    pub fn finish(self) -> Option<ReadModel> {
        Some(ReadModel {
            columns: fields::columns(&self.row, self.key.as_ref()),
            key: self.key?,
            name: self.name,
            table: self.table,
            row: self.row,
            events: self.events,
            kept_in: self.kept_in,
            derived_from: self.derived_from,
        })
    }
}

/// The messages with `(potter.read_model)`; those that name no events get theirs once the queries are known.
pub(super) fn read_models(
    scope: &Scope,
    aggregates: &[AggregateDraft],
    events: &[EventDraft],
    context: &mut Context<'_>,
) -> Vec<ReadModelDraft> {
    let mut models: Vec<ReadModelDraft> = Vec::new();
    for message in &scope.messages {
        let Some(options) = options::read_model(message) else { continue };
        let model = read_model(message, &options, aggregates, events, context);
        if let Some(first) = models.iter().find(|it| it.table == model.table || it.name == model.name) {
            let text = format!(
                "read model {} is kept in table `{}`, like {}",
                message.full_name(),
                model.table,
                first.row.full_name()
            );
            let help = "give one of them another `name`".to_owned();
            let option = (Element::Message(message), extension::READ_MODEL);
            context.on_value(option, key::READ_MODEL_NAME, None, Code::DuplicateReadModel, (text, help));
        }
        models.push(model);
    }
    models
}

fn read_model(
    message: &MessageDescriptor,
    options: &ReadModelOptions,
    aggregates: &[AggregateDraft],
    events: &[EventDraft],
    context: &mut Context<'_>,
) -> ReadModelDraft {
    let option = (Element::Message(message), extension::READ_MODEL);
    let name = message.name();
    let table = if options.name.is_empty() { name } else { &options.name }.to_snake_case();
    if !is_table(&table) || (!options.name.is_empty() && !is_name(&options.name.replace('-', "_"))) {
        let text = format!("`{table}` cannot name a table");
        let help =
            "use letters, digits and `_`, beginning with a letter, but neither with `potter_` nor `sqlite_`".to_owned();
        context.on_value(option, key::READ_MODEL_NAME, Some(&options.name), Code::InvalidName, (text, help));
    }
    let mut built_from = Vec::new();
    for event in &options.events {
        match event_named(event, events) {
            Some(id) if !built_from.contains(&id) => built_from.push(id),
            Some(_) => {}
            None => {
                let text = format!("read model {name} is built from an unknown event `{event}`");
                let value = Some(event.as_str());
                let text = (text, suggest_event(event, events));
                context.on_value(option, key::READ_MODEL_EVENTS, value, Code::UnknownEvent, text);
            }
        }
    }
    let names: Vec<_> = aggregates.iter().map(AggregateDraft::named).collect();
    let about = told::by_prefix(name, &names).map(|at| &aggregates[at]);
    let owners: Vec<&str> = about.iter().map(|it| it.name.as_str()).chain([name]).collect();
    let key = required_id(
        message,
        &owners,
        about.and_then(|it| it.id_field.as_ref()),
        &format!("read model {name}"),
        context,
    );
    let kept_in = kept_in(message, options, context);
    let (name, row) = (name.to_owned(), message.clone());
    ReadModelDraft { name, table, row, key, events: built_from, kept_in, derived_from: None }
}

fn kept_in(message: &MessageDescriptor, options: &ReadModelOptions, context: &mut Context<'_>) -> KeptIn {
    const STORES: &[(&str, KeptIn)] =
        &[("database", KeptIn::Database), ("redis", KeptIn::Redis), ("postgres", KeptIn::Postgres)];
    let name = options.store.as_str();
    if name.is_empty() {
        return KeptIn::default();
    }
    if let Some((_, found)) = STORES.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)) {
        return *found;
    }
    let text = format!("read model {} is kept in an unknown store `{name}`", message.name());
    let help = suggestion(name, STORES.iter().map(|(it, _)| *it));
    let option = (Element::Message(message), extension::READ_MODEL);
    context.on_value(option, key::READ_MODEL_STORE, Some(name), Code::UnknownReadModelStore, (text, help));
    KeptIn::default()
}
