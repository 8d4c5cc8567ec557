//! A command whose outcome is an event of any module: whatever follows from it, wherever that is recorded.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{Stream, select_all};
use potter_broker::subject::Subjects;
use potter_broker::{Message as Sent, SharedBroker, headers};
use prost::DecodeError;
use tokio::time::{Instant, timeout_at};

use super::Invocation;
use super::command::listen;
use crate::error::{Error, ErrorEvent, Failure, FailureKind};
use crate::pending::Event;

/// A command about to be sent, and the events of which the first is awaited; awaiting it sends the command and gives
/// that event, or the command's own failure.
#[must_use = "a command is sent when it is awaited"]
pub struct AwaitAny<F, E, X> {
    invocation: Invocation<E, X>,
    broker: SharedBroker,
    subjects: Vec<String>,
    event: PhantomData<fn() -> F>,
}

/// An event that was awaited.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Heard<F> {
    /// The event itself.
    pub event: F,
    /// Its identity: what it causes is caused by this.
    pub event_id: String,
    /// Its stored type.
    pub event_type: String,
    /// Identity of its aggregate.
    pub aggregate_id: String,
    /// Version of its aggregate with it.
    pub version: u64,
}

/// Events of either enum, for events of two modules; of more when nested.
#[derive(Clone, Debug, PartialEq)]
pub enum OneOf<A, B> {
    /// Of the first.
    First(A),
    /// Of the second.
    Second(B),
}

impl<A: Event, B: Event> Event for OneOf<A, B> {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        match A::decode(message, payload)? {
            Some(event) => Ok(Some(Self::First(event))),
            None => Ok(B::decode(message, payload)?.map(Self::Second)),
        }
    }
}

impl<E: Event, X: ErrorEvent> Invocation<E, X> {
    /// Awaits, instead of the command's own outcome, the first event that `broker` brings of those that are named by
    /// [`AwaitAny::event`]: of the same correlation id, of whichever module. `F` is the enum of these events.
    ///
    /// Give each invocation a correlation id of its own, or none; events that follow from another request of the same
    /// one would be taken for its own. An event that was published before the invocation is not heard, and of those
    /// that the broker loses while it is away none is waited for longer than the timeout.
    pub fn await_any<F: Event>(self, broker: &SharedBroker) -> AwaitAny<F, E, X> {
        AwaitAny { invocation: self, broker: broker.clone(), subjects: Vec::new(), event: PhantomData }
    }
}

impl<F: Event, E: Event, X: ErrorEvent> AwaitAny<F, E, X> {
    /// Awaits events of that stored type (`stock.reserved`) of the module `module`, too.
    pub fn event(self, module: &str, event_type: &str) -> Self {
        let subject = Subjects::of(module).event(event_type);
        self.subject(subject)
    }

    /// Awaits the events on that subject, too, where a broker's administration maps subjects. Patterns are allowed:
    /// what isn't of `F` is passed over.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subjects.push(subject.into());
        self
    }

    async fn send(self) -> Result<Heard<F>, Error<X>> {
        let deadline = Instant::now() + self.invocation.timeout;
        let late = Failure::deadline_exceeded(format!(
            "command {} led to none of the awaited events within {:?}",
            self.invocation.id, self.invocation.timeout
        ));
        timeout_at(deadline, self.follow()).await.unwrap_or_else(|_| Err(late.into()))
    }

    async fn follow(self) -> Result<Heard<F>, Error<X>> {
        if self.subjects.is_empty() {
            return Err(Failure::new(FailureKind::Invalid, "INVALID_REQUEST", "no event is awaited").into());
        }
        let correlation_id = self.invocation.correlation();
        // Before the command is sent, so that nothing is missed.
        let listening = self.subjects.into_iter().map(|subject| listen(&self.broker, subject));
        let events = select_all(join_all(listening).await);
        tokio::select! {
            event = first(events, &correlation_id) => Ok(event?),
            // A success is only the beginning.
            Err(error) = self.invocation.correlation_id(&correlation_id).into_future() => Err(error),
        }
    }
}

impl<F: Event, E: Event, X: ErrorEvent> IntoFuture for AwaitAny<F, E, X> {
    type Output = Result<Heard<F>, Error<X>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// The first event of that correlation id that is an `F`.
async fn first<F: Event>(
    mut messages: impl Stream<Item = Sent> + Unpin,
    correlation_id: &str,
) -> Result<Heard<F>, Failure> {
    while let Some(message) = messages.next().await {
        if message.get(headers::CORRELATION_ID) == Some(correlation_id)
            && let Some(heard) = read(&message)?
        {
            return Ok(heard);
        }
    }
    Err(Failure::protocol("the broker was closed while an event was awaited"))
}

/// The event in a message; `None` if it is no `F`.
fn read<F: Event>(message: &Sent) -> Result<Option<Heard<F>>, Failure> {
    let text = |name: &str| message.get(name).unwrap_or_default().to_owned();
    let unreadable =
        |reason: String| Failure::protocol(format!("cannot read the event on `{}`: {reason}", message.subject));
    if message.get(headers::CONTENT_TYPE) == Some(headers::JSON) {
        return Err(unreadable("it is in JSON, invokers read protobuf".to_owned()));
    }
    let event = F::decode(&text(headers::MESSAGE), &message.payload).map_err(|error| unreadable(error.to_string()))?;
    let Some(event) = event else { return Ok(None) };
    Ok(Some(Heard {
        event,
        event_id: text(headers::EVENT_ID),
        event_type: text(headers::EVENT_TYPE),
        aggregate_id: text(headers::AGGREGATE_ID),
        version: message.parse(headers::VERSION).map_err(unreadable)?.unwrap_or_default(),
    }))
}
