//! A command on its way, and what is known of it when something fails: that it was certainly not sent, or nothing.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::StreamExt;
use potter_broker::subject::Subjects;
use potter_broker::{BrokerError, BrokerErrorKind, Messages, SharedBroker, headers};
use potter_proto::runtime::v1::CommandStatus;
use prost::Message;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Invocation, Way, failure};
use crate::call::AsyncCommand;
use crate::error::{Error, ErrorEvent, Failure};
use crate::pending::{Event, Outcome, Pending, outcome};

/// A broker that isn't in reach is waited for that long: it may just be about to be connected.
const REACHED_WITHIN: Duration = Duration::from_secs(2);

/// A service that has never run yet, so that nobody keeps its commands, is waited for that long.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// How often the broker is tried meanwhile.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// An outcome that is long in coming is asked for again that often: the first answer may have been missed.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A command about to be sent, whose outcome is listened for already, so that none is missed.
pub(super) struct Prepared<'a, E, X> {
    invocation: &'a Invocation<E, X>,
    pub(super) deadline: Instant,
    way: Ready<E, X>,
}

/// How a command can be sent.
enum Ready<E, X> {
    OverBroker(Line),
    OverGrpc(AsyncCommand<(), E, X>),
}

/// Where a command is published, and its outcome heard.
struct Line {
    broker: SharedBroker,
    subject: String,
    outcomes: Messages,
}

/// A command that was sent: the broker keeps it, or the service has accepted it.
pub(super) struct UnderWay<'a, E, X> {
    invocation: &'a Invocation<E, X>,
    pub(super) deadline: Instant,
    way: Gone<E, X>,
}

/// How a command was sent.
enum Gone<E, X> {
    OverBroker(Line),
    OverGrpc(Pending<(), E, X>),
}

impl<'a, E: Event, X: ErrorEvent> Prepared<'a, E, X> {
    /// Its time begins now.
    ///
    /// # Errors
    /// The broker isn't in reach, so that nothing is sent.
    pub(super) async fn new(invocation: &'a Invocation<E, X>) -> Result<Self, Failure> {
        let deadline = Instant::now() + invocation.timeout;
        let way = match &invocation.way {
            Way::Grpc { connection, path } => Ready::OverGrpc(invocation.call(connection, path)),
            Way::Broker { broker, module, name, resolve } => {
                let subjects = Subjects::of(module);
                let subject = resolve.as_ref().map_or_else(|| subjects.command(name), |resolve| resolve(name));
                let outcome = subjects.outcome(&invocation.correlation(), &invocation.id.to_string());
                let outcomes = listen(broker, outcome, deadline).await.map_err(|why| invocation.not_sent(&why))?;
                Ready::OverBroker(Line { broker: broker.clone(), subject, outcomes })
            }
        };
        Ok(Self { invocation, deadline, way })
    }

    /// Sends the command. Before each try `before` is called, as long as it is certain that nothing was sent.
    pub(super) async fn send(self, mut before: impl FnMut() + Send) -> Result<UnderWay<'a, E, X>, Error<X>> {
        let Self { invocation, deadline, way } = self;
        let way = match way {
            Ready::OverBroker(mut line) => {
                line.publish(invocation, deadline, before).await?;
                Gone::OverBroker(line)
            }
            Ready::OverGrpc(command) => {
                before();
                Gone::OverGrpc(command.await?)
            }
        };
        Ok(UnderWay { invocation, deadline, way })
    }
}

impl<E: Event, X: ErrorEvent> UnderWay<'_, E, X> {
    /// Waits for the outcome, beyond the deadline too.
    pub(super) async fn outcome(self) -> Result<Outcome<E>, Error<X>> {
        match self.way {
            Gone::OverBroker(line) => outcome(line.outcome(self.invocation).await?),
            // It begins now, and so ends after the deadline.
            Gone::OverGrpc(pending) => pending.outcome().within(self.invocation.timeout).await,
        }
    }
}

impl Line {
    /// Publishes a command as soon as the broker keeps it; a repeat is dropped by the broker or known to the service.
    async fn publish<E: Event, X: ErrorEvent>(
        &mut self,
        invocation: &Invocation<E, X>,
        deadline: Instant,
        mut before: impl FnMut() + Send,
    ) -> Result<(), Failure> {
        let given_up = deadline.min(Instant::now() + KEPT_WITHIN);
        // Whether a try that failed may have arrived all the same.
        let mut in_doubt = false;
        let message = invocation.message(&self.subject);
        loop {
            if !in_doubt {
                before();
            }
            let published = self.broker.publish(message.clone());
            let Ok(published) = timeout_at(deadline, published).await else { return Err(invocation.without_outcome()) };
            let Err(error) = published else { return Ok(()) };
            in_doubt |= !error.is_certain();
            match error.kind {
                BrokerErrorKind::Closed if !in_doubt => return Err(invocation.not_sent(&error)),
                BrokerErrorKind::Refused | BrokerErrorKind::TooLarge | BrokerErrorKind::Closed => {
                    return Err(failure(&error));
                }
                _ if !in_doubt && Instant::now() + TRY_AGAIN >= given_up => return Err(invocation.not_sent(&error)),
                _ => tracing::debug!(%error, "cannot send the command yet"),
            }
            let waited = timeout_at(deadline, sleep(TRY_AGAIN)).await;
            waited.map_err(|_| invocation.without_outcome())?;
        }
    }

    /// Waits for the outcome; asks for it again when it is long in coming.
    async fn outcome<E: Event, X: ErrorEvent>(
        mut self,
        invocation: &Invocation<E, X>,
    ) -> Result<CommandStatus, Failure> {
        let id = invocation.id.to_string();
        loop {
            if let Ok(status) = timeout_at(Instant::now() + ASK_AGAIN, heard(&mut self.outcomes, &id)).await {
                return status;
            }
            if let Err(error) = self.broker.publish(invocation.message(&self.subject)).await {
                tracing::debug!(%error, "cannot ask for the outcome again yet");
            }
        }
    }
}

/// Listens as soon as the broker is there.
///
/// # Errors
/// It isn't there soon, or doesn't answer before the deadline.
pub(super) async fn listen(broker: &SharedBroker, pattern: String, deadline: Instant) -> Result<Messages, BrokerError> {
    let listening = timeout_at(deadline, when_reached(deadline, || broker.listen(pattern.clone()))).await;
    listening.unwrap_or_else(|_| Err(BrokerError::new(BrokerErrorKind::TimedOut, "the broker does not answer")))
}

/// Does something with a broker as soon as that is in reach, which it may not be at once after the program's start.
pub(super) async fn when_reached<'a, T>(
    deadline: Instant,
    act: impl Fn() -> BoxFuture<'a, Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    let given_up = deadline.min(Instant::now() + REACHED_WITHIN);
    loop {
        match act().await {
            Err(error) if error.kind == BrokerErrorKind::Unreachable && Instant::now() + TRY_AGAIN < given_up => {
                tracing::debug!(%error, "the broker is not in reach yet");
            }
            done => return done,
        }
        sleep(TRY_AGAIN).await;
    }
}

/// Waits for the outcome of the command `id`; others may have the same correlation id.
async fn heard(outcomes: &mut Messages, id: &str) -> Result<CommandStatus, Failure> {
    while let Some(message) = outcomes.next().await {
        if message.get(headers::COMMAND_ID) == Some(id) {
            let status = CommandStatus::decode(message.payload);
            return status.map_err(|error| Failure::protocol(format!("cannot read the outcome: {error}")));
        }
    }
    Err(Failure::protocol("the broker was closed while the outcome was awaited"))
}
