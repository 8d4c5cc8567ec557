//! The task of one projection: follow the log, obey orders, tell how it goes.
//!
//! Several processes may share a store. One of them leads: it takes events in. The others stand by: they watch the
//! checkpoint, and when it stands still although events wait, one of them takes the lead. Nobody needs a clock or a
//! lease for that, because the checkpoint fences: who believes to lead and doesn't is told so by its next commit, and
//! nothing of that is written. A process that was frozen or cut off therefore does no harm when it comes back.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::follower::{Follower, Log, Seen};
use super::rebuild::Begun;
use super::{Board, Progress, ProjectionState};
use crate::backoff::backoff;
use crate::dispatch::Runtime;
use crate::failure::{Failure, FailureKind};
use crate::panics;
use crate::read_model::ReadModel;
use crate::replay::Replay;
use crate::store::{ProjectionError, ProjectionRecord, Rebuild, StoreError};

/// What a projection may be told to do.
pub(super) enum Order {
    /// Build the read model anew.
    Rebuild(Rebuild, Done<()>),
    /// Empty the read model and take everything in again.
    Reset(Done<()>),
    /// Take nothing in, or go on.
    Pause(bool, Done<()>),
    /// Try again what was parked of these events.
    ReplayParked(Replay, Done<usize>),
}

/// Whom to tell what came of an order; that one may have gone meanwhile.
type Done<T> = oneshot::Sender<Result<T, Failure>>;

/// How often a projection that stands by looks at the checkpoint while events wait.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long a checkpoint may stand still while events wait before somebody else takes the lead; a fraction of a second
/// more, another for each process, keeps them from doing it all at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a projection that is paused looks whether it still is.
const LOOK_WHETHER_PAUSED: Duration = Duration::from_secs(1);

/// How often to look whether somebody else has paused, emptied or replaced the read model, of which no event tells.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Follows the log until the service stops.
pub(super) async fn run<M: ReadModel>(runtime: Arc<Runtime>, board: Arc<Board>, mut orders: mpsc::Receiver<Order>) {
    for attempt in 1.. {
        let task = AssertUnwindSafe(Task::<M>::run(&runtime, &board, &mut orders));
        let Err(panic) = task.catch_unwind().await else { return };
        let reason = format!("a bug: {}", panics::message(&*panic));
        tracing::error!(read_model = M::NAME, reason, "a projection begins anew");
        board.set_state(ProjectionState::Error(reason));
        if runtime.unless_stopping(tokio::time::sleep(backoff(attempt))).await.is_none() {
            return;
        }
    }
}

struct Task<'r, M: ReadModel> {
    runtime: &'r Arc<Runtime>,
    board: &'r Board,
    head: watch::Receiver<u64>,
    follower: Follower<M>,
    orders: &'r mut mpsc::Receiver<Order>,
    role: Role,
    building: Option<Building<M>>,
    failures: u32,
    /// How long the checkpoint may stand still.
    patience: Duration,
    /// Whether nothing may be taken in, as far as is known.
    paused: bool,
    /// Whether the read model has been up to date since the start.
    caught_up: bool,
    /// When there was last a look at what others do.
    looked_around: Instant,
}

/// What a process does for a read model.
enum Role {
    /// Takes events in.
    Leads,
    /// Watches the one that does.
    StandsBy {
        /// Since when the checkpoint stands still although events wait.
        still_since: Option<Instant>,
    },
}

/// A next generation that is being built in a task of its own.
struct Building<M: ReadModel> {
    built: oneshot::Receiver<Result<Option<Built<M>>, Failure>>,
    done: Done<()>,
    /// How often it could not be put in place.
    failures: u32,
}

/// A next generation that has caught up.
struct Built<M: ReadModel> {
    begun: Begun,
    builder: Box<Follower<M>>,
}

/// What comes after a wait.
enum Woken<M: ReadModel> {
    /// There may be more to take in.
    Events,
    Order(Order),
    /// `None`: another process has finished the rebuild, or it could not go on.
    Built(Result<Option<Built<M>>, Failure>),
    Stop,
}

impl<'r, M: ReadModel> Task<'r, M> {
    async fn run(runtime: &'r Arc<Runtime>, board: &'r Board, orders: &'r mut mpsc::Receiver<Order>) {
        let Some((follower, record)) = resume(runtime, board).await else { return };
        let head = runtime.store.head();
        let mut task = Self {
            runtime,
            board,
            head,
            follower,
            orders,
            role: Role::Leads,
            building: None,
            failures: 0,
            patience: PATIENCE + Duration::from_millis(fastrand::u64(..256)),
            paused: record.paused,
            caught_up: false,
            looked_around: Instant::now(),
        };
        task.take_up_rebuild(record);
        task.tell();
        task.follow().await;
    }

    async fn follow(&mut self) {
        loop {
            let wait = self.advance().await;
            match self.wake(wait).await {
                Woken::Events => {}
                Woken::Order(order) => self.obey(order).await,
                Woken::Built(built) => self.adopt(built).await,
                Woken::Stop => break,
            }
        }
        if matches!(self.role, Role::Leads)
            && let Err(error) = self.follower.keep_checkpoint().await
        {
            tracing::warn!(read_model = M::NAME, %error, "cannot keep the checkpoint; some events will be read again");
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Rebuild(begin, done) => {
                let log = self.runtime.log();
                self.spawn_rebuild(async move { Begun::new::<M>(&log, begin).await.map(Some) }, done, 0);
            }
            Order::Reset(done) => {
                let reset = self.reset().await;
                let _ = done.send(reset.map_err(Failure::from));
            }
            Order::Pause(paused, done) => {
                let set = self.runtime.store.set_paused(M::NAME, paused).await;
                self.paused = paused && set.is_ok();
                let _ = done.send(set.map_err(Failure::from));
            }
            Order::ReplayParked(of, done) => {
                let replayed = self.follower.replay_parked_in_turn(&of).await;
                let _ = done.send(replayed.map_err(Failure::from));
            }
        }
        self.tell();
    }

    async fn reset(&mut self) -> Result<(), StoreError> {
        self.runtime.store.reset_projection(M::NAME, M::TABLE).await?;
        (self.role, self.caught_up) = (Role::Leads, false);
        self.follower.reload().await
    }

    /// Takes in a batch, or looks on; says how to wait before the next.
    async fn advance(&mut self) -> Wait {
        self.head.mark_unchanged();
        let advanced = match self.role {
            _ if self.paused => self.rest().await,
            _ if self.follower.compare_with_log().is_err() => self.wait_for_a_reset().await,
            Role::Leads => self.lead().await,
            Role::StandsBy { still_since } => self.look_on(still_since).await,
        };
        match advanced {
            Ok(wait) => {
                self.failures = 0;
                self.tell();
                wait
            }
            Err(error) => {
                self.failures += 1;
                if self.failures == 1 || self.failures.is_multiple_of(10) {
                    tracing::error!(read_model = M::NAME, %error, attempt = self.failures, "a projection cannot go on now");
                }
                // One failure may be the last: nobody who waits has to give up for it.
                if self.failures > 1 {
                    self.board.set_state(ProjectionState::Error("the store is out of reach".to_owned()));
                }
                Wait::ForStore(self.failures)
            }
        }
    }

    async fn lead(&mut self) -> Result<Wait, StoreError> {
        match self.take_in().await {
            Ok(true) => Ok(Wait::Not),
            Ok(false) => self.look_around().await,
            Err(ProjectionError::Moved { .. }) => {
                tracing::info!(read_model = M::NAME, "another process leads");
                self.role = Role::StandsBy { still_since: None };
                self.follower.reload().await.map(|()| Wait::Not)
            }
            Err(ProjectionError::Paused) => {
                tracing::info!(read_model = M::NAME, "paused");
                self.paused = true;
                Ok(Wait::Not)
            }
            Err(error) => Err(error.into_store("take in events")),
        }
    }

    /// Takes in what there is; when that is nothing, keeps now and then how far the log has been seen.
    async fn take_in(&mut self) -> Result<bool, ProjectionError> {
        let more = self.follower.advance().await?;
        if !more && self.is_time_to_look_around() {
            self.follower.keep_checkpoint().await?;
        }
        Ok(more)
    }

    async fn look_on(&mut self, still_since: Option<Instant>) -> Result<Wait, StoreError> {
        let seen = self.follower.look_on().await?;
        let still_since = (seen == Seen::Standstill).then(|| still_since.unwrap_or_else(Instant::now));
        self.role = Role::StandsBy { still_since };
        if still_since.is_some_and(|since| since.elapsed() >= self.patience) {
            self.take_the_lead().await?;
        }
        match seen {
            Seen::Everything => self.look_around().await,
            Seen::Strangers => Ok(Wait::Not),
            Seen::Progress | Seen::Standstill => Ok(Wait::For(LOOK_AGAIN)),
        }
    }

    /// Takes nothing in until it may.
    async fn rest(&mut self) -> Result<Wait, StoreError> {
        self.paused = self.runtime.store.projection(M::NAME).await?.paused;
        if self.paused {
            return Ok(Wait::For(LOOK_WHETHER_PAUSED));
        }
        tracing::info!(read_model = M::NAME, "goes on");
        self.follower.reload().await.map(|()| Wait::Not)
    }

    /// When there is nothing to take in, looks now and then at what the command line and other processes do.
    async fn look_around(&mut self) -> Result<Wait, StoreError> {
        if !self.is_time_to_look_around() {
            return Ok(Wait::ForEventsOr(LOOK_AROUND));
        }
        self.looked_around = Instant::now();
        let record = self.runtime.store.projection(M::NAME).await?;
        if self.follower.is_outdated(&record).await? {
            self.caught_up = false;
            self.follower.reload().await?;
            return Ok(Wait::Not);
        }
        if matches!(self.role, Role::StandsBy { .. }) {
            self.follower.look_at_parked().await?;
        }
        self.paused = record.paused;
        Ok(if self.paused { Wait::Not } else { Wait::ForEventsOr(LOOK_AROUND) })
    }

    /// Takes nothing in from a log that isn't the read model's.
    async fn wait_for_a_reset(&mut self) -> Result<Wait, StoreError> {
        match self.follower.remember_other_log().await {
            Ok(()) | Err(ProjectionError::Moved { .. } | ProjectionError::Paused) => self.look_around().await,
            Err(error) => Err(error.into_store("remember that the log is another one")),
        }
    }

    fn is_time_to_look_around(&self) -> bool {
        self.looked_around.elapsed() >= LOOK_AROUND
    }

    async fn take_the_lead(&mut self) -> Result<(), StoreError> {
        if let Role::StandsBy { .. } = self.role {
            tracing::info!(read_model = M::NAME, "taking the lead");
            self.follower.reload().await?;
            self.role = Role::Leads;
        }
        Ok(())
    }

    async fn wake(&mut self, wait: Wait) -> Woken<M> {
        if self.runtime.is_stopping() {
            return Woken::Stop;
        }
        let waited = async {
            match wait {
                Wait::Not => {}
                Wait::ForEventsOr(time) => drop(tokio::time::timeout(time, changed(&mut self.head)).await),
                Wait::For(time) => tokio::time::sleep(time).await,
                Wait::ForStore(attempt) => self.runtime.wait_for_store(attempt).await,
            }
        };
        tokio::select! {
            biased;
            order = self.orders.recv() => order.map_or(Woken::Stop, Woken::Order),
            built = built(&mut self.building) => Woken::Built(built),
            woken = self.runtime.unless_stopping(waited) => woken.map_or(Woken::Stop, |()| Woken::Events),
        }
    }

    /// Tells how far the read model is; changes come no later than the position that they belong to.
    fn tell(&mut self) {
        let head = *self.runtime.store.head().borrow();
        let other_log = self.follower.compare_with_log().err();
        // Of another log nothing has been seen.
        let position = if other_log.is_some() { 0 } else { self.follower.position() };
        let told = Progress { position, changes: self.follower.changes, known: other_log.is_none() };
        self.board.progress.send_if_modified(|progress| std::mem::replace(progress, told) != told);
        self.board.meter.events.absolute(self.follower.taken_in);
        self.board.meter.lag.set(head.saturating_sub(position) as f64);
        self.caught_up |= position >= head;
        self.board.set_parked(self.follower.parked());
        // An order that went well says nothing of whether events can be taken in again.
        if self.failures > 1 {
            return;
        }
        self.board.set_state(match self.building {
            None if let Some(error) = &other_log => ProjectionState::Error(error.to_string()),
            None if self.paused => ProjectionState::Paused,
            None if self.caught_up => ProjectionState::Active,
            _ => ProjectionState::Building,
        });
    }

    /// Goes on with a rebuild that was interrupted; the read model itself doesn't wait for that.
    fn take_up_rebuild(&mut self, record: ProjectionRecord) {
        if record.rebuilding || record.rebuild.as_ref().is_some_and(|it| it.end.is_none()) {
            tracing::info!(read_model = M::NAME, "a rebuild was interrupted");
            self.spawn_rebuild(broken_off::<M>(self.runtime.clone(), record), oneshot::channel().0, 0);
        }
    }

    /// Builds in a task of its own.
    fn spawn_rebuild(
        &mut self,
        begun: impl Future<Output = Result<Option<Begun>, Failure>> + Send + 'static,
        done: Done<()>,
        failures: u32,
    ) {
        if self.building.is_some() {
            let _ = done.send(Err(Failure::unavailable("the read model is being rebuilt already")));
            return;
        }
        let (sender, built) = oneshot::channel();
        let runtime = self.runtime.clone();
        self.runtime.spawn(async move {
            if let Some(built) = runtime.unless_stopping(build(begun, runtime.log())).await {
                let _ = sender.send(built);
            }
        });
        self.building = Some(Building { built, done, failures });
    }

    /// Puts the next generation in place of the live one. Nothing is taken in meanwhile, so that the position that was
    /// told stays true.
    async fn adopt(&mut self, built: Result<Option<Built<M>>, Failure>) {
        let Some(Building { done, failures, .. }) = self.building.take() else { return };
        let adopted = match built {
            Ok(Some(Built { begun, mut builder })) => match builder.finish_rebuild().await {
                Ok(()) => {
                    self.replace(*builder);
                    Ok(())
                }
                Err(ProjectionError::Store(error)) => {
                    tracing::error!(read_model = M::NAME, %error, "a rebuild cannot be finished now");
                    return self.try_again(begun, done, failures + 1);
                }
                Err(error) => begun.give_up::<M>(&self.runtime.store, error).await,
            },
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &adopted {
            tracing::error!(read_model = M::NAME, %failure, "a rebuild has failed");
        }
        self.tell();
        let _ = done.send(adopted);
    }

    fn try_again(&mut self, begun: Begun, done: Done<()>, failures: u32) {
        let runtime = self.runtime.clone();
        let after_a_while = async move {
            runtime.wait_for_store(failures).await;
            Ok(Some(begun))
        };
        self.spawn_rebuild(after_a_while, done, failures);
    }

    fn replace(&mut self, mut builder: Follower<M>) {
        builder.changes += self.follower.changes;
        builder.taken_in += self.follower.taken_in;
        self.follower = builder;
        self.role = Role::Leads;
    }
}

/// How to wait before the next batch.
enum Wait {
    Not,
    /// And no longer than that.
    ForEventsOr(Duration),
    For(Duration),
    /// It hasn't answered, that often in a row.
    ForStore(u32),
}

/// Waits for further events. Who tells of them ends when the store is closed: then nothing will come.
async fn changed(head: &mut watch::Receiver<u64>) {
    if head.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Finds out where the read model is; tries until the store answers or the service stops.
async fn resume<M: ReadModel>(runtime: &Runtime, board: &Board) -> Option<(Follower<M>, ProjectionRecord)> {
    for attempt in 1.. {
        match runtime.unless_stopping(known(runtime)).await? {
            Ok(known) => return Some(known),
            Err(error) => {
                tracing::error!(read_model = M::NAME, %error, "a projection cannot begin");
                board.set_state(ProjectionState::Error("the store is out of reach".to_owned()));
            }
        }
        runtime.unless_stopping(runtime.wait_for_store(attempt)).await?;
    }
    None
}

async fn known<M: ReadModel>(runtime: &Runtime) -> Result<(Follower<M>, ProjectionRecord), StoreError> {
    Ok((Follower::resume(runtime.log()).await?, runtime.store.projection(M::NAME).await?))
}

/// The rebuild that was broken off, if there is one; tries until the store answers.
async fn broken_off<M: ReadModel>(runtime: Arc<Runtime>, record: ProjectionRecord) -> Result<Option<Begun>, Failure> {
    for attempt in 1.. {
        match Begun::broken_off::<M>(&runtime.log(), record.clone()).await {
            Err(failure) if failure.kind == FailureKind::Unavailable => runtime.wait_for_store(attempt).await,
            known => return known,
        }
    }
    unreachable!("attempts are without end")
}

/// Builds the next generation, if there is one to be built, until it has caught up for the first time.
async fn build<M: ReadModel>(
    begun: impl Future<Output = Result<Option<Begun>, Failure>>,
    log: Log,
) -> Result<Option<Built<M>>, Failure> {
    let Some(begun) = begun.await? else { return Ok(None) };
    let built = begun.build_through_outages(&log).await?;
    Ok(built.map(|builder| Built { begun, builder: Box::new(builder) }))
}

/// What a rebuild has built; waits for ever when there is none.
async fn built<M: ReadModel>(building: &mut Option<Building<M>>) -> Result<Option<Built<M>>, Failure> {
    match building {
        Some(Building { built, .. }) => {
            built.await.unwrap_or_else(|_| Err(Failure::unavailable("the rebuild has ended early")))
        }
        None => std::future::pending().await,
    }
}
