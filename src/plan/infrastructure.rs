//! The infrastructure: how read models are kept in tables, and what these look like for the migrations.

use serde::Serialize;

use super::{
    Scope,
    read_models::{column_type, import_event},
    types::{FieldType, Shape},
};
use crate::{
    file::File,
    migrations::{self, Table, Tables},
    model::{Column, KeptIn, ReadModel},
    render::Bug,
    rust,
};

pub(super) fn files(scope: &Scope<'_>) -> Result<Vec<File>, Bug> {
    let mut files = Vec::new();
    let name = &scope.module.name;
    let mut modules = Vec::new();
    for (index, model) in scope.module.read_models.iter().enumerate() {
        let module = scope.symbols.read_models[index].module.as_str();
        modules.push(module);
        let path = format!("src/generated/infrastructure/{module}.rs");
        let view = model_view(scope, index);
        files.push(scope.generated(
            path,
            model.row.full_name(),
            "generated/infrastructure/read_model.rs.tera",
            &view,
        )?);
    }
    modules.sort_unstable();
    let view = ModulesView { modules };
    let path = "src/generated/infrastructure/mod.rs".to_owned();
    files.push(scope.generated(path, name, "generated/infrastructure/mod.rs.tera", &view)?);
    Ok(files)
}

#[derive(Serialize)]
struct ModulesView<'a> {
    modules: Vec<&'a str>,
}

#[derive(Serialize)]
struct ModelView<'a> {
    name: &'a str,
    literal: String,
    uses: String,
    marker: &'a str,
    projection: &'a str,
    table: &'a str,
    key: &'a str,
    row: String,
    event: String,
    columns: Vec<ColumnView<'a>>,
    events: Vec<EventView>,
    /// The framework's name for where its rows are kept; empty: beside the events.
    kept_in: &'static str,
}

#[derive(Serialize)]
struct ColumnView<'a> {
    column: &'a str,
    sql: &'static str,
    sql_type: &'static str,
    indexed: bool,
    unique: bool,
    value: String,
}

#[derive(Serialize)]
struct EventView {
    aggregate: String,
    event_type: String,
}

fn model_view<'a>(scope: &Scope<'a>, index: usize) -> ModelView<'a> {
    let (model, symbols) = (&scope.module.read_models[index], &scope.symbols.read_models[index]);
    let mut imports = scope.imports(&[
        &symbols.marker,
        &symbols.projection,
        &symbols.event,
        "ColumnType",
        "KeptIn",
        "ReadModel",
        "RecordedEvent",
        "Table",
        "TableColumn",
        "Value",
    ]);
    imports.add("potter::event", "RecordedEvent");
    let needed = ["ReadModel", "Table", "Value"].into_iter();
    let of_columns = ["ColumnType", "TableColumn"].into_iter().filter(|_| !model.columns.is_empty());
    let kept_in = match model.kept_in {
        KeptIn::Database => "",
        KeptIn::Redis => "Redis",
        KeptIn::Postgres => "Postgres",
    };
    let of_place = (!kept_in.is_empty()).then_some("KeptIn");
    needed.chain(of_columns).chain(of_place).for_each(|it| imports.add("potter::read_model", it));
    let module = format!("crate::generated::application::{}", symbols.module);
    imports.add(&module, &symbols.marker);
    imports.add(&module, &symbols.projection);
    let event = import_event(scope, model, symbols, &mut imports);
    let row = imports.path(scope.path(&model.row));
    let events = model.events.iter().map(|id| {
        let event = &scope.module.events[id.0];
        EventView {
            aggregate: rust::string_literal(&scope.module.aggregates[event.aggregate.0].name),
            event_type: rust::string_literal(&event.event_type),
        }
    });
    let mut columns = columns(model, index, scope);
    for (column, view) in model.columns.iter().zip(&mut columns) {
        view.value = value(scope, column, &mut imports);
    }
    ModelView {
        name: &model.name,
        literal: rust::string_literal(&model.name),
        marker: &symbols.marker,
        projection: &symbols.projection,
        table: &symbols.table,
        key: &symbols.columns[0].column,
        events: events.collect(),
        uses: imports.render(0),
        row,
        event,
        columns,
        kept_in,
    }
}

fn columns<'a>(model: &ReadModel, index: usize, scope: &Scope<'a>) -> Vec<ColumnView<'a>> {
    let names = scope.symbols.read_models[index].columns.iter().skip(1);
    let column = |(column, names): (&Column, &'a super::symbols::ColumnSymbols)| {
        let sql = column_type(column.ty);
        ColumnView {
            column: &names.column,
            sql,
            sql_type: match sql {
                "Bool" => "BOOLEAN",
                "Integer" => "INTEGER",
                "Real" => "REAL",
                "Text" => "TEXT",
                _ => "BLOB",
            },
            indexed: column.indexed,
            unique: column.unique,
            value: String::new(),
        }
    };
    model.columns.iter().zip(names).map(column).collect()
}

/// A row's value for a column.
fn value(scope: &Scope<'_>, column: &Column, imports: &mut super::imports::Imports<'_>) -> String {
    let names = &scope.symbols.names;
    let ty = FieldType::of(&column.field);
    if let Some(oneof) = column.field.containing_oneof().filter(|it| !it.is_synthetic()) {
        let path = imports.path(names.oneof_type(&oneof));
        let variant = names.variant(&column.field);
        let value = if ty.is_copy() { "*it" } else { "it" };
        let of_oneof = names.oneof(&oneof);
        return format!(
            "match &row.{of_oneof} {{ Some({path}::{variant}(it)) => Value::from({value}), _ => Value::Null }}"
        );
    }
    let field = names.field(&column.field);
    match ty.shape {
        _ if ty.is_copy() => format!("row.{field}.into()"),
        Shape::Plain => format!("Value::from(&row.{field})"),
        _ => format!("row.{field}.clone().into()"),
    }
}

/// The tables by name, for the migrations.
pub(super) fn tables(scope: &Scope<'_>) -> Tables {
    let table = |(index, model): (usize, &ReadModel)| {
        let symbols = &scope.symbols.read_models[index];
        let columns = columns(model, index, scope).into_iter().map(|it| migrations::Column {
            name: it.column.to_owned(),
            ty: it.sql_type.to_owned(),
            indexed: it.indexed,
            unique: it.unique,
        });
        let table = Table {
            projection: model.name.clone(),
            key: symbols.columns[0].column.clone(),
            columns: columns.collect(),
        };
        (symbols.table.clone(), table)
    };
    scope.module.read_models.iter().enumerate().map(table).collect()
}
