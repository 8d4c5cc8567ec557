//! Values: constructors that check what the protos demand.
//!
//! Of `buf.validate`'s rules the plain ones are checked: lengths, bounds, lists, prefixes, patterns. Formats and CEL are
//! checked where requests come in; the documentation names them. Without rules, numbers must be finite and enums must have a known value.

use prost_reflect::{FieldDescriptor, MessageDescriptor, Value};
use serde::Serialize;

use super::{
    Scope,
    constraints::{Constraint, constraints},
    imports::Imports,
    types::{FieldType, Item, Shape, struct_fields},
};
use crate::{file::File, model::words, render::Bug, rust};

/// The file with the constructors, if there are value objects.
pub(super) fn file(scope: &Scope<'_>) -> Result<Option<File>, Bug> {
    if scope.module.value_objects.is_empty() {
        return Ok(None);
    }
    let mut imports = scope.imports(&["Invalid"]);
    imports.add("potter::domain", "Invalid");
    let values = scope.module.value_objects.iter().map(|it| value_view(scope, it, &mut imports));
    let values = values.collect();
    let view = ValuesView { values, uses: imports.render(0) };
    let path = "src/generated/domain/value_objects.rs".to_owned();
    scope.generated(path, &scope.module.name, "generated/domain/value_objects.rs.tera", &view).map(Some)
}

#[derive(Serialize)]
struct ValuesView {
    uses: String,
    values: Vec<ValueView>,
}

#[derive(Serialize)]
struct ValueView {
    ty: String,
    summary: String,
    many: bool,
    parameters: Vec<ParameterView>,
    checks: Vec<CheckView>,
    /// Fields with the rules that aren't checked.
    unchecked: Vec<String>,
}

#[derive(Serialize)]
struct ParameterView {
    name: String,
    ty: String,
    into: bool,
}

#[derive(Serialize)]
struct CheckView {
    breach: String,
    field: String,
    rule: String,
    message: String,
}

fn value_view(scope: &Scope<'_>, message: &MessageDescriptor, imports: &mut Imports<'_>) -> ValueView {
    let names = &scope.symbols.names;
    let ty = imports.path(scope.path(message));
    let mut parameters = Vec::new();
    let mut checks = Vec::new();
    let mut unchecked = Vec::new();
    for field in struct_fields(message) {
        let of_field = FieldType::of(&field);
        let name = names.field(&field).to_owned();
        let into = of_field == FieldType { item: Item::String, shape: Shape::Plain };
        let ty = if into { "impl Into<String>".to_owned() } else { imports.field(&of_field) };
        let checked = checks_of(&field, &of_field, &name, imports);
        let is_checked = |rule: &str| checked.iter().any(|it| it.rule == rust::string_literal(rule));
        let left = constraints(&field).into_iter().map(|it| it.rule).filter(|it| !is_checked(it) && *it != "ignore");
        unchecked.extend(left.map(|rule| format!("`{}`: `{rule}`", field.name())));
        checks.extend(checked);
        parameters.push(ParameterView { name, ty, into });
    }
    for oneof in message.oneofs().filter(|it| !it.is_synthetic()) {
        let ty = format!("Option<{}>", imports.path(names.oneof_type(&oneof)));
        parameters.push(ParameterView { name: names.oneof(&oneof).to_owned(), ty, into: false });
    }
    ValueView {
        ty,
        summary: format!("A valid {}.", words::words(message.name()).join(" ")),
        many: parameters.len() > 7,
        parameters,
        checks,
        unchecked,
    }
}

fn checks_of(field: &FieldDescriptor, ty: &FieldType, name: &str, imports: &mut Imports<'_>) -> Vec<CheckView> {
    let rules = constraints(field);
    let mut found: Vec<(String, String, String)> = Vec::new();
    // Behind a reference where the field is optional.
    let subject = if ty.shape == Shape::Option { "it" } else { name };
    for rule in &rules {
        let breach = if rule.rule == "required" { missing(ty, name) } else { breach(rule, ty, subject) };
        found.extend(breach.map(|(breach, message)| (breach, rule.rule.clone(), message)));
    }
    if matches!(ty.item, Item::F32 | Item::F64)
        && ty.is_single()
        && !rules.iter().any(|it| it.rule.ends_with(".finite"))
    {
        found.push((
            format!("!{subject}.is_finite()"),
            format!("{}.finite", kind(&ty.item)),
            "must be finite".to_owned(),
        ));
    }
    if let (Item::Enum(enumeration), true) = (&ty.item, matches!(ty.shape, Shape::Plain | Shape::Option))
        && let Some(path) = imports.names().enumeration(enumeration).cloned()
    {
        let path = imports.path(&path);
        let value = if ty.shape == Shape::Option { "*it" } else { name };
        let breach = format!("{path}::try_from({value}).is_err()");
        found.push((breach, "enum.defined_only".to_owned(), "must be a known value".to_owned()));
    }
    let of_field = |(breach, rule, message): (String, String, String)| {
        let whole = ty.shape != Shape::Option || rule == "required";
        CheckView {
            breach: if whole { breach } else { format!("{name}.as_ref().is_some_and(|it| {breach})") },
            field: rust::string_literal(field.name()),
            rule: rust::string_literal(&rule),
            message: rust::string_literal(&message),
        }
    };
    found.into_iter().map(of_field).collect()
}

fn kind(item: &Item) -> &'static str {
    if *item == Item::F32 { "float" } else { "double" }
}

/// How it is told that a field that must be set isn't.
fn missing(ty: &FieldType, name: &str) -> Option<(String, String)> {
    let test = match (&ty.shape, &ty.item) {
        (Shape::Option | Shape::Boxed, _) => format!("{name}.is_none()"),
        (Shape::List | Shape::Map(_), _) | (_, Item::String | Item::Bytes) => format!("{name}.is_empty()"),
        (_, Item::I32 | Item::I64 | Item::U32 | Item::U64 | Item::Enum(_)) => format!("{name} == 0"),
        (_, Item::F32 | Item::F64) => format!("{name} == 0.0"),
        (_, Item::Bool) => format!("!{name}"),
        (_, Item::Unit | Item::Message(_)) => return None,
    };
    Some((test, "must be set".to_owned()))
}

/// How it is told that a rule is broken, and what must hold instead; none for rules that aren't plain.
fn breach(rule: &Constraint, ty: &FieldType, subject: &str) -> Option<(String, String)> {
    match (&ty.shape, &ty.item) {
        (Shape::List, _) => of_list(rule, subject),
        (Shape::Map(_) | Shape::Boxed, _) => None,
        (_, Item::String) => of_text(rule, ty, subject),
        (_, Item::Bytes) => of_length(rule, &format!("{subject}.len()"), "bytes"),
        (_, Item::I32 | Item::I64 | Item::U32 | Item::U64 | Item::F32 | Item::F64) => {
            let subject = if ty.shape == Shape::Option { format!("*{subject}") } else { subject.to_owned() };
            of_number(rule, ty, &subject)
        }
        _ => None,
    }
}

fn of_list(rule: &Constraint, subject: &str) -> Option<(String, String)> {
    let count = rule.count();
    match rule.rule.as_str() {
        "repeated.min_items" => {
            Some((fewer(&format!("{subject}.len()"), count?), format!("must have at least {} items", count?)))
        }
        "repeated.max_items" => {
            Some((format!("{subject}.len() > {}", count?), format!("must have at most {} items", count?)))
        }
        _ => None,
    }
}

/// `x.len() < n`, as clippy wants it.
fn fewer(length: &str, count: u64) -> String {
    match (count, length.strip_suffix(".len()")) {
        (1, Some(subject)) => format!("{subject}.is_empty()"),
        _ => format!("{length} < {count}"),
    }
}

fn of_length(rule: &Constraint, length: &str, unit: &str) -> Option<(String, String)> {
    let count = rule.count();
    match rule.parts().1 {
        "min_len" | "min_bytes" if count == Some(0) => None,
        "min_len" | "min_bytes" => Some((fewer(length, count?), format!("must have at least {} {unit}", count?))),
        "max_len" | "max_bytes" => {
            Some((format!("{length} > {}", count?), format!("must have at most {} {unit}", count?)))
        }
        "len" | "len_bytes" => Some((format!("{length} != {}", count?), format!("must have {} {unit}", count?))),
        _ => None,
    }
}

fn of_text(rule: &Constraint, ty: &FieldType, subject: &str) -> Option<(String, String)> {
    let borrowed = if ty.shape == Shape::Option { subject.to_owned() } else { format!("&{subject}") };
    let name = rule.parts().1;
    if name.ends_with("_bytes") {
        return of_length(rule, &format!("{subject}.len()"), "bytes");
    }
    if matches!(name, "min_len" | "max_len" | "len") {
        // No character at all is no byte at all.
        let length = if rule.count() == Some(1) && name == "min_len" { "len()" } else { "chars().count()" };
        return of_length(rule, &format!("{subject}.{length}"), "characters");
    }
    let text = rule.text().map(rust::string_literal);
    let list = || {
        let texts: Option<Vec<_>> = rule.list().iter().map(|it| it.as_str().map(rust::string_literal)).collect();
        texts.map(|it| it.join(", "))
    };
    Some(match name {
        "const" => (format!("{subject} != {}", text.as_ref()?), format!("must be {}", text.as_ref()?)),
        "pattern" => {
            let breach = format!("!potter::domain::matches({}, {borrowed})", text.as_ref()?);
            (breach, format!("must match {}", text.as_ref()?))
        }
        "prefix" => {
            (format!("!{subject}.starts_with({})", text.as_ref()?), format!("must begin with {}", text.as_ref()?))
        }
        "suffix" => (format!("!{subject}.ends_with({})", text.as_ref()?), format!("must end with {}", text.as_ref()?)),
        "contains" => (format!("!{subject}.contains({})", text.as_ref()?), format!("must contain {}", text.as_ref()?)),
        "not_contains" => {
            (format!("{subject}.contains({})", text.as_ref()?), format!("must not contain {}", text.as_ref()?))
        }
        "in" => (format!("![{}].contains(&{subject}.as_str())", list()?), format!("must be one of {}", list()?)),
        "not_in" => (format!("[{}].contains(&{subject}.as_str())", list()?), format!("must be none of {}", list()?)),
        _ => return None,
    })
}

fn of_number(rule: &Constraint, ty: &FieldType, subject: &str) -> Option<(String, String)> {
    let literal = |value: &Value| number_literal(value, &ty.item);
    let (breach, words) = match rule.parts().1 {
        "gt" => ("<=", "greater than"),
        "gte" => ("<", "at least"),
        "lt" => (">=", "less than"),
        "lte" => (">", "at most"),
        "const" => ("!=", ""),
        "in" | "not_in" => {
            let list: Option<Vec<_>> = rule.list().iter().map(literal).collect();
            let list = list?.join(", ");
            let wanted = rule.parts().1 == "in";
            let (not, words) = if wanted { ("!", "one of") } else { ("", "none of") };
            return Some((format!("{not}[{list}].contains(&{subject})"), format!("must be {words} {list}")));
        }
        "finite" if rule.is_on() => return Some((format!("!{subject}.is_finite()"), "must be finite".to_owned())),
        _ => return None,
    };
    let value = literal(&rule.value)?;
    // What an unsigned number can't be needn't be asked.
    let never = matches!(ty.item, Item::U32 | Item::U64) && breach == "<" && value == "0";
    (!never).then(|| (format!("{subject} {breach} {value}"), format!("must be {words} {value}").replace("  ", " ")))
}

fn number_literal(value: &Value, item: &Item) -> Option<String> {
    let number = Constraint { rule: String::new(), value: value.clone() };
    match item {
        Item::F32 | Item::F64 => number.number().filter(|it| it.is_finite()).map(|it| format!("{it:?}")),
        _ => Some(match value {
            Value::I32(it) => it.to_string(),
            Value::I64(it) => it.to_string(),
            Value::U32(it) => it.to_string(),
            Value::U64(it) => it.to_string(),
            _ => return None,
        }),
    }
}
