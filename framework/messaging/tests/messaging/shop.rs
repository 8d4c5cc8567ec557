//! The shop, and what a test wants to know of it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use potter_broker::{Broker, MemoryBroker, Message, Messages, headers};
use potter_core::dispatch::{self, Dispatcher, Request};
use potter_core::memory::MemoryStore;
use potter_core::module::Module;
use potter_core::prost::Message as _;
use potter_core::retries::Retries;
use potter_core::store::SharedStore;
use potter_messaging::{Messaging, Options};
use potter_proto::runtime::v1::CommandStatus;
use potter_sample::{CreateProductRequest, ProductReply, UpdateProductRequest};
use tokio::time::timeout;

/// What must come, comes within that time.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Shop {
    pub dispatcher: Dispatcher,
    pub messaging: Messaging,
    pub broker: Arc<dyn Broker>,
}

impl Shop {
    pub async fn start() -> Self {
        Self::with(Arc::new(MemoryBroker::new()), Options::default()).await
    }

    pub async fn with(broker: Arc<dyn Broker>, options: Options) -> Self {
        Self::over(Arc::new(MemoryStore::new()), broker, options, potter_sample::module()).await
    }

    pub async fn over(store: SharedStore, broker: Arc<dyn Broker>, options: Options, module: Module) -> Self {
        let limits = dispatch::Options {
            retries: Retries::new(vec![Duration::from_millis(10)]),
            ..dispatch::Options::default()
        };
        let dispatcher = Dispatcher::start(module, store, limits).await.expect("it starts");
        let messaging = Messaging::start(&dispatcher, broker.clone(), options).expect("it starts");
        Self { dispatcher, messaging, broker }
    }

    /// Makes a product, and answers with its id.
    pub async fn create(&self, name: &str) -> String {
        let request = CreateProductRequest { name: name.to_owned(), stock: 5, ..CreateProductRequest::default() };
        let body = request.encode_to_vec().into();
        let reply =
            self.dispatcher.call("shop.v1.Catalogue/CreateProduct", Request { body, ..Request::default() }).await;
        ProductReply::decode(reply.expect("created").body).expect("a reply").product_id
    }

    /// Changes a product.
    pub async fn update(&self, id: &str, price_cents: i64) {
        let request = UpdateProductRequest { product_id: id.to_owned(), name: "n".to_owned(), price_cents };
        let body = request.encode_to_vec().into();
        let updated = self.dispatcher.call("shop.v1.Catalogue/UpdateProduct", Request { body, ..Request::default() });
        updated.await.expect("updated");
    }

    /// Sends a command over the broker, as soon as there is a channel for it.
    pub async fn send(&self, message: Message) {
        timeout(SOON, async {
            while self.broker.publish(message.clone()).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("somebody keeps commands");
    }

    pub async fn listen(&self, pattern: &str) -> Messages {
        self.broker.listen(pattern.to_owned()).await.expect("it can listen")
    }
}

pub async fn next(messages: &mut Messages) -> Message {
    timeout(SOON, messages.next()).await.expect("a message comes").expect("they go on")
}

/// The next outcome.
pub async fn outcome(messages: &mut Messages) -> CommandStatus {
    let message = next(messages).await;
    assert_eq!(message.get(headers::MESSAGE), Some("potter.runtime.v1.CommandStatus"));
    CommandStatus::decode(message.payload).expect("a status")
}
