//! SQL text that stores and generator share, so that a migration and a rebuild make the same table.

use crate::read_model::{ColumnType, Table, TableColumn};

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
    let key = format!("{} TEXT NOT NULL PRIMARY KEY", quoted(table.key));
    let mut text = create_table(table, name, &key, sqlite_type, "BLOB NOT NULL\n) STRICT");
    for (column, keys) in indexes(table, "") {
        let index = quoted(&format!("{index_prefix}__{}", column.name));
        text += &create_index(column, &index, &quoted(name), &keys);
    }
    text
}

/// The statements, each ended by `;` and a line break, that make a read model's table in PostgreSQL.
///
/// Texts compare byte by byte whatever the database's locale, and absent values come first in an index, as
/// they do in every selection. Pages are filled to seven tenths: where the next version of a row fits beside the last
/// and no indexed value has changed, indexes need not be touched, which is half of the work.
///
/// ```
/// use potter_core::read_model::{ColumnType, Table, TableColumn};
///
/// const COLUMNS: &[TableColumn] = &[
///     TableColumn::new("category", ColumnType::Text).indexed(),
///     TableColumn::new("sku", ColumnType::Text).unique(),
///     TableColumn::new("sold_out", ColumnType::Bool),
/// ];
/// let table = Table { name: "products", key: "id", columns: COLUMNS };
/// assert_eq!(
///     potter_core::store::sql::create_postgres_table(&table, table.name),
///     r#"CREATE TABLE IF NOT EXISTS "products" (
///   "id" TEXT COLLATE "C" NOT NULL CONSTRAINT "products__key" PRIMARY KEY,
///   "category" TEXT COLLATE "C",
///   "sku" TEXT COLLATE "C",
///   "sold_out" BOOLEAN,
///   "potter_row" BYTEA NOT NULL
/// ) WITH (fillfactor = 70);
/// CREATE INDEX IF NOT EXISTS "products__category" ON "products" ("category" NULLS FIRST, "id");
/// CREATE UNIQUE INDEX IF NOT EXISTS "products__sku" ON "products" ("sku");
/// "#
/// );
/// ```
///
/// `name` is the table's own, except in a rebuild. Names that are too long for PostgreSQL are cut as
/// [`postgres_name`] says.
#[must_use]
pub fn create_postgres_table(table: &Table, name: &str) -> String {
    let constraint = quoted(&postgres_name(&format!("{name}__key")));
    let key = format!("{} TEXT COLLATE \"C\" NOT NULL CONSTRAINT {constraint} PRIMARY KEY", quoted(table.key));
    let mut text = create_table(
        table,
        &postgres_name(name),
        &key,
        postgres_column_type,
        "BYTEA NOT NULL\n) WITH (fillfactor = 70)",
    );
    for (column, keys) in indexes(table, " NULLS FIRST") {
        let index = quoted(&postgres_index(name, column.name));
        text += &create_index(column, &index, &quoted(&postgres_name(name)), &keys);
    }
    text
}

/// What the databases have in common: the key, a column each, the whole row.
fn create_table(table: &Table, name: &str, key: &str, ty: fn(ColumnType) -> &'static str, row: &str) -> String {
    let mut text = format!("CREATE TABLE IF NOT EXISTS {} (\n  {key},\n", quoted(name));
    for column in table.columns {
        text += &format!("  {} {},\n", quoted(column.name), ty(column.ty));
    }
    text + &format!("  {} {row};\n", quoted(ROW_COLUMN))
}

/// The columns that have an index, and what it is made of.
fn indexes<'a>(table: &'a Table, absent_first: &'a str) -> impl Iterator<Item = (&'a TableColumn, String)> {
    let columns = table.columns.iter().filter(|column| column.indexed || column.unique);
    columns.map(move |column| match column.unique {
        true => (column, quoted(column.name)),
        false => (column, format!("{}{absent_first}, {}", quoted(column.name), quoted(table.key))),
    })
}

fn create_index(column: &TableColumn, index: &str, name: &str, keys: &str) -> String {
    let kind = if column.unique { "UNIQUE INDEX" } else { "INDEX" };
    format!("CREATE {kind} IF NOT EXISTS {index} ON {name} ({keys});\n")
}

/// The name of a column's index in PostgreSQL.
#[must_use]
pub fn postgres_index(table: &str, column: &str) -> String {
    postgres_name(&format!("{table}__{column}"))
}

/// A name as PostgreSQL can keep it: of one that is longer than 63 bytes the end is replaced by its hash, where the
/// server would cut it off and take two names for the same.
///
/// ```
/// # use potter_core::store::sql::postgres_name;
/// assert_eq!(postgres_name("products"), "products");
/// assert_eq!(postgres_name(&"a".repeat(64)), format!("{}_db007849f35ebbe5", "a".repeat(46)));
/// ```
#[must_use]
pub fn postgres_name(name: &str) -> String {
    const LONGEST: usize = 63;
    const HASH: usize = 17;
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let kept = (0..=LONGEST - HASH).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!("{}_{:016x}", &name[..kept], fnv(name.as_bytes()))
}

/// FNV-1a: the same in every version and on every machine.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
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

fn postgres_column_type(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Text => "TEXT COLLATE \"C\"",
        ColumnType::Bool | ColumnType::Integer | ColumnType::Real | ColumnType::Bytes => postgres_type(ty),
    }
}

/// What a column's values are called in PostgreSQL.
#[must_use]
pub fn postgres_type(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Bool => "BOOLEAN",
        ColumnType::Integer => "BIGINT",
        ColumnType::Real => "DOUBLE PRECISION",
        ColumnType::Text => "TEXT",
        ColumnType::Bytes => "BYTEA",
    }
}
