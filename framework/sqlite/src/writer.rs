//! The one thread that writes.
//!
//! It takes everything that is waiting into one transaction and answers after the commit (group commit): the disk is
//! waited for once, however many commands there are. Positions are assigned while the transaction holds the
//! database's write lock, so they are gap-free and in commit order whoever else writes to the same file.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use potter_core::store::{CommitError, Committed, ProjectionBatch, ProjectionError, Snapshot, StoreError, Unit};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::OpenError;
use crate::checkpoint::Checkpoints;
use crate::connection::open_writer;
use crate::dsn::Dsn;
use crate::readers::{Act, closed};
use crate::rows;
use crate::unit::{self, Statements};

/// As many may wait; one more is told to come again.
const QUEUE: usize = 16 * 1024;

/// A transaction takes no more in when it has that many tasks or bytes: whoever came first should not wait longer.
const TASKS_AT_ONCE: usize = 512;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// How often a writer without work looks whether another process has written.
const LOOK_AROUND: Duration = Duration::from_millis(50);

/// What the thread is asked to do.
pub(crate) enum Job {
    /// In a transaction together with others.
    Shared(Task),
    /// Between transactions.
    Alone(Act),
    /// Nothing more.
    Close(oneshot::Sender<()>),
}

/// What shares transactions, and who waits for it.
pub(crate) enum Task {
    Commit(Box<Unit>, oneshot::Sender<Result<Committed, CommitError>>),
    Project(Box<ProjectionBatch>, oneshot::Sender<Result<(), ProjectionError>>),
    Save(Box<Snapshot>, oneshot::Sender<Result<(), StoreError>>),
}

/// What came of a task, to be told after the commit.
enum Outcome {
    Committed(Result<Committed, CommitError>),
    Projected(Result<(), ProjectionError>),
    Saved,
}

/// A transaction that failed.
struct Failure {
    /// The task that it failed at; none if it was the transaction as such.
    at: Option<usize>,
    error: rusqlite::Error,
}

/// The thread as the others see it.
pub(crate) struct Writer {
    jobs: SyncSender<Job>,
    head: watch::Receiver<u64>,
}

impl Writer {
    pub(crate) fn open(dsn: &Dsn) -> Result<Self, OpenError> {
        let mut connection = open_writer(dsn)?;
        let head = read_head(&connection)
            .map_err(|source| OpenError::Database { path: dsn.describe(), source: Box::new(source) })?;
        let checkpoints = Checkpoints::watch(dsn, &mut connection)?;
        let (publish, head) = watch::channel(head);
        let (jobs, received) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("potter-writer".to_owned())
            .spawn(move || run(connection, checkpoints, &received, publish))
            .map_err(OpenError::Thread)?;
        Ok(Self { jobs, head })
    }

    pub(crate) fn head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    pub(crate) fn send(&self, operation: &'static str, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::new(operation, "too many others are waiting for the database"),
            TrySendError::Disconnected(_) => closed(operation),
        })
    }

    /// Finishes what has been sent before, and releases the database.
    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        let mut job = Job::Close(answer);
        while let Err(TrySendError::Full(refused)) = self.jobs.try_send(job) {
            job = refused;
            tokio::task::yield_now().await;
        }
        // Fails when it has been closed already.
        let _ = answered.await;
    }
}

fn read_head(connection: &Connection) -> rusqlite::Result<u64> {
    Statements::prepare(connection)?.head()
}

fn run(connection: Connection, mut checkpoints: Checkpoints, jobs: &Receiver<Job>, head: watch::Sender<u64>) {
    let closing = serve(&connection, &mut checkpoints, jobs, head);
    checkpoints.stop();
    // The last connection to go empties the log and removes its file.
    drop(connection);
    if let Some(answer) = closing {
        // Who closed the store may have gone meanwhile.
        let _ = answer.send(());
    }
}

/// Works until it is told to close (answers with whom to tell) or nobody is left who could send anything.
fn serve(
    connection: &Connection,
    checkpoints: &mut Checkpoints,
    jobs: &Receiver<Job>,
    head: watch::Sender<u64>,
) -> Option<oneshot::Sender<()>> {
    let mut transactions = match Statements::prepare(connection) {
        Ok(statements) => Transactions { statements, head },
        Err(error) => {
            tracing::error!(%error, "the writer cannot prepare its statements");
            return None;
        }
    };
    let mut next = None;
    loop {
        let job = match next.take() {
            Some(job) => job,
            None => match jobs.recv_timeout(LOOK_AROUND) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    transactions.look_around();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            },
        };
        match job {
            Job::Shared(task) => next = transactions.share(task, jobs),
            Job::Alone(act) => {
                act(connection);
                transactions.statements.versions.forget();
            }
            Job::Close(answer) => return Some(answer),
        }
        next = next.or_else(|| jobs.try_recv().ok());
        checkpoints.after_commit(connection, next.is_none());
    }
}

struct Transactions<'c> {
    statements: Statements<'c>,
    head: watch::Sender<u64>,
}

impl Transactions<'_> {
    /// Commits the task together with what is waiting; answers with the job that could not join.
    fn share(&mut self, first: Task, jobs: &Receiver<Job>) -> Option<Job> {
        let mut left_over = None;
        let mut tasks = Vec::with_capacity(64);
        tasks.push(first);
        let mut result = self.attempt(&mut tasks, || match jobs.try_recv() {
            Ok(Job::Shared(task)) => Some(task),
            Ok(job) => {
                left_over = Some(job);
                None
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        });
        // One that the database chokes on must not take the others with it.
        while let Err(Failure { at: Some(at), error }) = &result {
            tasks.remove(*at).fail(&error.to_string());
            result = self.attempt(&mut tasks, || None);
        }
        match result {
            Ok((outcomes, head)) => {
                self.publish(head);
                tasks.into_iter().zip(outcomes).for_each(|(task, outcome)| task.answer(outcome));
            }
            Err(failure) => {
                let reason = failure.error.to_string();
                tracing::error!(error = reason, "a transaction failed");
                tasks.into_iter().for_each(|task| task.fail(&reason));
            }
        }
        left_over
    }

    /// One transaction with the tasks and what `more` adds to them; answers with what came of each and the head.
    fn attempt(
        &mut self,
        tasks: &mut Vec<Task>,
        mut more: impl FnMut() -> Option<Task>,
    ) -> Result<(Vec<Outcome>, u64), Failure> {
        let of_transaction = |error| Failure { at: None, error };
        let connection = self.statements.connection();
        let transaction = Rollback::begin(connection).map_err(of_transaction)?;
        let mut head = self.statements.head().map_err(of_transaction)?;
        self.statements.versions.begin(head);
        let mut outcomes = Vec::with_capacity(tasks.len().max(64));
        let mut bytes = 0;
        loop {
            let at = outcomes.len();
            if at == tasks.len() {
                let full = at >= TASKS_AT_ONCE || bytes >= BYTES_AT_ONCE;
                match if full { None } else { more() } {
                    Some(task) => tasks.push(task),
                    None => break,
                }
            }
            bytes += tasks[at].bytes();
            outcomes.push(self.execute(&tasks[at], &mut head).map_err(|error| Failure { at: Some(at), error })?);
        }
        transaction.commit().map_err(of_transaction)?;
        self.statements.versions.committed(head);
        Ok((outcomes, head))
    }

    /// What the task itself is to be told is an outcome; an error says that the database failed.
    fn execute(&mut self, task: &Task, head: &mut u64) -> rusqlite::Result<Outcome> {
        Ok(match task {
            Task::Commit(unit, _) => Outcome::Committed(match self.statements.write(unit, head) {
                Ok(()) => Ok(Committed { position: *head }),
                Err(unit::Refused::Unit(error)) => Err(error),
                Err(unit::Refused::Database(error)) => return Err(error),
            }),
            Task::Project(batch, _) => {
                Outcome::Projected(match rows::write_batch(self.statements.connection(), batch) {
                    Ok(()) => Ok(()),
                    Err(rows::Refused::Batch(error)) => Err(error),
                    Err(rows::Refused::Database(error)) => return Err(error),
                })
            }
            Task::Save(snapshot, _) => {
                self.statements.save_snapshot(snapshot)?;
                Outcome::Saved
            }
        })
    }

    /// Another process may have written to the file.
    fn look_around(&mut self) {
        match self.statements.head() {
            Ok(head) => self.publish(head),
            Err(error) => tracing::warn!(%error, "cannot read the head of the log"),
        }
    }

    fn publish(&self, head: u64) {
        self.head.send_if_modified(|known| std::mem::replace(known, head) != head);
    }
}

/// A transaction that is rolled back unless it is committed.
struct Rollback<'c>(&'c Connection);

impl<'c> Rollback<'c> {
    fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        // An earlier rollback may have failed, for example with a broken disk.
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK")?;
        }
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self(connection))
    }

    fn commit(self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for Rollback<'_> {
    fn drop(&mut self) {
        // After some failures SQLite has rolled back by itself; a rollback that fails is tried again by the next.
        if !self.0.is_autocommit()
            && let Err(error) = self.0.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "cannot roll back");
        }
    }
}

impl Task {
    /// Tells whoever waits; that one may have gone meanwhile.
    fn answer(self, outcome: Outcome) {
        match (self, outcome) {
            (Self::Commit(_, answer), Outcome::Committed(result)) => drop(answer.send(result)),
            (Self::Project(_, answer), Outcome::Projected(result)) => drop(answer.send(result)),
            (Self::Save(_, answer), Outcome::Saved) => drop(answer.send(Ok(()))),
            (Self::Commit(..) | Self::Project(..) | Self::Save(..), _) => {
                unreachable!("a task's outcome is of its own kind")
            }
        }
    }

    fn fail(self, reason: &str) {
        match self {
            Self::Commit(_, answer) => drop(answer.send(Err(unit::commit_failure(reason)))),
            Self::Project(_, answer) => {
                drop(answer.send(Err(StoreError::new("commit a projection", reason).into())));
            }
            Self::Save(_, answer) => drop(answer.send(Err(StoreError::new("save a snapshot", reason)))),
        }
    }

    /// About how much it writes.
    fn bytes(&self) -> usize {
        match self {
            Self::Commit(unit, _) => {
                let events = unit.append.iter().flat_map(|append| &append.events);
                events.map(|event| event.payload.len()).sum::<usize>()
                    + unit.claim.as_ref().map_or(0, |claim| claim.reply.body.len())
                    + unit.accept.as_ref().map_or(0, |command| command.request.len())
            }
            Self::Project(batch, _) => batch.put.iter().map(|change| 2 * change.row.len()).sum(),
            Self::Save(snapshot, _) => snapshot.state.len(),
        }
    }
}
