//! Walks a message along its plan.

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, MapKey, Value as Field};

use crate::MAX_VIOLATIONS;
use crate::cel::{Env, Error, Outcome, Timestamp, Value};
use crate::plan::{AnyRules, CelRule, FieldPlan, Group, Inside, MessagePlan, PartPlan, Plans, ValuePlan, When};
use crate::violation::{Cause, Path, Violation};

/// One validation of one message.
pub(crate) struct Run<'a> {
    plans: &'a Plans,
    env: Env<'a>,
    violations: Vec<Violation>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(plans: &'a Plans, now: Option<Timestamp>) -> Self {
        Self { plans, env: Env::new(Value::Null, now), violations: Vec::new() }
    }

    pub(crate) fn of(mut self, message: &'a DynamicMessage, plan: &'a MessagePlan) -> Result<(), Vec<Violation>> {
        self.message(plan, message, Path::Root);
        if self.violations.is_empty() { Ok(()) } else { Err(self.violations) }
    }

    fn message(&mut self, plan: &'a MessagePlan, message: &'a DynamicMessage, path: Path<'_>) {
        if !plan.rules.is_empty() {
            self.rules(&plan.rules, Value::of_message(message), path);
        }
        for group in &plan.groups {
            self.group(group, message, path);
        }
        for oneof in &plan.oneofs {
            if !oneof.fields.iter().any(|field| message.has_field(field)) {
                self.violate(Path::Field(&path, &oneof.name), "required", "exactly one field is required in oneof");
            }
        }
        for field in &plan.fields {
            self.field(field, message, Path::Field(&path, field.field.name()));
        }
    }

    fn group(&mut self, group: &Group, message: &DynamicMessage, path: Path<'_>) {
        let names = || group.fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
        match group.fields.iter().filter(|field| message.has_field(field)).count() {
            0 if group.required => self.violate(path, "message.oneof", &format!("one of {} must be set", names())),
            0 | 1 => {}
            _ => self.violate(path, "message.oneof", &format!("only one of {} can be set", names())),
        }
    }

    fn field(&mut self, plan: &'a FieldPlan, message: &'a DynamicMessage, path: Path<'_>) {
        let set = message.has_field(&plan.field);
        if plan.required && !set {
            return self.violate(path, "required", "value is required");
        }
        if plan.when != When::Always && !set {
            return;
        }
        match message.get_field(&plan.field) {
            value if plan.when == When::SetToOther && *value == plan.field.default_value() => {}
            Cow::Borrowed(value) => self.value(&plan.value, value, path),
            // Nothing is inside a value that isn't there.
            Cow::Owned(_) => self.rules(&plan.value.rules, Value::unset(&plan.field), path),
        }
    }

    fn value(&mut self, plan: &'a ValuePlan, value: &'a Field, path: Path<'_>) {
        if let (Some(defined), Field::EnumNumber(number)) = (&plan.defined_only, value)
            && defined.get_value(*number).is_none()
        {
            self.violate(path, "enum.defined_only", "value must be one of the defined enum values");
        }
        if let (Some(rules), Field::Message(any)) = (&plan.any, value) {
            self.any(rules, any, path);
        }
        if !plan.rules.is_empty() {
            self.rules(&plan.rules, Value::of(value), path);
        }
        self.inside(&plan.inside, value, path);
    }

    fn any(&mut self, rules: &AnyRules, any: &DynamicMessage, path: Path<'_>) {
        let url = any.get_field_by_name("type_url");
        let url = url.as_deref().and_then(Field::as_str).unwrap_or_default();
        if !rules.allowed.is_empty() && !rules.allowed.contains(url) {
            self.violate(path, "any.in", "type URL must be in the allow list");
        }
        if rules.forbidden.contains(url) {
            self.violate(path, "any.not_in", "type URL must not be in the block list");
        }
    }

    fn inside(&mut self, inside: &'a Inside, value: &'a Field, path: Path<'_>) {
        match (inside, value) {
            (Inside::Message(index), Field::Message(message)) => {
                if let Some(plan) = self.plans.messages.get(*index) {
                    self.message(plan, message, path);
                }
            }
            (Inside::Items(plan), Field::List(items)) => self.items(plan, items, path),
            (Inside::Entries { keys, values }, Field::Map(entries)) => {
                let before = self.violations.len();
                for (key, value) in entries {
                    self.entry((keys, key), (values, value), Path::Key(&path, key));
                }
                // The entries come in any order; an answer has one.
                self.violations[before..].sort_by(|a, b| a.field.cmp(&b.field));
            }
            _ => {}
        }
    }

    fn items(&mut self, plan: &'a PartPlan, items: &'a [Field], path: Path<'_>) {
        for (index, item) in items.iter().enumerate() {
            if self.is_full() {
                return;
            }
            if plan.skip.as_ref() != Some(item) {
                self.value(&plan.value, item, Path::Index(&path, index));
            }
        }
    }

    fn entry(
        &mut self,
        (keys, key): (&'a PartPlan, &'a MapKey),
        (values, value): (&'a PartPlan, &'a Field),
        path: Path<'_>,
    ) {
        if self.is_full() {
            return;
        }
        let before = self.violations.len();
        if keys.skip.as_ref().is_none_or(|skip| Value::of(skip) != Value::of_key(key)) {
            self.rules(&keys.value.rules, Value::of_key(key), path);
        }
        for violation in &mut self.violations[before..] {
            violation.for_key = true;
        }
        if values.skip.as_ref() != Some(value) {
            self.value(&values.value, value, path);
        }
    }

    fn rules(&mut self, rules: &'a [CelRule], this: Value<'a>, path: Path<'_>) {
        self.env.this = this;
        for rule in rules {
            let outcome = rule.program.run(&mut self.env);
            if outcome != Ok(Outcome::Valid) {
                self.broken(rule, outcome, path);
            }
        }
    }

    fn broken(&mut self, rule: &CelRule, outcome: Result<Outcome<'_>, Error>, path: Path<'_>) {
        match (outcome, &rule.message) {
            (Ok(Outcome::Valid), _) => {}
            (Ok(_), Some(message)) => self.violate(path, &rule.id, message),
            (Ok(Outcome::Message(message)), None) => self.violate(path, &rule.id, &message),
            (Ok(Outcome::Invalid), None) => {
                self.violate(path, &rule.id, &format!("\"{}\" returned false", rule.source));
            }
            (Err(error), _) => {
                self.add(path, &rule.id, &format!("the rule could not be evaluated: {error}"), Cause::Rule)
            }
        }
    }

    fn violate(&mut self, path: Path<'_>, rule: &str, message: &str) {
        self.add(path, rule, message, Cause::Value);
    }

    fn add(&mut self, path: Path<'_>, rule: &str, message: &str, cause: Cause) {
        if !self.is_full() {
            self.violations.push(Violation {
                field: path.to_string(),
                rule: rule.to_owned(),
                message: message.to_owned(),
                for_key: false,
                cause,
            });
        }
    }

    fn is_full(&self) -> bool {
        self.violations.len() >= MAX_VIOLATIONS
    }
}
