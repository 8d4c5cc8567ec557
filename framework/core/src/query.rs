//! What generated code declares of a query, and what query handlers read with.

mod find;
mod page;

use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message;

pub use self::find::{Find, Given};
pub use self::page::{Count, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page, PageNumber};

use crate::failure::Failure;
use crate::read_model::ReadModel;
use crate::store::{Generation, SharedStore};

/// A query with request `Q` and reply `R`.
///
/// ```text
/// module.query(
///     Query::declare("shop.v1.Catalogue/GetProduct", move |query: GetProductRequest, context| {
///         let handlers = handlers.clone();
///         async move { handlers.get_product(query, Views::new(&context)).await }
///     })
///     .reads(&["Products"])
///     .cached(Some(300)),
/// );
/// ```
pub struct Query<Q, R> {
    /// gRPC path without the leading slash: `shop.v1.Catalogue/GetProduct`.
    pub rpc: &'static str,
    /// The read models that it reads: waited for before it runs, and what its cached results depend on.
    pub reads: &'static [&'static str],
    /// Cached, and for how long at most.
    pub cache: Option<Cache>,
    pub(crate) handle: Handle<Q, R>,
}

/// How a query is answered.
pub(crate) type Handle<Q, R> = Box<dyn Fn(Q, QueryContext) -> BoxFuture<'static, Result<R, Failure>> + Send + Sync>;

/// How a query's results are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Lifetime; `None`: until the read model changes.
    pub ttl: Option<Duration>,
}

/// What a query handler gets beside its request; generated code wraps it in the module's `Views`.
#[derive(Clone)]
pub struct QueryContext {
    /// Who asks.
    pub actor: Option<String>,
    /// Ties together everything that follows from one request.
    pub correlation_id: String,
    pub(crate) store: SharedStore,
}

/// Read access to one read model.
pub struct View<M> {
    store: SharedStore,
    model: PhantomData<fn() -> M>,
}

impl<M> Clone for View<M> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), model: PhantomData }
    }
}

impl<Q: Message + Default + 'static, R: Message + 'static> Query<Q, R> {
    /// Declares the query called as `rpc`, answered by `handle`.
    pub fn declare<F>(rpc: &'static str, handle: impl Fn(Q, QueryContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<R, Failure>> + Send + 'static,
    {
        Self { rpc, reads: &[], cache: None, handle: Box::new(move |query, context| Box::pin(handle(query, context))) }
    }

    /// Names the read models that it reads.
    #[must_use]
    pub fn reads(mut self, read_models: &'static [&'static str]) -> Self {
        self.reads = read_models;
        self
    }

    /// Caches its results by all parameters, until a read model changes and for that many seconds at most.
    #[must_use]
    pub fn cached(mut self, ttl_seconds: Option<u64>) -> Self {
        self.cache = Some(Cache { ttl: ttl_seconds.map(Duration::from_secs) });
        self
    }
}

/// A query whose types are known only to itself.
pub(crate) trait AnyQuery: Send + Sync {
    /// Reads the request; what comes back can be answered.
    fn read(&self, body: Bytes) -> Result<Box<dyn ReadQuery + '_>, Failure>;
}

/// A query with its request read.
pub(crate) trait ReadQuery: Send {
    /// The request as this service writes it: the same for all spellings of the same request.
    fn canonical(&self) -> Vec<u8>;

    /// Answers with protobuf bytes.
    fn answer(self: Box<Self>, context: QueryContext) -> BoxFuture<'static, Result<Bytes, Failure>>;
}

impl<Q: Message + Default + 'static, R: Message + 'static> AnyQuery for Query<Q, R> {
    fn read(&self, body: Bytes) -> Result<Box<dyn ReadQuery + '_>, Failure> {
        let request = Q::decode(body).map_err(|error| Failure::malformed(format!("not a valid message: {error}")))?;
        Ok(Box::new(TypedQuery { request, handle: &self.handle }))
    }
}

/// The request of a [`Query`] and what answers it.
struct TypedQuery<'a, Q, R> {
    request: Q,
    handle: &'a Handle<Q, R>,
}

impl<Q: Message + 'static, R: Message + 'static> ReadQuery for TypedQuery<'_, Q, R> {
    fn canonical(&self) -> Vec<u8> {
        self.request.encode_to_vec()
    }

    fn answer(self: Box<Self>, context: QueryContext) -> BoxFuture<'static, Result<Bytes, Failure>> {
        let answer = (self.handle)(self.request, context);
        Box::pin(async move { Ok(Bytes::from(answer.await?.encode_to_vec())) })
    }
}

impl<M: ReadModel> View<M> {
    /// The view of `M` in this query's store.
    #[must_use]
    pub fn new(context: &QueryContext) -> Self {
        Self { store: context.store.clone(), model: PhantomData }
    }

    /// The row with that key.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn get(&self, key: &str) -> Result<Option<M::Row>, Failure> {
        let found = self.store.rows_by_key(M::TABLE, Generation::Live, vec![key.to_owned()]).await?;
        found.into_iter().next().map(|(_, row)| read_row::<M>(row)).transpose()
    }

    /// Begins a search; without conditions it finds all rows.
    #[must_use]
    pub fn find(&self) -> Find<M> {
        Find::new(self.store.clone())
    }
}

/// Decodes a row; one that cannot be read is a bug, or a table that a newer service has written.
fn read_row<M: ReadModel>(row: Bytes) -> Result<M::Row, Failure> {
    M::Row::decode(row).map_err(|error| Failure::bug(&format!("unreadable row of `{}`: {error}", M::NAME)))
}
