//! Read models: their columns and events as generated code, their projections as seeds.

use std::collections::BTreeSet;

use prost_reflect::FieldDescriptor;
use serde::Serialize;

use super::{
    Scope, copy,
    copy::{Value, same_named},
    domain::{EventView, Function, event_view, mentions},
    imports::Imports,
    rules,
    symbols::{ReadModelSymbols, docs_or},
    types::{FieldType, Item, Shape, struct_fields, struct_size},
};
use crate::{
    file::{Class, File},
    model::{AggregateId, ColumnType, Event, EventEffect, ReadModel},
    render::Bug,
    rust::{self, Arm, Expr, Stmt},
};

/// The generated part and the seed of a read model.
pub(super) fn files(scope: &Scope<'_>, index: usize) -> Result<Vec<File>, Bug> {
    let (model, symbols) = (&scope.module.read_models[index], &scope.symbols.read_models[index]);
    let symbol = model.row.full_name();
    let path = format!("src/generated/application/{}.rs", symbols.module);
    let view = model_view(scope, model, symbols);
    let generated = scope.generated(path, symbol, "generated/application/read_model.rs.tera", &view)?;
    let path = format!("src/application/{}.rs", symbols.module);
    let view = seed_view(scope, model, symbols);
    let seed = scope.written(path, Class::Seed, symbol, "seed/application/read_model.rs.tera", &view)?;
    Ok(vec![generated, seed])
}

/// The aggregate whose events are just those of a read model, so that they need no enum of their own.
pub(super) fn event_owner(scope: &Scope<'_>, model: &ReadModel) -> Option<AggregateId> {
    let events: BTreeSet<_> = model.events.iter().collect();
    let own = |id: &AggregateId| scope.module.aggregates[id.0].events.iter().collect::<BTreeSet<_>>() == events;
    (0..scope.module.aggregates.len())
        .map(AggregateId)
        .filter(|it| Some(*it) == model.derived_from || !events.is_empty())
        .find(own)
}

/// Imports the enum of a read model's events.
pub(super) fn import_event(
    scope: &Scope<'_>,
    model: &ReadModel,
    symbols: &ReadModelSymbols,
    imports: &mut Imports<'_>,
) -> String {
    let (module, event) = match event_owner(scope, model) {
        Some(id) => {
            (format!("domain::{}", scope.symbols.aggregates[id.0].module), &scope.symbols.aggregates[id.0].event)
        }
        None => (format!("application::{}", symbols.module), &symbols.event),
    };
    imports.add(&format!("crate::generated::{module}"), event);
    event.clone()
}

#[derive(Serialize)]
struct ModelView<'a> {
    name: &'a str,
    row_name: &'a str,
    table: &'a str,
    docs: Vec<String>,
    uses: String,
    marker: &'a str,
    projection: &'a str,
    row: String,
    event: String,
    columns: Vec<ColumnView<'a>>,
    own_event: bool,
    events: Vec<EventView>,
    same_version: Option<u32>,
}

#[derive(Serialize)]
struct ColumnView<'a> {
    docs: Vec<String>,
    constant: &'a str,
    column: &'a str,
    ty: String,
}

fn model_view<'a>(scope: &Scope<'a>, model: &'a ReadModel, symbols: &'a ReadModelSymbols) -> ModelView<'a> {
    let owner = event_owner(scope, model);
    let event = owner.map_or(&symbols.event, |id| &scope.symbols.aggregates[id.0].event);
    let mut imports = scope.imports(&[
        &symbols.marker,
        &symbols.projection,
        event,
        "Column",
        "DomainEvent",
        "Message",
        "RecordedEvent",
        "UnreadableEvent",
    ]);
    imports.add("potter::event", "RecordedEvent");
    imports.add("potter::read_model", "Column");
    let mut events = Vec::new();
    if let Some(id) = owner {
        imports.add(&format!("crate::generated::domain::{}", scope.symbols.aggregates[id.0].module), event);
    } else {
        for name in ["DomainEvent", "UnreadableEvent"] {
            imports.add("potter::domain", name);
        }
        if !model.events.is_empty() {
            imports.add("potter::prost", "Message");
        }
        events =
            events_of(scope, model).map(|(event, variant)| event_view(scope, event, &variant, &mut imports)).collect();
    }
    let row = imports.path(scope.path(&model.row));
    let fields = std::iter::once(&model.key).chain(model.columns.iter().map(|it| &it.field));
    let columns = fields.zip(&symbols.columns).map(|(field, names)| ColumnView {
        docs: docs_or(scope.comments, field, format!("Column `{}`.", names.column)),
        constant: &names.constant,
        column: &names.column,
        ty: imports.item(&FieldType::of(field).item),
    });
    let columns = columns.collect();
    let first = events.first().map(|it: &EventView| it.version);
    ModelView {
        name: &model.name,
        row_name: model.row.full_name(),
        table: &symbols.table,
        docs: if model.derived_from.is_some() { Vec::new() } else { scope.comments.lines(&model.row) },
        marker: &symbols.marker,
        projection: &symbols.projection,
        event: event.clone(),
        own_event: owner.is_none(),
        same_version: first.filter(|first| events.iter().all(|it| it.version == *first)),
        uses: imports.render(0),
        row,
        columns,
        events,
    }
}

/// The events of a read model with the variants that they have in its enum.
fn events_of<'a>(scope: &Scope<'a>, model: &'a ReadModel) -> impl Iterator<Item = (&'a Event, String)> {
    let owner = event_owner(scope, model);
    let mut taken = BTreeSet::new();
    model.events.iter().map(move |id| {
        let event = &scope.module.events[id.0];
        let variant = match owner {
            Some(owner) => {
                let position = scope.module.aggregates[owner.0].events.iter().position(|it| it == id);
                scope.symbols.aggregates[owner.0].events[position.unwrap_or_default()].clone()
            }
            None => super::symbols::take(&scope.path(&event.message).ident, &mut taken),
        };
        (event, variant)
    })
}

#[derive(Serialize)]
struct SeedView<'a> {
    name: &'a str,
    uses: String,
    marker: &'a str,
    projection: &'a str,
    functions: Vec<Function>,
}

fn seed_view<'a>(scope: &Scope<'a>, model: &'a ReadModel, symbols: &'a ReadModelSymbols) -> SeedView<'a> {
    let owner = event_owner(scope, model);
    let event = owner.map_or(&symbols.event, |id| &scope.symbols.aggregates[id.0].event);
    let mut imports = scope.imports(&[&symbols.marker, &symbols.projection, event, "Aggregate", "RecordedEvent"]);
    imports.add("potter", "RecordedEvent");
    let module = format!("crate::generated::application::{}", symbols.module);
    imports.add(&module, &symbols.marker);
    imports.add(&module, &symbols.projection);
    let event = import_event(scope, model, symbols, &mut imports);
    let row = imports.path(scope.path(&model.row));
    let mut writer = Writer { scope, model, event, row, imports };
    let functions = writer.key().into_iter().chain([writer.project()]).collect();
    SeedView {
        name: &model.name,
        uses: writer.imports.render(0),
        marker: &symbols.marker,
        projection: &symbols.projection,
        functions,
    }
}

struct Writer<'a, 'b> {
    scope: &'b Scope<'a>,
    model: &'a ReadModel,
    event: String,
    row: String,
    imports: Imports<'a>,
}

impl Writer<'_, '_> {
    /// Where rows aren't one for each aggregate: the field of an event that is named like the row's key.
    fn key(&mut self) -> Option<Function> {
        let of_event = |event: &Event| {
            let field = event.message.get_field_by_name(self.model.key.name())?;
            let ty = FieldType::of(&field);
            let other = event.id_field.as_ref() != Some(&field);
            (other && ty == FieldType { item: Item::String, shape: Shape::Plain }).then_some(field)
        };
        let keyed: Vec<_> =
            events_of(self.scope, self.model).map(|(event, variant)| (event, of_event(event), variant)).collect();
        if self.model.key.name() == "id" || keyed.iter().all(|(_, field, _)| field.is_none()) {
            return None;
        }
        let names = &self.scope.symbols.names;
        let own = |field: &FieldDescriptor| Expr::text("it").field(names.field(field)).method("clone", []);
        let arms = keyed.iter().map(|(event, field, variant)| Arm {
            pattern: format!("{}::{variant}({})", self.event, if field.is_some() { "it" } else { "_" }),
            body: vec![Stmt::Value(match field {
                Some(field) => Expr::call("Some", [own(field)]),
                None if self.is_keys_own(event) => {
                    Expr::call("Some", [Expr::text("recorded.aggregate_id").method("clone", [])])
                }
                None => Expr::text("None"),
            })],
        });
        let body = vec![Stmt::Value(Expr::Match(Box::new(Expr::text("event")), arms.collect()))];
        let body = rust::block(&body, 8);
        let unused = if mentions(&body, "recorded") { "" } else { "_" };
        let parameters = [format!("event: &{}", self.event), format!("{unused}recorded: &RecordedEvent")];
        Some(Function::new(rust::signature("fn key", &parameters, "Option<String>", 4), &body))
    }

    /// Whether an event is one of the aggregate that the key of the rows is the identity of.
    fn is_keys_own(&self, event: &Event) -> bool {
        let key = self.model.key.name();
        let aggregate = &self.scope.module.aggregates[event.aggregate.0];
        aggregate.id_field.name() == key || event.id_field.as_ref().is_some_and(|it| it.name() == key)
    }

    fn project(&mut self) -> Function {
        let body = match self.model.derived_from {
            Some(id) if event_owner(self.scope, self.model) == Some(id) => self.follow_aggregate(id),
            _ => self.copy_fields(),
        };
        let body = rust::block(&body, 8);
        let unused = |name: &str| if mentions(&body, name) { "" } else { "_" };
        let parameters = [
            format!("{}row: &mut Option<{}>", unused("row"), self.row),
            format!("event: {}", self.event),
            format!("{}recorded: &RecordedEvent", unused("recorded")),
        ];
        Function::new(rust::signature("fn project", &parameters, "", 4), &body)
    }

    /// The row is the aggregate's state, so the aggregate's own rule for events keeps it.
    fn follow_aggregate(&mut self, id: AggregateId) -> Vec<Stmt> {
        let (aggregate, names) = self.scope.aggregate(id);
        let any = !aggregate.events.is_empty();
        if !any {
            return vec![Stmt::Value(Expr::Match(Box::new(Expr::text("event")), Vec::new()))];
        }
        self.imports.add("potter::domain", "Aggregate");
        let ending: Vec<_> = super::domain::events_of(self.scope, id)
            .filter(|(event, _)| event.effect == EventEffect::Ends)
            .map(|(_, variant)| format!("{}::{variant}(_)", self.event))
            .collect();
        let make = Expr::call(format!("{}::with_id", self.row), [Expr::text("&recorded.aggregate_id")]);
        let make = Expr::Closure(String::new(), Box::new(make));
        let state = Expr::text("row").method("get_or_insert_with", [make]);
        let times = self.times(aggregate);
        let mut body = Vec::new();
        if !ending.is_empty() {
            let gone = vec![Stmt::Assign("*row".to_owned(), Expr::text("None")), Stmt::Return];
            body.push(Stmt::If(format!("let {} = event", ending.join(" | ")), gone));
        }
        if times.is_empty() {
            body.push(Stmt::Do(state.method("apply", [Expr::text("event")])));
            return body;
        }
        body.push(Stmt::Let(names.value.clone(), state));
        body.push(Stmt::Do(Expr::text(&names.value).method("apply", [Expr::text("event")])));
        body.extend(times);
        body
    }

    /// Points in time that no event carries are those of recording.
    fn times(&self, aggregate: &crate::model::Aggregate) -> Vec<Stmt> {
        let names = &self.scope.symbols.names;
        let value = match self.model.derived_from {
            Some(id) => &self.scope.symbols.aggregates[id.0].value,
            None => return Vec::new(),
        };
        let carried = |field: &FieldDescriptor| {
            aggregate
                .events
                .iter()
                .any(|id| same_named(&self.scope.module.events[id.0].message, field.name()).is_some())
        };
        let mut statements = Vec::new();
        for field in struct_fields(&aggregate.message).filter(|it| rules::is_time(it) && !carried(it)) {
            let time = Expr::text("recorded").method("timestamp", []);
            let time = match FieldType::of(&field).item {
                Item::I64 => time.field("seconds"),
                _ => Expr::call("Some", [time]),
            };
            let set = Stmt::Assign(format!("{value}.{}", names.field(&field)), time);
            match field.name() {
                "created_at" | "create_time" => {
                    statements.push(Stmt::If("recorded.version == 1".to_owned(), vec![set]))
                }
                "updated_at" | "update_time" | "modified_at" | "changed_at" => statements.push(set),
                _ => {}
            }
        }
        statements
    }

    /// Each event sets the fields of the row that it has under the same name.
    fn copy_fields(&mut self) -> Vec<Stmt> {
        let events: Vec<_> = events_of(self.scope, self.model).collect();
        let arms = events.iter().map(|(event, variant)| self.arm(event, variant)).collect();
        vec![Stmt::Value(Expr::Match(Box::new(Expr::text("event")), arms))]
    }

    fn arm(&self, event: &Event, variant: &str) -> Arm {
        let pattern = |binding: &str| format!("{}::{variant}({binding})", self.event);
        if event.effect == EventEffect::Ends {
            return Arm { pattern: pattern("_"), body: vec![Stmt::Assign("*row".to_owned(), Expr::text("None"))] };
        }
        let names = &self.scope.symbols.names;
        let mut body = Vec::new();
        for field in struct_fields(&event.message).filter(|it| Some(it) != event.id_field.as_ref()) {
            let own = same_named(&self.model.row, field.name()).filter(|it| *it != self.model.key);
            let own = own.filter(|it| it.containing_oneof().is_none_or(|oneof| oneof.is_synthetic()));
            let value = Value::field(names, "it", &field, true);
            let set = own.zip(value).and_then(|(own, value)| {
                let (place, ty) = (format!("row.{}", names.field(&own)), FieldType::of(&own));
                copy::when_given(names, (&field, &FieldType::of(&field)), (&place, &ty), event.effect)
                    .or_else(|| Some(Stmt::Assign(place, value.into_field(&ty)?)))
            });
            body.extend(set);
        }
        let makes = event.effect == EventEffect::Creates;
        if body.is_empty() && !makes {
            return Arm { pattern: pattern("_"), body };
        }
        if !makes && self.is_created_by_an_event() {
            return Arm { pattern: pattern("it"), body: vec![Stmt::If("let Some(row) = row".to_owned(), body)] };
        }
        let row = Expr::text("row")
            .method("get_or_insert_with", [Expr::Closure(String::new(), Box::new(self.empty_row(event)))]);
        let binding = if body.is_empty() { "_" } else { "it" };
        if body.is_empty() {
            body.push(Stmt::Do(row));
        } else {
            body.insert(0, Stmt::Let("row".to_owned(), row));
        }
        Arm { pattern: pattern(binding), body }
    }

    /// Whether a row that isn't there has simply ended, or was never begun.
    fn is_created_by_an_event(&self) -> bool {
        events_of(self.scope, self.model).any(|(event, _)| event.effect == EventEffect::Creates)
    }

    /// A row with nothing but its key.
    fn empty_row(&self, event: &Event) -> Expr {
        let names = &self.scope.symbols.names;
        let by_event = event
            .message
            .get_field_by_name(self.model.key.name())
            .filter(|it| self.model.key.name() != "id" && event.id_field.as_ref() != Some(it));
        let key = match by_event {
            Some(field) => Expr::text("it").field(names.field(&field)).method("clone", []),
            None => Expr::text("recorded").field("aggregate_id").method("clone", []),
        };
        let key = Value { expr: key, ty: FieldType { item: Item::String, shape: Shape::Plain }, owned: true };
        let key = key.into_field(&FieldType::of(&self.model.key)).unwrap_or_else(|| Expr::text("Default::default()"));
        copy::with_rest(
            self.row.clone(),
            vec![(names.field(&self.model.key).to_owned(), key)],
            struct_size(&self.model.row),
        )
    }
}

/// The type of a column in the framework's terms.
pub(super) fn column_type(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Bool => "Bool",
        ColumnType::Integer | ColumnType::Duration => "Integer",
        ColumnType::Real => "Real",
        ColumnType::Text | ColumnType::Timestamp => "Text",
        ColumnType::Bytes => "Bytes",
    }
}
