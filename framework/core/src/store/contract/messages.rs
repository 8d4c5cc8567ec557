//! What is told of accepted commands, and messages that could not be taken in.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use super::commands::{accepting, command, failed, settling, succeeded};
use super::{Fixture, a_time};
use crate::store::{
    Claim, ClaimKey, CommitError, DeadAttempt, DeadLetter, DeadLetterFilter, Expiry, ProcessedEvent, RecordedReply,
    SharedStore, Unit,
};

async fn unannounced(store: &SharedStore, limit: u32) -> Vec<Uuid> {
    let found = store.unannounced_outcomes(limit).await.expect("readable");
    assert!(found.iter().all(|status| status.outcome.is_some()));
    found.into_iter().map(|status| status.command.id).collect()
}

/// Successes and failures alike, the oldest first; what is pending isn't among them.
pub async fn tells_which_outcomes_are_not_announced(Fixture { store, guard: _guard, .. }: Fixture) {
    let commands = [command(10), command(20), command(30), command(40)];
    for command in &commands {
        store.commit(accepting(command)).await.expect("a new command");
    }
    let [one, two, three, _pending] = &commands;
    for (command, outcome) in [(two, succeeded()), (one, failed(None)), (three, succeeded())] {
        store.commit(settling(command, outcome)).await.expect("it is pending");
    }
    assert_eq!(unannounced(&store, 10).await, [one.id, two.id, three.id]);
    assert_eq!(unannounced(&store, 2).await, [one.id, two.id]);
    let found = store.unannounced_outcomes(1).await.expect("readable");
    assert_eq!((&found[0].command, &found[0].outcome), (one, &Some(failed(None))));

    store.mark_announced(vec![one.id, three.id, Uuid::from_u128(7)]).await.expect("writable");
    assert_eq!(unannounced(&store, 10).await, [two.id]);
    assert!(store.command_status(one.id).await.expect("readable").is_some_and(|it| it.outcome.is_some()));
    store.mark_announced(vec![two.id]).await.expect("writable");
    assert!(unannounced(&store, 10).await.is_empty());
}

fn letter(number: u128, source: &str, key: &str) -> DeadLetter {
    DeadLetter {
        id: Uuid::from_u128(number),
        source: source.to_owned(),
        key: key.to_owned(),
        message_id: format!("message {number}"),
        subject: "shop.events.product.created".to_owned(),
        headers: vec![("potter-actor".to_owned(), "ä".to_owned()), ("x".to_owned(), String::new())],
        payload: Bytes::from_static(&[0, 255]),
        reason: "the rule says no".to_owned(),
        history: vec![DeadAttempt { at: a_time(), reason: "not now".to_owned() }],
        parked_at: a_time() + Duration::from_secs(1),
    }
}

async fn letters(store: &SharedStore, filter: DeadLetterFilter) -> Vec<u128> {
    let found = store.dead_letters(filter).await.expect("readable");
    found.iter().map(|letter| letter.id.as_u128()).collect()
}

/// The oldest first, by source and key; every field comes back as it went in.
pub async fn keeps_dead_letters_until_they_are_removed(Fixture { store, guard: _guard, .. }: Fixture) {
    let kept = [letter(3, "a", "x"), letter(1, "a", "y"), letter(2, "b", "x"), letter(4, "a", "x")];
    for letter in &kept {
        store.keep_dead_letter(letter.clone()).await.expect("writable");
    }
    let by = |source: &str, key: Option<&str>| DeadLetterFilter {
        source: Some(source.to_owned()),
        key: key.map(str::to_owned),
        ..DeadLetterFilter::default()
    };
    assert_eq!(letters(&store, DeadLetterFilter::default()).await, [1, 2, 3, 4]);
    assert_eq!(letters(&store, DeadLetterFilter { limit: Some(2), ..DeadLetterFilter::default() }).await, [1, 2]);
    assert_eq!(letters(&store, by("a", None)).await, [1, 3, 4]);
    assert_eq!(letters(&store, by("a", Some("x"))).await, [3, 4]);
    assert_eq!(letters(&store, by("b", Some("y"))).await, [0; 0]);
    let counts = store.dead_letter_counts().await.expect("readable");
    assert_eq!(counts, [("a".to_owned(), 3), ("b".to_owned(), 1)]);
    let only = DeadLetterFilter { id: Some(Uuid::from_u128(3)), ..DeadLetterFilter::default() };
    assert_eq!(store.dead_letters(only.clone()).await.expect("readable"), kept[..1]);

    let mut tried = kept[0].clone();
    tried.tried(a_time() + Duration::from_secs(9), "still bad".to_owned());
    assert!(store.renew_dead_letter(tried.clone()).await.expect("writable"));
    assert_eq!(store.dead_letters(only.clone()).await.expect("readable"), std::slice::from_ref(&tried));
    assert_eq!(letters(&store, by("a", None)).await, [1, 3, 4]);

    assert!(store.remove_dead_letter(Uuid::from_u128(3)).await.expect("writable"));
    assert!(!store.renew_dead_letter(tried).await.expect("writable"), "what is gone doesn't come back");
    assert!(!store.remove_dead_letter(Uuid::from_u128(3)).await.expect("writable"));
    assert_eq!(letters(&store, only).await, [0; 0]);
    assert_eq!(letters(&store, by("a", Some("x"))).await, [4]);
}

/// A message that comes again is the same letter.
pub async fn keeps_a_dead_letter_once(Fixture { store, guard: _guard, .. }: Fixture) {
    let first = letter(1, "a", "x");
    let again = DeadLetter { id: Uuid::from_u128(9), reason: "later".to_owned(), ..first.clone() };
    let elsewhere = DeadLetter { source: "b".to_owned(), ..again.clone() };
    for letter in [&first, &again, &elsewhere] {
        store.keep_dead_letter(letter.clone()).await.expect("writable");
    }
    let found = store.dead_letters(DeadLetterFilter::default()).await.expect("readable");
    assert_eq!(found, [first, elsewhere]);
}

/// Those that nobody has looked at for long enough.
pub async fn forgets_old_dead_letters(Fixture { store, guard: _guard, .. }: Fixture) {
    let young = DeadLetter { parked_at: a_time() + Duration::from_secs(2), ..letter(2, "a", "y") };
    for letter in [letter(1, "a", "x"), young] {
        store.keep_dead_letter(letter).await.expect("writable");
    }
    let expiry = Expiry::nothing();
    assert_eq!(store.purge(expiry).await.expect("purged"), 0);
    let old = Expiry { dead_letters_before: a_time() + Duration::from_secs(2), ..expiry };
    assert_eq!(store.purge(old).await.expect("purged"), 1);
    assert_eq!(letters(&store, DeadLetterFilter::default()).await, [2]);
}

fn processed(subscription: &str, stream: &str, version: u64) -> Unit {
    let caller = format!("inbox {subscription}");
    let key = ClaimKey { command: "thing.make", caller, key: format!("{stream} {version}") };
    let reply = RecordedReply { body: Bytes::new(), aggregate_id: "1".to_owned(), version: 1, command_id: None };
    let event = ProcessedEvent { subscription: subscription.to_owned(), stream: stream.to_owned(), version };
    Unit { claim: Some(Claim { key, request_hash: [0; 32], reply, event: Some(event) }), ..Unit::default() }
}

async fn up_to(store: &SharedStore, subscription: &str, stream: &str) -> u64 {
    store.processed_up_to(subscription.to_owned(), stream.to_owned()).await.expect("readable")
}

/// Claims of events have a time of their own; when they are forgotten, how far their streams are isn't.
pub async fn knows_for_ever_how_far_streams_are_processed(Fixture { store, guard: _guard, .. }: Fixture) {
    for (subscription, stream, version) in [("s", "a", 3), ("s", "a", 5), ("s", "a", 4), ("s", "b", 1), ("t", "a", 9)] {
        store.commit(processed(subscription, stream, version)).await.expect("a new key");
    }
    let later = SystemTime::now() + Duration::from_secs(60);
    let callers = Expiry { claims_before: later, ..Expiry::nothing() };
    assert_eq!(store.purge(callers).await.expect("purged"), 0, "those of callers only");
    assert!(matches!(store.commit(processed("s", "a", 3)).await, Err(CommitError::Claimed(_))));
    assert_eq!(up_to(&store, "s", "a").await, 0, "each is known by its claim");

    let events = Expiry { processed_before: later, ..Expiry::nothing() };
    assert_eq!(store.purge(events).await.expect("purged"), 5);
    assert_eq!((up_to(&store, "s", "a").await, up_to(&store, "s", "b").await), (5, 1));
    assert_eq!((up_to(&store, "t", "a").await, up_to(&store, "t", "b").await), (9, 0));

    store.commit(processed("s", "a", 2)).await.expect("its claim is forgotten");
    assert_eq!(store.purge(events).await.expect("purged"), 1);
    assert_eq!(up_to(&store, "s", "a").await, 5, "it never goes back");
}

/// What waits may have had some of its effects: its claims tell which.
pub async fn keeps_claims_of_a_stream_while_a_letter_of_it_waits(Fixture { store, guard: _guard, .. }: Fixture) {
    let waiting = letter(1, "s", "a");
    store.keep_dead_letter(waiting.clone()).await.expect("writable");
    for (subscription, stream) in [("s", "a"), ("s", "b"), ("t", "a")] {
        store.commit(processed(subscription, stream, 1)).await.expect("a new key");
    }
    let events = Expiry { processed_before: SystemTime::now() + Duration::from_secs(60), ..Expiry::nothing() };
    assert_eq!(store.purge(events).await.expect("purged"), 2);
    assert!(matches!(store.commit(processed("s", "a", 1)).await, Err(CommitError::Claimed(_))));
    assert!(store.remove_dead_letter(waiting.id).await.expect("writable"));
    assert_eq!(store.purge(events).await.expect("purged"), 1);
    assert_eq!(up_to(&store, "s", "a").await, 1);
}
