//! Selections, for whatever keeps rows without a language of its own to search them with.
//!
//! One meaning for all: what SQL would make of the columns. Absent comes first, then numbers, then texts byte by byte,
//! then bytes.

use std::cmp::Ordering;

use bytes::Bytes;

use super::{Condition, OrderBy, Selected, Selection, Test, contains_in_any_case};
use crate::read_model::{Table, Value};

/// A row that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    /// The key.
    pub key: &'r str,
    /// In the order of the table's columns.
    pub values: &'r [Value],
    /// Protobuf bytes of the whole row.
    pub bytes: &'r Bytes,
}

/// The rows among these that a selection finds, in its order.
pub fn select<'r>(table: &Table, selection: &Selection, rows: impl Iterator<Item = Row<'r>>) -> Selected {
    let mut found: Vec<Row<'r>> = rows.filter(|row| holds_all(table, &selection.conditions, *row)).collect();
    found.sort_by(|left, right| compare_rows(table, &selection.order, *left, *right));
    let total = selection.count.then_some(found.len() as u64);
    let offset = usize::try_from(selection.offset).unwrap_or(usize::MAX);
    let limit = selection.limit.map_or(usize::MAX, |limit| limit as usize);
    let rows = found.into_iter().skip(offset).take(limit).map(|row| row.bytes.clone()).collect();
    Selected { rows, total }
}

fn holds_all(table: &Table, conditions: &[Condition], row: Row<'_>) -> bool {
    conditions.iter().all(|condition| holds(&condition.test, &value_of(table, condition.column, row)))
}

fn holds(test: &Test, value: &Value) -> bool {
    let is = |wanted: &Value, orderings: &[Ordering]| {
        known(value).zip(known(wanted)).is_some_and(|(value, wanted)| orderings.contains(&compare(value, wanted)))
    };
    let equals = |wanted: &Value| match known(wanted) {
        None => known(value).is_none(),
        Some(wanted) => is(wanted, &[Ordering::Equal]),
    };
    match test {
        Test::Equals(wanted) => equals(wanted),
        Test::AtLeast(bound) => is(bound, &[Ordering::Greater, Ordering::Equal]),
        Test::AtMost(bound) => is(bound, &[Ordering::Less, Ordering::Equal]),
        Test::MoreThan(bound) => is(bound, &[Ordering::Greater]),
        Test::LessThan(bound) => is(bound, &[Ordering::Less]),
        Test::AnyOf(wanted) => wanted.iter().any(equals),
        Test::Contains(part) => matches!(value, Value::Text(text) if contains_in_any_case(text, part)),
    }
}

/// The key is the last criterion, so that pages don't overlap.
fn compare_rows(table: &Table, order: &[OrderBy], left: Row<'_>, right: Row<'_>) -> Ordering {
    let by_column = order.iter().map(|by| {
        let ordering = compare(&value_of(table, by.column, left), &value_of(table, by.column, right));
        if by.descending { ordering.reverse() } else { ordering }
    });
    by_column.fold(Ordering::Equal, Ordering::then).then_with(|| left.key.cmp(right.key))
}

/// A column that the table doesn't have is absent in every row.
fn value_of(table: &Table, column: &str, row: Row<'_>) -> Value {
    if column == table.key {
        return Value::Text(row.key.to_owned());
    }
    let place = table.columns.iter().position(|it| it.name == column);
    place.and_then(|place| row.values.get(place)).cloned().unwrap_or(Value::Null)
}

/// The value unless it is absent; what isn't a number counts as absent, as it does in SQLite.
#[must_use]
pub fn known(value: &Value) -> Option<&Value> {
    match value {
        Value::Null => None,
        Value::Real(number) if number.is_nan() => None,
        value => Some(value),
    }
}

/// Compares values in the order of all stores.
#[must_use]
pub fn compare(left: &Value, right: &Value) -> Ordering {
    match (known(left), known(right)) {
        (Some(Value::Text(left)), Some(Value::Text(right))) => left.cmp(right),
        (Some(Value::Bytes(left)), Some(Value::Bytes(right))) => left.cmp(right),
        (Some(left), Some(right)) => match (number(left), number(right)) {
            (Some(Number::Integer(left)), Some(Number::Integer(right))) => left.cmp(&right),
            (Some(left), Some(right)) => left.approximate().total_cmp(&right.approximate()),
            _ => class(left).cmp(&class(right)),
        },
        (left, right) => left.is_some().cmp(&right.is_some()),
    }
}

#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Real(f64),
}

impl Number {
    fn approximate(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            // 0.0 and -0.0 are the same number.
            Self::Real(number) => number + 0.0,
        }
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(yes) => Some(Number::Integer(i64::from(*yes))),
        Value::Integer(number) => Some(Number::Integer(*number)),
        Value::Real(number) => Some(Number::Real(*number)),
        Value::Null | Value::Text(_) | Value::Bytes(_) => None,
    }
}

fn class(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Bytes(_) => 3,
    }
}
