//! The port that every broker implements; one contract suite holds them to it.
//!
//! Five things are asked of a broker: to keep messages until they are acknowledged ([`Broker::publish`],
//! [`Broker::consume`]), to tell whoever listens at the moment ([`Broker::listen`]), to pass a question to somebody who
//! answers it ([`Broker::request`], [`Broker::serve`]), to say whether it is there, and to let go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::message::Message;

/// A message broker.
pub trait Broker: Send + Sync + 'static {
    /// Makes a channel, or changes the one of that name to what is declared; what it keeps stays.
    fn declare(&self, channel: Channel) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Publishes a message to the channel that keeps its subject; answers when it is kept.
    ///
    /// A message whose id came within the channel's [`Channel::repeats_within`] is not kept a second time. Messages that
    /// are on their way at the same time may overtake each other: who needs an order waits for the answer.
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Takes part in a durable consumer: all that take part under one name share its messages, and one that comes
    /// later goes on where the last has stopped.
    fn consume(&self, consumer: Consumer) -> BoxFuture<'_, Result<Deliveries, BrokerError>>;

    /// How many messages a durable consumer has before it: those that it wasn't given yet, and those that it hasn't
    /// acknowledged. A broker that cannot tell counts those as well whose subjects it doesn't want.
    fn backlog(&self, consumer: Consumer) -> BoxFuture<'_, Result<u64, BrokerError>>;

    /// Hears every message on the subjects of `pattern` from now on: nothing that is published after the answer is
    /// missed while the broker is in reach.
    fn listen(&self, pattern: String) -> BoxFuture<'_, Result<Messages, BrokerError>>;

    /// Answers questions asked on the subjects of `pattern`; of all that serve under one `group`, one gets each.
    fn serve(&self, pattern: String, group: String) -> BoxFuture<'_, Result<Calls, BrokerError>>;

    /// Asks whoever serves the message's subject, and gives the answer.
    fn request(&self, message: Message, patience: Duration) -> BoxFuture<'_, Result<Message, BrokerError>>;

    /// Answers when the broker works.
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Sends what is on its way and lets go of the broker.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A broker, shared.
pub type SharedBroker = Arc<dyn Broker>;

/// What a durable consumer is given; an error says that it must be begun again, after a while.
pub type Deliveries = BoxStream<'static, Result<Delivery, BrokerError>>;

/// What is heard.
pub type Messages = BoxStream<'static, Message>;

/// What is asked.
pub type Calls = BoxStream<'static, Call>;

/// Something that keeps messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name, unique within the broker: `shop-events`.
    pub name: String,
    /// Patterns of the subjects whose messages it keeps.
    pub subjects: Vec<String>,
    /// For how long.
    pub keeps: Keeps,
    /// A message whose id came within that time is a repeat.
    pub repeats_within: Duration,
}

/// How long a channel keeps messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Every message for that long, whoever has seen it.
    For(Duration),
    /// Every message until its one consumer has acknowledged it.
    UntilAcknowledged,
}

/// A durable consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The channel that it reads.
    pub channel: String,
    /// Its name, unique within the channel.
    pub name: String,
    /// Patterns of the subjects that it wants; none: all of the channel's.
    pub subjects: Vec<String>,
    /// So many messages may be waiting for their acknowledgement, over all that take part.
    pub max_in_flight: usize,
    /// A message that isn't acknowledged for that long is delivered again.
    pub patience: Duration,
}

impl Consumer {
    /// The consumer `name` of everything in `channel`.
    #[must_use]
    pub fn new(channel: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            channel: channel.into(),
            name: name.into(),
            subjects: Vec::new(),
            max_in_flight: 256,
            patience: Duration::from_secs(30),
        }
    }

    /// Wants nothing but the subjects of these patterns.
    #[must_use]
    pub fn subjects(mut self, patterns: impl IntoIterator<Item = String>) -> Self {
        self.subjects = patterns.into_iter().collect();
        self
    }
}

/// A message that waits for its acknowledgement.
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// How often it has been delivered, this time included.
    pub attempt: u64,
    /// Where to answer.
    pub answer: Box<dyn Acknowledge>,
}

/// The answer to a delivery. Without one the message comes again.
pub trait Acknowledge: Send + Sync {
    /// It has had its effect; never deliver it again.
    fn done(&self) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Deliver it again after that time.
    fn again(&self, after: Duration) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// It takes longer: begin the consumer's patience anew.
    fn working(&self) -> BoxFuture<'_, Result<(), BrokerError>>;
}

/// A question that somebody waits for the answer of.
pub struct Call {
    /// The question.
    pub message: Message,
    /// Where to answer.
    pub reply: Box<dyn Respond>,
}

/// Takes the answer to a question.
pub trait Respond: Send {
    /// Answers; who asked may have gone meanwhile.
    fn respond(self: Box<Self>, answer: Message) -> BoxFuture<'static, Result<(), BrokerError>>;
}

/// What went wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BrokerError {
    /// What kind of thing.
    pub kind: BrokerErrorKind,
    /// For people, who run the service.
    pub message: String,
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerErrorKind {
    /// The broker is not in reach, so that no message left for it; it may be later.
    Unreachable,
    /// No channel of that name, or none that keeps the subject.
    NoChannel,
    /// Nobody serves the subject.
    NobodyServes,
    /// There was no answer, or none in time: what was sent may have arrived.
    TimedOut,
    /// The message is larger than the broker takes.
    TooLarge,
    /// The broker says no.
    Refused,
    /// The broker has been let go of.
    Closed,
}

impl BrokerError {
    /// An error of that kind.
    pub fn new(kind: BrokerErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Whether it is certain that what was to be sent has no effect; else nobody knows.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.kind != BrokerErrorKind::TimedOut
    }

    /// The broker has been let go of.
    #[must_use]
    pub fn closed() -> Self {
        Self::new(BrokerErrorKind::Closed, "the broker is closed")
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("message", &self.message).finish_non_exhaustive()
    }
}
