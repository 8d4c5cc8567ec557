//! How long a client waits for what became of its command over NATS: to the service, executed, committed, and back.
//!
//! `invokers CALLERS SECONDS DIRECTORY`, with `POTTER_TEST_NATS`, prints commands per second, p50, p99 and p99.9 in
//! microseconds. Client and service are in one process, each with a connection of its own to the broker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use potter_benches::catalogue::{self, ListProduct};
use potter_benches::database::Database;
use potter_benches::drive::drive;
use potter_client::broker::SharedBroker;
use potter_client::invoker::CommandInvoker;
use potter_client::nats::NatsBroker;
use potter_client::{Event, NoErrorEvent};
use potter_core::dispatch::{Dispatcher, Options};
use potter_core::prost::DecodeError;
use potter_messaging::Messaging;

/// Whatever the command recorded: it is not looked into.
#[derive(Debug)]
struct Recorded;

impl Event for Recorded {
    fn decode(_: &str, _: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(Some(Self))
    }
}

type Invoker = CommandInvoker<ListProduct, Recorded, NoErrorEvent>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [callers, seconds, directory] = &arguments[..] else {
        anyhow::bail!("usage: invokers CALLERS SECONDS DIRECTORY");
    };
    let callers = callers.parse().context("CALLERS is a number")?;
    let seconds = seconds.parse().context("SECONDS is a number")?;
    let url = std::env::var("POTTER_TEST_NATS").context("POTTER_TEST_NATS is not set")?;
    let database = Database::make(directory).await?;
    let dispatcher = Dispatcher::start(catalogue::module(), database.store.clone(), Options::default()).await?;
    let broker = Arc::new(NatsBroker::connect(&url, "service").await?);
    let messaging = Messaging::start(&dispatcher, broker, potter_messaging::Options::default())?;
    let client: SharedBroker = Arc::new(NatsBroker::connect(&url, "client").await?);
    let invoker = Arc::new(Invoker::over_broker(&client, "shop", "shop.list_product"));
    list(invoker.clone()).await;
    println!("{}", drive(callers, seconds, move |_, _| list(invoker.clone())).await);
    messaging.stop(Duration::from_secs(5)).await;
    dispatcher.shutdown().await;
    database.discard().await
}

async fn list(invoker: Arc<Invoker>) {
    let command = ListProduct { name: "Teapot".to_owned(), category: "kitchen".to_owned(), ..ListProduct::default() };
    invoker.invoke(&command).await.expect("no rule is broken");
}
