//! A database that is dumped in the middle of everything and restored into a fresh cluster: read model, publisher,
//! subscription, accepted commands and idempotency keys go on exactly where they were.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use futures::{FutureExt, StreamExt};
use potter::dispatch::{Dispatcher, Options, Reply, Request, RequestMetadata};
use potter::prost::Message as _;
use potter::store::contract::ledger;
use potter::store::{AcceptedCommand, SharedStore, Unit};
use potter::subscription::{Effect, Subscription};
use potter::uuid::Uuid;
use potter_messaging::Messaging;
use potter_messaging::broker::{Broker, MemoryBroker, Messages, headers};
use potter_postgres::PostgresStore;
use potter_sample::{
    CreateProductRequest, ProductCreated, ProductReply, Products, ReserveStockRequest, UpdateProductRequest,
};

use super::{PATIENCE, Place, checkpoint, database, until};

/// Products before the messages stopped, and after that.
const PUBLISHED: usize = 20;
const UNPUBLISHED: usize = 10;

/// Commands that were accepted and not executed.
const PENDING: usize = 5;

/// A running shop.
struct Shop {
    dispatcher: Dispatcher,
    messaging: Messaging,
    events: Messages,
    outcomes: Messages,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_on_where_it_was_in_a_database_that_was_restored() {
    let place = Place::postgres("dumped").await;
    let (published, products) = leave_things_undone(&place.dsn).await;
    let file = place.directory.path().join("dump").display().to_string();
    pg("pg_dump", &["--format=custom", "--dbname", &place.dsn, "--file", &file]);
    let fresh = database::Server::start();
    let dsn = fresh.dsn();
    let (plain, _) = dsn.split_once('?').expect("a DSN with a timeout");
    pg("pg_restore", &["--exit-on-error", "--dbname", plain, &file]);
    let (dumped, restored) = (open(&place.dsn).await, open(plain).await);
    assert_eq!(checkpoint(&restored).await, checkpoint(&dumped).await);
    let log = dumped.read_all(0, usize::MAX).await.expect("readable");
    assert_eq!(restored.read_all(0, usize::MAX).await.expect("readable"), log);
    dumped.close().await;

    let mut shop = Shop::start(restored.clone()).await;
    let products = [products, goes_on(&shop, &log.last().expect("an event").aggregate_id).await].concat();
    until("every product is marked once", async || marks(&restored).await.len() == products.len()).await;
    shop.dispatcher.settle(PATIENCE).await.expect("it comes to rest");
    tokio::time::timeout(PATIENCE, shop.messaging.flush()).await.expect("everything is published");
    let log = restored.read_all(published, usize::MAX).await.expect("readable");
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in &log {
        expected.entry(event.aggregate_id.clone()).or_default().push(event.position);
    }
    assert_eq!(by_stream(&mut shop.events), expected, "exactly what wasn't published before, in order");
    assert_eq!(count(&mut shop.outcomes), PENDING, "exactly the outcomes that weren't announced before");
    assert!(marks(&restored).await.values().all(|marks| *marks == 1), "every event has its effect once");
    assert_eq!(restored.pending_commands().await.expect("readable"), []);
    ledger::check_read_model::<Products>(&*restored).await;
    shop.stop().await;
}

/// A shop that has come to rest but for what it was not given time for; tells up to where it has published, and the ids
/// of the products.
async fn leave_things_undone(dsn: &str) -> (u64, Vec<String>) {
    let store = open(dsn).await;
    store.migrate(potter_sample::module().own_migrations()).await.expect("migrated");
    let mut shop = Shop::start(store.clone()).await;
    let mut products = Vec::new();
    for number in 0..PUBLISHED {
        products.push(create(&shop.dispatcher, &number.to_string()).await.0);
    }
    until("every product is marked", async || marks(&store).await.len() == PUBLISHED).await;
    shop.messaging.flush().await;
    let Shop { dispatcher, messaging, .. } = shop;
    let published = messaging.published();
    messaging.stop(PATIENCE).await;
    assert_eq!(published, 2 * PUBLISHED as u64);
    for number in 0..UNPUBLISHED {
        products.push(create(&dispatcher, &(PUBLISHED + number).to_string()).await.0);
    }
    dispatcher.shutdown().await;
    // As a node that is killed at once leaves them.
    let store = open(dsn).await;
    for _ in 0..PENDING {
        store.commit(Unit { accept: Some(reservation(&products[0])), ..Unit::default() }).await.expect("accepted");
    }
    store.close().await;
    (published, products)
}

/// A key that was used is known, and further commands are executed; gives the products that are new.
async fn goes_on(shop: &Shop, last: &str) -> Vec<String> {
    let (id, reply) = create(&shop.dispatcher, &(PUBLISHED + UNPUBLISHED - 1).to_string()).await;
    assert!(reply.replayed && id == last, "{reply:?}");
    vec![create(&shop.dispatcher, "new").await.0]
}

impl Shop {
    /// With a broker that nothing was published to.
    async fn start(store: SharedStore) -> Self {
        let broker = Arc::new(MemoryBroker::new());
        let events = broker.listen("shop.events.>".to_owned()).await.expect("it can listen");
        let outcomes = broker.listen("shop.outcomes.>".to_owned()).await.expect("it can listen");
        let mut module = potter_sample::module();
        module.subscription(marking());
        let dispatcher = Dispatcher::start(module, store, Options::default()).await.expect("starts");
        let messaging = Messaging::start(&dispatcher, broker, Default::default()).expect("it starts");
        Self { dispatcher, messaging, events, outcomes }
    }

    async fn stop(self) {
        self.messaging.stop(PATIENCE).await;
        self.dispatcher.shutdown().await;
    }
}

/// Marks every product by an update.
fn marking() -> Subscription {
    Subscription::new("marks", "shop").on("product.created", |event: ProductCreated, context| {
        let product_id = context.aggregate_id.clone();
        Ok(vec![Effect::command(
            "shop.update_product",
            &UpdateProductRequest { product_id, name: event.name, price_cents: 1 },
        )])
    })
}

/// Marked products, and how often each is.
async fn marks(store: &SharedStore) -> BTreeMap<String, usize> {
    let mut marks = BTreeMap::new();
    for event in store.read_all(0, usize::MAX).await.expect("readable") {
        if event.event_type == "product.updated" {
            *marks.entry(event.aggregate_id).or_default() += 1;
        }
    }
    marks
}

/// Creates a product under a key; gives its id and what was answered.
async fn create(dispatcher: &Dispatcher, key: &str) -> (String, Reply) {
    let request = CreateProductRequest { name: key.to_owned(), stock: 100, ..CreateProductRequest::default() };
    let metadata = RequestMetadata { idempotency_key: Some(key.to_owned()), ..RequestMetadata::default() };
    let request = Request { body: request.encode_to_vec().into(), metadata };
    let reply = dispatcher.call("shop.v1.Catalogue/CreateProduct", request).await.expect("created");
    (ProductReply::decode(reply.body.clone()).expect("a reply").product_id, reply)
}

fn reservation(product: &str) -> AcceptedCommand {
    AcceptedCommand {
        id: Uuid::now_v7(),
        name: "shop.reserve_stock".to_owned(),
        aggregate: "Product".to_owned(),
        aggregate_id: product.to_owned(),
        request: ReserveStockRequest { product_id: product.to_owned(), quantity: 1 }.encode_to_vec().into(),
        expected_version: None,
        correlation_id: "c-1".to_owned(),
        causation_id: None,
        actor: None,
        accepted_at: SystemTime::now(),
    }
}

/// Positions of the events that were heard, by stream.
fn by_stream(messages: &mut Messages) -> BTreeMap<String, Vec<u64>> {
    let mut heard: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    while let Some(Some(message)) = messages.next().now_or_never() {
        let stream = message.get(headers::AGGREGATE_ID).expect("every event says so").to_owned();
        let position = message.parse(headers::POSITION).expect("a number").expect("every event says so");
        heard.entry(stream).or_default().push(position);
    }
    heard
}

fn count(messages: &mut Messages) -> usize {
    std::iter::from_fn(|| messages.next().now_or_never().flatten()).count()
}

async fn open(dsn: &str) -> SharedStore {
    Arc::new(PostgresStore::open(dsn).await.expect("it can be opened"))
}

/// Runs one of PostgreSQL's own programs.
fn pg(program: &str, arguments: &[&str]) {
    let directory = std::env::var("POTTER_TEST_POSTGRES_BIN").expect("`scripts/with-servers postgres` sets it");
    let done = Command::new(Path::new(&directory).join(program)).args(arguments).output().expect("it can be started");
    assert!(done.status.success(), "{done:?}");
}
