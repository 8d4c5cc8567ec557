//! The published contract: which rules of `buf breaking` a change of requests, replies and rpcs breaks, and what
//! buf doesn't look at: REST routes and error codes.

use prost_reflect::MethodDescriptor;

use super::{
    Finding,
    difference::{self, AddedField, Difference, FieldDifference, Kind, ValueDifference},
    place::Places,
    reading::{At, declaration},
    rules::{Category, Rule},
};
use crate::{
    contract::{Contract, Role, RouteShape, RpcShape},
    diagnostic::{Code, Location},
    shape::{Cardinality, FieldShape, Scalar, TypeShape, Types},
};

/// All findings about the published contract.
pub(super) fn findings(was: &Contract, now: &Contract, places: &Places<'_>) -> Vec<Finding> {
    let types = still_there(was, now, places);
    let mut judge = Judge { was: &was.types, now: &types, places, findings: Vec::new() };
    was.rpcs.iter().for_each(|(name, rpc)| judge.rpc(name, rpc, now));
    judge.errors(was, now);
    judge.messages();
    judge.enums();
    judge.findings
}

/// The types of now, and those of before that nothing published reaches any more but the protos still declare.
fn still_there(was: &Contract, now: &Contract, places: &Places<'_>) -> Types {
    let messages = was.types.messages().filter_map(|(name, _)| places.pool().get_message_by_name(name));
    let mut types = Types::reached_from(messages);
    types.unite(now.types.clone());
    types
}

struct Judge<'a> {
    was: &'a Types,
    now: &'a Types,
    places: &'a Places<'a>,
    findings: Vec<Finding>,
}

/// What a command is called now that keeps its id under another name.
fn successor<'a>(was: &RpcShape, now: &'a Contract) -> Option<&'a str> {
    let Role::Command { id: before, .. } = &was.role else { return None };
    let is_same = |it: &RpcShape| matches!(&it.role, Role::Command { id, .. } if id == before);
    let (name, _) = now.rpcs.iter().find(|(_, it)| is_same(it))?;
    Some(name.rsplit_once('.').map_or(name.as_str(), |(_, short)| short))
}

impl Judge<'_> {
    fn rpc(&mut self, name: &str, was: &RpcShape, contract: &Contract) {
        let now = contract.rpcs.get(name);
        let (service, short) = name.rsplit_once('.').unwrap_or(("", name));
        let descriptor = self.places.pool().get_service_by_name(service);
        let Some(descriptor) = descriptor else {
            let message = format!("service {service} was removed, and with it rpc {short}");
            return self.report(&[Rule::SERVICE_NO_DELETE], name, self.places.module(), message, "keep it".to_owned());
        };
        let method = descriptor.methods().find(|it| it.full_name() == name);
        if now.is_none()
            && let Some(new) = successor(was, contract)
        {
            let message = format!("rpc {short} of {service} is called {new} now");
            let tell = "tell its callers, who are refused under the former name, or keep that name".to_owned();
            return self.report(&[Rule::RPC_NO_DELETE], name, self.places.service(service), message, tell);
        }
        let (Some(now), Some(method)) = (now, method) else {
            let message = format!("rpc {short} was removed from {service}");
            let keep = "keep it, and mark it `option deprecated = true;`".to_owned();
            return self.report(&[Rule::RPC_NO_DELETE], name, self.places.service(service), message, keep);
        };
        self.carried(&method, was, now);
        self.routes(&method, was, now);
    }

    /// What an rpc takes and gives.
    fn carried(&mut self, method: &MethodDescriptor, was: &RpcShape, now: &RpcShape) {
        let changes = [
            (Rule::RPC_SAME_REQUEST_TYPE, "the request", &was.request, &now.request),
            (Rule::RPC_SAME_RESPONSE_TYPE, "the reply", &was.reply, &now.reply),
        ];
        let changed = changes.into_iter().filter(|(.., was, now)| was != now);
        let mut texts: Vec<_> = changed
            .map(|(rule, what, was, now)| (rule, format!("{what} of rpc {} was {was} and is {now} now", method.name())))
            .collect();
        let streams = [
            (Rule::RPC_SAME_CLIENT_STREAMING, "requests", was.request_stream, now.request_stream),
            (Rule::RPC_SAME_SERVER_STREAMING, "replies", was.reply_stream, now.reply_stream),
        ];
        texts.extend(streams.into_iter().filter(|(.., was, now)| was != now).map(|(rule, what, _, now)| {
            let became = if now { "stream" } else { "no longer stream" };
            (rule, format!("the {what} of rpc {} {became} now", method.name()))
        }));
        for (rule, message) in texts {
            let keep = "keep the rpc, and add one of another name".to_owned();
            self.report(&[rule], method.full_name(), Some(self.places.method(method)), message, keep);
        }
    }

    /// REST routes: buf knows nothing of them.
    fn routes(&mut self, method: &MethodDescriptor, was: &RpcShape, now: &RpcShape) {
        for route in was.routes.iter().filter(|it| !now.routes.contains(it)) {
            let same_path = now.routes.iter().find(|it| it.method == route.method && it.path == route.path);
            let shown = format!("{} {}", route.method, route.path);
            let message = match same_path {
                Some(now) => format!("route `{shown}` {} now", body_change(route, now)),
                None => format!("rpc {} is no longer served at `{shown}`", method.name()),
            };
            self.findings.push(Finding {
                code: Code::RouteRemoved,
                symbol: method.full_name().to_owned(),
                location: Some(self.places.method(method)),
                message,
                ways_out: vec!["keep the route, as one of `additional_bindings` in (google.api.http)".to_owned()],
                rules: Vec::new(),
                acceptable: Vec::new(),
            });
        }
    }

    fn errors(&mut self, was: &Contract, now: &Contract) {
        for (code, error) in &was.errors {
            let message = match now.errors.get(code) {
                None => format!("error code `{code}` was removed"),
                Some(it) if it.message != error.message => {
                    format!("error code `{code}` came with {} and comes with {} now", error.message, it.message)
                }
                Some(it) if it.retryable != error.retryable => {
                    let shown = |it: bool| if it { "retryable" } else { "not retryable" };
                    format!("error code `{code}` was {} and is {} now", shown(error.retryable), shown(it.retryable))
                }
                Some(_) => continue,
            };
            self.findings.push(Finding {
                code: Code::ErrorCodeRemoved,
                symbol: error.message.clone(),
                location: self.places.message(&error.message).or_else(|| self.places.module()),
                message,
                ways_out: vec!["keep the error event as it was: callers decide by its code".to_owned()],
                rules: Vec::new(),
                acceptable: Vec::new(),
            });
        }
    }

    fn messages(&mut self) {
        for (name, was) in self.was.messages() {
            match self.now.message(name) {
                Some(now) => difference::of_messages(name, was, now).into_iter().for_each(|it| self.judge(it)),
                None => {
                    let message = format!("message {name} was removed");
                    let place = self.places.module();
                    self.report(&[Rule::MESSAGE_NO_DELETE], name, place, message, "keep it".to_owned());
                }
            }
        }
    }

    fn enums(&mut self) {
        for (name, was) in self.was.enums() {
            match self.now.enumeration(name) {
                Some(now) => difference::of_enums(name, was, now).into_iter().for_each(|it| self.judge(it)),
                // Nothing reaches it any more; what led to it was reported.
                None if self.places.pool().get_enum_by_name(name).is_some() => {}
                None => {
                    let message = format!("enum {name} was removed");
                    let place = self.places.module();
                    self.report(&[Rule::ENUM_NO_DELETE], name, place, message, "keep it".to_owned());
                }
            }
        }
    }

    fn judge(&mut self, difference: Difference) {
        match difference {
            Difference::Field(field) => self.field(&field),
            Difference::FieldAdded(added) => self.added(&added),
            Difference::OneofGone { message, oneof } => {
                let text = format!("oneof `{oneof}` was removed from {message}");
                self.at(&[Rule::ONEOF_NO_DELETE], &At::Message(message, oneof), text, "keep it".to_owned());
            }
            Difference::Value(value) => self.value(&value),
            Difference::ReservedValueUsed(value) => {
                let text =
                    format!("value `{}` (number {}) of {} uses what was reserved", value.name, value.number, value.of);
                let keep = "give it a name and a number that were never used".to_owned();
                self.at(&[Rule::RESERVED_ENUM_NO_DELETE], &At::Value(value.of, value.number), text, keep);
            }
            Difference::ReservationGone { of, kind, what } => {
                let (rule, at) = match kind {
                    Kind::Message => (Rule::RESERVED_MESSAGE_NO_DELETE, At::Message(of.clone(), what.clone())),
                    Kind::Enum => (Rule::RESERVED_ENUM_NO_DELETE, At::Enum(of.clone(), what.clone())),
                };
                let text = format!("{what} is no longer reserved in {of}");
                self.at(&[rule], &at, text, format!("write `reserved {what};` again"));
            }
        }
    }

    fn field(&mut self, field: &FieldDifference) {
        let (was, number) = (&field.was, field.number);
        let Some(now) = &field.now else {
            let text = format!("field `{}` (number {number}) was removed from {}", was.name, field.message);
            let keep = format!(
                "keep it with `[deprecated = true]`, or reserve it: `reserved {number}; reserved \"{}\";`",
                was.name
            );
            return self.at(&removal_rules(field), &At::Message(field.message.clone(), number.to_string()), text, keep);
        };
        let rules = field_rules(was, now, (self.was, self.now));
        let (from, to) = declared(was, now);
        let text = format!("field {number} of {} was `{from}` and is `{to}` now", field.message);
        let is_renamed = FieldShape { name: was.name.clone(), json_name: was.json_name.clone(), ..now.clone() } == *was;
        let keep = match is_renamed {
            true => format!("keep its name, or at least that in JSON: `[json_name = \"{}\"]`", was.json_name),
            false => "keep the field, and add one with a number of its own".to_owned(),
        };
        self.at(&rules, &At::Field(field.message.clone(), number), text, keep);
    }

    fn added(&mut self, added: &AddedField) {
        let (name, number) = (&added.field.name, added.number);
        let mut rules = Vec::new();
        if added.number_was_reserved || added.name_was_reserved {
            rules.push(Rule::RESERVED_MESSAGE_NO_DELETE);
        }
        if added.field.cardinality == Cardinality::Required {
            rules.push(Rule::MESSAGE_SAME_REQUIRED_FIELDS);
        }
        let text = match rules.contains(&Rule::RESERVED_MESSAGE_NO_DELETE) {
            true => format!("field `{name}` (number {number}) of {} uses what was reserved", added.message),
            false => format!("the new field `{name}` of {} is required", added.message),
        };
        let keep = "make it an optional field with a name and a number that were never used".to_owned();
        self.at(&rules, &At::Field(added.message.clone(), number), text, keep);
    }

    fn value(&mut self, value: &ValueDifference) {
        let (of, number, lost) = (&value.of, value.number, value.lost.join("`, `"));
        if value.now.is_empty() {
            let mut rules = vec![Rule::ENUM_VALUE_NO_DELETE];
            if !value.number_reserved {
                rules.push(Rule::ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED);
            }
            if !value.names_reserved {
                rules.push(Rule::ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED);
            }
            let text = format!("value `{lost}` (number {number}) was removed from {of}");
            let keep = format!("keep it with `[deprecated = true]`, or reserve it: `reserved {number};`");
            return self.at(&rules, &At::Enum(of.clone(), number.to_string()), text, keep);
        }
        let text = format!("value {number} of {of} was `{lost}` and is `{}` now", value.now.join("`, `"));
        let keep = "keep the old name beside the new one, with `option allow_alias = true;`".to_owned();
        self.at(&[Rule::ENUM_VALUE_SAME_NAME], &At::Value(of.clone(), number), text, keep);
    }

    fn at(&mut self, rules: &[Rule], at: &At, message: String, keep: String) {
        let (symbol, location) = self.places.element(at);
        self.report(rules, &symbol, location, message, keep);
    }

    /// Reports what breaks a rule; the most lenient category tells how bad it is.
    fn report(&mut self, rules: &[Rule], symbol: &str, location: Option<Location>, message: String, keep: String) {
        let Some(level) = rules.iter().map(Rule::level).max() else { return };
        let code = match level {
            Category::Wire => Code::ContractWireBroken,
            Category::WireJson => Code::ContractJsonBroken,
            Category::Package | Category::File => Code::ContractSourceBroken,
        };
        self.findings.push(Finding {
            code,
            symbol: symbol.to_owned(),
            location,
            message,
            ways_out: vec![keep],
            rules: rules.to_vec(),
            acceptable: Vec::new(),
        });
    }
}

fn body_change(was: &RouteShape, now: &RouteShape) -> String {
    let shown = |body: &Option<String>, whole: &str| match body.as_deref() {
        None => whole.to_owned(),
        Some("*") => "the whole request".to_owned(),
        Some(field) => format!("`{field}`"),
    };
    match was.body == now.body {
        false => format!("takes {} as its body", shown(&now.body, "nothing")),
        true => format!("answers with {}", shown(&now.response_body, "the whole reply")),
    }
}

/// A field as it was and as it is, as protos declare it; with all that there is to it where that is the same.
fn declared(was: &FieldShape, now: &FieldShape) -> (String, String) {
    match (declaration(was, false), declaration(now, false)) {
        (from, to) if from == to => (was.to_string(), now.to_string()),
        declared => declared,
    }
}

fn removal_rules(field: &FieldDifference) -> Vec<Rule> {
    let mut rules = vec![Rule::FIELD_NO_DELETE];
    if !field.number_reserved {
        rules.push(Rule::FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED);
    }
    if !field.name_reserved {
        rules.push(Rule::FIELD_NO_DELETE_UNLESS_NAME_RESERVED);
    }
    if field.was.cardinality == Cardinality::Required {
        rules.push(Rule::MESSAGE_SAME_REQUIRED_FIELDS);
    }
    rules
}

fn field_rules(was: &FieldShape, now: &FieldShape, types: (&Types, &Types)) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut add = |broken: bool, rule: Rule| rules.extend(broken.then_some(rule));
    add(was.name != now.name, Rule::FIELD_SAME_NAME);
    add(was.json_name != now.json_name, Rule::FIELD_SAME_JSON_NAME);
    add(was.default != now.default, Rule::FIELD_SAME_DEFAULT);
    add(oneof(was) != oneof(now), Rule::FIELD_SAME_ONEOF);
    let required = |it: &FieldShape| it.cardinality == Cardinality::Required;
    add(required(was) != required(now), Rule::MESSAGE_SAME_REQUIRED_FIELDS);

    let (from, to) = (Presence::of(was), Presence::of(now));
    add(from != to, Rule::FIELD_SAME_CARDINALITY);
    add(from.json_group() != to.json_group(), Rule::FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY);
    add(from.wire_group() != to.wire_group(), Rule::FIELD_WIRE_COMPATIBLE_CARDINALITY);

    let same_key = match (&was.cardinality, &now.cardinality) {
        (Cardinality::Map(was), Cardinality::Map(now)) => {
            [was == now, json_group(*was) == json_group(*now), on_wire(*was, *now)]
        }
        _ => [true; 3],
    };
    add(was.ty != now.ty || !same_key[0], Rule::FIELD_SAME_TYPE);
    add(!same_json_type(&was.ty, &now.ty, types) || !same_key[1], Rule::FIELD_WIRE_JSON_COMPATIBLE_TYPE);
    add(!same_wire_type(&was.ty, &now.ty, types) || !same_key[2], Rule::FIELD_WIRE_COMPATIBLE_TYPE);
    rules
}

fn oneof(field: &FieldShape) -> Option<&str> {
    match &field.cardinality {
        Cardinality::Oneof(oneof) => Some(oneof),
        _ => None,
    }
}

/// Cardinality as buf tells it: what is in a oneof is optional.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Implicit,
    Explicit,
    Required,
    Repeated,
    Map,
}

impl Presence {
    fn of(field: &FieldShape) -> Self {
        match field.cardinality {
            Cardinality::Implicit => Presence::Implicit,
            Cardinality::Optional | Cardinality::Oneof(_) => Presence::Explicit,
            Cardinality::Required => Presence::Required,
            Cardinality::Repeated => Presence::Repeated,
            Cardinality::Map(_) => Presence::Map,
        }
    }

    fn json_group(self) -> Self {
        if self == Presence::Implicit { Presence::Explicit } else { self }
    }

    fn wire_group(self) -> Self {
        if self == Presence::Map { Presence::Repeated } else { self.json_group() }
    }
}

/// Types that protobuf's documentation calls compatible, on the wire and in JSON.
fn same_json_type(was: &TypeShape, now: &TypeShape, types: (&Types, &Types)) -> bool {
    match (was, now) {
        (TypeShape::Scalar(was), TypeShape::Scalar(now)) => json_group(*was) == json_group(*now),
        _ => same_named_type(was, now, types),
    }
}

/// Types that protobuf's documentation calls compatible on the wire; some values of them may change.
fn same_wire_type(was: &TypeShape, now: &TypeShape, types: (&Types, &Types)) -> bool {
    match (was, now) {
        (TypeShape::Scalar(was), TypeShape::Scalar(now)) => on_wire(*was, *now),
        _ => same_named_type(was, now, types),
    }
}

fn json_group(scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::Uint32 => Scalar::Int32,
        Scalar::Uint64 => Scalar::Int64,
        Scalar::Sfixed32 => Scalar::Fixed32,
        Scalar::Sfixed64 => Scalar::Fixed64,
        other => other,
    }
}

fn on_wire(was: Scalar, now: Scalar) -> bool {
    let group = |scalar| match scalar {
        Scalar::Int64 | Scalar::Uint32 | Scalar::Uint64 | Scalar::Bool => Scalar::Int32,
        Scalar::Sint64 => Scalar::Sint32,
        other => json_group(other),
    };
    group(was) == group(now) || (was, now) == (Scalar::String, Scalar::Bytes)
}

/// The same message, or an enum of the same short name that has all values of the former.
fn same_named_type(was: &TypeShape, now: &TypeShape, (was_types, now_types): (&Types, &Types)) -> bool {
    let (TypeShape::Enum(was_name), TypeShape::Enum(now_name)) = (was, now) else { return was == now };
    let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let (Some(was), Some(now)) = (was_types.enumeration(was_name), now_types.enumeration(now_name)) else {
        return was_name == now_name;
    };
    let has_all = was
        .values
        .iter()
        .all(|(number, names)| now.values.get(number).is_some_and(|left| names.iter().all(|name| left.contains(name))));
    was_name == now_name || (short(was_name) == short(now_name) && has_all)
}
