//! SQL text that stores and generator share, so that a migration and a rebuild make the same table.

use crate::read_model::{ColumnType, Table};

/// The column that holds the whole row as protobuf bytes. A field of a message can hardly be called that.
pub const ROW_COLUMN: &str = "potter_row";

/// What the framework's own tables begin with; a read model's table must not.
pub const RESERVED_PREFIX: &str = "potter_";

/// The statements, each ended by `;` and a line break, that make a read model's table in SQLite.
///
/// Plain indexes end with the key, because every selection is ordered by it in the end. Two underscores part table
/// and column in an index's name: with one, `order` and `item_name` would clash with `order_item` and `name`.
///
/// ```
/// use potter_core::read_model::{ColumnType, Table, TableColumn};
///
/// const COLUMNS: &[TableColumn] = &[
///     TableColumn { name: "category", ty: ColumnType::Text, indexed: true, unique: false },
///     TableColumn { name: "sku", ty: ColumnType::Text, indexed: false, unique: true },
///     TableColumn { name: "price", ty: ColumnType::Real, indexed: false, unique: false },
/// ];
/// let table = Table { name: "products", key: "id", columns: COLUMNS };
/// assert_eq!(
///     potter_core::store::sql::create_sqlite_table(&table, table.name, table.name),
///     r#"CREATE TABLE IF NOT EXISTS "products" (
///   "id" TEXT NOT NULL PRIMARY KEY,
///   "category" TEXT,
///   "sku" TEXT,
///   "price" REAL,
///   "potter_row" BLOB NOT NULL
/// ) STRICT;
/// CREATE INDEX IF NOT EXISTS "products__category" ON "products" ("category", "id");
/// CREATE UNIQUE INDEX IF NOT EXISTS "products__sku" ON "products" ("sku");
/// "#
/// );
/// ```
///
/// `name` is the table's name and `index_prefix` what its indexes' names begin with: both are the table's own name,
/// except in a rebuild, which makes the table a second time beside the first.
#[must_use]
pub fn create_sqlite_table(table: &Table, name: &str, index_prefix: &str) -> String {
    let mut text = format!("CREATE TABLE IF NOT EXISTS {} (\n", quoted(name));
    text += &format!("  {} TEXT NOT NULL PRIMARY KEY,\n", quoted(table.key));
    for column in table.columns {
        text += &format!("  {} {},\n", quoted(column.name), sqlite_type(column.ty));
    }
    text += &format!("  {} BLOB NOT NULL\n) STRICT;\n", quoted(ROW_COLUMN));
    for column in table.columns.iter().filter(|column| column.indexed || column.unique) {
        let index = quoted(&format!("{index_prefix}__{}", column.name));
        let (kind, columns) = if column.unique {
            ("UNIQUE INDEX", quoted(column.name))
        } else {
            ("INDEX", format!("{}, {}", quoted(column.name), quoted(table.key)))
        };
        text += &format!("CREATE {kind} IF NOT EXISTS {index} ON {} ({columns});\n", quoted(name));
    }
    text
}

/// An identifier in double quotes, so that it may be a keyword.
#[must_use]
pub fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn sqlite_type(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Bool | ColumnType::Integer => "INTEGER",
        ColumnType::Real => "REAL",
        ColumnType::Text => "TEXT",
        ColumnType::Bytes => "BLOB",
    }
}
