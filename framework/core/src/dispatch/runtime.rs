//! What everything that runs shares.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Options;
use super::answering::{QueryCache, query_cache};
use crate::failure::Failure;
use crate::health::ComponentHealth;
use crate::messages::Messages;
use crate::module::Module;
use crate::outage::WaitingRoom;
use crate::projection::Log;
use crate::store::SharedStore;
use crate::telemetry::EventMeter;

/// Tells how a part is.
pub(crate) type HealthOf = Box<dyn Fn() -> ComponentHealth + Send + Sync>;

/// What everything that runs shares.
pub(crate) struct Runtime {
    pub module: &'static str,
    pub store: SharedStore,
    pub options: Options,
    projection_batch: NonZeroUsize,
    waiting: WaitingRoom,
    pub query_cache: QueryCache,
    turns: Turns,
    events: EventMeter,
    /// Requests that are being answered; closed when no new ones are.
    requests: TaskTracker,
    /// Tasks in the background.
    tasks: TaskTracker,
    /// Parts beside the module's own that tell how they are.
    parts: std::sync::Mutex<Vec<HealthOf>>,
    /// What operators see of the module's messages, if it has any.
    messages: std::sync::OnceLock<Arc<dyn Messages>>,
    closing: CancellationToken,
    stopping: CancellationToken,
}

impl Runtime {
    pub fn new(module: &Module, store: SharedStore, options: Options) -> Self {
        let event_types = module.aggregates().iter().flat_map(|aggregate| aggregate.events).map(|event| event.0);
        Self {
            module: module.name(),
            waiting: WaitingRoom::new(store.clone()),
            store,
            query_cache: query_cache(options.query_cache_bytes),
            options,
            projection_batch: module.projection_batch,
            turns: Turns::default(),
            events: EventMeter::new(module.name(), event_types),
            requests: TaskTracker::new(),
            tasks: TaskTracker::new(),
            parts: std::sync::Mutex::default(),
            messages: std::sync::OnceLock::new(),
            closing: CancellationToken::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// The log as projections read it.
    pub fn log(&self) -> Log {
        Log { store: self.store.clone(), batch: self.projection_batch }
    }

    /// Lets a request in; it counts as running until the token is dropped.
    ///
    /// The token comes before the look at the door: who passes it was counted before anybody waited.
    pub fn enter(&self) -> Result<TaskTrackerToken, Failure> {
        let token = self.requests.token();
        if self.requests.is_closed() { Err(Failure::unavailable("the service is shutting down")) } else { Ok(token) }
    }

    /// Lets a further part tell how it is.
    pub fn watch_health(&self, part: HealthOf) {
        self.parts().push(part);
    }

    /// How the further parts are.
    pub fn health_of_parts(&self) -> Vec<ComponentHealth> {
        self.parts().iter().map(|part| part()).collect()
    }

    /// Lets operators see messages; those that came first stay.
    pub fn attach_messages(&self, messages: Arc<dyn Messages>) {
        let _ = self.messages.set(messages);
    }

    /// What operators see of messages.
    pub fn messages(&self) -> Option<&Arc<dyn Messages>> {
        self.messages.get()
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, Vec<HealthOf>> {
        self.parts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says that requests won't be let in for much longer.
    pub fn announce_closing(&self) {
        self.closing.cancel();
    }

    /// Whether requests won't be let in for much longer.
    pub fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Lets no further requests in and waits for the running ones.
    pub async fn close_intake(&self) {
        self.requests.close();
        self.closing.cancel();
        self.requests.wait().await;
    }

    /// What `future` gives, or `None` if it is announced before that that requests are no longer let in.
    pub async fn unless_closing<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.closing.run_until_cancelled(future).await
    }

    /// Counts recorded events.
    pub fn recorded(&self, event_types: impl Iterator<Item = &'static str>) {
        event_types.for_each(|event_type| self.events.recorded(event_type));
    }

    /// Runs a task in the background, until [`Runtime::stop`] has waited for it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Asks the tasks in the background to end, and waits for them.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether the tasks in the background shall end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// What `future` gives, or `None` if the tasks in the background shall end before that.
    pub async fn unless_stopping<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.stopping.run_until_cancelled(future).await
    }

    /// Waits before a call is made again that the store hasn't answered: until it answers again, a second at most.
    pub async fn wait_for_store(&self, attempt: u32) {
        self.waiting.wait(attempt).await;
    }

    /// Waits for the caller's turn to change an aggregate.
    ///
    /// Commands to the same aggregate queue here rather than fail at the store with version conflicts; those remain
    /// between processes.
    pub async fn turn(&self, aggregate: &str, id: &str) -> MutexGuard<'_, ()> {
        self.turns.of(aggregate, id).lock().await
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runtime").field("module", &self.module).finish_non_exhaustive()
    }
}

/// Locks that streams share by their hash: so many that two of the streams in use seldom meet.
struct Turns {
    locks: Box<[Mutex<()>]>,
    hasher: RandomState,
}

/// A power of two, so that the hash is cut rather than divided.
const LOCKS: usize = 1 << 14;

impl Default for Turns {
    fn default() -> Self {
        Self { locks: (0..LOCKS).map(|_| Mutex::new(())).collect(), hasher: RandomState::new() }
    }
}

impl Turns {
    fn of(&self, aggregate: &str, id: &str) -> &Mutex<()> {
        let hash = self.hasher.hash_one((aggregate, id));
        let index = usize::try_from(hash % LOCKS as u64).expect("less than the number of locks");
        &self.locks[index]
    }
}
