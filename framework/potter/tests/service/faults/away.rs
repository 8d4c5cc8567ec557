//! A database that ends under load and comes back: everything goes on by itself, and nothing is lost or done twice.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Load, PATIENCE, Place, broker, counted, database, published, variable};
use crate::http::get;

/// How soon after the database is back something was seen.
#[derive(Debug, Default)]
struct Seen {
    command: Option<Duration>,
    store_up: Option<Duration>,
    read_models_up: Option<Duration>,
    taken_in: Option<Duration>,
    published: Option<Duration>,
}

impl Seen {
    fn everything(&self) -> bool {
        let Self { command, store_up, read_models_up, taken_in, published } = self;
        [command, store_up, read_models_up, taken_in, published].into_iter().all(Option::is_some)
    }
}

/// `POTTER_AWAY_SECONDS` says how long the database is away; 3 s unless told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_on_when_the_database_is_back() {
    let away = Duration::from_secs(variable("POTTER_AWAY_SECONDS", 3) as u64);
    let database = database::Server::start();
    let data = tempfile::tempdir().expect("a directory");
    let nats = broker::Server::start(broker::free_port(), data.path());
    let dsn = database.dsn();
    let (dsn, _) = dsn.split_once('?').expect("a DSN with a timeout");
    let place = Place::at(dsn.to_owned()).with_nats(&nats.url);
    let service = place.start();
    let load = Load::start(service.http).await;
    load.goes_on(200).await;
    database.stop();
    sleep(away).await;
    let before = (load.answered(), taken_in(service.http).await, published(service.http).await);
    database.start_again();
    let back = Instant::now();
    let mut seen = Seen::default();
    while !seen.everything() {
        assert!(back.elapsed() < PATIENCE, "{seen:?}");
        let health = health(service.http).await;
        let at = |holds: bool| holds.then(|| back.elapsed());
        seen.command = seen.command.or_else(|| at(load.answered() > before.0));
        seen.store_up = seen.store_up.or_else(|| at(is_up(&health, "store")));
        seen.read_models_up = seen.read_models_up.or_else(|| at(is_up(&health, "projection Products")));
        seen.taken_in = seen.taken_in.or(at(taken_in(service.http).await > before.1));
        seen.published = seen.published.or(at(published(service.http).await > before.2));
        sleep(Duration::from_millis(20)).await;
    }
    place.check([service], &load.stop().await).await;
    println!("the database was away for {away:?}; 0 lost, 0 twice; {seen:?}");
}

async fn health(node: SocketAddr) -> Value {
    get(node, "/health/ready").await.expect("an answer").json()
}

fn is_up(health: &Value, part: &str) -> bool {
    let components = health["components"].as_array().expect("components");
    components.iter().any(|it| it["name"] == part && it["status"] != "DOWN")
}

/// How many events the read model has taken in.
async fn taken_in(node: SocketAddr) -> u64 {
    counted(node, r#"potter_projection_events_total{module="shop",name="Products"} "#).await
}
