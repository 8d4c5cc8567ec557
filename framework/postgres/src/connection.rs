//! One connection: how it is made, its statements, and the framework's tables.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use potter_core::store::StoreError;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Socket, Statement};

use crate::OpenError;
use crate::dsn::Dsn;
use crate::tls::{Stream, Tls};

/// What brings the tables from each version to the next; never changed once released, only added to.
const SCHEMA_STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema/2_causes_and_processed_events.sql"),
    include_str!("schema/3_rebuilds.sql"),
    include_str!("schema/4_old_commands.sql"),
];

/// How long to go on trying to connect for the first time, and how long to wait in between.
const OPENING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// Statements that a connection keeps prepared; more than a service has.
const STATEMENTS: usize = 256;

/// Whatever the database's defaults are: with a stricter isolation a transaction would not see what was committed
/// while it waited for a lock. Nothing in between two statements of a transaction takes long, unless the process is
/// frozen; then the server ends it, so that others need not wait.
const SESSION: &str = "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
    SET idle_in_transaction_session_timeout = '5s'; SET client_min_messages = warning;";

/// Parameters of a statement.
pub(crate) type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) dsn: Arc<Dsn>,
    tls: Tls,
}

/// A connection.
pub(crate) struct Connection {
    client: Client,
    statements: Mutex<HashMap<String, Statement>>,
}

/// What the driver calls a connection: whoever polls it moves bytes in both directions.
pub(crate) type Driver = tokio_postgres::Connection<Socket, Stream<Socket>>;

impl Connector {
    pub(crate) fn new(dsn: Dsn) -> Result<Self, OpenError> {
        let tls = Tls::new(&dsn.trust).map_err(|reason| OpenError::Dsn { dsn: dsn.to_string(), reason })?;
        Ok(Self { dsn: Arc::new(dsn), tls })
    }

    /// Connects for the first time: a server that is still starting, or a machine that is busy, gets a few seconds.
    pub(crate) async fn connect_patiently(&self) -> Result<Connection, String> {
        let until = Instant::now() + OPENING;
        loop {
            match self.dial(OPENING).await {
                Ok(dialed) => return self.begin_session(dialed, "").await.map_err(|error| told(&error)),
                Err(Unconnected { reason, for_good }) if for_good || Instant::now() >= until => return Err(reason),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Connects, and makes `settings` for the session.
    pub(crate) async fn connect(&self, settings: &str) -> Result<Connection, String> {
        let dialed = self.dial(self.limit()).await.map_err(|unconnected| unconnected.reason)?;
        self.begin_session(dialed, settings).await.map_err(|error| told(&error))
    }

    async fn begin_session(&self, (client, driver): (Client, Driver), settings: &str) -> Result<Connection, Error> {
        drop(tokio::spawn(async move {
            // Whoever waits for an answer is told as well, so this is only for the record.
            if let Err(error) = driver.await {
                tracing::debug!(error = told(&error), "a connection to PostgreSQL broke");
            }
        }));
        let connection = Connection { client, statements: Mutex::default() };
        connection.batch(&format!("{SESSION}{settings}")).await?;
        Ok(connection)
    }

    /// How long an attempt to connect may take.
    pub(crate) fn limit(&self) -> Duration {
        self.dsn.config.get_connect_timeout().copied().unwrap_or(self.dsn.patience)
    }

    /// Connects; nothing happens unless the driver is polled.
    pub(crate) async fn dial(&self, limit: Duration) -> Result<(Client, Driver), Unconnected> {
        // The driver's own limit ends with the TCP connection; a server that is frozen still accepts those.
        match timeout(limit, self.dsn.config.connect(self.tls.clone())).await {
            Ok(connected) => connected.map_err(|error| Unconnected::because(&error)),
            Err(_) => {
                Err(Unconnected { reason: format!("no answer within {} s", limit.as_secs_f32()), for_good: false })
            }
        }
    }
}

/// Why there is no connection.
pub(crate) struct Unconnected {
    pub(crate) reason: String,
    /// Whether to try again is no use: somebody has answered, and said no.
    for_good: bool,
}

impl Unconnected {
    fn because(error: &Error) -> Self {
        let unreachable = StdError::source(error).is_some_and(|cause| cause.is::<std::io::Error>());
        let starting = error.code() == Some(&SqlState::CANNOT_CONNECT_NOW);
        Self { reason: told(error), for_good: !unreachable && !starting }
    }
}

impl Connection {
    /// The rows that a statement gives; it is prepared when it is used first.
    pub(crate) async fn query(&self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(sql).await?;
        self.client.query(&statement, parameters).await
    }

    /// The row that a statement gives, if it gives one.
    pub(crate) async fn row(&self, sql: &str, parameters: &Parameters<'_>) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, parameters).await?.pop())
    }

    /// Executes a statement; answers with how many rows it has changed.
    pub(crate) async fn execute(&self, sql: &str, parameters: &Parameters<'_>) -> Result<u64, Error> {
        let statement = self.prepared(sql).await?;
        self.client.execute(&statement, parameters).await
    }

    /// Executes statements without parameters, in one transaction if there is none.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// Whether nothing has been asked on it yet.
    pub(crate) fn is_unused(&self) -> bool {
        self.statements().is_empty()
    }

    /// Whether it cannot be used any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = self.statements();
        if statements.len() >= STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<String, Statement>> {
        self.statements.lock().expect("nothing panics while it holds the lock")
    }
}

/// A transaction that is rolled back unless it is committed.
pub(crate) struct Transaction<'c> {
    connection: &'c Connection,
    open: bool,
}

impl<'c> Transaction<'c> {
    pub(crate) async fn begin(connection: &'c Connection) -> Result<Self, Error> {
        connection.batch("BEGIN").await?;
        Ok(Self { connection, open: true })
    }

    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        self.open = false;
        self.connection.batch("COMMIT").await
    }

    pub(crate) async fn roll_back(mut self) -> Result<(), Error> {
        self.open = false;
        self.connection.batch("ROLLBACK").await
    }
}

impl std::ops::Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // Asked for at once, before whatever is sent next; nobody waits for the answer.
            let _ = futures::FutureExt::now_or_never(self.connection.batch("ROLLBACK"));
        }
    }
}

/// Makes the framework's tables, or brings them up to date.
pub(crate) async fn bring_up_to_date(connection: &Connection, dsn: &Dsn) -> Result<(), OpenError> {
    let failed = |error: Error| OpenError::Database { dsn: dsn.to_string(), reason: told(&error) };
    check_encoding(connection, dsn).await?;
    let transaction = Transaction::begin(connection).await.map_err(failed)?;
    // Two processes may open a new database at the same time: the second finds everything done.
    let lock = "SELECT pg_advisory_xact_lock(hashtext('potter'), hashtext(current_schema()))";
    transaction.execute(lock, &[]).await.map_err(failed)?;
    transaction.batch("CREATE TABLE IF NOT EXISTS potter_schema (version INTEGER NOT NULL)").await.map_err(failed)?;
    let row = transaction.row("SELECT version FROM potter_schema", &[]).await.map_err(failed)?;
    let found = row.map_or(Ok(0), |row| row.try_get::<_, i32>(0)).map_err(failed)?;
    let known = i32::try_from(SCHEMA_STEPS.len()).expect("few steps");
    if found > known {
        return Err(OpenError::Newer { dsn: dsn.to_string(), found, known });
    }
    if found < known {
        // An index over a large table takes its time, whatever is configured for calls.
        transaction.batch("SET LOCAL statement_timeout = 0").await.map_err(failed)?;
        for step in SCHEMA_STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            transaction.batch(step).await.map_err(failed)?;
        }
        let version = format!("DELETE FROM potter_schema; INSERT INTO potter_schema VALUES ({known})");
        transaction.batch(&version).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// What the framework leans on.
async fn check_encoding(connection: &Connection, dsn: &Dsn) -> Result<(), OpenError> {
    let sql = "SELECT current_setting('server_version_num')::integer, current_setting('server_version'), \
        current_setting('server_encoding'), current_schema() IS NOT NULL";
    let row = connection.query(sql, &[]).await.map_err(|error| told(&error));
    let refused = |reason: String| OpenError::Database { dsn: dsn.to_string(), reason };
    let row = row.and_then(|mut rows| rows.pop().ok_or_else(|| "no answer".to_owned())).map_err(refused)?;
    let (number, version, encoding): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
    if number < 150_000 {
        return Err(refused(format!("the server has version {version}; 15 or later is needed")));
    }
    if encoding != "UTF8" {
        return Err(refused(format!("the database has the encoding {encoding}; make one with `ENCODING 'UTF8'`")));
    }
    if !row.get::<_, bool>(3) {
        return Err(refused("no schema of the search path exists, or may be used".to_owned()));
    }
    Ok(())
}

/// What the driver says, down to the reason: its errors name only what they were about.
pub(crate) fn told(error: &Error) -> String {
    if let Some(database) = error.as_db_error() {
        let detail = database.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
        return format!("{}: {}{detail}", database.severity(), database.message());
    }
    let mut text = error.to_string();
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The failure of `operation`.
pub(crate) fn failure(operation: &'static str, error: &Error) -> StoreError {
    StoreError::new(operation, told(error))
}

/// Whether the server has refused something, rather than gone away: then nothing of it was done, for certain.
pub(crate) fn is_refusal(error: &Error) -> bool {
    // A backend that is told to end may say so after it has committed.
    error.as_db_error().is_some_and(|refused| refused.severity() == "ERROR") && !error.is_closed()
}

/// Whether what was sent is at fault, rather than the circumstances: to send it again is no use.
pub(crate) fn is_bad_data(error: &Error) -> bool {
    // Classes of SQLSTATE: 22 data exception, 23 integrity constraint violation, 54 program limit exceeded. Without a
    // code it is a value that the driver could not write.
    error.code().map_or(!error.is_closed(), |code| matches!(&code.code()[..2], "22" | "23" | "54"))
}

/// Whether a row was refused by a unique index.
pub(crate) fn is_not_unique(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}
