//! Reaches the server, says how it is, lets go of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectOptions, Event, ServerAddr, jetstream};
use percent_encoding::percent_decode_str;
use potter_broker::{BrokerError, BrokerErrorKind};
use tokio::sync::Mutex;

/// How long the server may take to say that it keeps a message.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// How long a server may take to answer anything else.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long it may take to connect to one server.
const CONNECTS_WITHIN: Duration = Duration::from_secs(2);

/// How often it is tried to find out why there is no connection: each time is one more failed login.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The longest time between two tries to connect: a server that comes back is soon used again.
const RECONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Where JetStream answers.
const JETSTREAM_INFO: &str = "$JS.API.INFO";

pub(crate) struct Connection {
    client: Client,
    jetstream: jetstream::Context,
    servers: Servers,
    closed: AtomicBool,
}

/// Where the servers are, and what they are shown.
struct Servers {
    addresses: Vec<ServerAddr>,
    credentials: Option<Credentials>,
    /// Why a connection wasn't made, and when that was asked.
    refused: Mutex<Option<(Instant, String)>>,
}

#[derive(Clone, PartialEq)]
enum Credentials {
    Password { user: String, password: String },
    Token(String),
}

impl Connection {
    pub(crate) async fn open(urls: &str, name: &str) -> Result<Self, BrokerError> {
        let servers = Servers::parse(urls)?;
        let client = servers
            .options()
            .name(name)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(|attempt| {
                let doubled = Duration::from_millis(25 << attempt.min(6));
                doubled.min(RECONNECT_WITHIN)
            })
            .request_timeout(Some(ANSWERS_WITHIN))
            .event_callback(|event| async move { tell(&event) })
            .connect(servers.addresses.clone())
            .await
            .map_err(|error| BrokerError::new(BrokerErrorKind::Refused, format!("cannot connect to NATS: {error}")))?;
        let jetstream =
            ContextBuilder::new().timeout(ANSWERS_WITHIN).ack_timeout(ACKNOWLEDGED_WITHIN).build(client.clone());
        Ok(Self { client, jetstream, servers, closed: AtomicBool::new(false) })
    }

    /// The client, if its server is in reach: what is sent to none would wait in memory, and be sent when nobody
    /// expects it any more.
    pub(crate) fn client(&self) -> Result<Client, BrokerError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(BrokerError::closed());
        }
        match self.client.connection_state() {
            State::Connected => Ok(self.client.clone()),
            State::Pending | State::Disconnected => {
                Err(BrokerError::new(BrokerErrorKind::Unreachable, "no NATS server is in reach"))
            }
        }
    }

    pub(crate) fn jetstream(&self) -> Result<jetstream::Context, BrokerError> {
        self.client().map(|_| self.jetstream.clone())
    }

    /// Asks JetStream rather than the server, which may be there without it. What it answers differs between versions
    /// in more than this client would read.
    pub(crate) async fn ping(&self) -> Result<(), BrokerError> {
        let unreachable = |error: &dyn std::error::Error| {
            BrokerError::new(BrokerErrorKind::Unreachable, format!("JetStream doesn't answer: {error}"))
        };
        let client = match self.client() {
            Err(error) if error.kind == BrokerErrorKind::Unreachable => return Err(self.servers.why_not(error).await),
            client => client?,
        };
        let answer = client.request(JETSTREAM_INFO, "".into()).await.map_err(|error| unreachable(&error))?;
        match String::from_utf8_lossy(&answer.payload) {
            text if text.contains("\"error\"") => {
                Err(BrokerError::new(BrokerErrorKind::Unreachable, format!("JetStream doesn't work: {text}")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if self.client.connection_state() != State::Connected {
            return;
        }
        if let Err(error) = self.client.drain().await {
            tracing::warn!(%error, "cannot finish what was sent to NATS");
        }
    }
}

impl Servers {
    fn parse(urls: &str) -> Result<Self, BrokerError> {
        let addresses = urls.split(',').map(|url| server(url.trim())).collect::<Result<Vec<_>, _>>()?;
        let mut told = addresses.iter().filter_map(Credentials::of);
        let credentials = told.next();
        if told.any(|other| Some(other) != credentials) {
            let message =
                "the NATS URLs name different users or passwords; all servers of a cluster are shown the same";
            return Err(BrokerError::new(BrokerErrorKind::Refused, message));
        }
        Ok(Self { addresses, credentials, refused: Mutex::default() })
    }

    fn options(&self) -> ConnectOptions {
        let options = ConnectOptions::new().connection_timeout(CONNECTS_WITHIN);
        match self.credentials.clone() {
            None => options,
            Some(Credentials::Password { user, password }) => options.user_and_password(user, password),
            Some(Credentials::Token(token)) => options.token(token),
        }
    }

    /// The client tries on and keeps to itself why it doesn't succeed; one more try tells, now and then.
    async fn why_not(&self, error: BrokerError) -> BrokerError {
        let mut known = self.refused.lock().await;
        if known.as_ref().is_none_or(|(asked, _)| asked.elapsed() >= ASKED_AGAIN_AFTER) {
            let refused = self.options().connect(self.addresses.clone()).await.err();
            *known = refused.map(|reason| (Instant::now(), reason.to_string()));
        }
        match &*known {
            None => error,
            Some((_, reason)) => BrokerError::new(error.kind, format!("{error}: {reason}")),
        }
    }
}

impl Credentials {
    /// What an URL says before the `@`; a single word is a token, as everywhere with NATS.
    fn of(address: &ServerAddr) -> Option<Self> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = address.username().map(decoded)?;
        Some(match address.password() {
            Some(password) => Self::Password { user, password: decoded(password) },
            None => Self::Token(user),
        })
    }
}

fn server(url: &str) -> Result<ServerAddr, BrokerError> {
    url.parse().map_err(|error| {
        let url = url.rsplit_once('@').map_or(url, |(_, place)| place);
        BrokerError::new(BrokerErrorKind::Refused, format!("`{url}` is no NATS URL such as nats://host:4222: {error}"))
    })
}

/// Says in the log when a server is found and when it is lost.
fn tell(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("the connection to NATS is lost; trying to get it back"),
        Event::SlowConsumer(id) => tracing::warn!(subscription = id, "messages come faster than they are taken in"),
        Event::ServerError(error) => tracing::warn!(%error, "NATS reports an error"),
        Event::ClientError(error) => tracing::debug!(%error, "NATS"),
        other => tracing::debug!(event = %other, "NATS"),
    }
}
