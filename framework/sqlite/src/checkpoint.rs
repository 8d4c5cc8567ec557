//! Moves what is in the write-ahead log into the database file, without letting commits wait for it.
//!
//! A thread copies pages while the writer goes on (a passive checkpoint). Under steady load it never catches up
//! completely, and only then can the log begin anew; so when the log has some size, the writer copies the few pages
//! that are left, between two transactions. A log that begins anew overwrites its file from the start, and to sync
//! what is overwritten takes the disk far less time than what makes a file longer.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::OpenError;
use crate::connection::open_checkpointer;
use crate::dsn::Dsn;

/// Pages of 4 KiB that are worth copying.
const WORTHWHILE: usize = 1_000;

/// Bytes of a page in the log, its header included.
const FRAME: usize = 4096 + 24;

/// Pages that the log may have before the writer helps although others wait for it.
const TOO_MANY: usize = 4_000;

/// Watches the log for the writer.
pub(crate) struct Checkpoints {
    /// In the log after the last commit.
    pages: Arc<AtomicUsize>,
    /// In the log when the thread was woken last, or when the writer helped.
    asked: usize,
    helped: usize,
    thread: Option<Thread>,
}

struct Thread {
    wake: SyncSender<()>,
    copying: Arc<AtomicBool>,
    handle: JoinHandle<()>,
}

impl Checkpoints {
    /// For the writer's `connection`; a database in memory has no log, so nothing ever happens.
    pub(crate) fn watch(dsn: &Dsn, connection: &mut Connection) -> Result<Self, OpenError> {
        let pages = Arc::new(AtomicUsize::new(0));
        let mut watch = Self { pages: pages.clone(), asked: 0, helped: 0, thread: None };
        if *dsn == Dsn::Memory {
            return Ok(watch);
        }
        let note = move |_: &mut _, count: std::ffi::c_int| {
            pages.store(usize::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        connection
            .wal_hook(Some(note))
            .map_err(|source| OpenError::Database { path: dsn.describe(), source: Box::new(source) })?;
        if let Err(error) = make_log_long(dsn, connection) {
            tracing::warn!(%error, "cannot make the write-ahead log as long as it will be; commits begin slower");
        }
        let own = open_checkpointer(dsn)?;
        let (wake, woken) = sync_channel(1);
        let copying = Arc::new(AtomicBool::new(false));
        let told = copying.clone();
        let handle = thread::Builder::new()
            .name("potter-checkpointer".to_owned())
            .spawn(move || serve(&own, &woken, &told))
            .map_err(OpenError::Thread)?;
        watch.thread = Some(Thread { wake, copying, handle });
        Ok(watch)
    }

    /// To be called between transactions; `idle` says that nobody waits for the next.
    pub(crate) fn after_commit(&mut self, connection: &Connection, idle: bool) {
        let Some(Thread { wake, copying, .. }) = &self.thread else { return };
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.asked {
            // The log has begun anew.
            (self.asked, self.helped) = (0, 0);
        }
        if pages >= self.asked + WORTHWHILE {
            self.asked = pages;
            // When it is full, the thread has been woken already.
            let _ = wake.try_send(());
        }
        let enough = if idle { WORTHWHILE } else { TOO_MANY };
        // While the thread copies, there would be nothing to do but to wait for it.
        if pages >= enough.max(self.helped + WORTHWHILE) && !copying.load(Ordering::Acquire) {
            self.helped = pages;
            copy(connection);
        }
    }

    /// Ends the thread and its connection.
    pub(crate) fn stop(self) {
        let Some(Thread { wake, handle, .. }) = self.thread else { return };
        drop(wake);
        if handle.join().is_err() {
            tracing::error!("the checkpointer has panicked");
        }
    }
}

/// Fills the log's file with zeros up to the length that it will have soon anyway: until then every commit would have
/// to make it longer, which takes many disks ten times as long as to overwrite.
///
/// SQLite takes no notice of what follows its last frame, as it does after the log has begun anew. The transaction
/// keeps other processes from writing there meanwhile.
fn make_log_long(dsn: &Dsn, connection: &Connection) -> Result<(), Box<dyn std::error::Error>> {
    let Dsn::File(path) = dsn else { return Ok(()) };
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut file = OpenOptions::new().append(true).open(log)?;
    let missing = (WORTHWHILE * FRAME).saturating_sub(usize::try_from(file.metadata()?.len())?);
    file.write_all(&vec![0; missing])?;
    file.sync_all()?;
    transaction.rollback()?;
    Ok(())
}

fn serve(connection: &Connection, woken: &Receiver<()>, copying: &AtomicBool) {
    while woken.recv().is_ok() {
        copying.store(true, Ordering::Release);
        copy(connection);
        copying.store(false, Ordering::Release);
    }
}

/// Copies whatever no reader needs in the log any more; one that is going on elsewhere will do as well.
fn copy(connection: &Connection) {
    let result = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = result {
        tracing::warn!(%error, "a checkpoint failed");
    }
}
