//! Replies of commands: what names and types say about them.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::{
    Scope, copy,
    copy::Value,
    domain::{Function, mentions},
    imports::Imports,
    types::{FieldType, Item, Shape, struct_fields, struct_size},
};
use crate::{
    model::{Aggregate, Command, Rpc, words},
    rust::{self, Expr, Stmt},
};

/// The handler of a command.
pub(super) fn function<'a>(
    scope: &Scope<'a>,
    rpc: &Rpc,
    command: &Command,
    method: &str,
    imports: &mut Imports<'a>,
) -> Function {
    let (aggregate, _) = scope.aggregate(command.aggregate);
    let reply = Item::of_message(&rpc.descriptor.output());
    let output = match imports.item(&reply) {
        unit if unit == "()" => String::new(),
        other => other,
    };
    let mut writer = Writer { scope, rpc, command, aggregate, imports };
    let body: Vec<Stmt> = writer.reply(&reply).map(Stmt::Value).into_iter().collect();
    let body = rust::block(&body, 8);
    let variable = writer.variable();
    let unused = if mentions(&body, variable) { "" } else { "_" };
    let ty = if command.is_async {
        writer.imports.add("potter", "Accepted");
        format!("Accepted<'_, {}>", writer.imports.item(&Item::of_message(&rpc.descriptor.input())))
    } else {
        writer.imports.add("potter", "Executed");
        format!("Executed<'_, {}>", writer.imports.path(scope.path(&aggregate.message)))
    };
    let parameters = ["&self".to_owned(), format!("{unused}{variable}: {ty}")];
    Function::new(rust::signature(&format!("fn {method}"), &parameters, &output, 4), &body)
}

struct Writer<'a, 'b, 'c> {
    scope: &'b Scope<'a>,
    rpc: &'b Rpc,
    command: &'b Command,
    aggregate: &'a Aggregate,
    imports: &'c mut Imports<'a>,
}

impl Writer<'_, '_, '_> {
    /// What the reply is made from.
    fn variable(&self) -> &'static str {
        if self.command.is_async { "accepted" } else { "executed" }
    }

    /// The struct that has fields to copy: the new state, or the request.
    fn known(&self) -> (String, MessageDescriptor) {
        match self.command.is_async {
            true => ("accepted.command".to_owned(), self.rpc.descriptor.input()),
            false => ("executed.state".to_owned(), self.aggregate.message.clone()),
        }
    }

    /// None for the unit type.
    fn reply(&mut self, reply: &Item) -> Option<Expr> {
        let Item::Message(message) = reply else {
            return (*reply != Item::Unit).then(|| Expr::text("Default::default()"));
        };
        if *message == self.aggregate.message {
            return Some(self.state());
        }
        let Some(path) = self.scope.symbols.names.message(message) else {
            return Some(Expr::text("Default::default()"));
        };
        let path = self.imports.path(path);
        let names = &self.scope.symbols.names;
        let fields =
            struct_fields(message).filter_map(|it| Some((names.field(&it).to_owned(), self.field(message, &it)?)));
        let fields = fields.collect();
        Some(copy::with_rest(path, fields, struct_size(message)))
    }

    fn field(&mut self, reply: &MessageDescriptor, field: &FieldDescriptor) -> Option<Expr> {
        let ty = FieldType::of(field);
        if id_field(reply, self.command, self.aggregate).as_ref() == Some(field) {
            return self.id().into_field(&ty);
        }
        let (variable, message) = self.known();
        let copied = message
            .get_field_by_name(field.name())
            .and_then(|it| Value::field(&self.scope.symbols.names, &variable, &it, false)?.into_field(&ty));
        let own = ty.item == Item::Message(self.aggregate.message.clone()) && ty.shape == Shape::Option;
        match (field.name(), &ty.item) {
            _ if own && !self.command.is_async => Some(Expr::call("Some", [self.state()])),
            _ if copied.is_some() => copied,
            _ if own => Some(Expr::call("Some", [self.state()])),
            ("message" | "status_message" | "info", Item::String) => {
                let text = Expr::string(&self.message()).method("to_owned", []);
                Value { expr: text, ty: plain(Item::String), owned: true }.into_field(&ty)
            }
            ("success" | "ok" | "accepted", Item::Bool) => {
                Value { expr: Expr::text("true"), ty: plain(Item::Bool), owned: true }.into_field(&ty)
            }
            ("version", Item::U64) if !self.command.is_async => {
                Value { expr: Expr::text("executed.version"), ty: plain(Item::U64), owned: true }.into_field(&ty)
            }
            _ => None,
        }
    }

    fn id(&self) -> Value {
        let expr = Expr::text(format!("{}.id", self.variable())).method("to_owned", []);
        Value { expr, ty: plain(Item::String), owned: true }
    }

    /// The aggregate after the command, or what can be told of it before.
    fn state(&mut self) -> Expr {
        if !self.command.is_async {
            return Expr::text("executed.state").method("clone", []);
        }
        let path = self.imports.path(self.scope.path(&self.aggregate.message));
        let (variable, request) = self.known();
        let names = &self.scope.symbols.names;
        let id = self.aggregate.id_field.clone();
        let fields = struct_fields(&self.aggregate.message).filter_map(|field| {
            let ty = FieldType::of(&field);
            let value = if field == id {
                self.id().into_field(&ty)
            } else {
                let from = request.get_field_by_name(field.name())?;
                Value::field(names, &variable, &from, false)?.into_field(&ty)
            };
            Some((names.field(&field).to_owned(), value?))
        });
        let fields = fields.collect();
        copy::with_rest(path, fields, struct_size(&self.aggregate.message))
    }

    /// `product created`; before the execution `create product: accepted`.
    fn message(&self) -> String {
        let rpc = words::words(self.rpc.descriptor.name());
        if self.command.is_async {
            return format!("{}: accepted", rpc.join(" "));
        }
        if let [id] = self.command.emits.as_slice() {
            let event = words::words(self.scope.module.events[id.0].message.name());
            let event: Vec<_> = event.into_iter().filter(|it| it != "event").collect();
            return event.join(" ");
        }
        format!("{}: done", rpc.join(" "))
    }
}

/// The field of a reply that says the aggregate's identity: the one that is marked, else `<aggregate>_id`, `id`, or
/// what the aggregate or the request calls it.
pub(super) fn id_field(reply: &MessageDescriptor, command: &Command, aggregate: &Aggregate) -> Option<FieldDescriptor> {
    let marked = reply.fields().find(|it| crate::options::field(it).is_some_and(|it| it.id));
    let of_aggregate = format!("{}_id", words::words(&aggregate.name).join("_"));
    let of_request = command.id_field.as_ref().map_or("id", |it| it.name());
    let names = [of_aggregate.as_str(), "id", aggregate.id_field.name(), of_request];
    let named = || names.iter().find_map(|it| reply.get_field_by_name(it));
    let text = |it: &FieldDescriptor| {
        let ty = FieldType::of(it);
        ty.item == Item::String && matches!(ty.shape, Shape::Plain | Shape::Option)
    };
    marked.or_else(named).filter(text).filter(|it| it.containing_oneof().is_none_or(|oneof| oneof.is_synthetic()))
}

fn plain(item: Item) -> FieldType {
    FieldType { item, shape: Shape::Plain }
}
