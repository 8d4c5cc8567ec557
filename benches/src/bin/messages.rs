//! How long it takes from a command to the broker's word for its event, at a steady rate.
//!
//! `messages RATE SECONDS DIRECTORY`, with `POTTER_TEST_NATS`: prints p50, p99 and p99.9 in microseconds. The clock
//! starts when the command does, so that its own commit is in the figure.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use futures::future::{BoxFuture, FutureExt};
use potter_core::dispatch::{Dispatcher, Options, Request};
use potter_core::prost::Message as _;
use potter_core::prost_types::Timestamp;
use potter_messaging::Messaging;
use potter_messaging::broker::{Broker, BrokerError, Calls, Channel, Consumer, Deliveries, Message, Messages, headers};
use potter_sample::CreateProductRequest;
use potter_sqlite::SqliteStore;

/// NATS, with a stopwatch.
struct Timed {
    nats: potter_nats::NatsBroker,
    delays: Sender<Duration>,
}

impl Broker for Timed {
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
        let began = message.get(headers::TIME).and_then(|time| time.parse::<Timestamp>().ok());
        async move {
            self.nats.publish(message).await?;
            let began = began.and_then(|time| SystemTime::try_from(time).ok());
            if let Some(delay) = began.and_then(|time| time.elapsed().ok()) {
                // Who measures may have seen enough.
                let _ = self.delays.send(delay);
            }
            Ok(())
        }
        .boxed()
    }

    fn declare(&self, channel: Channel) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.nats.declare(channel)
    }

    fn consume(&self, consumer: Consumer) -> BoxFuture<'_, Result<Deliveries, BrokerError>> {
        self.nats.consume(consumer)
    }

    fn backlog(&self, consumer: Consumer) -> BoxFuture<'_, Result<u64, BrokerError>> {
        self.nats.backlog(consumer)
    }

    fn listen(&self, pattern: String) -> BoxFuture<'_, Result<Messages, BrokerError>> {
        self.nats.listen(pattern)
    }

    fn serve(&self, pattern: String, group: String) -> BoxFuture<'_, Result<Calls, BrokerError>> {
        self.nats.serve(pattern, group)
    }

    fn request(&self, message: Message, patience: Duration) -> BoxFuture<'_, Result<Message, BrokerError>> {
        self.nats.request(message, patience)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.nats.ping()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.nats.close()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &'static str| arguments.next().context(what);
    let rate: u32 = next("RATE is missing")?.parse().context("RATE is no number")?;
    let seconds: u32 = next("SECONDS is missing")?.parse().context("SECONDS is no number")?;
    let directory = tempfile::tempdir_in(next("DIRECTORY is missing")?)?;
    let url = std::env::var("POTTER_TEST_NATS").context("POTTER_TEST_NATS is not set")?;
    let store = SqliteStore::open(&format!("sqlite://{}", directory.path().join("data.db").display()))?;
    let dispatcher = Dispatcher::start(potter_sample::module(), Arc::new(store), Options::default()).await?;
    let (delays, measured) = channel();
    let broker = Arc::new(Timed { nats: potter_nats::NatsBroker::connect(&url, "bench").await?, delays });
    let mut messaging = Messaging::start(&dispatcher, broker, potter_messaging::Options::default())?;
    drive(&dispatcher, rate, rate).await;
    messaging.flush().await;
    let warm = measured.try_iter().count();
    drive(&dispatcher, rate, rate * seconds).await;
    messaging.flush().await;
    let mut delays: Vec<Duration> = measured.try_iter().collect();
    delays.sort();
    let at = |part: f64| delays[((delays.len() - 1) as f64 * part) as usize].as_micros();
    println!(
        "{} events after {warm} to warm up: p50 {} µs, p99 {} µs, p99.9 {} µs",
        delays.len(),
        at(0.5),
        at(0.99),
        at(0.999)
    );
    messaging.stop(Duration::from_secs(5)).await;
    dispatcher.shutdown().await;
    Ok(())
}

/// Sends `count` commands, so many each second, none waiting for another.
async fn drive(dispatcher: &Dispatcher, rate: u32, count: u32) {
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    let mut tasks = tokio::task::JoinSet::new();
    let began = tokio::time::Instant::now();
    let mut sent = 0;
    while sent < count {
        pace.tick().await;
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u32;
        while sent < due.min(count) {
            tasks.spawn(create(dispatcher.clone()));
            sent += 1;
        }
    }
    tasks.join_all().await;
}

async fn create(dispatcher: Dispatcher) {
    let request = CreateProductRequest { name: "Pen".to_owned(), stock: 5, ..CreateProductRequest::default() };
    let request = Request { body: request.encode_to_vec().into(), ..Request::default() };
    dispatcher.call("shop.v1.Catalogue/CreateProduct", request).await.expect("created");
}
