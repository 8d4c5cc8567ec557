//! Read models in memory: rows by key, and what SQL would do with them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::read_model::{Table, Value};
use crate::store::rows::{self, compare, known};
use crate::store::{ProjectionError, RowChange, Selected, Selection};

/// The rows of one generation of a read model.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    rows: BTreeMap<String, Row>,
    /// Which row has a value in a unique column; without absent values, of which there may be many.
    owners: BTreeMap<(&'static str, Comparable), String>,
}

#[derive(Clone, Debug)]
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
        let rows = self.rows.iter().map(|(key, row)| rows::Row { key, values: &row.values, bytes: &row.bytes });
        rows::select(table, selection, rows)
    }
}

fn unique_values<'a>(table: &Table, values: &'a [Value]) -> impl Iterator<Item = (&'static str, Comparable)> + use<'a> {
    let columns = table.columns.iter().zip(values).filter(|(column, _)| column.unique);
    columns.filter_map(|(column, value)| known(value).map(|value| (column.name, Comparable(value.clone()))))
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
