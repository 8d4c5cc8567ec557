//! Names of keys.
//!
//! All keys of a service share a hash tag, so that a cluster keeps them in one place and scripts may touch them together.
//! A read model's keys carry the shape of its table: what was written with other columns or indexes cannot be searched
//! with these, so after such a change the read model is built anew under other keys.

use std::collections::HashMap;

use potter_core::read_model::{Table, TableColumn};
use potter_core::store::Generation;
use potter_core::store::columns::generation as named;
use sha2::{Digest, Sha256};

/// Names the keys of a service's read models.
pub(crate) struct Names {
    prefix: String,
    /// Shapes of the tables, by name of the projection.
    shapes: HashMap<&'static str, String>,
}

/// The keys of one generation of a read model.
pub(crate) struct TableNames {
    /// Hash: key of the row, row.
    pub(crate) rows: String,
    /// Hash: key of the row, its members in the indexes.
    pub(crate) entries: String,
    /// Sorted set: keys of the rows.
    pub(crate) keys: String,
    /// Sorted set for each column that is indexed or unique.
    pub(crate) indexes: Vec<String>,
}

impl Names {
    pub(crate) fn new(service: &str, read_models: &[(&'static str, Table)]) -> Self {
        let shapes = read_models.iter().map(|(projection, table)| (*projection, shape(table))).collect();
        Self { prefix: format!("potter:{{{service}}}"), shapes }
    }

    /// Hash of a projection: `live` and `next` (checkpoints; `next` is there while it is rebuilt), `epoch`, `paused`; and of
    /// the last rebuild, each after `rebuild:`, `number`, `begins_with`, `begun_at`, `ended_at`, `failure`.
    pub(crate) fn projection(&self, projection: &str) -> String {
        let shape = self.shapes.get(projection).map_or("", String::as_str);
        format!("{}:{projection}:{shape}", self.prefix)
    }

    /// Hash of what a projection has parked: position, event.
    pub(crate) fn parked(&self, projection: &str, generation: Generation) -> String {
        format!("{}:parked:{}", self.projection(projection), named(generation))
    }

    /// Everything that a generation of a read model is kept in, in an order that is always the same.
    pub(crate) fn kept(&self, projection: &str, table: &Table, generation: Generation) -> Vec<String> {
        let TableNames { rows, entries, keys, indexes } = self.table(table, generation);
        [self.parked(projection, generation), rows, entries, keys].into_iter().chain(indexes).collect()
    }

    pub(crate) fn table(&self, table: &Table, generation: Generation) -> TableNames {
        let start = format!("{}:{}:{}:{}", self.prefix, table.name, shape(table), named(generation));
        TableNames {
            rows: format!("{start}:rows"),
            entries: format!("{start}:entries"),
            keys: format!("{start}:keys"),
            indexes: indexed(table).map(|column| format!("{start}:by:{}", column.name)).collect(),
        }
    }
}

/// The columns that have an index.
pub(crate) fn indexed(table: &Table) -> impl Iterator<Item = &'static TableColumn> + use<> {
    table.columns.iter().filter(|column| column.indexed || column.unique)
}

/// Some digits that differ when the columns do.
fn shape(table: &Table) -> String {
    let digest = Sha256::digest(format!("{} {:?}", table.key, table.columns));
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use potter_core::read_model::ColumnType;

    use super::*;

    const PLAIN: Table = Table { name: "things", key: "id", columns: &[TableColumn::new("group", ColumnType::Text)] };
    const INDEXED: Table =
        Table { name: "things", key: "id", columns: &[TableColumn::new("group", ColumnType::Text).indexed()] };

    #[test]
    fn another_shape_has_other_keys() {
        let names = |table| Names::new("shop", &[("Things", table)]);
        assert_ne!(names(PLAIN).projection("Things"), names(INDEXED).projection("Things"));
        let rows = |table: Table| names(table).table(&table, Generation::Live).rows;
        assert_ne!(rows(PLAIN), rows(INDEXED));
        assert_eq!(rows(PLAIN), rows(PLAIN));
    }
}
