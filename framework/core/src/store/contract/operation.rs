//! Migrations, readiness, the end.

use std::time::SystemTime;

use super::read_models::{PROJECTION, THINGS};
use super::{Fixture, appending};
use crate::event::StreamId;
use crate::read_model::{ColumnType, Table, TableColumn};
use crate::store::{CommitError, Migration, Rebuild};

const FIRST: Migration =
    Migration::of_any_database("0001_first", "CREATE TABLE one (a INTEGER); CREATE TABLE two (b TEXT);");
const SECOND: Migration = Migration::of_any_database("0002_second", "ALTER TABLE one ADD COLUMN c TEXT;")
    .reverted_by("ALTER TABLE one DROP COLUMN c; CREATE TABLE proof (a INTEGER);");

const ALONE: Migration = Migration::of_any_database("0003_alone", "CREATE TABLE alone (a INTEGER);");

/// In the order given, and only what is new.
pub async fn applies_each_migration_once(Fixture { store, guard: _guard, .. }: Fixture) {
    assert_eq!(store.migrate(&[FIRST]).await.expect("applied"), ["0001_first"]);
    assert_eq!(store.migrate(&[FIRST, SECOND]).await.expect("applied"), ["0002_second"]);
    assert_eq!(store.migrate(&[FIRST, SECOND]).await.expect("nothing to do"), [""; 0]);
}

/// In the order in which they were applied, and when.
pub async fn tells_which_migrations_are_applied(Fixture { store, guard: _guard, .. }: Fixture) {
    assert_eq!(store.applied_migrations().await.expect("told before the first"), []);
    let began = SystemTime::now();
    store.migrate(&[ALONE, FIRST]).await.expect("applied");
    let applied = store.applied_migrations().await.expect("told");
    let names: Vec<_> = applied.iter().map(|migration| migration.name.as_str()).collect();
    assert_eq!(names, ["0003_alone", "0001_first"]);
    assert!(applied.iter().all(|migration| migration.applied_at >= began), "{applied:?}");
}

/// What has been applied cannot be changed any more; the error says which it is.
pub async fn refuses_a_changed_migration(Fixture { store, guard: _guard, .. }: Fixture) {
    const CHANGED: Migration = Migration::of_any_database(FIRST.name, "CREATE TABLE three (a INTEGER);");
    store.migrate(&[FIRST]).await.expect("applied");
    let error = store.migrate(&[CHANGED, SECOND]).await.expect_err("changed").to_string();
    assert!(error.contains("0001_first"), "{error}");
    assert_eq!(store.migrate(&[FIRST, SECOND]).await.expect("applied"), ["0002_second"]);
}

/// What takes it back is executed, and it can be applied again.
pub async fn takes_a_migration_back(Fixture { store, guard: _guard, .. }: Fixture) {
    assert!(!store.revert(SECOND).await.expect("told"), "it hasn't been applied");
    store.migrate(&[FIRST, SECOND]).await.expect("applied");
    assert!(store.revert(SECOND).await.expect("taken back"));
    assert!(!store.revert(SECOND).await.expect("told"), "it has been taken back");
    assert_eq!(store.applied_migrations().await.expect("told").len(), 1);
    assert_eq!(store.migrate(&[FIRST, SECOND]).await.expect("applied"), ["0002_second"]);
    // The second time there is a table `proof` already, where there are tables.
    let executes = store.script(&SECOND).down == SECOND.sqlite.down;
    assert_eq!(store.revert(SECOND).await.is_err(), executes);
}

/// A table that a migration makes anew has another shape than what was saved of it.
pub async fn does_not_restore_a_copy_from_before_a_migration(fixture: Fixture) {
    const COLUMNS: &[TableColumn] = &[TableColumn::new("colour", ColumnType::Text)];
    const CHANGED: Table = Table { columns: COLUMNS, ..THINGS };
    let Fixture { store, create_table, guard: _guard } = fixture;
    let sql = create_table(&CHANGED);
    if sql.is_empty() {
        return; // There are no tables, and what is in memory has no past.
    }
    let first = migration("0001_things", create_table(&THINGS));
    store.migrate(kept([first])).await.expect("applied");
    store.save_copy(PROJECTION, THINGS).await.expect("saved");
    // As the generator writes it.
    let forget = format!("DELETE FROM potter_checkpoints WHERE projection = '{PROJECTION}'");
    let second = migration("0002_things", format!("DROP TABLE {}; {forget}; {sql}", THINGS.name));
    store.migrate(kept([first, second])).await.expect("applied");
    let begun = store.begin_rebuild(PROJECTION, CHANGED, Rebuild::FromSnapshot).await;
    assert_eq!(begun.expect("told"), None, "it has the shape of before");
    store.save_copy(PROJECTION, CHANGED).await.expect("saved");
    let begun = store.begin_rebuild(PROJECTION, CHANGED, Rebuild::FromSnapshot).await;
    assert_eq!(begun.expect("begun"), Some(1));
}

fn migration(name: &'static str, sql: String) -> Migration {
    Migration::of_any_database(name, Box::leak(sql.into_boxed_str()))
}

/// Migrations live as long as their program; that of a test isn't long.
fn kept<const N: usize>(migrations: [Migration; N]) -> &'static [Migration] {
    Box::leak(Box::new(migrations))
}

/// Nor is one taken back whose text has changed, or that nothing takes back.
pub async fn refuses_to_take_back_what_it_cannot(Fixture { store, guard: _guard, .. }: Fixture) {
    const CHANGED: Migration = Migration::of_any_database(FIRST.name, "CREATE TABLE three (a INTEGER);");
    store.migrate(&[FIRST]).await.expect("applied");
    let error = store.revert(CHANGED).await.expect_err("changed").to_string();
    assert!(error.contains("0001_first") && error.contains("changed"), "{error}");
    let error = store.revert(FIRST).await.expect_err("for good").to_string();
    assert!(error.contains("0001_first.down.sql"), "{error}");
    assert_eq!(store.applied_migrations().await.expect("told").len(), 1);
}

/// For readiness.
pub async fn answers_a_ping(Fixture { store, guard: _guard, .. }: Fixture) {
    store.ping().await.expect("it works");
}

/// What was sent before is finished; what comes later gets an error rather than no answer.
pub async fn refuses_everything_once_closed(Fixture { store, guard: _guard, .. }: Fixture) {
    let before = store.commit(appending("1", 0, &["x"]));
    let (before, ()) = futures::join!(before, store.close());
    before.expect("it was sent before");
    let error = store.commit(appending("2", 0, &["x"])).await.expect_err("closed");
    assert!(matches!(error, CommitError::Store(_)), "{error:?}");
    assert!(store.read_stream(StreamId::new("Thing", "1"), 0).await.is_err());
    assert!(store.ping().await.is_err());
    store.close().await;
}
