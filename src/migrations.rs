//! Migrations of the read models' tables: what was applied stays as it is, a change adds a file.
//!
//! In: the tables as `potter.lock` remembers them, and as the protos want them now. Out: the next migration, if one is
//! needed, and the list of all that the service applies.
//!
//! Each migration is written once for each database (`dialect`), under the same name, and beside it what takes it back:
//! the tables as they were, to be filled from the events as well.
//!
//! A table whose shape changed is not altered but made anew, and its projection's checkpoint is forgotten: the
//! projection then takes in all events again, which gives new columns the values that they should always have had.

mod dialect;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::dialect::{Dialect, Direction, Kind, View};
use crate::file::{Class, File};
use crate::render::{self, Bug};
use crate::shape;

/// Where all migrations are, relative to the project: a folder for each database, and the list of them.
pub const FOLDER: &str = "migrations";

/// The list of all migrations, which the service applies.
pub const LIST: &str = "migrations/mod.rs";

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
    /// Its type in SQLite, or BOOLEAN, which SQLite doesn't have.
    pub ty: String,
    /// Whether an index is made.
    pub indexed: bool,
    /// Whether two rows may not have the same.
    pub unique: bool,
}

impl Column {
    /// Whether a table with the one is as good as with the other: earlier versions called a BOOLEAN what SQLite does.
    fn is_like(&self, other: &Self) -> bool {
        let same_type = Dialect::Sqlite.column_type(&self.ty) == Dialect::Sqlite.column_type(&other.ty);
        same_type && (&self.name, self.indexed, self.unique) == (&other.name, other.indexed, other.unique)
    }
}

impl Table {
    fn is_like(&self, other: &Self) -> bool {
        (&self.projection, &self.key, self.columns.len()) == (&other.projection, &other.key, other.columns.len())
            && self.columns.iter().zip(&other.columns).all(|(one, other)| one.is_like(other))
    }
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
    /// The migrations that Potter wrote, by path.
    pub written: BTreeSet<String>,
    /// Those that are on disk, by path: also the user's own.
    pub on_disk: BTreeSet<String>,
}

/// The names of migrations, without `.sql`, and the files that each has.
type Names = BTreeMap<String, BTreeSet<(Dialect, Direction)>>;

/// A file of a migration.
#[derive(Clone, Debug)]
struct Script {
    dialect: Dialect,
    direction: Direction,
    name: String,
    text: String,
}

/// The migration files that are added now: the next migration, if the tables changed, and the list of all.
///
/// # Errors
///
/// A bug in Potter.
pub fn files(module: &str, now: &Tables, past: &Past<'_>) -> Result<Vec<File>, Bug> {
    let mut names = names(past.written.iter().chain(&past.on_disk));
    let mut added = Vec::new();
    added.extend(twin(past)?);
    added.extend(next(now, past, &names)?);
    for script in &added {
        names.entry(script.name.clone()).or_default().insert((script.dialect, script.direction));
    }
    let file = |script: Script| File {
        path: script.dialect.path_of(script.direction, &script.name),
        class: Class::Append,
        symbol: module.to_owned(),
        contents: script.text,
    };
    let mut files: Vec<File> = added.into_iter().map(file).collect();
    files.push(list(module, &names)?);
    Ok(files)
}

/// Whether a file is a migration.
pub fn is_migration(path: &str) -> bool {
    Dialect::ALL.iter().any(|dialect| dialect.name_of(path).is_some())
}

fn names<'a>(paths: impl Iterator<Item = &'a String>) -> Names {
    let mut names = Names::new();
    for path in paths {
        for dialect in Dialect::ALL {
            if let Some((direction, name)) = dialect.name_of(path) {
                names.entry(name.to_owned()).or_default().insert((dialect, direction));
            }
        }
    }
    names
}

/// What a project lacks that is older than Potter's second database: all tables so far, in place of the last migration
/// for the first one. No other database can have been migrated yet, so the way there doesn't matter.
fn twin(past: &Past<'_>) -> Result<Option<Script>, Bug> {
    let Some(tables) = past.tables.filter(|tables| !tables.is_empty()) else { return Ok(None) };
    let written = names(past.written.iter());
    if written.values().flatten().any(|(dialect, _)| *dialect == Dialect::Postgres) {
        return Ok(None);
    }
    let Some((last, _)) = written.last_key_value() else { return Ok(None) };
    let text = text(Dialect::Postgres, Kind::First, &[], tables.iter())?;
    Ok(Some(Script { dialect: Dialect::Postgres, direction: Direction::Up, name: last.clone(), text }))
}

fn text<'a>(
    dialect: Dialect,
    kind: Kind,
    drops: &[DropView<'_>],
    tables: impl Iterator<Item = (&'a String, &'a Table)>,
) -> Result<String, Bug> {
    let tables = tables.map(|(name, table)| dialect.view(name, table)).collect();
    render::text("migration.sql.tera", &View { kind, drops: dialect.drops(drops), tables })
}

fn next(now: &Tables, past: &Past<'_>, names: &Names) -> Result<Vec<Script>, Bug> {
    let none = Tables::new();
    let before = past.tables.unwrap_or(&none);
    let is_new = |(name, table): &(&String, &Table)| before.get(*name).is_none_or(|known| !known.is_like(table));
    let changed: Vec<&String> = now.iter().filter(is_new).map(|it| it.0).collect();
    let gone: Vec<&String> = before.keys().filter(|name| !now.contains_key(*name)).collect();
    if changed.is_empty() && gone.is_empty() {
        return Ok(Vec::new());
    }
    let is_first = names.is_empty();
    let touched = drops(&changed, &gone, before, now);
    let tables = changed.iter().map(|name| (*name, &now[*name]));
    let ups = match is_first {
        true => texts(Kind::First, &[], tables)?,
        false => texts(Kind::Change, &touched, tables)?,
    };
    let former = changed.iter().chain(&gone).filter_map(|name| Some((*name, before.get(*name)?)));
    let downs = texts(Kind::Back, &touched, former)?;
    let name = match is_first {
        true => FIRST.to_owned(),
        false => unique(&name(names, changed.iter().chain(&gone).copied()), &ups),
    };
    let scripts = |direction, texts: Vec<(Dialect, String)>| {
        let name = name.clone();
        texts.into_iter().map(move |(dialect, text)| Script { dialect, direction, name: name.clone(), text })
    };
    Ok(scripts(Direction::Up, ups).chain(scripts(Direction::Down, downs)).collect())
}

/// The same for each database.
fn texts<'a>(
    kind: Kind,
    drops: &[DropView<'_>],
    tables: impl Iterator<Item = (&'a String, &'a Table)> + Clone,
) -> Result<Vec<(Dialect, String)>, Bug> {
    Dialect::ALL.iter().map(|dialect| Ok((*dialect, text(*dialect, kind, drops, tables.clone())?))).collect()
}

/// Two branches may both write the next migration: its name tells what is in it, so that both are kept.
fn unique(name: &str, texts: &[(Dialect, String)]) -> String {
    let all: String = texts.iter().map(|(_, text)| text.as_str()).collect();
    format!("{name}_{}", &shape::hash(&all)[..6])
}

/// The number behind the last one, and the table if there is only one.
fn name<'a>(names: &Names, mut tables: impl Iterator<Item = &'a String>) -> String {
    let number = |name: &String| name.split('_').next().and_then(|it| it.parse::<u32>().ok());
    let last = names.keys().filter_map(number).max().unwrap_or(0);
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

/// A table that goes, with each projection that ever wrote it.
struct DropView<'a> {
    table: &'a str,
    projections: BTreeSet<&'a str>,
}

#[derive(Serialize)]
struct ListView<'a> {
    migrations: Vec<ListedView<'a>>,
}

#[derive(Serialize)]
struct ListedView<'a> {
    name: &'a str,
    scripts: Vec<ScriptView>,
}

/// What a migration has for one database.
#[derive(Serialize)]
struct ScriptView {
    database: &'static str,
    up: bool,
    down: bool,
}

/// The list follows from the folder, not from the protos, so that the plugin has no part in it.
fn list(module: &str, names: &Names) -> Result<File, Bug> {
    let script = |dialect: Dialect, files: &BTreeSet<(Dialect, Direction)>| ScriptView {
        database: dialect.folder(),
        up: files.contains(&(dialect, Direction::Up)),
        down: files.contains(&(dialect, Direction::Down)),
    };
    let listed = names.iter().map(|(name, files)| ListedView {
        name,
        scripts: Dialect::ALL.iter().map(|dialect| script(*dialect, files)).collect(),
    });
    let migrations: Vec<_> = listed.filter(|it| it.scripts.iter().any(|it| it.up)).collect();
    let contents = render::text("migrations.rs.tera", &ListView { migrations })?;
    Ok(File { path: LIST.to_owned(), class: Class::Generated, symbol: module.to_owned(), contents })
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

    fn written(names: &[&str], dialects: &[Dialect]) -> BTreeSet<String> {
        names.iter().flat_map(|name| dialects.iter().map(|dialect| dialect.path_of(Direction::Up, name))).collect()
    }

    fn past<'a>(tables: Option<&'a Tables>, names: &[&str]) -> Past<'a> {
        Past { tables, written: written(names, &Dialect::ALL), ..Past::default() }
    }

    fn up(dialect: Dialect, name: &str) -> String {
        dialect.path_of(Direction::Up, name)
    }

    fn down(dialect: Dialect, name: &str) -> String {
        dialect.path_of(Direction::Down, name)
    }

    fn paths(files: &[File]) -> Vec<&str> {
        files.iter().map(|it| it.path.as_str()).collect()
    }

    #[test]
    fn the_first_one_makes_all_tables_in_each_database() {
        let files = files("shop", &tables(&["note TEXT INDEX", "paid BOOLEAN"]), &Past::default()).expect("rendered");
        let expected = [
            "migrations/sqlite/0001_init.sql",
            "migrations/postgres/0001_init.sql",
            "migrations/sqlite/0001_init.down.sql",
            "migrations/postgres/0001_init.down.sql",
            "migrations/mod.rs",
        ];
        assert_eq!(paths(&files), expected);
        assert_eq!(
            files[0].contents,
            "-- Tables of the read models; the events themselves are in tables of the framework.\n\n\
             CREATE TABLE IF NOT EXISTS \"orders\" (\n  \"id\" TEXT NOT NULL PRIMARY KEY,\n  \"note\" TEXT,\n  \
             \"paid\" INTEGER,\n  \"potter_row\" BLOB NOT NULL\n) STRICT;\n\
             CREATE INDEX IF NOT EXISTS \"orders__note\" ON \"orders\" (\"note\", \"id\");\n"
        );
        assert_eq!(
            files[1].contents,
            "-- Tables of the read models; the events themselves are in tables of the framework.\n\n\
             CREATE TABLE IF NOT EXISTS \"orders\" (\n  \
             \"id\" TEXT COLLATE \"C\" NOT NULL CONSTRAINT \"orders__key\" PRIMARY KEY,\n  \
             \"note\" TEXT COLLATE \"C\",\n  \"paid\" BOOLEAN,\n  \"potter_row\" BYTEA NOT NULL\n) WITH (fillfactor = 70);\n\
             CREATE INDEX IF NOT EXISTS \"orders__note\" ON \"orders\" (\"note\" NULLS FIRST, \"id\");\n"
        );
        let back = &files[2].contents;
        assert!(back.contains("DROP TABLE IF EXISTS \"orders\";") && !back.contains("CREATE"), "{back}");
        for path in ["sqlite/0001_init.sql", "postgres/0001_init.sql", "sqlite/0001_init.down.sql"] {
            assert!(files[4].contents.contains(&format!("include_str!(\"{path}\")")), "{}", files[4].contents);
        }
    }

    #[test]
    fn unchanged_tables_need_none() {
        let now = tables(&["note TEXT", "paid BOOLEAN"]);
        let past = past(Some(&now), &["0001_init"]);
        assert_eq!(paths(&files("shop", &now, &past).expect("rendered")), ["migrations/mod.rs"]);
        let before = tables(&["note TEXT", "paid INTEGER"]);
        let past = Past { tables: Some(&before), ..past };
        assert_eq!(paths(&files("shop", &now, &past).expect("rendered")), ["migrations/mod.rs"]);
    }

    #[test]
    fn a_changed_table_is_made_anew_and_its_checkpoint_forgotten() {
        let before = tables(&["note TEXT"]);
        let on_disk = written(&["0002_mine"], &[Dialect::Sqlite]);
        let past = Past { on_disk, ..past(Some(&before), &["0001_init"]) };
        let files = files("shop", &tables(&["note TEXT", "price REAL"]), &past).expect("rendered");
        let name = Dialect::Sqlite.name_of(&files[0].path).expect("a migration").1.to_owned();
        assert!(name.starts_with("0003_orders_"), "{name}");
        let expected = [
            up(Dialect::Sqlite, &name),
            up(Dialect::Postgres, &name),
            down(Dialect::Sqlite, &name),
            down(Dialect::Postgres, &name),
            LIST.to_owned(),
        ];
        assert_eq!(paths(&files), expected);
        let other = super::files("shop", &tables(&["note TEXT", "weight REAL"]), &past).expect("rendered");
        assert_ne!(other[0].path, files[0].path, "another branch writes another file");
        for (file, ty) in files.iter().zip(["REAL", "DOUBLE PRECISION"]) {
            for expected in [
                "DROP TABLE IF EXISTS \"orders\";\nDROP TABLE IF EXISTS \"orders__next\";\n",
                "DELETE FROM potter_checkpoints WHERE projection = 'Orders';\n",
                "DELETE FROM potter_projection_failures WHERE projection = 'Orders';\n",
                &format!("  \"price\" {ty},\n"),
            ] {
                assert!(file.contents.contains(expected), "{expected} in\n{}", file.contents);
            }
        }
        let back = &files[2].contents;
        assert!(back.contains("DROP TABLE IF EXISTS \"orders\";") && back.contains("CREATE TABLE"), "{back}");
        assert!(back.contains("\"note\" TEXT") && !back.contains("price"), "it was without: {back}");
        let list = &files[4].contents;
        assert!(
            list.contains("up: include_str!(\"sqlite/0002_mine.sql\"),\n            down: \"\","),
            "the user's own is applied too: {list}"
        );
        assert!(list.contains("postgres: Script::NONE"), "and has nothing to do elsewhere: {list}");
    }

    #[test]
    fn a_project_of_one_database_gets_the_tables_of_the_other() {
        let now = tables(&["note TEXT"]);
        let before = written(&["0001_init", "0002_orders"], &[Dialect::Sqlite]);
        let past = Past { tables: Some(&now), written: before, ..Past::default() };
        let files = files("shop", &now, &past).expect("rendered");
        assert_eq!(paths(&files), ["migrations/postgres/0002_orders.sql", "migrations/mod.rs"]);
        let twin = &files[0].contents;
        assert!(twin.contains("CREATE TABLE IF NOT EXISTS \"orders\"") && !twin.contains("DROP"), "{twin}");
    }

    #[test]
    fn a_table_that_is_no_longer_wanted_is_dropped() {
        let before = tables(&["note TEXT"]);
        let files = files("shop", &Tables::new(), &past(Some(&before), &["0001_init"])).expect("rendered");
        assert!(files[0].path.starts_with("migrations/sqlite/0002_orders_"), "{}", files[0].path);
        assert!(files[0].contents.contains("DROP TABLE") && !files[0].contents.contains("CREATE"));
    }

    #[test]
    fn what_isnt_known_for_sure_is_made_anew() {
        let files = files("shop", &tables(&["note TEXT"]), &past(None, &["0001_init"])).expect("rendered");
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
