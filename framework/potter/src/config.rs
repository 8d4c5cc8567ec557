//! Configuration: environment variables, and a file `.env` in the working directory for those that aren't set.
//!
//! [`VARIABLES`] is the whole list; `--help` prints it. A variable that is set to nothing counts as not set.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use potter_core::resilience::Limits;
use potter_core::store::Retention;
use potter_http::{AdminToken, HeaderName};
use tracing_subscriber::EnvFilter;

pub use crate::read_models::{Places, RedisAddress};

use crate::env_file;

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
pub const VARIABLES: &[Variable] = &[
    variable("SERVER_HOST", "0.0.0.0", "address that REST and gRPC listen on"),
    variable("SERVER_PORT", "8080", "port of REST, health and metrics; 0: any free one"),
    variable("GRPC_PORT", "50051", "port of gRPC; 0: any free one"),
    variable(
        "DATABASE_DSN",
        DEFAULT_DATABASE,
        "sqlite://PATH, postgres://USER:PASSWORD@HOST/DATABASE, or memory:// to keep nothing",
    ),
    variable(
        "READ_MODELS_STORE",
        "",
        "where read models are kept: database (beside the events), redis or postgres; or NAME=redis,NAME=postgres",
    ),
    variable("READ_MODELS_DSN", "", "postgres://… of read models that are kept in a PostgreSQL of their own"),
    variable("REDIS_ADDR", "", "HOST:6379 or redis://… of read models that are kept in Redis"),
    variable("DATABASE_TIMEOUT_MS", "5000", "how long a call to postgres or redis may take"),
    variable("DATABASE_ATTEMPTS", "3", "how often a read is tried before the database counts as out of reach"),
    variable("DATABASE_CONCURRENCY", "512", "reads that run at the same time; others wait for their turn"),
    variable("DATABASE_BREAKER_OUTAGES", "5", "after so many outages in a row calls fail at once"),
    variable("DATABASE_BREAKER_MS", "1000", "how long they do before one is let through to try"),
    variable("IDEMPOTENCY_KEPT_HOURS", "48", "how long a repeat under an idempotency key gets the recorded reply"),
    variable(
        "PROCESSED_EVENTS_KEPT_DAYS",
        "30",
        "how long each effect of another module's event is known by itself; how far its stream is, for ever",
    ),
    variable("OUTCOMES_KEPT_DAYS", "7", "how long the outcome of an asynchronous command can be asked for"),
    variable(
        "DEAD_LETTERS_KEPT_DAYS",
        "",
        "how long dead letters are kept; without it until they are replayed or discarded",
    ),
    variable("METRICS_ENABLED", "true", "whether /metrics is served: true or false"),
    variable("LOG_LEVEL", "info", "error, warn, info, debug, trace, off; or by target: info,potter=debug"),
    variable("LOG_FORMAT", "text", "text or json"),
    variable("ACTOR_HEADER", "", "header, or gRPC metadata key, in which a proxy that you trust names the caller"),
    variable(
        "ADMIN_TOKEN",
        "",
        "what callers of /admin must show, 16 characters or more; without it there is no /admin",
    ),
    variable("CORS_ALLOWED_ORIGINS", "", "origins whose pages may call REST, separated by commas; * for all"),
    variable("BODY_LIMIT_BYTES", "2097152", "largest request body that is read"),
    variable("SHUTDOWN_TIMEOUT_SECONDS", "30", "how long a stop may take; half of it is for requests that are running"),
    variable("NATS_URL", "", "nats://HOST:4222, several separated by commas; without it messages stay in the process"),
    variable("NATS_PAYLOAD", "protobuf", "how events and outcomes are written: protobuf or json"),
    variable("BROKER_TIMEOUT_MS", "5000", "how long a call to the broker may take"),
    variable(
        "BROKER_ATTEMPTS",
        "3",
        "how often a message is published in a row before the broker counts as out of reach",
    ),
    variable(
        "BROKER_CONCURRENCY",
        "1024",
        "messages that are on their way at the same time; others wait for their turn",
    ),
    variable("BROKER_BREAKER_OUTAGES", "5", "after so many outages in a row calls fail at once"),
    variable("BROKER_BREAKER_MS", "1000", "how long they do before one is let through to try"),
    variable("KAFKA_BROKERS", "", NOT_YET),
    variable("AMQP_URL", "", NOT_YET),
];

/// What `DATABASE_DSN` is when nobody sets it.
pub(crate) const DEFAULT_DATABASE: &str = "sqlite://data.db";
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

/// Where everything is stored. It is shown without passwords.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// In this process; nothing survives it.
    Memory,
    /// In a SQLite file: the whole DSN.
    Sqlite(String),
    /// In a PostgreSQL database: the whole DSN.
    Postgres(String),
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
        Self::from_env_or(DEFAULT_DATABASE)
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
        Self::read(DEFAULT_DATABASE, lookup)
    }

    fn read(database: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let config = Self {
            host: reader
                .get("SERVER_HOST", "an IP address such as 0.0.0.0", parse)
                .unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            server_port: reader.get("SERVER_PORT", PORT, parse).unwrap_or(8080),
            grpc_port: reader.get("GRPC_PORT", PORT, parse).unwrap_or(50051),
            database: reader.database(database),
            read_models: reader.get("READ_MODELS_STORE", PLACES, parse).unwrap_or_default(),
            read_models_dsn: reader.secret("READ_MODELS_DSN", "postgres://…", read_models_dsn),
            redis_addr: reader.secret("REDIS_ADDR", "HOST:6379 or redis://…", RedisAddress::parse),
            database_limits: reader.limits(&DATABASE_LIMITS, Limits::default()),
            retention: reader.retention(),
            metrics: reader.get("METRICS_ENABLED", "true or false", switch).unwrap_or(true),
            log_level: reader.get("LOG_LEVEL", LEVEL, level).unwrap_or_else(|| "info".to_owned()),
            log_format: reader.get("LOG_FORMAT", "text or json", log_format).unwrap_or(LogFormat::Text),
            actor_header: reader.get("ACTOR_HEADER", "the name of a header, such as x-user", parse),
            admin_token: reader.secret("ADMIN_TOKEN", "16 characters or more", admin_token),
            cors_allowed_origins: reader.get("CORS_ALLOWED_ORIGINS", ORIGINS, origins).unwrap_or_default(),
            body_limit: reader.get("BODY_LIMIT_BYTES", "a number of bytes", parse).unwrap_or(2 * 1024 * 1024),
            shutdown_timeout: Duration::from_secs(
                reader.get("SHUTDOWN_TIMEOUT_SECONDS", "a number of seconds", parse).unwrap_or(30),
            ),
            nats_url: reader.secret("NATS_URL", NATS, nats_url),
            nats_payload: reader.get("NATS_PAYLOAD", "protobuf or json", payload).unwrap_or_default(),
            broker_limits: reader.limits(&BROKER_LIMITS, Limits { concurrency: 1024, ..Limits::default() }),
            unused: reader.unused(),
        };
        reader.finish()?;
        Ok(config)
    }
}

const COUNT: &str = "a number, 1 or more";
const MILLISECONDS: &str = "a number of milliseconds, 1 or more";
const PLACES: &str = "database, redis or postgres, for all or as NAME=redis, separated by commas";
const PORT: &str = "a port number from 0 to 65535";
const NATS: &str = "URLs such as nats://host:4222, separated by commas";
const LEVEL: &str = "error, warn, info, debug, trace or off, or levels by target such as `info,potter=debug`";
const ORIGINS: &str = "`*`, or origins such as `https://shop.example` separated by commas";

/// What the limits of a part are called.
struct LimitNames {
    timeout: &'static str,
    attempts: &'static str,
    outages: &'static str,
    open_for: &'static str,
    concurrency: &'static str,
}

const DATABASE_LIMITS: LimitNames = LimitNames {
    timeout: "DATABASE_TIMEOUT_MS",
    attempts: "DATABASE_ATTEMPTS",
    outages: "DATABASE_BREAKER_OUTAGES",
    open_for: "DATABASE_BREAKER_MS",
    concurrency: "DATABASE_CONCURRENCY",
};

const BROKER_LIMITS: LimitNames = LimitNames {
    timeout: "BROKER_TIMEOUT_MS",
    attempts: "BROKER_ATTEMPTS",
    outages: "BROKER_BREAKER_OUTAGES",
    open_for: "BROKER_BREAKER_MS",
    concurrency: "BROKER_CONCURRENCY",
};

/// Reads variables, and remembers everything that is wrong.
struct Reader<F> {
    lookup: F,
    problems: Vec<Problem>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn raw(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn get<T>(&mut self, name: &str, expected: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let value = self.raw(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problem(format!("{name}={value}"), format!("expected {expected}"));
        }
        parsed
    }

    /// A value that is not shown to anybody.
    fn secret<T>(&mut self, name: &str, expected: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let value = self.raw(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problem(name.to_owned(), format!("expected {expected}"));
        }
        parsed
    }

    fn database(&mut self, default: &str) -> Database {
        let dsn = self.raw("DATABASE_DSN").unwrap_or_else(|| default.to_owned());
        match database(&dsn) {
            Ok(database) => database,
            Err(expected) => {
                self.problem(format!("DATABASE_DSN={}", without_secrets(&dsn)), expected);
                Database::Memory
            }
        }
    }

    fn limits(&mut self, names: &LimitNames, usual: Limits) -> Limits {
        let milliseconds = |value: Option<NonZeroU32>, usual: Duration| {
            value.map_or(usual, |value| Duration::from_millis(value.get().into()))
        };
        let count = |value: Option<NonZeroU32>, usual: usize| {
            value.and_then(|value| usize::try_from(value.get()).ok()).unwrap_or(usual)
        };
        Limits {
            timeout: milliseconds(self.get(names.timeout, MILLISECONDS, parse), usual.timeout),
            attempts: count(self.get(names.attempts, COUNT, parse), usual.attempts),
            outages: self.get(names.outages, COUNT, parse).map_or(usual.outages, NonZeroU32::get),
            open_for: milliseconds(self.get(names.open_for, MILLISECONDS, parse), usual.open_for),
            concurrency: count(self.get(names.concurrency, COUNT, parse), usual.concurrency),
        }
    }

    fn retention(&mut self) -> Retention {
        const HOUR: u32 = 60 * 60;
        let usual = Retention::default();
        let mut kept = |name, unit: u32| {
            let number: Option<NonZeroU32> = self.get(name, COUNT, parse);
            number.map(|number| Duration::from_secs(u64::from(number.get()) * u64::from(unit)))
        };
        Retention {
            claims: kept("IDEMPOTENCY_KEPT_HOURS", HOUR).unwrap_or(usual.claims),
            processed: kept("PROCESSED_EVENTS_KEPT_DAYS", 24 * HOUR).unwrap_or(usual.processed),
            outcomes: kept("OUTCOMES_KEPT_DAYS", 24 * HOUR).unwrap_or(usual.outcomes),
            dead_letters: kept("DEAD_LETTERS_KEPT_DAYS", 24 * HOUR),
        }
    }

    fn unused(&self) -> Vec<&'static str> {
        let not_yet = VARIABLES.iter().filter(|variable| variable.about == NOT_YET);
        not_yet.map(|variable| variable.name).filter(|name| self.raw(name).is_some()).collect()
    }

    fn problem(&mut self, subject: String, expected: String) {
        self.problems.push(Problem { subject, expected });
    }

    fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }
}

fn parse<T: FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

fn admin_token(value: &str) -> Option<AdminToken> {
    (value.chars().count() >= 16).then(|| AdminToken::new(value))
}

fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn level(value: &str) -> Option<String> {
    let filter = value.to_ascii_lowercase();
    let filter = if filter == "warning" { "warn".to_owned() } else { value.to_owned() };
    // A bare word that is no level would be taken for the name of a target, and silence everything else.
    let bare = !filter.contains(['=', ',', '[']);
    let known = filter.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    (known || (!bare && EnvFilter::try_new(&filter).is_ok())).then_some(filter)
}

fn nats_url(value: &str) -> Option<String> {
    let is_url =
        |url: &str| ["nats://", "tls://"].iter().any(|scheme| url.starts_with(scheme) && url.len() > scheme.len());
    value.split(',').all(|url| is_url(url.trim())).then(|| value.to_owned())
}

fn payload(value: &str) -> Option<Payload> {
    match value.to_ascii_lowercase().as_str() {
        "protobuf" => Some(Payload::Protobuf),
        "json" => Some(Payload::Json),
        _ => None,
    }
}

fn log_format(value: &str) -> Option<LogFormat> {
    match value.to_ascii_lowercase().as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn origins(value: &str) -> Option<Vec<String>> {
    let origins: Vec<_> = value.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
    origins.iter().all(|origin| is_origin(origin)).then_some(origins)
}

/// `*`, or scheme and authority without a path.
fn is_origin(origin: &str) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    origin == "*" || authority.is_some_and(|it| !it.is_empty() && !it.contains(['/', '*', ' ']))
}

fn database(dsn: &str) -> Result<Database, String> {
    match dsn.split_once(':').map_or(dsn, |(scheme, _)| scheme) {
        "memory" => Ok(Database::Memory),
        "sqlite" if cfg!(feature = "sqlite") => Ok(Database::Sqlite(dsn.to_owned())),
        "sqlite" => Err("this service was built without the feature `sqlite` of potter".to_owned()),
        "postgres" | "postgresql" => postgres(dsn),
        "mysql" | "mariadb" | "mongodb" | "mongodb+srv" => {
            Err(format!("this version has the stores sqlite, postgres and memory; set DATABASE_DSN={DEFAULT_DATABASE}"))
        }
        _ => Err(format!("expected `sqlite://PATH`, `postgres://…` or `memory://`, for example {DEFAULT_DATABASE}")),
    }
}

fn read_models_dsn(dsn: &str) -> Option<Database> {
    database(dsn).ok().filter(|database| matches!(database, Database::Postgres(_)))
}

#[cfg(feature = "postgres")]
fn postgres(dsn: &str) -> Result<Database, String> {
    potter_postgres::check(dsn)?;
    Ok(Database::Postgres(dsn.to_owned()))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &str) -> Result<Database, String> {
    Err("this service was built without the feature `postgres` of potter".to_owned())
}

/// A DSN without its user and password.
fn without_secrets(dsn: &str) -> String {
    let (place, parameters) = dsn.split_once('?').unwrap_or((dsn, ""));
    let place = match (place.split_once("://"), place.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://…@{place}"),
        _ => place.to_owned(),
    };
    let shown: Vec<_> = parameters.split('&').filter(|it| !it.is_empty() && !it.starts_with("password")).collect();
    if shown.is_empty() { place } else { format!("{place}?{}", shown.join("&")) }
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

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::Sqlite(dsn) => f.write_str(dsn),
            Self::Postgres(dsn) => f.write_str(&without_secrets(dsn)),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Config::from_lookup(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    fn problems(variables: &[(&str, &str)]) -> String {
        read(variables).expect_err("an invalid configuration").to_string()
    }

    #[test]
    fn without_variables_the_listed_defaults_hold() {
        let explicit: Vec<_> = VARIABLES.iter().map(|variable| (variable.name, variable.default)).collect();
        let defaults = read(&[]).expect("defaults");
        assert_eq!(format!("{defaults:?}"), format!("{:?}", read(&explicit).expect("the listed defaults")));
        assert_eq!(defaults.server_port, 8080);
        assert_eq!((&defaults.database_limits, defaults.retention), (&Limits::default(), Retention::default()));
        assert_eq!(defaults.database, Database::Sqlite("sqlite://data.db".to_owned()));
    }

    #[test]
    fn each_part_has_limits_of_its_own() {
        let config = read(&[
            ("BROKER_TIMEOUT_MS", "70"),
            ("BROKER_ATTEMPTS", "7"),
            ("BROKER_BREAKER_OUTAGES", "8"),
            ("BROKER_BREAKER_MS", "90"),
            ("BROKER_CONCURRENCY", "10"),
            ("DATABASE_ATTEMPTS", "2"),
            ("PROCESSED_EVENTS_KEPT_DAYS", "60"),
        ])
        .expect("valid");
        let broker = Limits {
            timeout: Duration::from_millis(70),
            attempts: 7,
            outages: 8,
            open_for: Duration::from_millis(90),
            concurrency: 10,
        };
        assert_eq!(config.broker_limits, broker);
        assert_eq!(config.database_limits, Limits { attempts: 2, ..Limits::default() });
        assert_eq!(config.retention.processed, Duration::from_secs(60 * 24 * 60 * 60));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let text = problems(&[("SERVER_PORT", "70000"), ("METRICS_ENABLED", "maybe"), ("LOG_FORMAT", "xml")]);
        assert_eq!(
            text,
            "the configuration is not valid\n  \
             SERVER_PORT=70000: expected a port number from 0 to 65535\n  \
             METRICS_ENABLED=maybe: expected true or false\n  \
             LOG_FORMAT=xml: expected text or json"
        );
    }

    #[test]
    fn a_variable_set_to_nothing_is_not_set() {
        let config = read(&[("SERVER_PORT", ""), ("NATS_URL", " "), ("DATABASE_DSN", "")]).expect("valid");
        assert_eq!(config.server_port, 8080);
        assert_eq!(config.unused, [""; 0]);
    }

    #[test]
    fn a_token_that_is_too_short_is_refused_and_none_is_shown() {
        let text = problems(&[("ADMIN_TOKEN", "hunter2")]);
        assert!(text.contains("ADMIN_TOKEN: expected 16 characters or more") && !text.contains("hunter2"), "{text}");
        let config = read(&[("ADMIN_TOKEN", "0123456789abcdef")]).expect("long enough");
        assert!(config.admin_token.is_some() && !format!("{config:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn variables_of_later_versions_are_named() {
        let config = read(&[("KAFKA_BROKERS", "localhost:9092"), ("AMQP_URL", "amqp://localhost")]).expect("valid");
        assert_eq!(config.unused, ["KAFKA_BROKERS", "AMQP_URL"]);
    }

    #[test]
    fn the_broker_is_given_by_urls() {
        assert_eq!(read(&[]).expect("valid").nats_url, None);
        let config = read(&[("NATS_URL", "nats://a:4222, tls://b"), ("NATS_PAYLOAD", "JSON")]).expect("valid");
        assert_eq!((config.nats_url.as_deref(), config.nats_payload), (Some("nats://a:4222, tls://b"), Payload::Json));
        let text = problems(&[("NATS_URL", "localhost:4222"), ("NATS_PAYLOAD", "xml")]);
        assert!(text.contains("NATS_URL: expected URLs such as nats://host:4222"), "{text}");
        assert!(text.contains("NATS_PAYLOAD=xml: expected protobuf or json"), "{text}");
    }

    #[test]
    fn a_store_that_this_version_lacks_is_refused_without_showing_the_password() {
        let text = problems(&[("DATABASE_DSN", "mysql://shop:hunter2@db/shop")]);
        assert!(text.contains("set DATABASE_DSN=sqlite://data.db"), "{text}");
        assert!(text.contains("mysql://…@db/shop"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_password_is_never_shown() {
        for dsn in ["postgres://shop:hunter2@db/shop?timeout=5", "postgres://db/shop?user=shop&password=hunter2"] {
            let config = read(&[("DATABASE_DSN", dsn)]).expect("valid");
            let (shown, debug) = (config.database.to_string(), format!("{config:?}"));
            assert!(!shown.contains("hunter2") && !debug.contains("hunter2"), "{shown} {debug}");
            let wrong = problems(&[("DATABASE_DSN", &format!("{dsn}&pool_size=0"))]);
            assert!(wrong.contains("pool_size is a number from 2 to 1000") && !wrong.contains("hunter2"), "{wrong}");
        }
    }

    #[test]
    fn places_of_read_models_are_checked_and_their_passwords_not_shown() {
        let text = problems(&[
            ("READ_MODELS_STORE", "Orders=mysql"),
            ("READ_MODELS_DSN", "sqlite://hunter2.db"),
            ("REDIS_ADDR", "http://:hunter2@redis"),
        ]);
        assert!(text.contains("READ_MODELS_STORE=Orders=mysql: expected database, redis or postgres"), "{text}");
        assert!(text.contains("READ_MODELS_DSN: expected postgres://…"), "{text}");
        assert!(text.contains("REDIS_ADDR: expected HOST:6379 or redis://…") && !text.contains("hunter2"), "{text}");
        let config = read(&[("REDIS_ADDR", "redis://:hunter2@redis:6379/1")]).expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }

    #[test]
    fn a_dsn_that_is_none_is_refused() {
        assert!(
            problems(&[("DATABASE_DSN", "data.db")])
                .contains("expected `sqlite://PATH`, `postgres://…` or `memory://`")
        );
        assert_eq!(read(&[("DATABASE_DSN", "memory://")]).expect("valid").database, Database::Memory);
    }

    #[test]
    fn log_levels_are_words_or_filters() {
        assert_eq!(read(&[("LOG_LEVEL", "DEBUG")]).expect("valid").log_level, "DEBUG");
        assert_eq!(read(&[("LOG_LEVEL", "warning")]).expect("valid").log_level, "warn");
        assert!(read(&[("LOG_LEVEL", "info,potter_core=debug")]).is_ok());
        assert!(problems(&[("LOG_LEVEL", "verbose")]).contains("LOG_LEVEL=verbose"));
        assert!(problems(&[("LOG_LEVEL", "info,potter=loud")]).contains("LOG_LEVEL=info,potter=loud"));
    }

    #[test]
    fn origins_have_no_path() {
        let config = read(&[("CORS_ALLOWED_ORIGINS", "https://a.example, http://localhost:3000")]).expect("valid");
        assert_eq!(config.cors_allowed_origins, ["https://a.example", "http://localhost:3000"]);
        assert!(problems(&[("CORS_ALLOWED_ORIGINS", "https://a.example/")]).contains("CORS_ALLOWED_ORIGINS"));
        assert!(problems(&[("CORS_ALLOWED_ORIGINS", "a.example")]).contains("CORS_ALLOWED_ORIGINS"));
    }

    #[test]
    fn an_env_file_is_read_and_a_missing_one_is_empty() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(".env");
        assert_eq!(read_env_file(&path).expect("no file"), BTreeMap::new());
        std::fs::write(&path, "# ports\nSERVER_PORT=9000\nexport LOG_FORMAT=\"json\"\n").expect("written");
        let variables = read_env_file(&path).expect("a file");
        assert_eq!(variables["SERVER_PORT"], "9000");
        assert_eq!(variables["LOG_FORMAT"], "json");
    }

    #[test]
    fn a_broken_env_file_is_named_without_its_values() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(".env");
        std::fs::write(&path, "TOKEN=\"my secret words\n").expect("written");
        let text = read_env_file(&path).expect_err("broken").to_string();
        assert!(text.contains(".env:1: the closing \" is missing"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
