//! Calls: what they can be told before they are sent by awaiting them.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use prost::Message;
use tonic::Response;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use uuid::Uuid;

use crate::attempt::{self, Outgoing};
use crate::connection::Connection;
use crate::error::{Error, ErrorEvent, Failure};
use crate::metadata;
use crate::pending::{Event, Pending, Ticket};
use crate::retry::Retries;
use crate::status::Failed;

/// A call on its way.
type Sending<T, X> = Pin<Box<dyn Future<Output = Result<T, Error<X>>> + Send>>;

/// What a call is about; it holds nothing of it.
type Types<T> = PhantomData<fn() -> T>;

/// A command that is answered after its execution; awaiting it sends it and gives the reply.
#[must_use = "a command is sent when it is awaited"]
pub struct Command<R, X> {
    call: Call,
    types: Types<(R, X)>,
}

/// A command that is answered as soon as it is stored; awaiting it sends it and gives a [`Pending`] command.
#[must_use = "a command is sent when it is awaited"]
pub struct AsyncCommand<R, E, X> {
    call: Call,
    types: Types<(R, E, X)>,
}

/// A query; awaiting it sends it and gives the reply.
#[must_use = "a query is sent when it is awaited"]
pub struct Query<R, X> {
    call: Call,
    types: Types<(R, X)>,
}

/// A reply with what the service says about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reply<R> {
    /// The reply itself.
    pub message: R,
    /// Identity of the aggregate that the command was sent to.
    pub aggregate_id: Option<String>,
    /// Version of the aggregate after the command: what the next one may expect.
    pub version: Option<u64>,
    /// Place of the command's last event in the log: what a query may ask to have seen ([`Query::at_least`]).
    pub position: Option<u64>,
    /// Whether the reply was recorded by an earlier try with the same idempotency key.
    pub replayed: bool,
    /// Finds the call in the service's logs.
    pub correlation_id: Option<String>,
}

/// What all kinds of calls have in common.
#[derive(Clone, Debug)]
struct Call {
    connection: Connection,
    path: &'static str,
    body: bytes::Bytes,
    repeat: Repeat,
    timeout: Option<Duration>,
    retries: Option<Retries>,
    // Checked when the call is sent, so that building one cannot fail.
    texts: Vec<(&'static str, String)>,
    metadata: MetadataMap,
}

/// Whether a call may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// It changes nothing, or is known by its own id.
    Harmless,
    /// The service deduplicates it by its idempotency key.
    Deduplicated,
    /// It might do the same thing twice.
    Harmful,
}

/// What every kind of call can be told.
macro_rules! common_options {
    () => {
        /// How long it may take, all tries together. Default: the connection's.
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.call.timeout = Some(timeout);
            self
        }

        /// How often and after how long it is tried again. Default: the connection's.
        pub fn retries(mut self, retries: Retries) -> Self {
            self.call.retries = Some(retries);
            self
        }

        /// Ties together everything that follows from one request; default: the service makes one.
        pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
            self.call.set(metadata::CORRELATION_ID, id.into());
            self
        }

        /// Metadata to send along.
        pub fn metadata(mut self, key: MetadataKey<Ascii>, value: MetadataValue<Ascii>) -> Self {
            self.call.metadata.insert(key, value);
            self
        }
    };
}

/// What both kinds of commands can be told.
macro_rules! command_options {
    () => {
        /// The service deduplicates this command by its idempotency key. Said by generated code.
        pub fn idempotent(mut self) -> Self {
            self.call.repeat = Repeat::Deduplicated;
            self
        }

        /// The key by which the service deduplicates the command: sent again with the same key, and be it by another
        /// process, it is executed once. Default: a key of its own for each call. Only an idempotent command heeds it.
        pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
            self.call.set(metadata::IDEMPOTENCY_KEY, key.into());
            self
        }

        /// What directly caused it: the id of an event or of another command. The command's events carry it.
        pub fn caused_by(mut self, id: impl Into<String>) -> Self {
            self.call.set(metadata::CAUSATION_ID, id.into());
            self
        }

        /// The version that the aggregate must have for the command to be executed.
        pub fn expected_version(mut self, version: u64) -> Self {
            self.call.set(metadata::EXPECTED_VERSION, version.to_string());
            self
        }
    };
}

impl<R, X> Command<R, X>
where
    R: Message + Default + 'static,
    X: ErrorEvent,
{
    /// The command `request` to the rpc `path`: `/product.ProductService/UpdateProduct`.
    pub fn new(connection: &Connection, path: &'static str, request: &impl Message) -> Self {
        Self { call: Call::new(connection, path, request, Repeat::Harmful), types: PhantomData }
    }

    common_options!();
    command_options!();

    /// Sends the command; gives the reply with what the service says about it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(self) -> Result<Reply<R>, Error<X>> {
        let response = self.call.send().await.map_err(Failed::into_error)?;
        Ok(Reply::read(response))
    }
}

impl<R, E, X> AsyncCommand<R, E, X>
where
    R: Message + Default + 'static,
    E: Event,
    X: ErrorEvent,
{
    /// The command `request` to the rpc `path`: `/product.ProductService/CreateProduct`.
    pub fn new(connection: &Connection, path: &'static str, request: &impl Message) -> Self {
        Self { call: Call::new(connection, path, request, Repeat::Harmful), types: PhantomData }
    }

    /// The command `id` with the request `body`, encoded already; asynchronous by that, whatever its rpc is.
    #[cfg(feature = "broker")]
    pub(crate) fn with_id(connection: &Connection, path: &'static str, body: bytes::Bytes, id: Uuid) -> Self {
        let mut call = Call::encoded(connection, path, body, Repeat::Harmless);
        call.set(metadata::COMMAND_ID, id.to_string());
        Self { call, types: PhantomData }
    }

    common_options!();
    command_options!();

    /// Sends the command; gives it back as accepted.
    ///
    /// # Errors
    /// See [`Error`]: the command was not accepted, or nobody knows.
    pub async fn send(self) -> Result<Pending<R, E, X>, Error<X>> {
        let connection = self.call.connection.clone();
        let response = self.call.send().await.map_err(Failed::into_error)?;
        let id: Uuid = metadata::read(response.metadata(), metadata::COMMAND_ID)
            .ok_or_else(|| Failure::protocol("the service did not say the id of the accepted command"))?;
        Ok(Pending::new(Reply::read(response), Ticket::resume(&connection, id)))
    }
}

impl<R, X> Query<R, X>
where
    R: Message + Default + 'static,
    X: ErrorEvent,
{
    /// The query `request` to the rpc `path`: `/product.ProductService/GetProduct`.
    pub fn new(connection: &Connection, path: &'static str, request: &impl Message) -> Self {
        Self { call: Call::new(connection, path, request, Repeat::Harmless), types: PhantomData }
    }

    /// The query with the request `body`, encoded already.
    #[cfg(feature = "broker")]
    pub(crate) fn encoded(connection: &Connection, path: &'static str, body: bytes::Bytes) -> Self {
        Self { call: Call::encoded(connection, path, body, Repeat::Harmless), types: PhantomData }
    }

    common_options!();

    /// What it reads must have seen the event at `position` ([`Reply::position`]).
    pub fn at_least(mut self, position: u64) -> Self {
        self.call.set(metadata::AT_LEAST, position.to_string());
        self
    }

    /// Sends the query; gives the reply with what the service says about it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(self) -> Result<Reply<R>, Error<X>> {
        let response = self.call.send().await.map_err(Failed::into_error)?;
        Ok(Reply::read(response))
    }
}

impl<R, X> IntoFuture for Command<R, X>
where
    R: Message + Default + 'static,
    X: ErrorEvent,
{
    type Output = Result<R, Error<X>>;
    type IntoFuture = Sending<R, X>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { Ok(self.send().await?.message) })
    }
}

impl<R, E, X> IntoFuture for AsyncCommand<R, E, X>
where
    R: Message + Default + 'static,
    E: Event,
    X: ErrorEvent,
{
    type Output = Result<Pending<R, E, X>, Error<X>>;
    type IntoFuture = Sending<Pending<R, E, X>, X>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<R, X> IntoFuture for Query<R, X>
where
    R: Message + Default + 'static,
    X: ErrorEvent,
{
    type Output = Result<R, Error<X>>;
    type IntoFuture = Sending<R, X>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { Ok(self.send().await?.message) })
    }
}

impl<R> Reply<R> {
    fn read(response: Response<R>) -> Self {
        let (said, message, _) = response.into_parts();
        Self {
            message,
            aggregate_id: metadata::read(&said, metadata::AGGREGATE_ID),
            version: metadata::read(&said, metadata::VERSION),
            position: metadata::read(&said, metadata::POSITION),
            replayed: said.contains_key(metadata::REPLAYED),
            correlation_id: metadata::read(&said, metadata::CORRELATION_ID),
        }
    }
}

impl Call {
    fn new(connection: &Connection, path: &'static str, request: &impl Message, repeat: Repeat) -> Self {
        Self::encoded(connection, path, request.encode_to_vec().into(), repeat)
    }

    fn encoded(connection: &Connection, path: &'static str, body: bytes::Bytes, repeat: Repeat) -> Self {
        Self {
            connection: connection.clone(),
            path,
            body,
            repeat,
            timeout: None,
            retries: None,
            texts: Vec::new(),
            metadata: connection.settings().metadata.clone(),
        }
    }

    fn set(&mut self, name: &'static str, text: String) {
        self.texts.retain(|(set, _)| *set != name);
        self.texts.push((name, text));
    }

    async fn send<R>(self) -> Result<Response<R>, Failed>
    where
        R: Message + Default + 'static,
    {
        let outgoing = self.outgoing().map_err(Failed::before_sending)?;
        attempt::send(&self.connection, &outgoing).await
    }

    fn outgoing(&self) -> Result<Outgoing, Failure> {
        let settings = self.connection.settings();
        Ok(Outgoing {
            path: self.path,
            body: self.body.clone(),
            metadata: self.all_metadata()?,
            timeout: self.timeout.unwrap_or(settings.timeout),
            retries: self.retries.unwrap_or(settings.retries),
            repeatable: self.repeat != Repeat::Harmful,
        })
    }

    fn all_metadata(&self) -> Result<MetadataMap, Failure> {
        let mut all = self.metadata.clone();
        for (name, text) in &self.texts {
            all.insert(*name, metadata::value(name, text)?);
        }
        if self.repeat == Repeat::Deduplicated && !all.contains_key(metadata::IDEMPOTENCY_KEY) {
            let key = Uuid::now_v7().to_string();
            all.insert(metadata::IDEMPOTENCY_KEY, metadata::value(metadata::IDEMPOTENCY_KEY, &key)?);
        }
        Ok(all)
    }
}

/// `Debug` without bounds on what the call is about.
macro_rules! debug_as_call {
    ($name:ident<$($parameter:ident),+>) => {
        impl<$($parameter),+> fmt::Debug for $name<$($parameter),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("path", &self.call.path).finish_non_exhaustive()
            }
        }
    };
}

debug_as_call!(Command<R, X>);
debug_as_call!(AsyncCommand<R, E, X>);
debug_as_call!(Query<R, X>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::NoErrorEvent;

    fn command() -> Command<(), NoErrorEvent> {
        let connection = Connection::to("http://127.0.0.1:1").expect("a valid address");
        Command::new(&connection, "/product.ProductService/UpdateProduct", &())
    }

    fn metadata_of(command: Command<(), NoErrorEvent>, name: &str) -> Option<String> {
        let outgoing = command.call.outgoing().expect("valid metadata");
        metadata::read(&outgoing.metadata, name)
    }

    #[test]
    fn an_idempotent_command_has_a_key_of_its_own() {
        let first = metadata_of(command().idempotent(), metadata::IDEMPOTENCY_KEY).expect("a key");
        let second = metadata_of(command().idempotent(), metadata::IDEMPOTENCY_KEY).expect("a key");
        assert_ne!(first, second);
        assert_eq!(metadata_of(command(), metadata::IDEMPOTENCY_KEY), None);
    }

    #[test]
    fn the_callers_key_wins() {
        let command = command().idempotent().idempotency_key("first").idempotency_key("order-7");
        assert_eq!(metadata_of(command, metadata::IDEMPOTENCY_KEY).as_deref(), Some("order-7"));
    }

    #[test]
    fn only_an_idempotent_command_may_be_repeated() {
        assert!(!command().idempotency_key("order-7").call.outgoing().expect("valid").repeatable);
        assert!(command().idempotent().call.outgoing().expect("valid").repeatable);
    }

    #[tokio::test]
    async fn a_key_that_metadata_cannot_carry_is_an_invalid_request() {
        let error = command().idempotency_key("order\n7").await.expect_err("an invalid key");
        assert_eq!(error.code(), "INVALID_REQUEST");
        assert!(error.message().contains("idempotency-key"), "{error}");
    }
}
