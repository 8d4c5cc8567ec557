//! A read model that is built anew while 5,000 events a second come in, by a service that is killed in the middle of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use futures::future::join_all;
use potter::bytes::Bytes;
use potter::event::{EventMetadata, NewEvent};
use potter::prost::Message;
use potter::store::contract::ledger::Ledger;
use potter::store::{Append, Generation, SharedStore, Unit};
use potter::uuid::Uuid;
use potter_sample::{ProductCreated, StockReserved};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{ADMIN_TOKEN, Place, checkpoint, until, variable};
use crate::http::send_with;
use crate::process::Process;

/// Events of a product, and products that are written at a time: 5,000 events a second.
const EVENTS: usize = 10;
const PRODUCTS: usize = 10;
const EVERY: Duration = Duration::from_millis(20);

/// `POTTER_REBUILD_EVENTS` says how many events there are when the rebuild begins; 20,000 unless told.
async fn a_rebuild_goes_on_after_a_kill_and_is_a_cold_replay(place: Place) {
    let seeded = variable("POTTER_REBUILD_EVENTS", 20_000);
    let service = place.start();
    let store = place.open().await;
    for _ in 0..seeded.div_ceil(EVENTS * 100) {
        write(&store, 100).await;
    }
    let head = *store.head().borrow();
    until("the read model is up to date", async || checkpoint(&store).await >= head).await;
    let reader = Reader::start(service.http, seeded as u64 / EVENTS as u64);
    let began = Instant::now();
    let writing = watch::Sender::new(true);
    let writer = tokio::spawn(keep_writing(store.clone(), writing.subscribe()));

    let reached = kill_in_mid_rebuild(&place, service, seeded as u64 / 4).await;
    let service = place.start();
    reader.aim.send_replace(Some(service.http));
    until("the rebuild is done", async || {
        let record = store.projection("Products").await.expect("readable");
        let at = store.checkpoint("Products", Generation::Next).await.expect("readable");
        assert!(!record.rebuilding || at == 0 || at >= reached, "it goes on at {reached}, and is at {at}");
        !record.rebuilding
    })
    .await;

    writing.send_replace(false);
    writer.await.expect("no panic");
    let rate = (*store.head().borrow() - head) as f64 / began.elapsed().as_secs_f64();
    let reads = reader.stop().await;
    place.check([service], &Ledger::new()).await;
    println!(
        "{}: killed at {reached} of {seeded} events, {rate:.0} events/s meanwhile: as a cold replay, {reads} reads",
        place.kind()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_goes_on_after_a_kill_and_is_a_cold_replay_on_sqlite() {
    a_rebuild_goes_on_after_a_kill_and_is_a_cold_replay(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_goes_on_after_a_kill_and_is_a_cold_replay_on_postgres() {
    a_rebuild_goes_on_after_a_kill_and_is_a_cold_replay(Place::postgres("rebuilt_service").await).await;
}

/// Orders a rebuild and kills the service in the middle of it, when so many events are taken in; tells how many it were.
async fn kill_in_mid_rebuild(place: &Place, mut service: Process, enough: u64) -> u64 {
    let store = place.open().await;
    let at = async || store.checkpoint("Products", Generation::Next).await.expect("readable");
    let record = async || store.projection("Products").await.expect("readable");
    loop {
        let epoch = record().await.epoch;
        let authorization = format!("authorization: Bearer {ADMIN_TOKEN}\r\n");
        let ordered = send_with(service.http, "POST", "/admin/projections/Products/rebuild", "", &authorization).await;
        assert_eq!(ordered.expect("an answer").status, 202);
        until("the rebuild is in its middle", async || at().await >= enough || record().await.epoch > epoch).await;
        service.signal("KILL");
        service.wait();
        if record().await.rebuilding {
            return at().await;
        }
        // It was faster; once more.
        service = place.start();
    }
}

async fn keep_writing(store: SharedStore, writing: watch::Receiver<bool>) {
    let mut pace = tokio::time::interval(EVERY);
    while *writing.borrow() {
        pace.tick().await;
        write(&store, PRODUCTS).await;
    }
}

/// Records some products with their events, past the service, as another node would.
pub async fn write(store: &SharedStore, products: usize) {
    for committed in join_all((0..products).map(|_| store.commit(product()))).await {
        committed.expect("a new stream");
    }
}

fn product() -> Unit {
    let created = ProductCreated { name: "lamp".to_owned(), stock: 1_000, ..ProductCreated::default() };
    let reserved = StockReserved { quantity: 1 };
    let mut events = vec![event("product.created", &created)];
    events.extend((1..EVENTS).map(|_| event("product.stock_reserved", &reserved)));
    let append = Append {
        aggregate: "Product",
        aggregate_id: Uuid::now_v7().to_string(),
        expected_version: 0,
        events,
        metadata: EventMetadata::default(),
        time: SystemTime::now(),
    };
    Unit { append: Some(append), ..Unit::default() }
}

fn event(event_type: &'static str, payload: &impl Message) -> NewEvent {
    NewEvent { id: Uuid::now_v7(), event_type, schema_version: 1, payload: Bytes::from(payload.encode_to_vec()) }
}

/// Somebody who counts products all along.
struct Reader {
    aim: watch::Sender<Option<SocketAddr>>,
    reads: JoinHandle<usize>,
}

impl Reader {
    /// Begins to count; there are so many already.
    fn start(node: SocketAddr, products: u64) -> Self {
        let aim = watch::Sender::new(Some(node));
        let reads = tokio::spawn(count(aim.subscribe(), products));
        Self { aim, reads }
    }

    async fn stop(self) -> usize {
        self.aim.send_replace(None);
        self.reads.await.expect("no panic")
    }
}

async fn count(mut aim: watch::Receiver<Option<SocketAddr>>, mut before: u64) -> usize {
    let mut reads = 0;
    loop {
        let Some(node) = *aim.borrow_and_update() else { return reads };
        // As the read model is, without waiting until it is up to date.
        let answer = send_with(node, "GET", "/products?pageSize=1", "", "potter-position: 0\r\n").await;
        let Some(answer) = answer.ok().filter(|answer| answer.status == 200) else {
            // It is being killed, or started.
            let _ = timeout(EVERY, aim.changed()).await;
            continue;
        };
        let total = answer.json()["total"].as_u64().expect("a number");
        assert!(total >= before, "there were {before} products, and now {total}");
        before = total;
        reads += 1;
    }
}
