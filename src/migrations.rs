//! Migrations of the read models' tables: what was applied stays as it is, a change adds a file.
//!
//! In: the tables as `potter.lock` remembers them, and as the protos want them now. Out: the next migration, if one is
//! needed, and the list of all that the service applies.
//!
//! A table whose shape changed is not altered but made anew, and its projection's checkpoint is forgotten: the
//! projection then takes in all events again, which gives new columns the values that they should always have had.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::file::{Class, File};
use crate::render::{self, Bug};

/// Where the migrations for SQLite are, relative to the project.
pub const FOLDER: &str = "migrations/sqlite";

/// The name of the first migration.
const FIRST: &str = "0001_init";

/// The tables of a module by name.
pub type Tables = BTreeMap<String, Table>;

/// A read model's table, as far as a migration makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The projection that writes it: what its checkpoint is kept under.
    pub projection: String,
    /// Name of the key's column.
    pub key: String,
    /// The other columns, in order.
    pub columns: Vec<Column>,
}

/// A column beside the key. Its text is `name TYPE`, then `INDEX` or `UNIQUE` where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in SQLite.
    pub ty: String,
    /// Whether an index is made.
    pub indexed: bool,
    /// Whether two rows may not have the same.
    pub unique: bool,
}

impl From<Column> for String {
    fn from(column: Column) -> Self {
        let index = match (column.unique, column.indexed) {
            (true, _) => " UNIQUE",
            (false, true) => " INDEX",
            (false, false) => "",
        };
        format!("{} {}{index}", column.name, column.ty)
    }
}

impl TryFrom<String> for Column {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let (name, ty, index) = match words.as_slice() {
            [name, ty] => (name, ty, ""),
            [name, ty, index @ ("INDEX" | "UNIQUE")] => (name, ty, *index),
            _ => {
                return Err(format!("`{text}` is no column; write `name TYPE`, then INDEX or UNIQUE where it has one"));
            }
        };
        let (indexed, unique) = (index == "INDEX", index == "UNIQUE");
        Ok(Self { name: (*name).to_owned(), ty: (*ty).to_owned(), indexed, unique })
    }
}

/// What is there already.
#[derive(Clone, Debug, Default)]
pub struct Past<'a> {
    /// The tables as the migrations so far make them; none that is not known for sure.
    pub tables: Option<&'a Tables>,
    /// The names of the migrations, without `.sql`: Potter's and those that the user wrote.
    pub names: BTreeSet<String>,
}

/// The migration files that are added now: the next migration, if the tables changed, and the list of all.
///
/// # Errors
///
/// A bug in Potter.
pub fn files(module: &str, now: &Tables, past: &Past<'_>) -> Result<Vec<File>, Bug> {
    let mut names = past.names.clone();
    let mut files = Vec::new();
    if let Some((name, contents)) = next(now, past)? {
        names.insert(name.clone());
        files.push(File { path: path_of(&name), class: Class::Append, symbol: module.to_owned(), contents });
    }
    files.push(list(module, &names)?);
    Ok(files)
}

/// The path of a migration.
pub fn path_of(name: &str) -> String {
    format!("{FOLDER}/{name}.sql")
}

/// The name of the migration that a file of [`FOLDER`] is.
pub fn name_of(path: &str) -> Option<String> {
    let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".sql")?;
    (!name.contains('/')).then(|| name.to_owned())
}

fn next(now: &Tables, past: &Past<'_>) -> Result<Option<(String, String)>, Bug> {
    let none = Tables::new();
    let before = past.tables.unwrap_or(&none);
    let changed: Vec<&String> = now.iter().filter(|(name, it)| before.get(*name) != Some(it)).map(|it| it.0).collect();
    let gone: Vec<&String> = before.keys().filter(|name| !now.contains_key(*name)).collect();
    if changed.is_empty() && gone.is_empty() {
        return Ok(None);
    }
    let is_first = past.names.is_empty();
    let name = if is_first { FIRST.to_owned() } else { name(past, changed.iter().chain(&gone).copied()) };
    let drops = if is_first { Vec::new() } else { drops(&changed, &gone, before, now) };
    let tables = changed.iter().map(|name| TableView { name, table: &now[*name] }).collect();
    let contents = render::text("migration.sql.tera", &View { is_first, drops, tables })?;
    Ok(Some((name, contents)))
}

/// The number behind the last one, and the table if there is only one.
fn name<'a>(past: &Past<'_>, mut tables: impl Iterator<Item = &'a String>) -> String {
    let number = |name: &String| name.split('_').next().and_then(|it| it.parse::<u32>().ok());
    let last = past.names.iter().filter_map(number).max().unwrap_or(0);
    match (tables.next(), tables.next()) {
        (Some(only), None) => format!("{:04}_{only}", last + 1),
        _ => format!("{:04}_read_models", last + 1),
    }
}

/// Every table that goes or is made anew, with each projection that ever wrote it.
fn drops<'a>(changed: &[&'a String], gone: &[&'a String], before: &'a Tables, now: &'a Tables) -> Vec<DropView<'a>> {
    let projections = |name: &String| -> BTreeSet<&'a str> {
        [before, now].into_iter().filter_map(|it| it.get(name)).map(|it| it.projection.as_str()).collect()
    };
    let mut drops: Vec<_> =
        changed.iter().chain(gone).map(|it| DropView { table: it, projections: projections(it) }).collect();
    drops.sort_by_key(|it| it.table);
    drops
}

#[derive(Serialize)]
struct View<'a> {
    is_first: bool,
    drops: Vec<DropView<'a>>,
    tables: Vec<TableView<'a>>,
}

#[derive(Serialize)]
struct DropView<'a> {
    table: &'a str,
    projections: BTreeSet<&'a str>,
}

/// Columns are printed field by field, not as the lock has them.
struct TableView<'a> {
    name: &'a str,
    table: &'a Table,
}

impl Serialize for TableView<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            name: &'a str,
            key: &'a str,
            columns: Vec<FlatColumn<'a>>,
        }
        #[derive(Serialize)]
        struct FlatColumn<'a> {
            name: &'a str,
            ty: &'a str,
            indexed: bool,
            unique: bool,
        }
        let columns = self.table.columns.iter();
        let columns =
            columns.map(|it| FlatColumn { name: &it.name, ty: &it.ty, indexed: it.indexed, unique: it.unique });
        Flat { name: self.name, key: &self.table.key, columns: columns.collect() }.serialize(serializer)
    }
}

#[derive(Serialize)]
struct ListView<'a> {
    migrations: &'a BTreeSet<String>,
}

/// The list follows from the folder, not from the protos, so that the plugin has no part in it.
fn list(module: &str, names: &BTreeSet<String>) -> Result<File, Bug> {
    let contents = render::text("migrations.rs.tera", &ListView { migrations: names })?;
    Ok(File { path: format!("{FOLDER}/mod.rs"), class: Class::Generated, symbol: module.to_owned(), contents })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str]) -> Table {
        let columns = columns.iter().map(|it| Column::try_from((*it).to_owned()).expect("a column"));
        Table { projection: "Orders".into(), key: "id".into(), columns: columns.collect() }
    }

    fn tables(columns: &[&str]) -> Tables {
        Tables::from([("orders".to_owned(), table(columns))])
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    fn paths(files: &[File]) -> Vec<&str> {
        files.iter().map(|it| it.path.as_str()).collect()
    }

    #[test]
    fn the_first_one_makes_all_tables() {
        let files = files("shop", &tables(&["note TEXT INDEX"]), &Past::default()).expect("rendered");
        assert_eq!(paths(&files), ["migrations/sqlite/0001_init.sql", "migrations/sqlite/mod.rs"]);
        assert_eq!(
            files[0].contents,
            "-- Tables of the read models; the events themselves are in tables of the framework.\n\n\
             CREATE TABLE IF NOT EXISTS \"orders\" (\n  \"id\" TEXT NOT NULL PRIMARY KEY,\n  \"note\" TEXT,\n  \
             \"potter_row\" BLOB NOT NULL\n) STRICT;\n\
             CREATE INDEX IF NOT EXISTS \"orders__note\" ON \"orders\" (\"note\", \"id\");\n"
        );
        assert!(files[1].contents.contains("include_str!(\"0001_init.sql\")"), "{}", files[1].contents);
    }

    #[test]
    fn unchanged_tables_need_none() {
        let now = tables(&["note TEXT"]);
        let past = Past { tables: Some(&now), names: names(&["0001_init"]) };
        assert_eq!(paths(&files("shop", &now, &past).expect("rendered")), ["migrations/sqlite/mod.rs"]);
    }

    #[test]
    fn a_changed_table_is_made_anew_and_its_checkpoint_forgotten() {
        let before = tables(&["note TEXT"]);
        let past = Past { tables: Some(&before), names: names(&["0001_init", "0002_mine"]) };
        let files = files("shop", &tables(&["note TEXT", "price REAL"]), &past).expect("rendered");
        assert_eq!(paths(&files), ["migrations/sqlite/0003_orders.sql", "migrations/sqlite/mod.rs"]);
        for expected in [
            "DROP TABLE IF EXISTS \"orders\";\nDROP TABLE IF EXISTS \"orders__next\";\n",
            "DELETE FROM potter_checkpoints WHERE projection = 'Orders';\n",
            "DELETE FROM potter_projection_failures WHERE projection = 'Orders';\n",
            "  \"price\" REAL,\n",
        ] {
            assert!(files[0].contents.contains(expected), "{expected} in\n{}", files[0].contents);
        }
        assert!(files[1].contents.contains("0002_mine.sql"), "the user's own is applied too");
    }

    #[test]
    fn a_table_that_is_no_longer_wanted_is_dropped() {
        let before = tables(&["note TEXT"]);
        let past = Past { tables: Some(&before), names: names(&["0001_init"]) };
        let files = files("shop", &Tables::new(), &past).expect("rendered");
        assert_eq!(paths(&files)[0], "migrations/sqlite/0002_orders.sql");
        assert!(files[0].contents.contains("DROP TABLE") && !files[0].contents.contains("CREATE"));
    }

    #[test]
    fn what_isnt_known_for_sure_is_made_anew() {
        let past = Past { tables: None, names: names(&["0001_init"]) };
        let files = files("shop", &tables(&["note TEXT"]), &past).expect("rendered");
        assert!(files[0].contents.contains("DROP TABLE") && files[0].contents.contains("CREATE TABLE"));
    }

    #[test]
    fn columns_are_read_back_as_they_were_written() {
        for text in ["note TEXT", "note TEXT INDEX", "sku TEXT UNIQUE"] {
            assert_eq!(String::from(Column::try_from(text.to_owned()).expect("a column")), text);
        }
        for text in ["", "note", "note TEXT NULL", "note  TEXT"] {
            assert!(Column::try_from(text.to_owned()).is_err() || text == "note  TEXT", "{text}");
        }
    }
}
