//! Subscriptions: what is called for other modules' events as generated code, what they lead to as seeds.
//!
//! A handler is plain when a command of the module says by its name what the event says (`RegisterCustomer` and
//! `CustomerRegistered`) and everything in its request is known from the event. Any other event is refused with
//! `UNIMPLEMENTED`: it is kept as a dead letter, and can be taken in once somebody has written what it leads to.

use std::collections::BTreeSet;

use prost_reflect::{FieldDescriptor, MessageDescriptor};
use serde::Serialize;

use super::{
    Scope, copy,
    copy::Value,
    domain::{Function, mentions},
    imports::Imports,
    samples::{Sample, sample},
    symbols::{SubscriptionSymbols, docs_or, file_name, take},
    tests::Test,
    types::{FieldType, Item, Shape, struct_fields, struct_size},
};
use crate::{
    file::{Class, File},
    model::{RpcKind, SubscribedEvent, Subscription},
    render::Bug,
    rust::{self, Expr, Stmt},
};

/// The generated part and the seed of a subscription.
pub(super) fn files(scope: &Scope<'_>, index: usize) -> Result<Vec<File>, Bug> {
    let (subscription, symbols) = (&scope.module.subscriptions[index], &scope.symbols.subscriptions[index]);
    let symbol = format!("subscription {}", subscription.name);
    let path = format!("src/generated/application/{}.rs", symbols.module);
    let view = generated_view(scope, subscription, symbols);
    let generated = scope.generated(path, &symbol, "generated/application/subscription.rs.tera", &view)?;
    let path = format!("src/application/{}.rs", symbols.module);
    let view = seed_view(scope, subscription, symbols);
    let seed = scope.written(path, Class::Seed, &symbol, "seed/application/subscription.rs.tera", &view)?;
    Ok(vec![generated, seed])
}

#[derive(Serialize)]
struct GeneratedView<'a> {
    name: &'a str,
    name_literal: String,
    module: &'a str,
    module_literal: String,
    uses: String,
    marker: &'a str,
    handlers: &'a str,
    has_effects: bool,
    events: Vec<EventView<'a>>,
}

#[derive(Serialize)]
struct EventView<'a> {
    docs: Vec<String>,
    event_type: &'a str,
    type_literal: String,
    full_name: String,
    method: &'a str,
    ty: String,
}

fn generated_view<'a>(
    scope: &Scope<'a>,
    subscription: &'a Subscription,
    symbols: &'a SubscriptionSymbols,
) -> GeneratedView<'a> {
    let own = [symbols.marker.as_str(), &symbols.handlers, "Effect", "EventContext", "Failure", "Subscription"];
    let mut imports = scope.imports(&own);
    imports.add("potter", "Failure");
    for name in ["Effect", "EventContext", "Subscription"] {
        imports.add("potter::subscription", name);
    }
    let events = subscription.events.iter().zip(&symbols.methods).map(|(event, method)| EventView {
        docs: docs_or(scope.comments, &event.message, format!("About `{}`.", event.message.name())),
        event_type: &event.event_type,
        type_literal: rust::string_literal(&event.event_type),
        full_name: rust::string_literal(event.message.full_name()),
        method,
        ty: imports.path(scope.path(&event.message)),
    });
    let events = events.collect();
    GeneratedView {
        name: &subscription.name,
        name_literal: rust::string_literal(&subscription.name),
        module: &subscription.module,
        module_literal: rust::string_literal(&subscription.module),
        uses: imports.render(0),
        marker: &symbols.marker,
        handlers: &symbols.handlers,
        has_effects: !scope.symbols.effects.is_empty(),
        events,
    }
}

#[derive(Serialize)]
struct EffectsView {
    uses: String,
    effects: Vec<EffectView>,
}

#[derive(Serialize)]
struct EffectView {
    docs: Vec<String>,
    function: String,
    request: String,
    id: String,
}

/// The functions that make effects, where there is somebody who may want them.
pub(super) fn effects_file(scope: &Scope<'_>) -> Result<Option<File>, Bug> {
    if scope.module.subscriptions.is_empty() || scope.symbols.effects.is_empty() {
        return Ok(None);
    }
    let mut imports = scope.imports(&["Effect"]);
    imports.add("potter::subscription", "Effect");
    let mut effects = Vec::new();
    for rpc in scope.module.services.iter().flat_map(|it| &it.rpcs) {
        let RpcKind::Command(command) = &rpc.kind else { continue };
        effects.push(EffectView {
            docs: docs_or(scope.comments, &rpc.descriptor, format!("The command `{}`.", command.id)),
            function: scope.symbols.effects[rpc.descriptor.full_name()].clone(),
            request: imports.item(&Item::of_message(&rpc.descriptor.input())),
            id: rust::string_literal(&command.id),
        });
    }
    let view = EffectsView { uses: imports.render(0), effects };
    let path = "src/generated/application/effects.rs".to_owned();
    scope.generated(path, &scope.module.name, "generated/application/effects.rs.tera", &view).map(Some)
}

#[derive(Serialize)]
struct SeedView<'a> {
    module: &'a str,
    uses: String,
    marker: &'a str,
    handlers: &'a str,
    functions: Vec<Function>,
    tests: Vec<Test>,
    test_uses: String,
}

fn seed_view<'a>(scope: &Scope<'a>, subscription: &'a Subscription, symbols: &'a SubscriptionSymbols) -> SeedView<'a> {
    let own = [symbols.marker.as_str(), &symbols.handlers, "Effect", "EventContext", "Failure", "effects", "heard"];
    let mut imports = scope.imports(&own);
    let mut test_imports = scope.imports(&own);
    let generated = format!("crate::generated::application::{}", symbols.module);
    imports.add("potter", "Failure");
    for name in ["Effect", "EventContext"] {
        imports.add("potter::subscription", name);
    }
    for name in [&symbols.marker, &symbols.handlers] {
        imports.add(&generated, name);
        test_imports.add(&generated, name);
    }
    test_imports.add("potter::testing", "heard");
    let mut functions = Vec::new();
    let (mut tests, mut names) = (Vec::new(), BTreeSet::new());
    for (event, method) in subscription.events.iter().zip(&symbols.methods) {
        let mirror = Mirror::of(scope, event);
        functions.push(function(scope, event, method, mirror.as_ref(), &mut imports));
        let mut case = Case { scope, event, imports: &mut test_imports };
        tests.push(case.test(&format!("{}::{method}", symbols.marker), mirror.as_ref(), &mut names));
    }
    SeedView {
        module: &subscription.module,
        uses: imports.render(0),
        marker: &symbols.marker,
        handlers: &symbols.handlers,
        functions,
        tests,
        test_uses: test_imports.render(4),
    }
}

fn function<'a>(
    scope: &Scope<'a>,
    event: &SubscribedEvent,
    method: &str,
    mirror: Option<&Mirror>,
    imports: &mut Imports<'a>,
) -> Function {
    let value = match mirror {
        Some(mirror) => {
            let request = mirror.request(scope, imports, |source| source.taken(scope));
            Expr::call("Ok", [mirror.effects(scope, request, imports)])
        }
        None => Expr::call("Err", [Expr::call("Failure::unimplemented", [Expr::string(&event.event_type)])]),
    };
    let body = rust::block(&[Stmt::Value(value)], 8);
    let unused = |name: &str| if mentions(&body, name) { "" } else { "_" };
    let ty = imports.path(scope.path(&event.message));
    let parameters =
        [format!("{}event: {ty}", unused("event")), format!("{}context: &EventContext", unused("context"))];
    let signature = rust::signature(&format!("fn {method}"), &parameters, "Result<Vec<Effect>, Failure>", 4);
    Function::new(signature, &body)
}

/// A command that does what an event says.
struct Mirror {
    /// The rpc's full name.
    rpc: String,
    request: MessageDescriptor,
    sources: Vec<(FieldDescriptor, Source)>,
}

/// Where a field of the request comes from.
enum Source {
    /// The event's field; the type is that of the request's.
    Event(FieldDescriptor, FieldType),
    /// The identity of the event's aggregate.
    Stream(FieldType),
}

impl Source {
    /// As a handler has it.
    fn taken(&self, scope: &Scope<'_>) -> Option<Expr> {
        match self {
            Self::Event(field, ty) => Value::field(&scope.symbols.names, "event", field, true)?.into_field(ty),
            Self::Stream(ty) => stream_id(ty, Expr::text("context").field("aggregate_id").method("clone", [])),
        }
    }
}

fn stream_id(ty: &FieldType, expr: Expr) -> Option<Expr> {
    let plain = FieldType { item: Item::String, shape: Shape::Plain };
    Value { expr, ty: plain, owned: true }.into_field(ty)
}

impl Mirror {
    /// None unless the request is known as a whole.
    fn of(scope: &Scope<'_>, event: &SubscribedEvent) -> Option<Self> {
        let name = event.mirrored_by.as_ref()?;
        let mut rpcs = scope.module.services.iter().flat_map(|it| &it.rpcs);
        let rpc = rpcs.find(|it| it.descriptor.full_name() == name)?;
        let RpcKind::Command(command) = &rpc.kind else { return None };
        let Item::Message(request) = Item::of_message(&rpc.descriptor.input()) else { return None };
        scope.symbols.names.message(&request)?;
        // An aggregate that gets an identity of its own could never be found again by a later event.
        let id = command.id_field.as_ref()?;
        let source = |field: FieldDescriptor| {
            let source = source(scope, &field, id, &event.message)?;
            Some((field, source))
        };
        let sources = request.fields().map(source).collect::<Option<Vec<_>>>()?;
        Some(Self { rpc: name.clone(), request, sources })
    }

    /// The request, with what `value` gives for each field.
    fn request<'b>(
        &self,
        scope: &Scope<'b>,
        imports: &mut Imports<'b>,
        mut value: impl FnMut(&Source) -> Option<Expr>,
    ) -> Expr {
        let path = imports.path(scope.path(&self.request));
        let names = &scope.symbols.names;
        let fields =
            self.sources.iter().filter_map(|(field, source)| Some((names.field(field).to_owned(), value(source)?)));
        copy::with_rest(path, fields.collect(), struct_size(&self.request))
    }

    /// `vec![effects::register_customer(&request)]`
    fn effects(&self, scope: &Scope<'_>, request: Expr, imports: &mut Imports<'_>) -> Expr {
        imports.add("crate::generated::application", "effects");
        let effect = Expr::call(format!("effects::{}", scope.symbols.effects[&self.rpc]), [borrowed(request)]);
        Expr::Macro("vec".to_owned(), vec![effect])
    }
}

/// `&request`
fn borrowed(expr: Expr) -> Expr {
    match expr {
        Expr::Struct { path, fields, rest } => Expr::Struct { path: format!("&{path}"), fields, rest },
        Expr::Text(text) => Expr::Text(format!("&{text}")),
        other => other,
    }
}

/// The field of that name, or the identity of the stream.
fn source(
    scope: &Scope<'_>,
    field: &FieldDescriptor,
    id: &FieldDescriptor,
    event: &MessageDescriptor,
) -> Option<Source> {
    let ty = FieldType::of(field);
    let in_struct = field.containing_oneof().is_none_or(|it| it.is_synthetic());
    let same = event.get_field_by_name(field.name()).map(|it| Source::Event(it, ty.clone()));
    let stream = || (field == id).then(|| Source::Stream(ty.clone()));
    same.filter(|it| it.taken(scope).is_some()).or_else(stream).filter(|it| in_struct && it.taken(scope).is_some())
}

/// Writes the test of a handler.
struct Case<'a, 'b, 'c> {
    scope: &'b Scope<'a>,
    event: &'b SubscribedEvent,
    imports: &'c mut Imports<'a>,
}

impl Case<'_, '_, '_> {
    /// Given the event with sample values, when it is handled, then its effects; or the refusal, for somebody to replace.
    fn test(&mut self, handler: &str, mirror: Option<&Mirror>, names: &mut BTreeSet<String>) -> Test {
        let heard = Expr::call("heard", [self.event()]);
        let of_stream = mirror.is_some_and(|it| it.sources.iter().any(|(_, it)| matches!(it, Source::Stream(_))));
        let heard = if of_stream { heard.method("of", [Expr::string(STREAM)]) } else { heard };
        let scenario = heard.method("when", [Expr::text(handler)]);
        let (ending, scenario) = match mirror {
            Some(mirror) => {
                let request = mirror.request(self.scope, self.imports, sampled);
                let effects = mirror.effects(self.scope, request, self.imports);
                ("leads_to_a_command", scenario.method("then", [effects]))
            }
            None => {
                let refused = scenario.method("then_refused", [Expr::string("UNIMPLEMENTED")]);
                ("is_refused_until_it_is_written", refused)
            }
        };
        // Named after what never changes, so that a renaming leaves the test as it is.
        let name = format!("{}_{ending}", file_name(&self.event.event_type, "event").trim_end_matches('_'));
        Test { name: take(&name, names), body: rust::block(&[Stmt::Do(scenario)], 8) }
    }

    fn event(&mut self) -> Expr {
        let message = &self.event.message;
        let path = self.imports.path(self.scope.path(message));
        let names = &self.scope.symbols.names;
        let fields = struct_fields(message).filter_map(|field| {
            let value = literal(&field, &FieldType::of(&field))?;
            Some((names.field(&field).to_owned(), value))
        });
        let fields = fields.collect();
        copy::with_rest(path, fields, struct_size(message))
    }
}

/// The stream in tests.
const STREAM: &str = "stream-1";

/// What a field of a request has after the event of a test.
fn sampled(source: &Source) -> Option<Expr> {
    match source {
        Source::Event(field, ty) => literal(field, &FieldType::of(field)).and_then(|_| literal(field, ty)),
        Source::Stream(ty) => stream_id(ty, Expr::string(STREAM).method("to_owned", [])),
    }
}

fn literal(field: &FieldDescriptor, ty: &FieldType) -> Option<Expr> {
    match sample(field, ty)? {
        Sample::Literal(value) => Some(value),
        Sample::Unset => None,
    }
}
