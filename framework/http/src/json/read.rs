//! From a JSON tree to a message.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use potter_core::failure::FieldViolation;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use prost_types::value::Kind as ValueKind;

use super::MAX_DEPTH;
use super::leaf::{self, Wrong};
use super::tree::Json;
use super::well_known::{self, WellKnown};

/// A request that is wrong in many places is told so many of them.
const MAX_VIOLATIONS: usize = 32;

type Object<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// Reads trees and gathers what is wrong with them.
///
/// Its methods give `None` for what cannot be read, after noting why; reading goes on with the next field.
#[derive(Default)]
pub(crate) struct Reader {
    path: String,
    depth: usize,
    violations: Vec<FieldViolation>,
}

impl Reader {
    /// What was read, if nothing was wrong.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Vec<FieldViolation>> {
        match read {
            Some(read) if self.violations.is_empty() => Ok(read),
            _ => Err(self.violations),
        }
    }

    /// Notes what is wrong with the field at the present path.
    pub(crate) fn refuse<T>(&mut self, wrong: Wrong) -> Option<T> {
        if self.violations.len() < MAX_VIOLATIONS {
            let Wrong { rule, message } = wrong;
            self.violations.push(FieldViolation { field: self.path.clone(), rule: rule.to_owned(), message });
        }
        None
    }

    /// Does something inside of a field.
    pub(crate) fn within<T>(&mut self, field: &str, action: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(field);
        let result = action(self);
        self.path.truncate(length);
        result
    }

    /// A message of type `ty`.
    pub(crate) fn message(&mut self, ty: &MessageDescriptor, json: Json<'_>) -> Option<DynamicMessage> {
        if self.depth > MAX_DEPTH {
            return self.refuse(Wrong::new("depth", "is nested too deep"));
        }
        self.depth += 1;
        let message = match WellKnown::of(ty) {
            Some(special) => self.well_known(special, ty, json),
            None => self.plain(ty, json),
        };
        self.depth -= 1;
        message
    }

    /// The value of a field, lists and maps included; `Some(None)` leaves it unset.
    #[expect(clippy::option_option, reason = "failed, unset and set are three things")]
    pub(crate) fn field(&mut self, field: &FieldDescriptor, json: Json<'_>) -> Option<Option<Value>> {
        let kind = field.kind();
        if field.is_map() {
            return match json {
                Json::Null => Some(None),
                Json::Object(entries) => self.map(&kind, entries).map(Some),
                other => self.refuse(Wrong::ty("an object", &other)),
            };
        }
        if field.is_list() {
            return match json {
                Json::Null => Some(None),
                Json::List(items) => self.list(&kind, items).map(Some),
                other => self.refuse(Wrong::ty("an array", &other)),
            };
        }
        if json == Json::Null && !takes_null(&kind) {
            return Some(None);
        }
        self.single(&kind, json).map(Some)
    }

    fn single(&mut self, kind: &Kind, json: Json<'_>) -> Option<Value> {
        match kind {
            Kind::Message(ty) => self.message(ty, json).map(Value::Message),
            Kind::Enum(_) if json == Json::Null && takes_null(kind) => Some(Value::EnumNumber(0)),
            _ => self.taken(leaf::scalar(kind, &json)),
        }
    }

    fn taken<T>(&mut self, result: Result<T, Wrong>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(wrong) => self.refuse(wrong),
        }
    }

    fn list(&mut self, kind: &Kind, items: Vec<Json<'_>>) -> Option<Value> {
        let mut values = Vec::with_capacity(items.len());
        let length = self.path.len();
        for (index, item) in items.into_iter().enumerate() {
            let _ = write!(self.path, "[{index}]");
            values.extend(self.single(kind, item));
            self.path.truncate(length);
        }
        Some(Value::List(values))
    }

    fn map(&mut self, kind: &Kind, entries: Object<'_>) -> Option<Value> {
        let entry = kind.as_message()?;
        let (key_kind, value_kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut values = HashMap::with_capacity(entries.len());
        let length = self.path.len();
        // An entry is a message of its own on the wire.
        self.depth += 1;
        for (name, json) in entries {
            let _ = write!(self.path, "[{}]", serde_json::Value::from(name.as_ref()));
            let key = self.taken(leaf::map_key(&key_kind, &name));
            let value = self.single(&value_kind, json);
            if let (Some(key), Some(value)) = (key, value)
                && values.insert(key, value).is_some()
            {
                self.refuse::<()>(duplicate());
            }
            self.path.truncate(length);
        }
        self.depth -= 1;
        Some(Value::Map(values))
    }

    fn plain(&mut self, ty: &MessageDescriptor, json: Json<'_>) -> Option<DynamicMessage> {
        match json {
            Json::Object(entries) => {
                let mut message = DynamicMessage::new(ty.clone());
                self.fields(&mut message, entries);
                Some(message)
            }
            other => self.refuse(Wrong::ty("an object", &other)),
        }
    }

    fn fields(&mut self, message: &mut DynamicMessage, entries: Object<'_>) {
        let ty = prost_reflect::ReflectMessage::descriptor(message);
        let mut seen = Vec::with_capacity(entries.len());
        for (name, json) in entries {
            let Some(field) = field_named(&ty, &name) else {
                self.within(&name, |reader| {
                    reader.refuse::<()>(Wrong::new("unknown_field", format!("is not a field of {}", ty.full_name())))
                });
                continue;
            };
            self.within(field.name(), |reader| {
                if seen.contains(&field.number()) {
                    return reader.refuse::<()>(duplicate());
                }
                seen.push(field.number());
                let value = reader.field(&field, json)??;
                reader.set(message, &field, value)
            });
        }
    }

    /// Sets a field, unless its oneof is taken.
    pub(crate) fn set(&mut self, message: &mut DynamicMessage, field: &FieldDescriptor, value: Value) -> Option<()> {
        if let Some(other) = rival(message, field) {
            return self.refuse(Wrong::new("oneof", format!("cannot be given together with `{}`", other.name())));
        }
        message.set_field(field, value);
        Some(())
    }

    fn well_known(&mut self, special: WellKnown, ty: &MessageDescriptor, json: Json<'_>) -> Option<DynamicMessage> {
        match (special, json) {
            (WellKnown::Text, Json::Text(text)) => self.taken(well_known::from_text(ty, &text)),
            (WellKnown::Text, other) => self.refuse(Wrong::ty("a string", &other)),
            (WellKnown::Wrapper, json) => self.wrapper(ty, &json),
            (WellKnown::Empty, Json::Object(entries)) => self.plain(ty, Json::Object(entries)),
            (WellKnown::Any, Json::Object(entries)) => self.any(ty, entries),
            (WellKnown::Struct, Json::Object(entries)) => {
                let fields = self.structure(entries);
                self.taken(well_known::dynamic(ty, &well_known::structure(fields)))
            }
            (WellKnown::List, Json::List(items)) => {
                let values = self.values(items);
                self.taken(well_known::dynamic(ty, &well_known::list(values)))
            }
            (WellKnown::Value, json) => {
                let value = self.value(json);
                self.taken(well_known::dynamic(ty, &value))
            }
            (WellKnown::List, other) => self.refuse(Wrong::ty("an array", &other)),
            (_, other) => self.refuse(Wrong::ty("an object", &other)),
        }
    }

    fn wrapper(&mut self, ty: &MessageDescriptor, json: &Json<'_>) -> Option<DynamicMessage> {
        let field = ty.get_field(1)?;
        let value = self.taken(leaf::scalar(&field.kind(), json))?;
        let mut message = DynamicMessage::new(ty.clone());
        message.set_field(&field, value);
        Some(message)
    }

    fn value(&mut self, json: Json<'_>) -> prost_types::Value {
        well_known::value(match json {
            Json::Null => ValueKind::NullValue(0),
            Json::Bool(value) => ValueKind::BoolValue(value),
            Json::Number(number) => ValueKind::NumberValue(number.as_float()),
            Json::Text(text) => ValueKind::StringValue(text.into_owned()),
            Json::List(items) => ValueKind::ListValue(well_known::list(self.values(items))),
            Json::Object(entries) => ValueKind::StructValue(well_known::structure(self.structure(entries))),
        })
    }

    fn values(&mut self, items: Vec<Json<'_>>) -> Vec<prost_types::Value> {
        items.into_iter().map(|item| self.value(item)).collect()
    }

    fn structure(&mut self, entries: Object<'_>) -> BTreeMap<String, prost_types::Value> {
        let mut fields = BTreeMap::new();
        for (name, json) in entries {
            let value = self.within(&name, |reader| reader.value(json));
            if fields.contains_key(name.as_ref()) {
                self.within(&name, |reader| reader.refuse::<()>(duplicate()));
            }
            fields.insert(name.into_owned(), value);
        }
        fields
    }

    /// `{"@type": "…", …}`, with the fields of a message of the pool, or under `value` what has a form of its own.
    fn any(&mut self, ty: &MessageDescriptor, entries: Object<'_>) -> Option<DynamicMessage> {
        let (mut types, mut rest): (Object<'_>, Object<'_>) =
            entries.into_iter().partition(|(name, _)| name == "@type");
        let type_url = match (types.pop(), types.is_empty()) {
            (None, _) if rest.is_empty() => return Some(DynamicMessage::new(ty.clone())),
            (Some((_, Json::Text(url))), true) => url,
            (Some(_), false) => return self.within("@type", |reader| reader.refuse(duplicate())),
            _ => return self.within("@type", |reader| reader.refuse(Wrong::new("type", "must be a type's URL"))),
        };
        let name = type_url.rsplit('/').next().unwrap_or_default();
        let Some(inner) = ty.parent_pool().get_message_by_name(name).filter(|_| type_url.contains('/')) else {
            let wrong = Wrong::new("any", format!("`{type_url}` is not a type of this service"));
            return self.within("@type", |reader| reader.refuse(wrong));
        };
        let message = if WellKnown::of(&inner).is_none() {
            self.message(&inner, Json::Object(rest))?
        } else {
            match (rest.pop(), rest.is_empty()) {
                (Some((name, json)), true) if name == "value" => self.message(&inner, json)?,
                _ => return self.refuse(Wrong::new("any", "must have `@type` and `value`, and nothing else")),
            }
        };
        let any = prost_types::Any { type_url: type_url.into_owned(), value: message.encode_to_vec() };
        self.taken(well_known::dynamic(ty, &any))
    }
}

/// One value of a field as it is written in a path or a query string.
pub(crate) fn text_value(kind: &Kind, text: &str) -> Result<Value, Wrong> {
    let Kind::Message(ty) = kind else {
        return leaf::scalar_from_text(kind, text);
    };
    match WellKnown::of(ty) {
        Some(WellKnown::Text) => well_known::from_text(ty, text).map(Value::Message),
        Some(WellKnown::Wrapper) => {
            let mut message = DynamicMessage::new(ty.clone());
            if let Some(field) = ty.get_field(1) {
                message.set_field(&field, leaf::scalar_from_text(&field.kind(), text)?);
            }
            Ok(Value::Message(message))
        }
        _ => Err(Wrong::new("type", format!("a {} cannot be given here", ty.full_name()))),
    }
}

/// Whether values of this kind can be written in a path or a query string.
pub(crate) fn is_text(kind: &Kind) -> bool {
    match kind {
        Kind::Message(ty) => matches!(WellKnown::of(ty), Some(WellKnown::Text | WellKnown::Wrapper)),
        _ => true,
    }
}

/// A field by either spelling.
pub(crate) fn field_named(ty: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    ty.get_field_by_json_name(name).or_else(|| ty.get_field_by_name(name))
}

/// The other field of the same oneof that is set already.
fn rival(message: &DynamicMessage, field: &FieldDescriptor) -> Option<FieldDescriptor> {
    let oneof = field.containing_oneof()?;
    oneof.fields().find(|other| other.number() != field.number() && message.has_field(other))
}

/// For these `null` is a value; everywhere else it leaves a field unset.
fn takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(ty) => ty.full_name() == "google.protobuf.Value",
        Kind::Enum(ty) => ty.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn duplicate() -> Wrong {
    Wrong::new("duplicate", "is given more than once")
}
