//! Tests as seeds: a happy case for each command whose rule is plain, and one way through the whole service.

use prost_reflect::{FieldDescriptor, MessageDescriptor};
use serde::Serialize;

use super::{
    Scope,
    application::rpc_path,
    constraints::{constraints, has_message_rules},
    copy::{self, Value},
    defaults::default_literal,
    domain::{article, events_of},
    imports::Imports,
    rules::{self, Effect, Rule, Source, default_of},
    samples::{Sample, sample},
    types::{FieldType, Item, Shape, struct_fields, struct_size},
};
use crate::{
    file::{Class, File},
    model::{
        Aggregate, AggregateId, Command, Event, EventEffect, Query, QueryIntent, Rpc, RpcKind,
        intent::{self, RowPlace},
        words,
    },
    render::Bug,
    rust::{self, Expr, Stmt},
};

/// A test of a seed, laid out.
#[derive(Serialize)]
pub(super) struct Test {
    pub name: String,
    pub body: String,
}

/// The tests of a seed and what they import.
pub(super) struct Tests {
    pub tests: Vec<Test>,
    pub uses: String,
}

/// A command and what is plain about it.
pub(super) type PlainCommand<'a> = (&'a Rpc, &'a Command, Rule<'a>);

/// The tests of an aggregate's rules.
pub(super) fn of_aggregate(scope: &Scope<'_>, id: AggregateId, plain: &[PlainCommand<'_>]) -> Tests {
    let (aggregate, names) = scope.aggregate(id);
    let mut imports = scope.imports(&[&names.decider, "context", "events", "given"]);
    let mut tests = Vec::new();
    for (rpc, command, rule) in plain {
        let mut case = Case { scope, aggregate, id, imports: &mut imports };
        let Some(body) = case.happy(rpc, command, rule) else { continue };
        let method = names.commands[rpc.descriptor.full_name()].trim_start_matches("r#");
        let event = words::words(scope.module.events[rule.event.0].message.name()).join("_");
        tests.push(Test { name: format!("{method}_records_{event}"), body: rust::block(&body, 8) });
    }
    if !tests.is_empty() {
        imports.add("potter", "events");
        imports.add("potter::testing", "context");
        imports.add("potter::testing", "given");
        imports.add(&format!("crate::generated::domain::{}", names.module), &names.decider);
    }
    Tests { tests, uses: imports.render(4) }
}

/// Makes a case for an aggregate.
struct Case<'a, 'b, 'c> {
    scope: &'b Scope<'a>,
    aggregate: &'a Aggregate,
    id: AggregateId,
    imports: &'c mut Imports<'a>,
}

impl<'a> Case<'a, '_, '_> {
    /// Given the aggregate's creation, when the command is decided with sample values, then its event has them.
    fn happy(&mut self, rpc: &Rpc, command: &Command, rule: &Rule<'_>) -> Option<Vec<Stmt>> {
        let names = self.scope.symbols.aggregates.get(self.id.0)?;
        let state = self.imports.path(self.scope.path(&self.aggregate.message));
        let request = self.request(rpc, command, rule)?;
        let created = self.creation();
        let expected = self.expected(rule, created)?;
        let method = names.commands[rpc.descriptor.full_name()].clone();
        let value = &names.value;
        let decide = Expr::call(format!("{value}.{method}"), [Expr::text("command"), Expr::text("context")]);
        let before = match created.filter(|_| !command.creates) {
            Some(event) => Expr::Macro("events".to_owned(), vec![self.creation_literal(event)]),
            None => Expr::text("[]"),
        };
        let id = Expr::call("context", [self.id_text()]);
        let scenario = Expr::call(format!("given::<{state}>"), [before])
            .method("with_context", [id])
            .method("when", [Expr::Closure(format!("{value}, context"), Box::new(decide))])
            .method("then", [Expr::Macro("events".to_owned(), vec![expected])]);
        Some(vec![Stmt::Let("command".to_owned(), request), Stmt::Do(scenario)])
    }

    /// The identity in these tests: `product-1`.
    fn id_text(&self) -> Expr {
        let name = self.scope.symbols.aggregates[self.id.0].words.replace(' ', "-");
        Expr::string(&format!("{name}-1"))
    }

    fn id_for(&self, ty: &FieldType) -> Option<Expr> {
        let plain = FieldType { item: Item::String, shape: Shape::Plain };
        Value { expr: self.id_text().method("to_owned", []), ty: plain, owned: true }.into_field(ty)
    }

    /// The first event that brings the aggregate into being.
    fn creation(&self) -> Option<&'a Event> {
        events_of(self.scope, self.id).map(|(it, _)| it).find(|it| it.effect == EventEffect::Creates && !it.retired)
    }

    fn creation_literal(&mut self, event: &Event) -> Expr {
        let path = self.imports.path(self.scope.path(&event.message));
        let fields = struct_fields(&event.message).filter_map(|field| {
            let ty = FieldType::of(&field);
            let value = match event.id_field.as_ref() == Some(&field) {
                true => self.id_for(&ty),
                false => literal(&field, &ty),
            };
            Some((self.scope.symbols.names.field(&field).to_owned(), value?))
        });
        let fields = fields.collect();
        copy::with_rest(path, fields, struct_size(&event.message))
    }

    /// The request, with samples in the fields that the event takes over.
    fn request(&mut self, rpc: &Rpc, command: &Command, rule: &Rule<'_>) -> Option<Expr> {
        let message = match Item::of_message(&rpc.descriptor.input()) {
            Item::Message(message) => message,
            Item::Unit => return Some(Expr::text("()")),
            _ => return None,
        };
        let path = self.imports.path(self.scope.symbols.names.message(&message)?);
        let mut fields = Vec::new();
        for field in struct_fields(&message) {
            let ty = FieldType::of(&field);
            let used = |it: &Source| matches!(it, Source::Request(from) if *from == field);
            let value = if command.id_field.as_ref() == Some(&field) {
                self.id_for(&ty)
            } else if rule.nested.as_ref() == Some(&field) {
                self.nested(rule)
            } else if rule.sources.iter().any(|(_, it)| used(it)) {
                literal(&field, &ty)
            } else {
                None
            };
            fields.extend(value.map(|it| (self.scope.symbols.names.field(&field).to_owned(), it)));
        }
        Some(copy::with_rest(path, fields, struct_size(&message)))
    }

    /// The aggregate within a request, with samples.
    fn nested(&mut self, rule: &Rule<'_>) -> Option<Expr> {
        let whole = rule.sources.iter().any(|(_, it)| matches!(it, Source::Whole(_)));
        let used = |field: &FieldDescriptor| {
            whole || rule.sources.iter().any(|(_, it)| matches!(it, Source::Nested(from) if from == field))
        };
        self.state(used).map(|it| Expr::call("Some", [it]))
    }

    /// A state with its identity, and samples in some fields.
    fn state(&mut self, used: impl Fn(&FieldDescriptor) -> bool) -> Option<Expr> {
        let path = self.imports.path(self.scope.path(&self.aggregate.message));
        let own = &self.aggregate.id_field;
        copy::literal(&self.scope.symbols.names, path, &self.aggregate.message, |field| {
            let ty = FieldType::of(field);
            if field == own {
                return self.id_for(&ty);
            }
            used(field).then(|| literal(field, &ty))?
        })
    }

    /// The event, with what its sources give in this case.
    fn expected(&mut self, rule: &Rule<'_>, created: Option<&Event>) -> Option<Expr> {
        let event = &self.scope.module.events[rule.event.0];
        let path = self.imports.path(self.scope.path(&event.message));
        let mut fields = Vec::new();
        for (field, source) in &rule.sources {
            let ty = FieldType::of(field);
            let value = match source {
                Source::Id => Some(self.id_for(&ty)?),
                Source::Request(from) | Source::Nested(from) => match literal(from, &ty) {
                    Some(value) if literal(from, &FieldType::of(from)).is_some() => Some(value),
                    _ => self.unset(rule, from, field)?,
                },
                Source::Whole(_) => Some(Expr::call("Some", [self.state(|_| true)?])),
                Source::Time => {
                    let time = Expr::call("context", [self.id_text()]).method("timestamp", []);
                    Some(if ty.item == Item::I64 { time.field("seconds") } else { Expr::call("Some", [time]) })
                }
                Source::Actor => None,
                Source::State(from) => self.kept(from, &ty, created)?,
                Source::Default(json) => default_literal(field, json, self.imports),
            };
            fields.extend(value.map(|it| (self.scope.symbols.names.field(field).to_owned(), it)));
        }
        Some(copy::with_rest(path, fields, struct_size(&event.message)))
    }

    /// What an event has for a field that the request leaves unset: nothing, where that is plain.
    fn unset(&self, rule: &Rule<'_>, from: &FieldDescriptor, field: &FieldDescriptor) -> Option<Option<Expr>> {
        let own = self.aggregate.message.get_field_by_name(field.name());
        let defaulted = default_of(field).or_else(|| own.as_ref().and_then(default_of)).is_some();
        let stays = rule.is_partial()
            && FieldType::of(from).shape == Shape::Option
            && FieldType::of(field).shape == Shape::Plain;
        (!defaulted && !stays).then_some(None)
    }

    /// What the state has of a field after its creation.
    fn kept(&mut self, from: &FieldDescriptor, ty: &FieldType, created: Option<&Event>) -> Option<Option<Expr>> {
        let Some(event) = created else { return Some(None) };
        let effects = rules::effects(event, self.aggregate);
        if effects.iter().any(|it| matches!(it, Effect::Replace(_))) {
            return None;
        }
        let copied = effects.into_iter().find_map(|it| match it {
            Effect::Copy { from: source, to } if to == *from => Some(source),
            _ => None,
        });
        match copied {
            Some(source) => Some(literal(&source, ty)),
            None => match default_of(from) {
                Some(json) => default_literal(from, &json, self.imports).map(Some),
                None => Some(None),
            },
        }
    }
}

/// A sample for a field as a field of type `ty` holds it; none if it is left unset.
fn literal(field: &FieldDescriptor, ty: &FieldType) -> Option<Expr> {
    match sample(field, ty)? {
        Sample::Literal(value) => Some(value),
        Sample::Unset => None,
    }
}

#[derive(Serialize)]
struct ServiceTestView {
    uses: String,
    tests: Vec<Test>,
}

/// One way through the whole service: what is created is found.
pub(super) fn service_file(scope: &Scope<'_>) -> Result<File, Bug> {
    let library = &scope.symbols.library;
    let messages = format!("{library}::generated::messages");
    let mut own: Vec<&str> = vec!["TestApp", "block_on", "generated"];
    own.extend(scope.symbols.services.iter().map(|it| it.service.as_str()));
    let mut imports = Imports::new(&scope.symbols.names, &messages, "potter", &own);
    imports.add("potter::testing", "TestApp");
    imports.add("potter::testing", "block_on");
    imports.add(library, "generated");
    for service in &scope.symbols.services {
        imports.add(&format!("{library}::application"), &service.service);
    }
    let way = (0..scope.module.aggregates.len()).find_map(|it| {
        let mut imports = imports.clone();
        way_through(scope, AggregateId(it), &mut imports).map(|test| (test, imports))
    });
    let (test, imports) = way.unwrap_or_else(|| (starts(scope), imports));
    let view = ServiceTestView { uses: imports.render(0), tests: vec![test] };
    scope.written("tests/service.rs".into(), Class::Seed, &scope.module.name, "seed/tests/service.rs.tera", &view)
}

fn start(scope: &Scope<'_>) -> Stmt {
    let services: Vec<Expr> = scope.symbols.services.iter().map(|it| Expr::text(&it.service)).collect();
    let module = Expr::call("generated::module", services);
    Stmt::Let("app".to_owned(), Expr::call("TestApp::start", [module]).field("await"))
}

fn blocking(name: String, body: Vec<Stmt>) -> Test {
    let body = rust::block(&[Stmt::Do(Expr::Call("block_on".to_owned(), vec![Expr::AsyncBlock(body)]))], 4);
    Test { name, body }
}

/// Nothing is plain enough to be tested as a whole, but that the module holds together.
fn starts(scope: &Scope<'_>) -> Test {
    let settle = Stmt::Do(Expr::text("app").method("settle", []).field("await"));
    blocking("the_service_starts".to_owned(), vec![start(scope), settle])
}

fn way_through(scope: &Scope<'_>, id: AggregateId, imports: &mut Imports<'_>) -> Option<Test> {
    let aggregate = &scope.module.aggregates[id.0];
    let (create, command, rule) = super::domain::commands_of(scope, id).find_map(|(rpc, command)| {
        let rule = rules::rule(scope.module, rpc, command, &scope.symbols.names).filter(|_| command.creates)?;
        Some((rpc, command, rule))
    })?;
    let (get, query) = scope.module.services.iter().flat_map(|it| &it.rpcs).find_map(|rpc| match &rpc.kind {
        RpcKind::Query(query) if query.intent == QueryIntent::Get => {
            let model = &scope.module.read_models[query.read_model?.0];
            (model.derived_from == Some(id)).then_some((rpc, query))
        }
        _ => None,
    })?;
    let event = &scope.module.events[rule.event.0];
    let names = &scope.symbols.names;
    let noun = &scope.symbols.aggregates[id.0].words;

    let (reply, created_id) = created_id(scope, create, command, aggregate)?;
    let request = valid_request(scope, &create.descriptor.input(), command, &rule, imports)?;
    let asked = asked(scope, get, query, created_id, imports)?;
    let found = found_row(scope, get, query)?;
    let (request_field, state_field) = witness(&rule, event, aggregate)?;

    let call = |rpc: &Rpc, request: Expr| {
        Expr::text("app").method("call", [Expr::string(&rpc_path(rpc)), request]).field("await")
    };
    let expected = |expr: Expr, what: &str| expr.method("expect", [Expr::string(what)]);
    let reply_type = imports.path(names.message(&reply)?);
    let found_type = imports.path(names.message(&get.descriptor.output())?);
    let given = Expr::text("request").field(names.field(&request_field));
    let seen = Expr::text(found.0).field(names.field(&state_field));
    let mut body = vec![
        start(scope),
        Stmt::Blank,
        Stmt::Let("request".to_owned(), request),
        Stmt::Let(format!("created: {reply_type}"), expected(call(create, Expr::text("&request")), "it is created")),
        Stmt::Do(Expr::text("app").method("settle", []).field("await")),
        Stmt::Blank,
        Stmt::Let("query".to_owned(), asked),
        Stmt::Let(format!("found: {found_type}"), expected(call(get, Expr::text("&query")), "it is found")),
    ];
    body.extend(found.1);
    body.push(Stmt::Do(Expr::call("assert_eq!", [seen, given])));
    let name = format!("{}_{}_that_was_created_is_found", article(noun), noun.replace(' ', "_"));
    Some(blocking(name, body))
}

/// The reply of a creation, and where it says the identity that was assigned.
fn created_id(
    scope: &Scope<'_>,
    rpc: &Rpc,
    command: &Command,
    aggregate: &Aggregate,
) -> Option<(MessageDescriptor, Expr)> {
    let Item::Message(reply) = Item::of_message(&rpc.descriptor.output()) else { return None };
    let field = super::replies::id_field(&reply, command, aggregate)?;
    let plain = FieldType { item: Item::String, shape: Shape::Plain };
    let value = Value::field(&scope.symbols.names, "created", &field, true).filter(|it| it.ty == plain)?;
    Some((reply, value.expr))
}

/// The request of a creation with samples for all that the event takes over, if the rules on it can be kept.
fn valid_request(
    scope: &Scope<'_>,
    message: &MessageDescriptor,
    command: &Command,
    rule: &Rule<'_>,
    imports: &mut Imports<'_>,
) -> Option<Expr> {
    let names = &scope.symbols.names;
    let path = imports.path(names.message(message)?);
    if has_message_rules(message) || rule.nested.is_some() {
        return None;
    }
    let mut fields = Vec::new();
    for field in message.fields() {
        let in_struct = field.containing_oneof().is_none_or(|it| it.is_synthetic());
        if !in_struct || command.id_field.as_ref() == Some(&field) {
            if !constraints(&field).is_empty() {
                return None;
            }
            continue;
        }
        match sample(&field, &FieldType::of(&field))? {
            Sample::Literal(value) => fields.push((names.field(&field).to_owned(), value)),
            Sample::Unset => {}
        }
    }
    Some(copy::with_rest(path, fields, struct_size(message)))
}

/// The query for the identity.
fn asked(scope: &Scope<'_>, rpc: &Rpc, query: &Query, id: Expr, imports: &mut Imports<'_>) -> Option<Expr> {
    let message = rpc.descriptor.input();
    let field = query.id_field.as_ref()?;
    if !constraints(field).is_empty() {
        return None;
    }
    let path = imports.path(scope.symbols.names.message(&message)?);
    let plain = FieldType { item: Item::String, shape: Shape::Plain };
    let id = Value { expr: id, ty: plain, owned: true }.into_field(&FieldType::of(field))?;
    let fields = vec![(scope.symbols.names.field(field).to_owned(), id)];
    Some(copy::with_rest(path, fields, struct_size(&message)))
}

/// How the row in a Get's reply is called, and what must be said before to call it so.
fn found_row(scope: &Scope<'_>, rpc: &Rpc, query: &Query) -> Option<(String, Vec<Stmt>)> {
    let model = &scope.module.read_models[query.read_model?.0];
    let (request, reply) = (rpc.descriptor.input(), rpc.descriptor.output());
    let get = intent::get(&request, &reply, &model.row, query.id_field.as_ref())?;
    match &get.row {
        RowPlace::Flat => Some(("found".to_owned(), Vec::new())),
        RowPlace::Nested(field) if FieldType::of(field).shape == Shape::Option => {
            let row = Expr::text("found").field(scope.symbols.names.field(field));
            let row = row.method("expect", [Expr::string("the reply has the row")]);
            Some(("row".to_owned(), vec![Stmt::Let("row".to_owned(), row)]))
        }
        RowPlace::Nested(_) => None,
    }
}

/// A field of the request that is the same in the state afterwards, and the state's field.
fn witness(rule: &Rule<'_>, event: &Event, aggregate: &Aggregate) -> Option<(FieldDescriptor, FieldDescriptor)> {
    let effects = rules::effects(event, aggregate);
    rule.sources.iter().find_map(|(field, source)| {
        let Source::Request(from) = source else { return None };
        let to = effects.iter().find_map(|it| match it {
            Effect::Copy { from, to } if from == field => Some(to),
            _ => None,
        })?;
        let ty = FieldType::of(from);
        let same = ty == FieldType::of(field) && ty == FieldType::of(to);
        let told = matches!(sample(from, &ty), Some(Sample::Literal(_)));
        (same && told).then(|| (from.clone(), to.clone()))
    })
}
