//! Several processes over one store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use potter_broker::{MemoryBroker, headers};
use potter_core::dispatch::{self, Dispatcher};
use potter_core::memory::MemoryStore;
use potter_core::store::{Layer, Layered, MayBeOutage, SharedStore, Store, StoreError};
use potter_messaging::Options;
use tokio::time::{Instant, sleep};

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

/// Whether a store is out of reach.
#[derive(Clone, Default)]
struct Away(Arc<AtomicBool>);

impl Layer for Away {
    async fn once<T: Send, E: MayBeOutage>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        if self.0.load(Ordering::SeqCst) { Err(StoreError::new(operation, "out of reach").into()) } else { call.await }
    }

    async fn again<T: Send, E: MayBeOutage, F: Future<Output = Result<T, E>> + Send>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T, E> {
        self.once(operation, call()).await
    }
}

/// Who published before an outage doesn't wait to see whether somebody else does.
#[tokio::test(start_paused = true)]
async fn the_one_who_publishes_goes_on_soon_after_an_outage_of_the_store() {
    let memory: Arc<MemoryStore> = Arc::default();
    let away = Away::default();
    let behind: SharedStore = Arc::new(Layered::<_, dyn Store>::new(memory.clone(), away.clone()));
    let broker = Arc::new(MemoryBroker::new());
    let shop = Shop::over(behind, broker.clone(), Options::default(), potter_sample::module()).await;
    // Another process, which doesn't publish.
    let dispatcher = Dispatcher::start(potter_sample::module(), memory, dispatch::Options::default()).await;
    let other = Shop { dispatcher: dispatcher.expect("it starts"), ..shop };
    let mut events = other.listen("shop.events.>").await;
    for position in 1..=5_u64 {
        away.0.store(position > 1, Ordering::SeqCst);
        other.create("Pen").await;
        sleep(Duration::from_secs(30)).await;
        away.0.store(false, Ordering::SeqCst);
        let began = Instant::now();
        assert_eq!(next(&mut events).await.parse(headers::POSITION), Ok(Some(position)));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}
