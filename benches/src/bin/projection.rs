//! How fast a projection takes the log in, exactly once: rows and checkpoint in one transaction per batch.
//!
//! `projection EVENTS PRODUCTS PLACE [BATCH]` (a directory, or the DSN of a PostgreSQL server) appends the events, round
//! the products, and then starts the projection, which takes in BATCH events at a time (1,000); prints its rate, and that
//! of a rebuild beside the live table, in events per second.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use potter_benches::catalogue::{self, ProductEvent, ProductListed, ProductRestocked, Products};
use potter_benches::database::{Database, migrations};
use potter_core::dispatch::{Dispatcher, Options};
use potter_core::domain::DomainEvent;
use potter_core::event::{EventMetadata, NewEvent};
use potter_core::module::PROJECTION_BATCH;
use potter_core::read_model::ReadModel;
use potter_core::store::{Append, SharedStore, Unit};
use uuid::Uuid;

/// Longer than any run should take.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (events, products, place, batch) = match arguments[..] {
        [events, products, place] => (events, products, place, PROJECTION_BATCH),
        [events, products, place, batch] => (events, products, place, batch.parse().context("BATCH is a number")?),
        _ => bail!("usage: projection EVENTS PRODUCTS PLACE [BATCH]"),
    };
    let events = events.parse().context("EVENTS is a number")?;
    let products = products.parse().context("PRODUCTS is a number")?;
    run(events, products, place, batch)
}

#[tokio::main]
async fn run(events: u64, products: u64, place: &str, batch: NonZeroUsize) -> anyhow::Result<()> {
    let database = Database::make(place).await?;
    let store = database.store.clone();
    append(&store, events, products).await?;
    store.migrate(migrations(&Products::TABLE)).await?;

    let mut module = catalogue::module();
    module.read_model::<Products>().projection_batch(batch);
    let begin = Instant::now();
    let dispatcher = Dispatcher::start(module, store, Options::default()).await?;
    dispatcher.settle(PATIENCE).await?;
    let caught_up = begin.elapsed();
    let begin = Instant::now();
    dispatcher.rebuild(Products::NAME).await?;
    println!("{:.0} {:.0}", rate(events, caught_up), rate(events, begin.elapsed()));
    dispatcher.shutdown().await;
    database.discard().await
}

fn rate(events: u64, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}

/// One event per product, round and round.
async fn append(store: &SharedStore, events: u64, products: u64) -> anyhow::Result<()> {
    let ids: Vec<String> = (0..products).map(|_| Uuid::now_v7().to_string()).collect();
    let mut appended = 0;
    for version in 0.. {
        let left = usize::try_from(events - appended)?;
        let units = ids.iter().take(left).map(|id| store.commit(unit(id, version)));
        for committed in futures::future::join_all(units).await {
            committed?;
        }
        appended += ids.len().min(left) as u64;
        if appended == events {
            break;
        }
    }
    Ok(())
}

fn unit(id: &str, version: u64) -> Unit {
    let event = match version {
        0 => ProductEvent::from(ProductListed {
            name: "Teapot, two cups".to_owned(),
            description: "Of stoneware, glazed in celadon; fills two cups, keeps the second warm.".to_owned(),
            category: format!("category {}", id.len() % 7),
        }),
        _ => ProductRestocked { quantity: 1 }.into(),
    };
    let event = NewEvent {
        id: Uuid::now_v7(),
        event_type: event.event_type(),
        schema_version: event.version(),
        payload: event.encode().into(),
    };
    let metadata = EventMetadata {
        correlation_id: Uuid::now_v7().to_string(),
        causation_id: Uuid::now_v7().to_string(),
        actor: None,
    };
    let append = Append {
        aggregate: "Product",
        aggregate_id: id.to_owned(),
        expected_version: version,
        events: vec![event],
        metadata,
        time: SystemTime::now(),
    };
    Unit { append: Some(append), ..Unit::default() }
}
