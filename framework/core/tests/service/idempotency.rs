//! A repeat under the same key gets the recorded reply and has no effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use potter_core::dispatch::{Outcome, RequestMetadata};
use potter_core::failure::{FailureKind, codes};
use proptest::prelude::*;
use prost::Message;

use crate::commands::{app, stream};
use crate::product::*;

pub fn keyed(key: &str) -> RequestMetadata {
    RequestMetadata { idempotency_key: Some(key.to_owned()), ..RequestMetadata::default() }
}

#[tokio::test]
async fn a_repeat_gets_the_recorded_reply() {
    let app = app().await;
    let first = app.send(CREATE, &create("", "Pen", 5), keyed("k")).await.expect("created");
    let repeat = app.send(CREATE, &create("", "Pen", 5), keyed("k")).await.expect("repeated");
    assert!(!first.replayed);
    assert!(repeat.replayed);
    assert_eq!(first.body, repeat.body);
    assert_eq!(first.outcome, repeat.outcome);
    let id = ProductReply::decode(first.body).expect("a reply").product_id;
    assert_eq!(stream(&app, &id).await.len(), 1);
}

#[tokio::test]
async fn a_repeat_that_would_be_refused_by_now_gets_the_recorded_reply() {
    let app = app().await;
    app.send(CREATE, &create("p", "Pen", 5), keyed("create")).await.expect("created");
    app.send(RESERVE, &reserve("p", 5), keyed("reserve")).await.expect("reserved");
    app.send(DELETE, &delete("p"), keyed("delete")).await.expect("deleted");
    for (rpc, key, version) in [(CREATE, "create", 1), (RESERVE, "reserve", 2), (DELETE, "delete", 3)] {
        let repeat = match rpc {
            CREATE => app.send(rpc, &create("p", "Pen", 5), keyed(key)).await,
            RESERVE => app.send(rpc, &reserve("p", 5), keyed(key)).await,
            _ => app.send(rpc, &delete("p"), keyed(key)).await,
        };
        let repeat = repeat.expect(key);
        assert!(repeat.replayed, "{key}");
        assert!(matches!(repeat.outcome, Outcome::Executed { version: v, .. } if v == version), "{repeat:?}");
    }
    assert_eq!(stream(&app, "p").await.len(), 3);
}

#[tokio::test]
async fn a_decision_for_nothing_is_recorded_too() {
    let app = app().await;
    app.send(CREATE, &create("p", "Pen", 5), RequestMetadata::default()).await.expect("created");
    app.send(RESERVE, &reserve("p", 0), keyed("k")).await.expect("nothing to do");
    app.send(RESERVE, &reserve("p", 1), RequestMetadata::default()).await.expect("reserved");
    let repeat = app.send(RESERVE, &reserve("p", 0), keyed("k")).await.expect("repeated");
    assert!(repeat.replayed);
    assert_eq!(ProductReply::decode(repeat.body).expect("a reply").stock, 5);
}

#[tokio::test]
async fn a_refusal_is_not_recorded() {
    let app = app().await;
    app.send(CREATE, &create("p", "Pen", 0), RequestMetadata::default()).await.expect("created");
    app.send(RESERVE, &reserve("p", 1), keyed("k")).await.expect_err("out of stock");
    app.send(RESTOCK, &restock("p", 1), RequestMetadata::default()).await.expect("accepted");
    app.settle().await;
    let reply = app.send(RESERVE, &reserve("p", 1), keyed("k")).await.expect("in stock");
    assert!(!reply.replayed);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_a_conflict() {
    let app = app().await;
    app.send(CREATE, &create("p", "Pen", 5), RequestMetadata::default()).await.expect("created");
    app.send(RESERVE, &reserve("p", 1), keyed("k")).await.expect("reserved");
    for quantity in [2, 100] {
        let failure = app.send(RESERVE, &reserve("p", quantity), keyed("k")).await.expect_err("another request");
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Conflict, codes::IDEMPOTENCY_KEY_REUSED));
    }
    assert_eq!(stream(&app, "p").await.len(), 2);
}

#[tokio::test]
async fn keys_of_other_callers_and_commands_are_other_keys() {
    let app = app().await;
    app.send(CREATE, &create("p", "Pen", 5), keyed("k")).await.expect("created");
    let by = |actor: &str| RequestMetadata { actor: Some(actor.to_owned()), ..keyed("k") };
    for metadata in [keyed("k"), by("ada"), by("bob")] {
        let reply = app.send(RESERVE, &reserve("p", 1), metadata).await.expect("reserved");
        assert!(!reply.replayed);
    }
    assert_eq!(stream(&app, "p").await.len(), 4);
}

#[tokio::test]
async fn commands_that_are_not_idempotent_pay_no_heed_to_keys() {
    let app = app().await;
    app.send(CREATE, &create("p", "Pen", 5), RequestMetadata::default()).await.expect("created");
    for _ in 0..2 {
        let reply = app.send(RENAME, &rename("p", "Quill"), keyed("k")).await.expect("renamed");
        assert!(!reply.replayed);
    }
    assert_eq!(stream(&app, "p").await.len(), 3);
}

#[tokio::test]
async fn a_key_that_is_not_one_is_invalid() {
    let app = app().await;
    for key in ["", "a\nb", &"x".repeat(300)] {
        let failure = app.send(CREATE, &create("p", "Pen", 5), keyed(key)).await.expect_err(key);
        assert_eq!(failure.violations[0].field, "idempotency_key");
    }
}

#[tokio::test]
async fn an_accepted_command_is_not_accepted_twice() {
    let app = app().await;
    app.send(CREATE, &create("p", "Pen", 5), RequestMetadata::default()).await.expect("created");
    let first = app.send(RESTOCK, &restock("p", 1), keyed("k")).await.expect("accepted");
    let repeat = app.send(RESTOCK, &restock("p", 1), keyed("k")).await.expect("repeated");
    assert!(repeat.replayed);
    assert!(matches!(first.outcome, Outcome::Accepted { .. }));
    assert_eq!((first.body, first.outcome), (repeat.body, repeat.outcome));
    app.settle().await;
    assert_eq!(stream(&app, "p").await.len(), 2);
}

/// Sends every request at once; gives what each key was answered with, and the stock in the end.
async fn send_all(requests: Vec<(u8, i64)>) -> (BTreeMap<u8, Vec<ProductReply>>, i64) {
    let app = Arc::new(app().await);
    app.send(CREATE, &create("p", "Pen", 1_000_000), RequestMetadata::default()).await.expect("created");
    let callers = requests.into_iter().map(|(key, quantity)| {
        let app = app.clone();
        tokio::spawn(async move {
            let answer = app.send(RESERVE, &reserve("p", quantity), keyed(&key.to_string())).await;
            (key, answer)
        })
    });
    let mut replies: BTreeMap<u8, Vec<ProductReply>> = BTreeMap::new();
    for answer in futures::future::join_all(callers).await {
        match answer.expect("no caller panics") {
            (key, Ok(reply)) => {
                replies.entry(key).or_default().push(ProductReply::decode(reply.body).expect("a reply"))
            }
            (_, Err(failure)) => assert_eq!(failure.code, codes::IDEMPOTENCY_KEY_REUSED),
        }
    }
    let rest: ProductReply = app.call(RESERVE, &reserve("p", 0)).await.expect("the stock");
    (replies, rest.stock)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_key_has_one_effect_however_many_ask_at_once(
        requests in proptest::collection::vec((0_u8..6, 1_i64..3), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let (replies, stock) = runtime.block_on(send_all(requests.clone()));
        let keys: std::collections::BTreeSet<u8> = requests.iter().map(|(key, _)| *key).collect();
        prop_assert_eq!(replies.keys().copied().collect::<std::collections::BTreeSet<_>>(), keys.clone());
        for of_one_key in replies.values() {
            prop_assert!(of_one_key.iter().all(|reply| reply == &of_one_key[0]));
        }
        let effects = 1_000_000 - stock;
        prop_assert!((keys.len() as i64..=2 * keys.len() as i64).contains(&effects), "{} for {}", effects, keys.len());
    }
}
