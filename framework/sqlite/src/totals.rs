//! How many rows a search has found, for as long as nothing has changed: to count is to visit them all, and a list is
//! asked for far more often than it changes.

use std::cell::RefCell;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Searches that are remembered at most, for each connection.
const SEARCHES: usize = 64;

/// The totals of a connection's searches.
#[derive(Default)]
struct Totals {
    /// What the database was like.
    version: Version,
    searches: Vec<Search>,
}

/// Changes with whatever the database's other connections commit, and with the changes of this one.
#[derive(Clone, Copy, Default, PartialEq)]
struct Version {
    data: i64,
    own_changes: u64,
}

struct Search {
    sql: String,
    parameters: Vec<Value>,
    total: u64,
}

thread_local! {
    /// Each connection stays on a thread of its own.
    static TOTALS: RefCell<Totals> = RefCell::default();
}

/// What the counting `sql` gives, in the transaction that is open.
pub(crate) fn total(connection: &Connection, sql: &str, parameters: &[Value]) -> rusqlite::Result<u64> {
    let version = version(connection)?;
    TOTALS.with_borrow_mut(|totals| {
        if let Some(known) = totals.find(version, sql, parameters) {
            return Ok(known);
        }
        let mut statement = connection.prepare_cached(sql)?;
        let total = statement.query_row(params_from_iter(parameters), |row| row.get(0))?;
        totals.add(Search { sql: sql.to_owned(), parameters: parameters.to_vec(), total });
        Ok(total)
    })
}

fn version(connection: &Connection) -> rusqlite::Result<Version> {
    let data = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
    Ok(Version { data, own_changes: connection.total_changes() })
}

impl Totals {
    /// Forgets everything if the database has changed.
    fn find(&mut self, version: Version, sql: &str, parameters: &[Value]) -> Option<u64> {
        if self.version != version {
            (self.version, self.searches) = (version, Vec::new());
        }
        let same = |search: &&Search| search.sql == sql && search.parameters == parameters;
        self.searches.iter().find(same).map(|search| search.total)
    }

    /// Remembers one more, in place of the oldest when there are too many.
    fn add(&mut self, search: Search) {
        if self.searches.len() == SEARCHES {
            self.searches.remove(0);
        }
        self.searches.push(search);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "SELECT count(*) FROM things WHERE id > ?1";

    fn count(connection: &Connection, above: i64) -> u64 {
        let transaction = connection.unchecked_transaction().expect("none is open");
        total(&transaction, ALL, &[Value::Integer(above)]).expect("it can be counted")
    }

    fn add(connection: &Connection, count: u64) {
        for _ in 0..count {
            connection.execute("INSERT INTO things DEFAULT VALUES", []).expect("inserted");
        }
    }

    #[test]
    fn what_others_and_oneself_change_is_counted_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || Connection::open(directory.path().join("data.db")).expect("opened");
        let (reader, writer) = (open(), open());
        writer.execute_batch("CREATE TABLE things (id INTEGER PRIMARY KEY)").expect("made");
        assert_eq!(count(&reader, 0), 0);
        add(&writer, 3);
        assert_eq!((count(&reader, 0), count(&reader, 2), count(&reader, 0)), (3, 1, 3));
        add(&reader, 2);
        assert_eq!((count(&reader, 0), count(&reader, 2)), (5, 3));
        writer.execute("DELETE FROM things", []).expect("deleted");
        assert_eq!((count(&reader, 0), count(&reader, 2)), (0, 0));
    }

    #[test]
    fn more_searches_than_are_remembered_are_counted_all_the_same() {
        let connection = Connection::open_in_memory().expect("opened");
        connection.execute_batch("CREATE TABLE things (id INTEGER PRIMARY KEY)").expect("made");
        add(&connection, 100);
        for above in (0..100).chain(0..100) {
            assert_eq!(count(&connection, above), 100 - above.unsigned_abs());
        }
        TOTALS.with_borrow(|totals| assert_eq!(totals.searches.len(), SEARCHES));
    }
}
