//! Whether values of one type can be read as another.

use crate::shape::{Scalar, TypeShape};

/// How values that were written as one type read as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// As they were, from protobuf and from JSON, and JSON writes them as it did.
    Exact,
    /// As they were from protobuf; JSON is another.
    WireOnly,
    /// Some of them as other values, or not at all.
    No,
}

/// How values written as `was` read as `now`. For messages, and for two enums, only the encoding is told: what is in
/// them is compared apart.
///
/// Protobuf's groups of compatible types promise less than this: there, `int64` reads as `int32` with the high bits
/// cut off, and `int32` as `uint32` with another sign. What counts here is that no value changes.
pub(super) fn of_types(was: &TypeShape, now: &TypeShape) -> Fit {
    use TypeShape as T;
    match (was, now) {
        (T::Scalar(was), T::Scalar(now)) => of_scalars(*was, *now),
        (T::Message(_), T::Message(_)) | (T::Group(_), T::Group(_)) | (T::Enum(_), T::Enum(_)) => Fit::Exact,
        // Numbers of enums are written as int32; JSON has their names.
        (T::Enum(_), T::Scalar(Scalar::Int32 | Scalar::Int64)) | (T::Scalar(Scalar::Int32), T::Enum(_)) => {
            Fit::WireOnly
        }
        _ => Fit::No,
    }
}

/// How the keys of a map that were written as `was` read as `now`; in JSON they are strings, however wide they are.
pub(super) fn of_keys(was: Scalar, now: Scalar) -> Fit {
    if is_widened(was, now) { Fit::Exact } else { of_scalars(was, now) }
}

fn of_scalars(was: Scalar, now: Scalar) -> Fit {
    use Scalar::{Bool, Bytes, Int32, Int64, String, Uint32, Uint64};
    match (was, now) {
        _ if was == now => Fit::Exact,
        // JSON has strings for 64-bit types, and numbers for others.
        _ if is_widened(was, now) => Fit::WireOnly,
        (Bool, Int32 | Int64 | Uint32 | Uint64) => Fit::WireOnly,
        (String, Bytes) => Fit::WireOnly,
        _ => Fit::No,
    }
}

/// Whether a type has 64 bits instead of 32, and no value is out of its range.
fn is_widened(was: Scalar, now: Scalar) -> bool {
    use Scalar::{Int32, Int64, Sint32, Sint64, Uint32, Uint64};
    matches!((was, now), (Int32, Int64) | (Uint32, Uint64 | Int64) | (Sint32, Sint64))
}

#[cfg(test)]
mod tests {
    use prost::encoding::{WireType, decode_key, encode_key, encode_varint};
    use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};

    use super::*;

    /// A message with one field of every scalar type, its number being the type's place in `Scalar::ALL` plus one.
    fn pool() -> DescriptorPool {
        let fields: String = Scalar::ALL.iter().zip(1..).map(|(it, n)| format!("optional {it} f{n} = {n};")).collect();
        let declaration = format!("message All {{ {fields} }}");
        crate::testing::compile(&declaration).pool().clone()
    }

    /// Values at the ends of each type's range, and small ones.
    fn values(scalar: Scalar) -> Vec<Value> {
        match scalar {
            Scalar::Double => vec![Value::F64(1.5), Value::F64(0.1)],
            Scalar::Float => vec![Value::F32(1.5), Value::F32(-0.25)],
            Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => [1, -1, i32::MIN, i32::MAX].map(Value::I32).to_vec(),
            Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => [1, -1, i64::MIN, i64::MAX].map(Value::I64).to_vec(),
            Scalar::Uint32 | Scalar::Fixed32 => [1, 77, u32::MAX].map(Value::U32).to_vec(),
            Scalar::Uint64 | Scalar::Fixed64 => [1, 77, u64::MAX].map(Value::U64).to_vec(),
            Scalar::Bool => vec![Value::Bool(true), Value::Bool(false)],
            Scalar::String => vec![Value::String("a".into()), Value::String("é".into())],
            Scalar::Bytes => vec![Value::Bytes(vec![0xff].into()), Value::Bytes(b"a".to_vec().into())],
        }
    }

    /// Whether a value means the same, whatever Rust type holds it.
    fn meaning(value: &Value) -> String {
        match value {
            Value::I32(it) => it.to_string(),
            Value::I64(it) => it.to_string(),
            Value::U32(it) => it.to_string(),
            Value::U64(it) => it.to_string(),
            Value::Bool(it) => u8::from(*it).to_string(),
            Value::F32(it) => format!("{it:?} float"),
            Value::F64(it) => format!("{it:?} double"),
            Value::String(it) => format!("{:?}", it.as_bytes()),
            Value::Bytes(it) => format!("{:?}", it.as_ref()),
            other => panic!("{other:?} is no scalar"),
        }
    }

    /// Reads the bytes of a field under another number.
    fn on_wire(message: &DynamicMessage, to: u32) -> Option<DynamicMessage> {
        use prost::Message as _;
        let bytes = message.encode_to_vec();
        let mut rest = bytes.as_slice();
        let (_, wire_type): (u32, WireType) = decode_key(&mut rest).ok()?;
        let mut moved = Vec::new();
        encode_key(to, wire_type, &mut moved);
        moved.extend_from_slice(rest);
        DynamicMessage::decode(message.descriptor(), moved.as_slice()).ok()
    }

    /// Reads the JSON of a field under another name, if it would be written so again: its consumers read it as well.
    fn in_json(message: &DynamicMessage, from: &str, to: &str) -> Option<DynamicMessage> {
        let text = serde_json::to_string(message).ok()?.replace(&format!("\"{from}\""), &format!("\"{to}\""));
        let mut json = serde_json::Deserializer::from_str(&text);
        let read = DynamicMessage::deserialize(message.descriptor(), &mut json).ok()?;
        (serde_json::to_string(&read).ok()? == text).then_some(read)
    }

    /// What protobuf's own library makes of every pair of types is what this module says of them.
    #[test]
    fn the_verdict_on_every_pair_is_what_protobuf_does() {
        let all = pool().get_message_by_name("shop.All").expect("it is declared");
        for (was, from) in Scalar::ALL.iter().zip(1..) {
            for (now, to) in Scalar::ALL.iter().zip(1..) {
                let (mut wire, mut json) = (true, true);
                for value in values(*was) {
                    let mut message = DynamicMessage::new(all.clone());
                    message.set_field_by_number(from, value.clone());
                    let same = |read: Option<DynamicMessage>| {
                        read.is_some_and(|it| {
                            it.has_field_by_number(to)
                                && it.get_field_by_number(to).is_some_and(|it| meaning(&it) == meaning(&value))
                        })
                    };
                    wire &= same(on_wire(&message, to));
                    json &= same(in_json(&message, &format!("f{from}"), &format!("f{to}")));
                }
                let verdict = match (wire, json) {
                    (true, true) => Fit::Exact,
                    (true, false) => Fit::WireOnly,
                    (false, _) => Fit::No,
                };
                assert_eq!(of_scalars(*was, *now), verdict, "{was} read as {now}");
            }
        }
    }

    #[test]
    fn keys_of_maps_are_strings_in_json() {
        assert_eq!(of_keys(Scalar::Int32, Scalar::Int64), Fit::Exact);
        assert_eq!(of_keys(Scalar::Bool, Scalar::Int32), Fit::WireOnly, "`true` was the key, and not `1`");
        assert_eq!(of_keys(Scalar::Int64, Scalar::Int32), Fit::No);
    }

    #[test]
    fn an_enum_is_an_int32_on_the_wire() {
        let (of_enum, int32) = (TypeShape::Enum("E".into()), TypeShape::Scalar(Scalar::Int32));
        assert_eq!(of_types(&of_enum, &int32), Fit::WireOnly);
        assert_eq!(of_types(&int32, &of_enum), Fit::WireOnly);
        assert_eq!(of_types(&TypeShape::Scalar(Scalar::Int64), &of_enum), Fit::No);
        let mut bytes = Vec::new();
        encode_varint(u64::MAX, &mut bytes);
        assert_eq!(bytes.len(), 10, "-1 is sign-extended, so that int64 reads it too");
    }

    #[test]
    fn a_group_is_no_message_on_the_wire() {
        assert_eq!(of_types(&TypeShape::Group("M".into()), &TypeShape::Message("M".into())), Fit::No);
    }
}
