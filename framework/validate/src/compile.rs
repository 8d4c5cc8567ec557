//! Makes plans out of the `buf.validate` options in a descriptor pool.
//!
//! The options are read by name from the pool's own copy of `validate.proto`, and the standard rules are what that
//! copy says they are: each carries its own expression. A rule that this crate has never heard of works as well.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage,
    Value,
};

use crate::cel::{self, Program, Scope, Type};
use crate::invalid::{InvalidRule, InvalidRules};
use crate::plan::{
    AnyRules, CelRule, FieldPlan, Group, Inside, MessagePlan, PartPlan, Plans, RequiredOneof, ValuePlan, When,
};

pub(crate) fn compile(pool: &DescriptorPool) -> Result<Plans, InvalidRules> {
    let Some(extensions) = Extensions::find(pool) else {
        return Ok(Plans::default());
    };
    let indexes = pool.all_messages().enumerate().map(|(index, it)| (it.full_name().to_owned(), index)).collect();
    let mut compiler = Compiler { pool, extensions, indexes, element: String::new(), errors: Vec::new() };
    let messages = pool.all_messages().map(|message| compiler.message(&message)).collect();
    if !compiler.errors.is_empty() {
        return Err(InvalidRules(compiler.errors));
    }
    let mut plans = Plans { messages, by_name: compiler.indexes };
    plans.prune();
    Ok(plans)
}

/// The options that hold rules.
struct Extensions {
    message: ExtensionDescriptor,
    oneof: ExtensionDescriptor,
    field: ExtensionDescriptor,
    /// On the fields of the rules themselves: what they mean.
    predefined: Option<ExtensionDescriptor>,
}

impl Extensions {
    fn find(pool: &DescriptorPool) -> Option<Self> {
        let find = |name: &str| pool.get_extension_by_name(&format!("buf.validate.{name}"));
        Some(Self {
            message: find("message")?,
            oneof: find("oneof")?,
            field: find("field")?,
            // Up to protovalidate 0.7 it had the other name.
            predefined: find("predefined").or_else(|| find("priv.field")),
        })
    }
}

struct Compiler<'p> {
    pool: &'p DescriptorPool,
    extensions: Extensions,
    indexes: HashMap<String, usize>,
    /// The message, field or oneof whose rules are being compiled, for errors.
    element: String,
    errors: Vec<InvalidRule>,
}

/// Whether a value is looked at.
#[derive(Clone, Copy, PartialEq)]
enum Ignore {
    Unspecified,
    IfZero,
    IfDefault,
    Always,
}

impl Compiler<'_> {
    fn refuse(&mut self, rule: &str, reason: impl Into<String>) {
        self.errors.push(InvalidRule { element: self.element.clone(), rule: rule.to_owned(), reason: reason.into() });
    }

    fn message(&mut self, message: &MessageDescriptor) -> MessagePlan {
        self.element = message.full_name().to_owned();
        let options = extension(&message.options(), &self.extensions.message);
        let options = options.unwrap_or_else(|| DynamicMessage::new(self.extensions.message.containing_message()));
        if flag(&options, "disabled") {
            return MessagePlan::default();
        }
        self.refuse_unknown(&options);
        let rules = self.custom_rules(&options, &Type::of_message(message));
        let groups = self.groups(message, &options);
        let grouped: HashSet<u32> =
            groups.iter().flat_map(|group| &group.fields).map(FieldDescriptor::number).collect();
        let required = message.oneofs().filter(|oneof| {
            extension(&oneof.options(), &self.extensions.oneof).is_some_and(|rules| flag(&rules, "required"))
        });
        let oneofs = required
            .map(|oneof| RequiredOneof { name: oneof.name().to_owned(), fields: oneof.fields().collect() })
            .collect();
        let fields = message.fields().filter_map(|field| self.field(field, &grouped)).collect();
        MessagePlan { rules, groups, oneofs, fields }
    }

    fn groups(&mut self, message: &MessageDescriptor, options: &DynamicMessage) -> Vec<Group> {
        let mut groups = Vec::new();
        for rule in messages(options, "oneof") {
            let names = texts(&rule, "fields");
            let distinct: HashSet<&String> = names.iter().collect();
            if names.is_empty() || distinct.len() < names.len() {
                self.refuse("message.oneof", "it must name at least one field, and each only once");
            }
            let mut fields = Vec::new();
            for name in &names {
                match message.get_field_by_name(name) {
                    Some(field) => fields.push(field),
                    None => self.refuse("message.oneof", format!("there is no field `{name}`")),
                }
            }
            groups.push(Group { fields, required: flag(&rule, "required") });
        }
        groups
    }

    fn field(&mut self, field: FieldDescriptor, grouped: &HashSet<u32>) -> Option<FieldPlan> {
        self.element = field.full_name().to_owned();
        let rules = extension(&field.options(), &self.extensions.field);
        let ignore = match rules.as_ref().map_or(Ignore::Unspecified, ignore) {
            // Of a group only the one that is set counts.
            Ignore::Unspecified if grouped.contains(&field.number()) && !has(rules.as_ref(), "ignore") => {
                Ignore::IfZero
            }
            ignore => ignore,
        };
        let when = match ignore {
            Ignore::Always => return None,
            Ignore::IfDefault => When::SetToOther,
            Ignore::IfZero => When::Set,
            Ignore::Unspecified if field.supports_presence() => When::Set,
            Ignore::Unspecified => When::Always,
        };
        let required = rules.as_ref().is_some_and(|it| flag(it, "required"));
        let value = match field.kind() {
            Kind::Message(entry) if field.is_map() => self.map(&field, &entry, rules.as_ref()),
            kind if field.is_list() => self.list(&field, &kind, rules.as_ref()),
            kind => self.value(&kind, rules.as_ref()),
        };
        Some(FieldPlan { field, required, when, value })
    }

    fn list(&mut self, field: &FieldDescriptor, kind: &Kind, rules: Option<&DynamicMessage>) -> ValuePlan {
        let (own, mut plan) = self.container("repeated", &Type::of_field(field), rules);
        let items = own.as_ref().and_then(|it| submessage(it, "items"));
        plan.inside = Inside::Items(Box::new(self.part(kind, items.as_ref())));
        plan
    }

    fn map(&mut self, field: &FieldDescriptor, entry: &MessageDescriptor, rules: Option<&DynamicMessage>) -> ValuePlan {
        let (own, mut plan) = self.container("map", &Type::of_field(field), rules);
        let keys = own.as_ref().and_then(|it| submessage(it, "keys"));
        let values = own.as_ref().and_then(|it| submessage(it, "values"));
        plan.inside = Inside::Entries {
            keys: Box::new(self.part(&entry.map_entry_key_field().kind(), keys.as_ref())),
            values: Box::new(self.part(&entry.map_entry_value_field().kind(), values.as_ref())),
        };
        plan
    }

    /// The rules on a list or map as a whole.
    fn container(
        &mut self,
        name: &str,
        ty: &Type,
        rules: Option<&DynamicMessage>,
    ) -> (Option<DynamicMessage>, ValuePlan) {
        let Some(rules) = rules else {
            return (None, ValuePlan::default());
        };
        self.refuse_unknown(rules);
        let mut compiled = self.custom_rules(rules, ty);
        let typed = self.typed(rules, Some(name));
        if let Some(typed) = &typed {
            compiled.extend(self.standard_rules(typed, ty));
        }
        (typed, ValuePlan { rules: compiled, ..ValuePlan::default() })
    }

    fn part(&mut self, kind: &Kind, rules: Option<&DynamicMessage>) -> PartPlan {
        let ignore = rules.map_or(Ignore::Unspecified, ignore);
        let skip = match (ignore, kind) {
            (Ignore::Always, _) => return PartPlan::default(),
            (Ignore::Unspecified, _) | (_, Kind::Message(_)) => None,
            (Ignore::IfZero | Ignore::IfDefault, kind) => Some(kind.default_value()),
        };
        PartPlan { skip, value: self.value(kind, rules) }
    }

    /// The rules on a single value: of a field, an item, a key.
    fn value(&mut self, kind: &Kind, rules: Option<&DynamicMessage>) -> ValuePlan {
        let mut plan = ValuePlan { inside: self.inside(kind), ..ValuePlan::default() };
        let Some(rules) = rules else {
            return plan;
        };
        self.refuse_unknown(rules);
        let ty = type_of(kind);
        plan.rules = self.custom_rules(rules, &ty);
        if let Some(typed) = self.typed(rules, rules_for(kind)) {
            plan.defined_only = kind.as_enum().filter(|_| flag(&typed, "defined_only")).cloned();
            plan.any = any_rules(&typed);
            plan.rules.extend(self.standard_rules(&typed, &ty));
        }
        plan
    }

    fn inside(&self, kind: &Kind) -> Inside {
        let index = kind.as_message().and_then(|message| self.indexes.get(message.full_name()));
        index.map_or(Inside::Nothing, |&index| Inside::Message(index))
    }

    /// The member of the oneof `type` that is set, which must be the one called `expected`.
    fn typed(&mut self, rules: &DynamicMessage, expected: Option<&str>) -> Option<DynamicMessage> {
        let mut fields = rules.fields();
        let (field, value) =
            fields.find(|(field, _)| field.containing_oneof().is_some_and(|it| it.name() == "type"))?;
        if Some(field.name()) != expected {
            let allowed = expected.map_or("no such rules".to_owned(), |it| format!("`{it}` rules only"));
            self.refuse(field.name(), format!("a value of this type can have {allowed}"));
            return None;
        }
        value.as_message().cloned()
    }

    /// The rules that the user has written in CEL.
    fn custom_rules(&mut self, options: &DynamicMessage, ty: &Type) -> Vec<CelRule> {
        let scope = Scope { pool: self.pool, this: ty.clone(), rules: None, rule: None };
        let bare = texts(options, "cel_expression").into_iter();
        let bare = bare.map(|source| Source { id: source.clone(), message: String::new(), expression: source });
        let sources: Vec<_> = bare.chain(messages(options, "cel").iter().map(Source::of)).collect();
        sources.into_iter().filter_map(|source| self.rule(source, &scope)).collect()
    }

    /// The rules that are set in `rules`, the likes of `StringRules`, in the meaning that their fields carry.
    fn standard_rules(&mut self, rules: &DynamicMessage, this: &Type) -> Vec<CelRule> {
        self.refuse_unknown(rules);
        let Some(predefined) = self.extensions.predefined.clone() else {
            return Vec::new();
        };
        let shared = Arc::new(rules.clone());
        let fields = rules.fields().map(|(field, value)| (field.options(), Type::of_field(&field), value));
        let extensions = rules.extensions().map(|(field, value)| (field.options(), Type::of_extension(&field), value));
        let mut compiled = Vec::new();
        for (options, ty, value) in fields.chain(extensions) {
            let Some(meaning) = extension(&options, &predefined) else {
                continue;
            };
            let rule = (cel::Value::of(value).into_static(), ty);
            let scope = Scope { pool: self.pool, this: this.clone(), rules: Some(shared.clone()), rule: Some(rule) };
            let sources = messages(&meaning, "cel");
            compiled.extend(sources.iter().filter_map(|source| self.rule(Source::of(source), &scope)));
        }
        compiled
    }

    /// Nothing, too, for a rule that every value follows.
    fn rule(&mut self, source: Source, scope: &Scope<'_>) -> Option<CelRule> {
        let id = if source.id.is_empty() { source.expression.clone() } else { source.id };
        match Program::compile(&source.expression, scope) {
            Ok(program) if program.is_always_valid() => None,
            Ok(program) => {
                let message = Some(source.message).filter(|it| !it.is_empty());
                Some(CelRule { id, message, source: source.expression, program })
            }
            Err(error) => {
                self.refuse(&id, error.to_string());
                None
            }
        }
    }

    /// A rule in a field that the pool cannot name would silently not be enforced.
    fn refuse_unknown(&mut self, rules: &DynamicMessage) {
        for field in rules.unknown_fields() {
            let name = rules.descriptor().full_name().to_owned();
            self.refuse(&name, format!("field {} is not known: is the file missing that declares it?", field.number()));
        }
    }
}

/// The text of a rule.
struct Source {
    id: String,
    message: String,
    expression: String,
}

impl Source {
    fn of(rule: &DynamicMessage) -> Self {
        Self { id: text(rule, "id"), message: text(rule, "message"), expression: text(rule, "expression") }
    }
}

fn ignore(rules: &DynamicMessage) -> Ignore {
    // The flags are those of protovalidate before 0.5.
    if flag(rules, "skipped") {
        return Ignore::Always;
    }
    if flag(rules, "ignore_empty") {
        return Ignore::IfZero;
    }
    match rules.get_field_by_name("ignore").and_then(|it| it.as_enum_number()) {
        Some(1) => Ignore::IfZero,
        Some(2) => Ignore::IfDefault,
        Some(3) => Ignore::Always,
        _ => Ignore::Unspecified,
    }
}

/// `this` of a wrapper is what it wraps: when the wrapper is absent, there is nothing to validate.
fn type_of(kind: &Kind) -> Type {
    match kind {
        Kind::Message(message) if wrapped(message).is_some() => {
            message.get_field(1).map_or(Type::Dyn, |value| Type::of_field(&value))
        }
        kind => Type::of_kind(kind),
    }
}

/// The name of the rules for a value of this kind.
fn rules_for(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed32 => "sfixed32",
        Kind::Sfixed64 => "sfixed64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Enum(_) => "enum",
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Any" => "any",
            "google.protobuf.Duration" => "duration",
            "google.protobuf.FieldMask" => "field_mask",
            "google.protobuf.Timestamp" => "timestamp",
            _ => return wrapped(message),
        },
    })
}

/// The rules of what a wrapper wraps.
fn wrapped(message: &MessageDescriptor) -> Option<&'static str> {
    Some(match message.full_name() {
        "google.protobuf.BoolValue" => "bool",
        "google.protobuf.BytesValue" => "bytes",
        "google.protobuf.DoubleValue" => "double",
        "google.protobuf.FloatValue" => "float",
        "google.protobuf.Int32Value" => "int32",
        "google.protobuf.Int64Value" => "int64",
        "google.protobuf.StringValue" => "string",
        "google.protobuf.UInt32Value" => "uint32",
        "google.protobuf.UInt64Value" => "uint64",
        _ => return None,
    })
}

fn any_rules(rules: &DynamicMessage) -> Option<AnyRules> {
    if rules.descriptor().name() != "AnyRules" {
        return None;
    }
    let set = |name| texts(rules, name).into_iter().collect();
    Some(AnyRules { allowed: set("in"), forbidden: set("not_in") })
}

fn extension(options: &DynamicMessage, extension: &ExtensionDescriptor) -> Option<DynamicMessage> {
    let set = options.has_extension(extension);
    set.then(|| options.get_extension(extension).as_message().cloned())?
}

fn has(message: Option<&DynamicMessage>, field: &str) -> bool {
    message.is_some_and(|it| it.has_field_by_name(field))
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    message.get_field_by_name(field).and_then(|it| it.as_bool()).unwrap_or(false)
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
}

fn texts(message: &DynamicMessage, field: &str) -> Vec<String> {
    list(message, field, |it| it.as_str().map(str::to_owned))
}

fn messages(message: &DynamicMessage, field: &str) -> Vec<DynamicMessage> {
    list(message, field, |it| it.as_message().cloned())
}

fn submessage(message: &DynamicMessage, field: &str) -> Option<DynamicMessage> {
    let set = message.has_field_by_name(field);
    set.then(|| message.get_field_by_name(field)?.as_message().cloned())?
}

fn list<T>(message: &DynamicMessage, field: &str, item: fn(&Value) -> Option<T>) -> Vec<T> {
    let value = message.get_field_by_name(field);
    value.and_then(|it| Some(it.as_list()?.iter().filter_map(item).collect())).unwrap_or_default()
}
