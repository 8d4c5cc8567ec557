//! Listening, questions and answers, and the end.

use std::time::Duration;

use futures::StreamExt;

use super::{Fixture, SOON, heard};
use crate::message::Message;
use crate::port::{BrokerErrorKind, Calls, Keeps};

/// Nothing from before; everything after, by pattern.
pub async fn lets_listeners_hear_from_now_on(test: Fixture) {
    test.declare(Keeps::For(Duration::from_secs(600))).await;
    test.publish("a.1", "before").await;
    let mut all = test.broker.listen(test.subject("a.*")).await.expect("it can listen");
    let mut two = test.broker.listen(test.subject("a.2")).await.expect("it can listen");
    test.publish("a.1", "1").await;
    test.publish("a.2", "2").await;
    assert_eq!(heard(&mut all).await, "1");
    assert_eq!(heard(&mut all).await, "2");
    assert_eq!(heard(&mut two).await, "2");
}

/// Each question is answered by one, and all who serve have their turn.
pub async fn passes_a_question_to_one_of_a_group(test: Fixture) {
    let serve = || test.broker.serve(test.subject("q.*"), "group".to_owned());
    let servers = [
        tokio::spawn(answer(serve().await.expect("it can serve"), "one")),
        tokio::spawn(answer(serve().await.expect("it can serve"), "two")),
    ];
    let mut answers = Vec::new();
    for _ in 0..50 {
        let question = test.message("q.x", "question").header("x-correlation-id", "7");
        let answer = test.broker.request(question, SOON).await.expect("an answer");
        assert_eq!(answer.get("potter-version"), Some("7"));
        answers.push(super::text(&answer));
    }
    answers.sort();
    answers.dedup();
    assert_eq!(answers, ["one", "two"]);
    servers.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn answer(mut calls: Calls, name: &'static str) {
    while let Some(call) = calls.next().await {
        let version = call.message.get("x-correlation-id").unwrap_or_default().to_owned();
        let answer = Message::new("", name).header("potter-version", version);
        call.reply.respond(answer).await.expect("it can answer");
    }
}

/// At once, not after the time that the caller would wait.
pub async fn says_that_nobody_serves(test: Fixture) {
    let asked = test.broker.request(test.message("q.x", ""), Duration::from_secs(3600));
    let error = tokio::time::timeout(SOON, asked).await.expect("at once").expect_err("nobody is there");
    assert_eq!(error.kind, BrokerErrorKind::NobodyServes, "{error}");
    assert!(error.to_string().contains(&test.subject("q.x")), "{error}");
}

/// When the time is up.
pub async fn says_that_nobody_answers(test: Fixture) {
    let mut calls = test.broker.serve(test.subject("q.*"), "group".to_owned()).await.expect("it can serve");
    let asked = test.broker.request(test.message("q.x", ""), Duration::from_millis(100));
    let error = asked.await.expect_err("nobody answers");
    assert_eq!(error.kind, BrokerErrorKind::TimedOut, "{error}");
    let call = tokio::time::timeout(SOON, calls.next()).await.expect("it was asked").expect("it goes on");
    call.reply.respond(Message::default()).await.expect("too late, but no error");
}

/// Afterwards everything is refused, rather than waited for.
pub async fn answers_a_ping_until_it_is_closed(test: Fixture) {
    test.broker.ping().await.expect("it works");
    test.broker.close().await;
    let error = test.broker.ping().await.expect_err("closed");
    assert_eq!(error.kind, BrokerErrorKind::Closed, "{error}");
    let error = test.broker.publish(test.message("a", "1")).await.expect_err("closed");
    assert_eq!(error.kind, BrokerErrorKind::Closed, "{error}");
}
