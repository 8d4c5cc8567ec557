//! What everything that is generated is called.

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use prost_reflect::{FieldDescriptor, MessageDescriptor};

use crate::{
    docs::Comments,
    lower::{
        Names, accessors,
        names::{KEYWORDS, escape, to_snake},
    },
    model::{Aggregate, Module, RpcKind, Subscription},
    plan::{imports::is_prelude, types::struct_fields},
};

/// The names of a module's Rust items.
#[derive(Debug)]
pub struct Symbols {
    /// Of the messages.
    pub names: Names,
    /// Parallel to the module's.
    pub aggregates: Vec<AggregateSymbols>,
    /// Parallel to the module's.
    pub services: Vec<ServiceSymbols>,
    /// Parallel to the module's.
    pub read_models: Vec<ReadModelSymbols>,
    /// Parallel to the module's.
    pub subscriptions: Vec<SubscriptionSymbols>,
    /// Of the functions that make an effect of a command, by the full name of the rpc.
    pub effects: BTreeMap<String, String>,
    /// Of the library, as Rust code names it.
    pub library: String,
}

/// The names around an aggregate.
#[derive(Debug)]
pub struct AggregateSymbols {
    /// Module and file.
    pub module: String,
    /// The trait of its rules.
    pub decider: String,
    /// The enum of its events.
    pub event: String,
    /// The enum of its errors.
    pub error: String,
    /// Variants of `event`, parallel to the aggregate's events.
    pub events: Vec<String>,
    /// Variants of `error`, parallel to the aggregate's errors.
    pub errors: Vec<String>,
    /// The rules' methods by the full name of the rpc.
    pub commands: BTreeMap<String, String>,
    /// How a value of it is called: `product`.
    pub value: String,
    /// In words: `product`, `stock item`.
    pub words: String,
}

/// The names around a service.
#[derive(Debug)]
pub struct ServiceSymbols {
    /// Module and file.
    pub module: String,
    /// The struct that implements the handlers.
    pub service: String,
    /// The trait of the handlers.
    pub handlers: String,
    /// The handlers' methods, parallel to the rpcs.
    pub methods: Vec<String>,
}

/// The names around a read model.
#[derive(Debug)]
pub struct ReadModelSymbols {
    /// Module and file, field of `Views`.
    pub module: String,
    /// The type that stands for it.
    pub marker: String,
    /// The trait of its projection.
    pub projection: String,
    /// The enum of its events, if it isn't an aggregate's.
    pub event: String,
    /// The table.
    pub table: String,
    /// The key's constant and column, then those of the columns.
    pub columns: Vec<ColumnSymbols>,
}

/// The names around a subscription.
#[derive(Debug)]
pub struct SubscriptionSymbols {
    /// Module and file.
    pub module: String,
    /// The type that stands for it.
    pub marker: String,
    /// The trait of its handlers.
    pub handlers: String,
    /// The handlers' methods, parallel to the events.
    pub methods: Vec<String>,
}

/// The names of a column.
#[derive(Debug)]
pub struct ColumnSymbols {
    /// In Rust.
    pub constant: String,
    /// In SQL.
    pub column: String,
}

impl Symbols {
    /// Names everything in a module whose messages are named.
    pub fn new(module: &Module, names: Names, library: &str) -> Self {
        let mut files = taken(&["history", "mod", "value_objects"]);
        let mut types = BTreeSet::new();
        let aggregates =
            module.aggregates.iter().map(|it| aggregate(module, it, &names, &mut files, &mut types)).collect();
        let mut files = taken(&["context", "effects", "mod", "views"]);
        let mut types = taken(&["Views"]);
        let services = module.services.iter().map(|it| service(it, &mut files, &mut types)).collect();
        let mut tables = BTreeSet::new();
        let read_models =
            module.read_models.iter().map(|it| read_model(it, &mut files, &mut types, &mut tables)).collect();
        let subscriptions =
            module.subscriptions.iter().map(|it| subscription(it, &names, &mut files, &mut types)).collect();
        let effects = effects(module);
        Self { names, aggregates, services, read_models, subscriptions, effects, library: library.to_owned() }
    }
}

fn aggregate(
    module: &Module,
    aggregate: &Aggregate,
    names: &Names,
    files: &mut BTreeSet<String>,
    types: &mut BTreeSet<String>,
) -> AggregateSymbols {
    let camel = unique(&camel(&aggregate.name, "Aggregate"), |it| {
        !types.contains(&format!("{it}Decider")) && !types.contains(&format!("{it}Event"))
    });
    let [decider, event, error] = ["Decider", "Event", "Error"].map(|it| format!("{camel}{it}"));
    types.extend([decider.clone(), event.clone(), error.clone()]);
    let variant = |message: &MessageDescriptor, variants: &mut BTreeSet<String>| {
        let ident = names.message(message).map_or_else(|| message.name().to_owned(), |it| it.ident.clone());
        take(&ident, variants)
    };
    let mut variants = BTreeSet::new();
    let events = aggregate.events.iter().map(|id| variant(&module.events[id.0].message, &mut variants)).collect();
    let mut variants = taken(&["Unimplemented"]);
    let errors = aggregate.errors.iter().map(|id| variant(&module.errors[id.0].message, &mut variants)).collect();
    AggregateSymbols {
        module: take(&file_name(&aggregate.name, "aggregate"), files),
        commands: commands(module, aggregate, names),
        value: value_name(&aggregate.name),
        words: aggregate.name.to_snake_case().replace('_', " "),
        decider,
        event,
        error,
        events,
        errors,
    }
}

/// The methods of an aggregate's commands: the rpc's name, with the service's before it where that is taken. What
/// the state answers to already (`evolve`, prost's accessors) is taken.
fn commands(module: &Module, aggregate: &Aggregate, names: &Names) -> BTreeMap<String, String> {
    let mut methods = taken(&["apply", "ends", "evolve", "with_id"]);
    for field in struct_fields(&aggregate.message) {
        methods.extend(accessors(&field, names.field(&field).trim_start_matches("r#")).iter().map(|it| escape(it)));
    }
    let mut commands = BTreeMap::new();
    for (service, rpc) in module.services.iter().flat_map(|it| it.rpcs.iter().map(move |rpc| (it, rpc))) {
        let RpcKind::Command(command) = &rpc.kind else { continue };
        if module.aggregates[command.aggregate.0].message != aggregate.message {
            continue;
        }
        let name = to_snake(rpc.descriptor.name());
        let qualified =
            format!("{}_{}", service.descriptor.name().to_snake_case(), rpc.descriptor.name().to_snake_case());
        let name = if methods.contains(&name) { take(&qualified, &mut methods) } else { take(&name, &mut methods) };
        commands.insert(rpc.descriptor.full_name().to_owned(), name);
    }
    commands
}

fn service(
    service: &crate::model::Service,
    files: &mut BTreeSet<String>,
    types: &mut BTreeSet<String>,
) -> ServiceSymbols {
    let name = service.descriptor.name();
    let service_type = take(&type_name(name, "Service"), types);
    let mut methods = BTreeSet::new();
    ServiceSymbols {
        module: take(&file_name(name, "service"), files),
        handlers: take(&format!("{service_type}Handlers"), types),
        methods: service.rpcs.iter().map(|it| take(&to_snake(it.descriptor.name()), &mut methods)).collect(),
        service: service_type,
    }
}

fn read_model(
    model: &crate::model::ReadModel,
    files: &mut BTreeSet<String>,
    types: &mut BTreeSet<String>,
    tables: &mut BTreeSet<String>,
) -> ReadModelSymbols {
    let marker = take(&type_name(&model.name, "ReadModel"), types);
    let mut constants = BTreeSet::new();
    let mut columns = BTreeSet::new();
    let mut name = |field: &FieldDescriptor| ColumnSymbols {
        constant: take(&constant_name(field.name()), &mut constants),
        column: take(&sql_name(field.name()), &mut columns),
    };
    let key = name(&model.key);
    ReadModelSymbols {
        module: take(&file_name(&model.name, "read_model"), files),
        projection: take(&format!("{marker}Projection"), types),
        event: format!("{marker}Event"),
        table: take(&sql_name(&model.table), tables),
        columns: std::iter::once(key).chain(model.columns.iter().map(|it| name(&it.field))).collect(),
        marker,
    }
}

fn subscription(
    subscription: &Subscription,
    names: &Names,
    files: &mut BTreeSet<String>,
    types: &mut BTreeSet<String>,
) -> SubscriptionSymbols {
    let name = subscription.name.to_snake_case();
    let name = name.strip_suffix("_subscription").unwrap_or(&name);
    let marker = take(&camel(&format!("{name}_subscription"), "Subscription"), types);
    let mut methods = BTreeSet::new();
    let method = |it: &MessageDescriptor| {
        let ident = names.message(it).map_or_else(|| it.name().to_owned(), |it| it.ident.clone());
        to_snake(ident.trim_start_matches("r#"))
    };
    SubscriptionSymbols {
        module: take(&file_name(&format!("{name}_subscription"), "subscription"), files),
        handlers: take(&format!("{}EventHandlers", marker.trim_end_matches("Subscription")), types),
        methods: subscription.events.iter().map(|it| take(&method(&it.message), &mut methods)).collect(),
        marker,
    }
}

/// The functions that make effects: the rpc's name, with the service's before it where that is taken.
fn effects(module: &Module) -> BTreeMap<String, String> {
    let mut functions = BTreeSet::new();
    let mut effects = BTreeMap::new();
    for (service, rpc) in module.services.iter().flat_map(|it| it.rpcs.iter().map(move |rpc| (it, rpc))) {
        if !matches!(rpc.kind, RpcKind::Command(_)) {
            continue;
        }
        let name = to_snake(rpc.descriptor.name());
        let qualified =
            format!("{}_{}", service.descriptor.name().to_snake_case(), rpc.descriptor.name().to_snake_case());
        let name = if functions.contains(&name) { qualified } else { name };
        effects.insert(rpc.descriptor.full_name().to_owned(), take(&name, &mut functions));
    }
    effects
}

/// What values of a field's type are called in the documentation of a place that has no comment.
pub fn docs_or(comments: &Comments, element: &impl crate::docs::Commented, otherwise: String) -> Vec<String> {
    let lines = comments.lines(element);
    if lines.is_empty() { vec![otherwise] } else { lines }
}

/// `UpperCamel`; `fallback` for a name without a letter, or that begins with a digit.
fn camel(name: &str, fallback: &str) -> String {
    let camel = name.to_upper_camel_case();
    let usable = camel.starts_with(|it: char| it.is_ascii_alphabetic()) && camel.is_ascii();
    if usable { camel } else { format!("{fallback}{}", camel.replace(|it: char| !it.is_ascii_alphanumeric(), "")) }
}

/// `UpperCamel` for a type that seeds define; `kind` follows where Rust's prelude or the seeds mean something else.
fn type_name(name: &str, kind: &str) -> String {
    let name = camel(name, kind);
    let is_taken = is_prelude(&name) || ["Accepted", "Context", "Executed", "Failure"].contains(&name.as_str());
    if is_taken { name + kind } else { name }
}

/// `lower_snake`, a plain name in Rust and on any disk.
pub fn file_name(name: &str, fallback: &str) -> String {
    let snake: String =
        name.to_snake_case().chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' }).collect();
    let usable = snake.starts_with(|it: char| it.is_ascii_alphabetic());
    let snake = if usable { snake } else { format!("{fallback}_{snake}") };
    if KEYWORDS.binary_search(&snake.as_str()).is_ok() { format!("{snake}_") } else { snake }
}

/// What a variable that holds one is called; names that seeds use otherwise get an underscore.
fn value_name(name: &str) -> String {
    let name = file_name(name, "value");
    match name.as_str() {
        "command" | "context" | "event" | "events" | "it" | "page" | "query" | "recorded" | "row" | "views" => {
            name + "_"
        }
        _ => name,
    }
}

fn constant_name(name: &str) -> String {
    let name = name.to_shouty_snake_case();
    if name.starts_with(|it: char| it.is_ascii_alphabetic()) { name } else { format!("COLUMN_{name}") }
}

/// Lower case, and none of the framework's own names.
fn sql_name(name: &str) -> String {
    let name = file_name(name, "column");
    let name = name.trim_end_matches('_');
    if name.starts_with("potter_") || name.starts_with("sqlite_") { format!("own_{name}") } else { name.to_owned() }
}

fn taken(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

/// `name`, `name2`, …: the first that is free, taken from now on.
pub fn take(name: &str, taken: &mut BTreeSet<String>) -> String {
    let name = unique(name, |it| !taken.contains(it));
    taken.insert(name.clone());
    name
}

fn unique(name: &str, free: impl Fn(&str) -> bool) -> String {
    if free(name) {
        return name.to_owned();
    }
    (2_u32..).map(|it| format!("{name}{it}")).find(|it| free(it)).expect("of endlessly many names some is free")
}

/// The name of a module's library.
pub fn library(module: &str) -> String {
    file_name(module, "module").trim_end_matches('_').to_owned()
}
