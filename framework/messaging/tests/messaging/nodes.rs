//! Several processes over one store.

use std::sync::Arc;

use potter_broker::headers;
use potter_core::memory::MemoryStore;
use potter_core::store::SharedStore;
use potter_messaging::Options;

use crate::shop::{SOON, Shop, next};
use crate::unsteady::{Fate, UnsteadyBroker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_publishes_and_another_takes_over() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let broker = Arc::new(UnsteadyBroker::new(|_| Fate::Kept));
    let start = || Shop::over(store.clone(), broker.clone(), Options::default(), potter_sample::module());
    let (one, two) = (start().await, start().await);
    let mut events = one.listen("shop.events.>").await;
    let id = one.create("Pen").await;
    for price in 1..=20 {
        two.update(&id, price).await;
    }
    for version in 1..=21_u64 {
        assert_eq!(next(&mut events).await.parse(headers::VERSION), Ok(Some(version)));
    }
    one.messaging.stop(SOON).await;
    two.update(&id, 99).await;
    assert_eq!(next(&mut events).await.parse(headers::VERSION), Ok(Some(22_u64)));
}
