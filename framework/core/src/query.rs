//! What generated code declares of a query, and what query handlers read with.

use std::marker::PhantomData;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::failure::Failure;
use crate::read_model::ReadModel;
use crate::store::{Selection, SharedStore};

/// A query with request `Q` and reply `R`.
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
#[derive(Clone)]
pub struct View<M> {
    store: SharedStore,
    model: PhantomData<fn() -> M>,
}

/// A search in a read model; see [`View::find`].
pub struct Find<M> {
    view: View<M>,
    selection: Selection,
    page: u32,
    page_size: u32,
}

/// One page of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// How many rows match on all pages.
    pub total: u64,
    /// Number of this page, from 1.
    pub page: u32,
    /// Rows per page, as applied.
    pub page_size: u32,
    /// Token of the next page; empty on the last.
    pub next_page_token: String,
}

impl<M: ReadModel> View<M> {
    /// The view of `M` in this query's store.
    #[must_use]
    pub fn new(context: &QueryContext) -> Self {
        Self { store: context.store.clone(), model: PhantomData }
    }
}
