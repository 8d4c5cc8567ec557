//! Where calls go.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Uri;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::retry::Retries;

const EXPECTED: &str = "expected `http://host:port` or `https://host:port`";

/// A connection to a service, made with the first call and made again whenever it breaks.
///
/// Cheap to clone; clones share the connection. Calls from many tasks share it too.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    address: String,
    endpoint: Option<Endpoint>,
    // Made with the first call: tonic needs a runtime for it, `Connection::to` doesn't.
    channel: OnceLock<Channel>,
    settings: Settings,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) outcome_timeout: Duration,
    pub(crate) retries: Retries,
    pub(crate) metadata: MetadataMap,
    pub(crate) largest_reply: usize,
}

/// What a [`Connection`] is made of; begun with [`Connection::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConnectionBuilder {
    address: String,
    connect_timeout: Duration,
    settings: Settings,
}

/// An address that no service can be reached at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid address `{address}`: {reason}")]
pub struct InvalidAddress {
    /// As given.
    pub address: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Connection {
    /// A connection to `address`, `http://127.0.0.1:50051` for one, with default settings.
    ///
    /// # Errors
    /// `address` isn't an `http://` or (with the feature `tls`) `https://` address.
    pub fn to(address: impl Into<String>) -> Result<Self, InvalidAddress> {
        Self::builder(address).build()
    }

    /// A connection to `address` with settings of its own.
    pub fn builder(address: impl Into<String>) -> ConnectionBuilder {
        ConnectionBuilder {
            address: address.into(),
            connect_timeout: Duration::from_secs(5),
            settings: Settings::default(),
        }
    }

    /// A connection over a channel that was made elsewhere, for transports that need more than an address.
    #[must_use]
    pub fn over(channel: Channel) -> Self {
        Self(Arc::new(Shared {
            address: "the service".to_owned(),
            endpoint: None,
            channel: OnceLock::from(channel),
            settings: Settings::default(),
        }))
    }

    /// Where it goes, as given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn channel(&self) -> Channel {
        let connect = || self.0.endpoint.as_ref().expect("a connection has a channel or an endpoint").connect_lazy();
        self.0.channel.get_or_init(connect).clone()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.0.address).finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            outcome_timeout: Duration::from_secs(60),
            retries: Retries::default(),
            metadata: MetadataMap::new(),
            largest_reply: 64 * 1024 * 1024,
        }
    }
}

impl ConnectionBuilder {
    /// How long a call may take, all tries together, unless it says otherwise itself. Default 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How long to wait for a connection. Default 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long to wait for the outcome of an asynchronous command. Default 60 s.
    pub fn outcome_timeout(mut self, timeout: Duration) -> Self {
        self.settings.outcome_timeout = timeout;
        self
    }

    /// How often and after how long failed calls are tried again.
    pub fn retries(mut self, retries: Retries) -> Self {
        self.settings.retries = retries;
        self
    }

    /// Metadata that every call carries, `authorization` for one.
    pub fn metadata(mut self, key: MetadataKey<Ascii>, value: MetadataValue<Ascii>) -> Self {
        self.settings.metadata.insert(key, value);
        self
    }

    /// The largest reply that is read, in bytes. Default 64 MiB.
    pub fn largest_reply(mut self, bytes: usize) -> Self {
        self.settings.largest_reply = bytes;
        self
    }

    /// The connection; nothing is sent yet.
    ///
    /// # Errors
    /// The address isn't an `http://` or (with the feature `tls`) `https://` address.
    pub fn build(self) -> Result<Connection, InvalidAddress> {
        let endpoint = self.endpoint().map_err(|reason| InvalidAddress { address: self.address.clone(), reason })?;
        Ok(Connection(Arc::new(Shared {
            address: self.address,
            endpoint: Some(endpoint),
            channel: OnceLock::new(),
            settings: self.settings,
        })))
    }

    fn endpoint(&self) -> Result<Endpoint, String> {
        let uri: Uri = self.address.parse().map_err(|error: http::uri::InvalidUri| format!("{error}; {EXPECTED}"))?;
        let endpoint = Endpoint::from(uri.clone())
            .user_agent(concat!("potter-client/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| error.to_string())?
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            // A connection that is silently gone is noticed while a call waits on it.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5));
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(_)) => Ok(endpoint),
            (Some("https"), Some(_)) => with_tls(endpoint),
            _ => Err(EXPECTED.to_owned()),
        }
    }
}

#[cfg(feature = "tls")]
fn with_tls(endpoint: Endpoint) -> Result<Endpoint, String> {
    let config = tonic::transport::ClientTlsConfig::new().with_enabled_roots();
    endpoint.tls_config(config).map_err(|error| error.to_string())
}

#[cfg(not(feature = "tls"))]
fn with_tls(_endpoint: Endpoint) -> Result<Endpoint, String> {
    Err("`https://` needs the feature `tls` of potter-client".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(address: &str) -> String {
        Connection::to(address).expect_err("an invalid address").reason
    }

    #[test]
    fn an_address_needs_no_runtime_and_is_kept() {
        let connection = Connection::to("http://127.0.0.1:50051").expect("a valid address");
        assert_eq!(connection.address(), "http://127.0.0.1:50051");
    }

    #[test]
    fn an_address_without_a_scheme_is_refused() {
        assert!(reason("127.0.0.1:50051").contains("http://host:port"));
        assert!(reason("localhost").contains("http://host:port"));
        assert!(reason("unix:///run/shop.sock").contains("http://host:port"));
    }

    #[test]
    fn an_address_that_is_no_uri_is_refused() {
        let error = Connection::to("http://shop :50051").expect_err("an invalid address");
        assert!(error.to_string().starts_with("invalid address `http://shop :50051`: "), "{error}");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn https_without_tls_names_the_feature() {
        assert!(reason("https://shop:443").contains("feature `tls`"));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn https_is_an_address_with_tls() {
        Connection::to("https://shop:443").expect("a valid address");
    }
}
