//! What a migration says differently in each database. `framework/core/src/store/sql.rs` says the same for a rebuild.

use serde::Serialize;

use super::{Column, DropView, FOLDER, Table};

/// A database that migrations are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// SQLite, with strict types.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// Which of a migration's files one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// `NAME.sql` applies it.
    Up,
    /// `NAME.down.sql` takes it back.
    Down,
}

/// What a file is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It makes the first tables.
    First,
    /// It makes tables anew that have changed.
    Change,
    /// It takes a migration back.
    Back,
}

/// A migration as it is printed. Names are quoted already.
#[derive(Serialize)]
pub struct View {
    pub kind: Kind,
    pub drops: Vec<DroppedView>,
    pub tables: Vec<TableView>,
}

#[derive(Serialize)]
pub struct DroppedView {
    /// The table, and the one that a rebuild fills beside it.
    tables: [String; 2],
    projections: Vec<String>,
}

#[derive(Serialize)]
pub struct TableView {
    name: String,
    /// Each with its type; the key first, the whole row last.
    columns: Vec<String>,
    indexes: Vec<IndexView>,
    /// What stands behind the columns.
    options: &'static str,
}

#[derive(Serialize)]
struct IndexView {
    unique: bool,
    name: String,
    columns: String,
}

impl Dialect {
    /// In the order in which they came.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// The name of its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// The path of a migration's file.
    pub fn path_of(self, direction: Direction, name: &str) -> String {
        let end = match direction {
            Direction::Up => "sql",
            Direction::Down => "down.sql",
        };
        format!("{FOLDER}/{}/{name}.{end}", self.folder())
    }

    /// Which file of which migration one is, if it is one for this database.
    pub fn name_of(self, path: &str) -> Option<(Direction, &str)> {
        let path = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_prefix(self.folder())?.strip_prefix('/')?;
        let name = path.strip_suffix(".sql").filter(|name| !name.contains('/'))?;
        Some(name.strip_suffix(".down").map_or((Direction::Up, name), |name| (Direction::Down, name)))
    }

    /// A column's type; the lock calls it as SQLite does, but for BOOLEAN.
    pub fn column_type(self, ty: &str) -> &str {
        match (self, ty) {
            (Self::Sqlite, "BOOLEAN") => "INTEGER",
            (Self::Postgres, "INTEGER") => "BIGINT",
            (Self::Postgres, "REAL") => "DOUBLE PRECISION",
            (Self::Postgres, "TEXT") => "TEXT COLLATE \"C\"",
            (Self::Postgres, "BLOB") => "BYTEA",
            (_, ty) => ty,
        }
    }

    /// A table as it is made.
    pub fn view(self, name: &str, table: &Table) -> TableView {
        let text = self.column_type("TEXT");
        let constraint = match self {
            Self::Sqlite => String::new(),
            Self::Postgres => format!(" CONSTRAINT {}", self.quoted(&format!("{name}__key"))),
        };
        let mut columns = vec![format!("\"{}\" {text} NOT NULL{constraint} PRIMARY KEY", table.key)];
        let plain = table.columns.iter().map(|it| format!("\"{}\" {}", it.name, self.column_type(&it.ty)));
        columns.extend(plain);
        columns.push(format!("\"potter_row\" {} NOT NULL", self.column_type("BLOB")));
        let indexed = table.columns.iter().filter(|column| column.indexed || column.unique);
        TableView {
            name: self.quoted(name),
            columns,
            indexes: indexed.map(|column| self.index(name, &table.key, column)).collect(),
            // Room for the next version of a row beside it, so that indexes need not learn where it has gone.
            options: if self == Self::Sqlite { " STRICT" } else { " WITH (fillfactor = 70)" },
        }
    }

    fn index(self, table: &str, key: &str, column: &Column) -> IndexView {
        let absent_first = if self == Self::Postgres { " NULLS FIRST" } else { "" };
        IndexView {
            unique: column.unique,
            name: self.quoted(&format!("{table}__{}", column.name)),
            columns: match column.unique {
                true => format!("\"{}\"", column.name),
                false => format!("\"{}\"{absent_first}, \"{key}\"", column.name),
            },
        }
    }

    /// What goes.
    pub fn drops(self, drops: &[DropView<'_>]) -> Vec<DroppedView> {
        let view = |it: &DropView<'_>| DroppedView {
            tables: [self.quoted(it.table), self.quoted(&format!("{}__next", it.table))],
            projections: it.projections.iter().map(|it| (*it).to_owned()).collect(),
        };
        drops.iter().map(view).collect()
    }

    fn quoted(self, name: &str) -> String {
        match self {
            Self::Sqlite => format!("\"{name}\""),
            Self::Postgres => format!("\"{}\"", postgres_name(name)),
        }
    }
}

/// A name as PostgreSQL can keep it: of one that is longer than 63 bytes the end is replaced by its hash (FNV-1a).
fn postgres_name(name: &str) -> String {
    const LONGEST: usize = 63;
    const HASH: usize = 17;
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let kept = (0..=LONGEST - HASH).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!("{}_{:016x}", &name[..kept], name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_as_the_framework_cuts_it() {
        let cut = postgres_name(&"a".repeat(64));
        assert_eq!((cut.len(), cut.as_str()), (63, format!("{}_db007849f35ebbe5", "a".repeat(46)).as_str()));
    }
}
