//! Commands and their outcomes.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use potter_broker::backoff::backoff;
use potter_broker::subject::Subjects;
use potter_broker::{Message as Sent, Messages, SharedBroker, headers};
use potter_proto::runtime::v1::CommandStatus;
use prost::Message;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::{PATIENCE, Told, Way, failure};
use crate::call::AsyncCommand;
use crate::connection::Connection;
use crate::error::{Error, ErrorEvent, Failure};
use crate::pending::{Event, Outcome, outcome};

/// An outcome that is long in coming is asked for again that often: the first answer may have been missed.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Sends commands of the type `C` and awaits their outcomes: events of the enum `E`, or an error event of the enum `X`.
///
/// Whatever of `E` the command records is a success, whichever it is: to await any of several events, `E` has several
/// variants. What other modules make of the command is awaited with [`Invocation::await_any`].
pub struct CommandInvoker<C, E, X> {
    way: Way,
    timeout: Duration,
    types: PhantomData<fn(C) -> (E, X)>,
}

/// A command about to be sent; awaiting it sends it and gives its outcome, the success or the failure.
#[must_use = "a command is sent when it is awaited"]
pub struct Invocation<E, X> {
    way: Way,
    body: Bytes,
    told: Told,
    pub(super) id: Uuid,
    expected_version: Option<u64>,
    pub(super) timeout: Duration,
    types: PhantomData<fn() -> (E, X)>,
}

impl<C: Message, E: Event, X: ErrorEvent> CommandInvoker<C, E, X> {
    /// Invokes the command `name` (its stable name, `catalogue.create_product`) of the module over a broker.
    #[must_use]
    pub fn over_broker(broker: &SharedBroker, module: &str, name: &str) -> Self {
        let (broker, module, name) = (broker.clone(), module.to_owned(), name.to_owned());
        Self { way: Way::Broker { broker, module, name, resolve: None }, timeout: PATIENCE, types: PhantomData }
    }

    /// Invokes an asynchronous command by its rpc: `/catalogue.v1.Catalogue/CreateProduct`.
    #[must_use]
    pub fn over_grpc(connection: &Connection, path: &'static str) -> Self {
        Self { way: Way::Grpc { connection: connection.clone(), path }, timeout: PATIENCE, types: PhantomData }
    }

    /// How long an outcome is waited for. Default: 30 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Finds the subject of the command by its name, where a broker's administration maps subjects. Over gRPC there are
    /// none.
    #[must_use]
    pub fn subjects(mut self, resolve: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        if let Way::Broker { resolve: known, .. } = &mut self.way {
            *known = Some(Arc::new(resolve));
        }
        self
    }

    /// The command `request`, to be awaited.
    pub fn invoke(&self, request: &C) -> Invocation<E, X> {
        Invocation {
            way: self.way.clone(),
            body: request.encode_to_vec().into(),
            told: Told::default(),
            id: Uuid::now_v7(),
            expected_version: None,
            timeout: self.timeout,
            types: PhantomData,
        }
    }
}

impl<E: Event, X: ErrorEvent> Invocation<E, X> {
    /// Identity of the command: invoked again with the same one, and be it by another process, it is executed once.
    /// Default: one of its own. Over gRPC it has no effect.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// Ties together everything that follows from one request. Default: one of its own.
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.told.correlation_id = Some(id.into());
        self
    }

    /// What directly caused the command: the id of an event or of another command.
    pub fn caused_by(mut self, id: impl Into<String>) -> Self {
        self.told.causation_id = Some(id.into());
        self
    }

    /// On whose behalf. Over gRPC the service's own authentication says so.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.told.actor = Some(actor.into());
        self
    }

    /// The version that the aggregate must have for the command to be executed.
    pub fn expected_version(mut self, version: u64) -> Self {
        self.expected_version = Some(version);
        self
    }

    /// How long the outcome is waited for. Default: the invoker's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The correlation id that it was given, or else its own id.
    pub(super) fn correlation(&self) -> String {
        self.told.correlation_id.clone().unwrap_or_else(|| self.id.to_string())
    }

    async fn send(self) -> Result<Outcome<E>, Error<X>> {
        match self.way.clone() {
            Way::Grpc { connection, path } => self.send_over_grpc(&connection, path).await,
            Way::Broker { broker, module, name, resolve } => {
                let subjects = Subjects::of(&module);
                let subject = resolve.map_or_else(|| subjects.command(&name), |resolve| resolve(&name));
                self.send_over_broker(&broker, &subjects, subject).await
            }
        }
    }

    async fn send_over_grpc(self, connection: &Connection, path: &'static str) -> Result<Outcome<E>, Error<X>> {
        let mut command = AsyncCommand::<(), E, X>::encoded(connection, path, self.body).timeout(self.timeout);
        if let Some(id) = self.told.correlation_id {
            command = command.correlation_id(id);
        }
        if let Some(id) = self.told.causation_id {
            command = command.caused_by(id);
        }
        if let Some(version) = self.expected_version {
            command = command.expected_version(version);
        }
        let deadline = Instant::now() + self.timeout;
        let pending = command.await?;
        pending.outcome().within(deadline.saturating_duration_since(Instant::now())).await
    }

    async fn send_over_broker(
        self,
        broker: &SharedBroker,
        subjects: &Subjects,
        subject: String,
    ) -> Result<Outcome<E>, Error<X>> {
        let deadline = Instant::now() + self.timeout;
        let correlation_id = self.correlation();
        let late =
            || Failure::deadline_exceeded(format!("command {} has no outcome after {:?}", self.id, self.timeout));
        let awaited = async {
            // Before anything is sent, so that no outcome is missed.
            let mut outcomes = listen(broker, subjects.outcome(&correlation_id, &self.id.to_string())).await;
            for attempt in 1_u32.. {
                publish(broker, self.message(&subject, &correlation_id, attempt)).await?;
                let again = Instant::now() + ASK_AGAIN;
                if let Ok(status) = timeout_at(again, heard(&mut outcomes, self.id)).await {
                    return outcome(status?);
                }
            }
            unreachable!("attempts are without end")
        };
        timeout_at(deadline, awaited).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// The command as it is published: a message of its own each time, or the broker would drop it as a repeat.
    fn message(&self, subject: &str, correlation_id: &str, attempt: u32) -> Sent {
        let id = if attempt == 1 { self.id.to_string() } else { format!("{}-{attempt}", self.id) };
        let version = self.expected_version.map(|version| version.to_string()).unwrap_or_default();
        Sent::new(subject, self.body.clone())
            .id(id)
            .header(headers::COMMAND_ID, self.id.to_string())
            .header(headers::CORRELATION_ID, correlation_id)
            .header(headers::CAUSATION_ID, self.told.causation_id.clone().unwrap_or_default())
            .header(headers::ACTOR, self.told.actor.clone().unwrap_or_default())
            .header(headers::EXPECTED_VERSION, version)
            .header(headers::CONTENT_TYPE, headers::PROTOBUF)
    }
}

impl<E: Event, X: ErrorEvent> IntoFuture for Invocation<E, X> {
    type Output = Result<Outcome<E>, Error<X>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Listens as soon as the broker is there.
pub(super) async fn listen(broker: &SharedBroker, pattern: String) -> Messages {
    for attempt in 1.. {
        match broker.listen(pattern.clone()).await {
            Ok(messages) => return messages,
            Err(error) => tracing::debug!(%error, "cannot listen for the outcome yet"),
        }
        sleep(backoff(attempt)).await;
    }
    unreachable!("attempts are without end")
}

/// Publishes as soon as the broker keeps it; a repeat of the same id is dropped by the broker or known to the service.
async fn publish(broker: &SharedBroker, message: Sent) -> Result<(), Failure> {
    for attempt in 1.. {
        match broker.publish(message.clone()).await.map_err(|error| failure(&error)) {
            Ok(()) => return Ok(()),
            Err(failure) if failure.retryable => tracing::debug!(%failure, "cannot send the command yet"),
            Err(failure) => return Err(failure),
        }
        sleep(backoff(attempt)).await;
    }
    unreachable!("attempts are without end")
}

/// Waits for the outcome of the command `id`; others may have the same correlation id.
async fn heard(outcomes: &mut Messages, id: Uuid) -> Result<CommandStatus, Failure> {
    let id = id.to_string();
    while let Some(message) = outcomes.next().await {
        if message.get(headers::COMMAND_ID) == Some(&id) {
            let status = CommandStatus::decode(message.payload);
            return status.map_err(|error| Failure::protocol(format!("cannot read the outcome: {error}")));
        }
    }
    Err(Failure::protocol("the broker was closed while the outcome was awaited"))
}
