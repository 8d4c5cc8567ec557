//! Events that the broker never takes because of their size.

use std::sync::Arc;
use std::time::Duration;

use potter_broker::{Broker, Channel, Keeps, MemoryBroker, headers};
use potter_core::health::HealthStatus;
use potter_core::store::{DeadLetter, DeadLetterFilter};
use potter_messaging::replay::Replayer;
use potter_messaging::{OUTGOING, Options};
use potter_nats::NatsBroker;

use crate::shop::{SOON, Shop, next};

async fn letters(shop: &Shop) -> Vec<DeadLetter> {
    let filter = DeadLetterFilter { source: Some(OUTGOING.to_owned()), ..DeadLetterFilter::default() };
    shop.dispatcher.store().dead_letters(filter).await.expect("readable")
}

async fn flush(shop: &mut Shop) {
    tokio::time::timeout(SOON, shop.messaging.flush()).await.expect("nothing holds everything up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_large_holds_up_its_own_stream_and_no_other() {
    let mut shop = Shop::with(Arc::new(MemoryBroker::with_max_payload(100)), Options::default()).await;
    let mut events = shop.listen("shop.events.>").await;
    let large = shop.create(&"x".repeat(200)).await;
    shop.update(&large, 1).await;
    let small = shop.create("Pen").await;
    shop.update(&large, 2).await;
    flush(&mut shop).await;
    assert_eq!(next(&mut events).await.get(headers::AGGREGATE_ID), Some(small.as_str()));

    let set_aside = letters(&shop).await;
    let versions: Vec<_> = set_aside.iter().map(|it| header(it, headers::VERSION)).collect();
    assert_eq!(versions, ["1", "2", "3"], "in the order of the stream");
    assert!(set_aside.iter().all(|it| it.key == format!("Product-{large}")), "{set_aside:?}");
    assert!(set_aside[0].reason.contains("100 are the most"), "{:?}", set_aside[0]);
    assert_eq!(set_aside[1].reason, "waits behind an earlier event of its stream");
    until_health_tells(&shop).await;

    // It is as large as before; with a broker that takes it, the stream is published in its order.
    let desk = shop.dispatcher.messages().expect("there are messages");
    let replayed = desk.replay(DeadLetterFilter::default()).await.expect("the store is there");
    assert_eq!(replayed.len(), 1, "behind it its stream goes on waiting");
    assert!(replayed[0].failure.is_some());
    let roomy = MemoryBroker::new();
    roomy.declare(events_of_the_shop()).await.expect("the channel can be made");
    let mut published = roomy.listen("shop.events.>".to_owned()).await.expect("it can listen");
    let replayer = Replayer::new(&shop.dispatcher, Some(Arc::new(roomy))).expect("descriptors");
    let replayed = replayer.replay(DeadLetterFilter::default()).await.expect("the store is there");
    assert!(replayed.iter().all(|it| it.failure.is_none()), "{replayed:?}");
    for version in ["1", "2", "3"] {
        assert_eq!(next(&mut published).await.get(headers::VERSION), Some(version));
    }
    shop.update(&large, 3).await;
    assert_eq!(next(&mut events).await.get(headers::VERSION), Some("4"), "its stream goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_cannot_be_replayed_without_its_broker() {
    let mut shop = Shop::with(Arc::new(MemoryBroker::with_max_payload(100)), Options::default()).await;
    shop.create(&"x".repeat(200)).await;
    flush(&mut shop).await;
    let replayer = Replayer::new(&shop.dispatcher, None).expect("descriptors");
    let replayed = replayer.replay(DeadLetterFilter::default()).await.expect("the store is there");
    let failure = replayed[0].failure.as_ref().expect("it is kept").to_string();
    assert!(failure.contains("NATS_URL is not set here"), "{failure}");
    assert_eq!(letters(&shop).await.len(), 1);
}

/// NATS takes a mebibyte by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_says_what_is_too_large() {
    let url = std::env::var("POTTER_TEST_NATS").expect("`scripts/with-servers nats -- cargo test` starts a server");
    let broker = NatsBroker::connect(&url, "too large").await.expect("a valid URL");
    let mut shop = Shop::with(Arc::new(broker), Options::default()).await;
    let large = shop.create(&"x".repeat(1_100_000)).await;
    shop.create("Pen").await;
    flush(&mut shop).await;
    let set_aside = letters(&shop).await;
    assert_eq!(set_aside.len(), 1);
    assert_eq!(header(&set_aside[0], headers::AGGREGATE_ID), large);
    assert!(set_aside[0].reason.contains("max payload"), "{}", set_aside[0].reason);
    shop.messaging.stop(SOON).await;
}

fn header(letter: &DeadLetter, name: &str) -> String {
    letter.headers.iter().find(|(it, _)| it == name).expect("it is there").1.clone()
}

fn events_of_the_shop() -> Channel {
    Channel {
        name: "shop-events".to_owned(),
        subjects: vec!["shop.events.>".to_owned()],
        keeps: Keeps::For(Duration::from_secs(600)),
        repeats_within: Duration::from_secs(60),
    }
}

async fn until_health_tells(shop: &Shop) {
    let told = async {
        loop {
            let components = shop.dispatcher.health().await;
            let part = components.into_iter().find(|part| part.name == "dead letters").expect("it is told");
            if part.status == HealthStatus::Degraded && part.detail.starts_with("3 messages") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, told).await.expect("the health says so");
}
