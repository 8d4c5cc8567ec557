//! Sample values for tests: literals of any field's type, different for different fields.

use prost_reflect::{EnumDescriptor, FieldDescriptor};

use super::types::{FieldType, Item, Shape};
use crate::rust::Expr;

/// A sample for a field: text says the field's name, numbers differ by the field's number.
pub fn sample(field: &FieldDescriptor) -> Option<Expr> {
    let ty = FieldType::of(field);
    let item = sample_item(field, &ty.item);
    match ty.shape {
        Shape::Plain => item,
        Shape::Option => item.map(|it| Expr::call("Some", [it])),
        Shape::List => item.map(|it| Expr::Macro("vec".to_owned(), vec![it])),
        Shape::Boxed | Shape::Map(_) => None,
    }
}

fn sample_item(field: &FieldDescriptor, item: &Item) -> Option<Expr> {
    let number = field.number() % 100 + 1;
    Some(match item {
        Item::Bool => Expr::text("true"),
        Item::I32 | Item::I64 | Item::U32 | Item::U64 => Expr::text(number.to_string()),
        Item::F32 | Item::F64 => Expr::text(format!("{number}.5")),
        Item::String => Expr::string(&field.name().replace('_', " ")).method("to_owned", []),
        Item::Bytes => Expr::Macro("vec".to_owned(), vec![Expr::text(number.to_string())]),
        Item::Enum(enumeration) => Expr::text(other_value(enumeration)?.to_string()),
        Item::Unit | Item::Message(_) => return None,
    })
}

/// A number of an enum that isn't its default.
fn other_value(enumeration: &EnumDescriptor) -> Option<i32> {
    let default = enumeration.default_value().number();
    enumeration.values().map(|it| it.number()).find(|it| *it != default)
}
