//! Read models: exactly once, in order, around what cannot be taken in, and built anew.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use potter_core::dispatch::Options;
use potter_core::event::StreamId;
use potter_core::failure::codes;
use potter_core::health::HealthStatus;
use potter_core::memory::MemoryStore;
use potter_core::module::PROJECTION_BATCH;
use potter_core::projection::{self, ProjectionState, Rebuild};
use potter_core::read_model::ReadModel;
use potter_core::replay::Replay;
use potter_core::store::{
    Append, Generation, ParkedEvent, ProjectionBatch, ReadModels, Selection, SharedStore, Store, Unit,
};
use potter_core::testing::TestApp;
use proptest::prelude::*;
use prost::Message;

use crate::commands::app;
use crate::product::{self, *};
use crate::stores::{TestStore, elsewhere};

async fn rows(store: &dyn Store) -> Vec<Product> {
    let selected = store.select(Products::TABLE, Selection::default()).await.expect("the store answers");
    selected.rows.into_iter().map(|row| Product::decode(row).expect("a row")).collect()
}

async fn parked(store: &dyn Store) -> Vec<ParkedEvent> {
    store.parked(Products::NAME, Generation::Live).await.expect("the store answers")
}

async fn names(app: &TestApp) -> Vec<String> {
    app.settle().await;
    rows(app.dispatcher().store().as_ref()).await.into_iter().map(|row| row.name).collect()
}

fn condition(app: &TestApp) -> (ProjectionState, usize) {
    let status = app.dispatcher().projections().remove(0);
    (status.state, status.parked)
}

#[tokio::test]
async fn rows_follow_the_events() {
    let app = app().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.call::<_, ProductReply>(CREATE, &create("q", "Ink", 5)).await.expect("created");
    app.call::<_, ProductReply>(RENAME, &rename("p", "Quill")).await.expect("renamed");
    assert_eq!(names(&app).await, ["Quill", "Ink"]);
    app.call::<_, ()>(DELETE, &delete("p")).await.expect("deleted");
    assert_eq!(names(&app).await, ["Ink"]);
    assert_eq!(condition(&app), (ProjectionState::Active, 0));
}

#[tokio::test]
async fn a_start_goes_on_where_the_last_one_stopped() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    app.dispatcher().shutdown().await;
    store
        .commit(elsewhere("p", 1, &ProductRestocked { quantity: 1, ..Default::default() }.into()))
        .await
        .expect("recorded");
    let app = store.start().await;
    app.settle().await;
    assert_eq!(rows(&*store).await[0].stock, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_do_not_take_an_event_in_twice() {
    let store = TestStore::new();
    let apps = [store.start().await, store.start().await];
    apps[0].call::<_, ProductReply>(CREATE, &create("p", "Pen", 1000)).await.expect("created");
    for _ in 0..200 {
        apps[1].call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    }
    for app in &apps {
        app.settle().await;
    }
    assert_eq!(rows(&*store).await[0].stock, 800);
}

/// A process that leads, one that stands by, and the store of the one that leads.
async fn leader_and_other() -> (Arc<TestStore>, TestApp, TestApp) {
    let store = TestStore::new();
    let leader = store.start().await;
    leader.call::<_, ProductReply>(CREATE, &create("p", "Pen", 1000)).await.expect("created");
    leader.settle().await;
    let other = store.beside().start().await;
    other.settle().await;
    (store, leader, other)
}

#[tokio::test(start_paused = true)]
async fn another_process_takes_the_lead_when_the_leader_stands_still() {
    let (store, leader, other) = leader_and_other().await;
    for _ in 0..3 {
        store.fail_projections(u32::MAX);
        leader.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
        other.settle().await;
        store.fail_projections(0);
        leader.settle().await;
    }
    assert_eq!(rows(&*store).await[0].stock, 997);
    assert_eq!((condition(&leader).0, condition(&other).0), (ProjectionState::Active, ProjectionState::Active));
}

#[tokio::test(start_paused = true)]
async fn who_stands_by_sees_what_the_leader_takes_in() {
    let (store, leader, other) = leader_and_other().await;
    other.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    leader.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    let found: Product = other.call(GET, &get("p")).await.expect("found");
    assert_eq!(found.stock, 998);
    store.fail_projections(u32::MAX);
    let strange =
        Append { aggregate: "Stranger", ..elsewhere("p", 0, &ProductDeleted {}.into()).append.expect("events") };
    store.commit(Unit { append: Some(strange), ..Unit::default() }).await.expect("recorded");
    let began = tokio::time::Instant::now();
    other.settle().await;
    assert!(began.elapsed() < Duration::from_millis(100), "what concerns nobody is passed over at once");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_tried_again() {
    let store = TestStore::new();
    let app = store.start().await;
    store.fail_projections(3);
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(condition(&app).0, ProjectionState::Error("the store is out of reach".to_owned()));
    let health = app.dispatcher().health().await;
    let component = health.iter().find(|it| it.name == "projection Products").expect("a component");
    assert_eq!(component.status, HealthStatus::Down);
    app.dispatcher().settle(Duration::from_secs(60)).await.expect("it works again");
    assert_eq!(condition(&app).0, ProjectionState::Active);
    assert_eq!(rows(&*store).await[0].stock, 5);
}

/// However many events it sees the other take in.
#[tokio::test(start_paused = true)]
async fn who_stands_by_asks_for_parked_events_once_a_second() {
    let store = TestStore::new();
    let leader = store.start().await;
    leader.call::<_, ProductReply>(CREATE, &create("p", "Pen", 1000)).await.expect("created");
    leader.settle().await;
    let beside = store.beside();
    let other = beside.start().await;
    other.settle().await;
    let before = beside.looks_at_parked();
    for _ in 0..40 {
        leader.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
        other.settle().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(beside.looks_at_parked() - before <= 4, "{} looks within two seconds", beside.looks_at_parked() - before);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_went_well_hides_no_outage() {
    let store = TestStore::new();
    let app = store.start().await;
    app.settle().await;
    store.set_away(true);
    store.beside().commit(elsewhere("p", 0, &ProductDeleted {}.into())).await.expect("recorded");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let away = ProjectionState::Error("the store is out of reach".to_owned());
    assert_eq!(condition(&app).0, away);
    app.dispatcher().resume(Products::NAME).await.expect("noted");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(condition(&app).0, away);
}

/// However often it was tried meanwhile: nobody waits out what is meant for what fails for good.
#[tokio::test(start_paused = true)]
async fn a_read_model_goes_on_as_soon_as_the_store_answers_again() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    for version in 1..6 {
        app.settle().await;
        store.set_away(true);
        let restocked = ProductRestocked { quantity: 1, ..ProductRestocked::default() }.into();
        store.beside().commit(elsewhere("p", version, &restocked)).await.expect("recorded");
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(ill(&app).await, ["store", "projection Products"]);
        store.set_away(false);
        app.dispatcher().settle(Duration::from_millis(500)).await.expect("it goes on at once");
        assert!(ill(&app).await.is_empty());
    }
}

/// The parts that are down.
async fn ill(app: &TestApp) -> Vec<String> {
    let components = app.dispatcher().health().await;
    components.into_iter().filter(|it| it.status == HealthStatus::Down).map(|it| it.name).collect()
}

/// A store that answers whoever looks, and fails all the same, is tried every second.
#[tokio::test(start_paused = true)]
async fn a_read_model_waits_no_longer_than_a_second() {
    let store = TestStore::new();
    let app = store.start().await;
    store.fail_projections(10);
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.dispatcher().settle(Duration::from_secs(12)).await.expect("it goes on");
}

#[tokio::test(start_paused = true)]
async fn a_paused_projection_takes_nothing_in_and_queries_are_answered_as_of_then() {
    let (store, leader, other) = leader_and_other().await;
    other.dispatcher().pause(Products::NAME).await.expect("paused");
    leader.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    tokio::time::sleep(Duration::from_secs(2)).await;
    for app in [&leader, &other] {
        assert_eq!(condition(app).0, ProjectionState::Paused);
        assert_eq!(app.call::<_, Product>(GET, &get("p")).await.expect("found").stock, 1000);
    }
    leader.dispatcher().resume(Products::NAME).await.expect("goes on");
    for app in [&leader, &other] {
        app.settle().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(condition(app).0, ProjectionState::Active);
    }
    assert_eq!(rows(&*store).await[0].stock, 999);
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_the_process() {
    let store = TestStore::new();
    let app = store.start().await;
    app.dispatcher().pause(Products::NAME).await.expect("paused");
    app.dispatcher().shutdown().await;
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((condition(&app).0, rows(&*store).await.len()), (ProjectionState::Paused, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reset_takes_everything_in_again_in_whatever_process() {
    let (store, leader, other) = leader_and_other().await;
    for app in [&leader, &other] {
        app.call::<_, ProductReply>(RENAME, &rename("p", "Quill")).await.expect("renamed");
        app.dispatcher().reset(Products::NAME).await.expect("emptied");
        app.settle().await;
    }
    // Whoever has kept rows in memory from before must not write those.
    leader.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    leader.settle().await;
    let rows = rows(&*store).await;
    assert_eq!((rows.len(), rows[0].name.as_str(), rows[0].stock), (1, "Quill", 999));
}

/// An older copy of the log, restored beside a read model that is kept elsewhere: none of its rows can be relied upon.
#[tokio::test(start_paused = true)]
async fn a_read_model_that_is_ahead_of_its_log_says_so_until_it_is_reset() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    app.dispatcher().shutdown().await;
    let ahead = ProjectionBatch::moving(Products::NAME, Products::TABLE, 1, 4);
    store.commit_projection(ahead).await.expect("moved");

    let mut app = store.start().await;
    // Later events must not be taken for those that were seen, and neither a start nor a replay makes it forget that.
    for name in ["Quill", "Nib", "Ink", "Cap"] {
        app.call::<_, ProductReply>(RENAME, &rename("p", name)).await.expect("renamed");
        tokio::time::sleep(Duration::from_secs(3)).await;
        let ProjectionState::Error(reason) = condition(&app).0 else { panic!("{:?}", condition(&app)) };
        assert!(reason.contains("the log ends before what has been taken in"), "{reason}");
        let refused = app.call::<_, Product>(GET, &get("p")).await.expect_err("unavailable");
        assert_eq!(refused.code, codes::UNAVAILABLE);
        let refused = app.dispatcher().replay_parked(Products::NAME, Replay::all()).await.expect_err("refused");
        assert_eq!(refused.code, "OTHER_LOG");
        app.dispatcher().shutdown().await;
        app = store.start().await;
    }
    let told = projection::list(&product::module(Catalogue), &(store.clone() as SharedStore)).await;
    assert!(matches!(told[0].state, ProjectionState::Error(_)), "{told:?}");
    let rebuilt = app.dispatcher().rebuild(Products::NAME).await.expect_err("refused");
    assert!(rebuilt.message.contains("A reset takes everything in again"), "{rebuilt}");
    app.dispatcher().reset(Products::NAME).await.expect("emptied");
    assert_eq!(names(&app).await, ["Cap"]);
    assert_eq!(condition(&app).0, ProjectionState::Active);
}

/// There is nothing to wait for in an empty log, and yet the rows aren't of it.
#[tokio::test(start_paused = true)]
async fn nothing_is_answered_of_a_read_model_beside_an_empty_log() {
    let store = TestStore::new();
    let ahead = ProjectionBatch::moving(Products::NAME, Products::TABLE, 0, 4);
    store.commit_projection(ahead).await.expect("moved");
    let app = store.start().await;
    let refused = app.call::<_, Product>(GET, &get("p")).await.expect_err("unavailable");
    assert_eq!(refused.code, codes::UNAVAILABLE);
}

#[tokio::test]
async fn a_rebuild_begins_within_the_log() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let refused = app.dispatcher().rebuild_from(Products::NAME, 2).await.expect_err("refused");
    assert_eq!(refused.message, "`from` is beyond the log, which ends at position 1");
    let shared: SharedStore = store.clone();
    let refused = projection::rebuild(&product::module(Catalogue), shared, "Products", 2, |_, _| {}).await;
    assert_eq!(refused.expect_err("refused").code, codes::INVALID_REQUEST);
    assert_eq!(names(&app).await, ["Pen"], "nothing has been begun");
}

/// Whoever asks the store, as the command line does, hears of it too.
#[tokio::test(start_paused = true)]
async fn events_of_other_aggregates_move_the_checkpoint_at_rest() {
    let store = TestStore::new();
    let app = store.start().await;
    let mut unit = elsewhere("o", 0, &ProductRenamed { name: "Pen".to_owned() }.into());
    let append = unit.append.as_mut().expect("an event");
    (append.aggregate, append.events[0].event_type) = ("Order", "order.placed");
    store.commit(unit).await.expect("recorded");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(condition(&app).0, ProjectionState::Active);
    assert_eq!(store.checkpoint(Products::NAME, Generation::Live).await.expect("the store answers"), 1);
}

/// No event tells of it.
#[tokio::test(start_paused = true)]
async fn a_service_at_rest_notices_what_the_command_line_does() {
    let (store, leader, other) = leader_and_other().await;
    let (mut states, wait) = (Vec::new(), Duration::from_secs(3));
    store.reset_projection(Products::NAME, Products::TABLE).await.expect("emptied");
    tokio::time::sleep(wait).await;
    assert_eq!(rows(&*store).await.len(), 1, "everything is taken in again");
    for paused in [true, false] {
        store.set_paused(Products::NAME, paused).await.expect("set");
        tokio::time::sleep(wait).await;
        states.push([condition(&leader).0, condition(&other).0]);
    }
    assert_eq!(
        states,
        [[ProjectionState::Paused, ProjectionState::Paused], [ProjectionState::Active, ProjectionState::Active]]
    );
}

#[tokio::test]
async fn a_rebuild_from_a_position_knows_only_what_has_happened_since() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.call::<_, ProductReply>(CREATE, &create("q", "Ink", 5)).await.expect("created");
    app.dispatcher().rebuild_from(Products::NAME, 1).await.expect("rebuilt");
    assert_eq!(names(&app).await, ["Ink"]);
}

#[tokio::test]
async fn a_rebuild_that_was_interrupted_goes_on_at_the_next_start() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    app.dispatcher().shutdown().await;
    // Begun, and killed right after.
    store.begin_rebuild(Products::NAME, Products::TABLE, Rebuild::After(0)).await.expect("begun");
    let app = store.start().await;
    let rebuilt = async {
        while store.projection(Products::NAME).await.expect("readable").rebuilding {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rebuilt).await.expect("it goes on");
    assert_eq!(names(&app).await, ["Pen"]);
    assert_eq!(store.projection(Products::NAME).await.expect("readable").epoch, 1);
}

/// Far more events than fit into a batch, so that the commit of one goes on while the next is prepared; answers with
/// the stock that each product must have in the end.
async fn many_events(store: &dyn Store, poison: &[(u64, u8, ProductEvent)]) -> BTreeMap<String, i64> {
    const PRODUCTS: u8 = 100;
    let (mut versions, mut stocks, mut blocked) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for id in 0..PRODUCTS {
        let created = ProductCreated { name: format!("name of {id}"), stock: 1_000, ..Default::default() };
        record(store, &mut versions, &(id, created.into())).await;
        stocks.insert(format!("name of {id}"), 1_000);
    }
    for (count, id) in (0..13_000_u64).zip((0..PRODUCTS / 2).cycle()) {
        // One batch is about other products than the next.
        let batch = (count + u64::from(PRODUCTS)) / PROJECTION_BATCH.get() as u64;
        let id = if batch.is_multiple_of(2) { id } else { id + PRODUCTS / 2 };
        for (_, id, event) in poison.iter().filter(|(when, ..)| *when == count) {
            record(store, &mut versions, &(*id, event.clone())).await;
            blocked.push(*id);
        }
        record(store, &mut versions, &(id, StockReserved { quantity: 1 }.into())).await;
        if !blocked.contains(&id) {
            *stocks.get_mut(&format!("name of {id}")).expect("created") -= 1;
        }
    }
    stocks
}

async fn stocks(app: &TestApp) -> BTreeMap<String, i64> {
    app.settle().await;
    let rows = rows(app.dispatcher().store().as_ref()).await;
    rows.into_iter().map(|row| (row.name, row.stock)).collect()
}

#[tokio::test]
async fn a_batch_that_stumbles_does_not_harm_the_one_prepared_upon_it() {
    let renamed = |name: String| ProductRenamed { name }.into();
    let not_unique = |of: u8| renamed(format!("name of {of}"));
    let panics = || renamed(UNPROJECTABLE.to_owned());
    let poison = [
        // In the fourth of batches of 1,000; the fifth is prepared as if that one had been taken in.
        (3_000, 57, not_unique(58)),
        (5_300, 57, renamed("a name of its own".to_owned())),
        // While one batch is committed, another shows that it has to be taken in otherwise.
        (6_500, 9, panics()),
        (9_000, 50, not_unique(51)),
        (10_500, 11, panics()),
    ];
    let store = TestStore::new();
    let expected = many_events(&*store, &poison).await;
    let app = store.start().await;
    assert_eq!(stocks(&app).await, expected);
    let mut waiting: Vec<_> = parked(&*store).await.into_iter().map(|it| it.key).collect();
    waiting.sort();
    waiting.dedup();
    assert_eq!(waiting, ["11", "50", "57", "9"]);
    app.dispatcher().rebuild("Products").await.expect("rebuilt");
    assert_eq!(stocks(&app).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_between_batches_is_tried_again() {
    let store = TestStore::new();
    let expected = many_events(&*store, &[]).await;
    store.fail_projections_after(2, 3);
    let app = store.start().await;
    app.dispatcher().settle(Duration::from_secs(60)).await.expect("it works again");
    assert_eq!(stocks(&app).await, expected);
    assert_eq!(condition(&app), (ProjectionState::Active, 0));
}

#[tokio::test]
async fn an_event_that_panics_blocks_its_row_only() {
    let app = app().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.call::<_, ProductReply>(CREATE, &create("q", "Ink", 5)).await.expect("created");
    app.call::<_, ProductReply>(RENAME, &rename("p", UNPROJECTABLE)).await.expect("renamed");
    app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    app.call::<_, ProductReply>(RESERVE, &reserve("q", 1)).await.expect("reserved");
    app.settle().await;
    let store = app.dispatcher().store().as_ref();
    let stocks: Vec<_> = rows(store).await.into_iter().map(|row| (row.name, row.stock)).collect();
    assert_eq!(stocks, [("Pen".to_owned(), 5), ("Ink".to_owned(), 4)]);
    let parked = parked(store).await;
    assert_eq!(parked.iter().map(|it| (it.position, it.key.as_str())).collect::<Vec<_>>(), [(3, "p"), (4, "p")]);
    assert!(parked[0].reason.contains("on purpose"), "{}", parked[0].reason);
    assert_eq!(parked[1].reason, "waits for the parked event at position 3");
    assert_eq!(condition(&app), (ProjectionState::Active, 2));
    let health = app.dispatcher().health().await;
    let component = health.iter().find(|it| it.name == "projection Products").expect("a component");
    assert_eq!((component.status, component.detail.as_str()), (HealthStatus::Degraded, "2 events parked"));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_blocks_its_row_only() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let mut unreadable = elsewhere("p", 1, &ProductRenamed::default().into());
    unreadable.append.as_mut().expect("events").events[0].schema_version = 9;
    store.commit(unreadable).await.expect("recorded");
    app.call::<_, ProductReply>(CREATE, &create("q", "Ink", 5)).await.expect("created");
    assert_eq!(names(&app).await, ["Pen", "Ink"]);
    let parked = parked(&*store).await;
    assert_eq!(parked.len(), 1);
    assert!(parked[0].reason.contains("version 9"), "{}", parked[0].reason);
}

#[tokio::test]
async fn a_value_that_is_not_unique_is_parked_and_taken_in_when_it_is_free() {
    let store = TestStore::new();
    // All in one batch, so that the event in question has to be found.
    for (id, name) in [("a", "Ant"), ("b", "Bee"), ("c", "Ant"), ("d", "Dog")] {
        let created = ProductCreated { name: name.to_owned(), stock: 1, ..ProductCreated::default() };
        store.commit(elsewhere(id, 0, &created.into())).await.expect("recorded");
    }
    store.commit(elsewhere("c", 1, &StockReserved { quantity: 1 }.into())).await.expect("recorded");
    let app = store.start().await;
    assert_eq!(names(&app).await, ["Ant", "Bee", "Dog"]);
    let keys: Vec<_> = parked(&*store).await.into_iter().map(|it| (it.position, it.key)).collect();
    assert_eq!(keys, [(3, "c".to_owned()), (5, "c".to_owned())]);
    assert_eq!(app.dispatcher().replay_parked("Products", Replay::all()).await, Ok(0));
    app.call::<_, ProductReply>(RENAME, &rename("a", "Ape")).await.expect("renamed");
    app.settle().await;
    assert_eq!(app.dispatcher().replay_parked("Products", Replay::all()).await, Ok(2));
    assert_eq!(names(&app).await, ["Ape", "Bee", "Ant", "Dog"]);
    assert_eq!(rows(&*store).await[2].stock, 0);
    assert_eq!(condition(&app), (ProjectionState::Active, 0));
    app.call::<_, ProductReply>(RENAME, &rename("c", "Cat")).await.expect("renamed");
    assert_eq!(names(&app).await, ["Ape", "Bee", "Cat", "Dog"]);
}

#[tokio::test]
async fn what_another_process_replays_is_no_longer_blocked() {
    let store = TestStore::new();
    let app = store.start().await;
    for (id, name) in [("a", "Ant"), ("b", "Bee")] {
        app.call::<_, ProductReply>(CREATE, &create(id, name, 5)).await.expect("created");
    }
    app.settle().await;
    let renamed = ProductRenamed { name: "Ant".to_owned() };
    store.commit(elsewhere("b", 1, &renamed.into())).await.expect("recorded");
    app.call::<_, ProductReply>(RESERVE, &reserve("b", 1)).await.expect("reserved");
    app.call::<_, ProductReply>(RENAME, &rename("a", "Ape")).await.expect("renamed");
    app.settle().await;
    assert_eq!(condition(&app), (ProjectionState::Active, 2));
    let (shared, module) = (store.clone() as SharedStore, product::module(Catalogue));
    let replayed = projection::replay_parked(&module, &shared, "Products", &Replay::all()).await;
    assert_eq!(replayed.expect("replayed"), 2);
    let noticed = async {
        while condition(&app) != (ProjectionState::Active, 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed).await.expect("the service notices");
    app.call::<_, ProductReply>(RESERVE, &reserve("b", 1)).await.expect("reserved");
    app.settle().await;
    assert_eq!((parked(&*store).await.len(), rows(&*store).await[1].stock), (0, 3), "with what was replayed");
}

#[tokio::test]
async fn names_may_be_exchanged_in_one_batch() {
    let store = TestStore::new();
    for (id, version, name) in [("a", 0, "Ant"), ("b", 0, "Bee"), ("a", 1, "Bee"), ("b", 1, "Ant")] {
        let event = match version {
            0 => ProductCreated { name: name.to_owned(), ..ProductCreated::default() }.into(),
            _ => ProductRenamed { name: name.to_owned() }.into(),
        };
        store.commit(elsewhere(id, version, &event)).await.expect("recorded");
    }
    let app = store.start().await;
    assert_eq!(names(&app).await, ["Bee", "Ant"]);
    assert_eq!(condition(&app).1, 0);
}

#[tokio::test]
async fn a_rebuild_makes_the_same_rows_while_queries_go_on() {
    let app = app().await;
    for number in 0..50 {
        let id = format!("p{number:02}");
        app.call::<_, ProductReply>(CREATE, &create(&id, &id, number)).await.expect("created");
    }
    app.settle().await;
    let store = app.dispatcher().store().clone();
    let before = rows(store.as_ref()).await;
    let rebuild = app.dispatcher().rebuild("Products");
    let meanwhile = async {
        let reply: Product = app.call(GET, &get("p07")).await.expect("found");
        app.call::<_, ProductReply>(RENAME, &rename("p07", "Pen")).await.expect("renamed");
        reply
    };
    let (rebuilt, reply) = tokio::join!(rebuild, meanwhile);
    rebuilt.expect("rebuilt");
    assert_eq!(reply.stock, 7);
    let found: Product = app.call(GET, &get("p07")).await.expect("found");
    assert_eq!(found.name, "Pen");
    let after = rows(store.as_ref()).await;
    assert_eq!(after.len(), before.len());
    assert_eq!(condition(&app), (ProjectionState::Active, 0));
    assert!(app.dispatcher().rebuild("Nothing").await.is_err());
}

#[tokio::test]
async fn a_rebuild_repairs_rows() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    app.dispatcher().shutdown().await;
    spoil(&store).await;
    let shared: SharedStore = store.clone();
    projection::rebuild(&product::module(Catalogue), shared, "Products", 0, |_, _| {}).await.expect("rebuilt");
    assert_eq!(rows(&*store).await[0].stock, 5);
    let statuses = projection::list(&product::module(Catalogue), &(store.clone() as SharedStore)).await;
    assert_eq!((statuses[0].position, statuses[0].head, statuses[0].parked), (1, 1, 0));
}

#[tokio::test]
async fn a_module_says_how_many_events_are_taken_in_at_a_time() {
    let store = TestStore::new();
    let app = store.start().await;
    for id in ["p", "q", "r", "s", "t"] {
        app.call::<_, ProductReply>(CREATE, &create(id, id, 5)).await.expect("created");
    }
    app.settle().await;
    app.dispatcher().shutdown().await;
    let (shared, mut module) = (store.clone() as SharedStore, product::module(Catalogue));
    module.projection_batch(NonZeroUsize::new(2).expect("it isn't 0"));
    let (told, positions) = std::sync::mpsc::channel();
    let tell = move |position, _| told.send(position).expect("somebody listens");
    projection::rebuild(&module, shared, "Products", 0, tell).await.expect("rebuilt");
    let positions: Vec<u64> = std::iter::once(0).chain(positions.iter()).collect();
    // A batch that was being committed, and what is left.
    assert!(positions.windows(2).all(|pair| pair[1] - pair[0] <= 3), "{positions:?}");
    assert_eq!(positions.last(), Some(&5));
}

#[tokio::test]
async fn a_running_service_notices_a_rebuild_by_another_process() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    spoil(&store).await;
    let shared: SharedStore = store.clone();
    projection::rebuild(&product::module(Catalogue), shared, "Products", 0, |_, _| {}).await.expect("rebuilt");
    app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    app.settle().await;
    assert_eq!(rows(&*store).await[0].stock, 4);
}

#[tokio::test]
async fn rows_are_made_anew_by_stream_or_by_type_of_event() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.call::<_, ProductReply>(CREATE, &create("q", "Ink", 5)).await.expect("created");
    app.call::<_, ProductReply>(RENAME, &rename("p", "Quill")).await.expect("renamed");
    app.settle().await;
    let stream = |id: &str| Replay::all().of_stream(StreamId::new("Product", id));
    let of_type = |name: &str| Replay::all().of_type(name);
    for (events, repaired) in [
        (stream("q"), "Wrong"),
        (stream("p"), "Quill"),
        (of_type("product.renamed"), "Quill"),
        (stream("p").of_type("product.deleted"), "Wrong"),
        (Replay::all(), "Quill"),
    ] {
        spoil(&store).await;
        let shared: SharedStore = store.clone();
        let begin = Rebuild::RowsOf(events.clone());
        projection::rebuild(&product::module(Catalogue), shared, "Products", begin, |_, _| {}).await.expect("rebuilt");
        let mut names: Vec<_> = rows(&*store).await.into_iter().map(|row| row.name).collect();
        names.sort();
        assert_eq!(names, ["Ink", repaired], "{events:?}");
    }
    // A running service notices that somebody else has made them.
    app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    app.settle().await;
    let pen = rows(&*store).await.into_iter().find(|row| row.name == "Quill").expect("there");
    assert_eq!(pen.stock, 4);
}

/// Killed right after the copy was made: neither is the copy put in place, nor is the wish forgotten.
#[tokio::test]
async fn rows_that_were_to_be_made_anew_are_at_the_next_start() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    app.dispatcher().shutdown().await;
    spoil(&store).await;
    let begin = || Rebuild::RowsOf(Replay::all().of_type("product.created"));
    store.begin_rebuild(Products::NAME, Products::TABLE, begin()).await.expect("begun");
    let app = store.start().await;
    let rebuilt = async {
        while store.projection(Products::NAME).await.expect("readable").rebuilding {
            assert_eq!(rows(&*store).await[0].name, "Wrong", "as it was");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rebuilt).await.expect("it goes on");
    assert_eq!(names(&app).await, ["Pen"]);
    let record = store.projection(Products::NAME).await.expect("readable");
    let rebuild = record.rebuild.expect("it has been begun");
    assert_eq!((record.epoch, rebuild.begin, rebuild.end.map(|it| it.failure)), (1, begin(), Some(None)));
}

/// However few fit in a batch, rows may take over names that others of them give up.
#[tokio::test]
async fn rows_are_made_anew_in_batches() {
    let store = TestStore::new();
    let app = store.start().await;
    for (id, name) in [("p", "Pen"), ("q", "Ink"), ("r", "Cap"), ("s", "Nib"), ("t", "Box")] {
        app.call::<_, ProductReply>(CREATE, &create(id, name, 5)).await.expect("created");
    }
    app.settle().await;
    app.dispatcher().shutdown().await;
    // As if names had been passed on in a circle.
    swap_names(&store, &[("p", "Ink"), ("q", "Cap"), ("r", "Nib"), ("s", "Box"), ("t", "Pen")]).await;
    let (shared, mut module) = (store.clone() as SharedStore, product::module(Catalogue));
    module.projection_batch(NonZeroUsize::new(2).expect("it isn't 0"));
    let begin = Rebuild::RowsOf(Replay::all());
    projection::rebuild(&module, shared, "Products", begin, |_, _| {}).await.expect("rebuilt");
    let mut found: Vec<_> = rows(&*store).await.into_iter().map(|row| (row.id, row.name)).collect();
    found.sort();
    let made = [("p", "Pen"), ("q", "Ink"), ("r", "Cap"), ("s", "Nib"), ("t", "Box")];
    assert_eq!(found, made.map(|(id, name)| (id.to_owned(), name.to_owned())));
    assert_eq!(store.largest_of_next(), 2);
}

#[tokio::test]
async fn a_rebuild_gives_way_to_one_that_is_begun_later_and_says_so() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    let (module, shared) = (product::module(Catalogue), store.clone() as SharedStore);
    // As soon as it has begun, another process begins one.
    let (other, begun) = (store.clone(), std::sync::Once::new());
    let begin_another = move |_, _| {
        begun.call_once(|| {
            let another = other.begin_rebuild(Products::NAME, Products::TABLE, Rebuild::After(0));
            another.now_or_never().expect("it is in memory").expect("begun");
        });
    };
    let replaced = projection::rebuild(&module, shared.clone(), "Products", 0, begin_another).await;
    assert_eq!(replaced.expect_err("it has given way").code, "REBUILD_REPLACED");
    let record = store.projection(Products::NAME).await.expect("readable");
    assert!(record.goes_on(2), "{record:?}");
}

/// It has a name that another row has, which isn't made anew.
#[tokio::test]
async fn why_a_rebuild_has_failed_is_told() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.call::<_, ProductReply>(CREATE, &create("q", "Ink", 5)).await.expect("created");
    app.settle().await;
    swap_names(&store, &[("p", "Ink"), ("q", "Cap")]).await;
    let begin = Rebuild::RowsOf(Replay::all().of_stream(StreamId::new("Product", "q")));
    let failed = app.dispatcher().rebuild_from("Products", begin).await.expect_err("`Ink` is taken");
    assert_eq!(failed.code, "NOT_UNIQUE", "{failed:?}");
    let status = app.dispatcher().examine_projection("Products").await.expect("known");
    let end = status.rebuild.and_then(|it| it.end).expect("it has ended");
    assert!(end.failure.is_some_and(|reason| reason.contains("`name` is not unique: row `q`")));
    assert!(!store.projection(Products::NAME).await.expect("readable").rebuilding);
    app.dispatcher().rebuild("Products").await.expect("the whole can be rebuilt");
    assert_eq!(names(&app).await, ["Pen", "Ink"]);
}

#[tokio::test]
async fn a_rebuild_in_a_service_goes_on_through_an_outage() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    spoil(&store).await;
    store.fail_projections(2);
    app.dispatcher().rebuild("Products").await.expect("rebuilt");
    assert_eq!(names(&app).await, ["Pen"]);
}

#[tokio::test]
async fn a_rebuild_from_a_snapshot_takes_in_what_has_happened_since() {
    let store = TestStore::new();
    let app = store.start().await;
    let (module, shared) = (product::module(Catalogue), store.clone() as SharedStore);
    let from_snapshot = || projection::rebuild(&module, shared.clone(), "Products", Rebuild::FromSnapshot, |_, _| {});
    let nothing = from_snapshot().await.expect_err("nothing has been saved");
    assert!(nothing.message.contains("snapshot"), "{nothing:?}");
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.settle().await;
    assert_eq!(projection::save(&module, &shared, "Products").await, Ok(1));
    app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    app.settle().await;
    spoil(&store).await;
    from_snapshot().await.expect("rebuilt");
    app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    app.settle().await;
    let row = &rows(&*store).await[0];
    assert_eq!((row.name.as_str(), row.stock), ("Pen", 3));
}

/// Writes a row that no event explains.
async fn spoil(store: &TestStore) {
    put_live(store, &[Product { id: "p".to_owned(), name: "Wrong".to_owned(), stock: -1, ..Product::default() }]).await;
}

/// Gives rows other names, which no event explains.
async fn swap_names(store: &TestStore, names: &[(&str, &str)]) {
    let row =
        |(id, name): &(&str, &str)| Product { id: (*id).to_owned(), name: (*name).to_owned(), ..Product::default() };
    put_live(store, &names.iter().map(row).collect::<Vec<_>>()).await;
}

async fn put_live(store: &TestStore, rows: &[Product]) {
    use potter_core::store::{ProjectionBatch, RowChange};
    let checkpoint = store.checkpoint(Products::NAME, Generation::Live).await.expect("the store answers");
    let epoch = store.projection(Products::NAME).await.expect("the store answers").epoch;
    let put = rows.iter().map(|row| RowChange {
        key: row.id.clone(),
        values: Products::values(row),
        row: row.encode_to_vec().into(),
    });
    let batch = ProjectionBatch {
        projection: Products::NAME,
        table: Products::TABLE,
        generation: Generation::Live,
        epoch,
        expected_checkpoint: checkpoint,
        checkpoint,
        put: put.collect(),
        remove: Vec::new(),
        park: Vec::new(),
        unpark: Vec::new(),
    };
    store.commit_projection(batch).await.expect("spoilt");
}

/// What happens to one of a few products.
fn happening() -> impl Strategy<Value = (u8, ProductEvent)> {
    let name = (0_u8..5).prop_map(|it| format!("name {it}"));
    let event = prop_oneof![
        (name.clone(), 0_i64..9).prop_map(|(name, stock)| ProductCreated { name, stock, ..Default::default() }.into()),
        name.prop_map(|name| ProductRenamed { name }.into()),
        (1_i64..9).prop_map(|quantity| StockReserved { quantity }.into()),
        Just(ProductDeleted {}.into()),
        Just(ProductRenamed { name: UNPROJECTABLE.to_owned() }.into()),
    ];
    (0_u8..6, event)
}

async fn record(store: &dyn Store, versions: &mut BTreeMap<u8, u64>, (id, event): &(u8, ProductEvent)) {
    let version = versions.entry(*id).or_default();
    let unit: Unit = elsewhere(&id.to_string(), *version, event);
    store.commit(unit).await.expect("recorded");
    *version += 1;
}

/// Rows and parked positions, when events are taken in as they come (one by one) or all at once (in one batch).
async fn taken_in(history: &[(u8, ProductEvent)], one_by_one: bool) -> (Vec<Product>, Vec<u64>) {
    kept(history, one_by_one).await.1
}

/// The same, with the store that has them.
async fn kept(history: &[(u8, ProductEvent)], one_by_one: bool) -> (SharedStore, (Vec<Product>, Vec<u64>)) {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let mut versions = BTreeMap::new();
    if !one_by_one {
        for happening in history {
            record(store.as_ref(), &mut versions, happening).await;
        }
    }
    let app = TestApp::start_with(product::module(Catalogue), store.clone(), Options::default()).await;
    if one_by_one {
        for happening in history {
            record(store.as_ref(), &mut versions, happening).await;
            app.settle().await;
        }
    }
    app.settle().await;
    let positions = parked(store.as_ref()).await.into_iter().map(|it| it.position).collect();
    let rows = rows(store.as_ref()).await;
    (store, (rows, positions))
}

/// The same, but every row always has a name and names differ, so that uniqueness doesn't depend on the batches.
fn with_own_names(history: Vec<(u8, ProductEvent)>) -> Vec<(u8, ProductEvent)> {
    let created =
        |id: u8, name: String| (id, ProductCreated { name: format!("{name} of {id}"), ..Default::default() }.into());
    let own = |(id, event)| match event {
        ProductEvent::ProductCreated(it) => vec![created(id, it.name)],
        ProductEvent::ProductRenamed(it) if it.name == UNPROJECTABLE => vec![(id, it.into())],
        ProductEvent::ProductRenamed(it) => vec![(id, ProductRenamed { name: format!("{} of {id}", it.name) }.into())],
        ProductEvent::ProductDeleted(it) => vec![(id, it.into()), created(id, "new".to_owned())],
        event => vec![(id, event)],
    };
    (0..6).map(|id| created(id, "first".to_owned())).chain(history.into_iter().flat_map(own)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_make_no_difference(history in proptest::collection::vec(happening(), 0..60)) {
        let history = with_own_names(history);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (one_by_one, all_at_once) =
            runtime.block_on(async { (taken_in(&history, true).await, taken_in(&history, false).await) });
        prop_assert_eq!(one_by_one, all_at_once);
    }

    #[test]
    fn rows_made_anew_are_those_of_a_cold_replay(history in proptest::collection::vec(happening(), 0..60)) {
        let history = with_own_names(history);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (before, after) = runtime.block_on(async {
            let (store, before) = kept(&history, false).await;
            let begin = Rebuild::RowsOf(Replay::all().of_type("product.created"));
            let module = product::module(Catalogue);
            projection::rebuild(&module, store.clone(), "Products", begin, |_, _| {}).await.expect("rebuilt");
            let positions = parked(store.as_ref()).await.into_iter().map(|it| it.position).collect::<Vec<_>>();
            (before, (rows(store.as_ref()).await, positions))
        });
        prop_assert_eq!(before, after);
    }

    #[test]
    fn names_stay_unique_and_everything_is_taken_in_or_parked(
        history in proptest::collection::vec(happening(), 0..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (rows, _) = runtime.block_on(taken_in(&history, false));
        let names: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
        prop_assert_eq!(names.len(), rows.len());
    }
}
