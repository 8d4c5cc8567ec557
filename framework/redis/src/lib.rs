//! Read models in Redis for services of the Potter framework, whose events are elsewhere.
//!
//! [`RedisReadModels::new`] takes a `REDIS_ADDR` and gives what [`potter_core::store::ReadModels`] asks for. What goes
//! where: `names` are the keys that things are kept under, `stored` is how rows are written, `member` how an index is,
//! `search` finds out which index tells what a selection asks for. What must happen together is one script:
//! `commit.lua` writes a batch with its checkpoint, `begin.lua`, `finish.lua` and `drop.lua` are about rebuilds, `copy.lua`
//! copies a generation, `search.lua` reads.
//!
//! Redis holds nothing that the log doesn't: what it loses is taken in again from the checkpoint that it has kept, because
//! rows and checkpoint are written, persisted and lost together.

mod member;
mod names;
mod search;
mod stored;

use std::sync::{LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use potter_core::read_model::Table;
use potter_core::store::columns::{encode_rebuild, generation as named, nanoseconds};
use potter_core::store::rows::{self, Row};
use potter_core::store::{
    Generation, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, ReadModels, Rebuild, RowChange,
    Selected, Selection, Source, StoreError,
};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, FromRedisValue, RedisError, Script, ScriptInvocation};

use crate::names::{Names, TableNames, indexed};
use crate::search::{Index, Search};

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("begin.lua")));
static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("commit.lua")));
static COPY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("copy.lua")));
static DROP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("drop.lua")));
static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("finish.lua")));
static SEARCH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("search.lua")));

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(2);

/// How long Redis may take to answer; who reads for a query waits less, behind a guard.
const ANSWERING: Duration = Duration::from_secs(60);

/// The read models of a service in a Redis, 6.2 or later.
pub struct RedisReadModels {
    /// `None` once it is closed.
    connection: Mutex<Option<ConnectionManager>>,
    names: Names,
}

/// What isn't the address of a Redis.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:6379, redis://… or rediss://…: {reason}")]
pub struct AddressError {
    reason: String,
}

/// Whether `address` is one that [`RedisReadModels::new`] takes; connects to nothing.
///
/// # Errors
/// Says what is wrong with it, without showing it.
pub fn check(address: &str) -> Result<(), AddressError> {
    client(address).map(drop)
}

fn client(address: &str) -> Result<redis::Client, AddressError> {
    let url = if address.contains("://") { address.to_owned() } else { format!("redis://{address}") };
    redis::Client::open(url).map_err(|error| AddressError { reason: error.to_string() })
}

impl RedisReadModels {
    /// The read models of `service`, by name of the projection; several services may share a Redis.
    ///
    /// `address` is `HOST:6379`, or a URL: `redis://USER:PASSWORD@HOST:6379/DATABASE`, with TLS `rediss://…`. Redis need
    /// not answer yet: a connection is made when it is needed first, and made anew when it breaks.
    ///
    /// # Errors
    /// `address` isn't one.
    pub fn new(address: &str, service: &str, read_models: &[(&'static str, Table)]) -> Result<Self, AddressError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(ANSWERING));
        let connection = ConnectionManager::new_lazy_with_config(client(address)?, config);
        let connection = connection.map_err(|error| AddressError { reason: error.to_string() })?;
        Ok(Self { connection: Mutex::new(Some(connection)), names: Names::new(service, read_models) })
    }

    fn connection(&self, operation: &'static str) -> Result<ConnectionManager, StoreError> {
        let connection = self.connection.lock().expect("nothing panics while it holds the lock").clone();
        connection.ok_or_else(|| StoreError::new(operation, "it is closed"))
    }

    async fn invoke<T: FromRedisValue>(
        &self,
        operation: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection(operation)?;
        script.invoke_async(&mut connection).await.map_err(|error| failed(operation, error))
    }

    async fn search(&self, table: &Table, search: &Search, page: &Selection) -> Result<(Vec<Bytes>, u64), StoreError> {
        let names = self.names.table(table, Generation::Live);
        let mut script = SEARCH.prepare_invoke();
        script.key(&names.rows);
        match search {
            Search::All => {
                script.key(&names.keys).arg("all");
            }
            Search::Keys(keys) => {
                script.key(&names.keys).arg("keys").arg(keys);
            }
            Search::Ranges { index, ranges, exact } => {
                match index {
                    Index::Keys => script.key(&names.keys).arg("ranges").arg("keys"),
                    Index::Column(place) => script.key(&names.indexes[*place]).arg("ranges").arg("values"),
                };
                let all = (0, -1);
                let (offset, limit) =
                    if *exact { (signed(page.offset), page.limit.map_or(-1, i64::from)) } else { all };
                script.arg(offset).arg(limit);
                for range in ranges {
                    script.arg(&range.min[..]).arg(&range.max[..]);
                }
            }
        }
        self.invoke("select rows", &script).await
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn failed(operation: &'static str, error: RedisError) -> StoreError {
    StoreError::new(operation, error)
}

/// Whether a projection is paused, the checkpoint of its next generation, its epoch, and [`stored::StoredRebuild`].
type StoredProjection =
    (bool, Option<u64>, Option<u64>, Option<u64>, Option<String>, Option<i64>, Option<i64>, Option<String>);

/// What a script answers: a word, and what belongs to it.
type Answer = Vec<String>;

fn refused(answer: &Answer, table: &Table, operation: &'static str) -> Result<(), ProjectionError> {
    let answer: Vec<&str> = answer.iter().map(String::as_str).collect();
    let unknown = || StoreError::new(operation, format!("Redis has answered {answer:?}")).into();
    match answer.as_slice() {
        ["written"] => Ok(()),
        ["ended"] => Err(ProjectionError::Ended),
        ["paused"] => Err(ProjectionError::Paused),
        ["moved", actual] => {
            let actual = actual.parse().map_err(|_| unknown())?;
            Err(ProjectionError::Moved { actual })
        }
        ["unique", key, index] => {
            let place = index.parse::<usize>().ok().and_then(|index| index.checked_sub(1));
            let column = place.and_then(|place| indexed(table).nth(place)).ok_or_else(unknown)?;
            Err(ProjectionError::NotUnique { key: (*key).to_owned(), column: column.name.to_owned() })
        }
        _ => Err(unknown()),
    }
}

fn commit_script(names: &Names, batch: &ProjectionBatch) -> ScriptInvocation<'static> {
    let TableNames { rows, entries, keys, indexes } = names.table(&batch.table, batch.generation);
    let mut script = COMMIT.prepare_invoke();
    script.key(names.projection(batch.projection)).key(names.parked(batch.projection, batch.generation));
    script.key(rows).key(entries).key(keys).key(indexes);
    script.arg(named(batch.generation)).arg(batch.epoch).arg(batch.expected_checkpoint).arg(batch.checkpoint);
    script.arg(indexed(&batch.table).count());
    script.arg(indexed(&batch.table).map(|column| u32::from(column.unique)).collect::<Vec<_>>());
    script.arg(batch.remove.len()).arg(&batch.remove);
    script.arg(batch.put.len());
    for change in &batch.put {
        script.arg(&change.key).arg(stored::encode_row(change));
        let values = batch.table.columns.iter().zip(&change.values);
        for (_, value) in values.filter(|(column, _)| column.indexed || column.unique) {
            script.arg(member::encode(value));
        }
    }
    script.arg(batch.park.len());
    for event in &batch.park {
        script.arg(event.position).arg(stored::encode_parked(event));
    }
    script.arg(batch.unpark.len()).arg(&batch.unpark);
    script
}

impl ReadModels for RedisReadModels {
    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        const OPERATION: &str = "read rows";
        async move {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let rows = self.names.table(&table, generation).rows;
            let mut connection = self.connection(OPERATION)?;
            let found: Vec<Option<Bytes>> =
                connection.hmget(rows, &keys).await.map_err(|error| failed(OPERATION, error))?;
            let found = found.into_iter().flatten().map(|row| decoded(row, OPERATION));
            found.map(|row| row.map(|RowChange { key, row, .. }| (key, row))).collect()
        }
        .boxed()
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        async move {
            let search = search::plan(&table, &selection);
            let (found, members) = self.search(&table, &search, &selection).await?;
            let found = found.into_iter().map(|row| decoded(row, "select rows"));
            let found: Vec<_> = found.collect::<Result<_, _>>()?;
            if let Search::Ranges { exact: true, .. } = search {
                let rows = found.into_iter().map(|row| row.row).collect();
                return Ok(Selected { rows, total: selection.count.then_some(members) });
            }
            let rows = found.iter().map(|RowChange { key, values, row }| Row { key, values, bytes: row });
            Ok(rows::select(&table, &selection, rows))
        }
        .boxed()
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        const OPERATION: &str = "read a checkpoint";
        async move {
            let found = self.connection(OPERATION)?.hget(self.names.projection(projection), named(generation)).await;
            let found: Option<u64> = found.map_err(|error| failed(OPERATION, error))?;
            Ok(found.unwrap_or(0))
        }
        .boxed()
    }

    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        const OPERATION: &str = "commit a projection";
        async move {
            let answer = self.invoke(OPERATION, &commit_script(&self.names, &batch)).await?;
            refused(&answer, &batch.table, OPERATION)
        }
        .boxed()
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        const OPERATION: &str = "list the parked events";
        async move {
            let found = self.connection(OPERATION)?.hvals(self.names.parked(projection, generation)).await;
            let found: Vec<Bytes> = found.map_err(|error| failed(OPERATION, error))?;
            let parked = found.iter().map(|event| stored::decode_parked(event));
            let mut parked: Vec<_> =
                parked.collect::<Result<_, _>>().map_err(|error| StoreError::new(OPERATION, error))?;
            parked.sort_by_key(|event| event.position);
            Ok(parked)
        }
        .boxed()
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        const OPERATION: &str = "read about a projection";
        async move {
            let (projection, mut connection) = (self.names.projection(projection), self.connection(OPERATION)?);
            let fields = ["paused", "next", "epoch"].into_iter().chain(stored::REBUILD_FIELDS);
            let found = connection.hmget(projection, fields.collect::<Vec<_>>()).await;
            let (paused, next, epoch, number, begins_with, begun_at, ended_at, failure): StoredProjection =
                found.map_err(|error| failed(OPERATION, error))?;
            let rebuild = (number, begins_with, begun_at, ended_at, failure);
            Ok(ProjectionRecord {
                paused,
                rebuilding: next.is_some(),
                epoch: epoch.unwrap_or_default(),
                rebuild: stored::decode_rebuild(rebuild)?,
            })
        }
        .boxed()
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        const OPERATION: &str = "pause a projection";
        async move {
            let (key, mut connection) = (self.names.projection(projection), self.connection(OPERATION)?);
            let set = match paused {
                true => connection.hset(key, "paused", 1).await,
                false => connection.hdel(key, "paused").await,
            };
            set.map_err(|error| failed(OPERATION, error))
        }
        .boxed()
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        async move {
            let (copied, after) = match begin.source() {
                Source::Nothing { after } => (None, after),
                Source::Copy(generation) => (Some(generation), 0),
            };
            let generations = (copied.unwrap_or_default(), Generation::Next);
            let mut script = self.about_two(&BEGIN, projection, &table, generations);
            script.arg(copied.map_or("", named)).arg(after);
            script.arg(encode_rebuild(&begin)).arg(nanoseconds(SystemTime::now()));
            self.invoke("begin a rebuild", &script).await
        }
        .boxed()
    }

    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let copy = (Generation::Live, Generation::Saved);
            Ok(self.copy("save a read model", projection, table, copy).await?.unwrap_or_default())
        }
        .boxed()
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        const OPERATION: &str = "reset a projection";
        async move {
            let key = self.names.projection(projection);
            let mut reset = self.emptying(projection, &table, Generation::Live);
            reset.hset(&key, named(Generation::Live), 0).hincr(&key, "epoch", 1);
            let done = reset.exec_async(&mut self.connection(OPERATION)?).await;
            done.map_err(|error| failed(OPERATION, error))
        }
        .boxed()
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        const OPERATION: &str = "finish a rebuild";
        async move {
            let mut script = self.about_two(&FINISH, projection, &table, (Generation::Live, Generation::Next));
            script.arg(number).arg(expected_checkpoint).arg(nanoseconds(SystemTime::now()));
            refused(&self.invoke(OPERATION, &script).await?, &table, OPERATION)
        }
        .boxed()
    }

    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let mut script = DROP.prepare_invoke();
            script.key(self.names.projection(projection));
            for key in self.names.kept(projection, &table, Generation::Next) {
                script.key(key);
            }
            script.arg(number).arg(reason).arg(nanoseconds(SystemTime::now()));
            self.invoke("drop a rebuild", &script).await
        }
        .boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            let mut connection = self.connection("ping")?;
            let answered = tokio::time::timeout(CONNECTING, connection.ping::<()>()).await;
            let answered = answered.map_err(|_| StoreError::new("ping", "Redis doesn't answer"))?;
            answered.map_err(|error| failed("ping", error))
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        drop(self.connection.lock().expect("nothing panics while it holds the lock").take());
        futures::future::ready(()).boxed()
    }
}

impl RedisReadModels {
    /// Copies a generation over another; answers with its checkpoint, and `None` if it isn't there.
    async fn copy(
        &self,
        operation: &'static str,
        projection: &str,
        table: Table,
        (from, to): (Generation, Generation),
    ) -> Result<Option<u64>, StoreError> {
        let mut script = self.about_two(&COPY, projection, &table, (from, to));
        script.arg(named(from)).arg(named(to));
        self.invoke(operation, &script).await
    }

    /// A script with the keys of a projection, and of two generations by turns.
    fn about_two<'s>(
        &self,
        script: &'s Script,
        projection: &str,
        table: &Table,
        (one, other): (Generation, Generation),
    ) -> ScriptInvocation<'s> {
        let mut invocation = script.prepare_invoke();
        invocation.key(self.names.projection(projection));
        let one = self.names.kept(projection, table, one);
        for (one, other) in one.iter().zip(&self.names.kept(projection, table, other)) {
            invocation.key(one).key(other);
        }
        invocation
    }

    /// The beginning of a transaction: removes what a generation has.
    fn emptying(&self, projection: &str, table: &Table, generation: Generation) -> redis::Pipeline {
        let mut transaction = redis::pipe();
        transaction.atomic();
        for key in self.names.kept(projection, table, generation) {
            transaction.unlink(key).ignore();
        }
        transaction
    }
}

fn decoded(row: Bytes, operation: &'static str) -> Result<RowChange, StoreError> {
    stored::decode_row(row).map_err(|error| StoreError::new(operation, error))
}
