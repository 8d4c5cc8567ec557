//! Synchronous commands: what they answer, record and refuse.

use std::time::{Duration, Instant};

use potter_core::dispatch::{Outcome, Request, RequestMetadata};
use potter_core::event::{RecordedEvent, StreamId};
use potter_core::failure::{FailureKind, codes};
use potter_core::store::{Snapshot, Store};
use potter_core::testing::TestApp;
use prost::Message;

use crate::product::{self, *};
use crate::stores::{TestStore, elsewhere};

pub async fn app() -> TestApp {
    TestApp::start(product::module(Catalogue)).await
}

pub async fn stream(app: &TestApp, id: &str) -> Vec<RecordedEvent> {
    app.dispatcher().store().read_stream(StreamId::new("Product", id), 0).await.expect("the store answers")
}

#[tokio::test]
async fn a_command_records_its_events_and_answers_from_the_state_after_them() {
    let app = app().await;
    let created = app.send(CREATE, &create("p", "Pen", 5), RequestMetadata::default()).await.expect("created");
    assert_eq!(created.outcome, Outcome::Executed { id: "p".to_owned(), version: 1, created: true, position: 1 });
    let reply: ProductReply = app.call(RESERVE, &reserve("p", 2)).await.expect("reserved");
    assert_eq!(reply, ProductReply { product_id: "p".to_owned(), stock: 3 });
    let types: Vec<_> = stream(&app, "p").await.into_iter().map(|event| event.event_type).collect();
    assert_eq!(types, ["product.created", "product.stock_reserved"]);
}

#[tokio::test]
async fn events_say_where_they_come_from() {
    let app = app().await;
    let metadata = RequestMetadata {
        actor: Some("ada".to_owned()),
        correlation_id: Some("c-1".to_owned()),
        ..RequestMetadata::default()
    };
    app.send(CREATE, &create("p", "Pen", 5), metadata).await.expect("created");
    let events = stream(&app, "p").await;
    assert_eq!(events[0].metadata.actor.as_deref(), Some("ada"));
    assert_eq!(events[0].metadata.correlation_id, "c-1");
    assert_eq!(events[0].id.get_version_num(), 7);
    assert!(!events[0].metadata.causation_id.is_empty());
}

#[tokio::test]
async fn an_id_is_assigned_when_a_creating_command_has_none() {
    let app = app().await;
    let one: ProductReply = app.call(CREATE, &create("", "Pen", 5)).await.expect("created");
    let two: ProductReply = app.call(CREATE, &create("", "Ink", 5)).await.expect("created");
    assert_ne!(one.product_id, two.product_id);
    let id: uuid::Uuid = one.product_id.parse().expect("an UUID");
    assert_eq!(id.get_version_num(), 7);
    let reply: ProductReply = app.call(RESERVE, &reserve(&one.product_id, 1)).await.expect("it is there");
    assert_eq!(reply.stock, 4);
}

#[tokio::test]
async fn ids_that_are_not_valid_are_refused_at_their_field() {
    let app = app().await;
    for id in ["", "a/b", "a b", &"x".repeat(300)] {
        let failure = app.call::<_, ProductReply>(RESERVE, &reserve(id, 1)).await.expect_err(id);
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert_eq!(failure.violations[0].field, "product_id");
    }
    let failure = app.call::<_, ProductReply>(CREATE, &create("a/b", "Pen", 1)).await.expect_err("a slash");
    assert_eq!(failure.violations[0].field, "product_id");
}

#[tokio::test]
async fn what_exists_cannot_be_created_even_when_it_has_ended() {
    let app = app().await;
    let created: ProductReply = app.call(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let failure = app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect_err("exists");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Conflict, codes::ALREADY_EXISTS));
    app.call::<_, ()>(DELETE, &delete(&created.product_id)).await.expect("deleted");
    let failure = app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect_err("existed");
    assert_eq!(failure.code, codes::ALREADY_EXISTS);
}

#[tokio::test]
async fn what_does_not_exist_or_has_ended_is_not_found() {
    let app = app().await;
    let failure = app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect_err("never created");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Refused, codes::NOT_FOUND));
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    app.call::<_, ()>(DELETE, &delete("p")).await.expect("deleted");
    let failure = app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect_err("deleted");
    assert_eq!(failure.code, codes::NOT_FOUND);
}

#[tokio::test]
async fn a_refusal_carries_the_error_event() {
    let app = app().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 1)).await.expect("created");
    let failure = app.call::<_, ProductReply>(RESERVE, &reserve("p", 2)).await.expect_err("too many");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Refused, "OUT_OF_STOCK"));
    assert!(failure.retryable);
    let (name, payload) = *failure.event.expect("the error event");
    assert_eq!(name, "shop.OutOfStock");
    assert_eq!(prost::Message::decode(payload.as_slice()), Ok(OutOfStock { available: 1 }));
}

#[tokio::test]
async fn a_rule_that_nobody_has_written_is_unimplemented() {
    let app = app().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 1)).await.expect("created");
    let failure = app.call::<_, ProductReply>(RENAME, &rename("p", "")).await.expect_err("no rule");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Refused, codes::UNIMPLEMENTED));
    assert_eq!((failure.retryable, failure.event), (false, None));
}

#[tokio::test]
async fn a_command_that_decides_nothing_succeeds_without_a_trace() {
    let app = app().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let reply = app.send(RESERVE, &reserve("p", 0), RequestMetadata::default()).await.expect("nothing to do");
    assert_eq!(reply.outcome, Outcome::Executed { id: "p".to_owned(), version: 1, created: false, position: 1 });
    assert_eq!(stream(&app, "p").await.len(), 1);
}

#[tokio::test]
async fn an_expected_version_must_be_the_actual_one() {
    let app = app().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let expecting = |version| RequestMetadata { expected_version: Some(version), ..RequestMetadata::default() };
    let failure = app.send(RESERVE, &reserve("p", 1), expecting(7)).await.expect_err("another version");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Conflict, codes::VERSION_MISMATCH));
    app.send(RESERVE, &reserve("p", 1), expecting(1)).await.expect("as expected");
    let failure = app.send(RESERVE, &reserve("p", 1), expecting(1)).await.expect_err("it has moved on");
    assert_eq!(failure.code, codes::VERSION_MISMATCH);
}

#[tokio::test]
async fn a_panic_in_a_rule_is_a_bug_of_that_command_only() {
    let app = app().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let failure = app.call::<_, ProductReply>(RESERVE, &reserve("p", -1)).await.expect_err("the rule panics");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Bug, codes::INTERNAL));
    assert!(!failure.message.contains("purpose"), "{failure}");
    let reply: ProductReply = app.call(RESERVE, &reserve("p", 1)).await.expect("life goes on");
    assert_eq!(reply.stock, 4);
}

#[tokio::test]
async fn what_is_not_a_message_is_malformed() {
    let app = app().await;
    let request = Request { body: vec![0xff, 0xff].into(), ..Request::default() };
    let failure = app.dispatcher().call(CREATE, request).await.expect_err("not protobuf");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Invalid, codes::INVALID_REQUEST));
}

#[tokio::test]
async fn an_unknown_rpc_is_unimplemented() {
    let failure = app().await.call::<_, ()>("shop.Catalogue/Nothing", &()).await.expect_err("no such rpc");
    assert_eq!(failure.code, codes::UNIMPLEMENTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commands_to_one_aggregate_are_all_decided_on_the_newest_state() {
    let app = std::sync::Arc::new(app().await);
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 60)).await.expect("created");
    let callers = (0..100).map(|_| {
        let app = app.clone();
        tokio::spawn(async move { app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await })
    });
    let answers = futures::future::join_all(callers).await;
    let (reserved, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().map(|answer| answer.expect("no caller panics")).partition(Result::is_ok);
    assert_eq!((reserved.len(), refused.len()), (60, 40));
    assert!(refused.iter().all(|answer| matches!(answer, Err(failure) if failure.code == "OUT_OF_STOCK")));
    assert_eq!(stream(&app, "p").await.len(), 61);
}

#[tokio::test]
async fn what_another_process_records_counts_even_when_the_state_is_remembered() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 1)).await.expect("created");
    let more = ProductRestocked { quantity: 9, delivery_id: String::new() }.into();
    store.commit(elsewhere("p", 1, &more)).await.expect("recorded");
    let reply: ProductReply = app.call(RESERVE, &reserve("p", 5)).await.expect("enough by now");
    assert_eq!(reply.stock, 5);
    store.commit(elsewhere("p", 3, &ProductDeleted {}.into())).await.expect("recorded");
    let failure = app.call::<_, ProductReply>(RESERVE, &reserve("p", 0)).await.expect_err("deleted by now");
    assert_eq!(failure.code, codes::NOT_FOUND);
}

#[tokio::test]
async fn an_append_that_comes_second_is_decided_again() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let mut times = 3;
    store.meddle(move |unit| {
        let version = unit.append.as_ref()?.expected_version;
        times -= 1;
        (times >= 0).then(|| elsewhere("p", version, &StockReserved { quantity: 1 }.into()))
    });
    let reply: ProductReply = app.call(RESERVE, &reserve("p", 2)).await.expect("in the end");
    assert_eq!(reply.stock, 0);
    assert_eq!(stream(&app, "p").await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_always_second_is_told_so() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 1000)).await.expect("created");
    store.meddle(|unit| {
        let version = unit.append.as_ref()?.expected_version;
        Some(elsewhere("p", version, &StockReserved { quantity: 1 }.into()))
    });
    let failure = app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect_err("never first");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Conflict, codes::CONTENTION));
    assert!(failure.retryable);
}

#[tokio::test]
async fn a_creation_that_comes_second_finds_that_it_exists() {
    let store = TestStore::new();
    let app = store.start().await;
    let mut first = true;
    store.meddle(move |_| {
        let created = ProductCreated { name: "Ink".to_owned(), stock: 1, created_by: String::new() };
        std::mem::take(&mut first).then(|| elsewhere("p", 0, &created.into()))
    });
    let failure = app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect_err("second");
    assert_eq!(failure.code, codes::ALREADY_EXISTS);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_takes_too_long_is_not_waited_for() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    store.hold(|_| true);
    let began = tokio::time::Instant::now();
    let failure = app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect_err("the command's timeout");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, codes::DEADLINE_EXCEEDED));
    let waited = began.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn nothing_is_recorded_after_the_callers_deadline() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let past = RequestMetadata { deadline: Some(Instant::now()), ..RequestMetadata::default() };
    let failure = app.send(RESERVE, &reserve("p", 1), past).await.expect_err("too late");
    assert_eq!(failure.code, codes::DEADLINE_EXCEEDED);
    assert_eq!(stream(&app, "p").await.len(), 1);
}

#[tokio::test]
async fn a_failing_store_is_unavailable_and_tells_nothing() {
    let store = TestStore::new();
    let app = store.start().await;
    store.fail_commits(1);
    let failure = app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect_err("no store");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, codes::UNAVAILABLE));
    assert!(!failure.message.contains("purpose"), "{failure}");
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("it is back");
}

#[tokio::test]
async fn a_snapshot_saves_reading_what_came_before_it() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 100)).await.expect("created");
    for _ in 0..6 {
        app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    }
    app.dispatcher().shutdown().await;
    let app = store.start().await;
    store.reads();
    let reply: ProductReply = app.call(RESERVE, &reserve("p", 1)).await.expect("reserved");
    assert_eq!(reply.stock, 93);
    // The snapshot's last event is looked at again, and what came after it.
    assert_eq!(store.reads(), [4]);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_passed_over() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 7)).await.expect("created");
    app.dispatcher().shutdown().await;
    let state = vec![0xff; 3].into();
    let stream = StreamId::new("Product", "p");
    let broken = Snapshot { stream, schema: Snapshot::schema_of("1"), version: 1, ended: false, state };
    store.save_snapshot(broken).await.expect("kept");
    let app = store.start().await;
    store.reads();
    let reply: ProductReply = app.call(RESERVE, &reserve("p", 1)).await.expect("reserved");
    assert_eq!(reply.stock, 6);
    assert_eq!(store.reads(), [0, 0], "with what came after the snapshot, and whole");
}

/// Nobody asks whether it is whole.
#[tokio::test]
async fn a_snapshot_of_an_earlier_format_is_none() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 7)).await.expect("created");
    app.dispatcher().shutdown().await;
    let state = Product { stock: 100, ..Product::default() }.encode_to_vec().into();
    let stream = StreamId::new("Product", "p");
    let earlier = Snapshot { stream, schema: "1".to_owned(), version: 1, ended: false, state };
    store.save_snapshot(earlier).await.expect("kept");
    let app = store.start().await;
    store.reads();
    let reply: ProductReply = app.call(RESERVE, &reserve("p", 1)).await.expect("reserved");
    assert_eq!((reply.stock, store.reads()), (6, vec![0]));
}

/// As after a restore of events from a backup: other things happen than those that were lost.
#[tokio::test]
async fn a_snapshot_of_lost_events_is_passed_over_and_replaced() {
    let lost = taken_of_lost_events().await;
    let store = TestStore::new();
    let reserve_ten = async |times: u32, stock: i64| {
        let app = store.start().await;
        store.reads();
        for left in (0..times).rev() {
            let reply: ProductReply = app.call(RESERVE, &reserve("p", 10)).await.expect("reserved");
            assert_eq!(reply.stock, stock + i64::from(left) * 10);
        }
        app.dispatcher().shutdown().await;
        store.reads()
    };
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 200)).await.expect("created");
    app.dispatcher().shutdown().await;

    store.save_snapshot(lost.clone()).await.expect("kept");
    assert_eq!(reserve_ten(1, 190).await, [4, 0], "it is of a fifth event, and there is but one");
    assert_eq!(reserve_ten(3, 160).await, [0], "it is gone");
    assert_eq!(reserve_ten(1, 150).await, [4], "there is one of this fifth event");

    let stream = lost.stream.clone();
    store.save_snapshot(Snapshot { schema: "another".to_owned(), ..lost.clone() }).await.expect("kept");
    store.save_snapshot(lost.clone()).await.expect("kept in place of that");
    assert_eq!(reserve_ten(1, 140).await, [4, 0], "there is a fifth event, and it isn't that one");
    let left = store.load_snapshot(stream, lost.schema).await.expect("readable");
    assert_eq!(left, None);
}

/// A snapshot of five events of product `p`.
async fn taken_of_lost_events() -> Snapshot {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 100)).await.expect("created");
    for _ in 0..4 {
        app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    }
    app.dispatcher().shutdown().await;
    let found = store.load_snapshot(StreamId::new("Product", "p"), Snapshot::schema_of("1")).await;
    found.expect("readable").expect("one was taken")
}

#[tokio::test]
async fn an_aggregate_in_use_is_read_once() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 100)).await.expect("created");
    for _ in 0..3 {
        app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    }
    assert_eq!(store.reads(), [0_u64; 0]);
}
