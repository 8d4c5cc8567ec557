//! The domain: rules' signatures, events and errors as generated code, the rules themselves as seeds.

use prost_reflect::FieldDescriptor;
use serde::Serialize;

use super::{
    Scope, copy,
    copy::Value,
    defaults::{default_literal, enum_literal, unset_test},
    history::{self, Reader},
    imports::Imports,
    rules::{self, Effect, Rule, Source, default_of},
    symbols::{AggregateSymbols, docs_or},
    tests,
    tests::{Test, Tests},
    types::{FieldType, Item, Shape, struct_fields, struct_size},
    values,
};
use crate::{
    file::{Class, File},
    model::{Aggregate, AggregateId, Command, Event, EventEffect, Rpc, RpcKind, words},
    render::Bug,
    rust::{self, Arm, Expr, Stmt},
    shape,
};

pub(super) fn files(scope: &Scope<'_>) -> Result<Vec<File>, Bug> {
    let mut files = Vec::new();
    let mut modules: Vec<&str> = Vec::new();
    for (index, aggregate) in scope.module.aggregates.iter().enumerate() {
        let (id, symbols) = (AggregateId(index), &scope.symbols.aggregates[index]);
        modules.push(&symbols.module);
        let symbol = aggregate.message.full_name();
        let path = format!("src/generated/domain/{}.rs", symbols.module);
        files.push(scope.generated(path, symbol, "generated/domain/aggregate.rs.tera", &aggregate_view(scope, id))?);
        let path = format!("src/domain/{}.rs", symbols.module);
        files.push(scope.written(path, Class::Seed, symbol, "seed/domain/aggregate.rs.tera", &seed_view(scope, id))?);
    }
    modules.sort_unstable();
    let name = &scope.module.name;
    let seeds = ModulesView { modules: modules.clone() };
    files.push(scope.written(
        "src/domain/mod.rs".into(),
        Class::Structured,
        name,
        "seed/domain/mod.rs.tera",
        &seeds,
    )?);
    if let Some(file) = values::file(scope)? {
        files.push(file);
        modules.push("value_objects");
    }
    let past = history::files(scope)?;
    if !past.is_empty() {
        modules.push("history");
    }
    files.extend(past);
    modules.sort_unstable();
    let view = ModulesView { modules };
    files.push(scope.generated("src/generated/domain/mod.rs".into(), name, "generated/domain/mod.rs.tera", &view)?);
    Ok(files)
}

#[derive(Serialize)]
struct ModulesView<'a> {
    modules: Vec<&'a str>,
}

#[derive(Serialize)]
struct AggregateView<'a> {
    words: &'a str,
    article: &'static str,
    uses: String,
    decider: &'a str,
    state: String,
    event: &'a str,
    error: &'a str,
    name: String,
    snapshot_every: u32,
    schema: String,
    initial: String,
    commands: Vec<CommandView>,
    ending: Vec<&'a str>,
    events: Vec<EventView>,
    same_version: Option<u32>,
    errors: Vec<ErrorView>,
}

#[derive(Serialize)]
struct CommandView {
    docs: Vec<String>,
    method: String,
    request: String,
}

/// An event as a variant of an enum; also used for the events of read models.
#[derive(Serialize)]
pub(super) struct EventView {
    pub docs: Vec<String>,
    pub variant: String,
    pub ty: String,
    pub event_type: String,
    pub version: u32,
    /// A retired event is still read, and no longer made.
    pub retired: bool,
    /// How former versions are read.
    pub readers: Vec<Reader>,
}

#[derive(Serialize)]
struct ErrorView {
    docs: Vec<String>,
    variant: String,
    ty: String,
    code: String,
    retryable: bool,
    full_name: String,
    text: String,
    text_field: Option<String>,
}

fn aggregate_view<'a>(scope: &Scope<'a>, id: AggregateId) -> AggregateView<'a> {
    let (aggregate, symbols) = scope.aggregate(id);
    let mut imports = scope.imports(&[
        &symbols.decider,
        &symbols.event,
        &symbols.error,
        "Aggregate",
        "Context",
        "DomainError",
        "DomainEvent",
        "Message",
        "Refusal",
        "UnreadableEvent",
        "fmt",
    ]);
    let state = imports.path(scope.path(&aggregate.message));
    // A context comes with a command.
    let with_commands = commands_of(scope, id).next().map(|_| "Context");
    for name in
        ["Aggregate", "DomainError", "DomainEvent", "Refusal", "UnreadableEvent"].into_iter().chain(with_commands)
    {
        imports.add("potter::domain", name);
    }
    if !aggregate.events.is_empty() || !aggregate.errors.is_empty() {
        imports.add("potter::prost", "Message");
    }
    let commands = commands_of(scope, id).map(|(rpc, _)| CommandView {
        docs: docs_or(scope.comments, &rpc.descriptor, format!("Decides on `{}`.", rpc.descriptor.name())),
        method: symbols.commands[rpc.descriptor.full_name()].clone(),
        request: imports.item(&Item::of_message(&rpc.descriptor.input())),
    });
    let commands = commands.collect();
    let events: Vec<_> =
        events_of(scope, id).map(|(event, variant)| event_view(scope, event, variant, &mut imports)).collect();
    let errors = aggregate.errors.iter().zip(&symbols.errors).map(|(id, variant)| {
        let error = &scope.module.errors[id.0];
        let words = words::words(error.message.name());
        let words: Vec<_> = words.into_iter().filter(|it| it != "event").collect();
        ErrorView {
            docs: docs_or(scope.comments, &error.message, format!("Refused with `{}`.", error.code)),
            variant: variant.clone(),
            ty: imports.path(scope.path(&error.message)),
            code: rust::string_literal(&error.code),
            retryable: error.retryable,
            full_name: rust::string_literal(error.message.full_name()),
            text: rust::string_literal(&words.join(" ")),
            text_field: text_field(scope, &error.message),
        }
    });
    let errors = errors.collect();
    let ending = events_of(scope, id).filter(|(it, _)| it.effect == EventEffect::Ends).map(|(_, variant)| variant);
    let first = events.first().map(|it| it.version);
    AggregateView {
        words: &symbols.words,
        article: article(&symbols.words),
        decider: &symbols.decider,
        event: &symbols.event,
        error: &symbols.error,
        name: rust::string_literal(&aggregate.name),
        snapshot_every: aggregate.snapshot_every.unwrap_or_default(),
        schema: shape::Shape::of(&aggregate.message).hash(),
        initial: rust::expression(&initial(scope, aggregate, &mut imports), 8),
        ending: ending.collect(),
        same_version: first.filter(|first| events.iter().all(|it| it.version == *first)),
        uses: imports.render(0),
        state,
        commands,
        events,
        errors,
    }
}

pub(super) fn event_view(scope: &Scope<'_>, event: &Event, variant: &str, imports: &mut Imports<'_>) -> EventView {
    let readers = history::readers(scope, event);
    if !readers.is_empty() {
        imports.add("crate::generated::domain", "history");
    }
    EventView {
        retired: event.retired,
        readers,
        docs: docs_or(scope.comments, &event.message, format!("Recorded as `{}`.", event.event_type)),
        variant: variant.to_owned(),
        ty: imports.path(scope.path(&event.message)),
        event_type: rust::string_literal(&event.event_type),
        version: event.version,
    }
}

/// The field that says in words why a command was refused.
fn text_field(scope: &Scope<'_>, message: &prost_reflect::MessageDescriptor) -> Option<String> {
    let fields = ["message", "reason", "detail", "description"];
    let plain = FieldType { item: Item::String, shape: Shape::Plain };
    let of = |name: &str| struct_fields(message).find(|it| it.name() == name && FieldType::of(it) == plain);
    fields.into_iter().find_map(of).map(|it| scope.symbols.names.field(&it).to_owned())
}

pub(super) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// The commands that are sent to an aggregate.
pub(super) fn commands_of<'a>(scope: &Scope<'a>, id: AggregateId) -> impl Iterator<Item = (&'a Rpc, &'a Command)> {
    scope.module.services.iter().flat_map(|it| &it.rpcs).filter_map(move |rpc| match &rpc.kind {
        RpcKind::Command(command) if command.aggregate == id => Some((rpc, command)),
        _ => None,
    })
}

pub(super) fn events_of<'a>(scope: &Scope<'a>, id: AggregateId) -> impl Iterator<Item = (&'a Event, &'a str)> {
    let (aggregate, symbols) = scope.aggregate(id);
    let events = aggregate.events.iter().map(|id| &scope.module.events[id.0]);
    events.zip(symbols.events.iter().map(String::as_str))
}

/// The state before the first event: the identity, and defaults that annotations give.
fn initial(scope: &Scope<'_>, aggregate: &Aggregate, imports: &mut Imports<'_>) -> Expr {
    let mut fields = Vec::new();
    for field in struct_fields(&aggregate.message) {
        let value = if field == aggregate.id_field {
            let id = Value { expr: Expr::text("id").method("to_owned", []), ty: plain_string(), owned: true };
            id.into_field(&FieldType::of(&field))
        } else {
            default_of(&field).and_then(|json| default_literal(&field, &json, imports))
        };
        fields.extend(value.map(|it| (scope.symbols.names.field(&field).to_owned(), it)));
    }
    let rest = (fields.len() < struct_size(&aggregate.message)).then(|| Box::new(Expr::text("Self::default()")));
    Expr::Struct { path: "Self".to_owned(), fields, rest }
}

fn plain_string() -> FieldType {
    FieldType { item: Item::String, shape: Shape::Plain }
}

#[derive(Serialize)]
struct SeedView<'a> {
    words: &'a str,
    uses: String,
    decider: &'a str,
    state: String,
    error: &'a str,
    commands: Vec<Function>,
    evolve: Function,
    tests: Vec<Test>,
    test_uses: String,
}

/// A function of a seed, laid out within an `impl`.
#[derive(Serialize)]
pub(super) struct Function {
    pub text: String,
}

impl Function {
    /// A function with that head, which ends in an opening brace.
    pub fn new(signature: String, body: &str) -> Self {
        let text = if body.is_empty() { signature + "}" } else { format!("{signature}\n{body}    }}") };
        Self { text }
    }
}

fn seed_view<'a>(scope: &Scope<'a>, id: AggregateId) -> SeedView<'a> {
    let (aggregate, symbols) = scope.aggregate(id);
    let mut imports = scope.imports(&[&symbols.decider, &symbols.event, &symbols.error, "Context", "events", "masked"]);
    let generated = format!("crate::generated::domain::{}", symbols.module);
    for name in [&symbols.decider, &symbols.event, &symbols.error] {
        imports.add(&generated, name);
    }
    let state = imports.path(scope.path(&aggregate.message));
    let mut writer = Writer { scope, aggregate, symbols, imports };
    let mut commands = Vec::new();
    let mut plain = Vec::new();
    for (rpc, command) in commands_of(scope, id) {
        writer.imports.add("potter", "Context");
        let rule = rules::rule(scope.module, rpc, command, &scope.symbols.names);
        commands.push(writer.command(rpc, rule.as_ref()));
        plain.extend(rule.map(|it| (rpc, command, it)));
    }
    let evolve = writer.evolve(id);
    let Tests { tests, uses: test_uses } = tests::of_aggregate(scope, id, &plain);
    let imports = writer.imports;
    SeedView {
        words: &symbols.words,
        uses: imports.render(0),
        decider: &symbols.decider,
        state,
        error: &symbols.error,
        commands,
        evolve,
        tests,
        test_uses,
    }
}

/// Writes the functions of an aggregate's seed.
struct Writer<'a, 'b> {
    scope: &'b Scope<'a>,
    aggregate: &'a Aggregate,
    symbols: &'a AggregateSymbols,
    imports: Imports<'a>,
}

impl Writer<'_, '_> {
    fn command(&mut self, rpc: &Rpc, rule: Option<&Rule<'_>>) -> Function {
        let method = &self.symbols.commands[rpc.descriptor.full_name()];
        let request = self.imports.item(&Item::of_message(&rpc.descriptor.input()));
        let body = match rule {
            Some(rule) => self.decide(rule),
            None => {
                let variant = format!("{}::Unimplemented", self.symbols.error);
                let refusal = Expr::call(variant, [Expr::string(method.trim_start_matches("r#"))]);
                vec![Stmt::Value(Expr::call("Err", [refusal]))]
            }
        };
        let text = rust::block(&body, 8);
        let underscore = |name: &str| if mentions(&text, name) { String::new() } else { "_".to_owned() };
        let parameters = [
            "&self".to_owned(),
            format!("{}command: {request}", underscore("command")),
            format!("{}context: &Context", underscore("context")),
        ];
        let output = format!("Result<Vec<{}>, {}>", self.symbols.event, self.symbols.error);
        Function::new(rust::signature(&format!("fn {method}"), &parameters, &output, 4), &text)
    }

    fn decide(&mut self, rule: &Rule<'_>) -> Vec<Stmt> {
        self.imports.add("potter", "events");
        let event = &self.scope.module.events[rule.event.0];
        let mut body = Vec::new();
        let nested = rule
            .nested
            .as_ref()
            .filter(|_| rule.sources.iter().any(|(_, it)| matches!(it, Source::Nested(_) | Source::Whole(_))));
        if let Some(field) = nested {
            let value = Expr::text("command").field(self.scope.symbols.names.field(field));
            body.push(Stmt::Let(self.symbols.value.clone(), value.method("unwrap_or_default", [])));
        }
        let sources: Vec<_> =
            rule.sources.iter().map(|(field, source)| (field, source, self.source(rule, field, source))).collect();
        let path = self.imports.path(self.scope.path(&event.message));
        let names = &self.scope.symbols.names;
        let fields = sources.into_iter().map(|(field, _, value)| (names.field(field).to_owned(), value)).collect();
        let event = copy::with_rest(path, fields, struct_size(&event.message));
        body.push(Stmt::Value(Expr::call("Ok", [Expr::Macro("events".to_owned(), vec![event])])));
        body
    }

    /// A field of an event as a command knows it.
    fn source(&mut self, rule: &Rule<'_>, field: &FieldDescriptor, source: &Source) -> Expr {
        let names = &self.scope.symbols.names;
        let ty = FieldType::of(field);
        let context = |field: &str| Expr::text("context").field(field).method("clone", []);
        let value = match source {
            Source::Id => Value { expr: context("aggregate_id"), ty: plain_string(), owned: true }.into_field(&ty),
            Source::Actor if ty.shape == Shape::Option => Some(context("actor")),
            Source::Actor => Some(context("actor").method("unwrap_or_default", [])),
            Source::Time if ty.item == Item::I64 => {
                Some(Expr::text("context").method("timestamp", []).field("seconds"))
            }
            Source::Time => Some(Expr::call("Some", [Expr::text("context").method("timestamp", [])])),
            Source::Request(from) => self.given(rule, "command", from, field),
            Source::Nested(from) => {
                let value = self.symbols.value.clone();
                self.given(rule, &value, from, field)
            }
            Source::Whole(_) => Some(Expr::call("Some", [self.whole(rule, context("aggregate_id"))])),
            Source::State(from) => Value::field(names, "self", from, false).and_then(|it| it.into_field(&ty)),
            Source::Default(json) => default_literal(field, json, &mut self.imports),
        };
        value.unwrap_or_else(|| Expr::text("Default::default()"))
    }

    /// The aggregate as the request has it, with its identity.
    fn whole(&mut self, rule: &Rule<'_>, id: Expr) -> Expr {
        let names = &self.scope.symbols.names;
        let message = &self.aggregate.message;
        let path = self.imports.path(self.scope.path(message));
        let mut fields = vec![(names.field(&self.aggregate.id_field).to_owned(), id)];
        if rule.mask.is_some() && rule.is_partial() {
            for field in struct_fields(message).filter(|it| *it != self.aggregate.id_field) {
                let value = self.given(rule, &self.symbols.value, &field, &field);
                fields.extend(value.map(|it| (names.field(&field).to_owned(), it)));
            }
        }
        let rest = (fields.len() < struct_size(message)).then(|| Box::new(Expr::text(&self.symbols.value)));
        Expr::Struct { path, fields, rest }
    }

    /// The value where the mask covers the field, else what the state has.
    fn masked(&mut self, mask: &FieldDescriptor, field: &FieldDescriptor, value: Expr) -> Option<Expr> {
        let names = &self.scope.symbols.names;
        let own = struct_fields(&self.aggregate.message).find(|it| it.name() == field.name())?;
        let kept = Value::field(names, "self", &own, false)?.into_field(&FieldType::of(field))?;
        self.imports.add("potter::domain", "masked");
        let mask = format!("&command.{}", names.field(mask));
        let test = Expr::call("masked", [Expr::text(mask), Expr::string(own.name())]);
        Some(Expr::If(Box::new(test), Box::new(value), Box::new(kept)))
    }

    /// What the request gives for a field; what it leaves out stays as it is, or has its default on creation.
    fn given(
        &mut self,
        rule: &Rule<'_>,
        variable: &str,
        from: &FieldDescriptor,
        field: &FieldDescriptor,
    ) -> Option<Expr> {
        let value = self.unmasked(rule, variable, from, field)?;
        let masked = rule.mask.as_ref().filter(|_| rule.is_partial());
        masked.and_then(|mask| self.masked(mask, field, value.clone())).or(Some(value))
    }

    fn unmasked(
        &mut self,
        rule: &Rule<'_>,
        variable: &str,
        from: &FieldDescriptor,
        field: &FieldDescriptor,
    ) -> Option<Expr> {
        let names = &self.scope.symbols.names;
        let (given, wanted) = (FieldType::of(from), FieldType::of(field));
        let value = Value::field(names, variable, from, true)?;
        let own = struct_fields(&self.aggregate.message).find(|it| it.name() == field.name());
        let may_be_missing = given.item == wanted.item && given.shape == Shape::Option && wanted.shape == Shape::Plain;
        if rule.is_partial() {
            let state = own.as_ref().filter(|_| may_be_missing).and_then(|it| Value::field(names, "self", it, false));
            let state = state.filter(|it| it.ty == wanted);
            return match state {
                Some(state) if state.ty.is_copy() => Some(value.expr.method("unwrap_or", [state.expr])),
                Some(state) => {
                    let otherwise = Expr::Closure(String::new(), Box::new(state.taken()));
                    Some(value.expr.method("unwrap_or_else", [otherwise]))
                }
                None => value.into_field(&wanted),
            };
        }
        let json = default_of(field).or_else(|| own.as_ref().and_then(default_of));
        let Some(default) = json.and_then(|json| default_literal(field, &json, &mut self.imports)) else {
            return value.into_field(&wanted);
        };
        if may_be_missing {
            let constant = matches!(default, Expr::Text(_));
            return Some(match constant {
                true => value.expr.method("unwrap_or", [default]),
                false => value.expr.method("unwrap_or_else", [Expr::Closure(String::new(), Box::new(default))]),
            });
        }
        let written = format!("{variable}.{}", names.field(from));
        match (unset_test(from, &written), value.into_field(&wanted)) {
            (Some(test), Some(value)) => Some(Expr::If(Box::new(Expr::text(test)), Box::new(default), Box::new(value))),
            (_, value) => value,
        }
    }

    fn evolve(&mut self, id: AggregateId) -> Function {
        let arms: Vec<Arm> = events_of(self.scope, id).map(|(event, variant)| self.arm(event, variant)).collect();
        let body = rust::block(&[Stmt::Value(Expr::Match(Box::new(Expr::text("event")), arms))], 8);
        let parameters = ["&mut self".to_owned(), format!("event: {}", self.symbols.event)];
        Function::new(rust::signature("fn evolve", &parameters, "", 4), &body)
    }

    fn arm(&mut self, event: &Event, variant: &str) -> Arm {
        let mut body = Vec::new();
        for effect in rules::effects(event, self.aggregate) {
            body.push(self.effect(&effect, event.effect));
        }
        let text = rust::block(&body, 0);
        let binding = if mentions(&text, "it") { "it" } else { "_" };
        Arm { pattern: format!("{}::{variant}({binding})", self.symbols.event), body }
    }

    fn effect(&mut self, effect: &Effect, of: EventEffect) -> Stmt {
        let names = &self.scope.symbols.names;
        let place = |field: &FieldDescriptor| format!("self.{}", names.field(field));
        match effect {
            Effect::Copy { from, to } => {
                let (given, own) = (FieldType::of(from), FieldType::of(to));
                if let Some(set) = copy::when_given(names, (from, &given), (&place(to), &own), of) {
                    return set;
                }
                let value = Value::field(names, "it", from, true).expect("effects are of fields of structs");
                let value = value.into_field(&own).expect("effects are of fields that can be copied");
                Stmt::Assign(place(to), value)
            }
            Effect::Replace(field) => {
                let name = names.field(field);
                Stmt::If(
                    format!("let Some(state) = it.{name}"),
                    vec![Stmt::Assign("*self".to_owned(), Expr::text("state"))],
                )
            }
            Effect::Flag(field) => Stmt::Assign(place(field), Expr::text("true")),
            Effect::Status(field, value) => {
                let literal = enum_literal(value.parent_enum(), value.number(), &mut self.imports);
                Stmt::Assign(place(field), literal)
            }
        }
    }
}

/// Whether a piece of code has that name in it.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let of_name = |it: char| it.is_alphanumeric() || it == '_' || it == '"';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(|it| of_name(it) || it == '.') && !after.is_some_and(of_name)
    })
}
