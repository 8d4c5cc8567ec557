//! Handlers of queries: Get and List where names and types make them plain, a refusal elsewhere.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::{
    Scope,
    application::rpc_path,
    copy,
    copy::Value,
    domain::Function,
    imports::Imports,
    symbols::ReadModelSymbols,
    types::{FieldType, Item, Shape, struct_size},
};
use crate::{
    model::{
        Query, QueryIntent, ReadModel, Rpc,
        intent::{self, Get, List, ReplyRole, RequestRole, RowPlace},
    },
    rust::{self, Expr, Stmt},
};

/// The handler of a query.
pub(super) fn function<'a>(
    scope: &Scope<'a>,
    rpc: &Rpc,
    query: &Query,
    method: &str,
    imports: &mut Imports<'a>,
) -> Function {
    imports.add("potter", "Failure");
    imports.add("crate::generated::application::views", "Views");
    let request = imports.item(&Item::of_message(&rpc.descriptor.input()));
    let reply = imports.item(&Item::of_message(&rpc.descriptor.output()));
    let (body, known) = match body(scope, rpc, query, imports) {
        Some(body) => (body, ""),
        None => {
            let refusal = Expr::call("Failure::unimplemented", [Expr::string(&rpc_path(rpc))]);
            (vec![Stmt::Value(Expr::call("Err", [refusal]))], "_")
        }
    };
    let body = rust::block(&body, 8);
    let unused = |name: &str| if super::domain::mentions(&body, name) { "" } else { "_" };
    let parameters = match known {
        "" => [
            "&self".to_owned(),
            format!("{}query: {request}", unused("query")),
            format!("{}views: Views", unused("views")),
        ],
        _ => ["&self".to_owned(), format!("_query: {request}"), "_views: Views".to_owned()],
    };
    let output = format!("Result<{reply}, Failure>");
    Function::new(rust::signature(&format!("async fn {method}"), &parameters, &output, 4), &body)
}

fn body<'a>(scope: &Scope<'a>, rpc: &Rpc, query: &Query, imports: &mut Imports<'a>) -> Option<Vec<Stmt>> {
    let id = query.read_model?;
    let (model, symbols) = (&scope.module.read_models[id.0], &scope.symbols.read_models[id.0]);
    let (request, reply) = (rpc.descriptor.input(), rpc.descriptor.output());
    let mut writer = Writer { scope, model, symbols, imports };
    match query.intent {
        QueryIntent::Get => {
            let get = intent::get(&request, &reply, &model.row, query.id_field.as_ref())?;
            writer.get(&get, &reply)
        }
        QueryIntent::List => writer.list(&intent::list(&request, &reply, &model.row)?, &reply),
        QueryIntent::Unclear => None,
    }
}

struct Writer<'a, 'b, 'c> {
    scope: &'b Scope<'a>,
    model: &'a ReadModel,
    symbols: &'a ReadModelSymbols,
    imports: &'c mut Imports<'a>,
}

impl Writer<'_, '_, '_> {
    fn get(&mut self, get: &Get, reply: &MessageDescriptor) -> Option<Vec<Stmt>> {
        let names = &self.scope.symbols.names;
        let what = self.noun();
        let variable = variable(&what);
        let id = Value::field(names, "query", &get.id, true)?;
        let key = match id.ty.shape {
            Shape::Plain => format!("&query.{}", names.field(&get.id)),
            _ => format!("query.{}.as_deref().unwrap_or_default()", names.field(&get.id)),
        };
        let missing = Expr::call("Failure::not_found", [Expr::string(&what), Expr::text(key.clone())]);
        let found = Expr::text("views")
            .field(&self.symbols.module)
            .method("get", [Expr::text(key)])
            .field("await")
            .tried()
            .method("ok_or_else", [Expr::Closure(String::new(), Box::new(missing))])
            .tried();
        let value = match &get.row {
            RowPlace::Flat => self.converted(&variable, reply)?,
            RowPlace::Nested(field) => {
                let target = FieldType::of(field);
                let Item::Message(message) = &target.item else { return None };
                let row = self.converted(&variable, message)?;
                let row =
                    Value { expr: row, ty: FieldType { item: target.item.clone(), shape: Shape::Option }, owned: true };
                let row = match target.shape {
                    Shape::Boxed => Expr::call("Some", [Expr::call("Box::new", [row.expr])]),
                    _ => Expr::call("Some", [row.expr]),
                };
                let path = self.imports.path(names.message(reply)?);
                copy::with_rest(path, vec![(names.field(field).to_owned(), row)], struct_size(reply))
            }
        };
        Some(vec![Stmt::Let(variable, found), Stmt::Value(Expr::call("Ok", [value]))])
    }

    fn list(&mut self, list: &List, reply: &MessageDescriptor) -> Option<Vec<Stmt>> {
        let names = &self.scope.symbols.names;
        let mut search = Expr::text("views").field(&self.symbols.module).method("find", []);
        for (field, role) in &list.request {
            let given = Value::field(names, "query", field, true)?;
            search = match role {
                RequestRole::Equals(column) if given.ty.shape == Shape::List => {
                    search.method("matching_any", [self.column(column)?, given.expr])
                }
                RequestRole::Equals(column) => search.method("matching", [self.column(column)?, given.expr]),
                RequestRole::AtLeast(column) => search.method("at_least", [self.column(column)?, given.expr]),
                RequestRole::AtMost(column) => search.method("at_most", [self.column(column)?, given.expr]),
                RequestRole::OrderBy => search.method("order_by_text", [text_argument(&given)]),
                RequestRole::Page | RequestRole::PageSize | RequestRole::PageToken => search,
            };
        }
        search = self.paged(list, search)?;
        let page = Stmt::Let("page".to_owned(), search.method("fetch", []).field("await").tried());
        // What is told of the whole page comes before the rows are moved out of it.
        let moves = |role: ReplyRole| matches!(role, ReplyRole::Rows | ReplyRole::NextPageToken);
        let (late, early): (Vec<_>, Vec<_>) = list.reply.iter().partition(|(_, role)| moves(*role));
        let mut fields = Vec::new();
        for (field, role) in early.into_iter().chain(late) {
            fields.push((names.field(field).to_owned(), self.reply_field(field, *role)?));
        }
        let mut body = vec![page];
        let path = self.imports.path(names.message(reply)?);
        body.push(Stmt::Value(Expr::call("Ok", [copy::with_rest(path, fields, struct_size(reply))])));
        Some(body)
    }

    /// The part of the rows that is asked for.
    fn paged(&self, list: &List, search: Expr) -> Option<Expr> {
        let names = &self.scope.symbols.names;
        let of = |wanted: RequestRole| {
            let field = list.request.iter().find(|(_, role)| *role == wanted).map(|(field, _)| field)?;
            Value::field(names, "query", field, true)
        };
        let size = of(RequestRole::PageSize).map_or_else(|| Expr::text("0"), |it| it.expr);
        Some(match (of(RequestRole::PageToken), of(RequestRole::Page)) {
            (Some(token), _) => search.method("page_token", [text_argument(&token), size]),
            (None, Some(page)) => search.method("page", [page.expr, size]),
            (None, None) if size == Expr::text("0") => search,
            (None, None) => search.method("page", [Expr::text("1"), size]),
        })
    }

    fn reply_field(&mut self, field: &FieldDescriptor, role: ReplyRole) -> Option<Expr> {
        let ty = FieldType::of(field);
        let page = |method: &str| Expr::text("page").method(method, []);
        let value = match role {
            ReplyRole::Rows => {
                let Item::Message(message) = &ty.item else { return None };
                let rows = Expr::text("page").field("rows");
                if *message == self.model.row {
                    return Some(rows);
                }
                let row = self.converted("row", message)?;
                let map = Expr::Closure("row".to_owned(), Box::new(row));
                return Some(rows.method("into_iter", []).method("map", [map]).method("collect", []));
            }
            ReplyRole::Total => page("total_as"),
            ReplyRole::Page => page("page_as"),
            ReplyRole::PageSize => page("page_size_as"),
            ReplyRole::TotalPages => page("pages_as"),
            ReplyRole::HasMore => page("has_more"),
            ReplyRole::NextPageToken => Expr::text("page").field("next_page_token"),
        };
        Value { expr: value, ty: FieldType { item: ty.item.clone(), shape: Shape::Plain }, owned: true }.into_field(&ty)
    }

    /// A row as another message with fields of the same names, or as it is.
    fn converted(&mut self, variable: &str, message: &MessageDescriptor) -> Option<Expr> {
        if *message == self.model.row {
            return Some(Expr::text(variable));
        }
        let names = &self.scope.symbols.names;
        let row = &self.model.row;
        let path = self.imports.path(names.message(message)?);
        copy::literal(names, path, message, |field| {
            let from = row.get_field_by_name(field.name())?;
            Value::field(names, variable, &from, true)?.into_field(&FieldType::of(field))
        })
    }

    fn column(&mut self, field: &FieldDescriptor) -> Option<Expr> {
        let index = match *field == self.model.key {
            true => 0,
            false => self.model.columns.iter().position(|it| it.field == *field)? + 1,
        };
        self.imports.add("crate::generated::application", &self.symbols.module);
        Some(Expr::text(format!("{}::{}", self.symbols.module, self.symbols.columns[index].constant)))
    }

    /// What a row is called: the aggregate's name, or that of its message.
    fn noun(&self) -> String {
        match self.model.derived_from {
            Some(id) => self.scope.symbols.aggregates[id.0].words.clone(),
            None => crate::model::words::words(self.model.row.name()).join(" "),
        }
    }
}

fn variable(noun: &str) -> String {
    let name = noun.replace(' ', "_");
    match name.as_str() {
        "query" | "views" | "page" => format!("{name}_"),
        _ if crate::lower::names::KEYWORDS.binary_search(&name.as_str()).is_ok() => format!("{name}_"),
        _ => name,
    }
}

fn text_argument(value: &Value) -> Expr {
    let Expr::Chain(root, links) = value.expr.clone() else { return value.expr.clone() };
    match value.ty.shape {
        Shape::Plain => Expr::Chain(Box::new(Expr::text(format!("&{}", rust::expression(&root, 0)))), links),
        _ => value.expr.clone().method("as_deref", []).method("unwrap_or_default", []),
    }
}
