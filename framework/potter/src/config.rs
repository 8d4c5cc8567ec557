//! Configuration: environment variables, and a file `.env` in the working directory for those that aren't set.
//!
//! [`variables`] is the whole list; `--help` prints it, and so does `docs/reference/configuration.md`. A variable that is
//! set to nothing counts as not set. Each room has its own variables and how they are read: `server` (transports and
//! `/admin`), `database`, `read_models`, `broker`, `logging`; `reader` looks them up and collects what is wrong.

mod broker;
pub(crate) mod database;
mod logging;
mod read_models;
mod reader;
mod server;

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use potter_core::resilience::Limits;
use potter_core::retries::Retries;
use potter_core::store::Retention;
use potter_http::{AdminToken, HeaderName};

pub use self::database::Database;
use self::reader::Reader;
use crate::env_file;
pub use crate::read_models::{Places, RedisAddress};

/// An environment variable that every service understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds when it isn't set; empty: nothing.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// Every variable, in the order in which `--help` lists them.
pub fn variables() -> impl Iterator<Item = Variable> {
    let rooms =
        [server::VARIABLES, database::VARIABLES, read_models::VARIABLES, logging::VARIABLES, broker::VARIABLES, LATER];
    rooms.into_iter().flatten().copied()
}

/// Of adapters that this version doesn't have.
const LATER: &[Variable] = &[variable("KAFKA_BROKERS", "", NOT_YET), variable("AMQP_URL", "", NOT_YET)];
const NOT_YET: &str = "not used by this version";

const fn variable(name: &'static str, default: &'static str, about: &'static str) -> Variable {
    Variable { name, default, about }
}

/// The configuration of a service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// `SERVER_HOST`
    pub host: IpAddr,
    /// `SERVER_PORT`
    pub server_port: u16,
    /// `GRPC_PORT`
    pub grpc_port: u16,
    /// `DATABASE_DSN`
    pub database: Database,
    /// `READ_MODELS_STORE`
    pub read_models: Places,
    /// `READ_MODELS_DSN`
    pub read_models_dsn: Option<Database>,
    /// `REDIS_ADDR`
    pub redis_addr: Option<RedisAddress>,
    /// `PROJECTION_BATCH`; without it the module says.
    pub projection_batch: Option<NonZeroUsize>,
    /// `DATABASE_TIMEOUT_MS`, `DATABASE_ATTEMPTS`, `DATABASE_CONCURRENCY`, `DATABASE_BREAKER_OUTAGES` and
    /// `DATABASE_BREAKER_MS`: what a database that may be out of reach is given.
    pub database_limits: Limits,
    /// `IDEMPOTENCY_KEPT_HOURS`, `PROCESSED_EVENTS_KEPT_DAYS`, `OUTCOMES_KEPT_DAYS`, `DEAD_LETTERS_KEPT_DAYS`
    pub retention: Retention,
    /// `METRICS_ENABLED`
    pub metrics: bool,
    /// `LOG_LEVEL`, a valid filter.
    pub log_level: String,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
    /// `ACTOR_HEADER`; without it callers are not told apart.
    pub actor_header: Option<HeaderName>,
    /// `ADMIN_TOKEN`; without it there is no admin API.
    pub admin_token: Option<AdminToken>,
    /// `CORS_ALLOWED_ORIGINS`
    pub cors_allowed_origins: Vec<String>,
    /// `BODY_LIMIT_BYTES`
    pub body_limit: usize,
    /// `RETRY_DELAYS_MS`; without it the service's options say.
    pub retries: Option<Retries>,
    /// `SHUTDOWN_TIMEOUT_SECONDS`
    pub shutdown_timeout: Duration,
    /// `NATS_URL`; without it messages stay in the process.
    pub nats_url: Option<String>,
    /// `NATS_PAYLOAD`
    pub nats_payload: Payload,
    /// `BROKER_TIMEOUT_MS`, `BROKER_ATTEMPTS`, `BROKER_CONCURRENCY`, `BROKER_BREAKER_OUTAGES` and `BROKER_BREAKER_MS`: what
    /// the broker is given. What it doesn't take is offered again, without end.
    pub broker_limits: Limits,
    /// Variables that are set, and that this version doesn't use.
    pub unused: Vec<&'static str>,
}

/// How the payloads of events and outcomes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// Protobuf bytes.
    #[default]
    Protobuf,
    /// Canonical proto3 JSON.
    Json,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    subject: String,
    expected: String,
}

impl Config {
    /// Reads the environment, and the file `.env` in the working directory for what isn't set there.
    ///
    /// # Errors
    /// Variables have values that they cannot have, or `.env` cannot be read: all of it in one error.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_env_or(database::DEFAULT)
    }

    /// Reads the environment as [`Config::from_env`] does; without `DATABASE_DSN`, `database` is the database.
    ///
    /// # Errors
    /// See [`Config::from_env`].
    pub(crate) fn from_env_or(database: &str) -> Result<Self, ConfigError> {
        let file = read_env_file(Path::new(".env"))?;
        Self::read(database, |name| match std::env::var(name) {
            Ok(value) => Some(value),
            Err(std::env::VarError::NotPresent) => file.get(name).cloned(),
            // Not UTF-8: shown as well as it can be, and refused by whatever the variable must be.
            Err(std::env::VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
        })
    }

    /// Reads the configuration from the variables that `lookup` knows.
    ///
    /// ```
    /// # use potter::config::Config;
    /// let config = Config::from_lookup(|name| (name == "SERVER_PORT").then(|| "0".to_owned()))?;
    /// assert_eq!(config.server_port, 0);
    /// assert_eq!(config.grpc_port, 50051);
    /// # Ok::<(), potter::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// Variables have values that they cannot have: all of them in one error.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::read(database::DEFAULT, lookup)
    }

    fn read(database: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(&lookup);
        let config = Self {
            host: reader.host(),
            server_port: reader.server_port(),
            grpc_port: reader.grpc_port(),
            database: reader.database(database),
            read_models: reader.read_models(),
            read_models_dsn: reader.read_models_dsn(),
            redis_addr: reader.redis_addr(),
            projection_batch: reader.projection_batch(),
            database_limits: reader.database_limits(),
            retention: reader.retention(),
            metrics: reader.metrics(),
            log_level: reader.log_level(),
            log_format: reader.log_format(),
            actor_header: reader.actor_header(),
            admin_token: reader.admin_token(),
            cors_allowed_origins: reader.cors_allowed_origins(),
            body_limit: reader.body_limit(),
            retries: reader.retries(),
            shutdown_timeout: reader.shutdown_timeout(),
            nats_url: reader.nats_url(),
            nats_payload: reader.nats_payload(),
            broker_limits: reader.broker_limits(),
            unused: unused(&reader),
        };
        reader.finish()?;
        Ok(config)
    }
}

fn unused(reader: &Reader<'_>) -> Vec<&'static str> {
    LATER.iter().map(|variable| variable.name).filter(|name| reader.raw(name).is_some()).collect()
}

/// The variables of an `.env` file; none if there is no such file.
fn read_env_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let subject = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            let problem = Problem { subject: subject.to_string(), expected: format!("cannot be read: {error}") };
            return Err(ConfigError { problems: vec![problem] });
        }
    };
    env_file::parse(&text).map_err(|bad| ConfigError {
        problems: bad
            .into_iter()
            .map(|line| Problem { subject: format!("{subject}:{}", line.number), expected: line.expected.to_owned() })
            .collect(),
    })
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not valid")?;
        for Problem { subject, expected } in &self.problems {
            write!(f, "\n  {subject}: {expected}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
