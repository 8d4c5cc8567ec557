//! Where read models are kept: in the database of the events, or elsewhere, as annotation and configuration say.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use potter_core::module::Module;
use potter_core::read_model::{KeptIn, Table};
use potter_core::resilience::Guard;
use potter_core::store::{Elsewhere, Layered, Routed, SharedReadModels, SharedStore};

use crate::config::{Config, Database};
use crate::error::RunError;

/// Where read models are kept, as `READ_MODELS_STORE` says: `redis`, or `Orders=redis,Products=database`, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Of all that aren't named.
    all: Option<KeptIn>,
    named: BTreeMap<String, KeptIn>,
}

impl Places {
    /// What is said of a read model.
    fn of(&self, read_model: &str) -> Option<KeptIn> {
        self.named.get(read_model).copied().or(self.all)
    }
}

impl FromStr for Places {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut places = Self::default();
        for part in text.split(',').map(str::trim) {
            let place = |word: &str| KeptIn::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(word)).ok_or(());
            match part.split_once('=') {
                Some((name, word)) => drop(places.named.insert(name.trim().to_owned(), place(word.trim())?)),
                None => places.all = Some(place(part)?),
            }
        }
        Ok(places)
    }
}

/// A `REDIS_ADDR`; it is not shown, because it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress(String);

impl RedisAddress {
    pub(crate) fn parse(address: &str) -> Option<Self> {
        is_redis_address(address).then(|| Self(address.to_owned()))
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisAddress(…)")
    }
}

#[cfg(feature = "redis")]
fn is_redis_address(address: &str) -> bool {
    potter_redis::check(address).is_ok()
}

#[cfg(not(feature = "redis"))]
fn is_redis_address(_: &str) -> bool {
    true
}

/// Who says where a read model is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Whoever runs the service: it must be possible.
    ByConfiguration,
    /// The proto: it holds where there is such a place, so that a service runs before it is configured.
    ByAnnotation,
}

/// `store`, with the read models that are kept elsewhere there.
pub(crate) fn route(store: SharedStore, module: &Module, config: &Config) -> Result<SharedStore, RunError> {
    if let Some(unknown) = config.read_models.named.keys().find(|name| !module.read_models().any(|it| it == *name)) {
        let known: Vec<_> = module.read_models().collect();
        let reason = format!("there is no read model `{unknown}`; there are {}", known.join(", "));
        return Err(RunError::ReadModels { reason });
    }
    let mut elsewhere: BTreeMap<KeptIn, Vec<(&'static str, Table)>> = BTreeMap::new();
    for (name, table, annotated) in module.tables() {
        let said = config.read_models.of(name);
        let place = match said {
            Some(place) => possible(name, place, Said::ByConfiguration, config)?,
            None => possible(name, annotated, Said::ByAnnotation, config)?,
        };
        if place != KeptIn::Database {
            elsewhere.entry(place).or_default().push((name, table));
        }
    }
    if elsewhere.is_empty() {
        return Ok(store);
    }
    let elsewhere = elsewhere.into_iter().map(|(place, read_models)| open(place, read_models, module, config));
    Ok(Arc::new(Routed::new(store, elsewhere.collect::<Result<_, _>>()?)))
}

/// The place if there is one, else beside the events.
fn possible(read_model: &str, place: KeptIn, said: Said, config: &Config) -> Result<KeptIn, RunError> {
    let missing = match (place, &config.database) {
        (KeptIn::Database, _) => return Ok(KeptIn::Database),
        (_, Database::Memory) => "DATABASE_DSN is memory://, and the read model would outlive its events",
        (KeptIn::Redis, _) if config.redis_addr.is_none() => "REDIS_ADDR says where that is",
        (KeptIn::Postgres, database) => match &config.read_models_dsn {
            Some(dsn) if dsn == database => return Ok(KeptIn::Database),
            Some(_) => return Ok(KeptIn::Postgres),
            None if matches!(database, Database::Postgres(_)) => return Ok(KeptIn::Database),
            None => "READ_MODELS_DSN says where that is",
        },
        (KeptIn::Redis, _) => return Ok(KeptIn::Redis),
    };
    let place = place.name();
    if said == Said::ByConfiguration {
        return Err(RunError::ReadModels { reason: format!("`{read_model}` cannot be kept in {place}: {missing}") });
    }
    tracing::warn!(read_model, place, missing, "is kept beside its events, not where the proto says");
    Ok(KeptIn::Database)
}

fn open(
    place: KeptIn,
    read_models: Vec<(&'static str, Table)>,
    module: &Module,
    config: &Config,
) -> Result<Elsewhere, RunError> {
    let keeper = match place {
        KeptIn::Redis => redis(module, &read_models, config)?,
        KeptIn::Postgres | KeptIn::Database => postgres(module, config)?,
    };
    let guard = Guard::new(place.name(), config.database_limits.clone());
    Ok(Elsewhere { place: place.name(), keeper: Arc::new(Layered::new(keeper, guard)), read_models })
}

#[cfg(feature = "redis")]
fn redis(
    module: &Module,
    read_models: &[(&'static str, Table)],
    config: &Config,
) -> Result<SharedReadModels, RunError> {
    let address = config.redis_addr.as_ref().map_or("", |address| &address.0);
    let opened = potter_redis::RedisReadModels::new(address, module.name(), read_models);
    let opened = opened.map_err(|error| RunError::ReadModels { reason: format!("REDIS_ADDR: {error}") })?;
    Ok(Arc::new(opened))
}

#[cfg(not(feature = "redis"))]
fn redis(_: &Module, _: &[(&'static str, Table)], _: &Config) -> Result<SharedReadModels, RunError> {
    Err(RunError::ReadModels { reason: "this service was built without the feature `redis` of potter".to_owned() })
}

#[cfg(feature = "postgres")]
fn postgres(module: &Module, config: &Config) -> Result<SharedReadModels, RunError> {
    let Some(Database::Postgres(dsn)) = &config.read_models_dsn else {
        return Err(RunError::ReadModels { reason: "READ_MODELS_DSN is no postgres://…".to_owned() });
    };
    let opened = potter_postgres::PostgresReadModels::new(dsn, module.own_migrations());
    let opened = opened.map_err(|error| RunError::ReadModels { reason: format!("READ_MODELS_DSN: {error}") })?;
    Ok(Arc::new(opened))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Module, _: &Config) -> Result<SharedReadModels, RunError> {
    Err(RunError::ReadModels { reason: "this service was built without the feature `postgres` of potter".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Config::from_lookup(|name| variables.get(name).map(|it| (*it).to_owned())).expect("valid")
    }

    fn kept(annotated: KeptIn, variables: &[(&str, &str)]) -> Result<KeptIn, String> {
        let config = config(variables);
        let placed = match config.read_models.of("Orders") {
            Some(place) => possible("Orders", place, Said::ByConfiguration, &config),
            None => possible("Orders", annotated, Said::ByAnnotation, &config),
        };
        placed.map_err(|error| error.to_string())
    }

    #[test]
    fn annotations_hold_where_there_is_such_a_place() {
        assert_eq!(kept(KeptIn::Redis, &[("REDIS_ADDR", "localhost:6379")]), Ok(KeptIn::Redis));
        assert_eq!(kept(KeptIn::Redis, &[]), Ok(KeptIn::Database));
        assert_eq!(kept(KeptIn::Postgres, &[("READ_MODELS_DSN", "postgres://db/shop")]), Ok(KeptIn::Postgres));
        assert_eq!(kept(KeptIn::Postgres, &[("DATABASE_DSN", "postgres://db/shop")]), Ok(KeptIn::Database));
        let memory = [("DATABASE_DSN", "memory://"), ("REDIS_ADDR", "localhost:6379")];
        assert_eq!(kept(KeptIn::Redis, &memory), Ok(KeptIn::Database));
    }

    #[test]
    fn configuration_comes_before_annotations() {
        let redis = ("REDIS_ADDR", "localhost:6379");
        assert_eq!(kept(KeptIn::Database, &[redis, ("READ_MODELS_STORE", "redis")]), Ok(KeptIn::Redis));
        assert_eq!(kept(KeptIn::Redis, &[redis, ("READ_MODELS_STORE", "database")]), Ok(KeptIn::Database));
        let one = [redis, ("READ_MODELS_STORE", "redis, Orders=database")];
        assert_eq!(kept(KeptIn::Redis, &one), Ok(KeptIn::Database));
        let refused = kept(KeptIn::Database, &[("READ_MODELS_STORE", "Orders=redis")]).expect_err("nowhere");
        assert!(refused.contains("`Orders` cannot be kept in redis: REDIS_ADDR says where that is"), "{refused}");
    }

    #[test]
    fn places_are_few() {
        assert!("redis,Orders=mysql".parse::<Places>().is_err());
        assert!("elsewhere".parse::<Places>().is_err());
    }
}
