//! Sample values for tests: literals that say the name of their field, and that keep to its rules.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, Value};

use super::{
    constraints::{Constraint, constraints},
    pattern,
    types::{FieldType, Item, Shape},
};
use crate::rust::Expr;

/// What is known of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// It is this.
    Literal(Expr),
    /// The field is better left unset: nothing demands a value, and none is made up easily.
    Unset,
}

/// A sample for a field, for a field of type `target` to hold; none where the rules are beyond what is made up here.
pub fn sample(field: &FieldDescriptor, target: &FieldType) -> Option<Sample> {
    let rules = constraints(field);
    let Some(item) = item(field, &target.item, &rules)? else {
        let demanded = rules.iter().any(|it| it.rule != "ignore");
        return (!demanded).then_some(Sample::Unset);
    };
    let value = match target.shape {
        Shape::Plain => item,
        Shape::Option => Expr::call("Some", [item]),
        Shape::List => Expr::Macro("vec".to_owned(), vec![item]),
        Shape::Boxed | Shape::Map(_) => return rules.is_empty().then_some(Sample::Unset),
    };
    Some(Sample::Literal(value))
}

/// A sample for one value of a field of a plain type, for people to read; none where nothing is made up easily.
pub fn value(field: &FieldDescriptor) -> Option<Value> {
    let rules = constraints(field);
    let number = |step| within(10.0, step, &rules);
    Some(match field.kind() {
        Kind::Bool => Value::Bool(boolean(&rules)? == "true"),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number(1.0)? as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number(1.0)? as i64),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number(1.0)? as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number(1.0)? as u64),
        Kind::Float => Value::F32(number(0.5)? as f32),
        Kind::Double => Value::F64(number(0.5)?),
        Kind::String if rules.is_empty() && is_id(field) => Value::String("1".to_owned()),
        Kind::String => Value::String(text(field, &rules)?),
        Kind::Enum(enumeration) => Value::EnumNumber(enum_number(&enumeration, &rules)?),
        Kind::Bytes | Kind::Message(_) => return None,
    })
}

/// Ids have no spaces, as names may.
fn is_id(field: &FieldDescriptor) -> bool {
    field.name() == "id" || field.name().ends_with("_id")
}

/// The outer option: whether the rules can be kept; the inner one: whether there is something to say.
fn item(field: &FieldDescriptor, item: &Item, rules: &[Constraint]) -> Option<Option<Expr>> {
    let number = u64::from(field.number() % 100) + 1;
    Some(Some(match item {
        Item::Bool => Expr::text(boolean(rules)?),
        Item::I32 | Item::I64 | Item::U32 | Item::U64 => whole(number as f64, rules)?,
        Item::F32 | Item::F64 => real(number as f64 + 0.5, rules)?,
        Item::String => Expr::string(&text(field, rules)?).method("to_owned", []),
        Item::Bytes => bytes(number, rules)?,
        Item::Enum(enumeration) => Expr::text(enum_number(enumeration, rules)?.to_string()),
        Item::Unit | Item::Message(_) => return Some(None),
    }))
}

fn boolean(rules: &[Constraint]) -> Option<&'static str> {
    match rules.iter().find(|it| it.rule == "bool.const") {
        Some(rule) => Some(if rule.is_on() { "true" } else { "false" }),
        None => rules.iter().all(|it| it.rule == "required").then_some("true"),
    }
}

fn whole(wanted: f64, rules: &[Constraint]) -> Option<Expr> {
    let found = within(wanted, 1.0, rules)?;
    (found.fract() == 0.0 && found.abs() < 9e15).then(|| Expr::text(format!("{found:.0}")))
}

fn real(wanted: f64, rules: &[Constraint]) -> Option<Expr> {
    within(wanted, 0.5, rules).filter(|it| it.is_finite()).map(|it| Expr::text(format!("{it:?}")))
}

/// The number nearest to `wanted` that the rules allow.
fn within(wanted: f64, step: f64, rules: &[Constraint]) -> Option<f64> {
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    for rule in rules {
        let (_, name) = rule.parts();
        match name {
            "const" => (low, high) = (rule.number()?, rule.number()?),
            "gt" => low = low.max(rule.number()? + step),
            "gte" => low = low.max(rule.number()?),
            "lt" => high = high.min(rule.number()? - step),
            "lte" => high = high.min(rule.number()?),
            "in" => {
                let first = Constraint { rule: String::new(), value: rule.list().first()?.clone() }.number()?;
                (low, high) = (first, first);
            }
            "finite" | "required" => {}
            _ => return None,
        }
    }
    (low <= high).then(|| wanted.clamp(low, high))
}

/// The field's name in words, made to fit.
fn text(field: &FieldDescriptor, rules: &[Constraint]) -> Option<String> {
    let mut text = field.name().trim_matches('_').replace('_', " ");
    let (mut least, mut most) = (0, usize::MAX);
    for rule in rules {
        let (_, name) = rule.parts();
        let count = || usize::try_from(rule.count()?).ok();
        match name {
            "const" => text = rule.text()?.to_owned(),
            "in" => text = rule.list().first()?.as_str()?.to_owned(),
            "len" | "len_bytes" => (least, most) = (count()?, count()?),
            "min_len" | "min_bytes" => least = least.max(count()?),
            "max_len" | "max_bytes" => most = most.min(count()?),
            "prefix" => text = format!("{}{text}", rule.text()?),
            "suffix" => text.push_str(rule.text()?),
            "contains" => text.push_str(rule.text()?),
            "pattern" => text = pattern::example(rule.text()?)?,
            "email" if rule.is_on() => text = "someone@example.com".to_owned(),
            "hostname" if rule.is_on() => text = "example.com".to_owned(),
            "uri" | "uri_ref" if rule.is_on() => text = "https://example.com".to_owned(),
            "uuid" if rule.is_on() => text = "0192d3a4-0000-7000-8000-000000000001".to_owned(),
            "required" => {}
            _ => return None,
        }
    }
    let fixed = rules.iter().any(|it| {
        !it.rule.ends_with("_len") && !it.rule.ends_with("_bytes") && it.rule != "required" && it.rule != "string.len"
    });
    let length = text.chars().count();
    match (least..=most).contains(&length) {
        true => Some(text),
        false if fixed || least > 200 => None,
        false if length < least => Some(text.chars().cycle().take(least).collect()),
        false => Some(text.chars().take(most).collect()),
    }
}

fn bytes(number: u64, rules: &[Constraint]) -> Option<Expr> {
    rules.is_empty().then(|| Expr::Macro("vec".to_owned(), vec![Expr::text(number.to_string())]))
}

/// A number of an enum that isn't its default, and that the rules allow.
fn enum_number(enumeration: &EnumDescriptor, rules: &[Constraint]) -> Option<i32> {
    let numbers = |rule: &Constraint| -> Vec<i32> { rule.list().iter().filter_map(Value::as_i32).collect() };
    let allowed = |number: i32| {
        rules.iter().all(|rule| match rule.parts().1 {
            "const" => rule.value.as_i32() == Some(number),
            "in" => numbers(rule).contains(&number),
            "not_in" => !numbers(rule).contains(&number),
            "defined_only" | "required" => true,
            _ => false,
        })
    };
    let default = enumeration.default_value().number();
    let values = enumeration.values().map(|it| it.number());
    values.filter(|it| *it != default).chain([default]).find(|it| allowed(*it))
}
