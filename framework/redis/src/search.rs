//! How the rows of a selection are found: by an index where one tells, else by looking at every row.

use potter_core::read_model::{Table, Value};
use potter_core::store::{Condition, OrderBy, Selection, Test};

use crate::member::{Range, ranges};
use crate::names::indexed;

/// Where candidates come from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// These rows and no others, each at most once.
    Keys(Vec<String>),
    /// The rows in these ranges of an index.
    Ranges {
        index: Index,
        ranges: Vec<Range>,
        /// Whether the index gives just what is wanted, in its order: then it cuts the page, too, and counts.
        exact: bool,
    },
    /// All rows.
    All,
}

/// An index: of the keys, or of the column that is the `n`th among those that have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    Keys,
    Column(usize),
}

/// The cheapest way to the rows of a selection.
pub(crate) fn plan(table: &Table, selection: &Selection) -> Search {
    let Selection { conditions, order, .. } = selection;
    if let Some(keys) = conditions.iter().find_map(|condition| keys_named(table, condition)) {
        return Search::Keys(keys);
    }
    match conditions.iter().filter_map(|it| narrowing(table, it)).min_by_key(|it| it.breadth) {
        Some(Narrowing { index, ranges, column, single, .. }) => {
            let in_order = match order.as_slice() {
                [] => single,
                [by] => by.column == column && !by.descending,
                _ => false,
            };
            let exact = conditions.len() == 1 && ranges.len() == 1 && in_order;
            Search::Ranges { index, ranges, exact }
        }
        None if conditions.is_empty() => in_order_of(table, order).map_or(Search::All, |index| Search::Ranges {
            index,
            ranges: vec![Range::all()],
            exact: true,
        }),
        None => Search::All,
    }
}

/// The keys that a condition on the key names.
fn keys_named(table: &Table, condition: &Condition) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    match &condition.test {
        _ if condition.column != table.key => None,
        Test::Equals(value) => text(value).map(|key| vec![key]),
        Test::AnyOf(values) => {
            let mut keys: Vec<_> = values.iter().filter_map(text).collect();
            keys.sort();
            keys.dedup();
            Some(keys)
        }
        _ => None,
    }
}

/// What an index makes of a condition.
struct Narrowing {
    index: Index,
    column: &'static str,
    ranges: Vec<Range>,
    /// Whether rows of one value only are found: those come by key.
    single: bool,
    breadth: u8,
}

fn narrowing(table: &Table, condition: &Condition) -> Option<Narrowing> {
    let (place, column) = indexed(table).enumerate().find(|(_, column)| column.name == condition.column)?;
    let ranges = ranges(column.ty, &condition.test)?;
    let breadth = match &condition.test {
        Test::Equals(_) if column.unique => 0,
        Test::Equals(_) => 1,
        Test::AnyOf(_) => 2,
        _ => 3,
    };
    let single = matches!(condition.test, Test::Equals(_));
    Some(Narrowing { index: Index::Column(place), column: column.name, ranges, single, breadth })
}

/// The index that has all rows in that order.
fn in_order_of(table: &Table, order: &[OrderBy]) -> Option<Index> {
    match order {
        [] => Some(Index::Keys),
        [by] if by.descending => None,
        [by] if by.column == table.key => Some(Index::Keys),
        [by] => indexed(table).position(|column| column.name == by.column).map(Index::Column),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use potter_core::read_model::{ColumnType, TableColumn};

    use super::*;

    const THINGS: Table = Table {
        name: "things",
        key: "id",
        columns: &[
            TableColumn::new("name", ColumnType::Text),
            TableColumn::new("group", ColumnType::Text).indexed(),
            TableColumn::new("code", ColumnType::Text).unique(),
        ],
    };

    fn searched(conditions: &[(&'static str, Test)], order: &[(&'static str, bool)]) -> &'static str {
        let conditions = conditions.iter().map(|(column, test)| Condition { column, test: test.clone() }).collect();
        let order = order.iter().map(|(column, descending)| OrderBy { column, descending: *descending }).collect();
        match plan(&THINGS, &Selection { conditions, order, ..Selection::default() }) {
            Search::Keys(_) => "keys",
            Search::Ranges { index: Index::Keys, exact: true, .. } => "page of the keys",
            Search::Ranges { index: Index::Column(0), exact: true, .. } => "page of group",
            Search::Ranges { index: Index::Column(0), .. } => "range of group",
            Search::Ranges { index: Index::Column(1), .. } => "range of code",
            Search::Ranges { .. } => "something else",
            Search::All => "all",
        }
    }

    #[test]
    fn an_index_is_used_where_it_tells() {
        let is = |text: &str| Test::Equals(Value::Text(text.to_owned()));
        let more = || Test::MoreThan(Value::Text("a".to_owned()));
        for (conditions, order, expected) in [
            (&[][..], &[][..], "page of the keys"),
            (&[], &[("id", false)], "page of the keys"),
            (&[], &[("id", true)], "all"),
            (&[], &[("group", false)], "page of group"),
            (&[], &[("group", true)], "all"),
            (&[], &[("name", false)], "all"),
            (&[("group", is("a"))], &[], "page of group"),
            (&[("group", is("a"))], &[("name", false)], "range of group"),
            (&[("group", more())], &[], "range of group"),
            (&[("group", more())], &[("group", false)], "page of group"),
            (&[("group", is("a")), ("name", is("b"))], &[], "range of group"),
            (&[("group", is("a")), ("code", is("b"))], &[], "range of code"),
            (&[("group", is("a")), ("id", is("b"))], &[], "keys"),
            (&[("name", is("a"))], &[], "all"),
            (&[("group", Test::Contains("a".to_owned()))], &[], "all"),
        ] {
            assert_eq!(searched(conditions, order), expected, "{conditions:?} {order:?}");
        }
    }
}
