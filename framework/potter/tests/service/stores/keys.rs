//! One idempotency key, a hundred times at once: one effect, and everybody gets its reply.

use std::sync::Arc;

use futures::future::join_all;
use potter::Failure;
use potter::dispatch::{Outcome, Reply, RequestMetadata};
use potter::failure::{FailureKind, codes};
use potter::prost::Message;
use potter::store::SharedStore;
use potter::testing::TestApp;
use potter_sample::{CreateProductRequest, ProductReply, UpdateProductRequest};

use super::{CREATE, IMPORT, SOON, UPDATE, memory, postgres, sqlite, start};
use crate::in_process;

const CALLS: usize = 100;

type Answers = Vec<Result<Reply, Failure>>;

/// What so many calls at once under one key are answered with, spread over the nodes.
async fn at_once<Q: Message + 'static>(nodes: &[Arc<TestApp>], rpc: &'static str, ask: impl Fn(usize) -> Q) -> Answers {
    let calls = nodes.iter().cycle().take(CALLS).enumerate().map(|(call, node)| {
        let (node, request) = (node.clone(), ask(call));
        let metadata = RequestMetadata { idempotency_key: Some("k".to_owned()), ..RequestMetadata::default() };
        tokio::spawn(async move { node.send(rpc, &request, metadata).await })
    });
    join_all(calls).await.into_iter().map(|answer| answer.expect("no panic")).collect()
}

fn product() -> CreateProductRequest {
    CreateProductRequest { name: "lamp".to_owned(), stock: 5, ..CreateProductRequest::default() }
}

/// The one reply that all of these are; only one of them isn't a repeat.
fn the_one(replies: Vec<Reply>) -> Reply {
    let known = |reply: &Reply| match reply.outcome.clone() {
        Outcome::Executed { id, version, .. } => (id, version, None),
        Outcome::Accepted { id, command_id } => (id, 0, Some(command_id)),
        Outcome::Queried => unreachable!("commands are sent"),
    };
    assert_eq!(replies.iter().filter(|reply| !reply.replayed).count(), 1, "one execution");
    for reply in &replies {
        assert_eq!((&reply.body, known(reply)), (&replies[0].body, known(&replies[0])));
    }
    replies.into_iter().next().expect("there are some")
}

fn told(answers: Answers) -> Vec<Reply> {
    answers.into_iter().collect::<Result<_, _>>().expect("everybody gets a reply")
}

async fn creates_once(nodes: &[Arc<TestApp>]) -> String {
    let reply = the_one(told(at_once(nodes, CREATE, |_| product()).await));
    ProductReply::decode(reply.body).expect("a reply").product_id
}

/// The price that comes first counts; whoever asks for another is told that the key was used.
async fn updates_once_and_refuses_the_others(nodes: &[Arc<TestApp>], id: &str) {
    let price = |call: usize| i64::try_from(call % 3).expect("small");
    let update =
        |call| UpdateProductRequest { product_id: id.to_owned(), name: "lamp".to_owned(), price_cents: price(call) };
    let answers = at_once(nodes, UPDATE, update).await;
    let counted = answers.iter().position(Result::is_ok).map(price).expect("one is executed");
    let (mut replies, mut refused) = (Vec::new(), 0);
    for (call, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(reply) => {
                assert_eq!(price(call), counted);
                replies.push(reply);
            }
            Err(failure) => {
                assert_ne!(price(call), counted, "{failure}");
                assert_eq!((failure.kind, &*failure.code), (FailureKind::Conflict, codes::IDEMPOTENCY_KEY_REUSED));
                refused += 1;
            }
        }
    }
    assert_eq!(replies.len() + refused, CALLS);
    let reply = ProductReply::decode(the_one(replies).body).expect("a reply");
    assert_eq!(reply.product.expect("a product").price_cents, counted);
}

async fn accepts_once(nodes: &[Arc<TestApp>]) {
    let reply = the_one(told(at_once(nodes, IMPORT, |_| product()).await));
    let Outcome::Accepted { command_id, .. } = reply.outcome else { panic!("it is asynchronous: {reply:?}") };
    let status = nodes[0].dispatcher().await_outcome(command_id, SOON).await.expect("readable").expect("it is known");
    assert!(status.outcome.is_some(), "it is executed");
}

async fn a_key_counts_once(stores: &[SharedStore]) {
    let nodes: Vec<_> = join_all(stores.iter().map(start)).await.into_iter().map(Arc::new).collect();
    let id = creates_once(&nodes).await;
    updates_once_and_refuses_the_others(&nodes, &id).await;
    accepts_once(&nodes).await;
    let log = stores[0].read_all(0, usize::MAX).await.expect("readable");
    let recorded: Vec<_> = log.iter().map(|event| &*event.event_type).collect();
    assert_eq!(recorded, ["product.created", "product.updated", "product.created"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sent_a_hundred_times_at_once_counts_once_in_memory() {
    a_key_counts_once(&[memory()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sent_a_hundred_times_at_once_counts_once_on_sqlite() {
    let directory = tempfile::tempdir().expect("a directory");
    a_key_counts_once(&[sqlite(directory.path())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sent_a_hundred_times_at_once_counts_once_on_postgres() {
    a_key_counts_once(&[postgres(&in_process::postgres("keys").await).await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sent_a_hundred_times_at_once_counts_once_on_two_nodes() {
    let dsn = in_process::postgres("keys_of_two_nodes").await;
    a_key_counts_once(&[postgres(&dsn).await, postgres(&dsn).await]).await;
}
