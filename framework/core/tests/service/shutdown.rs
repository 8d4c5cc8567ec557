//! Stopping: nothing that was acknowledged is lost, nothing new is begun.

use std::time::Duration;

use potter_core::dispatch::{Options, RequestMetadata};
use potter_core::failure::{FailureKind, codes};
use potter_core::health::HealthStatus;
use potter_core::read_model::ReadModel;
use potter_core::retries::Retries;
use potter_core::store::{Generation, ReadModels, Store};

use crate::commands::stream;
use crate::product::*;
use crate::stores::TestStore;

#[tokio::test]
async fn accepted_commands_are_executed_and_checkpoints_kept() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 0)).await.expect("created");
    for _ in 0..50 {
        app.call::<_, ProductReply>(RESTOCK, &restock("p", 1)).await.expect("accepted");
    }
    app.dispatcher().shutdown().await;
    assert_eq!(stream(&app, "p").await.len(), 51);
    let failure = app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect_err("closed");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, codes::UNAVAILABLE));
    app.dispatcher().shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_left_for_the_next_start() {
    let store = TestStore::new();
    let app = store
        .start_with(Options { retries: Retries::new(vec![Duration::from_millis(100); 1000]), ..Options::default() })
        .await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 0)).await.expect("created");
    // Refused again and again, and the one behind it waits for its turn.
    app.call::<_, ProductReply>(RESTOCK, &restock("p", 2_000_000)).await.expect("accepted");
    app.call::<_, ProductReply>(RESTOCK, &restock("p", 7)).await.expect("accepted");
    let began = tokio::time::Instant::now();
    app.dispatcher().shutdown().await;
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(stream(&app, "p").await.len(), 1);
    let app = store.start().await;
    app.dispatcher().settle(Duration::from_secs(3600)).await.expect("settled");
    assert_eq!(stream(&app, "p").await.len(), 2);
}

#[tokio::test]
async fn a_request_that_runs_is_waited_for() {
    let store = TestStore::new();
    let app = std::sync::Arc::new(store.start().await);
    store.hold(|_| true);
    let running = tokio::spawn({
        let app = app.clone();
        async move { app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 0)).await }
    });
    tokio::task::yield_now().await;
    let stopping = tokio::spawn({
        let app = app.clone();
        async move { app.dispatcher().shutdown().await }
    });
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    store.release();
    stopping.await.expect("stops");
    running.await.expect("no panic").expect("answered");
}

#[tokio::test]
async fn nobody_waits_for_outcomes_any_longer_once_the_end_is_announced() {
    let store = TestStore::new();
    let app = std::sync::Arc::new(store.start().await);
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 0)).await.expect("created");
    store.hold(|unit| unit.settle.is_some());
    let reply = app.send(RESTOCK, &restock("p", 1), RequestMetadata::default()).await.expect("accepted");
    let potter_core::dispatch::Outcome::Accepted { command_id, .. } = reply.outcome else { panic!("executed") };
    app.dispatcher().announce_shutdown();
    let waited = app.dispatcher().await_outcome(command_id, Duration::from_secs(3600)).await.expect("answers");
    assert_eq!(waited.expect("known").outcome, None);
    let health = app.dispatcher().health().await;
    let intake = health.iter().find(|it| it.name == "intake").expect("a component");
    assert_eq!(intake.status, HealthStatus::Down);
    app.call::<_, ProductReply>(CREATE, &create("q", "Ink", 0)).await.expect("still let in");
}

#[tokio::test]
async fn the_checkpoint_is_kept_even_if_the_last_events_concerned_nobody() {
    let store = TestStore::new();
    let app = store.start().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 0)).await.expect("created");
    let mut foreign = crate::stores::elsewhere("x", 0, &ProductDeleted {}.into());
    foreign.append.as_mut().expect("events").aggregate = "Order";
    store.commit(foreign).await.expect("recorded");
    app.settle().await;
    app.dispatcher().shutdown().await;
    assert_eq!(store.checkpoint(Products::NAME, Generation::Live).await.expect("the store answers"), 2);
}
