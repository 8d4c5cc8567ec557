//! Commands and their outcomes.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use potter_broker::{BrokerError, BrokerErrorKind, Message as Sent, SharedBroker, headers};
use prost::Message;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::sending::Prepared;
use super::{PATIENCE, Told, Way};
use crate::call::AsyncCommand;
use crate::connection::Connection;
use crate::error::{Error, ErrorEvent, Failure};
use crate::pending::{Event, Outcome};

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
    pub(super) way: Way,
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

    /// Invokes a command by its rpc: `/catalogue.v1.Catalogue/CreateProduct`. As over a broker it is stored, executed by
    /// a worker, and its outcome awaited, whether its rpc is asynchronous or not.
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
    /// Default: one of its own.
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
        self.told.correlation_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| self.id.to_string())
    }

    async fn send(self) -> Result<Outcome<E>, Error<X>> {
        let sent = Prepared::new(&self).await?.send(|| ()).await?;
        let outcome = timeout_at(sent.deadline, sent.outcome()).await;
        outcome.unwrap_or_else(|_| Err(self.without_outcome().into()))
    }

    /// The command over gRPC.
    pub(super) fn call(&self, connection: &Connection, path: &'static str) -> AsyncCommand<(), E, X> {
        let mut command = AsyncCommand::with_id(connection, path, self.body.clone(), self.id).timeout(self.timeout);
        if let Some(id) = &self.told.correlation_id {
            command = command.correlation_id(id);
        }
        if let Some(id) = &self.told.causation_id {
            command = command.caused_by(id);
        }
        if let Some(version) = self.expected_version {
            command = command.expected_version(version);
        }
        command
    }

    /// The command as it is published: a message of its own each time, or the broker would drop it as a repeat, and nobody
    /// would tell how an earlier one went.
    pub(super) fn message(&self, subject: &str) -> Sent {
        let version = self.expected_version.map(|version| version.to_string()).unwrap_or_default();
        Sent::new(subject, self.body.clone())
            .id(Uuid::now_v7().to_string())
            .header(headers::COMMAND_ID, self.id.to_string())
            .header(headers::CORRELATION_ID, self.correlation())
            .header(headers::CAUSATION_ID, self.told.causation_id.clone().unwrap_or_default())
            .header(headers::ACTOR, self.told.actor.clone().unwrap_or_default())
            .header(headers::EXPECTED_VERSION, version)
            .header(headers::CONTENT_TYPE, headers::PROTOBUF)
    }

    /// Says that the command was certainly not sent.
    pub(super) fn not_sent(&self, why: &BrokerError) -> Failure {
        let failure = Failure::not_sent(format!("command {} was not sent: {why}", self.id));
        // Who has let go of a broker sends nothing over it any more.
        let retryable = why.kind != BrokerErrorKind::Closed;
        Failure { retryable, correlation_id: Some(self.correlation()), ..failure }
    }

    /// Says that the time is up, and that nobody knows how the command went.
    pub(super) fn without_outcome(&self) -> Failure {
        let Self { id, timeout, .. } = self;
        let message = format!("command {id} has no outcome after {timeout:?}; under the same id it may be sent again");
        Failure { correlation_id: Some(self.correlation()), ..Failure::deadline_exceeded(message) }
    }
}

impl<E: Event, X: ErrorEvent> IntoFuture for Invocation<E, X> {
    type Output = Result<Outcome<E>, Error<X>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
