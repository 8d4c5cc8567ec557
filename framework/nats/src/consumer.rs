//! Durable pull consumers.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use async_nats::jetstream::{self, AckKind, Context, message::Acker};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::StreamExt;
use potter_broker::subject::matches;
use potter_broker::{Acknowledge, BrokerError, BrokerErrorKind, Consumer, Deliveries, Delivery};

use crate::convert::message_of;

/// Messages asked for at a time, at most: what has been fetched and isn't taken in waits for the consumer's patience
/// when the process goes.
const FETCHED: usize = 128;

/// The server says so often that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(5);

pub(crate) async fn consume(jetstream: Context, consumer: Consumer) -> Result<Deliveries, BrokerError> {
    let failed = |error: &dyn std::error::Error| unreachable(&consumer, error);
    let made: jetstream::consumer::PullConsumer = jetstream
        .create_consumer_on_stream(config(&consumer), &consumer.channel)
        .await
        .map_err(|error| not_made(&consumer, &error))?;
    let messages = made
        .stream()
        .max_messages_per_batch(consumer.max_in_flight.min(FETCHED))
        .heartbeat(HEARTBEAT)
        .messages()
        .await
        .map_err(|error| failed(&error))?;
    let deliveries = messages.filter_map(move |message| {
        let consumer = consumer.clone();
        async move {
            match message {
                Ok(message) => wanted(&consumer, message).await.transpose(),
                Err(error) => Some(Err(unreachable(&consumer, &error))),
            }
        }
    });
    Ok(deliveries.boxed())
}

/// See [`potter_broker::Broker::backlog`]; of several wanted subjects, the server counts the others as well.
pub(crate) async fn backlog(jetstream: &Context, consumer: &Consumer) -> Result<u64, BrokerError> {
    let found: Result<jetstream::consumer::PullConsumer, _> =
        jetstream.get_consumer_from_stream(&consumer.name, &consumer.channel).await;
    let found = found.map_err(|error| not_found(consumer, &error))?;
    let info = found.cached_info();
    Ok(info.num_pending + info.num_ack_pending as u64)
}

fn not_found(consumer: &Consumer, error: &ConsumerError) -> BrokerError {
    use jetstream::ErrorCode;

    let absent = [ErrorCode::STREAM_NOT_FOUND, ErrorCode::CONSUMER_NOT_FOUND];
    match error.kind() {
        ConsumerErrorKind::JetStream(told) if absent.contains(&told.kind()) => {
            let Consumer { name, channel, .. } = consumer;
            BrokerError::new(BrokerErrorKind::NoChannel, format!("there is no consumer `{name}` of `{channel}`"))
        }
        _ => unreachable(consumer, error),
    }
}

fn config(consumer: &Consumer) -> pull::Config {
    pull::Config {
        durable_name: Some(consumer.name.clone()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: consumer.patience,
        max_ack_pending: i64::try_from(consumer.max_in_flight).unwrap_or(i64::MAX),
        // Servers before 2.10 filter by one subject only; of several, `wanted` picks.
        filter_subject: match consumer.subjects.as_slice() {
            [only] => only.clone(),
            _ => String::new(),
        },
        ..pull::Config::default()
    }
}

/// The message, unless the consumer doesn't want its subject: then it is done with.
async fn wanted(consumer: &Consumer, message: jetstream::Message) -> Result<Option<Delivery>, BrokerError> {
    let attempt = message.info().map_or(1, |info| u64::try_from(info.delivered).unwrap_or(1));
    let (message, acker) = message.split();
    let subjects = &consumer.subjects;
    if !subjects.is_empty() && !subjects.iter().any(|pattern| matches(pattern, &message.subject)) {
        return acknowledge(&acker, AckKind::Ack).await.map(|()| None);
    }
    Ok(Some(Delivery { message: message_of(message), attempt, answer: Box::new(Ticket(acker)) }))
}

/// Where a delivery is answered.
struct Ticket(Acker);

impl Acknowledge for Ticket {
    fn done(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        acknowledge(&self.0, AckKind::Ack).boxed()
    }

    fn again(&self, after: Duration) -> BoxFuture<'_, Result<(), BrokerError>> {
        acknowledge(&self.0, AckKind::Nak(Some(after))).boxed()
    }

    fn working(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        acknowledge(&self.0, AckKind::Progress).boxed()
    }
}

async fn acknowledge(acker: &Acker, kind: AckKind) -> Result<(), BrokerError> {
    let sent = acker.ack_with(kind).await;
    sent.map_err(|error| BrokerError::new(BrokerErrorKind::Unreachable, format!("cannot acknowledge: {error}")))
}

fn not_made(consumer: &Consumer, error: &ConsumerError) -> BrokerError {
    let Consumer { name, channel, .. } = consumer;
    let text = error.to_string();
    let kind = match error.kind() {
        ConsumerErrorKind::JetStream(error) if error.kind() == jetstream::ErrorCode::STREAM_NOT_FOUND => {
            let reason = format!("there is no stream `{channel}` for the consumer `{name}`");
            return BrokerError::new(BrokerErrorKind::NoChannel, reason);
        }
        ConsumerErrorKind::TimedOut | ConsumerErrorKind::Request => BrokerErrorKind::Unreachable,
        _ => BrokerErrorKind::Refused,
    };
    BrokerError::new(kind, format!("cannot make the consumer `{name}` of `{channel}`: {text}"))
}

fn unreachable(consumer: &Consumer, error: &dyn std::error::Error) -> BrokerError {
    let Consumer { name, channel, .. } = consumer;
    BrokerError::new(BrokerErrorKind::Unreachable, format!("the consumer `{name}` of `{channel}` stopped: {error}"))
}
