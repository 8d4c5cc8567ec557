//! Values as members of an index: a sorted set whose members all have the score 0, so that Redis orders them byte by
//! byte.
//!
//! A member is the value, written so that bytes are in the order of values, and the key of the row. No value's bytes
//! begin another's, so a range of members is a range of values.

use potter_core::read_model::{ColumnType, Value};
use potter_core::store::Test;
use potter_core::store::rows::known;

/// What the bytes of a value begin with; the scripts know these numbers as well.
const ABSENT: u8 = 0;
const NUMBER: u8 = 1;
const TEXT: u8 = 2;
const BYTES: u8 = 3;

/// Greater than whatever a key begins with: keys are UTF-8.
const AFTER_KEYS: u8 = 0xff;

/// The bytes of a value, without a key.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    match known(value) {
        None | Some(Value::Null) => vec![ABSENT],
        Some(Value::Bool(yes)) => number(i64::from(*yes).cast_unsigned() ^ SIGN),
        Some(Value::Integer(integer)) => number(integer.cast_unsigned() ^ SIGN),
        Some(Value::Real(real)) => number(in_order(*real)),
        Some(Value::Text(text)) => terminated(TEXT, text.as_bytes()),
        Some(Value::Bytes(bytes)) => terminated(BYTES, bytes),
    }
}

const SIGN: u64 = 1 << 63;

fn number(ordered: u64) -> Vec<u8> {
    let mut bytes = vec![NUMBER];
    bytes.extend_from_slice(&ordered.to_be_bytes());
    bytes
}

/// Negative numbers grow with their bits, so those are turned over; 0.0 and -0.0 are the same number.
fn in_order(real: f64) -> u64 {
    let bits = (real + 0.0).to_bits();
    if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
}

/// A zero is followed by 0xff, the end is a zero followed by a one.
fn terminated(class: u8, bytes: &[u8]) -> Vec<u8> {
    let mut encoded = vec![class];
    for byte in bytes {
        encoded.push(*byte);
        if *byte == 0 {
            encoded.push(0xff);
        }
    }
    encoded.extend_from_slice(&[0, 1]);
    encoded
}

/// From one member to another, as `ZRANGEBYLEX` takes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) min: Vec<u8>,
    pub(crate) max: Vec<u8>,
}

impl Range {
    /// All members.
    pub(crate) fn all() -> Self {
        Self { min: b"-".to_vec(), max: b"+".to_vec() }
    }

    fn of(value: &Value) -> Self {
        let value = encode(value);
        Self { min: from(&value), max: before(&value, true) }
    }
}

fn from(bytes: &[u8]) -> Vec<u8> {
    [b"[", bytes].concat()
}

/// Up to the bytes, with what begins with them or without.
fn before(bytes: &[u8], including: bool) -> Vec<u8> {
    let mut bound = [b"(", bytes].concat();
    if including {
        bound.push(AFTER_KEYS);
    }
    bound
}

/// The ranges in which the values of a column pass a test; `None` if an index doesn't tell.
pub(crate) fn ranges(ty: ColumnType, test: &Test) -> Option<Vec<Range>> {
    let present = from(&[NUMBER]);
    let bound = |value: &Value| (fits(ty, value) && known(value).is_some()).then(|| encode(value));
    Some(match test {
        Test::Equals(value) if fits(ty, value) => vec![Range::of(value)],
        Test::AnyOf(values) if values.iter().all(|value| fits(ty, value)) => {
            let mut ranges: Vec<_> = values.iter().map(Range::of).collect();
            ranges.sort();
            ranges.dedup();
            ranges
        }
        Test::AtLeast(value) => vec![Range { min: from(&bound(value)?), max: b"+".to_vec() }],
        Test::MoreThan(value) => {
            let mut min = from(&bound(value)?);
            min.push(AFTER_KEYS);
            vec![Range { min, max: b"+".to_vec() }]
        }
        Test::AtMost(value) => vec![Range { min: present, max: before(&bound(value)?, true) }],
        Test::LessThan(value) => vec![Range { min: present, max: before(&bound(value)?, false) }],
        Test::Equals(_) | Test::AnyOf(_) | Test::Contains(_) => return None,
    })
}

/// Whether a column's values are compared with such a value by their bytes.
fn fits(ty: ColumnType, value: &Value) -> bool {
    matches!(
        (ty, value),
        (_, Value::Null)
            | (ColumnType::Bool, Value::Bool(_))
            | (ColumnType::Integer, Value::Integer(_))
            | (ColumnType::Real, Value::Real(_))
            | (ColumnType::Text, Value::Text(_))
            | (ColumnType::Bytes, Value::Bytes(_))
    )
}

#[cfg(test)]
mod tests {
    use potter_core::store::rows::compare;
    use proptest::prelude::*;

    use super::*;

    fn pairs() -> impl Strategy<Value = (Value, Value)> {
        let pair = |value: BoxedStrategy<Value>| (value.clone(), value);
        prop_oneof![
            pair(prop_oneof![any::<i64>(), -2..2_i64].prop_map(Value::Integer).boxed()),
            pair(prop_oneof![any::<f64>(), Just(0.0), Just(-0.0), Just(f64::NAN)].prop_map(Value::Real).boxed()),
            pair(prop_oneof!["\\PC*", "[a\u{0}\u{1}]{0,4}"].prop_map(Value::Text).boxed()),
            pair(proptest::collection::vec(0..3_u8, 0..4).prop_map(Value::Bytes).boxed()),
            pair(prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool)].boxed()),
        ]
    }

    proptest! {
        #[test]
        fn bytes_are_in_the_order_of_values((left, right) in pairs(), keys in ("[a\u{0}\u{1}]{0,2}", "[a\u{0}\u{1}]{0,2}")) {
            let member = |value: &Value, key: &str| [&encode(value), key.as_bytes()].concat();
            let expected = compare(&left, &right).then_with(|| keys.0.cmp(&keys.1));
            prop_assert_eq!(member(&left, &keys.0).cmp(&member(&right, &keys.1)), expected);
        }
    }
}
