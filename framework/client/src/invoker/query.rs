//! Queries and their replies.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use potter_broker::subject::Subjects;
use potter_broker::{Message as Sent, SharedBroker, headers};
use potter_proto::runtime::v1::QueryError;
use prost::Message;
use tokio::time::Instant;

use super::sending::when_reached;
use super::{PATIENCE, Told, Way, failure};
use crate::call::Query;
use crate::connection::Connection;
use crate::error::{Error, ErrorEvent, Failure, FailureKind, FieldViolation};

/// Asks queries of the type `Q` and gives their replies, `R`, or fails; `X` is the enum of the service's error events.
pub struct QueryInvoker<Q, R, X> {
    way: Way,
    timeout: Duration,
    types: PhantomData<fn(Q) -> (R, X)>,
}

/// A query about to be asked; awaiting it asks it and gives the reply.
#[must_use = "a query is asked when it is awaited"]
pub struct Question<R, X> {
    way: Way,
    body: Bytes,
    told: Told,
    at_least: Option<u64>,
    timeout: Duration,
    types: PhantomData<fn() -> (R, X)>,
}

impl<Q: Message, R: Message + Default + 'static, X: ErrorEvent> QueryInvoker<Q, R, X> {
    /// Asks the query `rpc` (`GetProduct`) of the module over a broker.
    #[must_use]
    pub fn over_broker(broker: &SharedBroker, module: &str, rpc: &str) -> Self {
        let (broker, module, name) = (broker.clone(), module.to_owned(), rpc.to_owned());
        Self { way: Way::Broker { broker, module, name, resolve: None }, timeout: PATIENCE, types: PhantomData }
    }

    /// Asks the query by its rpc: `/catalogue.v1.Catalogue/GetProduct`.
    #[must_use]
    pub fn over_grpc(connection: &Connection, path: &'static str) -> Self {
        Self { way: Way::Grpc { connection: connection.clone(), path }, timeout: PATIENCE, types: PhantomData }
    }

    /// How long a reply is waited for. Default: 30 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Finds the subject of the query by its name, where a broker's administration maps subjects. Over gRPC there are
    /// none.
    #[must_use]
    pub fn subjects(mut self, resolve: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        if let Way::Broker { resolve: known, .. } = &mut self.way {
            *known = Some(Arc::new(resolve));
        }
        self
    }

    /// The query `request`, to be awaited.
    pub fn ask(&self, request: &Q) -> Question<R, X> {
        Question {
            way: self.way.clone(),
            body: request.encode_to_vec().into(),
            told: Told::default(),
            at_least: None,
            timeout: self.timeout,
            types: PhantomData,
        }
    }
}

impl<R: Message + Default + 'static, X: ErrorEvent> Question<R, X> {
    /// Ties together everything that follows from one request. Default: the service makes one.
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.told.correlation_id = Some(id.into());
        self
    }

    /// On whose behalf. Over gRPC the service's own authentication says so.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.told.actor = Some(actor.into());
        self
    }

    /// The position in the log that the reply must have seen.
    pub fn at_least(mut self, position: u64) -> Self {
        self.at_least = Some(position);
        self
    }

    /// How long the reply is waited for. Default: the invoker's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn send(self) -> Result<R, Error<X>> {
        match self.way.clone() {
            Way::Grpc { connection, path } => self.send_over_grpc(&connection, path).await,
            Way::Broker { broker, module, name, resolve } => {
                let usual = || Subjects::of(&module).query(&name);
                let subject = resolve.map_or_else(usual, |resolve| resolve(&name));
                let question = self.message(subject);
                let deadline = Instant::now() + self.timeout;
                let ask = || broker.request(question.clone(), deadline.saturating_duration_since(Instant::now()));
                let answer = when_reached(deadline, ask).await;
                Ok(read(answer.map_err(|error| failure(&error))?)?)
            }
        }
    }

    async fn send_over_grpc(self, connection: &Connection, path: &'static str) -> Result<R, Error<X>> {
        let mut query = Query::<R, X>::encoded(connection, path, self.body).timeout(self.timeout);
        if let Some(id) = self.told.correlation_id {
            query = query.correlation_id(id);
        }
        if let Some(position) = self.at_least {
            query = query.at_least(position);
        }
        query.await
    }

    fn message(&self, subject: String) -> Sent {
        Sent::new(subject, self.body.clone())
            .header(headers::CORRELATION_ID, self.told.correlation_id.clone().unwrap_or_default())
            .header(headers::ACTOR, self.told.actor.clone().unwrap_or_default())
            .header(headers::AT_LEAST, self.at_least.map(|it| it.to_string()).unwrap_or_default())
            .header(headers::TIMEOUT_MS, self.timeout.as_millis().to_string())
            .header(headers::CONTENT_TYPE, headers::PROTOBUF)
    }
}

impl<R: Message + Default + 'static, X: ErrorEvent> IntoFuture for Question<R, X> {
    type Output = Result<R, Error<X>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// The reply, or why there is none.
fn read<R: Message + Default>(answer: Sent) -> Result<R, Failure> {
    let Some(kind) = answer.get(headers::ERROR_KIND) else {
        return R::decode(answer.payload).map_err(|error| Failure::protocol(format!("cannot read the reply: {error}")));
    };
    let kind = kind_of(kind);
    let correlation_id = answer.get(headers::CORRELATION_ID).map(str::to_owned);
    let error = QueryError::decode(answer.payload)
        .map_err(|error| Failure::protocol(format!("cannot read why the query failed: {error}")))?;
    let mut failure = Failure::new(kind, &error.code, error.message);
    (failure.retryable, failure.correlation_id) = (error.retryable, correlation_id);
    failure.violations = error.violations.into_iter().map(FieldViolation::from).collect();
    Err(failure)
}

fn kind_of(kind: &str) -> FailureKind {
    match kind {
        "invalid" => FailureKind::Invalid,
        "refused" => FailureKind::Refused,
        "conflict" => FailureKind::Conflict,
        "unavailable" => FailureKind::Unavailable,
        _ => FailureKind::Bug,
    }
}
