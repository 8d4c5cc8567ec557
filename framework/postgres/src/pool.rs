//! Connections for whoever reads, projects or administrates: a bounded number of them, each lent to one at a time.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{Gauge, gauge};
use potter_core::store::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_postgres::Error;

use crate::connection::{Connection, Connector, failure};

/// The server gives up what nobody waits for any more; derived data may be lost with the last moments before a crash
/// of the server, together with the checkpoint that says so, and is then derived again.
const SETTINGS: &str = "SET synchronous_commit = off;";

/// Connections that nobody uses, and how many there may be.
pub(crate) struct Pool {
    connector: Connector,
    idle: Mutex<Vec<Arc<Connection>>>,
    permits: Semaphore,
    size: u32,
    meter: Meter,
}

/// What is counted of connections: `potter_pool_connections`, how many there may be; `potter_pool_in_use`, those that are lent;
/// `potter_pool_waiting`, callers that wait for one. Each has the label `pool`: what the database is for.
struct Meter {
    in_use: Gauge,
    waiting: Gauge,
}

impl Meter {
    fn new(pool: &'static str, size: u32) -> Self {
        gauge!("potter_pool_connections", "pool" => pool).set(f64::from(size));
        Self {
            in_use: gauge!("potter_pool_in_use", "pool" => pool),
            waiting: gauge!("potter_pool_waiting", "pool" => pool),
        }
    }
}

/// One more, for as long as this is there.
struct Counted(Gauge);

impl Counted {
    fn one(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A connection that is lent.
pub(crate) struct Lent<'p> {
    pool: &'p Pool,
    connection: Arc<Connection>,
    /// Whether it goes back: not while something is going on, which may be broken off.
    clean: bool,
    _permit: SemaphorePermit<'p>,
    _counted: Counted,
}

impl Pool {
    /// `name` is that of its metrics.
    pub(crate) fn new(name: &'static str, connector: Connector) -> Self {
        let size = u32::try_from(connector.dsn.connections).unwrap_or(u32::MAX);
        let permits = Semaphore::new(connector.dsn.connections);
        Self { connector, idle: Mutex::default(), permits, size, meter: Meter::new(name, size) }
    }

    /// Does something that may be done twice, within the time that callers have; again if the connection turns out to
    /// be broken, as all are after a restart of the server.
    pub(crate) async fn read<T, F>(
        &self,
        operation: &'static str,
        act: impl Fn(Arc<Connection>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let patience = self.connector.dsn.patience;
        let attempts = async {
            loop {
                let lent = self.lend(operation).await?;
                let fresh = lent.connection.is_unused();
                match lent.run(&act).await {
                    Err(error) if error.is_closed() && !fresh => continue,
                    result => return result.map_err(|error| failure(operation, &error)),
                }
            }
        };
        timeout(patience, attempts).await.unwrap_or_else(|_| Err(slow(operation, patience)))
    }

    /// Does something once, however long it takes.
    pub(crate) async fn act<T, E: From<StoreError>, F>(
        &self,
        operation: &'static str,
        act: impl Fn(Arc<Connection>) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.lend(operation).await?.run(&act).await
    }

    async fn lend(&self, operation: &'static str) -> Result<Lent<'_>, StoreError> {
        let patience = self.connector.dsn.patience;
        let waiting = Counted::one(&self.meter.waiting);
        let permit = match timeout(patience, self.permits.acquire()).await {
            Ok(permit) => permit.map_err(|_| closed(operation))?,
            Err(_) => return Err(StoreError::new(operation, self.busy())),
        };
        drop(waiting);
        let counted = Counted::one(&self.meter.in_use);
        let connection = match self.take_idle() {
            Some(connection) => connection,
            None => Arc::new(self.connect().await.map_err(|reason| StoreError::new(operation, reason))?),
        };
        Ok(Lent { pool: self, connection, clean: true, _permit: permit, _counted: counted })
    }

    fn take_idle(&self) -> Option<Arc<Connection>> {
        let mut idle = self.idle.lock().expect("nothing panics while it holds the lock");
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.is_closed())
    }

    async fn connect(&self) -> Result<Connection, String> {
        let limit = format!("SET statement_timeout = {};", 30 * self.connector.dsn.patience.as_millis());
        let connected = self.connector.connect(&format!("{SETTINGS}{limit}")).await;
        connected.map_err(|reason| away(&self.connector, &reason))
    }

    fn busy(&self) -> String {
        format!("all {} connections are busy; `pool_size` in DATABASE_DSN says how many there may be", self.size)
    }

    /// Waits until nobody uses a connection, and closes all.
    pub(crate) async fn close(&self) {
        // Fails when it has been closed already.
        let all = self.permits.acquire_many(self.size).await;
        self.permits.close();
        drop(all);
        self.idle.lock().expect("nothing panics while it holds the lock").clear();
    }
}

impl Lent<'_> {
    async fn run<T, F: Future<Output = T>>(mut self, act: &impl Fn(Arc<Connection>) -> F) -> T {
        self.clean = false;
        let result = act(self.connection.clone()).await;
        self.clean = true;
        result
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if self.clean && !self.connection.is_closed() {
            let connection = self.connection.clone();
            self.pool.idle.lock().expect("nothing panics while it holds the lock").push(connection);
        }
    }
}

/// What is told when the store has been closed.
pub(crate) fn closed(operation: &'static str) -> StoreError {
    StoreError::new(operation, "the store is closed")
}

/// What is told when the server cannot be reached.
pub(crate) fn away(connector: &Connector, reason: &str) -> String {
    format!("cannot connect to {}: {reason}", connector.dsn)
}

fn slow(operation: &'static str, patience: Duration) -> StoreError {
    StoreError::new(operation, format!("PostgreSQL hasn't answered within {} s", patience.as_secs()))
}
