//! Takes in commands: each is stored for the workers, and acknowledged then.
//!
//! Stored under the message's id, so that a repeat is no second command. The sender of what can never become a command is
//! told so by a failed outcome, and that settles it. Kept as a dead letter, rather than delivered for ever, is what nobody
//! can be told of, and what a bug of ours keeps out: its sender is told nothing, so that a replay never executes what
//! somebody believes to have failed. Commands of one sender that depend on each other must wait for each other's
//! outcomes: they are taken in side by side.

use std::sync::Arc;
use std::time::SystemTime;

use futures::{StreamExt, TryStreamExt};
use potter_broker::subject::Subjects;
use potter_broker::{BrokerErrorKind, Consumer, Delivery, Message};
use potter_core::backoff::{backoff, outage};
use potter_core::dispatch::{Request, RequestMetadata};
use potter_core::failure::{Failure, FailureKind};
use potter_core::store::{CommandStatus, DeadAttempt, DeadLetter};
use uuid::Uuid;

use crate::link::{Link, Published};
use crate::wire::{command_id, metadata_of};

/// [`DeadLetter::source`] of commands.
pub(crate) const SOURCE: &str = "commands";

/// Takes in commands until the intake is closed.
pub(crate) async fn run(link: Arc<Link>, at_once: usize) {
    let closed = link.intake_closed.clone();
    for attempt in 1.. {
        consume(&link, at_once).await;
        if closed.run_until_cancelled(link.pause(attempt)).await.flatten().is_none() {
            return;
        }
    }
}

/// Takes in commands until the broker fails or the intake is closed.
async fn consume(link: &Link, at_once: usize) {
    let subjects = link.wire.subjects();
    let consumer = Consumer { max_in_flight: at_once, ..Consumer::new(subjects.channel("commands"), "service") };
    let deliveries = match link.broker.consume(consumer).await {
        Ok(deliveries) => deliveries,
        Err(error) => {
            if error.kind == BrokerErrorKind::NoChannel {
                link.declare().await;
            }
            return link.failed(&error, 2);
        }
    };
    let deliveries = deliveries.take_until(link.intake_closed.clone().cancelled_owned());
    let taken = deliveries.try_for_each_concurrent(at_once, |delivery| async {
        take_in(link, delivery).await;
        Ok(())
    });
    if let Err(error) = taken.await {
        link.failed(&error, 1);
    }
}

/// Stores a command and acknowledges it, or says that it shall come again.
async fn take_in(link: &Link, delivery: Delivery) {
    let answered = match accept(link, &delivery.message).await {
        Ok(status) => {
            repeat_outcome(link, &status).await;
            delivery.answer.done().await
        }
        Err(failure) if worth_trying_again(&failure, delivery.attempt) => {
            let attempt = u32::try_from(delivery.attempt).unwrap_or(u32::MAX);
            let wait = if failure.kind == FailureKind::Unavailable { outage } else { backoff };
            delivery.answer.again(wait(attempt)).await
        }
        Err(failure) => match refuse(link, &delivery.message, failure).await {
            Some(()) => delivery.answer.done().await,
            None => return,
        },
    };
    if let Err(error) = answered {
        // The message comes again, and is known then.
        link.failed(&error, 1);
    }
}

/// What is not the message's fault passes; a bug only perhaps.
fn worth_trying_again(failure: &Failure, attempt: u64) -> bool {
    match failure.kind {
        FailureKind::Unavailable => true,
        FailureKind::Bug => attempt < 5,
        FailureKind::Invalid | FailureKind::Refused | FailureKind::Conflict => failure.retryable,
    }
}

pub(crate) async fn accept(link: &Link, message: &Message) -> Result<CommandStatus, Failure> {
    let name = command_name(link, message)?;
    let id = command_id(message);
    let unusable = |_| Failure::malformed(format!("the message id of a command must be a UUID, not `{id}`"));
    let id = id.parse::<Uuid>().map_err(unusable)?;
    let specs = link.dispatcher.module().commands();
    let rpc = specs.filter(|spec| spec.name == name).map(|spec| spec.rpc).next().unwrap_or_default();
    // However little time its sender has: nobody waits for it to be taken in.
    let metadata = RequestMetadata { deadline: None, ..metadata_of(message)? };
    let request = Request { body: link.wire.request(rpc, message)?, metadata };
    link.dispatcher.accept(name, id, request).await
}

/// The command that a message's subject names.
fn command_name(link: &Link, message: &Message) -> Result<&'static str, Failure> {
    let subjects: &Subjects = link.wire.subjects();
    let mut specs = link.dispatcher.module().commands();
    let spec = specs.find(|spec| subjects.command(spec.name) == message.subject);
    spec.map(|spec| spec.name).ok_or_else(|| Failure::unimplemented(&message.subject))
}

/// A command that comes again may be asked for again because its outcome was missed.
async fn repeat_outcome(link: &Link, status: &CommandStatus) {
    if status.outcome.is_none() {
        return link.meter.accepted.increment(1);
    }
    link.meter.repeated.increment(1);
    for message in link.wire.announcements_again(status) {
        if let Err(error) = link.broker.publish(message).await {
            link.failed(&error, 1);
        }
    }
}

/// Settles a message that becomes no command; `None` if the messages end before that is done.
async fn refuse(link: &Link, message: &Message, failure: Failure) -> Option<()> {
    link.meter.refused.increment(1);
    let answer = if failure.kind == FailureKind::Bug { None } else { link.wire.refusal(message, &failure) };
    let Some(answer) = answer else {
        tracing::error!(subject = message.subject, id = message.id, %failure, "a command is kept as a dead letter");
        return link.keep_letter(dead_letter(message, &failure)).await;
    };
    tracing::debug!(subject = message.subject, id = message.id, %failure, "a command is refused, and its sender told");
    for outcome in &answer {
        if let Published::TooLarge(error) = link.publish(outcome, &link.meter.outcomes).await? {
            tracing::error!(subject = message.subject, %error, "a refusal with all that is wrong cannot be told");
            return link.keep_letter(dead_letter(message, &failure)).await;
        }
    }
    Some(())
}

fn dead_letter(message: &Message, failure: &Failure) -> DeadLetter {
    let now = SystemTime::now();
    let id = Uuid::now_v7();
    // Whoever asks again sends the same command in another message: it is kept once.
    let command_id = command_id(message);
    DeadLetter {
        id,
        source: SOURCE.to_owned(),
        key: String::new(),
        message_id: if command_id.is_empty() { id.to_string() } else { command_id.to_owned() },
        subject: message.subject.clone(),
        headers: message.headers.clone().into_iter().collect(),
        payload: message.payload.clone(),
        reason: failure.to_string(),
        history: vec![DeadAttempt { at: now, reason: failure.to_string() }],
        parked_at: now,
    }
}
