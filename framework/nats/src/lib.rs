//! Messages over NATS: channels are JetStream streams on disk, consumers are durable pull consumers, questions are
//! NATS requests.
//!
//! `connection` reaches the server and says how it is; `convert` puts messages and errors into each other's words;
//! `consumer` is what durable consumers pull.
//!
//! The server may come later than whoever connects, and may go away: everything fails fast meanwhile and works again
//! when it is back. Any server with JetStream will do, from 2.9 on.

mod connection;
mod consumer;
mod convert;

use std::time::Duration;

use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::StreamExt;
use potter_broker::{
    Broker, BrokerError, BrokerErrorKind, Call, Calls, Channel, Consumer, Deliveries, Keeps, Message, Messages, Respond,
};

use crate::connection::Connection;
use crate::convert::{headers_of, message_of, publish_failure, request_failure, subject_of};

/// A NATS server with JetStream, or a cluster of them.
pub struct NatsBroker {
    connection: Connection,
}

impl NatsBroker {
    /// Begins to connect to one of `urls`, separated by commas: `nats://user:password@a:4222,nats://b:4222`.
    ///
    /// Answers at once; whether a server is in reach, [`Broker::ping`] tells. `name` is what the server's operators
    /// see. With `tls://` the server's certificate is checked against those of the operating system.
    ///
    /// # Errors
    /// A URL isn't one; the error says which.
    pub async fn connect(urls: &str, name: &str) -> Result<Self, BrokerError> {
        Ok(Self { connection: Connection::open(urls, name).await? })
    }
}

impl Broker for NatsBroker {
    fn declare(&self, channel: Channel) -> BoxFuture<'_, Result<(), BrokerError>> {
        async move {
            let name = channel.name.clone();
            let declared = self.connection.jetstream()?.create_or_update_stream(stream_config(channel)).await;
            declared.map(|_| ()).map_err(|error| {
                let refused =
                    matches!(error.kind(), async_nats::jetstream::context::CreateStreamErrorKind::JetStream(_));
                let kind = if refused { BrokerErrorKind::Refused } else { BrokerErrorKind::Unreachable };
                BrokerError::new(kind, format!("cannot make the stream `{name}`: {error}"))
            })
        }
        .boxed()
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
        async move {
            let jetstream = self.connection.jetstream()?;
            let subject = subject_of(&message.subject)?;
            let headers = headers_of(&message);
            let failed = |error| publish_failure(&message.subject, &error);
            let sent = jetstream.publish_with_headers(subject, headers, message.payload.clone()).await;
            sent.map_err(failed)?.await.map(|_| ()).map_err(failed)
        }
        .boxed()
    }

    fn consume(&self, consumer: Consumer) -> BoxFuture<'_, Result<Deliveries, BrokerError>> {
        async move { consumer::consume(self.connection.jetstream()?, consumer).await }.boxed()
    }

    fn backlog(&self, consumer: Consumer) -> BoxFuture<'_, Result<u64, BrokerError>> {
        async move { consumer::backlog(&self.connection.jetstream()?, &consumer).await }.boxed()
    }

    fn listen(&self, pattern: String) -> BoxFuture<'_, Result<Messages, BrokerError>> {
        async move {
            let client = self.connection.client()?;
            let heard = client.subscribe(pattern.clone()).await.map_err(|error| not_heard(&pattern, &error))?;
            // The server knows of it when it has answered.
            client.flush().await.map_err(|error| not_heard(&pattern, &error))?;
            Ok(heard.map(message_of).boxed())
        }
        .boxed()
    }

    fn serve(&self, pattern: String, group: String) -> BoxFuture<'_, Result<Calls, BrokerError>> {
        async move {
            let client = self.connection.client()?;
            let asked = client.queue_subscribe(pattern.clone(), group).await;
            let asked = asked.map_err(|error| not_heard(&pattern, &error))?;
            client.flush().await.map_err(|error| not_heard(&pattern, &error))?;
            let calls = asked.filter_map(move |message| {
                let client = client.clone();
                async move {
                    let reply = Reply { client, to: message.reply.clone()? };
                    Some(Call { message: message_of(message), reply: Box::new(reply) })
                }
            });
            Ok(calls.boxed())
        }
        .boxed()
    }

    fn request(&self, message: Message, patience: Duration) -> BoxFuture<'_, Result<Message, BrokerError>> {
        async move {
            let client = self.connection.client()?;
            let subject = subject_of(&message.subject)?;
            let request = async_nats::Request::new()
                .headers(headers_of(&message))
                .payload(message.payload.clone())
                .timeout(Some(patience));
            let answer = client.send_request(subject, request).await;
            answer.map(message_of).map_err(|error| request_failure(&message.subject, &error))
        }
        .boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.connection.ping().boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.connection.close().boxed()
    }
}

fn stream_config(channel: Channel) -> Config {
    let (retention, max_age) = match channel.keeps {
        Keeps::For(time) => (RetentionPolicy::Limits, time),
        Keeps::UntilAcknowledged => (RetentionPolicy::WorkQueue, Duration::ZERO),
    };
    Config {
        name: channel.name,
        subjects: channel.subjects,
        retention,
        max_age,
        storage: StorageType::File,
        duplicate_window: channel.repeats_within,
        ..Config::default()
    }
}

fn not_heard(pattern: &str, error: &dyn std::error::Error) -> BrokerError {
    BrokerError::new(BrokerErrorKind::Unreachable, format!("cannot subscribe to `{pattern}`: {error}"))
}

/// Where a question is answered.
struct Reply {
    client: async_nats::Client,
    to: async_nats::Subject,
}

impl Respond for Reply {
    fn respond(self: Box<Self>, answer: Message) -> BoxFuture<'static, Result<(), BrokerError>> {
        async move {
            let sent = self.client.publish_with_headers(self.to, headers_of(&answer), answer.payload).await;
            sent.map_err(|error| BrokerError::new(BrokerErrorKind::Unreachable, format!("cannot answer: {error}")))
        }
        .boxed()
    }
}
