//! A proto that changes at random, and is valid whatever happens to it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

/// The types that fields may have.
const TYPES: [&str; 20] = [
    "double",
    "float",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "sint32",
    "sint64",
    "fixed32",
    "fixed64",
    "sfixed32",
    "sfixed64",
    "bool",
    "string",
    "bytes",
    "Kind",
    "Line",
    "Extra",
    "google.protobuf.Timestamp",
    "google.protobuf.Int64Value",
];
const SCALARS: usize = 15;
const INT32: usize = 2;
const INT64: usize = 3;
const KIND: usize = 15;
const LINE: usize = 16;
/// Types whose values one might take for each other's.
const ALIKE: [usize; 12] = [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, KIND];
/// The types that keys of maps may have.
const KEYS: [&str; 6] = ["int32", "int64", "uint32", "uint64", "bool", "string"];

/// What an event and what it reaches look like today.
#[derive(Clone, Debug)]
pub struct World {
    is_proto2: bool,
    version: u32,
    /// What `Line` is called.
    line: &'static str,
    /// The event, `Line` and `Extra`.
    messages: [Message; 3],
    /// Names of `Kind`'s values by number.
    kind: BTreeMap<i32, usize>,
}

#[derive(Clone, Debug, Default)]
struct Message {
    fields: BTreeMap<u32, Field>,
    reserved: BTreeSet<u32>,
}

/// A field but for its number.
#[derive(Clone, Debug)]
pub struct Field {
    name: usize,
    ty: usize,
    label: Label,
    extra: Extra,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Plain,
    Optional,
    Required,
    Repeated,
    Map(usize),
    Oneof(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    None,
    JsonName,
    Default(i32),
}

/// What may happen to a proto; what can't be done does nothing.
#[derive(Clone, Debug)]
pub enum Change {
    Put(usize, u32, Field),
    Retype(usize, u32, usize),
    Relabel(usize, u32, Label),
    Rename(usize, u32, usize),
    Remove(usize, u32, bool),
    Swap(usize, u32, u32),
    Release(usize),
    Value(i32, usize),
    RemoveValue(i32),
    RenameLine,
    OtherSyntax,
    Raise,
}

impl Default for World {
    fn default() -> Self {
        let kind = BTreeMap::from([(0, 0), (1, 1), (2, 2)]);
        let mut messages: [Message; 3] = Default::default();
        messages[0].put(2, Field::new(0, KIND, Label::Plain));
        messages[0].put(3, Field::new(1, LINE, Label::Repeated));
        messages[0].put(4, Field::new(2, INT64, Label::Optional));
        messages[0].put(5, Field::new(3, LINE, Label::Oneof(0)));
        messages[1].put(2, Field::new(0, INT32, Label::Plain));
        messages[1].put(3, Field::new(1, KIND, Label::Optional));
        World { is_proto2: false, version: 1, line: "Line", messages, kind }
    }
}

impl Field {
    fn new(name: usize, ty: usize, label: Label) -> Self {
        Field { name, ty, label, extra: Extra::None }
    }
}

impl World {
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(of, number, field) => self.messages[*of].put(*number, field.clone()),
            Change::Retype(of, number, ty) => self.messages[*of].change(*number, |it| it.ty = *ty),
            Change::Relabel(of, number, label) => self.messages[*of].change(*number, |it| it.label = *label),
            Change::Rename(of, number, name) => {
                if let Some(field) = self.messages[*of].fields.get(number).cloned() {
                    self.messages[*of].put(*number, Field { name: *name, ..field });
                }
            }
            Change::Remove(of, number, reserve) => self.messages[*of].remove(*number, *reserve),
            Change::Swap(of, one, other) => self.messages[*of].swap(*one, *other),
            Change::Release(of) => self.messages[*of].reserved.clear(),
            Change::Value(number, name) => self.name_value(*number, *name),
            Change::RemoveValue(number) => drop(self.kind.remove(number)),
            Change::RenameLine => self.line = if self.line == "Line" { "Row" } else { "Line" },
            Change::OtherSyntax => self.is_proto2 = !self.is_proto2,
            Change::Raise => self.version += 1,
        }
    }

    /// Gives a value a name; whoever had it takes the name that becomes free.
    fn name_value(&mut self, number: i32, name: usize) {
        let before = self.kind.insert(number, name);
        let owner = self.kind.iter().find(|(it, of)| **it != number && **of == name).map(|(it, _)| *it);
        match (owner, before) {
            (Some(owner), Some(before)) => drop(self.kind.insert(owner, before)),
            (Some(owner), None) => drop(self.kind.remove(&owner)),
            (None, _) => {}
        }
        // The first value must be there, and be zero.
        let free = (0..).find(|it| self.kind.values().all(|name| name != it)).unwrap_or_default();
        self.kind.entry(0).or_insert(free);
    }

    /// The proto as it is today.
    pub fn proto(&self) -> String {
        let syntax = if self.is_proto2 { "proto2" } else { "proto3" };
        let [event, line, extra] = &self.messages;
        let label = if self.is_proto2 { "optional " } else { "" };
        let head = HEAD.replace("LABEL ", label);
        let version = self.version;
        let values: String = self.kind.iter().map(|(number, name)| format!("KIND_{name} = {number}; ")).collect();
        let (event, extra, line_fields) = (self.fields(event), self.fields(extra), self.fields(line));
        format!(
            "syntax = \"{syntax}\";\n{head}\nmessage OrderPlaced {{\n  option (potter.event) = {{ event_type: \
             \"order.placed\" aggregate: \"Order\" version: {version} }};\n  {label}string order_id = 1;\n{event}}}\n\
             message {} {{\n{line_fields}}}\nmessage Extra {{\n{extra}}}\nenum Kind {{ {values}}}\n",
            self.line
        )
    }

    fn fields(&self, message: &Message) -> String {
        let mut text = String::new();
        let in_oneof = |field: &Field, oneof| field.label == Label::Oneof(oneof);
        for (number, field) in &message.fields {
            if !matches!(field.label, Label::Oneof(_)) {
                text.push_str(&self.declaration(*number, field));
            }
        }
        for oneof in 0..2 {
            let members = message.fields.iter().filter(|(_, field)| in_oneof(field, oneof));
            let members: String = members.map(|(number, field)| self.declaration(*number, field)).collect();
            if !members.is_empty() {
                text.push_str(&format!("  oneof choice_{oneof} {{\n{members}  }}\n"));
            }
        }
        let reserved = message.reserved.iter().filter(|it| !message.fields.contains_key(it));
        reserved.for_each(|it| text.push_str(&format!("  reserved {it};\n")));
        text
    }

    fn declaration(&self, number: u32, field: &Field) -> String {
        let ty = if TYPES[field.ty] == "Line" { self.line } else { TYPES[field.ty] };
        let plain = if self.is_proto2 { "optional " } else { "" };
        let (label, ty) = match field.label {
            Label::Plain => (plain, ty.to_owned()),
            Label::Optional => ("optional ", ty.to_owned()),
            // Only proto2 knows it, and what contains itself can't require itself.
            Label::Required if self.is_proto2 && field.ty < SCALARS => ("required ", ty.to_owned()),
            Label::Required => (plain, ty.to_owned()),
            Label::Repeated => ("repeated ", ty.to_owned()),
            Label::Map(key) => ("", format!("map<{}, {ty}>", KEYS[key])),
            Label::Oneof(_) => ("", ty.to_owned()),
        };
        let is_single = !matches!(field.label, Label::Repeated | Label::Map(_));
        let extra = match field.extra {
            Extra::JsonName => format!(" [json_name = \"j{}\"]", field.name),
            Extra::Default(it) if self.is_proto2 && field.ty == INT32 && is_single => format!(" [default = {it}]"),
            Extra::None | Extra::Default(_) => String::new(),
        };
        format!("  {label}{ty} f{} = {number}{extra};\n", field.name)
    }
}

impl Message {
    /// Puts a field under a number; whoever had its name takes the one that becomes free.
    fn put(&mut self, number: u32, field: Field) {
        let name = field.name;
        let before = self.fields.insert(number, field);
        let owner = self.fields.iter().find(|(it, of)| **it != number && of.name == name).map(|(it, _)| *it);
        match (owner, before) {
            (Some(owner), Some(before)) => self.change(owner, |it| it.name = before.name),
            (Some(owner), None) => drop(self.fields.remove(&owner)),
            (None, _) => {}
        }
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Field)) {
        self.fields.get_mut(&number).map(change);
    }

    fn remove(&mut self, number: u32, reserve: bool) {
        if self.fields.remove(&number).is_some() && reserve {
            self.reserved.insert(number);
        }
    }

    fn swap(&mut self, one: u32, other: u32) {
        let (first, second) = (self.fields.remove(&one), self.fields.remove(&other));
        self.fields.extend(first.map(|it| (other, it)));
        self.fields.extend(second.map(|it| (one, it)));
    }
}

const HEAD: &str = r#"package shop;
import "potter/options.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

service Orders {
  option (potter.service) = { module_name: "shop" };
  rpc PlaceOrder(PlaceOrderRequest) returns (PlaceOrderReply) {
    option (potter.command) = { aggregate: "Order" creates: true };
  }
}
message Order { option (potter.aggregate) = {}; LABEL string order_id = 1; }
message PlaceOrderRequest {}
message PlaceOrderReply { LABEL string order_id = 1; }
"#;

fn label() -> impl Strategy<Value = Label> {
    prop_oneof![
        3 => Just(Label::Plain),
        2 => Just(Label::Optional),
        1 => Just(Label::Required),
        2 => Just(Label::Repeated),
        2 => (0..KEYS.len()).prop_map(Label::Map),
        3 => (0_usize..2).prop_map(Label::Oneof),
    ]
}

/// A type; mostly one of those between which a rule must decide.
fn ty() -> impl Strategy<Value = usize> {
    prop_oneof![4 => prop::sample::select(&ALIKE), 2 => 0..TYPES.len(), 1 => Just(KIND), 1 => Just(LINE)]
}

fn extra() -> impl Strategy<Value = Extra> {
    prop_oneof![4 => Just(Extra::None), 1 => Just(Extra::JsonName), 1 => (1_i32..4).prop_map(Extra::Default)]
}

fn field() -> impl Strategy<Value = Field> {
    (0_usize..8, ty(), label(), extra()).prop_map(|(name, ty, label, extra)| Field { name, ty, label, extra })
}

/// Which message, and which of its numbers.
fn place() -> impl Strategy<Value = (usize, u32)> {
    (prop_oneof![3 => Just(0_usize), 2 => Just(1), 1 => Just(2)], 2_u32..7)
}

fn put() -> impl Strategy<Value = Change> {
    (place(), field()).prop_map(|((of, number), field)| Change::Put(of, number, field))
}

/// What may happen on a day.
pub fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => put(),
        6 => (place(), ty()).prop_map(|((of, number), ty)| Change::Retype(of, number, ty)),
        4 => (place(), label()).prop_map(|((of, number), label)| Change::Relabel(of, number, label)),
        3 => (place(), 0_usize..8).prop_map(|((of, number), name)| Change::Rename(of, number, name)),
        2 => (place(), any::<bool>()).prop_map(|((of, number), reserve)| Change::Remove(of, number, reserve)),
        1 => (place(), 2_u32..7).prop_map(|((of, one), other)| Change::Swap(of, one, other)),
        1 => (0_usize..3).prop_map(Change::Release),
        3 => (0_i32..5, 0_usize..6).prop_map(|(number, name)| Change::Value(number, name)),
        2 => (1_i32..4).prop_map(Change::RemoveValue),
        1 => Just(Change::RenameLine),
        1 => Just(Change::OtherSyntax),
        4 => Just(Change::Raise),
    ]
}

/// What there is on the first day.
pub fn first_changes() -> impl Strategy<Value = Vec<Change>> {
    let syntax = prop_oneof![2 => Just(None), 1 => Just(Some(Change::OtherSyntax))];
    (syntax, prop::collection::vec(put(), 0..8)).prop_map(|(syntax, puts)| syntax.into_iter().chain(puts).collect())
}
