//! Where the database is: `DATABASE_DSN` as people write it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::OpenError;

/// Connections that read, project or administrate at the same time, unless the DSN says otherwise.
const CONNECTIONS: usize = 8;

/// How long the server may take for an answer, unless the DSN says otherwise.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take to connect, unless the DSN says otherwise.
const CONNECTING: Duration = Duration::from_secs(1);

/// After that long without a word the system asks whether the server's machine is still there: one that has lost its
/// power never says that a connection is over.
const SILENCE: Duration = Duration::from_secs(15);

/// A database's place, and how to talk to it.
#[derive(Clone)]
pub(crate) struct Dsn {
    /// For the driver.
    pub(crate) config: Config,
    /// How the server proves who it is.
    pub(crate) trust: Trust,
    /// Connections in the pool at most.
    pub(crate) connections: usize,
    /// How long callers wait for the server: beyond that it counts as away.
    pub(crate) patience: Duration,
    described: String,
}

/// How the server proves who it is, once the connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Not at all: `sslmode` up to `require`.
    Anybody,
    /// By a certificate that one of these authorities has signed, for whatever host: `verify-ca`.
    Authority(Roots),
    /// By such a certificate for this very host: `verify-full`.
    Host(Roots),
}

/// The authorities that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Those of the system.
    System,
    /// Those in a PEM file: `sslrootcert`.
    File(PathBuf),
}

impl Dsn {
    /// Reads `postgres://user:password@host:5432/database?parameters`.
    pub(crate) fn parse(dsn: &str) -> Result<Self, OpenError> {
        let described = describe(dsn);
        let refused = |reason: String| OpenError::Dsn { dsn: described.clone(), reason };
        if !dsn.starts_with("postgres://") && !dsn.starts_with("postgresql://") {
            return Err(refused("it must begin with `postgres://`".to_owned()));
        }
        let (place, parameters) = dsn.split_once('?').unwrap_or((dsn, ""));
        let mut own = Parameters::split(parameters).map_err(&refused)?;
        let mut config = Config::from_str(&own.for_driver(place)).map_err(|error| refused(reason(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(refused("it names no host; write `postgres://user@host/database`".to_owned()));
        }
        if config.get_dbname().is_none() {
            return Err(refused("it names no database; write `postgres://user@host/database`".to_owned()));
        }
        let (mode, trust) = own.tls().map_err(&refused)?;
        config.ssl_mode(mode);
        if !own.others.iter().any(|parameter| parameter.starts_with("keepalives_idle=")) {
            config.keepalives_idle(SILENCE);
        }
        config.keepalives_interval(SILENCE / 3).keepalives_retries(3).tcp_user_timeout(2 * SILENCE);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECTING);
        }
        if config.get_application_name().is_none() {
            config.application_name("potter");
        }
        let connections = own.number("pool_size", "a number from 2 to 1000", 2, 1000).map_err(&refused)?;
        let patience = own.number("timeout", "a number of seconds from 1 to 3600", 1, 3600).map_err(&refused)?;
        Ok(Self {
            config,
            trust,
            connections: connections.map_or(CONNECTIONS, |number| number as usize),
            patience: patience.map_or(PATIENCE, Duration::from_secs),
            described,
        })
    }
}

/// The DSN as people are shown it, without its password.
impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.described)
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dsn").field(&self.described).finish()
    }
}

/// A DSN without passwords: neither the one before the `@` nor one among the parameters.
fn describe(dsn: &str) -> String {
    let (place, parameters) = dsn.split_once('?').unwrap_or((dsn, ""));
    let place = match (place.split_once("://"), place.rsplit_once('@')) {
        (Some((scheme, rest)), Some((_, host))) => {
            let user = rest.split([':', '@']).next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        _ => place.to_owned(),
    };
    let shown: Vec<&str> = parameters.split('&').filter(|it| !it.is_empty() && !it.starts_with("password")).collect();
    if shown.is_empty() { place } else { format!("{place}?{}", shown.join("&")) }
}

/// What stands behind the question mark.
struct Parameters {
    /// What Potter reads itself.
    own: BTreeMap<&'static str, String>,
    /// What the driver reads.
    others: Vec<String>,
}

const OWN: [&str; 4] = ["pool_size", "sslmode", "sslrootcert", "timeout"];

/// What the driver understands of libpq's parameters.
const OF_THE_DRIVER: [&str; 13] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "keepalives",
    "keepalives_idle",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "target_session_attrs",
    "user",
];

impl Parameters {
    fn split(text: &str) -> Result<Self, String> {
        let mut parameters = Self { own: BTreeMap::new(), others: Vec::new() };
        for parameter in text.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if let Some(own) = OWN.iter().find(|own| **own == name) {
                parameters.own.insert(own, value.to_owned());
            } else if OF_THE_DRIVER.contains(&name) {
                parameters.others.push(parameter.to_owned());
            } else {
                let known = [&OWN[..], &OF_THE_DRIVER].concat().join("`, `");
                return Err(format!("unknown parameter `{name}`; there are `{known}`"));
            }
        }
        Ok(parameters)
    }

    fn for_driver(&self, place: &str) -> String {
        if self.others.is_empty() { place.to_owned() } else { format!("{place}?{}", self.others.join("&")) }
    }

    /// As libpq takes `sslmode`; without it, encrypted if the server can.
    fn tls(&mut self) -> Result<(SslMode, Trust), String> {
        let roots = self.own.remove("sslrootcert");
        let roots = roots.filter(|path| path != "system").map_or(Roots::System, |path| Roots::File(path.into()));
        Ok(match self.own.remove("sslmode").as_deref() {
            Some("disable") => (SslMode::Disable, Trust::Anybody),
            None | Some("prefer") => (SslMode::Prefer, Trust::Anybody),
            Some("require") => (SslMode::Require, Trust::Anybody),
            Some("verify-ca") => (SslMode::Require, Trust::Authority(roots)),
            Some("verify-full") => (SslMode::Require, Trust::Host(roots)),
            Some(other) => {
                let known = "`disable`, `prefer`, `require`, `verify-ca` or `verify-full`";
                return Err(format!("sslmode is {known}, not `{other}`"));
            }
        })
    }

    fn number(&mut self, name: &str, expected: &str, least: u64, most: u64) -> Result<Option<u64>, String> {
        let Some(text) = self.own.remove(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or_else(|| format!("{name} is {expected}, not `{text}`"))
    }
}

/// The driver says "invalid configuration" and keeps what it means one level below.
fn reason(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_usual() {
        let dsn = Dsn::parse("postgres://shop:secret@db.example:6432/shop?sslmode=disable&timeout=5").expect("valid");
        assert_eq!(dsn.config.get_user(), Some("shop"));
        assert_eq!(dsn.config.get_ports(), [6432]);
        assert_eq!(dsn.config.get_ssl_mode(), SslMode::Disable);
        assert_eq!((dsn.patience, dsn.connections), (Duration::from_secs(5), CONNECTIONS));
        let dsn = Dsn::parse("postgresql://shop@db/shop").expect("valid");
        assert_eq!((dsn.config.get_ssl_mode(), dsn.trust), (SslMode::Prefer, Trust::Anybody));
    }

    #[test]
    fn reads_every_way_to_trust() {
        for (parameters, mode, trust) in [
            ("sslmode=require", SslMode::Require, Trust::Anybody),
            ("sslmode=verify-ca&sslrootcert=ca.pem", SslMode::Require, Trust::Authority(Roots::File("ca.pem".into()))),
            ("sslmode=verify-full", SslMode::Require, Trust::Host(Roots::System)),
            ("sslmode=verify-full&sslrootcert=system", SslMode::Require, Trust::Host(Roots::System)),
        ] {
            let dsn = Dsn::parse(&format!("postgres://u@h/d?{parameters}")).expect(parameters);
            assert_eq!((dsn.config.get_ssl_mode(), dsn.trust), (mode, trust), "{parameters}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_shows_no_password() {
        for (dsn, part) in [
            ("mysql://shop:hunter2@db/shop", "must begin with `postgres://`"),
            ("postgres://shop:hunter2@db", "names no database"),
            ("postgres:///shop?password=hunter2", "names no host"),
            ("postgres://shop:hunter2@db:port/shop", "port"),
            ("postgres://shop:hunter2@db/shop?sslmode=verify", "sslmode is"),
            ("postgres://shop:hunter2@db/shop?pool=3", "unknown parameter `pool`"),
            ("postgres://shop:hunter2@db/shop?pool_size=1", "pool_size is a number from 2 to 1000"),
            ("postgres://shop:hunter2@db/shop?timeout=2s", "timeout is a number of seconds"),
        ] {
            let error = Dsn::parse(dsn).expect_err(dsn).to_string();
            assert!(error.contains(part), "{dsn}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn is_shown_with_its_user_and_without_its_password() {
        for (dsn, shown) in [
            ("postgres://shop:p@ss@db:5432/shop", "postgres://shop@db:5432/shop"),
            ("postgres://db/shop?user=a&password=b&timeout=1", "postgres://db/shop?user=a&timeout=1"),
            ("postgres://db/shop", "postgres://db/shop"),
        ] {
            assert_eq!(describe(dsn), shown);
        }
        let debug = format!("{:?}", Dsn::parse("postgres://shop:hunter2@db/shop").expect("valid"));
        assert!(!debug.contains("hunter2"), "{debug}");
    }
}
