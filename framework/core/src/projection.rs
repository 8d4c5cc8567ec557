//! Projections: each keeps one read model by following the log.
//!
//! `follow` is the task of one projection; `follower` takes in batches of events, exactly once, because rows and
//! checkpoint are written in one transaction; `batch` turns events into changed rows.

mod batch;
mod follow;
mod follower;

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use self::follow::Order;
use self::follower::Follower;
use crate::dispatch::Runtime;
use crate::failure::Failure;
use crate::module::Module;
use crate::read_model::{KeptIn, ReadModel, Table};
use crate::store::{Generation, ParkedEvent, ProjectionRecord, SharedStore};
use crate::telemetry::ProjectionMeter;

/// A declared read model, its types forgotten.
pub(crate) trait DeclaredProjection: Send + Sync {
    /// Name of the read model.
    fn name(&self) -> &'static str;

    /// Starts the task that keeps it.
    fn start(self: Arc<Self>, runtime: &Arc<Runtime>) -> Arc<ProjectionHandle>;

    /// The table.
    fn table(&self) -> Table;

    /// Where it is kept if configuration doesn't say otherwise.
    fn kept_in(&self) -> KeptIn;

    /// Builds it anew from the events after `from`, in this process; tells position and head as it goes.
    fn rebuild(
        self: Arc<Self>,
        store: SharedStore,
        from: u64,
        progress: Box<dyn FnMut(u64, u64) + Send>,
    ) -> BoxFuture<'static, Result<(), Failure>>;

    /// Tries again to take in what is parked, in this process; answers how many events it could.
    fn replay_parked(self: Arc<Self>, store: SharedStore) -> BoxFuture<'static, Result<usize, Failure>>;
}

/// The projection of read model `M`.
pub(crate) struct TypedProjection<M>(PhantomData<fn() -> M>);

impl<M> TypedProjection<M> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// How far a projection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Position of the last event that it has seen.
    pub position: u64,
    /// How often the read model has changed since the start.
    pub changes: u64,
}

/// What a projection is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectionState {
    /// It follows the log.
    Active,
    /// It catches up after the start, or the read model is being built anew.
    Building,
    /// It takes nothing in until somebody lets it go on; queries are answered as of then.
    Paused,
    /// It cannot go on now and tries again; why.
    Error(String),
}

/// How a projection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// Name of the read model.
    pub name: &'static str,
    /// What it is doing.
    pub state: ProjectionState,
    /// Position of the last event that it has seen.
    pub position: u64,
    /// Position of the last event in the log.
    pub head: u64,
    /// How many events it could not take in.
    pub parked: usize,
}

impl ProjectionStatus {
    /// How many events it hasn't seen yet.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.head.saturating_sub(self.position)
    }
}

/// A running projection, seen from outside.
pub(crate) struct ProjectionHandle {
    name: &'static str,
    board: Arc<Board>,
    head: watch::Receiver<u64>,
    orders: mpsc::Sender<Order>,
}

/// Where a projection tells how it is.
struct Board {
    progress: watch::Sender<Progress>,
    condition: Mutex<Condition>,
    meter: ProjectionMeter,
}

/// The part of a status that is seldom read.
struct Condition {
    state: ProjectionState,
    parked: usize,
}

impl Board {
    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().expect("nothing panics while it holds the lock")
    }

    fn set_state(&self, state: ProjectionState) {
        self.condition().state = state;
    }

    fn set_parked(&self, parked: usize) {
        self.condition().parked = parked;
        self.meter.parked.set(parked as f64);
    }
}

impl ProjectionHandle {
    /// Name of the read model.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How it is.
    pub fn status(&self) -> ProjectionStatus {
        let Condition { state, parked } = &*self.board.condition();
        ProjectionStatus {
            name: self.name,
            state: state.clone(),
            position: self.board.progress.borrow().position,
            head: *self.head.borrow(),
            parked: *parked,
        }
    }

    /// How often the read model has changed since the start.
    pub fn changes(&self) -> u64 {
        self.board.progress.borrow().changes
    }

    /// Waits until it has seen the event at `position`; false if it has ended before.
    pub async fn reach(&self, position: u64) -> bool {
        if self.has_reached(position) {
            return true;
        }
        let mut progress = self.board.progress.subscribe();
        progress.wait_for(|progress| progress.position >= position).await.is_ok()
    }

    /// Builds the read model anew beside the live one, from the events after `from`, and puts it in its place.
    pub async fn rebuild(&self, from: u64) -> Result<(), Failure> {
        self.order(|done| Order::Rebuild(from, done)).await
    }

    /// Empties the read model and takes everything in again.
    pub async fn reset(&self) -> Result<(), Failure> {
        self.order(Order::Reset).await
    }

    /// Takes nothing in any more, or goes on.
    pub async fn set_paused(&self, paused: bool) -> Result<(), Failure> {
        self.order(|done| Order::Pause(paused, done)).await
    }

    /// Whether it cannot go on now.
    pub fn is_failing(&self) -> bool {
        matches!(self.board.condition().state, ProjectionState::Error(_))
    }

    /// Whether it has seen the event at `position`.
    pub fn has_reached(&self, position: u64) -> bool {
        self.board.progress.borrow().position >= position
    }

    /// Whether it is paused, as far as this process knows.
    pub fn is_paused(&self) -> bool {
        self.board.condition().state == ProjectionState::Paused
    }

    /// Tries again to take in what was parked; answers how many events it could.
    pub async fn replay_parked(&self) -> Result<usize, Failure> {
        self.order(Order::ReplayParked).await
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> Order) -> Result<T, Failure> {
        let (done, outcome) = oneshot::channel();
        let ended = || Failure::unavailable("the projection has ended");
        self.orders.send(order(done)).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

impl<M: ReadModel> DeclaredProjection for TypedProjection<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn start(self: Arc<Self>, runtime: &Arc<Runtime>) -> Arc<ProjectionHandle> {
        let board = Arc::new(Board {
            progress: watch::Sender::default(),
            condition: Mutex::new(Condition { state: ProjectionState::Building, parked: 0 }),
            meter: ProjectionMeter::new(runtime.module, M::NAME),
        });
        let (orders, inbox) = mpsc::channel(1);
        runtime.spawn(follow::run::<M>(runtime.clone(), board.clone(), inbox));
        Arc::new(ProjectionHandle { name: M::NAME, board, head: runtime.store.head(), orders })
    }

    fn table(&self) -> Table {
        M::TABLE
    }

    fn kept_in(&self) -> KeptIn {
        M::KEPT_IN
    }

    fn rebuild(
        self: Arc<Self>,
        store: SharedStore,
        from: u64,
        mut progress: Box<dyn FnMut(u64, u64) + Send>,
    ) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async move {
            let mut builder = Follower::<M>::begin_rebuild(store.clone(), from).await?;
            let head = store.head();
            while builder.build().await? {
                progress(builder.position(), *head.borrow());
            }
            builder.finish_rebuild().await?;
            progress(builder.position(), *head.borrow());
            Ok(())
        })
    }

    fn replay_parked(self: Arc<Self>, store: SharedStore) -> BoxFuture<'static, Result<usize, Failure>> {
        Box::pin(async move { Ok(Follower::<M>::resume(store).await?.replay_parked_in_turn().await?) })
    }
}

fn declared(module: &Module, read_model: &str) -> Result<Arc<dyn DeclaredProjection>, Failure> {
    let declared = module.read_models.iter().find(|it| it.name() == read_model);
    declared.cloned().ok_or_else(|| Failure::not_found("read model", read_model))
}

/// Builds a read model anew from the events after `from`, in this process, telling position and head as it goes.
///
/// The service may be running; it answers from the old rows until the new ones are complete.
///
/// # Errors
/// The module has no such read model, or the store is out of reach.
pub async fn rebuild(
    module: &Module,
    store: SharedStore,
    read_model: &str,
    from: u64,
    progress: impl FnMut(u64, u64) + Send + 'static,
) -> Result<(), Failure> {
    declared(module, read_model)?.rebuild(store, from, Box::new(progress)).await
}

/// Empties a read model; a running service then takes everything in again.
///
/// # Errors
/// See [`rebuild`].
pub async fn reset(module: &Module, store: &SharedStore, read_model: &str) -> Result<(), Failure> {
    let declared = declared(module, read_model)?;
    Ok(store.reset_projection(declared.name(), declared.table()).await?)
}

/// Pauses a projection in every process, or lets it go on.
///
/// # Errors
/// See [`rebuild`].
pub async fn set_paused(module: &Module, store: &SharedStore, read_model: &str, paused: bool) -> Result<(), Failure> {
    Ok(store.set_paused(declared(module, read_model)?.name(), paused).await?)
}

/// The events that a read model could not take in.
///
/// # Errors
/// See [`rebuild`].
pub async fn parked(module: &Module, store: &SharedStore, read_model: &str) -> Result<Vec<ParkedEvent>, Failure> {
    Ok(store.parked(declared(module, read_model)?.name(), Generation::Live).await?)
}

/// Tries again to take in what a read model has parked; answers how many events it could.
///
/// # Errors
/// See [`rebuild`].
pub async fn replay_parked(module: &Module, store: &SharedStore, read_model: &str) -> Result<usize, Failure> {
    declared(module, read_model)?.replay_parked(store.clone()).await
}

/// How far the read models are as the store says, in the order of their declaration.
///
/// # Errors
/// The store is out of reach.
pub async fn list(module: &Module, store: &SharedStore) -> Result<Vec<ProjectionStatus>, Failure> {
    let head = *store.head().borrow();
    let mut statuses = Vec::new();
    for name in module.read_models() {
        let position = store.checkpoint(name, Generation::Live).await?;
        let parked = store.parked(name, Generation::Live).await?.len();
        let state = match store.projection(name).await? {
            ProjectionRecord { paused: true, .. } => ProjectionState::Paused,
            ProjectionRecord { rebuilding: true, .. } => ProjectionState::Building,
            _ if position < head => ProjectionState::Building,
            _ => ProjectionState::Active,
        };
        statuses.push(ProjectionStatus { name, state, position, head, parked });
    }
    Ok(statuses)
}
