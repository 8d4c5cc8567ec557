//! Read models in memory: rows by key, and what SQL would do with them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::read_model::{Table, Value};
use crate::store::{Condition, OrderBy, ProjectionError, RowChange, Selected, Selection, Test, contains_in_any_case};

/// The rows of one generation of a read model.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: BTreeMap<String, Row>,
    /// Which row has a value in a unique column; without absent values, of which there may be many.
    owners: BTreeMap<(&'static str, Comparable), String>,
}

#[derive(Debug)]
struct Row {
    values: Vec<Value>,
    bytes: Bytes,
}

/// A value in SQL's order: absent, then numbers, then texts, then bytes.
#[derive(Clone, Debug)]
struct Comparable(Value);

impl Rows {
    pub(super) fn get(&self, key: &str) -> Option<Bytes> {
        self.rows.get(key).map(|row| row.bytes.clone())
    }

    /// Removes and puts, or leaves everything as it is when two rows would then share a unique value.
    pub(super) fn apply(
        &mut self,
        table: &Table,
        put: Vec<RowChange>,
        remove: &[String],
    ) -> Result<(), ProjectionError> {
        self.check_unique(table, &put, remove)?;
        for key in remove.iter().chain(put.iter().map(|change| &change.key)) {
            self.take(table, key);
        }
        for change in put {
            for owned in unique_values(table, &change.values) {
                self.owners.insert(owned, change.key.clone());
            }
            self.rows.insert(change.key, Row { values: change.values, bytes: change.row });
        }
        Ok(())
    }

    fn check_unique(&self, table: &Table, put: &[RowChange], remove: &[String]) -> Result<(), ProjectionError> {
        let replaced: BTreeSet<&String> = remove.iter().chain(put.iter().map(|change| &change.key)).collect();
        let mut taken: BTreeMap<(&'static str, Comparable), &String> = BTreeMap::new();
        for change in put {
            for owned in unique_values(table, &change.values) {
                let owner = self.owners.get(&owned).filter(|owner| !replaced.contains(owner));
                let column = owned.0;
                if owner.or(taken.insert(owned, &change.key)).is_some_and(|owner| *owner != change.key) {
                    return Err(ProjectionError::NotUnique { key: change.key.clone(), column: column.to_owned() });
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, table: &Table, key: &str) {
        if let Some(row) = self.rows.remove(key) {
            for owned in unique_values(table, &row.values) {
                self.owners.remove(&owned);
            }
        }
    }

    pub(super) fn select(&self, table: &Table, selection: &Selection) -> Selected {
        let mut found: Vec<(&String, &Row)> =
            self.rows.iter().filter(|(key, row)| holds_all(table, &selection.conditions, key, row)).collect();
        // The sort is stable and the rows come by key, so the key is the last criterion by itself.
        found.sort_by(|left, right| compare_rows(table, &selection.order, *left, *right));
        let total = selection.count.then_some(found.len() as u64);
        let offset = usize::try_from(selection.offset).unwrap_or(usize::MAX);
        let limit = selection.limit.map_or(usize::MAX, |limit| limit as usize);
        let rows = found.into_iter().skip(offset).take(limit).map(|(_, row)| row.bytes.clone()).collect();
        Selected { rows, total }
    }
}

fn unique_values<'a>(table: &Table, values: &'a [Value]) -> impl Iterator<Item = (&'static str, Comparable)> + use<'a> {
    let columns = table.columns.iter().zip(values).filter(|(column, _)| column.unique);
    columns.filter_map(|(column, value)| known(value).map(|value| (column.name, Comparable(value.clone()))))
}

fn holds_all(table: &Table, conditions: &[Condition], key: &str, row: &Row) -> bool {
    conditions.iter().all(|condition| holds(&condition.test, &value_of(table, condition.column, key, row)))
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

fn compare_rows(table: &Table, order: &[OrderBy], left: (&String, &Row), right: (&String, &Row)) -> Ordering {
    let by_column = order.iter().map(|by| {
        let value = |(key, row): (&String, &Row)| value_of(table, by.column, key, row);
        let ordering = compare(&value(left), &value(right));
        if by.descending { ordering.reverse() } else { ordering }
    });
    by_column.fold(Ordering::Equal, Ordering::then)
}

/// A column that the table doesn't have is absent in every row.
fn value_of(table: &Table, column: &str, key: &str, row: &Row) -> Value {
    if column == table.key {
        return Value::Text(key.to_owned());
    }
    let place = table.columns.iter().position(|it| it.name == column);
    place.and_then(|place| row.values.get(place)).cloned().unwrap_or(Value::Null)
}

/// The value unless it is absent; what isn't a number counts as absent, as it does in SQLite.
fn known(value: &Value) -> Option<&Value> {
    match value {
        Value::Null => None,
        Value::Real(number) if number.is_nan() => None,
        value => Some(value),
    }
}

fn compare(left: &Value, right: &Value) -> Ordering {
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

impl Ord for Comparable {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for Comparable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Comparable {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Comparable {}
