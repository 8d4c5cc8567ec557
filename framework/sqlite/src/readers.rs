//! Reads: on threads of their own, so that no query waits for a commit and none blocks the async runtime.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use potter_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::OpenError;
use crate::connection::open_reader;
use crate::dsn::Dsn;
use crate::writer::{Job, Writer};

/// Enough to keep a small machine busy; a slow search occupies one of them.
const THREADS: usize = 4;

/// Something to do with a connection.
pub(crate) type Act = Box<dyn FnOnce(&Connection) + Send>;

/// What one of the threads is asked to do.
pub(crate) enum Ask {
    /// To read.
    Act(Act),
    /// To release its connection and end.
    Stop(oneshot::Sender<()>),
}

/// Who reads.
pub(crate) enum Readers {
    /// Threads with a connection each.
    Threads(Sender<Ask>),
    /// A database in memory has only the writer's connection; it is read between transactions.
    Writer,
}

impl Readers {
    pub(crate) fn open(dsn: &Dsn) -> Result<Self, OpenError> {
        if *dsn == Dsn::Memory {
            return Ok(Self::Writer);
        }
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..THREADS {
            let (connection, receiver) = (open_reader(dsn)?, Arc::clone(&receiver));
            thread::Builder::new()
                .name(format!("potter-reader-{number}"))
                .spawn(move || serve(connection, &receiver))
                .map_err(OpenError::Thread)?;
        }
        Ok(Self::Threads(sender))
    }

    /// Reads, and answers when that is done.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        writer: &Writer,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let act: Act = Box::new(move |connection| {
            // Who asked may have gone meanwhile.
            let _ = answer.send(read(connection));
        });
        match self {
            Self::Threads(sender) => sender.send(Ask::Act(act)).map_err(|_| closed(operation))?,
            Self::Writer => writer.send(operation, Job::Alone(act))?,
        }
        let result = answered.await.map_err(|_| closed(operation))?;
        result.map_err(|error| StoreError::new(operation, error))
    }

    /// Ends the threads, each after what it is doing, and waits for that.
    pub(crate) async fn close(&self) {
        let Self::Threads(sender) = self else { return };
        for _ in 0..THREADS {
            let (answer, answered) = oneshot::channel();
            // Both fail when all have stopped already.
            if sender.send(Ask::Stop(answer)).is_err() || answered.await.is_err() {
                return;
            }
        }
    }
}

fn serve(connection: Connection, asked: &Mutex<Receiver<Ask>>) {
    loop {
        let next = asked.lock().expect("nothing panics while it holds the lock").recv();
        match next {
            Ok(Ask::Act(act)) => act(&connection),
            Ok(Ask::Stop(answer)) => {
                drop(connection);
                // Who closes the store may have gone meanwhile.
                let _ = answer.send(());
                return;
            }
            Err(_) => return,
        }
    }
}

/// What is told when the store has been closed.
pub(crate) fn closed(operation: &'static str) -> StoreError {
    StoreError::new(operation, "the store is closed")
}
