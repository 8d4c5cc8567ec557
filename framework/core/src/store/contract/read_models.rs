//! Rows, checkpoints, searches, parked events, rebuilds.

use std::time::SystemTime;

use bytes::Bytes;

use super::{Fixture, ReadModelsFixture, a_time};
use crate::event::StreamId;
use crate::read_model::{ColumnType, Table, TableColumn, Value};
use crate::replay::Replay;
use crate::store::{
    Condition, Generation, Migration, OrderBy, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord,
    Rebuild, RowChange, Selected, Selection, SharedReadModels, Test,
};

/// The projection of the suite.
pub const PROJECTION: &str = "Things";

/// Its table: one column of each type; a keyword among the names.
pub const THINGS: Table = Table {
    name: "things",
    key: "id",
    columns: &[
        TableColumn { name: "group", ty: ColumnType::Text, indexed: true, unique: false },
        TableColumn { name: "code", ty: ColumnType::Text, indexed: false, unique: true },
        TableColumn { name: "stock", ty: ColumnType::Integer, indexed: true, unique: false },
        TableColumn { name: "price", ty: ColumnType::Real, indexed: false, unique: false },
        TableColumn { name: "sold_out", ty: ColumnType::Bool, indexed: false, unique: false },
        TableColumn { name: "digest", ty: ColumnType::Bytes, indexed: false, unique: false },
    ],
};

/// A row with a group, a code and a stock; the rest follows from the stock.
fn row(key: &str, group: Option<&str>, code: Option<&str>, stock: i64) -> RowChange {
    let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.to_owned()));
    let values = vec![
        text(group),
        text(code),
        Value::Integer(stock),
        Value::Real(f64::from(u32::try_from(stock).unwrap_or_default()) / 2.0),
        Value::Bool(stock == 0),
        Value::Bytes(stock.to_be_bytes().to_vec()),
    ];
    RowChange { key: key.to_owned(), values, row: Bytes::from(format!("{key}:{stock}")) }
}

/// Moves the checkpoint on by one.
fn batch(expected_checkpoint: u64, put: Vec<RowChange>) -> ProjectionBatch {
    ProjectionBatch {
        projection: PROJECTION,
        table: THINGS,
        generation: Generation::Live,
        epoch: 0,
        expected_checkpoint,
        checkpoint: expected_checkpoint + 1,
        put,
        remove: Vec::new(),
        park: Vec::new(),
        unpark: Vec::new(),
    }
}

/// Of the next generation, which the rebuild of that number makes.
fn next(number: u64, batch: ProjectionBatch) -> ProjectionBatch {
    ProjectionBatch { generation: Generation::Next, epoch: number, ..batch }
}

/// Answers with the number of the rebuild.
async fn begin(store: &SharedReadModels, begin: impl Into<Rebuild>) -> u64 {
    let begun = store.begin_rebuild(PROJECTION, THINGS, begin.into()).await.expect("the store answers");
    begun.expect("what it begins with is there")
}

/// The read models of a store, with the table that a migration makes.
pub async fn of_store(fixture: Fixture) -> ReadModelsFixture {
    // A migration lives as long as its program; that of a test isn't long.
    let sql: &'static str = Box::leak((fixture.create_table)(&THINGS).into_boxed_str());
    let migrations: &'static [Migration] = Box::leak(Box::new([Migration::of_any_database("0001_things", sql)]));
    fixture.store.migrate(migrations).await.expect("applied");
    ReadModelsFixture { read_models: fixture.store, guard: fixture.guard }
}

fn with_table(fixture: &ReadModelsFixture) -> SharedReadModels {
    fixture.read_models.clone()
}

async fn commit(store: &SharedReadModels, batch: ProjectionBatch) {
    store.commit_projection(batch).await.expect("it fits");
}

async fn checkpoint(store: &SharedReadModels, generation: Generation) -> u64 {
    store.checkpoint(PROJECTION, generation).await.expect("readable")
}

async fn select(store: &SharedReadModels, selection: Selection) -> Selected {
    store.select(THINGS, selection).await.expect("readable")
}

/// All rows, in the order of the keys.
async fn all(store: &SharedReadModels) -> Vec<Bytes> {
    select(store, Selection::default()).await.rows
}

/// The keys of the rows that a selection finds.
async fn keys(store: &SharedReadModels, selection: Selection) -> Vec<String> {
    let rows = select(store, selection).await.rows;
    let text = |row: &Bytes| String::from_utf8(row.to_vec()).expect("rows of the suite are text");
    rows.iter().map(text).map(|row| row.split(':').next().unwrap_or_default().to_owned()).collect()
}

/// Rows are made, changed and removed, and found by key in their generation.
pub async fn puts_and_removes_rows(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    commit(&store, batch(0, vec![row("a", None, None, 1), row("b", None, None, 2)])).await;
    let remove = vec!["b".to_owned(), "never there".to_owned()];
    commit(&store, ProjectionBatch { remove, ..batch(1, vec![row("a", None, None, 3), row("c", None, None, 4)]) })
        .await;
    assert_eq!(all(&store).await, ["a:3", "c:4"]);
    let wanted = ["c", "b", "a"].map(str::to_owned).to_vec();
    let mut found = store.rows_by_key(THINGS, Generation::Live, wanted).await.expect("readable");
    found.sort();
    assert_eq!(found, [("a".to_owned(), Bytes::from("a:3")), ("c".to_owned(), Bytes::from("c:4"))]);
}

/// Rows and checkpoint go together, so an event is never taken in twice.
pub async fn moves_the_checkpoint_only_from_the_expected_one(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    assert_eq!(checkpoint(&store, Generation::Live).await, 0);
    commit(&store, ProjectionBatch { checkpoint: 5, ..batch(0, vec![row("a", None, None, 1)]) }).await;
    assert_eq!(checkpoint(&store, Generation::Live).await, 5);
    for expected in [0, 4, 6] {
        match store.commit_projection(batch(expected, vec![row("a", None, None, 9)])).await {
            Err(ProjectionError::Moved { actual }) => assert_eq!(actual, 5),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(all(&store).await, ["a:1"]);
    assert_eq!(checkpoint(&store, Generation::Live).await, 5);
    assert_eq!(store.checkpoint("Others", Generation::Live).await.expect("readable"), 0);
}

/// For whoever follows the log and keeps no rows.
pub async fn moves_a_checkpoint_without_a_table(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    store.commit_checkpoint("publisher", 0, 7).await.expect("moved");
    assert_eq!(store.checkpoint("publisher", Generation::Live).await.expect("readable"), 7);
    match store.commit_checkpoint("publisher", 0, 8).await {
        Err(ProjectionError::Moved { actual }) => assert_eq!(actual, 7),
        other => panic!("{other:?}"),
    }
}

/// The error says which row and which column, and nothing of the batch was written.
pub async fn refuses_equal_values_in_a_unique_column(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    commit(&store, batch(0, vec![row("a", None, Some("x"), 1), row("b", None, None, 2), row("c", None, None, 3)]))
        .await;
    let with_stored = vec![row("d", None, Some("y"), 4), row("b", None, Some("x"), 9)];
    let among_themselves = vec![row("b", None, Some("z"), 9), row("d", None, Some("z"), 4)];
    for (put, culprits) in [(with_stored, &["b"][..]), (among_themselves, &["b", "d"])] {
        let park = vec![parked(1, "b")];
        match store.commit_projection(ProjectionBatch { park, ..batch(1, put) }).await {
            Err(ProjectionError::NotUnique { key, column }) => {
                assert_eq!(column, "code");
                assert!(culprits.contains(&key.as_str()), "{key}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(all(&store).await, ["a:1", "b:2", "c:3"]);
    assert_eq!(checkpoint(&store, Generation::Live).await, 1);
    assert_eq!(store.parked(PROJECTION, Generation::Live).await.expect("readable"), []);
    commit(&store, batch(1, vec![row("d", None, Some("y"), 4)])).await;
}

/// Only the end of a batch counts.
pub async fn lets_rows_exchange_unique_values(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    commit(&store, batch(0, vec![row("a", None, Some("x"), 1), row("b", None, Some("y"), 2)])).await;
    commit(&store, batch(1, vec![row("a", None, Some("y"), 3), row("b", None, Some("x"), 4)])).await;
    assert_eq!(all(&store).await, ["a:3", "b:4"]);
    let remove = vec!["a".to_owned()];
    commit(&store, ProjectionBatch { remove, ..batch(2, vec![row("c", None, Some("y"), 5)]) }).await;
    assert_eq!(all(&store).await, ["b:4", "c:5"]);
    assert_eq!(checkpoint(&store, Generation::Live).await, 3);
}

fn parked(position: u64, key: &str) -> ParkedEvent {
    ParkedEvent {
        position,
        key: key.to_owned(),
        event_type: "thing.happened".to_owned(),
        reason: format!("position {position} went wrong"),
        parked_at: a_time(),
    }
}

/// By position, each projection and generation its own; taken in after all, they are gone.
pub async fn parks_and_unparks_events(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    let park = vec![parked(7, "b"), parked(3, "a")];
    commit(&store, ProjectionBatch { park, ..batch(0, vec![row("c", None, None, 1)]) }).await;
    let found = || store.parked(PROJECTION, Generation::Live);
    assert_eq!(found().await.expect("readable"), [parked(3, "a"), parked(7, "b")]);
    assert_eq!(store.parked("Others", Generation::Live).await.expect("readable"), []);
    assert_eq!(store.parked(PROJECTION, Generation::Next).await.expect("readable"), []);

    let replay = ProjectionBatch { checkpoint: 1, unpark: vec![3], ..batch(1, vec![row("a", None, None, 2)]) };
    commit(&store, replay).await;
    assert_eq!(found().await.expect("readable"), [parked(7, "b")]);
    assert_eq!(checkpoint(&store, Generation::Live).await, 1);
    assert_eq!(all(&store).await, ["a:2", "c:1"]);
}

/// Five rows: groups red, red, blue, absent, Grün; stocks 0 to 4.
async fn with_rows(fixture: &ReadModelsFixture) -> SharedReadModels {
    let store = with_table(fixture);
    let groups = [Some("red"), Some("red"), Some("blue"), None, Some("Grün 50%")];
    let names = ["a", "b", "c", "d", "e"];
    let rows = names.iter().zip(groups).zip(0..).map(|((key, group), stock)| row(key, group, Some(key), stock));
    commit(&store, batch(0, rows.collect())).await;
    store
}

fn where_(column: &'static str, test: Test) -> Selection {
    Selection { conditions: vec![Condition { column, test }], ..Selection::default() }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Each test on each type of column, the key included.
pub async fn selects_by_every_test(fixture: ReadModelsFixture) {
    let store = with_rows(&fixture).await;
    let two = || Value::Integer(2);
    for (column, test, expected) in [
        ("group", Test::Equals(text("red")), &["a", "b"][..]),
        ("group", Test::Equals(text("Red")), &[]),
        ("group", Test::Equals(Value::Null), &["d"]),
        ("id", Test::Equals(text("c")), &["c"]),
        ("id", Test::MoreThan(text("c")), &["d", "e"]),
        ("stock", Test::Equals(two()), &["c"]),
        ("stock", Test::AtLeast(two()), &["c", "d", "e"]),
        ("stock", Test::AtMost(two()), &["a", "b", "c"]),
        ("stock", Test::MoreThan(two()), &["d", "e"]),
        ("stock", Test::LessThan(two()), &["a", "b"]),
        ("price", Test::AtLeast(Value::Real(1.5)), &["d", "e"]),
        ("price", Test::Equals(Value::Real(0.5)), &["b"]),
        ("sold_out", Test::Equals(Value::Bool(true)), &["a"]),
        ("digest", Test::Equals(Value::Bytes(3_i64.to_be_bytes().to_vec())), &["d"]),
        ("group", Test::AtLeast(text("c")), &["a", "b"]),
        ("group", Test::LessThan(text("c")), &["c", "e"]),
        ("group", Test::AtLeast(Value::Null), &[]),
        ("group", Test::AnyOf(vec![text("blue"), text("red")]), &["a", "b", "c"]),
        ("group", Test::AnyOf(vec![text("blue"), Value::Null]), &["c", "d"]),
        ("group", Test::AnyOf(vec![]), &[]),
        ("stock", Test::AnyOf(vec![Value::Integer(1), Value::Integer(4)]), &["b", "e"]),
    ] {
        let found = keys(&store, where_(column, test.clone())).await;
        assert_eq!(found, expected, "{column} {test:?}");
    }
    let both = vec![
        Condition { column: "group", test: Test::Equals(text("red")) },
        Condition { column: "stock", test: Test::MoreThan(Value::Integer(0)) },
    ];
    assert_eq!(keys(&store, Selection { conditions: both, ..Selection::default() }).await, ["b"]);
}

/// Also of letters that ASCII doesn't have; no character is a wildcard.
pub async fn selects_whatever_the_case(fixture: ReadModelsFixture) {
    let store = with_rows(&fixture).await;
    for (part, expected) in [
        ("RE", &["a", "b"][..]),
        ("rün", &["e"]),
        ("GRÜN", &["e"]),
        ("0%", &["e"]),
        ("r%d", &[]),
        ("_ed", &[]),
        ("", &["a", "b", "c", "e"]),
    ] {
        let found = keys(&store, where_("group", Test::Contains(part.to_owned()))).await;
        assert_eq!(found, expected, "{part}");
    }
}

/// Pages don't overlap, because the key decides at last; the total counts all pages.
pub async fn orders_and_pages(fixture: ReadModelsFixture) {
    let store = with_rows(&fixture).await;
    let by_group = OrderBy { column: "group", descending: true };
    let page = |offset, limit| Selection { order: vec![by_group], limit, offset, count: true, ..Selection::default() };
    assert_eq!(keys(&store, page(0, None)).await, ["a", "b", "c", "e", "d"]);
    assert_eq!(keys(&store, page(0, Some(2))).await, ["a", "b"]);
    assert_eq!(keys(&store, page(2, Some(2))).await, ["c", "e"]);
    assert_eq!(keys(&store, page(4, Some(2))).await, ["d"]);
    assert_eq!(keys(&store, page(5, Some(2))).await, [""; 0]);
    assert_eq!(select(&store, page(4, Some(2))).await.total, Some(5));
    assert_eq!(select(&store, Selection { count: false, ..page(0, None) }).await.total, None);

    let filtered = Selection { count: true, limit: Some(1), ..where_("group", Test::Equals(text("red"))) };
    let found = select(&store, filtered).await;
    assert_eq!((found.rows.len(), found.total), (1, Some(2)));

    let by_two = vec![by_group, OrderBy { column: "stock", descending: true }];
    assert_eq!(keys(&store, Selection { order: by_two, ..Selection::default() }).await, ["b", "a", "c", "e", "d"]);
}

/// Absent, then texts byte by byte: upper case first.
pub async fn orders_absent_values_first(fixture: ReadModelsFixture) {
    let store = with_rows(&fixture).await;
    let by_group = vec![OrderBy { column: "group", descending: false }];
    assert_eq!(keys(&store, Selection { order: by_group, ..Selection::default() }).await, ["d", "e", "c", "a", "b"]);
}

/// Readers see the old rows until the swap, and then the new ones, with what belongs to them.
pub async fn builds_the_next_generation_beside_the_live_one(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    commit(&store, ProjectionBatch { park: vec![parked(1, "old")], ..batch(0, vec![row("a", None, Some("x"), 1)]) })
        .await;
    let number = begin(&store, 0).await;
    assert_eq!(checkpoint(&store, Generation::Next).await, 0);
    let park = vec![parked(1, "new")];
    commit(&store, next(number, ProjectionBatch { park, ..batch(0, vec![row("b", None, Some("x"), 2)]) })).await;
    assert_eq!(all(&store).await, ["a:1"]);
    let found = store.rows_by_key(THINGS, Generation::Next, vec!["a".to_owned(), "b".to_owned()]).await;
    assert_eq!(found.expect("readable"), [("b".to_owned(), Bytes::from("b:2"))]);

    store.finish_rebuild(PROJECTION, THINGS, number, 1).await.expect("as far as the live one");
    assert_eq!(all(&store).await, ["b:2"]);
    assert_eq!(checkpoint(&store, Generation::Live).await, 1);
    assert_eq!(checkpoint(&store, Generation::Next).await, 0);
    assert_eq!(store.parked(PROJECTION, Generation::Live).await.expect("readable"), [parked(1, "new")]);
    assert_eq!(store.parked(PROJECTION, Generation::Next).await.expect("readable"), []);
}

/// What a rebuild that was killed has left doesn't get in the way of another; nor does that rebuild, if it still goes on
/// somewhere.
pub async fn begins_a_rebuild_anew(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    let first = begin(&store, 0).await;
    let park = vec![parked(1, "new")];
    commit(&store, next(first, ProjectionBatch { park, ..batch(0, vec![row("a", None, None, 1)]) })).await;
    let second = begin(&store, 0).await;
    assert_eq!(checkpoint(&store, Generation::Next).await, 0);
    assert_eq!(store.parked(PROJECTION, Generation::Next).await.expect("readable"), []);
    let of_first = store.commit_projection(next(first, batch(0, vec![row("a", None, None, 1)]))).await;
    assert!(matches!(of_first, Err(ProjectionError::Ended)), "{of_first:?}");
    let of_first = store.finish_rebuild(PROJECTION, THINGS, first, 0).await;
    assert!(matches!(of_first, Err(ProjectionError::Ended)), "{of_first:?}");
    assert!(!store.drop_rebuild(PROJECTION, THINGS, first, "?".to_owned()).await.expect("told"));
    let found = store.rows_by_key(THINGS, Generation::Next, vec!["a".to_owned()]).await;
    assert_eq!(found.expect("readable"), []);
    store.finish_rebuild(PROJECTION, THINGS, second, 0).await.expect("as far as the live one");
}

/// The table that came by a rebuild is like the one that came by a migration.
pub async fn rebuilds_again_and_again(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    for round in 1..=4 {
        assert_eq!(begin(&store, 0).await, round);
        for step in 0..round {
            commit(&store, next(round, batch(step, vec![row("a", None, Some("x"), step as i64)]))).await;
        }
        store.finish_rebuild(PROJECTION, THINGS, round, round).await.expect("further than the live one");
        assert_eq!(all(&store).await, [format!("a:{}", round - 1)]);
        let stale = store.commit_projection(batch(round, Vec::new())).await;
        assert!(matches!(stale, Err(ProjectionError::Moved { .. })), "of an earlier epoch: {stale:?}");
        let again = ProjectionBatch { epoch: round, ..batch(round, vec![row("b", None, Some("x"), 1)]) };
        let twice = store.commit_projection(again).await;
        assert!(matches!(&twice, Err(ProjectionError::NotUnique { column, .. }) if column == "code"), "{twice:?}");
    }
}

/// Readers never see time go back.
pub async fn does_not_finish_a_rebuild_that_is_behind(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    let number = begin(&store, 0).await;
    commit(&store, next(number, batch(0, vec![row("new", None, None, 1)]))).await;
    commit(&store, ProjectionBatch { checkpoint: 2, ..batch(0, vec![row("old", None, None, 1)]) }).await;
    for (expected, actual_checkpoint) in [(0, 1), (1, 2)] {
        match store.finish_rebuild(PROJECTION, THINGS, number, expected).await {
            Err(ProjectionError::Moved { actual }) => assert_eq!(actual, actual_checkpoint),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(all(&store).await, ["old:1"]);
    commit(&store, next(number, batch(1, Vec::new()))).await;
    store.finish_rebuild(PROJECTION, THINGS, number, 2).await.expect("it has caught up");
    assert_eq!(all(&store).await, ["new:1"]);
}

/// Nothing of it is written, and nothing comes into being by the attempt.
pub async fn refuses_a_rebuild_that_does_not_go_on(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    for number in 0..2 {
        for attempt in [
            store.commit_projection(next(number, batch(0, vec![row("a", None, None, 1)]))).await,
            store.finish_rebuild(PROJECTION, THINGS, number, 0).await,
        ] {
            assert!(matches!(attempt, Err(ProjectionError::Ended)), "never begun: {attempt:?}");
        }
        assert_eq!(record(&store).await, ProjectionRecord::default());
    }
    let number = begin(&store, 0).await;
    store.finish_rebuild(PROJECTION, THINGS, number, 0).await.expect("as far as the live one");
    let after = record(&store).await;
    let late = store.commit_projection(next(number, batch(0, vec![row("a", None, None, 1)]))).await;
    assert!(matches!(late, Err(ProjectionError::Ended)), "{late:?}");
    assert!(!store.drop_rebuild(PROJECTION, THINGS, number, "late".to_owned()).await.expect("told"));
    assert_eq!(record(&store).await, after);
}

/// What it began with and what became of it are known, whoever asks.
pub async fn tells_what_became_of_a_rebuild(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    let earlier = SystemTime::now();
    let events = Replay::all().of_stream(StreamId::new("Thing", "7")).of_type("thing.happened");
    let number = begin(&store, Rebuild::RowsOf(events.clone())).await;
    let begun = record(&store).await;
    assert!(begun.goes_on(number) && !begun.goes_on(number + 1), "{begun:?}");
    let rebuild = begun.rebuild.expect("it has been begun");
    assert_eq!((rebuild.number, rebuild.begin, rebuild.end), (number, Rebuild::RowsOf(events), None));
    assert!(rebuild.begun_at >= earlier);

    let why = "it would not fit".to_owned();
    assert!(store.drop_rebuild(PROJECTION, THINGS, number, why.clone()).await.expect("told"));
    let dropped = record(&store).await;
    assert!(!dropped.rebuilding && !dropped.goes_on(number), "{dropped:?}");
    let end = dropped.rebuild.and_then(|it| it.end).expect("it has ended");
    assert!(end.at >= rebuild.begun_at && end.failure == Some(why), "{end:?}");
    assert_eq!(checkpoint(&store, Generation::Next).await, 0);

    let number = begin(&store, 5).await;
    store.finish_rebuild(PROJECTION, THINGS, number, 5).await.expect("further than the live one");
    let done = record(&store).await.rebuild.expect("it has been begun");
    assert_eq!((done.number, done.begin, done.end.map(|it| it.failure)), (2, Rebuild::After(5), Some(None)));
}

/// One that needs only what has happened since.
pub async fn rebuilds_from_a_position(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    assert_eq!(record(&store).await, ProjectionRecord::default());
    let number = begin(&store, 40).await;
    assert_eq!(checkpoint(&store, Generation::Next).await, 40);
    let begun = record(&store).await;
    assert_eq!((begun.rebuilding, begun.paused, begun.epoch), (true, false, 0));
    store.finish_rebuild(PROJECTION, THINGS, number, 40).await.expect("further than the live one");
    assert_eq!(checkpoint(&store, Generation::Live).await, 40);
    let done = record(&store).await;
    assert_eq!((done.rebuilding, done.paused, done.epoch), (false, false, 1));
}

/// As it was when it was saved, with what it had parked, however it was spoilt since.
pub async fn rebuilds_from_a_copy(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    let none = store.begin_rebuild(PROJECTION, THINGS, Rebuild::FromSnapshot).await;
    assert_eq!(none.expect("readable"), None, "nothing has been saved");
    assert_eq!(record(&store).await, ProjectionRecord::default());
    let good = vec![row("a", Some("red"), Some("x"), 1), row("b", None, None, 2)];
    commit(&store, ProjectionBatch { park: vec![parked(1, "c")], checkpoint: 3, ..batch(0, good) }).await;
    for _ in 0..2 {
        assert_eq!(store.save_copy(PROJECTION, THINGS).await.expect("saved"), 3);
    }
    let remove = vec!["b".to_owned()];
    let spoilt = ProjectionBatch { remove, unpark: vec![1], ..batch(3, vec![row("a", Some("blue"), Some("y"), 9)]) };
    commit(&store, spoilt).await;

    let number = begin(&store, Rebuild::FromSnapshot).await;
    assert_eq!(checkpoint(&store, Generation::Next).await, 3);
    assert!(record(&store).await.rebuilding);
    assert_eq!(all(&store).await, ["a:9"], "queries are answered from the live rows");
    commit(&store, next(number, batch(3, vec![row("d", None, None, 4)]))).await;
    let taken = store.commit_projection(next(number, batch(4, vec![row("e", None, Some("x"), 5)]))).await;
    assert!(matches!(&taken, Err(ProjectionError::NotUnique { column, .. }) if column == "code"), "{taken:?}");
    store.finish_rebuild(PROJECTION, THINGS, number, 4).await.expect("as far as the live one");
    assert_eq!(all(&store).await, ["a:1", "b:2", "d:4"]);
    assert_eq!(keys(&store, where_("group", Test::Equals(text("red")))).await, ["a"]);
    assert_eq!(store.parked(PROJECTION, Generation::Live).await.expect("readable"), [parked(1, "c")]);

    begin(&store, Rebuild::FromSnapshot).await;
    assert_eq!(checkpoint(&store, Generation::Next).await, 3, "it is still there");
}

/// What isn't made anew stays as it is.
pub async fn begins_with_the_live_rows(fixture: ReadModelsFixture) {
    let store = with_rows(&fixture).await;
    let number = begin(&store, Rebuild::RowsOf(Replay::all())).await;
    assert_eq!(checkpoint(&store, Generation::Next).await, 1);
    let anew = ProjectionBatch { checkpoint: 1, ..batch(1, vec![row("b", Some("blue"), Some("b"), 7)]) };
    commit(&store, next(number, anew)).await;
    store.finish_rebuild(PROJECTION, THINGS, number, 1).await.expect("as far as the live one");
    assert_eq!(all(&store).await, ["a:0", "b:7", "c:2", "d:3", "e:4"]);
    assert_eq!(keys(&store, where_("group", Test::Equals(text("blue")))).await, ["b", "c"]);
    let done = record(&store).await;
    assert_eq!((done.rebuilding, done.epoch), (false, 1));
}

/// Nobody writes it, and a rebuild beside it goes on.
pub async fn pauses_a_projection(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    store.set_paused(PROJECTION, true).await.expect("paused");
    assert!(record(&store).await.paused);
    let refused = store.commit_projection(batch(0, vec![row("a", None, None, 1)])).await;
    assert!(matches!(refused, Err(ProjectionError::Paused)), "{refused:?}");
    let number = begin(&store, 0).await;
    commit(&store, next(number, batch(0, vec![row("b", None, None, 2)]))).await;
    store.finish_rebuild(PROJECTION, THINGS, number, 1).await.expect("further than the live one");
    assert!(record(&store).await.paused);
    assert_eq!(all(&store).await, ["b:2"]);
    store.set_paused(PROJECTION, false).await.expect("goes on");
    commit(&store, ProjectionBatch { epoch: 1, ..batch(1, vec![row("b", None, None, 3)]) }).await;
    assert_eq!(all(&store).await, ["b:3"]);
}

/// As if nothing had been taken in yet; who has read rows before cannot write them any more.
pub async fn empties_a_read_model(fixture: ReadModelsFixture) {
    let store = with_table(&fixture);
    commit(&store, ProjectionBatch { park: vec![parked(1, "b")], ..batch(0, vec![row("a", None, None, 1)]) }).await;
    store.reset_projection(PROJECTION, THINGS).await.expect("emptied");
    assert_eq!((all(&store).await.len(), checkpoint(&store, Generation::Live).await), (0, 0));
    assert_eq!(store.parked(PROJECTION, Generation::Live).await.expect("readable"), []);
    let stale = store.commit_projection(batch(0, vec![row("a", None, None, 9)])).await;
    assert!(matches!(stale, Err(ProjectionError::Moved { actual: 0 })), "{stale:?}");
    commit(&store, ProjectionBatch { epoch: 1, ..batch(0, vec![row("a", None, None, 2)]) }).await;
    assert_eq!(all(&store).await, ["a:2"]);
}

async fn record(store: &SharedReadModels) -> ProjectionRecord {
    store.projection(PROJECTION).await.expect("readable")
}
