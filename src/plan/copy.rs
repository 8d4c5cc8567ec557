//! Copying values between messages: from a request to an event, from an event to a state, from a state to a reply.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::types::{FieldType, Item, Shape, struct_fields, struct_size};
use crate::{
    lower::Names,
    model::EventEffect,
    rust::{Expr, Stmt},
};

/// A value at hand: how it is written, its type, and whether it may be moved.
#[derive(Clone, Debug)]
pub struct Value {
    /// How it is written.
    pub expr: Expr,
    /// Its type.
    pub ty: FieldType,
    /// Whether it may be moved; otherwise it is behind a reference.
    pub owned: bool,
}

impl Value {
    /// A field of a variable, `command.name`; none for a field in a oneof, which isn't one of the struct.
    pub fn field(names: &Names, variable: &str, field: &FieldDescriptor, owned: bool) -> Option<Self> {
        let in_struct = field.containing_oneof().is_none_or(|it| it.is_synthetic());
        let expr = || Expr::text(variable).field(names.field(field));
        in_struct.then(|| Self { expr: expr(), ty: FieldType::of(field), owned })
    }

    /// The value as a field of that type takes it; none where that isn't plainly possible.
    pub fn into_field(self, target: &FieldType) -> Option<Expr> {
        if self.ty == *target {
            return Some(self.taken());
        }
        if self.ty.item != target.item {
            return self.widened(target);
        }
        match (&self.ty.shape, &target.shape) {
            (Shape::Plain, Shape::Option) => Some(Expr::call("Some", [self.taken()])),
            (Shape::Option, Shape::Plain) if !matches!(self.ty.item, Item::Message(_)) => {
                Some(self.taken().method("unwrap_or_default", []))
            }
            (Shape::Option, Shape::Boxed) => Some(self.taken().method("map", [Expr::text("Box::new")])),
            (Shape::Boxed, Shape::Option) => Some(self.taken().method("map", [Expr::text("|it| *it")])),
            _ => None,
        }
    }

    /// The value itself: moved, copied or cloned.
    pub fn taken(self) -> Expr {
        if self.owned || self.ty.is_copy() { self.expr } else { self.expr.method("clone", []) }
    }

    /// A number as a wider one.
    fn widened(self, target: &FieldType) -> Option<Expr> {
        let wider = match (&self.ty.item, &target.item) {
            (Item::I32 | Item::U32, Item::I64) => "i64::from",
            (Item::U32, Item::U64) => "u64::from",
            (Item::F32 | Item::I32 | Item::U32, Item::F64) => "f64::from",
            _ => return None,
        };
        match (&self.ty.shape, &target.shape) {
            (Shape::Plain, Shape::Plain) => Some(Expr::call(wider, [self.expr])),
            (Shape::Option, Shape::Option) => Some(self.expr.method("map", [Expr::text(wider)])),
            _ => None,
        }
    }
}

/// Takes a field from an event `it` only where the event has it: what a change leaves out stays.
///
/// None where the field is always taken: it has no presence, or the event begins the aggregate's life.
pub fn when_given(
    names: &Names,
    (from, given): (&FieldDescriptor, &FieldType),
    (place, own): (&str, &FieldType),
    of: EventEffect,
) -> Option<Stmt> {
    let is_absent_possible = given.item == own.item && given.shape == Shape::Option;
    let name = names.field(from);
    let value = match own.shape {
        Shape::Plain => Expr::text(name),
        Shape::Option if of != EventEffect::Creates => Expr::call("Some", [Expr::text(name)]),
        _ => return None,
    };
    let set = Stmt::Assign(place.to_owned(), value);
    is_absent_possible.then(|| Stmt::If(format!("let Some({name}) = it.{name}"), vec![set]))
}

/// A struct literal of a message: fields that `value` has something for, `..Default::default()` for the others.
///
/// None if there is something for no field at all.
pub fn literal(
    names: &Names,
    path: String,
    message: &MessageDescriptor,
    mut value: impl FnMut(&FieldDescriptor) -> Option<Expr>,
) -> Option<Expr> {
    let fields: Vec<_> =
        struct_fields(message).filter_map(|it| Some((names.field(&it).to_owned(), value(&it)?))).collect();
    (!fields.is_empty()).then(|| with_rest(path, fields, struct_size(message)))
}

/// A struct literal with `..Default::default()` where fields are missing.
pub fn with_rest(path: String, fields: Vec<(String, Expr)>, size: usize) -> Expr {
    let rest = (fields.len() < size).then(|| Box::new(Expr::text("Default::default()")));
    match rest {
        Some(_) if fields.is_empty() => Expr::text(format!("{path}::default()")),
        rest => Expr::Struct { path, fields, rest },
    }
}

/// The field of that name, or of that name behind `new_`.
pub fn same_named(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    let field = |name: &str| message.get_field_by_name(name);
    field(name).or_else(|| field(name.strip_prefix("new_")?)).or_else(|| field(&format!("new_{name}")))
}
