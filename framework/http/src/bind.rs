//! From an HTTP request to the rpc's request: path, query and body put together as `google.api.http` says.

use std::borrow::Cow;

use potter_core::failure::FieldViolation;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};

use crate::json::{self, Json, Reader, Wrong};
use crate::route::{Body, Route};
use crate::template::{Template, Variable};

/// A field, or a field of a field.
type FieldPath = Vec<FieldDescriptor>;

/// A query string may name a field of a field; a recursive message must not make it endless.
const MAX_QUERY_DEPTH: usize = 16;

/// How requests of one route become messages, resolved once.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) rpc: String,
    pub(crate) output: MessageDescriptor,
    pub(crate) response_body: Option<FieldDescriptor>,
    pub(crate) body: BodyBinding,
    input: MessageDescriptor,
    variables: Vec<(Variable, FieldPath)>,
}

/// What of the request the body carries.
#[derive(Debug)]
pub(crate) enum BodyBinding {
    None,
    All,
    Field(FieldDescriptor),
}

impl Binding {
    /// Resolves a route's names.
    pub(crate) fn resolve(route: &Route, template: &Template, method: &MethodDescriptor) -> Result<Self, String> {
        let (input, output) = (method.input(), method.output());
        let field = |ty: &MessageDescriptor, name: &str| {
            json_field(ty, name).ok_or_else(|| format!("{} has no field `{name}`", ty.full_name()))
        };
        Ok(Self {
            rpc: route.rpc.to_owned(),
            response_body: route.response_body.map(|name| field(&output, name)).transpose()?,
            body: match route.body {
                Body::None => BodyBinding::None,
                Body::All => BodyBinding::All,
                Body::Field(name) => BodyBinding::Field(field(&input, name)?),
            },
            variables: template
                .variables
                .iter()
                .map(|variable| Ok((variable.clone(), resolve_variable(&input, &variable.field)?)))
                .collect::<Result<_, String>>()?,
            input,
            output,
        })
    }

    /// Puts a request together.
    pub(crate) fn bind(
        &self,
        segments: &[&str],
        query: Option<&str>,
        body: &[u8],
    ) -> Result<DynamicMessage, Vec<FieldViolation>> {
        let mut reader = Reader::default();
        let mut message = self.read_body(&mut reader, body)?;
        self.read_path(&mut reader, &mut message, segments);
        if let Some(query) = query {
            self.read_query(&mut reader, &mut message, query);
        }
        reader.finish(Some(message))
    }

    /// No body at all is an empty object: what is missing then is for the rules on the fields to say.
    fn read_body(&self, reader: &mut Reader, body: &[u8]) -> Result<DynamicMessage, Vec<FieldViolation>> {
        let empty = DynamicMessage::new(self.input.clone());
        if body.is_empty() {
            return Ok(empty);
        }
        let parse = || json::parse(body).map_err(|violation| vec![violation]);
        match &self.body {
            BodyBinding::None => Ok(empty),
            BodyBinding::All => Ok(reader.message(&self.input, parse()?).unwrap_or(empty)),
            BodyBinding::Field(field) => Ok(self.read_body_field(reader, field, parse()?).unwrap_or(empty)),
        }
    }

    fn read_body_field(&self, reader: &mut Reader, field: &FieldDescriptor, json: Json<'_>) -> Option<DynamicMessage> {
        let mut message = DynamicMessage::new(self.input.clone());
        let value = reader.within(field.name(), |reader| reader.field(field, json))?;
        if let Some(value) = value {
            message.set_field(field, value);
        }
        Some(message)
    }

    /// What the path says holds; a body that says something else is a mistake that must not go unnoticed.
    fn read_path(&self, reader: &mut Reader, message: &mut DynamicMessage, segments: &[&str]) {
        for (variable, fields) in &self.variables {
            reader.within(&variable.field, |reader| {
                let value = match variable.capture(segments) {
                    None => Err(Wrong::new("format", "is not UTF-8")),
                    Some(text) => json::text_value(&kind(fields), &text),
                };
                match value {
                    Ok(value) => put(reader, message, fields, value, Given::ByPath),
                    Err(wrong) => reader.refuse(wrong),
                }
            });
        }
    }

    fn read_query(&self, reader: &mut Reader, message: &mut DynamicMessage, query: &str) {
        let mut seen: Vec<FieldPath> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                let name = String::from_utf8_lossy(name.as_bytes());
                reader.within(&name, |reader| reader.refuse::<()>(Wrong::new("format", "is not UTF-8")));
                continue;
            };
            match self.resolve_parameter(&name) {
                Err(wrong) => drop(reader.within(&name, |reader| reader.refuse::<()>(wrong))),
                Ok(fields) => {
                    let repeated = fields.last().is_some_and(FieldDescriptor::is_list);
                    let again = !repeated && seen.contains(&fields);
                    reader.within(&dotted(&fields), |reader| match json::text_value(&kind(&fields), &value) {
                        _ if again => reader.refuse(Wrong::new("duplicate", "is given more than once")),
                        Ok(value) => put(reader, message, &fields, value, Given::ByQuery),
                        Err(wrong) => reader.refuse(wrong),
                    });
                    seen.push(fields);
                }
            }
        }
    }

    /// The field that a query parameter names, if the query is where it belongs.
    fn resolve_parameter(&self, name: &str) -> Result<FieldPath, Wrong> {
        let unknown = || Wrong::new("unknown_parameter", "is not a parameter of this route");
        if matches!(self.body, BodyBinding::All) {
            return Err(unknown());
        }
        let fields = resolve_path(&self.input, name).ok_or_else(unknown)?;
        match &self.body {
            BodyBinding::Field(body) if fields.first() == Some(body) => Err(unknown()),
            _ => Ok(fields),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Given {
    ByPath,
    ByQuery,
}

/// Sets a field, its parents made on the way; what the path said already must not differ.
fn put(
    reader: &mut Reader,
    message: &mut DynamicMessage,
    fields: &[FieldDescriptor],
    value: Value,
    given: Given,
) -> Option<()> {
    let (field, rest) = fields.split_first()?;
    if !rest.is_empty() {
        if !message.has_field(field) {
            let empty = Value::default_value(&field.kind());
            reader.set(message, field, empty)?;
        }
        return put(reader, message.get_field_mut(field).as_message_mut()?, rest, value, given);
    }
    if field.is_list() {
        message.get_field_mut(field).as_list_mut()?.push(value);
        return Some(());
    }
    if message.has_field(field) && *message.get_field(field) != value {
        return reader.refuse(match given {
            Given::ByPath => Wrong::new("path_conflict", "differs from what the path says"),
            Given::ByQuery => Wrong::new("path_conflict", "is given by the path already"),
        });
    }
    reader.set(message, field, value)
}

fn kind(fields: &[FieldDescriptor]) -> Kind {
    fields.last().map_or(Kind::String, FieldDescriptor::kind)
}

fn dotted(fields: &[FieldDescriptor]) -> String {
    fields.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
}

/// A path's variable must be a single scalar.
fn resolve_variable(input: &MessageDescriptor, name: &str) -> Result<FieldPath, String> {
    let fields = resolve_path(input, name).ok_or_else(|| format!("{} has no field `{name}`", input.full_name()))?;
    match fields.last() {
        Some(field) if !field.is_list() && json::is_text(&field.kind()) => Ok(fields),
        _ => Err(format!("`{name}` of {} cannot stand in a path", input.full_name())),
    }
}

/// A field by a dotted path, in either spelling; everything but its last part must be a single message.
fn resolve_path(input: &MessageDescriptor, name: &str) -> Option<FieldPath> {
    let mut fields = Vec::new();
    let mut ty = Some(input.clone());
    for part in name.split('.') {
        if fields.len() == MAX_QUERY_DEPTH {
            return None;
        }
        let field = json_field(&ty?, part)?;
        ty = match field.kind() {
            Kind::Message(inner) if !field.is_list() && !field.is_map() => Some(inner),
            _ => None,
        };
        fields.push(field);
    }
    Some(fields)
}

fn json_field(ty: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    json::field_named(ty, name)
}

/// A part of a query string; `+` is a space there.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let plain = percent_encoding::percent_decode_str(text);
    match text.contains('+') {
        false => plain.decode_utf8().ok(),
        true => {
            let spaced = text.replace('+', " ");
            let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8().ok()?.into_owned();
            Some(Cow::Owned(decoded))
        }
    }
}
