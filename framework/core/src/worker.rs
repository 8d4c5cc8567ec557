//! Executes accepted commands: in order for each aggregate, several aggregates at once.
//!
//! Each aggregate with waiting commands has a lane, a task that lives as long as there are any. What is accepted is
//! in the store already; what lanes hold in memory may be lost with the process: another process that shares the
//! store, or the next start, adopts it. Two may then execute the same command; one of them settles it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::dispatch::{BoundCommand, Runtime};
use crate::event::StreamId;
use crate::failure::{Failure, FailureKind, codes};
use crate::flood::Flood;
use crate::store::{
    AcceptedCommand, COMMANDS_ARE_ADOPTED_EVERY, CommandOutcome, CommandStatus, CommitError, Settlement, StoreError,
    Unit,
};
use crate::telemetry;

/// How often who waits for an outcome looks whether another process has recorded it.
const LOOK_AROUND: Duration = Duration::from_millis(200);

/// The workers of a running module; clones share them.
#[derive(Clone)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Arc<Runtime>,
    commands: HashMap<&'static str, Arc<dyn BoundCommand>>,
    /// What this process is called among those that share the store.
    name: Mutex<Uuid>,
    /// Whether commands may have been stored under that name that this process doesn't know of.
    lost_track: AtomicBool,
    lanes: Mutex<Lanes>,
    /// Bounds how many lanes execute at the same time; it is fair, so that no lane starves.
    permits: Semaphore,
    pending: Arc<Pending>,
    listeners: Mutex<HashMap<Uuid, Arc<Notify>>>,
    /// Counts outcomes that this process has recorded.
    outcomes: watch::Sender<u64>,
}

/// What waits and what is being executed.
#[derive(Default)]
struct Lanes {
    by_stream: HashMap<StreamId, VecDeque<Waiting>>,
    ids: HashSet<Uuid>,
}

/// A command in its lane.
struct Waiting {
    command: AcceptedCommand,
    _place: Place,
}

/// How many commands are accepted and have no outcome.
struct Pending {
    count: watch::Sender<usize>,
    gauge: Gauge,
}

/// A place in the queue; free again when dropped.
pub(crate) struct Place(Arc<Pending>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.send_modify(|count| *count -= 1);
        self.0.gauge.decrement(1.0);
    }
}

impl Pending {
    fn take(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let taken = self.count.send_if_modified(|count| {
            let free = *count < limit;
            *count += usize::from(free);
            free
        });
        taken.then(|| {
            self.gauge.increment(1.0);
            Place(self.clone())
        })
    }
}

/// What became of a command.
enum Carried {
    /// It has its outcome.
    Settled,
    /// The process stops; it is executed after the next start.
    Left,
}

impl Workers {
    /// Starts with what was accepted before and has no outcome yet.
    pub async fn start(runtime: Arc<Runtime>, commands: &[Arc<dyn BoundCommand>]) -> Result<Self, StoreError> {
        let pending =
            Arc::new(Pending { count: watch::Sender::new(0), gauge: telemetry::pending_commands(runtime.module) });
        let shared = Shared {
            commands: commands.iter().map(|command| (command.spec().name, command.clone())).collect(),
            name: Mutex::new(Uuid::now_v7()),
            lost_track: AtomicBool::new(false),
            lanes: Mutex::default(),
            permits: Semaphore::new(runtime.options.workers.max(1)),
            pending,
            listeners: Mutex::default(),
            outcomes: watch::Sender::new(0),
            runtime,
        };
        let workers = Self { shared: Arc::new(shared) };
        workers.adopt().await?;
        workers.shared.runtime.spawn(keep_adopting(workers.clone()));
        Ok(workers)
    }

    /// Takes up accepted commands that nobody alive looks after.
    async fn adopt(&self) -> Result<(), StoreError> {
        let Shared { runtime, pending, .. } = &*self.shared;
        let adopted = runtime.store.adopt_commands(self.shared.name()).await;
        // Some may be adopted although the answer got lost.
        for command in adopted.inspect_err(|_| self.lose_track())? {
            let place = pending.take(usize::MAX).expect("there is no limit");
            self.enqueue(command, place);
        }
        Ok(())
    }

    /// Notes that a command may be stored that isn't enqueued and never will be.
    pub fn lose_track(&self) {
        self.shared.lost_track.store(true, Ordering::Release);
    }

    /// What the workers run in.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.shared.runtime
    }

    /// The command of that stable name.
    pub fn command(&self, name: &str) -> Option<&Arc<dyn BoundCommand>> {
        self.shared.commands.get(name)
    }

    /// Counts outcomes that this process has recorded.
    pub fn outcomes(&self) -> watch::Receiver<u64> {
        self.shared.outcomes.subscribe()
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    /// There is none.
    pub fn reserve(&self) -> Result<Place, Failure> {
        let limit = self.shared.runtime.options.max_pending_commands;
        self.shared.pending.take(limit).ok_or_else(|| Failure::unavailable("too many commands are waiting"))
    }

    /// Lets a stored command be executed after all others of its aggregate, unless it is enqueued already.
    pub fn enqueue(&self, command: AcceptedCommand, place: Place) {
        let stream = StreamId::new(&command.aggregate, &command.aggregate_id);
        let waiting = Waiting { command, _place: place };
        let mut lanes = self.shared.lanes();
        if !lanes.ids.insert(waiting.command.id) {
            return;
        }
        match lanes.by_stream.get_mut(&stream) {
            Some(lane) => lane.push_back(waiting),
            None => {
                lanes.by_stream.insert(stream.clone(), VecDeque::from([waiting]));
                self.shared.runtime.spawn(run_lane(self.shared.clone(), stream));
            }
        }
    }

    /// Waits for the outcome of a command, but not longer than `patience` or until the service closes.
    pub async fn await_outcome(&self, id: Uuid, patience: Duration) -> Result<Option<CommandStatus>, Failure> {
        let shared = &self.shared;
        let listener = Listener::new(shared, id);
        let told = listener.notify.notified();
        tokio::pin!(told);
        // Listens from here on, so that an outcome between the look and the wait isn't missed.
        told.as_mut().enable();
        let deadline = Instant::now() + patience;
        loop {
            let status = shared.runtime.store.command_status(id).await?;
            let waits = status.as_ref().is_some_and(|status| status.outcome.is_none());
            if !waits || Instant::now() >= deadline {
                return Ok(status);
            }
            // Another process may execute it: nobody tells of that.
            let look = deadline.min(Instant::now() + LOOK_AROUND);
            if shared.runtime.unless_closing(timeout_at(look, told.as_mut())).await.is_none() {
                return Ok(status);
            }
        }
    }

    /// How many commands are accepted and have no outcome, and whether further ones are refused.
    pub fn pending(&self) -> (usize, bool) {
        let pending = *self.shared.pending.count.borrow();
        (pending, pending >= self.shared.runtime.options.max_pending_commands)
    }

    /// Waits until every accepted command has its outcome.
    pub async fn idle(&self) {
        let mut pending = self.shared.pending.count.subscribe();
        pending.wait_for(|count| *count == 0).await.expect("the sender is in `self`");
    }

    /// Lets the lanes run empty, but not longer than `patience`.
    pub async fn drain(&self, patience: Duration) {
        if tokio::time::timeout(patience, self.idle()).await.is_err() {
            let (pending, _) = self.pending();
            tracing::info!(pending, "accepted commands are left for the next start");
        }
    }
}

/// Somebody who waits for an outcome; the entry goes with the last one.
struct Listener<'a> {
    shared: &'a Shared,
    id: Uuid,
    notify: Arc<Notify>,
}

impl<'a> Listener<'a> {
    fn new(shared: &'a Shared, id: Uuid) -> Self {
        let notify = shared.listeners().entry(id).or_default().clone();
        Self { shared, id, notify }
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        let mut listeners = self.shared.listeners();
        // The entry and this listener.
        if Arc::strong_count(&self.notify) == 2 {
            listeners.remove(&self.id);
        }
    }
}

impl Shared {
    /// What this process is called from now on: something else if it has lost track.
    fn name(&self) -> Uuid {
        let mut name = self.name.lock().expect("nothing panics while it holds the lock");
        if self.lost_track.swap(false, Ordering::AcqRel) {
            *name = Uuid::now_v7();
        }
        *name
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().expect("nothing panics while it holds the lock")
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Notify>>> {
        self.listeners.lock().expect("nothing panics while it holds the lock")
    }

    /// The next command of a lane; the lane ends when there is none.
    fn next(&self, stream: &StreamId) -> Option<Waiting> {
        let mut lanes = self.lanes();
        let next = lanes.by_stream.get_mut(stream)?.pop_front();
        if next.is_none() {
            lanes.by_stream.remove(stream);
        }
        next
    }

    /// Executes a command until it has its outcome.
    async fn carry_out(&self, command: &AcceptedCommand) -> Carried {
        // An outage says nothing of the command, and counts for itself.
        let (mut attempts, mut outages) = (0, 0);
        loop {
            let failure = match self.execute(command).await {
                Ok(()) => return Carried::Settled,
                Err(failure) => failure,
            };
            let outage = is_store_out_of_reach(&failure);
            let count = if outage { &mut outages } else { &mut attempts };
            *count += 1;
            let attempt = *count;
            let wait = self.runtime.options.retries.after(attempt as usize);
            let wait = wait.filter(|_| worth_trying_again(&failure));
            if !outage && wait.is_none() {
                return self.settle_failure(command, failure).await;
            }
            self.tell_of_another_try(command, &failure, attempt);
            telemetry::worker_retries(self.runtime.module, &command.name);
            let waited = match wait {
                Some(wait) if !outage => self.runtime.unless_stopping(tokio::time::sleep(wait)).await,
                _ => self.runtime.unless_stopping(self.runtime.wait_for_store(attempt)).await,
            };
            if waited.is_none() {
                return Carried::Left;
            }
        }
    }

    fn tell_of_another_try(&self, command: &AcceptedCommand, failure: &Failure, attempt: u32) {
        static TRYING_AGAIN: Flood = Flood::new();
        let kind = self.commands.get(command.name.as_str()).map_or("", |bound| bound.spec().name);
        match TRYING_AGAIN.admits(kind) {
            Some(left_out) => tracing::warn!(command = command.name, %failure, attempt, left_out, "trying again"),
            None => tracing::debug!(command = command.name, %failure, attempt, "trying again"),
        }
    }

    async fn execute(&self, command: &AcceptedCommand) -> Result<(), Failure> {
        let _permit = self.permits.acquire().await.expect("never closed");
        match self.commands.get(command.name.as_str()) {
            Some(bound) => bound.execute_accepted(command).await,
            None => Err(Failure::unimplemented(&command.name)),
        }
    }

    /// Records why a command failed for good; tries until it is recorded or the process stops.
    async fn settle_failure(&self, command: &AcceptedCommand, failure: Failure) -> Carried {
        static NOT_RECORDED: Flood = Flood::new();
        let outcome = CommandOutcome::Failed {
            code: failure.code.into_owned(),
            message: failure.message,
            retryable: failure.retryable,
            event: failure.event.map(|event| (event.0, event.1.into())),
        };
        for attempt in 1.. {
            let settlement = Settlement { command_id: command.id, outcome: outcome.clone() };
            match self.runtime.store.commit(Unit { settle: Some(settlement), ..Unit::default() }).await {
                Ok(_) => {
                    telemetry::worker_failures(self.runtime.module, &command.name);
                    return Carried::Settled;
                }
                Err(CommitError::Settled) => return Carried::Settled,
                Err(error) => {
                    if let Some(left_out) = NOT_RECORDED.admits("outcome") {
                        tracing::error!(command = command.name, %error, left_out, "cannot record an outcome yet");
                    }
                }
            }
            if self.runtime.unless_stopping(self.runtime.wait_for_store(attempt)).await.is_none() {
                return Carried::Left;
            }
        }
        unreachable!("attempts are without end")
    }
}

/// Shows that this process lives, and takes up what others have left behind.
async fn keep_adopting(workers: Workers) {
    static FAILED: Flood = Flood::new();
    let runtime = workers.runtime().clone();
    while runtime.unless_stopping(tokio::time::sleep(COMMANDS_ARE_ADOPTED_EVERY)).await.is_some() {
        if let Some(Err(error)) = runtime.unless_stopping(workers.adopt()).await
            && let Some(left_out) = FAILED.admits("adopt")
        {
            tracing::warn!(%error, left_out, "cannot look for commands that others have left behind");
        }
    }
}

/// Executes the commands of one aggregate, one after the other, until there are none.
async fn run_lane(shared: Arc<Shared>, stream: StreamId) {
    while let Some(waiting) = shared.next(&stream) {
        if shared.runtime.is_stopping() {
            return;
        }
        match shared.carry_out(&waiting.command).await {
            Carried::Settled => {
                shared.lanes().ids.remove(&waiting.command.id);
                shared.outcomes.send_modify(|count| *count += 1);
                if let Some(listener) = shared.listeners().remove(&waiting.command.id) {
                    listener.notify_waiters();
                }
            }
            Carried::Left => return,
        }
    }
}

fn is_store_out_of_reach(failure: &Failure) -> bool {
    failure.kind == FailureKind::Unavailable && failure.code == codes::UNAVAILABLE
}

fn worth_trying_again(failure: &Failure) -> bool {
    failure.retryable || failure.kind == FailureKind::Unavailable
}
