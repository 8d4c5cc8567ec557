//! Projections: each keeps one read model by following the log.
//!
//! `follow` is the task of one projection; `follower` takes in batches of events, exactly once, because rows and
//! checkpoint are written in one transaction; `batch` turns events into changed rows; `rebuild` is about rebuilds.

mod anew;
mod batch;
mod follow;
mod follower;
mod rebuild;

use std::marker::PhantomData;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use self::follow::Order;
pub(crate) use self::follower::Log;
use self::follower::{Follower, ends_before};
use self::rebuild::Begun;
use crate::dispatch::Runtime;
use crate::failure::Failure;
use crate::module::Module;
use crate::read_model::{KeptIn, ReadModel, Table};
use crate::replay::Replay;
pub use crate::store::Rebuild;
use crate::store::{
    Generation, ParkedEvent, ProjectionError, ProjectionRecord, RebuildRecord, SharedStore, StoreError,
};
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

    /// Builds it anew, in this process; tells position and head as it goes.
    fn rebuild(
        self: Arc<Self>,
        log: Log,
        begin: Rebuild,
        progress: Box<dyn FnMut(u64, u64) + Send>,
    ) -> BoxFuture<'static, Result<(), Failure>>;

    /// Tries again to take in what is parked, in this process; answers how many events it could.
    fn replay_parked(self: Arc<Self>, log: Log, of: Replay) -> BoxFuture<'static, Result<usize, Failure>>;
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
    /// Whether it is known, and one in this log.
    pub known: bool,
}

impl Progress {
    fn has_reached(self, position: u64) -> bool {
        self.known && self.position >= position
    }
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
    /// The rebuild that was begun last, if the store was asked and knows of one.
    pub rebuild: Option<RebuildRecord>,
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
    condition: watch::Sender<Condition>,
    meter: ProjectionMeter,
}

/// The part of a status that is seldom read.
struct Condition {
    state: ProjectionState,
    parked: usize,
}

impl Board {
    fn set_state(&self, state: ProjectionState) {
        self.condition.send_if_modified(|it| {
            let changed = it.state != state;
            it.state = state;
            changed
        });
    }

    fn set_parked(&self, parked: usize) {
        self.condition.send_if_modified(|it| std::mem::replace(&mut it.parked, parked) != parked);
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
        let Condition { state, parked } = &*self.board.condition.borrow();
        ProjectionStatus {
            name: self.name,
            state: state.clone(),
            position: self.board.progress.borrow().position,
            head: *self.head.borrow(),
            parked: *parked,
            rebuild: None,
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
        progress.wait_for(|progress| progress.has_reached(position)).await.is_ok()
    }

    /// Builds the read model anew beside the live one, and puts it in its place.
    pub async fn rebuild(&self, begin: Rebuild) -> Result<(), Failure> {
        self.order(|done| Order::Rebuild(begin, done)).await
    }

    /// Empties the read model and takes everything in again.
    pub async fn reset(&self) -> Result<(), Failure> {
        self.order(Order::Reset).await
    }

    /// Takes nothing in any more, or goes on.
    pub async fn set_paused(&self, paused: bool) -> Result<(), Failure> {
        self.order(|done| Order::Pause(paused, done)).await
    }

    /// Waits until it cannot go on.
    pub async fn until_failed(&self) {
        let mut condition = self.board.condition.subscribe();
        // The board is in `self`, so that it doesn't end before.
        let _ = condition.wait_for(|it| matches!(it.state, ProjectionState::Error(_))).await;
    }

    /// Whether it has seen the event at `position`.
    pub fn has_reached(&self, position: u64) -> bool {
        self.board.progress.borrow().has_reached(position)
    }

    /// Whether it is paused, as far as this process knows.
    pub fn is_paused(&self) -> bool {
        self.board.condition.borrow().state == ProjectionState::Paused
    }

    /// Tries again to take in what was parked of these events; answers how many it could.
    pub async fn replay_parked(&self, of: Replay) -> Result<usize, Failure> {
        self.order(|done| Order::ReplayParked(of, done)).await
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
            condition: watch::Sender::new(Condition { state: ProjectionState::Building, parked: 0 }),
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
        log: Log,
        begin: Rebuild,
        mut progress: Box<dyn FnMut(u64, u64) + Send>,
    ) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async move {
            let begun = Begun::new::<M>(&log, begin).await?;
            let built = async {
                let mut builder = begun.build::<M>(&log, &mut progress).await?;
                builder.finish_rebuild().await?;
                let head = *log.store.head().borrow();
                progress(builder.position(), head);
                Ok::<_, ProjectionError>(())
            };
            match built.await {
                Ok(()) => Ok(()),
                Err(error) => begun.give_up::<M>(&log.store, error).await,
            }
        })
    }

    fn replay_parked(self: Arc<Self>, log: Log, of: Replay) -> BoxFuture<'static, Result<usize, Failure>> {
        Box::pin(async move { Ok(Follower::<M>::resume(log).await?.replay_parked_in_turn(&of).await?) })
    }
}

fn declared(module: &Module, read_model: &str) -> Result<Arc<dyn DeclaredProjection>, Failure> {
    let declared = module.read_models.iter().find(|it| it.name() == read_model);
    declared.cloned().ok_or_else(|| Failure::not_found("read model", read_model))
}

/// Saves a copy of a read model as it is, for [`Rebuild::FromSnapshot`]; answers with its position.
///
/// # Errors
/// See [`rebuild()`].
pub async fn save(module: &Module, store: &SharedStore, read_model: &str) -> Result<u64, Failure> {
    let declared = declared(module, read_model)?;
    Ok(store.save_copy(declared.name(), declared.table()).await?)
}

/// Builds a read model anew in this process, telling position and head as it goes: from the events after a position, or
/// from what [`Rebuild`] says.
///
/// The service may be running; it answers from the old rows until the new ones are complete.
///
/// # Errors
/// The module has no such read model, no snapshot of it has been saved, or the store is out of reach.
pub async fn rebuild(
    module: &Module,
    store: SharedStore,
    read_model: &str,
    begin: impl Into<Rebuild>,
    progress: impl FnMut(u64, u64) + Send + 'static,
) -> Result<(), Failure> {
    let log = Log { store, batch: module.projection_batch };
    declared(module, read_model)?.rebuild(log, begin.into(), Box::new(progress)).await
}

/// Empties a read model; a running service then takes everything in again.
///
/// # Errors
/// See [`rebuild()`].
pub async fn reset(module: &Module, store: &SharedStore, read_model: &str) -> Result<(), Failure> {
    let declared = declared(module, read_model)?;
    Ok(store.reset_projection(declared.name(), declared.table()).await?)
}

/// Pauses a projection in every process, or lets it go on.
///
/// # Errors
/// See [`rebuild()`].
pub async fn set_paused(module: &Module, store: &SharedStore, read_model: &str, paused: bool) -> Result<(), Failure> {
    Ok(store.set_paused(declared(module, read_model)?.name(), paused).await?)
}

/// The events that a read model could not take in.
///
/// # Errors
/// See [`rebuild()`].
pub async fn parked(module: &Module, store: &SharedStore, read_model: &str) -> Result<Vec<ParkedEvent>, Failure> {
    Ok(store.parked(declared(module, read_model)?.name(), Generation::Live).await?)
}

/// Tries again to take in what a read model has parked of these events; answers how many it could.
///
/// # Errors
/// See [`rebuild()`].
pub async fn replay_parked(
    module: &Module,
    store: &SharedStore,
    read_model: &str,
    of: &Replay,
) -> Result<usize, Failure> {
    let log = Log { store: store.clone(), batch: module.projection_batch };
    declared(module, read_model)?.replay_parked(log, of.clone()).await
}

/// How far the read models are as the store says, in the order of their declaration; what keeps one of them may be out of
/// reach.
pub async fn list(module: &Module, store: &SharedStore) -> Vec<ProjectionStatus> {
    let head = *store.head().borrow();
    let mut statuses = Vec::new();
    for name in module.read_models() {
        statuses.push(status(name, head, store).await.unwrap_or_else(|error| {
            tracing::warn!(read_model = name, %error, "cannot be asked");
            let state = ProjectionState::Error("out of reach".to_owned());
            ProjectionStatus { name, state, position: 0, head, parked: 0, rebuild: None }
        }));
    }
    statuses
}

async fn status(name: &'static str, head: u64, store: &SharedStore) -> Result<ProjectionStatus, StoreError> {
    let checkpoint = store.checkpoint(name, Generation::Live).await?;
    let other_log = ends_before(store, checkpoint).await?;
    let position = if other_log { 0 } else { checkpoint };
    let parked = store.parked(name, Generation::Live).await?.len();
    let record = store.projection(name).await?;
    let state = match record {
        _ if other_log => ProjectionState::Error(ProjectionError::OtherLog.to_string()),
        ProjectionRecord { paused: true, .. } => ProjectionState::Paused,
        ProjectionRecord { rebuilding: true, .. } => ProjectionState::Building,
        _ if position < head => ProjectionState::Building,
        _ => ProjectionState::Active,
    };
    Ok(ProjectionStatus { name, state, position, head, parked, rebuild: record.rebuild })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_only_of_what_has_changed() {
        let board = Board {
            progress: watch::Sender::default(),
            condition: watch::Sender::new(Condition { state: ProjectionState::Building, parked: 0 }),
            meter: ProjectionMeter::new("shop", "Products"),
        };
        let mut condition = board.condition.subscribe();
        let mut is_told = |parked, state| {
            board.set_parked(parked);
            board.set_state(state);
            let told = condition.has_changed().expect("the board is there");
            condition.mark_unchanged();
            told
        };
        assert!(!is_told(0, ProjectionState::Building));
        assert!(is_told(1, ProjectionState::Building));
        assert!(!is_told(1, ProjectionState::Building));
        assert!(is_told(1, ProjectionState::Active));
    }
}
