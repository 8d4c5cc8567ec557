//! A whole service in memory.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;

use crate::dispatch::{Dispatcher, Options, Reply, Request, RequestMetadata};
use crate::failure::Failure;
use crate::memory::MemoryStore;
use crate::module::Module;
use crate::store::SharedStore;
use crate::subscription::EventContext;

/// How long a test waits for what should take no time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test of a whole service, so that it needn't name a runtime.
///
/// # Panics
/// When the system gives no threads.
pub fn block_on<F: Future>(test: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("the system gives threads").block_on(test)
}

/// A module running over an in-memory store, for tests.
///
/// ```text
/// block_on(async {
///     let app = TestApp::start(generated::module(ProductService)).await;
///     let reply: CreateProductResponse = app.call("product.ProductService/CreateProduct", &request).await?;
///     app.settle().await;
/// });
/// ```
pub struct TestApp {
    dispatcher: Dispatcher,
}

impl TestApp {
    /// Starts a module.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(module: Module) -> Self {
        Self::start_with(module, Arc::new(MemoryStore::new()), Options::default()).await
    }

    /// Starts a module over a store, which a test may share between one start and the next.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_with(module: Module, store: SharedStore, options: Options) -> Self {
        store.migrate(module.own_migrations()).await.expect("the migrations apply");
        let dispatcher = Dispatcher::start(module, store, options).await.expect("the module starts");
        Self { dispatcher }
    }

    /// Sends a request and reads the reply's message.
    ///
    /// # Errors
    /// What the service answers with.
    ///
    /// # Panics
    /// When the reply isn't an `R`.
    pub async fn call<Q: Message, R: Message + Default>(&self, rpc: &str, request: &Q) -> Result<R, Failure> {
        let reply = self.send(rpc, request, RequestMetadata::default()).await?;
        Ok(R::decode(reply.body).expect("the reply has the type that the test expects"))
    }

    /// Sends a request with metadata and gives the whole reply.
    ///
    /// # Errors
    /// What the service answers with.
    pub async fn send<Q: Message>(&self, rpc: &str, request: &Q, metadata: RequestMetadata) -> Result<Reply, Failure> {
        let body = request.encode_to_vec().into();
        self.dispatcher.call(rpc, Request { body, metadata }).await
    }

    /// Brings an event of another module to the subscription of that name, as the broker would.
    ///
    /// # Errors
    /// Why it cannot be taken in.
    ///
    /// # Panics
    /// When the module has no such subscription.
    pub async fn hear<M: Message>(&self, subscription: &str, context: &EventContext, event: &M) -> Result<(), Failure> {
        let mut subscriptions = self.dispatcher.module().subscriptions().iter();
        let found = subscriptions.find(|it| it.name() == subscription);
        let found = found.unwrap_or_else(|| panic!("the module has no subscription `{subscription}`"));
        found.apply(&self.dispatcher, context, event.encode_to_vec().into()).await.map(drop)
    }

    /// Waits until all accepted commands are executed and all read models are up to date.
    ///
    /// # Panics
    /// When that takes longer than ten seconds.
    pub async fn settle(&self) {
        self.dispatcher.settle(PATIENCE).await.expect("commands and projections come to rest");
    }

    /// What runs the module.
    #[must_use]
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }
}
