//! Asynchronous commands: stored, answered, executed in order, settled once.

use std::time::Duration;

use potter_core::dispatch::{Options, Outcome, RequestMetadata};
use potter_core::event::RecordedEvent;
use potter_core::failure::{FailureKind, codes};
use potter_core::store::{CommandOutcome, CommandStatus, Store, Unit};
use potter_core::testing::TestApp;
use prost::Message;
use uuid::Uuid;

use crate::commands::stream;
use crate::product::*;
use crate::stores::{TestStore, elsewhere};

/// Units that settle an accepted command.
fn settles(unit: &Unit) -> bool {
    unit.settle.is_some()
}

async fn accept(app: &TestApp, request: &RestockProduct, metadata: RequestMetadata) -> Uuid {
    let reply = app.send(RESTOCK, request, metadata).await.expect("accepted");
    match reply.outcome {
        Outcome::Accepted { command_id, .. } => command_id,
        outcome => panic!("not accepted: {outcome:?}"),
    }
}

async fn outcome(app: &TestApp, id: Uuid) -> CommandOutcome {
    let status = app.dispatcher().await_outcome(id, Duration::from_secs(60)).await.expect("the store answers");
    status.expect("the command is known").outcome.expect("it is settled")
}

fn failure_code(outcome: CommandOutcome) -> (String, bool) {
    match outcome {
        CommandOutcome::Failed { code, retryable, .. } => (code, retryable),
        outcome @ CommandOutcome::Succeeded { .. } => panic!("not failed: {outcome:?}"),
    }
}

async fn with_product(store: &std::sync::Arc<TestStore>) -> TestApp {
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 0)).await.expect("created");
    app
}

#[tokio::test]
async fn it_is_answered_when_it_is_stored_and_executed_later() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    store.hold(settles);
    let id = accept(&app, &restock("p", 3), RequestMetadata::default()).await;
    let status = app.dispatcher().status(id).await.expect("the store answers").expect("it is known");
    assert_eq!(status.outcome, None);
    assert_eq!(status.command.aggregate_id, "p");
    store.release();
    let CommandOutcome::Succeeded { version, events } = outcome(&app, id).await else { panic!("failed") };
    assert_eq!(version, 2);
    assert_eq!(events[0].0, "product.restocked");
    assert_eq!(ProductRestocked::decode(events[0].1.clone()).expect("the event").quantity, 3);
    assert_eq!(stream(&app, "p").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_execute_it_settle_it_once() {
    let store = TestStore::new();
    let first = with_product(&store).await;
    store.hold(settles);
    let ids = [
        accept(&first, &restock("p", 3), RequestMetadata::default()).await,
        accept(&first, &restock("p", 4), RequestMetadata::default()).await,
    ];
    let second = store.start().await;
    store.release();
    for id in ids {
        // Each hears of what the other has done.
        assert_eq!(outcome(&first, id).await, outcome(&second, id).await);
    }
    let restocked =
        |event: &RecordedEvent| ProductRestocked::decode(event.payload.clone()).expect("the event").quantity;
    let quantities: Vec<_> = stream(&first, "p").await[1..].iter().map(restocked).collect();
    assert_eq!(quantities, [3, 4]);
}

#[tokio::test]
async fn its_events_have_the_correlation_of_the_request() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    let metadata = RequestMetadata {
        correlation_id: Some("c-9".to_owned()),
        actor: Some("ada".to_owned()),
        ..RequestMetadata::default()
    };
    let id = accept(&app, &restock("p", 3), metadata).await;
    app.settle().await;
    let event = stream(&app, "p").await.pop().expect("the event");
    assert_eq!(event.metadata.correlation_id, "c-9");
    assert_eq!(event.metadata.actor.as_deref(), Some("ada"));
    assert_eq!(event.metadata.causation_id, id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_to_one_aggregate_are_executed_in_the_order_of_their_acceptance() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    for quantity in 1..=100 {
        accept(&app, &restock("p", quantity), RequestMetadata::default()).await;
    }
    app.settle().await;
    let quantities: Vec<_> = stream(&app, "p").await[1..]
        .iter()
        .map(|event| ProductRestocked::decode(event.payload.clone()).expect("the event").quantity)
        .collect();
    assert_eq!(quantities, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn aggregates_do_not_wait_for_each_other() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    app.call::<_, ProductReply>(CREATE, &create("q", "Ink", 0)).await.expect("created");
    store.hold(|unit| settles(unit) && unit.append.as_ref().is_some_and(|append| append.aggregate_id == "p"));
    let held = accept(&app, &restock("p", 1), RequestMetadata::default()).await;
    let free = accept(&app, &restock("q", 1), RequestMetadata::default()).await;
    outcome(&app, free).await;
    let status = app.dispatcher().status(held).await.expect("the store answers").expect("it is known");
    assert_eq!(status.outcome, None);
    store.release();
    outcome(&app, held).await;
}

#[test]
fn what_was_accepted_is_executed_once_after_the_process_was_killed() {
    let store = TestStore::new();
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let killed = runtime();
    let ids = killed.block_on(async {
        let app = with_product(&store).await;
        store.hold(settles);
        let mut ids = Vec::new();
        for quantity in 1..=20 {
            ids.push(accept(&app, &restock("p", quantity), RequestMetadata::default()).await);
        }
        ids
    });
    killed.shutdown_background();
    store.release();
    runtime().block_on(async {
        let app = store.start().await;
        for id in ids {
            assert!(matches!(outcome(&app, id).await, CommandOutcome::Succeeded { .. }));
        }
        assert_eq!(stream(&app, "p").await.len(), 21);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_execute_the_same_command_record_it_once() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    store.hold(settles);
    let mut ids = Vec::new();
    for quantity in 1..=10 {
        ids.push(accept(&app, &restock("p", quantity), RequestMetadata::default()).await);
    }
    let other = store.start().await;
    store.release();
    app.settle().await;
    other.settle().await;
    assert_eq!(stream(&app, "p").await.len(), 11);
    let reply: ProductReply = app.call(RESERVE, &reserve("p", 0)).await.expect("the stock");
    assert_eq!(reply.stock, 55);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_tried_until_it_works() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    store.hold(settles);
    let id = accept(&app, &restock("p", 3), RequestMetadata::default()).await;
    store.fail_commits(20);
    store.release();
    let status = app.dispatcher().await_outcome(id, Duration::from_secs(3600)).await.expect("the store answers");
    assert!(matches!(status.expect("known").outcome, Some(CommandOutcome::Succeeded { .. })));
    assert_eq!(stream(&app, "p").await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_command_is_executed_as_soon_as_the_store_answers_again() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    for _ in 0..5 {
        store.hold(settles);
        accept(&app, &restock("p", 3), RequestMetadata::default()).await;
        store.set_away(true);
        store.release();
        tokio::time::sleep(Duration::from_secs(30)).await;
        store.set_away(false);
        app.dispatcher().settle(Duration::from_millis(500)).await.expect("it goes on at once");
    }
}

/// The attempts that a refusal has are not used up by an outage.
#[tokio::test(start_paused = true)]
async fn an_outage_is_no_attempt_of_a_command() {
    let store = TestStore::new();
    let first = with_product(&store).await;
    let id = accept(&first, &restock("p", 2_000_000), RequestMetadata::default()).await;
    first.dispatcher().shutdown().await;
    store.set_away(true);
    // The product has to be read before anything is refused.
    let app = store.start().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    store.set_away(false);
    let began = tokio::time::Instant::now();
    assert_eq!(failure_code(outcome(&app, id).await), ("OUT_OF_STOCK".to_owned(), true));
    assert!(began.elapsed() > Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_retryable_refusal_is_tried_again_but_not_for_ever() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    let began = tokio::time::Instant::now();
    let id = accept(&app, &restock("p", 2_000_000), RequestMetadata::default()).await;
    let refused = outcome(&app, id).await;
    // Four attempts, with 100 ms, 1 s and 10 s between them, each a fifth longer or shorter.
    assert!((8_800..=13_400).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let CommandOutcome::Failed { code, retryable, event, .. } = refused else { panic!("succeeded") };
    assert_eq!((code.as_str(), retryable), ("OUT_OF_STOCK", true));
    assert_eq!(event.expect("the error event").0, "shop.OutOfStock");
}

#[tokio::test]
async fn what_cannot_succeed_is_settled_at_once() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    let expecting = RequestMetadata { expected_version: Some(9), ..RequestMetadata::default() };
    let mismatch = accept(&app, &restock("p", 1), expecting).await;
    assert_eq!(failure_code(outcome(&app, mismatch).await), (codes::VERSION_MISMATCH.to_owned(), false));
    let missing = accept(&app, &restock("nobody", 1), RequestMetadata::default()).await;
    assert_eq!(failure_code(outcome(&app, missing).await), (codes::NOT_FOUND.to_owned(), false));
    let panics = accept(&app, &restock("p", -1), RequestMetadata::default()).await;
    assert_eq!(failure_code(outcome(&app, panics).await), (codes::INTERNAL.to_owned(), false));
}

#[tokio::test]
async fn commands_of_an_aggregate_whose_replay_panics_are_settled_one_after_the_other() {
    let store = TestStore::new();
    with_product(&store).await;
    let overflows = ProductEvent::StockReserved(StockReserved { quantity: i64::MIN });
    store.commit(elsewhere("p", 1, &overflows)).await.expect("recorded");
    let app = store.start().await;
    for _ in 0..2 {
        let id = accept(&app, &restock("p", 1), RequestMetadata::default()).await;
        assert_eq!(failure_code(outcome(&app, id).await), (codes::INTERNAL.to_owned(), false));
    }
}

#[tokio::test]
async fn a_command_that_the_service_no_longer_has_is_settled() {
    let store = TestStore::new();
    let gone = potter_core::store::AcceptedCommand {
        id: Uuid::now_v7(),
        name: "shop.gone".to_owned(),
        aggregate: "Product".to_owned(),
        aggregate_id: "p".to_owned(),
        request: bytes::Bytes::new(),
        expected_version: None,
        correlation_id: String::new(),
        causation_id: None,
        actor: None,
        accepted_at: std::time::SystemTime::now(),
    };
    let id = gone.id;
    store.commit(Unit { accept: Some(gone), ..Unit::default() }).await.expect("stored");
    let app = store.start().await;
    assert_eq!(failure_code(outcome(&app, id).await), (codes::UNIMPLEMENTED.to_owned(), false));
}

#[tokio::test]
async fn a_full_queue_is_unavailable() {
    let store = TestStore::new();
    let app = store.start_with(Options { max_pending_commands: 2, ..Options::default() }).await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 0)).await.expect("created");
    store.hold(settles);
    for _ in 0..2 {
        accept(&app, &restock("p", 1), RequestMetadata::default()).await;
    }
    let failure = app.send(RESTOCK, &restock("p", 1), RequestMetadata::default()).await.expect_err("full");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, codes::UNAVAILABLE));
    store.release();
    app.settle().await;
    accept(&app, &restock("p", 1), RequestMetadata::default()).await;
}

#[tokio::test]
async fn what_is_not_stored_is_not_accepted() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    store.fail_commits(1);
    let failure = app.send(RESTOCK, &restock("p", 1), RequestMetadata::default()).await.expect_err("not stored");
    assert_eq!(failure.code, codes::UNAVAILABLE);
    app.settle().await;
    assert_eq!(stream(&app, "p").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_outcome_has_an_end() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    store.hold(settles);
    let id = accept(&app, &restock("p", 1), RequestMetadata::default()).await;
    let waited = app.dispatcher().await_outcome(id, Duration::from_secs(3)).await.expect("the store answers");
    assert!(matches!(waited, Some(CommandStatus { outcome: None, .. })));
    let unknown = app.dispatcher().await_outcome(Uuid::now_v7(), Duration::from_secs(3)).await;
    assert_eq!(unknown, Ok(None));
}

/// Nobody was told that it is accepted, and the process lives on: no start comes that would find it.
#[tokio::test(start_paused = true)]
async fn a_command_is_executed_although_the_answer_to_its_acceptance_got_lost() {
    let store = TestStore::new();
    let app = with_product(&store).await;
    store.lose_answers(1);
    let failure = app.send(RESTOCK, &restock("p", 3), RequestMetadata::default()).await.expect_err("lost");
    assert_eq!(failure.kind, FailureKind::Unavailable);
    let pending = store.pending_commands().await.expect("readable");
    let [command] = &pending[..] else { panic!("one is stored: {pending:?}") };
    let CommandOutcome::Succeeded { version, .. } = outcome(&app, command.id).await else { panic!("failed") };
    assert_eq!(version, 2);
}
