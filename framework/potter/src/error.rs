//! Why a service doesn't start, or a subcommand doesn't do what it is asked to.

use std::io;
use std::net::SocketAddr;

use potter_core::failure::Failure;
use potter_core::store::StoreError;

/// A service that doesn't start, or doesn't stop as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {source}; set {variable} to another {what}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The variable that changes it.
        variable: &'static str,
        /// What the variable holds.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A database that cannot be opened.
    #[error("cannot open the database DATABASE_DSN={dsn}: {reason}")]
    Database {
        /// Which.
        dsn: String,
        /// Why.
        reason: String,
    },
    /// Read models that cannot be kept where they should be.
    #[error("cannot keep the read models: {reason}")]
    ReadModels {
        /// Why.
        reason: String,
    },
    /// Migrations that cannot be applied, for one.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A module that cannot be started.
    #[error(transparent)]
    Module(#[from] potter_core::dispatch::StartError),
    /// REST routes that contradict the module or each other.
    #[error("the REST routes are not valid: {0}")]
    Routes(String),
    /// A broker that cannot be used.
    #[error("cannot use the broker NATS_URL: {reason}")]
    Broker {
        /// Why.
        reason: String,
    },
    /// A server that ended by itself.
    #[error("{transport} server failed: {reason}")]
    Server {
        /// `HTTP` or `gRPC`, `a` when it isn't known.
        transport: &'static str,
        /// Why.
        reason: String,
    },
    /// The system gives no threads or no signals.
    #[error("cannot start: {0}")]
    System(io::Error),
    /// Requests were still running when the time for stopping was up.
    #[error("not everything ended within {seconds} s; raise SHUTDOWN_TIMEOUT_SECONDS if requests need longer")]
    Unfinished {
        /// How long it waited.
        seconds: u64,
    },
}

#[cfg(feature = "nats")]
impl RunError {
    pub(crate) fn broker(error: impl std::fmt::Display) -> Self {
        Self::Broker { reason: error.to_string() }
    }
}

/// A subcommand that failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TaskError(String);

impl TaskError {
    /// For people; lowercase.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// What another error says.
    pub(crate) fn other(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl From<StoreError> for TaskError {
    fn from(error: StoreError) -> Self {
        Self::other(error)
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        Self(failure.message)
    }
}

impl From<RunError> for TaskError {
    fn from(error: RunError) -> Self {
        Self::other(error)
    }
}

impl From<io::Error> for TaskError {
    fn from(error: io::Error) -> Self {
        Self(format!("cannot print: {error}"))
    }
}
