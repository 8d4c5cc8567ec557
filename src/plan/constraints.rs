//! The rules of `buf.validate` on a field, as far as they are plain.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};

/// A rule on a field: `string.min_len` and 3.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Kind and name, as protovalidate identifies it.
    pub rule: String,
    /// What it demands.
    pub value: Value,
}

/// The rules on a field, in the order of their declaration in `validate.proto`; `required` stands without a kind,
/// as do `cel` and `ignore`.
pub fn constraints(field: &FieldDescriptor) -> Vec<Constraint> {
    let options = field.options();
    let rules = options.extensions().find(|(it, _)| it.full_name() == "buf.validate.field");
    let Some((_, Value::Message(rules))) = rules else { return Vec::new() };
    flatten(rules)
}

/// Whether the message has rules that concern it as a whole.
pub fn has_message_rules(message: &prost_reflect::MessageDescriptor) -> bool {
    message.options().extensions().any(|(it, _)| it.full_name() == "buf.validate.message")
}

fn flatten(rules: &DynamicMessage) -> Vec<Constraint> {
    let mut found = Vec::new();
    for (field, value) in rules.fields() {
        match value {
            Value::Message(inner) if field.name() != "cel" => {
                let kind = field.name();
                let of_kind = inner.fields().filter(|(it, _)| it.name() != "example");
                let named = of_kind
                    .map(|(it, value)| Constraint { rule: format!("{kind}.{}", it.name()), value: value.clone() });
                found.extend(named);
                // Rules of other people's making, and those of a newer `validate.proto`.
                let custom = inner.extensions().next().is_some() || inner.unknown_fields().next().is_some();
                found.extend(custom.then(|| unknown(kind)));
            }
            _ => found.push(Constraint { rule: field.name().to_owned(), value: value.clone() }),
        }
    }
    let custom = rules.unknown_fields().next().is_some() || rules.extensions().next().is_some();
    debug_assert!(rules.descriptor().full_name().starts_with("buf.validate"));
    found.extend(custom.then(|| unknown("")));
    found
}

fn unknown(kind: &str) -> Constraint {
    Constraint { rule: format!("{kind}.unknown"), value: Value::Bool(true) }
}

impl Constraint {
    /// The kind's part of the rule and its name: `string`, `min_len`.
    pub fn parts(&self) -> (&str, &str) {
        self.rule.split_once('.').unwrap_or(("", &self.rule))
    }

    /// What it demands, as a whole number.
    pub fn count(&self) -> Option<u64> {
        match &self.value {
            Value::U64(it) => Some(*it),
            Value::U32(it) => Some((*it).into()),
            _ => None,
        }
    }

    /// What it demands, as a number of any kind.
    pub fn number(&self) -> Option<f64> {
        match &self.value {
            Value::I32(it) => Some((*it).into()),
            Value::I64(it) => Some(*it as f64),
            Value::U32(it) => Some((*it).into()),
            Value::U64(it) => Some(*it as f64),
            Value::F32(it) => Some((*it).into()),
            Value::F64(it) => Some(*it),
            Value::EnumNumber(it) => Some((*it).into()),
            _ => None,
        }
    }

    /// What it demands, as text.
    pub fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// What it demands, as a list.
    pub fn list(&self) -> &[Value] {
        self.value.as_list().unwrap_or_default()
    }

    /// Whether it is switched on.
    pub fn is_on(&self) -> bool {
        self.value == Value::Bool(true)
    }
}
