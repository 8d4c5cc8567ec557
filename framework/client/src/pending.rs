//! Asynchronous commands: accepted, not yet executed, and how their outcome is awaited.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use backon::ExponentialBackoff;
use potter_proto::runtime::v1::command_status::Status as Stage;
use potter_proto::runtime::v1::{AwaitCommandRequest, CommandError, CommandEvent, CommandStatus};
use prost::{DecodeError, Message};
use prost_types::Any;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::attempt::{self, Outgoing};
use crate::call::Reply;
use crate::connection::Connection;
use crate::error::{Error, ErrorEvent, Failure, FailureKind, FieldViolation};
use crate::retry::{Retries, may_repeat};
use crate::status::{self, Failed};

const AWAIT_COMMAND: &str = "/potter.runtime.v1.Commands/AwaitCommand";

/// How long the service is asked to wait before it says that there is no outcome yet.
const LONGEST_POLL: Duration = Duration::from_secs(20);
/// What an answer may take on top of that.
const POLL_SLACK: Duration = Duration::from_secs(5);

/// The events of an aggregate: a generated enum.
pub trait Event: fmt::Debug + Send + Sync + Sized + 'static {
    /// Reads the event `payload`, a message with the full name `message`; `None`: not one of these.
    ///
    /// # Errors
    /// `payload` isn't such a message.
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError>;
}

/// A command that the service has accepted: it is stored, and will be executed whatever happens.
#[derive(Clone, Debug)]
#[must_use = "the command is accepted, not yet executed; its outcome can be awaited"]
pub struct Pending<R, E, X> {
    /// The reply that was made when the command was accepted.
    pub reply: R,
    /// What the service says about the reply.
    details: Reply<()>,
    ticket: Ticket<E, X>,
}

/// A claim on the outcome of an accepted command.
///
/// Its [`id`](Ticket::id) can be kept, and the ticket resumed from it by another process.
pub struct Ticket<E, X> {
    connection: Connection,
    id: Uuid,
    outcome: PhantomData<fn() -> (E, X)>,
}

/// Waits for an outcome when awaited.
#[must_use = "waiting begins when it is awaited"]
pub struct Awaiting<E, X> {
    ticket: Ticket<E, X>,
    timeout: Duration,
}

/// An accepted command that has been executed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome<E> {
    /// Identity of the aggregate.
    pub aggregate_id: String,
    /// Version of the aggregate after the command.
    pub version: u64,
    /// The events that the command recorded, in order.
    pub events: Vec<E>,
    /// Recorded events that this client doesn't know, because the service is newer.
    pub unknown_events: Vec<UnknownEvent>,
}

/// A recorded event that this client doesn't know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UnknownEvent {
    /// The stored type name.
    pub event_type: String,
    /// The message's full name and its protobuf bytes.
    pub payload: Any,
}

impl<R, E: Event, X: ErrorEvent> Pending<R, E, X> {
    pub(crate) fn new(reply: Reply<R>, ticket: Ticket<E, X>) -> Self {
        let Reply { message, aggregate_id, version, position, replayed, correlation_id } = reply;
        let details = Reply { message: (), aggregate_id, version, position, replayed, correlation_id };
        Self { reply: message, details, ticket }
    }

    /// Identity of the command: what its status and its outcome are asked for with.
    #[must_use]
    pub fn command_id(&self) -> Uuid {
        self.ticket.id
    }

    /// Identity of the aggregate, already assigned.
    #[must_use]
    pub fn aggregate_id(&self) -> Option<&str> {
        self.details.aggregate_id.as_deref()
    }

    /// Finds the command in the service's logs.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.details.correlation_id.as_deref()
    }

    /// Whether an earlier try with the same idempotency key was accepted, and this is its reply.
    #[must_use]
    pub fn replayed(&self) -> bool {
        self.details.replayed
    }

    /// The claim on its outcome, without the reply.
    pub fn ticket(&self) -> &Ticket<E, X> {
        &self.ticket
    }

    /// Waits until the command has been executed; see [`Ticket::outcome`].
    pub fn outcome(&self) -> Awaiting<E, X> {
        self.ticket.outcome()
    }
}

impl<E: Event, X: ErrorEvent> Ticket<E, X> {
    /// The claim on the outcome of the accepted command `id`.
    #[must_use]
    pub fn resume(connection: &Connection, id: Uuid) -> Self {
        Self { connection: connection.clone(), id, outcome: PhantomData }
    }

    /// Identity of the command.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Waits until the command has been executed; gives what it recorded, or fails with why it was refused.
    ///
    /// Restarts of the service and broken connections in between only make it take longer. When the time is up
    /// (see [`Awaiting::within`]) it fails with `DEADLINE_EXCEEDED`, and may be asked again.
    pub fn outcome(&self) -> Awaiting<E, X> {
        Awaiting { timeout: self.connection.settings().outcome_timeout, ticket: self.clone() }
    }
}

impl<E: Event, X: ErrorEvent> Awaiting<E, X> {
    /// How long to wait. Default: the connection's outcome timeout.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn wait(self) -> Result<Outcome<E>, Error<X>> {
        let deadline = Instant::now() + self.timeout;
        let mut pace = Pace::new(self.ticket.connection.settings().retries);
        loop {
            let asked = Instant::now();
            match poll(&self.ticket, deadline).await {
                Ok(status) if is_pending(&status) => pace.answered_after(asked.elapsed()),
                Ok(status) => return outcome(status),
                Err(failed) if may_repeat(&failed.failure, failed.reach, true) => {
                    tracing::debug!(command = %self.ticket.id, error = %failed.failure, "asking again");
                }
                Err(failed) => return Err(failed.into_error()),
            }
            let delay = pace.next();
            if Instant::now() + delay >= deadline {
                return Err(self.too_late().into());
            }
            sleep(delay).await;
        }
    }

    fn too_late(&self) -> Failure {
        let Self { ticket, timeout } = self;
        Failure::deadline_exceeded(format!("command {} has no outcome after {timeout:?}", ticket.id))
    }
}

impl<E: Event, X: ErrorEvent> IntoFuture for Awaiting<E, X> {
    type Output = Result<Outcome<E>, Error<X>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}

/// How fast a service is asked again: at once after a poll that it held open, else slower and slower.
struct Pace {
    retries: Retries,
    delays: ExponentialBackoff,
    at_once: bool,
}

impl Pace {
    /// A poll that took that long was held open, so the service is well.
    const HELD_OPEN: Duration = Duration::from_secs(1);

    fn new(retries: Retries) -> Self {
        // Whoever asks for an outcome wants it, also with retries switched off.
        let retries = if retries.first_delay.is_zero() { Retries::default() } else { retries };
        Self { delays: retries.endless_delays(), retries, at_once: false }
    }

    fn answered_after(&mut self, time: Duration) {
        if time >= Self::HELD_OPEN {
            self.delays = self.retries.endless_delays();
            self.at_once = true;
        }
    }

    fn next(&mut self) -> Duration {
        if std::mem::take(&mut self.at_once) {
            return Duration::ZERO;
        }
        self.delays.next().unwrap_or(self.retries.longest_delay)
    }
}

/// Asks once for the outcome; the service answers when it has one or when the poll's time is up.
async fn poll<E, X>(ticket: &Ticket<E, X>, deadline: Instant) -> Result<CommandStatus, Failed> {
    let left = deadline.saturating_duration_since(Instant::now());
    let wait = left.min(LONGEST_POLL);
    let request =
        AwaitCommandRequest { command_id: ticket.id.to_string(), timeout: prost_types::Duration::try_from(wait).ok() };
    let call = Outgoing {
        path: AWAIT_COMMAND,
        body: request.encode_to_vec().into(),
        metadata: ticket.connection.settings().metadata.clone(),
        timeout: wait + POLL_SLACK,
        retries: Retries::NONE,
        repeatable: true,
    };
    let response = attempt::send(&ticket.connection, &call).await?;
    Ok(response.into_inner())
}

fn is_pending(status: &CommandStatus) -> bool {
    status.status() == Stage::Pending
}

/// What a settled command comes to.
pub(crate) fn outcome<E: Event, X: ErrorEvent>(status: CommandStatus) -> Result<Outcome<E>, Error<X>> {
    match status.status() {
        Stage::Succeeded => Ok(succeeded(status)?),
        Stage::Failed => Err(failed(status.error.unwrap_or_default(), status.correlation_id)),
        Stage::Pending | Stage::Unspecified => {
            Err(Failure::protocol("the service did not say how the command went").into())
        }
    }
}

fn succeeded<E: Event>(status: CommandStatus) -> Result<Outcome<E>, Failure> {
    let mut outcome = Outcome {
        aggregate_id: status.aggregate_id,
        version: status.version,
        events: Vec::new(),
        unknown_events: Vec::new(),
    };
    for CommandEvent { r#type: event_type, data } in status.events {
        let payload = data.unwrap_or_default();
        let known = E::decode(status::full_name(&payload), &payload.value)
            .map_err(|error| Failure::protocol(format!("cannot read the event `{event_type}`: {error}")))?;
        match known {
            Some(event) => outcome.events.push(event),
            None => outcome.unknown_events.push(UnknownEvent { event_type, payload }),
        }
    }
    Ok(outcome)
}

fn failed<X: ErrorEvent>(error: CommandError, correlation_id: String) -> Error<X> {
    let event = error.event.as_ref().and_then(status::decode_event);
    let mut failure = Failure::new(kind_of(&error), &error.code, error.message);
    failure.retryable = error.retryable;
    failure.violations = error.violations.into_iter().map(FieldViolation::from).collect();
    failure.correlation_id = (!correlation_id.is_empty()).then_some(correlation_id);
    match event {
        Some(event) => Error::Refused { event, failure: Box::new(failure) },
        None => failure.into(),
    }
}

/// The kind that a code of the framework stands for; every other code is a refusal's.
fn kind_of(error: &CommandError) -> FailureKind {
    match error.code.as_str() {
        "INVALID_REQUEST" => FailureKind::Invalid,
        "ALREADY_EXISTS" | "VERSION_MISMATCH" | "CONTENTION" => FailureKind::Conflict,
        "DEADLINE_EXCEEDED" | "UNAVAILABLE" => FailureKind::Unavailable,
        "INTERNAL" => FailureKind::Bug,
        _ => FailureKind::Refused,
    }
}

impl<E, X> Clone for Ticket<E, X> {
    fn clone(&self) -> Self {
        Self { connection: self.connection.clone(), id: self.id, outcome: PhantomData }
    }
}

impl<E, X> fmt::Debug for Ticket<E, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<E, X> fmt::Debug for Awaiting<E, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaiting").field("ticket", &self.ticket).field("timeout", &self.timeout).finish()
    }
}
