//! The path of a query: wait for its read models, look into the cache, answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Cached;
use tracing::Instrument;
use uuid::Uuid;

use super::{Outcome, Reply, Request, RequestMetadata, Runtime, StartError};
use crate::clock;
use crate::failure::Failure;
use crate::module::QueryDeclaration;
use crate::panics;
use crate::projection::ProjectionHandle;
use crate::query::{AnyQuery, Cache, QueryContext};
use crate::telemetry::QueryMeter;

/// A query of a running module.
pub(super) struct BoundQuery {
    rpc: &'static str,
    query: Arc<dyn AnyQuery>,
    cache: Option<Cache>,
    reads: Vec<Arc<ProjectionHandle>>,
    runtime: Arc<Runtime>,
    meter: QueryMeter,
}

/// The results of queries.
pub(crate) type QueryCache = Cached<CacheKey, CachedReply, ByLength>;

/// What a result depends on beside the read models: the query, all of its parameters, and who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    rpc: &'static str,
    actor: Option<String>,
    request: Vec<u8>,
}

/// A result, and when it stops being one.
#[derive(Clone, Debug)]
pub(crate) struct CachedReply {
    body: Bytes,
    /// How often each of the query's read models had changed before it was computed.
    changes: Arc<[u64]>,
    expires: Option<Instant>,
}

/// Weighs a result by its bytes and what the cache keeps around them.
#[derive(Clone)]
pub(crate) struct ByLength;

impl Weighter<CacheKey, CachedReply> for ByLength {
    fn weight(&self, key: &CacheKey, reply: &CachedReply) -> u64 {
        (key.request.len() + reply.body.len() + 192) as u64
    }
}

/// An empty cache of at most that many bytes.
pub(super) fn query_cache(bytes: u64) -> QueryCache {
    let items = usize::try_from(bytes / 1024).unwrap_or(usize::MAX);
    Cached::with_weighter(items, bytes, ByLength)
}

impl BoundQuery {
    pub fn new(
        declared: &QueryDeclaration,
        runtime: &Arc<Runtime>,
        projections: &[Arc<ProjectionHandle>],
    ) -> Result<Self, StartError> {
        let rpc = declared.rpc;
        let find = |read_model: &&'static str| {
            let found = projections.iter().find(|it| it.name() == *read_model).cloned();
            found.ok_or(StartError::UnknownReadModel { rpc, read_model })
        };
        Ok(Self {
            rpc,
            query: declared.query.clone(),
            cache: declared.cache,
            reads: declared.reads.iter().map(find).collect::<Result<_, _>>()?,
            runtime: runtime.clone(),
            meter: QueryMeter::new(runtime.module, rpc),
        })
    }

    /// What is counted of it.
    pub fn meter(&self) -> &QueryMeter {
        &self.meter
    }

    pub async fn call(&self, request: Request) -> Result<Reply, Failure> {
        let began = clock::now();
        let result = self.answer_in_time(request, began).await;
        self.meter.answered(began, &result);
        result.map(|body| Reply { body, outcome: Outcome::Queried, replayed: false })
    }

    async fn answer_in_time(&self, request: Request, began: Instant) -> Result<Bytes, Failure> {
        let Request { body, mut metadata } = request;
        let latest = began + self.runtime.options.query_timeout;
        let deadline = metadata.deadline.map_or(latest, |deadline| deadline.min(latest));
        let correlation_id = metadata.correlation_id.take().unwrap_or_else(|| Uuid::now_v7().to_string());
        let span = tracing::info_span!("query", name = self.rpc, correlation_id);
        let answer = self.answer(body, metadata, correlation_id).instrument(span);
        let answer = tokio::time::timeout_at(tokio::time::Instant::from_std(deadline), answer);
        answer.await.unwrap_or_else(|_| Err(Failure::deadline_exceeded()))
    }

    async fn answer(&self, body: Bytes, metadata: RequestMetadata, correlation_id: String) -> Result<Bytes, Failure> {
        let query = self.query.read(body)?;
        self.catch_up(metadata.at_least).await?;
        let key =
            self.cache.map(|_| CacheKey { rpc: self.rpc, actor: metadata.actor.clone(), request: query.canonical() });
        // Counted before anything is read: a result that has seen a later change counts as older than it is.
        let changes: Arc<[u64]> = self.reads.iter().map(|it| it.changes()).collect();
        if let Some(body) = key.as_ref().and_then(|key| self.cached(key, &changes)) {
            return Ok(body);
        }
        let store = self.runtime.store.clone();
        let context = QueryContext { actor: metadata.actor, correlation_id, store };
        let answer = AssertUnwindSafe(async move { query.answer(context).await });
        let body = answer.catch_unwind().await.unwrap_or_else(|panic| Err(panics::failure(self.rpc, &*panic)))?;
        if let Some(key) = key {
            let expires = self.cache.and_then(|cache| cache.ttl).map(|ttl| clock::now() + ttl);
            self.runtime.query_cache.insert(key, CachedReply { body: body.clone(), changes, expires });
        }
        Ok(body)
    }

    /// Waits until the read models have seen the event at `position`; or else all that there are now, unless nothing is
    /// taken in at present. Nobody waits for one that cannot go on.
    async fn catch_up(&self, position: Option<u64>) -> Result<(), Failure> {
        let head = *self.runtime.store.head().borrow();
        for read_model in &self.reads {
            if position.is_none() && read_model.is_paused() {
                continue;
            }
            self.reach(read_model, position.unwrap_or(head)).await?;
        }
        Ok(())
    }

    async fn reach(&self, read_model: &ProjectionHandle, position: u64) -> Result<(), Failure> {
        let unavailable = |how| Failure::unavailable(format!("the read model `{}` {how}", read_model.name()));
        let reached = async {
            tokio::select! {
                biased;
                reached = read_model.reach(position) => Ok(reached),
                () = read_model.until_failed() => Err(unavailable("cannot go on now")),
            }
        };
        let in_time = tokio::time::timeout(self.runtime.options.catch_up_timeout, reached).await;
        if in_time.unwrap_or(Ok(false))? { Ok(()) } else { Err(unavailable("is behind")) }
    }

    fn cached(&self, key: &CacheKey, changes: &[u64]) -> Option<Bytes> {
        let found = self.runtime.query_cache.get(key);
        let valid = found.filter(|it| *it.changes == *changes && it.expires.is_none_or(|at| clock::now() < at));
        self.meter.looked_up(valid.is_some());
        valid.map(|it| it.body)
    }
}
