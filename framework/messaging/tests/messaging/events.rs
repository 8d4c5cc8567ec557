//! What goes out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use potter_broker::{Broker as _, MemoryBroker, headers};
use potter_core::event::{EventMetadata, NewEvent};
use potter_core::health::HealthStatus;
use potter_core::memory::MemoryStore;
use potter_core::prost::Message as _;
use potter_core::store::{Append, Store as _, Unit};
use potter_messaging::{Options, Payload};
use potter_sample::ProductCreated;
use uuid::Uuid;

use crate::shop::{SOON, Shop, next};
use crate::unsteady::{Fate, UnsteadyBroker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_says_all_that_is_known_of_it() {
    let shop = Shop::start().await;
    let mut events = shop.listen("shop.events.>").await;
    let id = shop.create("Pen").await;
    let message = next(&mut events).await;
    let recorded = shop.dispatcher.store().read_all(0, 1).await.expect("readable").remove(0);
    assert_eq!(message.subject, "shop.events.product.created");
    assert_eq!(message.id, recorded.id.to_string());
    let expected = [
        (headers::EVENT_ID, recorded.id.to_string()),
        (headers::EVENT_TYPE, "product.created".to_owned()),
        (headers::SCHEMA_VERSION, "1".to_owned()),
        (headers::MESSAGE, "shop.v1.ProductCreated".to_owned()),
        (headers::AGGREGATE, "Product".to_owned()),
        (headers::AGGREGATE_ID, id),
        (headers::VERSION, "1".to_owned()),
        (headers::POSITION, "1".to_owned()),
        (headers::CORRELATION_ID, recorded.metadata.correlation_id.clone()),
        (headers::CAUSATION_ID, recorded.metadata.causation_id.clone()),
        (headers::TIME, recorded.timestamp().to_string()),
        (headers::CONTENT_TYPE, headers::PROTOBUF.to_owned()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    assert_eq!(message.headers, expected);
    assert_eq!(ProductCreated::decode(message.payload).expect("the event").name, "Pen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_written_as_json_when_told() {
    let options = Options { payload: Payload::Json, ..Options::default() };
    let shop = Shop::with(Arc::new(MemoryBroker::new()), options).await;
    let mut events = shop.listen("shop.events.>").await;
    shop.create("Pen").await;
    let message = next(&mut events).await;
    assert_eq!(message.get(headers::CONTENT_TYPE), Some(headers::JSON));
    let json: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
    assert_eq!(json, serde_json::json!({ "name": "Pen", "stock": 5 }));
}

/// A deployment may raise the version of an event that was recorded, and isn't published yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_former_version_is_published_as_what_it_is_now() {
    let store = Arc::new(MemoryStore::new());
    let former = NewEvent {
        id: Uuid::now_v7(),
        event_type: "product.created",
        schema_version: 0,
        payload: ProductCreated { name: "Pen".to_owned(), ..ProductCreated::default() }.encode_to_vec().into(),
    };
    let append = Append {
        aggregate: "Product",
        aggregate_id: "a".to_owned(),
        expected_version: 0,
        events: vec![former],
        metadata: EventMetadata::default(),
        time: SystemTime::UNIX_EPOCH,
    };
    store.commit(Unit { append: Some(append), ..Unit::default() }).await.expect("recorded");
    let broker = Arc::new(MemoryBroker::new());
    let mut events = broker.listen("shop.events.>".to_owned()).await.expect("it can listen");
    let options = Options { payload: Payload::Json, ..Options::default() };
    let _shop = Shop::over(store, broker, options, potter_sample::module()).await;
    let message = next(&mut events).await;
    assert_eq!(message.get(headers::MESSAGE), Some("shop.v1.ProductCreated"));
    assert_eq!(message.get(headers::SCHEMA_VERSION), Some("1"));
    let json: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
    assert_eq!(json, serde_json::json!({ "name": "Pen" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internal_event_stays_inside() {
    let mut module = potter_sample::module();
    module.internal_events(&["product.updated"]);
    let shop =
        Shop::over(Arc::new(MemoryStore::new()), Arc::new(MemoryBroker::new()), Options::default(), module).await;
    let mut events = shop.listen("shop.events.>").await;
    let id = shop.create("Pen").await;
    shop.update(&id, 1).await;
    shop.create("Ink").await;
    // Different streams don't wait for each other.
    let mut positions =
        [next(&mut events).await, next(&mut events).await].map(|message| message.parse(headers::POSITION));
    positions.sort();
    assert_eq!(positions, [Ok(Some(1_u64)), Ok(Some(3))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_order_is_kept_whatever_gets_lost() {
    let tries = AtomicUsize::new(0);
    let broker = Arc::new(UnsteadyBroker::new(move |_| match tries.fetch_add(1, Ordering::SeqCst) % 9 {
        1 => Fate::Lost,
        3 => Fate::KeptInSilence,
        _ => Fate::Kept,
    }));
    let mut shop = Shop::with(broker, Options::default()).await;
    let mut events = shop.listen("shop.events.>").await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(shop.create(name).await);
    }
    for price in 1..=5 {
        for id in &ids {
            shop.update(id, price).await;
        }
    }
    tokio::time::timeout(SOON, shop.messaging.flush()).await.expect("everything is published");
    let mut versions: HashMap<String, u64> = HashMap::new();
    for _ in 0..24 {
        let message = next(&mut events).await;
        let stream = message.get(headers::AGGREGATE_ID).expect("a stream").to_owned();
        let version = versions.entry(stream).or_default();
        *version += 1;
        assert_eq!(message.parse(headers::VERSION), Ok(Some(*version)));
    }
    assert!(versions.values().all(|version| *version == 6), "{versions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_go_on_while_the_broker_is_away() {
    let broker = Arc::new(UnsteadyBroker::new(|_| Fate::Lost));
    let mut shop = Shop::with(broker.clone(), Options::default()).await;
    let mut events = shop.listen("shop.events.>").await;
    shop.create("Pen").await;
    broker.answers_pings(false);
    let ill = async {
        loop {
            let components = shop.dispatcher.health().await;
            let broker = components.into_iter().find(|part| part.name == "broker").expect("it is told");
            if broker.status == HealthStatus::Degraded && broker.detail.contains("1 messages to publish") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, ill).await.expect("the health says so");
    broker.answers_pings(true);
    broker.set(|_| Fate::Kept);
    assert_eq!(next(&mut events).await.get(headers::POSITION), Some("1"));
    tokio::time::timeout(SOON, shop.messaging.flush()).await.expect("everything is published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_start_goes_on_where_the_last_has_stopped() {
    let store: potter_core::store::SharedStore = Arc::new(MemoryStore::new());
    let first_run = Arc::new(AtomicBool::new(true));
    let seen = Arc::new(AtomicUsize::new(0));
    let broker = Arc::new(UnsteadyBroker::new({
        let (seen, first_run) = (seen.clone(), first_run.clone());
        move |message| {
            let old = message.get(headers::POSITION) == Some("1") && !first_run.load(Ordering::SeqCst);
            seen.fetch_add(usize::from(old), Ordering::SeqCst);
            Fate::Kept
        }
    }));
    let shop = Shop::over(store.clone(), broker.clone(), Options::default(), potter_sample::module()).await;
    let mut events = shop.listen("shop.events.>").await;
    let id = shop.create("Pen").await;
    assert_eq!(next(&mut events).await.get(headers::POSITION), Some("1"));
    shop.messaging.stop(SOON).await;
    first_run.store(false, Ordering::SeqCst);
    // Recorded while nobody publishes.
    let quiet = shop.dispatcher;
    let mut shop = Shop::over(store, broker, Options::default(), potter_sample::module()).await;
    shop.update(&id, 2).await;
    assert_eq!(next(&mut events).await.get(headers::POSITION), Some("2"));
    tokio::time::timeout(SOON, shop.messaging.flush()).await.expect("everything is published");
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the first event is not published again");
    drop(quiet);
}
