//! The task of one projection: follow the log, obey orders, tell how it goes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};

use super::follower::Follower;
use super::{Board, ProjectionState};
use crate::backoff::backoff;
use crate::dispatch::Runtime;
use crate::failure::Failure;
use crate::panics;
use crate::read_model::ReadModel;
use crate::store::{ProjectionError, SharedStore, StoreError};

/// What a projection may be told to do.
pub(super) enum Order {
    /// Build the read model anew.
    Rebuild(oneshot::Sender<Result<(), Failure>>),
    /// Try again what was parked.
    ReplayParked(oneshot::Sender<Result<usize, Failure>>),
}

/// Follows the log until the service stops.
pub(super) async fn run<M: ReadModel>(runtime: Arc<Runtime>, board: Arc<Board>, orders: mpsc::Receiver<Order>) {
    let task = AssertUnwindSafe(Task::<M>::run(runtime, board.clone(), orders));
    if let Err(panic) = task.catch_unwind().await {
        let reason = format!("ended by a bug: {}", panics::message(&*panic));
        tracing::error!(read_model = M::NAME, reason, "a projection has ended");
        board.set_state(ProjectionState::Error(reason));
    }
}

struct Task<M: ReadModel> {
    runtime: Arc<Runtime>,
    board: Arc<Board>,
    head: watch::Receiver<u64>,
    follower: Follower<M>,
    orders: mpsc::Receiver<Order>,
    rebuild: Option<Rebuild<M>>,
    failures: u32,
    /// Whether the read model has been up to date since the start.
    caught_up: bool,
}

/// A next generation that is being built in a task of its own.
struct Rebuild<M: ReadModel> {
    built: oneshot::Receiver<Result<Follower<M>, Failure>>,
    done: oneshot::Sender<Result<(), Failure>>,
}

/// What comes after a wait.
enum Woken<M: ReadModel> {
    /// There may be more to take in.
    Events,
    Order(Order),
    Built(Result<Follower<M>, Failure>),
    Stop,
}

impl<M: ReadModel> Task<M> {
    async fn run(runtime: Arc<Runtime>, board: Arc<Board>, orders: mpsc::Receiver<Order>) {
        let Some(follower) = resume(&runtime, &board).await else { return };
        let head = runtime.store.head();
        let mut task = Self { runtime, board, head, follower, orders, rebuild: None, failures: 0, caught_up: false };
        task.tell();
        task.follow().await;
    }

    async fn follow(&mut self) {
        loop {
            let wait = self.advance().await;
            match self.wake(wait).await {
                Woken::Events => {}
                Woken::Order(Order::Rebuild(done)) => self.begin_rebuild(done),
                Woken::Order(Order::ReplayParked(done)) => self.replay_parked(done).await,
                Woken::Built(built) => self.adopt(built).await,
                Woken::Stop => break,
            }
        }
        if let Err(error) = self.follower.keep_checkpoint().await {
            tracing::warn!(read_model = M::NAME, %error, "cannot keep the checkpoint; some events will be read again");
        }
    }

    /// Takes in a batch; says how to wait before the next.
    async fn advance(&mut self) -> Wait {
        self.head.mark_unchanged();
        let advanced = match self.follower.advance().await {
            Err(ProjectionError::Moved { .. }) => self.follower.reload().await.map(|()| true),
            Err(ProjectionError::Store(error)) => Err(error),
            Err(error @ ProjectionError::NotUnique { .. }) => Err(StoreError::new("take in events", error)),
            Ok(more) => Ok(more),
        };
        match advanced {
            Ok(more) => {
                self.failures = 0;
                self.tell();
                if more { Wait::Not } else { Wait::ForEvents }
            }
            Err(error) => {
                tracing::error!(read_model = M::NAME, %error, "a projection cannot go on now");
                self.board.set_state(ProjectionState::Error("the store is out of reach".to_owned()));
                self.failures += 1;
                Wait::For(backoff(self.failures))
            }
        }
    }

    async fn wake(&mut self, wait: Wait) -> Woken<M> {
        if self.runtime.is_stopping() {
            return Woken::Stop;
        }
        let waited = async {
            match wait {
                Wait::Not => {}
                Wait::ForEvents => {
                    // The store, and with it the sender, lives as long as the runtime does.
                    let _ = self.head.changed().await;
                }
                Wait::For(time) => tokio::time::sleep(time).await,
            }
        };
        tokio::select! {
            biased;
            order = self.orders.recv() => order.map_or(Woken::Stop, Woken::Order),
            built = built(&mut self.rebuild) => Woken::Built(built),
            woken = self.runtime.unless_stopping(waited) => woken.map_or(Woken::Stop, |()| Woken::Events),
        }
    }

    /// Tells how far the read model is; changes come no later than the position that they belong to.
    fn tell(&mut self) {
        let head = *self.runtime.store.head().borrow();
        let position = self.follower.position();
        self.board.progress.send_if_modified(|progress| {
            let changed = progress.position != position || progress.changes != self.follower.changes;
            (progress.position, progress.changes) = (position, self.follower.changes);
            changed
        });
        self.board.meter.events.absolute(self.follower.taken_in);
        self.board.meter.lag.set(head.saturating_sub(position) as f64);
        self.caught_up |= position >= head;
        self.board.set_parked(self.follower.parked());
        self.board.set_state(match self.rebuild {
            None if self.caught_up => ProjectionState::Active,
            _ => ProjectionState::Building,
        });
    }

    fn begin_rebuild(&mut self, done: oneshot::Sender<Result<(), Failure>>) {
        if self.rebuild.is_some() {
            let _ = done.send(Err(Failure::unavailable("the read model is being rebuilt already")));
            return;
        }
        let (sender, built) = oneshot::channel();
        let runtime = self.runtime.clone();
        self.runtime.spawn(async move {
            if let Some(follower) = runtime.unless_stopping(build::<M>(runtime.store.clone())).await {
                let _ = sender.send(follower);
            }
        });
        self.rebuild = Some(Rebuild { built, done });
        self.tell();
    }

    /// Puts the next generation in place of the live one. Nothing is taken in meanwhile, so that the position that was
    /// told stays true.
    async fn adopt(&mut self, built: Result<Follower<M>, Failure>) {
        let Some(Rebuild { done, .. }) = self.rebuild.take() else { return };
        let adopted = match built {
            Ok(builder) => self.replace(builder).await,
            Err(failure) => Err(failure),
        };
        self.tell();
        // Who asked for it may have gone.
        let _ = done.send(adopted);
    }

    async fn replace(&mut self, mut builder: Follower<M>) -> Result<(), Failure> {
        builder.finish_rebuild().await?;
        builder.changes += self.follower.changes;
        builder.taken_in += self.follower.taken_in;
        self.follower = builder;
        Ok(())
    }

    async fn replay_parked(&mut self, done: oneshot::Sender<Result<usize, Failure>>) {
        let replayed = self.follower.replay_parked().await;
        if matches!(replayed, Err(ProjectionError::Moved { .. })) {
            // The next batch finds the same and reloads.
            tracing::warn!(read_model = M::NAME, "somebody else moved the checkpoint");
        }
        self.tell();
        let _ = done.send(replayed.map_err(Failure::from));
    }
}

/// How to wait before the next batch.
enum Wait {
    Not,
    ForEvents,
    For(Duration),
}

/// Finds out where the read model is; tries until the store answers or the service stops.
async fn resume<M: ReadModel>(runtime: &Runtime, board: &Board) -> Option<Follower<M>> {
    for attempt in 1.. {
        match runtime.unless_stopping(Follower::resume(runtime.store.clone())).await? {
            Ok(follower) => return Some(follower),
            Err(error) => {
                tracing::error!(read_model = M::NAME, %error, "a projection cannot begin");
                board.set_state(ProjectionState::Error("the store is out of reach".to_owned()));
            }
        }
        runtime.unless_stopping(tokio::time::sleep(backoff(attempt))).await?;
    }
    None
}

/// Builds the next generation until it has caught up for the first time.
async fn build<M: ReadModel>(store: SharedStore) -> Result<Follower<M>, Failure> {
    let mut builder = Follower::<M>::begin_rebuild(store).await?;
    while builder.advance().await? {}
    Ok(builder)
}

/// What a rebuild has built; waits for ever when there is none.
async fn built<M: ReadModel>(rebuild: &mut Option<Rebuild<M>>) -> Result<Follower<M>, Failure> {
    match rebuild {
        Some(Rebuild { built, .. }) => {
            built.await.unwrap_or_else(|_| Err(Failure::unavailable("the rebuild has ended early")))
        }
        None => std::future::pending().await,
    }
}
