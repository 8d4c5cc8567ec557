//! Moves what is in the write-ahead log into the database file, without letting commits wait for it.
//!
//! A thread copies pages while the writer goes on (a passive checkpoint). Under steady load it never catches up
//! completely, and only then can the log begin anew; so when the log has become large, the writer copies the few
//! pages that are left, between two transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use crate::OpenError;
use crate::connection::open_checkpointer;
use crate::dsn::Dsn;

/// Pages of 4 KiB that are worth copying.
const WORTHWHILE: usize = 1_000;

/// Pages that the log may have before the writer helps.
const TOO_MANY: usize = 16_000;

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
        let own = open_checkpointer(dsn)?;
        let (wake, woken) = sync_channel(1);
        let handle = thread::Builder::new()
            .name("potter-checkpointer".to_owned())
            .spawn(move || serve(&own, &woken))
            .map_err(OpenError::Thread)?;
        watch.thread = Some(Thread { wake, handle });
        Ok(watch)
    }

    /// To be called between transactions.
    pub(crate) fn after_commit(&mut self, connection: &Connection) {
        let Some(Thread { wake, .. }) = &self.thread else { return };
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
        if pages >= TOO_MANY && pages >= self.helped + WORTHWHILE {
            self.helped = pages;
            copy(connection);
        }
    }

    /// Ends the thread and its connection.
    pub(crate) fn stop(self) {
        let Some(Thread { wake, handle }) = self.thread else { return };
        drop(wake);
        if handle.join().is_err() {
            tracing::error!("the checkpointer has panicked");
        }
    }
}

fn serve(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        copy(connection);
    }
}

/// Copies whatever no reader needs in the log any more; one that is going on elsewhere will do as well.
fn copy(connection: &Connection) {
    let result = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = result {
        tracing::warn!(%error, "a checkpoint failed");
    }
}
