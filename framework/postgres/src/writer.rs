//! The one task that writes to the log.
//!
//! It takes everything that is waiting into one transaction and answers after the commit (group commit): one round
//! trip, one wait for the disk, however many commands there are. The transaction is one statement, so the server
//! decides by itself under the lock, and a process that freezes holds nobody up.
//!
//! When the connection breaks in the middle, nobody knows whether the transaction was committed. The task connects
//! again and asks for its receipt; what was written is answered as such, the rest is written again. Only if the server
//! stays away are callers told that it isn't known.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use potter_core::store::{Claim, ClaimKey, CommitError, Committed, RecordedClaim, StoreError, Unit};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use crate::batch::{COMMIT, Columns, Outcome, Rivals, Verdict, bytes, command_of, is_late};
use crate::connection::{Connection, Connector, is_bad_data, is_refusal, told};
use crate::head::Head;
use crate::pool::{away, closed};

/// As many may wait; one more is told to come again.
const QUEUE: usize = 16 * 1024;

/// A transaction takes no more in when it has that many units or bytes: whoever came first should not wait longer.
const UNITS_AT_ONCE: usize = 512;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// How long commands fail at once after an attempt to connect has failed.
const PAUSE: Duration = Duration::from_millis(250);

/// What is answered is on the disk, even if the database's default is otherwise.
const SETTINGS: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off';";

const RESOLVE: &str = "SELECT head, refused FROM potter_resolve($1)";

/// A unit, and who waits for it.
struct Task {
    unit: Box<Unit>,
    answer: oneshot::Sender<Result<Committed, Refusal>>,
}

/// Why a unit was not committed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something is recorded under the key; it is still to be read.
    Taken(ClaimKey),
    /// What the caller is told.
    Told(CommitError),
}

enum Job {
    Commit(Task),
    Close(oneshot::Sender<()>),
}

/// The task as the others see it.
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

/// Who looks after the commands that are accepted, once that is known.
pub(crate) type Node = Arc<Mutex<Option<Uuid>>>;

impl Writer {
    /// Begins, with a connection that the store has been opened with.
    pub(crate) async fn start(connector: Connector, head: Arc<Head>, node: Node) -> Result<Self, String> {
        let connection = Some(connector.connect(SETTINGS).await?);
        let (jobs, received) = mpsc::channel(QUEUE);
        let work = Work { connector, connection, head, node, pending: VecDeque::new(), failed_at: None };
        drop(tokio::spawn(work.serve(received)));
        Ok(Self { jobs })
    }

    /// Commits a unit together with whatever else is waiting.
    pub(crate) async fn commit(&self, unit: Unit) -> Result<Committed, Refusal> {
        let (answer, answered) = oneshot::channel();
        let task = Task { unit: Box::new(unit), answer };
        self.jobs.try_send(Job::Commit(task)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => failed("too many others are waiting for the database"),
            mpsc::error::TrySendError::Closed(_) => Refusal::Told(closed("commit").into()),
        })?;
        answered.await.unwrap_or_else(|_| Err(Refusal::Told(closed("commit").into())))
    }

    /// Finishes what has been sent before.
    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        // Both fail when it has been closed already.
        if self.jobs.send(Job::Close(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }
}

fn failed(reason: impl Into<String>) -> Refusal {
    Refusal::Told(StoreError::new("commit", reason.into()).into())
}

/// Units that are written together.
struct Batch {
    id: Uuid,
    tasks: Vec<Task>,
    /// Those that another of the batch decides about.
    held: Vec<Task>,
    begun: Instant,
}

/// How a batch went wrong.
enum Failure {
    /// The server has refused it: nothing was written.
    Refused { reason: String, bad_data: bool },
    /// Nobody knows.
    InDoubt(String),
}

struct Work {
    connector: Connector,
    connection: Option<Connection>,
    head: Arc<Head>,
    node: Node,
    pending: VecDeque<Task>,
    /// When the last attempt to connect failed.
    failed_at: Option<Instant>,
}

impl Work {
    async fn serve(mut self, mut jobs: mpsc::Receiver<Job>) {
        let closing = loop {
            if self.pending.is_empty() {
                match jobs.recv().await {
                    Some(Job::Commit(task)) => self.pending.push_back(task),
                    Some(Job::Close(answer)) => break Some(answer),
                    None => break None,
                }
            }
            let closing = self.gather(&mut jobs);
            self.write_pending().await;
            if closing.is_some() {
                while !self.pending.is_empty() {
                    self.write_pending().await;
                }
                break closing;
            }
        };
        drop(jobs);
        drop(self.connection);
        if let Some(answer) = closing {
            // Who closed the store may have gone meanwhile.
            let _ = answer.send(());
        }
    }

    /// Takes in what is waiting, up to the end of the queue or to whoever closes it.
    fn gather(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Option<oneshot::Sender<()>> {
        while self.pending.len() < UNITS_AT_ONCE {
            match jobs.try_recv() {
                Ok(Job::Commit(task)) => self.pending.push_back(task),
                Ok(Job::Close(answer)) => return Some(answer),
                Err(_) => return None,
            }
        }
        None
    }

    async fn write_pending(&mut self) {
        let Some(batch) = self.next_batch() else { return };
        if let Err(reason) = self.be_connected().await {
            self.pending.extend(batch.held);
            let waiting = batch.tasks.into_iter().chain(self.pending.drain(..));
            return waiting.for_each(|task| task.refuse(failed(reason.clone())));
        }
        match self.attempt(&batch).await {
            Ok(verdict) => self.finish(batch, &verdict),
            Err(Failure::Refused { reason, bad_data }) => self.refused(batch, &reason, bad_data).await,
            Err(Failure::InDoubt(reason)) => self.resolve(batch, &reason).await,
        }
    }

    /// What fits in one transaction, without what nobody waits for any longer: of an accepted command, for example, nobody
    /// would know that it is stored.
    fn next_batch(&mut self) -> Option<Batch> {
        let mut rivals = Rivals::default();
        let (mut admitted, mut written) = (Vec::with_capacity(self.pending.len()), 0);
        for task in &self.pending {
            if admitted.len() >= UNITS_AT_ONCE || written >= BYTES_AT_ONCE {
                break;
            }
            let admit = rivals.admit(&task.unit);
            written += if admit { bytes(&task.unit) } else { 0 };
            admitted.push(admit);
        }
        let mut batch = Batch { id: Uuid::now_v7(), tasks: Vec::new(), held: Vec::new(), begun: Instant::now() };
        for (task, admit) in self.pending.drain(..admitted.len()).zip(admitted) {
            if is_late(&task.unit) || task.answer.is_closed() {
                task.refuse(Refusal::Told(CommitError::Expired));
            } else if admit {
                batch.tasks.push(task);
            } else {
                batch.held.push(task);
            }
        }
        if batch.tasks.is_empty() {
            // Those that were held have nobody to wait for.
            batch.held.drain(..).rev().for_each(|task| self.pending.push_front(task));
            return None;
        }
        Some(batch)
    }

    async fn be_connected(&mut self) -> Result<(), String> {
        if self.connection.as_ref().is_some_and(|connection| !connection.is_closed()) {
            return Ok(());
        }
        self.connection = None;
        if self.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(format!("{} is away", self.connector.dsn));
        }
        match self.connector.connect(SETTINGS).await {
            Ok(connection) => {
                (self.connection, self.failed_at) = (Some(connection), None);
                Ok(())
            }
            Err(reason) => {
                let reason = away(&self.connector, &reason);
                if self.failed_at.replace(Instant::now()).is_none() {
                    tracing::error!(reason, "commands fail until PostgreSQL is back");
                }
                Err(reason)
            }
        }
    }

    async fn attempt(&self, batch: &Batch) -> Result<Verdict, Failure> {
        let Some(connection) = &self.connection else { return Err(Failure::InDoubt("not connected".to_owned())) };
        let node = *self.node.lock().expect("nothing panics while it holds the lock");
        let columns = Columns::of(batch.id, node, batch.units());
        let parameters = columns.parameters();
        let patience = self.connector.dsn.patience;
        let row = match timeout(patience, connection.row(COMMIT, &parameters)).await {
            Ok(Ok(row)) => row.ok_or_else(|| Failure::InDoubt("an empty answer".to_owned()))?,
            Ok(Err(error)) if is_refusal(&error) || is_bad_data(&error) => {
                return Err(Failure::Refused { reason: told(&error), bad_data: is_bad_data(&error) });
            }
            Ok(Err(error)) => return Err(Failure::InDoubt(told(&error))),
            Err(_) => return Err(Failure::InDoubt(format!("no answer within {} s", patience.as_secs()))),
        };
        Verdict::read(&row).map_err(|error| Failure::InDoubt(told(&error)))
    }

    /// Answers everybody whose unit was decided about; the others go on waiting.
    fn finish(&mut self, batch: Batch, verdict: &Verdict) {
        let (outcomes, head) = verdict.outcomes(batch.units());
        self.head.publish(head);
        let mut held = batch.held;
        let mut again = Vec::new();
        for (task, outcome) in batch.tasks.into_iter().zip(outcomes) {
            if !held.is_empty() {
                decide(&mut held, &task.unit, outcome);
            }
            match outcome {
                Outcome::Refused => again.push(task),
                outcome => task.tell(outcome),
            }
        }
        again.into_iter().chain(held).rev().for_each(|task| self.pending.push_front(task));
    }

    /// One that the database chokes on must not take the others with it: each half is tried by itself.
    async fn refused(&mut self, batch: Batch, reason: &str, bad_data: bool) {
        tracing::error!(reason, units = batch.tasks.len(), "PostgreSQL has refused a transaction");
        let Batch { mut tasks, held, .. } = batch;
        if !bad_data || tasks.len() == 1 {
            held.into_iter().rev().for_each(|task| self.pending.push_front(task));
            return tasks.into_iter().for_each(|task| task.refuse(failed(reason)));
        }
        let second = tasks.split_off(tasks.len() / 2);
        let rest: Vec<Task> = self.pending.drain(..).collect();
        for half in [tasks, second] {
            self.pending.extend(half);
            while !self.pending.is_empty() {
                Box::pin(self.write_pending()).await;
            }
        }
        self.pending.extend(held.into_iter().chain(rest));
    }

    /// Finds out what became of a batch, for as long as its callers have patience.
    async fn resolve(&mut self, batch: Batch, reason: &str) {
        tracing::warn!(reason, units = batch.tasks.len(), "a transaction is in doubt");
        self.connection = None;
        let patience = self.connector.dsn.patience;
        let until = (batch.begun + patience).max(Instant::now() + patience / 2);
        match timeout(until - Instant::now(), self.receipt(batch.id)).await {
            Ok(Some(verdict)) => self.finish(batch, &verdict),
            Ok(None) => {
                let tasks = batch.tasks.into_iter().chain(batch.held);
                tasks.rev().for_each(|task| self.pending.push_front(task));
            }
            Err(_) => {
                self.failed_at = Some(Instant::now());
                tracing::error!(reason, units = batch.tasks.len(), "commands fail until PostgreSQL is back");
                let unknown = format!("the connection broke, whether it was written isn't known: {reason}");
                batch.tasks.into_iter().for_each(|task| task.refuse(failed(unknown.clone())));
                batch.held.into_iter().for_each(|task| task.refuse(failed(reason)));
            }
        }
    }

    /// What was written of a batch; `None`: nothing, and nothing ever will be.
    async fn receipt(&mut self, batch: Uuid) -> Option<Verdict> {
        loop {
            match self.ask_for_receipt(batch).await {
                Ok(verdict) => return verdict,
                Err(reason) => tracing::debug!(reason, "no receipt yet"),
            }
            self.connection = None;
            tokio::time::sleep(PAUSE / 5).await;
        }
    }

    async fn ask_for_receipt(&mut self, batch: Uuid) -> Result<Option<Verdict>, String> {
        let connection = self.connector.connect(SETTINGS).await?;
        let row = connection.row(RESOLVE, &[&batch]).await.map_err(|error| told(&error))?;
        let row = row.ok_or_else(|| "no answer".to_owned())?;
        let head: Option<i64> = row.try_get(0).map_err(|error| told(&error))?;
        let refused: Option<Vec<i32>> = row.try_get(1).map_err(|error| told(&error))?;
        self.connection = Some(connection);
        Ok(head.map(|head| Verdict::of_receipt(head.cast_unsigned(), refused.unwrap_or_default())))
    }
}

impl Batch {
    fn units(&self) -> impl Iterator<Item = &Unit> {
        self.tasks.iter().map(|task| &*task.unit)
    }
}

impl Task {
    fn tell(self, outcome: Outcome) {
        let refusal = match outcome {
            // Whoever waited may have gone meanwhile, here and below.
            Outcome::Written(position) => return drop(self.answer.send(Ok(Committed { position }))),
            Outcome::Claimed => return self.tell_taken(),
            Outcome::Settled => CommitError::Settled,
            Outcome::Conflict(actual) => CommitError::Conflict { actual },
            Outcome::Refused => unreachable!("such a unit is written again"),
        };
        self.refuse(Refusal::Told(refusal));
    }

    fn tell_taken(self) {
        let key = self.unit.claim.map(|claim| claim.key);
        let refusal = key.map_or_else(|| failed("a claim is taken that wasn't made"), Refusal::Taken);
        drop(self.answer.send(Err(refusal)));
    }

    fn refuse(self, refusal: Refusal) {
        drop(self.answer.send(Err(refusal)));
    }
}

/// Answers those of `held` that what became of `unit` decides about.
fn decide(held: &mut Vec<Task>, unit: &Unit, outcome: Outcome) {
    let claim = unit.claim.as_ref();
    let settles = |task: &Task| task.unit.settle.is_some() && task.unit.claim.is_none();
    for task in std::mem::take(held) {
        let same_claim = claim.is_some_and(|claim| task.unit.claim.as_ref().is_some_and(|it| it.key == claim.key));
        let same_command = command_of(unit).is_some() && command_of(&task.unit) == command_of(unit);
        match outcome {
            Outcome::Written(_) if same_claim => task.refuse(claim.map_or_else(|| failed("no claim"), recorded)),
            Outcome::Claimed if same_claim => task.tell_taken(),
            Outcome::Written(_) if same_command && settles(&task) && unit.settle.is_some() => {
                task.tell(Outcome::Settled);
            }
            Outcome::Settled if same_command && settles(&task) => task.tell(Outcome::Settled),
            _ => held.push(task),
        }
    }
}

/// What has just been recorded under a claim.
fn recorded(claim: &Claim) -> Refusal {
    let Claim { request_hash, reply, .. } = claim;
    Refusal::Told(CommitError::Claimed(RecordedClaim { request_hash: *request_hash, reply: reply.clone() }))
}
