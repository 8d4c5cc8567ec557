//! A service as `main.rs` puts it together, and what its binary does when it is run.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use potter_core::dispatch::{Dispatcher, Options};
use potter_core::memory::MemoryStore;
#[cfg(feature = "nats")]
use potter_core::messages::MessagesStatus;
use potter_core::module::Module;
use potter_core::resilience::{Guard, GuardedStore};
use potter_core::store::{Migration, Script, SharedStore};
#[cfg(feature = "rest")]
use potter_http::Rest;
use tokio::runtime::Runtime;

use crate::cli::dead_letters::{DeadLetters, Which};
use crate::cli::{self, Output, Task};
use crate::config::{Config, Database, LogFormat};
use crate::error::{RunError, TaskError};
use crate::service::{self, Service, Transports};
use crate::signals;
use crate::{logging, read_models};

/// A service: a module and the adapters that it runs with.
///
/// `main.rs` is the only place that chooses them:
///
/// ```no_run
/// # use potter::module::Module;
/// # fn module() -> Module { Module::new("shop", "") }
/// fn main() -> std::process::ExitCode {
///     potter::App::new(module()).run()
/// }
/// ```
#[must_use = "a service does nothing until it is run"]
pub struct App {
    module: Module,
    transports: Transports,
    default_database: &'static str,
    options: Options,
}

impl App {
    /// A service that runs `module`, without any transport yet.
    pub fn new(module: Module) -> Self {
        Self {
            module,
            transports: Transports::default(),
            default_database: crate::config::database::DEFAULT,
            options: Options::default(),
        }
    }

    /// Serves REST.
    #[cfg(feature = "rest")]
    pub fn rest(mut self, api: Rest) -> Self {
        self.transports.rest = Some(api);
        self
    }

    /// Serves gRPC.
    #[cfg(feature = "grpc")]
    pub fn grpc(mut self) -> Self {
        self.transports.grpc = true;
        self
    }

    /// Publishes events, and takes commands and queries in, over NATS where `NATS_URL` says; without it within the
    /// process.
    #[cfg(feature = "nats")]
    pub fn nats(mut self) -> Self {
        self.transports.nats = true;
        self
    }

    /// Has effects of another module's events, beside those that the module declares; takes [`App::nats`].
    #[cfg(feature = "nats")]
    pub fn subscribe(mut self, subscription: potter_core::subscription::Subscription) -> Self {
        self.module.subscription(subscription);
        self
    }

    /// What `DATABASE_DSN` is when nobody sets it; without this `sqlite://data.db`.
    pub fn default_database(mut self, dsn: &'static str) -> Self {
        self.default_database = dsn;
        self
    }

    /// Limits of what runs the module: timeouts, caches, workers.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Does what the command line says, configured by the environment; to be returned from `main`.
    ///
    /// The exit code is 0 when all went well, 1 when it didn't, 2 when the command line or the configuration is wrong.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let task = cli::parse(self.module.name());
        let config = match Config::from_env_or(self.default_database) {
            Ok(config) => config,
            Err(error) => return complain(&error, ExitCode::from(2)),
        };
        logging::install(&config);
        match self.run_task(task, config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failed::Told) => ExitCode::FAILURE,
            Err(Failed::Untold(error)) => complain(&error, ExitCode::FAILURE),
        }
    }

    fn run_task(self, task: Task, config: Config) -> Result<(), Failed> {
        let runtime = Runtime::new().map_err(RunError::System).map_err(TaskError::from)?;
        let done = match task {
            Task::Serve => {
                let json = config.log_format == LogFormat::Json;
                runtime.block_on(self.serve(config)).map_err(|error| tell(error.into(), json))
            }
            other => Ok(runtime.block_on(self.work(other, &config))?),
        };
        // What didn't end in time has been told; nobody waits for it any longer.
        runtime.shutdown_background();
        done
    }

    /// Serves until the process is told to stop.
    async fn serve(self, config: Config) -> Result<(), RunError> {
        let mut signals = signals::listen().map_err(RunError::System)?;
        let mut service = self.start(config).await?;
        tokio::select! {
            signal = signals.next() => tracing::info!(signal, "stopping; a second signal ends the process at once"),
            failed = service.failed() => {
                // A service that lost a transport is of no use; it ends so that it is started again.
                let stopped = service.stop().await;
                return Err(stopped.err().unwrap_or(failed));
            }
        }
        tokio::select! {
            stopped = service.stop() => stopped,
            signal = signals.next() => {
                tracing::warn!(signal, "ending at once");
                std::process::exit(1)
            }
        }
    }

    /// Starts the service in this process, for tests and for programs that have a `main` of their own.
    ///
    /// Neither command line nor environment are read, and logging is not installed.
    ///
    /// # Errors
    /// The database cannot be opened, a port is taken, …
    pub async fn start(self, config: Config) -> Result<Service, RunError> {
        let Self { mut module, transports, mut options, .. } = self;
        configure(&mut module, &config);
        options.retention = config.retention;
        if let Some(retries) = &config.retries {
            options.retries = retries.clone();
        }
        // Requests get half of the time; a quarter for the workers leaves one for projections and the database.
        options.drain_timeout = options.drain_timeout.min(config.shutdown_timeout / 4);
        for variable in &config.unused {
            tracing::warn!(variable, "is set, and not used by this version");
        }
        if config.nats_url.is_some() && !transports.nats {
            tracing::warn!("NATS_URL is set, and this service has no transport `NATS`");
        }
        if !module.subscriptions().is_empty() && !transports.nats {
            tracing::warn!("the module has subscriptions and this service no transport `NATS`: nothing is heard");
        }
        let listeners = transports.listen(&config).await?;
        let metrics = service::metrics(&config);
        let store = read_models::route(open(&config).await?, &module, &config)?;
        for migration in store.migrate(module.own_migrations()).await? {
            tracing::info!(migration, "applied");
        }
        let dispatcher = Dispatcher::start(module, store, options).await?;
        listeners.serve(dispatcher, metrics, &config).await
    }

    /// Does everything but serve.
    async fn work(mut self, task: Task, config: &Config) -> Result<(), TaskError> {
        configure(&mut self.module, config);
        let mut stdout = std::io::stdout();
        let output = &mut Output::new(&mut stdout);
        if let Task::Migrate(migrate) = &task
            && let Some(created) = migrate.create(&self.module, output)
        {
            return created;
        }
        if config.database == Database::Memory {
            return Err(TaskError::new("DATABASE_DSN is memory://, which holds nothing outside a running service"));
        }
        if !matches!(&task, Task::Migrate(migrate) if migrate.may_make_the_database())
            && let Err(absent) = is_there(&config.database).await?
        {
            return self.look(&task, &config.database, absent, output);
        }
        let store = read_models::route(open(config).await?, &self.module, config)?;
        let module = &self.module;
        let done = match task {
            Task::Serve => Ok(()),
            Task::Migrate(migrate) => migrate.run(module, &store, output).await,
            Task::Events(events) => events.run(module, &store, output).await,
            Task::Projections(projections) => projections.run(module, &store, output).await,
            Task::Commands(commands) => commands.run(&store, output).await,
            Task::DeadLetters(DeadLetters::Replay(which)) => self.replay(&which, store.clone(), config, output).await,
            #[cfg(feature = "nats")]
            Task::Outgoing(format) => self.outgoing(format.format, &store, config, output).await,
            Task::DeadLetters(letters) => letters.run(&store, output).await,
        };
        output.flush()?;
        store.close().await;
        done
    }
}

impl App {
    /// What can be told without a database; it may be that somebody looks in the wrong place.
    fn look(
        &self,
        task: &Task,
        database: &Database,
        absent: TaskError,
        output: &mut Output<'_>,
    ) -> Result<(), TaskError> {
        let Task::Migrate(migrate) = task else { return Err(absent) };
        // There is nobody left to tell that even this failed.
        let _ = writeln!(std::io::stderr(), "note: {absent}");
        let told = migrate.look(&self.module, &|migration| script(database, migration), output);
        output.flush()?;
        told
    }

    /// Runs the module for as long as dead letters are tried again. Read models are the service's: where it keeps them may
    /// not be known here.
    #[cfg(feature = "nats")]
    async fn replay(
        self,
        which: &Which,
        store: SharedStore,
        config: &Config,
        output: &mut Output<'_>,
    ) -> Result<(), TaskError> {
        let Self { module, options, .. } = self;
        let url = config.nats_url.as_deref();
        let dispatcher = Dispatcher::start(module.write_side(), store, options).await.map_err(RunError::from)?;
        let replayed = crate::cli::dead_letters::replay(which, &dispatcher, url, output).await;
        dispatcher.shutdown().await;
        replayed
    }

    /// Tells how far messages are; the broker is asked if it is one that this process can reach.
    #[cfg(feature = "nats")]
    async fn outgoing(
        &self,
        format: cli::Format,
        store: &SharedStore,
        config: &Config,
        output: &mut Output<'_>,
    ) -> Result<(), TaskError> {
        let (published, head) = potter_messaging::status::published(store).await?;
        let mut status = MessagesStatus { published, head, trouble: None, consumers: Vec::new() };
        if let Some(url) = &config.nats_url {
            match crate::messages::reach(url).await {
                Ok(broker) => {
                    status.consumers = potter_messaging::status::consumers(&broker, &self.module).await;
                    broker.close().await;
                }
                Err(error) => status.trouble = Some(error.to_string()),
            }
        }
        cli::outgoing::print(&status, format, output)
    }

    #[cfg(not(feature = "nats"))]
    #[expect(clippy::unused_async, reason = "the same shape as with messages")]
    async fn replay(self, _: &Which, _: SharedStore, _: &Config, _: &mut Output<'_>) -> Result<(), TaskError> {
        Err(TaskError::new("this service was built without the feature `nats` of potter, and takes no messages in"))
    }
}

/// A failure, and whether somebody has been told of it.
enum Failed {
    Told,
    Untold(TaskError),
}

impl From<TaskError> for Failed {
    fn from(error: TaskError) -> Self {
        Self::Untold(error)
    }
}

/// Programs that read the log as JSON get the reason there as well.
fn tell(error: TaskError, json: bool) -> Failed {
    if json && tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(%error, "the service failed");
        return Failed::Told;
    }
    Failed::Untold(error)
}

fn complain(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    // There is nobody left to tell that even this failed.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    code
}

/// What is configured counts more than what the code says.
fn configure(module: &mut Module, config: &Config) {
    if let Some(batch) = config.projection_batch {
        module.projection_batch(batch);
    }
}

/// Opens the store; one that may be out of reach gets a guard.
async fn open(config: &Config) -> Result<SharedStore, RunError> {
    let database = &config.database;
    match database {
        Database::Memory => Ok(Arc::new(MemoryStore::new())),
        Database::Sqlite(dsn) => open_sqlite(dsn.clone()).await,
        Database::Postgres(dsn) => {
            let guard = Guard::new("database", config.database_limits.clone());
            Ok(Arc::new(GuardedStore::new(open_postgres(database, dsn).await?, guard)))
        }
    }
}

/// Whether the database is there, or what it lacks: who only looks makes none, in the wrong directory for example.
async fn is_there(database: &Database) -> Result<Result<(), TaskError>, TaskError> {
    let lacks = match database {
        Database::Postgres(dsn) if !has_tables(dsn).await? => {
            format!("there are no tables at {database}; `migrate` makes them")
        }
        Database::Sqlite(dsn) if !has_file(dsn) => {
            format!("there is no database at {dsn}; DATABASE_DSN says where it is, `migrate` makes it")
        }
        _ => return Ok(Ok(())),
    };
    Ok(Err(TaskError::new(lacks)))
}

#[cfg(feature = "postgres")]
async fn has_tables(dsn: &str) -> Result<bool, TaskError> {
    potter_postgres::PostgresStore::exists(dsn).await.map_err(TaskError::other)
}

/// Whoever opens it says what the service was built without.
#[cfg(not(feature = "postgres"))]
async fn has_tables(_: &str) -> Result<bool, TaskError> {
    Ok(true)
}

/// A DSN that isn't one is told by whoever opens it.
#[cfg(feature = "sqlite")]
fn has_file(dsn: &str) -> bool {
    potter_sqlite::SqliteStore::exists(dsn).unwrap_or(true)
}

#[cfg(not(feature = "sqlite"))]
fn has_file(_: &str) -> bool {
    true
}

/// What a migration has for such a database.
fn script(database: &Database, migration: &Migration) -> Script {
    match database {
        Database::Memory => Script::NONE,
        Database::Sqlite(_) => migration.sqlite,
        Database::Postgres(_) => migration.postgres,
    }
}

#[cfg(feature = "postgres")]
async fn open_postgres(database: &Database, dsn: &str) -> Result<SharedStore, RunError> {
    match potter_postgres::PostgresStore::open(dsn).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(RunError::Database { dsn: database.to_string(), reason: error.to_string() }),
    }
}

#[cfg(not(feature = "postgres"))]
async fn open_postgres(database: &Database, _: &str) -> Result<SharedStore, RunError> {
    let reason = "this service was built without the feature `postgres` of potter".to_owned();
    Err(RunError::Database { dsn: database.to_string(), reason })
}

/// On a thread that may block.
#[cfg(feature = "sqlite")]
async fn open_sqlite(dsn: String) -> Result<SharedStore, RunError> {
    let opened = tokio::task::spawn_blocking({
        let dsn = dsn.clone();
        move || potter_sqlite::SqliteStore::open(&dsn)
    });
    match opened.await {
        Ok(Ok(store)) => Ok(Arc::new(store)),
        Ok(Err(error)) => Err(RunError::Database { dsn, reason: error.to_string() }),
        Err(panic) => Err(RunError::Database { dsn, reason: panic.to_string() }),
    }
}

#[cfg(not(feature = "sqlite"))]
async fn open_sqlite(dsn: String) -> Result<SharedStore, RunError> {
    Err(RunError::Database { dsn, reason: "this service was built without the feature `sqlite` of potter".to_owned() })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn a_batch_is_what_is_configured_or_else_what_the_code_says() {
        let batch = |configured: &str| {
            let config = Config::from_lookup(|name| (name == "PROJECTION_BATCH").then(|| configured.to_owned()));
            let mut module = Module::new("shop", "");
            module.projection_batch(NonZeroUsize::new(7).expect("it isn't 0"));
            configure(&mut module, &config.expect("valid"));
            module.events_per_batch().get()
        };
        assert_eq!((batch(""), batch("50")), (7, 50));
    }
}
