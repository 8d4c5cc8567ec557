//! Messages that are kept until they are acknowledged.

use std::time::Duration;

use tokio::time::timeout;

use super::{Fixture, SOON, done, next, nothing, text};
use crate::message::Message;
use crate::port::{BrokerErrorKind, Channel, Keeps};

const LOG: Keeps = Keeps::For(Duration::from_secs(600));

/// Subject, id, headers and payload come back, whatever bytes the payload has.
pub async fn keeps_a_message_as_it_was(test: Fixture) {
    test.declare(LOG).await;
    let message = Message::new(test.subject("a.b"), vec![0, 255, 10, 13])
        .id("the id")
        .header("x-correlation-id", "ä b")
        .header("Potter-Version", "7");
    test.broker.publish(message.clone()).await.expect("it is kept");
    let delivery = next(&mut test.consume("one").await).await;
    assert_eq!(delivery.message, message);
    assert_eq!(delivery.attempt, 1);
}

/// A consumer that is new begins with the oldest message, and order is kept.
pub async fn keeps_messages_for_a_consumer_that_comes_later(test: Fixture) {
    test.declare(LOG).await;
    for number in 0..20 {
        test.publish("a", &number.to_string()).await;
    }
    let mut deliveries = test.consume("one").await;
    for number in 0..20 {
        assert_eq!(done(&mut deliveries).await, number.to_string());
    }
    test.publish("a", "later").await;
    assert_eq!(done(&mut deliveries).await, "later");
}

/// What was acknowledged doesn't come again, also to another who takes part later.
pub async fn goes_on_where_a_consumer_has_stopped(test: Fixture) {
    test.declare(LOG).await;
    let mut first = test.consume("one").await;
    test.publish("a", "1").await;
    assert_eq!(done(&mut first).await, "1");
    drop(first);
    test.publish("a", "2").await;
    let mut second = test.consume("one").await;
    assert_eq!(done(&mut second).await, "2");
    nothing(&mut second).await;
}

/// The second message with an id is answered like the first, and isn't kept.
pub async fn keeps_one_of_repeats(test: Fixture) {
    test.declare(LOG).await;
    for (id, payload) in [("1", "a"), ("1", "b"), ("2", "c"), ("1", "d")] {
        test.broker.publish(test.message("a", payload).id(id)).await.expect("it is kept, or was");
    }
    let mut deliveries = test.consume("one").await;
    assert_eq!(done(&mut deliveries).await, "a");
    assert_eq!(done(&mut deliveries).await, "c");
    nothing(&mut deliveries).await;
}

/// Not before its time, and counted.
pub async fn delivers_again_what_is_put_back(test: Fixture) {
    test.declare(LOG).await;
    test.publish("a", "1").await;
    let mut deliveries = test.consume("one").await;
    let first = next(&mut deliveries).await;
    first.answer.again(Duration::from_millis(400)).await.expect("it can be put back");
    nothing(&mut deliveries).await;
    let second = next(&mut deliveries).await;
    assert_eq!((text(&second.message).as_str(), second.attempt), ("1", 2));
    second.answer.done().await.expect("it can be acknowledged");
    nothing(&mut deliveries).await;
}

/// Whoever took it may have died.
pub async fn delivers_again_what_nobody_answers(test: Fixture) {
    test.declare(LOG).await;
    test.publish("a", "1").await;
    let consumer = crate::Consumer { patience: Duration::from_millis(300), ..test.consumer("one") };
    let mut deliveries = test.broker.consume(consumer).await.expect("it can take part");
    assert_eq!(next(&mut deliveries).await.attempt, 1);
    let second = next(&mut deliveries).await;
    assert_eq!((text(&second.message).as_str(), second.attempt), ("1", 2));
}

/// Whoever says so has more time.
pub async fn waits_for_who_is_working(test: Fixture) {
    test.declare(LOG).await;
    test.publish("a", "1").await;
    let consumer = crate::Consumer { patience: Duration::from_millis(500), ..test.consumer("one") };
    let mut deliveries = test.broker.consume(consumer).await.expect("it can take part");
    let delivery = next(&mut deliveries).await;
    for _ in 0..6 {
        nothing(&mut deliveries).await;
        delivery.answer.working().await.expect("it can be said");
    }
    delivery.answer.done().await.expect("it can be acknowledged");
}

/// The next comes when one is acknowledged.
pub async fn delivers_no_more_than_may_be_in_flight(test: Fixture) {
    test.declare(LOG).await;
    for payload in ["1", "2", "3"] {
        test.publish("a", payload).await;
    }
    let consumer = crate::Consumer { max_in_flight: 2, ..test.consumer("one") };
    let mut deliveries = test.broker.consume(consumer).await.expect("it can take part");
    let first = next(&mut deliveries).await;
    let _second = next(&mut deliveries).await;
    nothing(&mut deliveries).await;
    first.answer.done().await.expect("it can be acknowledged");
    assert_eq!(done(&mut deliveries).await, "3");
}

/// Each message goes to one of those who take part.
pub async fn lets_two_share_a_consumer(test: Fixture) {
    test.declare(Keeps::UntilAcknowledged).await;
    for number in 10..30 {
        test.publish("a", &number.to_string()).await;
    }
    let (mut one, mut two) = (test.consume("one").await, test.consume("one").await);
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let delivery = tokio::select! {
            delivery = next(&mut one) => delivery,
            delivery = next(&mut two) => delivery,
        };
        delivery.answer.done().await.expect("it can be acknowledged");
        seen.push(text(&delivery.message));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 20);
}

/// Consumers of different names know nothing of each other.
pub async fn gives_every_consumer_everything(test: Fixture) {
    test.declare(LOG).await;
    test.publish("a", "1").await;
    for name in ["one", "two"] {
        assert_eq!(done(&mut test.consume(name).await).await, "1");
    }
}

/// Several patterns, and nothing twice.
pub async fn gives_a_consumer_the_subjects_it_wants(test: Fixture) {
    test.declare(LOG).await;
    for rest in ["a.1", "b.1", "c.1", "a.2"] {
        test.publish(rest, rest).await;
    }
    for patterns in [vec!["a.*"], vec!["a.1", "a.2"]] {
        let name = patterns.len().to_string();
        let consumer = test.consumer(&name).subjects(patterns.iter().map(|it| test.subject(it)));
        let mut deliveries = test.broker.consume(consumer).await.expect("it can take part");
        assert_eq!(done(&mut deliveries).await, "a.1");
        assert_eq!(done(&mut deliveries).await, "a.2");
        nothing(&mut deliveries).await;
    }
}

/// What it wasn't given, and what it hasn't acknowledged.
pub async fn tells_how_much_a_consumer_has_before_it(test: Fixture) {
    test.declare(LOG).await;
    let mut deliveries = test.consume("one").await;
    for payload in ["1", "2", "3"] {
        test.publish("a", payload).await;
    }
    let backlog = async || test.broker.backlog(test.consumer("one")).await.expect("there is such a consumer");
    assert_eq!(backlog().await, 3);
    assert_eq!(done(&mut deliveries).await, "1");
    let open = next(&mut deliveries).await;
    until(async || backlog().await == 2).await;
    open.answer.done().await.expect("it can be acknowledged");
    assert_eq!(done(&mut deliveries).await, "3");
    until(async || backlog().await == 0).await;
}

/// What was acknowledged is known to the broker soon after.
async fn until(holds: impl AsyncFn() -> bool) {
    let held = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, held).await.expect("it holds in the end");
}

/// The error names it.
pub async fn refuses_to_look_at_no_consumer(test: Fixture) {
    test.declare(LOG).await;
    let error = test.broker.backlog(test.consumer("nobody")).await.expect_err("there is none");
    assert_eq!(error.kind, BrokerErrorKind::NoChannel, "{error}");
    assert!(error.to_string().contains("nobody"), "{error}");
}

/// A queue keeps what wasn't acknowledged, and nothing else.
pub async fn forgets_what_a_queue_has_delivered(test: Fixture) {
    test.declare(Keeps::UntilAcknowledged).await;
    test.publish("a", "1").await;
    test.publish("a", "2").await;
    let mut deliveries = test.consume("one").await;
    assert_eq!(done(&mut deliveries).await, "1");
    let two = next(&mut deliveries).await;
    two.answer.again(Duration::ZERO).await.expect("it can be put back");
    assert_eq!(done(&mut deliveries).await, "2");
    nothing(&mut deliveries).await;
}

/// A service declares its channels at every start.
pub async fn keeps_what_it_has_when_declared_again(test: Fixture) {
    test.declare(LOG).await;
    test.publish("a", "1").await;
    test.declare(Keeps::For(Duration::from_secs(1200))).await;
    assert_eq!(done(&mut test.consume("one").await).await, "1");
}

/// A message that nobody would keep is an error, not a loss.
pub async fn refuses_a_subject_that_nobody_keeps(test: Fixture) {
    let error = test.broker.publish(test.message("a", "1")).await.expect_err("no channel");
    assert_eq!(error.kind, BrokerErrorKind::NoChannel, "{error}");
    assert!(error.to_string().contains(&test.subject("a")), "{error}");
    let elsewhere = Channel { subjects: vec![test.subject("b.>")], ..test.channel(LOG) };
    test.broker.declare(elsewhere).await.expect("the channel can be made");
    let error = test.broker.publish(test.message("a", "1")).await.expect_err("no channel for it");
    assert_eq!(error.kind, BrokerErrorKind::NoChannel, "{error}");
}

/// The error names the channel.
pub async fn refuses_a_consumer_of_no_channel(test: Fixture) {
    match test.broker.consume(test.consumer("one")).await {
        Err(error) => {
            assert_eq!(error.kind, BrokerErrorKind::NoChannel, "{error}");
            assert!(error.to_string().contains(&test.prefix), "{error}");
        }
        Ok(_) => panic!("there is nothing to consume"),
    }
}
