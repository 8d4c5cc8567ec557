//! Values at random, and whether they are still the same.

use std::collections::HashMap;

use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

/// Throws that follow from a seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed | 1)
    }

    /// A number below `sides`.
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.throw(choices.len())].clone()
    }
}

/// A message with values in some of its fields, defaults among them.
pub fn filled(descriptor: &MessageDescriptor, dice: &mut Dice, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    let is_timestamp = descriptor.full_name() == "google.protobuf.Timestamp";
    for field in descriptor.fields() {
        let is_too_deep = depth > 2 && matches!(field.kind(), Kind::Message(_));
        if is_too_deep || dice.throw(4) == 0 {
            continue;
        }
        // Few seconds have a JSON.
        let value = if is_timestamp { small_number(&field, dice) } else { any_of(&field, dice, depth) };
        message.set_field(&field, value);
    }
    message
}

fn small_number(field: &FieldDescriptor, dice: &mut Dice) -> Value {
    let number = dice.throw(2);
    match field.kind() {
        Kind::Int64 => Value::I64(number as i64),
        _ => Value::I32(number as i32),
    }
}

fn any_of(field: &FieldDescriptor, dice: &mut Dice, depth: usize) -> Value {
    let count = dice.throw(3);
    if field.is_map() {
        let entry = field.kind();
        let entry = entry.as_message().expect("maps are made of entries");
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let entries = (0..count).map(|_| (any_key(&key, dice), any_value(&value, dice, depth)));
        return Value::Map(entries.collect::<HashMap<_, _>>());
    }
    match field.is_list() {
        true => Value::List((0..count).map(|_| any_value(&field.kind(), dice, depth)).collect()),
        false => any_value(&field.kind(), dice, depth),
    }
}

fn any_key(kind: &Kind, dice: &mut Dice) -> MapKey {
    match any_value(kind, dice, 0) {
        Value::Bool(it) => MapKey::Bool(it),
        Value::I32(it) => MapKey::I32(it),
        Value::I64(it) => MapKey::I64(it),
        Value::U32(it) => MapKey::U32(it),
        Value::U64(it) => MapKey::U64(it),
        Value::String(it) => MapKey::String(it),
        other => panic!("{other:?} is no key"),
    }
}

fn any_value(kind: &Kind, dice: &mut Dice, depth: usize) -> Value {
    match kind {
        Kind::Double => Value::F64(dice.one_of(&[0.0, 1.5, 0.1, -2.0])),
        Kind::Float => Value::F32(dice.one_of(&[0.0, 1.5, 0.1, -2.0])),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(dice.one_of(&[0, 1, 2, -1, i32::MIN, i32::MAX])),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(dice.one_of(&[0, 1, 2, -1, i64::MIN, i64::MAX])),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(dice.one_of(&[0, 1, 2, 77, u32::MAX])),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(dice.one_of(&[0, 1, 2, 77, u64::MAX])),
        Kind::Bool => Value::Bool(dice.one_of(&[false, true])),
        Kind::String => Value::String(dice.one_of(&["", "a", "é", "\u{8}\u{1}"]).to_owned()),
        Kind::Bytes => Value::Bytes(dice.one_of(&[vec![], vec![0xff], b"a".to_vec()]).into()),
        Kind::Enum(of) => Value::EnumNumber(dice.one_of(&of.values().map(|it| it.number()).collect::<Vec<_>>())),
        Kind::Message(of) => Value::Message(filled(of, dice, depth + 1)),
    }
}

/// Whether a message says what it said when it was of another shape; else what is gone or another.
pub fn same(was: &DynamicMessage, now: &DynamicMessage) -> Result<(), String> {
    was.descriptor().fields().try_for_each(|field| {
        same_field(&field, was, now).map_err(|why| format!("{}: {why}; it was {was:?} and is {now:?}", field.name()))
    })
}

fn same_field(field: &FieldDescriptor, was: &DynamicMessage, now: &DynamicMessage) -> Result<(), String> {
    let Some(other) = now.descriptor().get_field(field.number()) else { return Err("it is gone".to_owned()) };
    if now.descriptor().get_field_by_name(field.name()).is_some_and(|it| it.number() != field.number()) {
        return Err("another field has its name".to_owned());
    }
    if field.supports_presence() && was.has_field(field) != now.has_field(&other) {
        return Err("whether it is there is told otherwise".to_owned());
    }
    if matches!(field.kind(), Kind::Message(_)) && !was.has_field(field) {
        return if now.has_field(&other) { Err("it was not there".to_owned()) } else { Ok(()) };
    }
    let (before, after) = (was.get_field(field), now.get_field(&other));
    match (&*before, &*after) {
        (Value::List(before), Value::List(after)) if before.len() == after.len() => {
            before.iter().zip(after).try_for_each(|(a, b)| same_value((a, &field.kind()), (b, &other.kind())))
        }
        (Value::Map(before), Value::Map(after)) if before.len() == after.len() => {
            let values = |field: &FieldDescriptor| Some(field.kind().as_message()?.map_entry_value_field().kind());
            let (Some(was), Some(now)) = (values(field), values(&other)) else { return Err("no map".to_owned()) };
            before.iter().try_for_each(|(key, value)| {
                let found = after.iter().find(|(it, _)| key_meaning(it) == key_meaning(key));
                found.map_or(Err(format!("{key:?} is gone")), |(_, it)| same_value((value, &was), (it, &now)))
            })
        }
        (before, after) => same_value((before, &field.kind()), (after, &other.kind())),
    }
}

fn same_value(was: (&Value, &Kind), now: (&Value, &Kind)) -> Result<(), String> {
    match (was, now) {
        ((Value::Message(was), _), (Value::Message(now), _)) => return same(was, now),
        ((Value::EnumNumber(was), Kind::Enum(of)), (Value::EnumNumber(now), Kind::Enum(then))) if was == now => {
            return same_name(*was, of, then);
        }
        _ => {}
    }
    match meaning(was.0).is_some() && meaning(was.0) == meaning(now.0) {
        true => Ok(()),
        false => Err(format!("{:?} is {:?}", was.0, now.0)),
    }
}

/// Whether the name that a number of an enum had is not gone, and not another number's.
fn same_name(number: i32, was: &EnumDescriptor, now: &EnumDescriptor) -> Result<(), String> {
    let Some(value) = was.get_value(number) else { return Ok(()) };
    match (now.get_value(number), now.get_value_by_name(value.name())) {
        (None, _) => Err(format!("value {} is gone", value.name())),
        (Some(_), Some(it)) if it.number() != number => Err(format!("another value is called {}", value.name())),
        _ => Ok(()),
    }
}

/// What a value says, whatever type says it; none for what isn't a scalar.
fn meaning(value: &Value) -> Option<String> {
    Some(match value {
        Value::I32(it) | Value::EnumNumber(it) => it.to_string(),
        Value::I64(it) => it.to_string(),
        Value::U32(it) => it.to_string(),
        Value::U64(it) => it.to_string(),
        Value::Bool(it) => u8::from(*it).to_string(),
        Value::F32(it) => format!("{it:?} float"),
        Value::F64(it) => format!("{it:?} double"),
        Value::String(it) => format!("{:?}", it.as_bytes()),
        Value::Bytes(it) => format!("{:?}", it.as_ref()),
        Value::Message(_) | Value::List(_) | Value::Map(_) => return None,
    })
}

fn key_meaning(key: &MapKey) -> Option<String> {
    meaning(&Value::from(key.clone()))
}
