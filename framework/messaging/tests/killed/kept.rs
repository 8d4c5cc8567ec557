//! What a broker has kept, held against the log of the shop.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use potter_broker::{Broker, Consumer, Message, headers};
use potter_core::event::RecordedEvent;

/// What has been published, comes within that time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Every event is there, and each stream in order; answers how many messages came twice.
pub async fn hold_against_the_log(broker: &dyn Broker, log: &[RecordedEvent]) -> usize {
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in log {
        expected.entry(event.aggregate_id.clone()).or_default().push(event.version);
    }
    let mut deliveries = broker.consume(Consumer::new("shop-events", "counts")).await.expect("it can take part");
    let (mut seen, mut repeats) = (HashSet::new(), 0);
    let mut received: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    while seen.len() < log.len() {
        let delivery = tokio::time::timeout(PATIENCE, deliveries.next()).await.expect("nothing is lost");
        let delivery = delivery.expect("it goes on").expect("the broker is there");
        delivery.answer.done().await.expect("it can be acknowledged");
        match seen.insert(delivery.message.id.clone()) {
            true => note(&mut received, &delivery.message),
            false => repeats += 1,
        }
    }
    assert_eq!(received, expected);
    repeats
}

fn note(received: &mut BTreeMap<String, Vec<u64>>, message: &Message) {
    let stream = message.get(headers::AGGREGATE_ID).expect("every event says so").to_owned();
    let version = message.parse(headers::VERSION).expect("a number").expect("every event says so");
    received.entry(stream).or_default().push(version);
}
