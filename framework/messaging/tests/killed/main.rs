//! A NATS server that is killed again and again while events are published: none may be lost, and none overtake
//! another of its stream.
//!
//! Three times with `cargo test`; `POTTER_NATS_KILLS=20` for the figure of `docs/reliability.md`.

mod kept;
#[path = "../../../nats/tests/server/mod.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use potter_core::dispatch::{self, Dispatcher, Request};
use potter_core::memory::MemoryStore;
use potter_core::prost::Message as _;
use potter_messaging::{Messaging, Options};
use potter_nats::NatsBroker;
use potter_sample::{CreateProductRequest, ProductReply, UpdateProductRequest};
use server::Server;

/// So many events are published between one kill and the next.
const BETWEEN: u64 = 300;

/// Streams that are written to.
const STREAMS: usize = 16;

/// Everything that must happen, happens within that time.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_order_is_kept_when_the_broker_is_killed() {
    let kills = std::env::var("POTTER_NATS_KILLS").map_or(3, |text| text.parse().expect("a number of kills"));
    let data = tempfile::tempdir().expect("a directory");
    let port = server::free_port();
    let mut nats = Server::start(port, data.path());
    let dispatcher =
        Dispatcher::start(potter_sample::module(), Arc::new(MemoryStore::new()), dispatch::Options::default())
            .await
            .expect("it starts");
    let broker = Arc::new(NatsBroker::connect(&nats.url, "killed").await.expect("a valid URL"));
    let mut messaging = Messaging::start(&dispatcher, broker, Options::default()).expect("it starts");
    let writing = Arc::new(AtomicBool::new(true));
    let writers: Vec<_> = (0..STREAMS).map(|_| tokio::spawn(write(dispatcher.clone(), writing.clone()))).collect();
    for _ in 0..kills {
        let goal = messaging.published() + BETWEEN;
        reach(&messaging, goal).await;
        nats.kill();
        nats = Server::start(port, data.path());
    }
    writing.store(false, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("no command fails while the broker is away");
    }
    tokio::time::timeout(PATIENCE, messaging.flush()).await.expect("everything is published");
    let log = dispatcher.store().read_all(0, usize::MAX).await.expect("readable");
    let repeats = kept::hold_against_the_log(&server::connect(&nats.url).await, &log).await;
    println!("{kills} kills: 0 lost, 0 out of order, {repeats} repeats for consumers to drop");
    messaging.stop(PATIENCE).await;
}

/// Changes one product until it is told to stop, slowly enough that the test's log stays small.
async fn write(dispatcher: Dispatcher, writing: Arc<AtomicBool>) {
    let create = CreateProductRequest { name: "Pen".to_owned(), ..CreateProductRequest::default() };
    let reply = call(&dispatcher, "shop.v1.Catalogue/CreateProduct", create.encode_to_vec()).await;
    let product_id = ProductReply::decode(reply).expect("a reply").product_id;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut price_cents = 0;
    while writing.load(Ordering::SeqCst) {
        pace.tick().await;
        price_cents += 1;
        let update = UpdateProductRequest { product_id: product_id.clone(), name: "Pen".to_owned(), price_cents };
        call(&dispatcher, "shop.v1.Catalogue/UpdateProduct", update.encode_to_vec()).await;
    }
}

async fn call(dispatcher: &Dispatcher, rpc: &str, body: Vec<u8>) -> bytes::Bytes {
    let request = Request { body: body.into(), ..Request::default() };
    dispatcher.call(rpc, request).await.expect("executed").body
}

async fn reach(messaging: &Messaging, position: u64) {
    let reached = async {
        let mut look = tokio::time::interval(Duration::from_millis(1));
        while messaging.published() < position {
            look.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("publishing goes on after a kill");
}
