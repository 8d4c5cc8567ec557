//! A command whose outcome is an event of any module: whatever follows from it, wherever that is recorded.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;

use futures::future::{FutureExt, try_join_all};
use futures::stream::{Stream, StreamExt, select_all};
use potter_broker::subject::Subjects;
use potter_broker::{Message as Sent, SharedBroker, headers};
use prost::DecodeError;
use tokio::time::timeout_at;

use super::Invocation;
use super::sending::{Prepared, listen};
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
    /// one would be taken for its own. An event that is heard before the command is sent is passed over. An event that
    /// isn't heard in time, or that the broker loses while it is away, fails with `DEADLINE_EXCEEDED`, and is not
    /// retryable: sent again, the command would either be known and lead to nothing new, or be another one. Whoever must
    /// know looks for the correlation id, which the failure has, in a read model of the other module.
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
        if self.subjects.is_empty() {
            return Err(Failure::new(FailureKind::Invalid, "INVALID_REQUEST", "no event is awaited").into());
        }
        let correlation_id = self.invocation.correlation();
        let invocation = self.invocation.correlation_id(&correlation_id);
        // Before the command is sent, so that nothing is missed.
        let command = Prepared::new(&invocation).await?;
        let listening = self.subjects.into_iter().map(|subject| listen(&self.broker, subject, command.deadline));
        let listening = try_join_all(listening).await.map_err(|why| invocation.not_sent(&why))?;
        let mut events = select_all(listening);
        let sent = command.send(|| pass_over(&mut events)).await;
        let command = sent.map_err(|error| match error.code() {
            // It may have arrived, and led to what nobody heard.
            "DEADLINE_EXCEEDED" => unheard(&invocation).into(),
            _ => error,
        })?;
        let deadline = command.deadline;
        let followed = async {
            tokio::select! {
                event = first(events, &correlation_id) => Ok(event?),
                // A success is only the beginning.
                Err(error) = command.outcome() => Err(error),
            }
        };
        timeout_at(deadline, followed).await.unwrap_or_else(|_| Err(unheard(&invocation).into()))
    }
}

/// Passes over what was heard before the command was sent: that cannot follow from it.
fn pass_over(events: &mut (impl Stream + Unpin)) {
    while let Some(Some(_)) = events.next().now_or_never() {}
}

/// Says that the time is up. Sending the command again wouldn't help: what follows from it may have happened meanwhile,
/// and happens once.
fn unheard<E: Event, X: ErrorEvent>(invocation: &Invocation<E, X>) -> Failure {
    let (id, correlation_id) = (invocation.id, invocation.correlation());
    let message = format!(
        "command {id} led to none of the awaited events within {:?}; they may come later, or have come unheard: look for \
         the correlation id {correlation_id} rather than invoke it again",
        invocation.timeout
    );
    let late = Failure::deadline_exceeded(message);
    Failure { retryable: false, correlation_id: Some(correlation_id), ..late }
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
    let is_json = message.get(headers::CONTENT_TYPE).is_some_and(|it| it.starts_with(headers::JSON));
    // Nothing at all is a valid message in protobuf: whether it is an `F` can be told without its payload.
    let payload = if is_json { &[][..] } else { &message.payload };
    let event = F::decode(&text(headers::MESSAGE), payload).map_err(|error| unreadable(error.to_string()))?;
    let Some(event) = event else { return Ok(None) };
    if is_json {
        return Err(unreadable("it is in JSON, and invokers read protobuf".to_owned()));
    }
    Ok(Some(Heard {
        event,
        event_id: text(headers::EVENT_ID),
        event_type: text(headers::EVENT_TYPE),
        aggregate_id: text(headers::AGGREGATE_ID),
        version: message.parse(headers::VERSION).map_err(unreadable)?.unwrap_or_default(),
    }))
}
