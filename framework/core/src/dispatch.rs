//! What runs a module: requests come in as protobuf bytes and go out as replies or failures.
//!
//! [`Dispatcher::start`] binds the declarations of a [`Module`] to a store, starts a projection per read model and the
//! workers of asynchronous commands. [`Dispatcher::call`] is the only way in; every transport uses it.
//!
//! `execution` is the path of a command, `repository` loads its aggregate, `accept` stores it for the workers
//! (`worker`); `answering` is the path of a query. `rules` checks every request before any of them.

mod accept;
mod answering;
mod execution;
mod repository;
mod rules;
mod runtime;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use prost_reflect::DescriptorPool;
use uuid::Uuid;

pub(crate) use self::execution::{BoundCommand, DeclaredCommand};
pub(crate) use self::repository::Repository;
pub(crate) use self::runtime::Runtime;

use self::answering::BoundQuery;
use self::rules::Rules;
use crate::clock;
use crate::domain::Aggregate;
use crate::failure::Failure;
use crate::health::{self, ComponentHealth};
use crate::messages::Messages;
use crate::module::{DescriptorError, Module};
use crate::projection::{ProjectionHandle, ProjectionStatus, Rebuild};
use crate::replay::Replay;
use crate::retries::Retries;
use crate::store::{CommandStatus, ProcessedEvent, Retention, SharedStore, StoreError};
use crate::subscription::Subscription;
use crate::worker::Workers;

/// A running module; clones share it.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

struct Inner {
    module: Module,
    pool: DescriptorPool,
    routes: HashMap<&'static str, Route>,
    rules: Rules,
    projections: Vec<Arc<ProjectionHandle>>,
    workers: Workers,
    runtime: Arc<Runtime>,
}

/// Who answers an rpc.
enum Route {
    Command(Arc<dyn BoundCommand>),
    Query(Box<BoundQuery>),
}

impl Route {
    /// Counts a request that isn't let through to the command or query.
    fn turned_away(&self, began: Instant, failure: Failure) -> Failure {
        match self {
            Self::Command(command) => command.meter().turned_away(began, &failure),
            Self::Query(query) => query.meter().turned_away(began, &failure),
        }
        failure
    }
}

/// A request, from whatever transport.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Protobuf bytes of the rpc's request message.
    pub body: Bytes,
    /// What the transport says beside it.
    pub metadata: RequestMetadata,
}

/// What a transport says beside a request.
#[derive(Clone, Debug, Default)]
pub struct RequestMetadata {
    /// Repeats under the same key get the recorded reply; for commands that are idempotent.
    pub idempotency_key: Option<String>,
    /// The version that the aggregate must have.
    pub expected_version: Option<u64>,
    /// Who asks, as the transport's authentication says.
    pub actor: Option<String>,
    /// Ties together everything that follows from one request; made when absent.
    pub correlation_id: Option<String>,
    /// What directly caused the request: the id of an event or of another command. The events that it leads to carry
    /// it; without one they carry the command's own id.
    pub causation_id: Option<String>,
    /// The message that the command is an effect of: for it the command is executed once, idempotent or not.
    pub effect_of: Option<EffectOf>,
    /// Identity of the command, if the caller has chosen one; made when absent.
    pub command_id: Option<Uuid>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The position that a query's read models must have reached; absent: the head of the log when it begins.
    pub at_least: Option<u64>,
}

/// What a command is an effect of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectOf {
    /// The event, and the subscription that brought it.
    pub event: ProcessedEvent,
    /// The message, and which of its effects it is: at most 255 printable ASCII characters.
    pub key: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Protobuf bytes of the rpc's reply message.
    pub body: Bytes,
    /// What has happened.
    pub outcome: Outcome,
    /// Whether this is the recorded reply of an earlier request with the same idempotency key.
    pub replayed: bool,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A query was answered.
    Queried,
    /// A command was executed.
    Executed {
        /// Identity of the aggregate.
        id: String,
        /// Version of its stream afterwards.
        version: u64,
        /// Whether the command made the aggregate.
        created: bool,
        /// Position in the log that includes its events: what a query may ask for.
        position: u64,
    },
    /// A command was accepted and will be executed.
    Accepted {
        /// Identity of the aggregate.
        id: String,
        /// What [`Dispatcher::status`] and [`Dispatcher::await_outcome`] know it by.
        command_id: Uuid,
    },
}

/// Limits of a running module.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Deadline of a command that declares none.
    pub command_timeout: Duration,
    /// Deadline of a query, waiting for its read models included.
    pub query_timeout: Duration,
    /// How long a query waits for a read model to catch up.
    pub catch_up_timeout: Duration,
    /// Bytes of aggregate states kept in memory, for each aggregate.
    pub state_cache_bytes: u64,
    /// Bytes of query results kept in memory, for all queries.
    pub query_cache_bytes: u64,
    /// Accepted commands that may wait; further ones are refused as unavailable.
    pub max_pending_commands: usize,
    /// Accepted commands that are executed at the same time.
    pub workers: usize,
    /// How a worker goes on with a command that fails retryably. Outages don't count.
    pub retries: Retries,
    /// How long [`Dispatcher::shutdown`] waits for the workers to finish what was accepted; the rest is executed
    /// after the next start.
    pub drain_timeout: Duration,
    /// How long records are kept that nobody may ask for any more.
    pub retention: Retention,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command_timeout: Duration::from_secs(30),
            query_timeout: Duration::from_secs(10),
            catch_up_timeout: Duration::from_secs(5),
            state_cache_bytes: 8 << 20,
            query_cache_bytes: 8 << 20,
            max_pending_commands: 100_000,
            workers: 256,
            retries: Retries::default(),
            drain_timeout: Duration::from_secs(10),
            retention: Retention::default(),
        }
    }
}

/// A module that cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its descriptors cannot be read.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
    /// `buf.validate` rules that cannot be enforced.
    #[error(transparent)]
    Rules(#[from] potter_validate::InvalidRules),
    /// Two commands or queries have the same rpc.
    #[error("the rpc `{0}` is declared twice")]
    DuplicateRpc(&'static str),
    /// Two subscriptions have the same name: the claims of their effects would be taken for each other's.
    #[error("two subscriptions are called `{0}`")]
    DuplicateSubscription(String),
    /// A query reads what the module doesn't have.
    #[error("the query `{rpc}` reads `{read_model}`, which is not a read model of the module")]
    UnknownReadModel {
        /// The query.
        rpc: &'static str,
        /// What it names.
        read_model: &'static str,
    },
    /// The store is out of reach.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What binds declarations to a running module.
pub(crate) struct Binder {
    pub runtime: Arc<Runtime>,
    repositories: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Binder {
    /// The repository of an aggregate, one for all of its commands.
    pub fn repository<A: Aggregate>(&mut self) -> Arc<Repository<A>> {
        let runtime = &self.runtime;
        let known =
            self.repositories.entry(TypeId::of::<A>()).or_insert_with(|| Arc::new(Repository::<A>::new(runtime)));
        known.clone().downcast().expect("kept under its own type")
    }
}

impl Dispatcher {
    /// Starts a module over a store whose migrations have been applied.
    ///
    /// # Errors
    /// The module contradicts itself, or the store is out of reach.
    pub async fn start(module: Module, store: SharedStore, options: Options) -> Result<Self, StartError> {
        let pool = module.descriptor_pool()?;
        let rules = Rules::new(&module, &pool)?;
        let runtime = Arc::new(Runtime::new(&module, store, options));
        let parts = Parts::start(&module, &runtime).await;
        if parts.is_err() {
            // What has been started already must not go on by itself.
            runtime.stop().await;
        }
        let Parts { routes, projections, workers } = parts?;
        Ok(Self { inner: Arc::new(Inner { module, pool, routes, rules, projections, workers, runtime }) })
    }

    /// Answers a request to `rpc`, the gRPC path without the leading slash.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn call(&self, rpc: &str, request: Request) -> Result<Reply, Failure> {
        let _in_flight = self.inner.runtime.enter()?;
        let began = clock::now();
        let route = self.inner.routes.get(rpc).ok_or_else(|| Failure::unimplemented(rpc))?;
        if let Err(failure) = self.inner.rules.check(rpc, &request.body) {
            return Err(route.turned_away(began, failure));
        }
        match route {
            Route::Command(command) if command.spec().asynchronous => {
                accept::accept(command, request, &self.inner.workers).await
            }
            Route::Command(command) => command.call(request).await,
            Route::Query(query) => query.call(request).await,
        }
    }

    /// Executes a command, known by its stable name, as the effect of a message.
    ///
    /// # Errors
    /// As [`Dispatcher::call`] says; also that there is no such command.
    pub async fn effect(&self, command: &str, mut request: Request, effect_of: EffectOf) -> Result<Reply, Failure> {
        let bound = self.inner.workers.command(command).ok_or_else(|| Failure::unimplemented(command))?;
        request.metadata.effect_of = Some(effect_of);
        self.call(bound.spec().rpc, request).await
    }

    /// Accepts a command of any kind, known by its stable name, for the workers: what the broker brings.
    ///
    /// The same id again is no second command: it is answered with how far the first is.
    ///
    /// # Errors
    /// There is no such command, the request isn't valid, or the store is out of reach.
    pub async fn accept(&self, command: &str, id: Uuid, mut request: Request) -> Result<CommandStatus, Failure> {
        let _in_flight = self.inner.runtime.enter()?;
        let began = clock::now();
        let bound = self.inner.workers.command(command).ok_or_else(|| Failure::unimplemented(command))?;
        if let Err(failure) = self.inner.rules.check(bound.spec().rpc, &request.body) {
            bound.meter().turned_away(began, &failure);
            return Err(failure);
        }
        request.metadata.command_id = Some(id);
        accept::accept_once(bound, id, request, &self.inner.workers).await
    }

    /// Finishes what has been begun: no new requests, and the workers finish what was accepted or leave it for the next
    /// start. The log can still be read, so that what was recorded last can be published.
    pub async fn drain(&self) {
        let runtime = &self.inner.runtime;
        runtime.close_intake().await;
        self.inner.workers.drain(runtime.options.drain_timeout).await;
    }

    /// How what may pass is tried again, and when it is given up.
    #[must_use]
    pub fn retries(&self) -> &Retries {
        &self.inner.runtime.options.retries
    }

    /// Counts outcomes of accepted commands that this process has recorded; whoever announces them waits for it.
    #[must_use]
    pub fn outcomes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.workers.outcomes()
    }

    /// Lets a further part tell how it is.
    pub fn watch_health(&self, part: impl Fn() -> ComponentHealth + Send + Sync + 'static) {
        self.inner.runtime.watch_health(Box::new(part));
    }

    /// Lets operators see the module's messages, whatever carries them.
    pub fn attach_messages(&self, messages: Arc<dyn Messages>) {
        self.inner.runtime.attach_messages(messages);
    }

    /// What operators see of the module's messages; `None` if nothing carries any.
    #[must_use]
    pub fn messages(&self) -> Option<Arc<dyn Messages>> {
        self.inner.runtime.messages().cloned()
    }

    /// How far an accepted command is; `None` if there is no such command.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn status(&self, command_id: Uuid) -> Result<Option<CommandStatus>, Failure> {
        Ok(self.inner.runtime.store.command_status(command_id).await?)
    }

    /// Waits for the outcome of an accepted command, but not longer than `patience`: then the status has none yet.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn await_outcome(&self, command_id: Uuid, patience: Duration) -> Result<Option<CommandStatus>, Failure> {
        self.inner.workers.await_outcome(command_id, patience).await
    }

    /// What was declared.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.inner.module
    }

    /// The descriptors of all messages.
    #[must_use]
    pub fn pool(&self) -> &DescriptorPool {
        &self.inner.pool
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.inner.runtime.store
    }

    /// Waits before a call is made again that the store hasn't answered `attempt` times: until it answers again, and 100 ms
    /// the first time, a second from then on at most.
    pub async fn wait_for_store(&self, attempt: u32) {
        self.inner.runtime.wait_for_store(attempt).await;
    }

    /// How the parts are.
    pub async fn health(&self) -> Vec<ComponentHealth> {
        health::examine(&self.inner.runtime, &self.inner.projections, &self.inner.workers).await
    }

    /// How far the projections are, in the order of their declaration.
    #[must_use]
    pub fn projections(&self) -> Vec<ProjectionStatus> {
        self.inner.projections.iter().map(|projection| projection.status()).collect()
    }

    /// How a projection is, and what has become of its last rebuild.
    ///
    /// # Errors
    /// There is no such read model, or what keeps it is out of reach.
    pub async fn examine_projection(&self, read_model: &str) -> Result<ProjectionStatus, Failure> {
        let projection = self.projection(read_model)?;
        let record = self.inner.runtime.store.projection(projection.name()).await?;
        Ok(ProjectionStatus { rebuild: record.rebuild, ..projection.status() })
    }

    /// Builds a read model anew from the whole log, beside the one that queries read until it is ready.
    ///
    /// # Errors
    /// There is no such read model, or the store is out of reach.
    pub async fn rebuild(&self, read_model: &str) -> Result<(), Failure> {
        self.rebuild_from(read_model, 0).await
    }

    /// Builds a read model anew as [`Dispatcher::rebuild`] does, from the events after a position only, or from what
    /// [`Rebuild`] says.
    ///
    /// # Errors
    /// See [`Dispatcher::rebuild`]; or there is no snapshot of it.
    pub async fn rebuild_from(&self, read_model: &str, begin: impl Into<Rebuild>) -> Result<(), Failure> {
        self.projection(read_model)?.rebuild(begin.into()).await
    }

    /// Empties a read model and takes everything in again; queries see it grow.
    ///
    /// # Errors
    /// See [`Dispatcher::rebuild`].
    pub async fn reset(&self, read_model: &str) -> Result<(), Failure> {
        self.projection(read_model)?.reset().await
    }

    /// Pauses a projection in every process that shares the store; queries are answered as of then.
    ///
    /// # Errors
    /// See [`Dispatcher::rebuild`].
    pub async fn pause(&self, read_model: &str) -> Result<(), Failure> {
        self.projection(read_model)?.set_paused(true).await
    }

    /// Lets a projection go on.
    ///
    /// # Errors
    /// See [`Dispatcher::rebuild`].
    pub async fn resume(&self, read_model: &str) -> Result<(), Failure> {
        self.projection(read_model)?.set_paused(false).await
    }

    /// Tries again to take in what a projection has parked of these events; answers how many it could.
    ///
    /// # Errors
    /// There is no such read model, or the store is out of reach.
    pub async fn replay_parked(&self, read_model: &str, of: Replay) -> Result<usize, Failure> {
        self.projection(read_model)?.replay_parked(of).await
    }

    /// Waits until every accepted command has its outcome and every read model has seen every event.
    ///
    /// # Errors
    /// It takes longer than `patience`.
    pub async fn settle(&self, patience: Duration) -> Result<(), Failure> {
        let settled = async {
            self.inner.workers.idle().await;
            let head = *self.inner.runtime.store.head().borrow();
            for projection in &self.inner.projections {
                projection.reach(head).await;
            }
        };
        tokio::time::timeout(patience, settled).await.map_err(|_| Failure::deadline_exceeded())
    }

    /// Says that [`Dispatcher::shutdown`] is near: from now on the service isn't ready, and nobody waits any longer for
    /// outcomes. Requests are still answered, so that transports can finish what they have begun.
    pub fn announce_shutdown(&self) {
        self.inner.runtime.announce_closing();
    }

    /// Stops: no new requests, the running ones finish, the workers finish what was accepted or leave it for the next
    /// start, the projections keep their checkpoints, the store is released. Does nothing the second time.
    pub async fn shutdown(&self) {
        self.drain().await;
        let runtime = &self.inner.runtime;
        runtime.stop().await;
        runtime.store.close().await;
    }

    fn projection(&self, read_model: &str) -> Result<&Arc<ProjectionHandle>, Failure> {
        let mut projections = self.inner.projections.iter();
        projections.find(|it| it.name() == read_model).ok_or_else(|| Failure::not_found("read model", read_model))
    }
}

/// What runs in a module.
struct Parts {
    routes: HashMap<&'static str, Route>,
    projections: Vec<Arc<ProjectionHandle>>,
    workers: Workers,
}

impl Parts {
    async fn start(module: &Module, runtime: &Arc<Runtime>) -> Result<Self, StartError> {
        let projections: Vec<_> = module.read_models.iter().map(|model| model.clone().start(runtime)).collect();
        let commands = bind_commands(module, runtime);
        let workers = Workers::start(runtime.clone(), &commands).await?;
        distinct_subscriptions(module)?;
        let mut routes = HashMap::new();
        for command in commands {
            let rpc = command.spec().rpc;
            insert_route(&mut routes, rpc, Route::Command(command))?;
        }
        for query in &module.queries {
            let bound = BoundQuery::new(query, runtime, &projections)?;
            insert_route(&mut routes, query.rpc, Route::Query(Box::new(bound)))?;
        }
        runtime.spawn(forget_old_records(runtime.clone()));
        Ok(Self { routes, projections, workers })
    }
}

fn distinct_subscriptions(module: &Module) -> Result<(), StartError> {
    let names: Vec<&str> = module.subscriptions().iter().map(Subscription::name).collect();
    match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        Some((_, name)) => Err(StartError::DuplicateSubscription((*name).to_owned())),
        None => Ok(()),
    }
}

fn bind_commands(module: &Module, runtime: &Arc<Runtime>) -> Vec<Arc<dyn BoundCommand>> {
    let mut binder = Binder { runtime: runtime.clone(), repositories: HashMap::new() };
    module.commands.iter().map(|command| command.clone().bind(&mut binder)).collect()
}

fn insert_route(routes: &mut HashMap<&'static str, Route>, rpc: &'static str, route: Route) -> Result<(), StartError> {
    match routes.insert(rpc, route) {
        None => Ok(()),
        Some(_) => Err(StartError::DuplicateRpc(rpc)),
    }
}

/// Forgets what has been kept long enough, at start and every hour.
async fn forget_old_records(runtime: Arc<Runtime>) {
    let mut hourly = tokio::time::interval(Duration::from_secs(3600));
    while runtime.unless_stopping(hourly.tick()).await.is_some() {
        let expiry = runtime.options.retention.expiry(SystemTime::now());
        let mut records = 0;
        loop {
            match runtime.unless_stopping(runtime.store.purge(expiry)).await {
                Some(Ok(forgotten)) if forgotten > 0 => records += forgotten,
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot forget old records now");
                    break;
                }
                _ => break,
            }
        }
        if records > 0 {
            tracing::info!(records, "forgot what has been kept long enough: keys, outcomes, claims, dead letters");
        }
    }
}
