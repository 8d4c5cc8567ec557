//! The sample service with all that it may have: PostgreSQL, a NATS server of its own, REST, gRPC and a subscription.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use potter::config::Config;
use potter::dispatch::Options;
use potter::event::{EventMetadata, NewEvent};
use potter::failure::Failure;
use potter::http::{Body, Rest, Route};
use potter::prost::Message as _;
use potter::store::{Append, Store, Unit};
use potter::subscription::{Effect, Subscription};
use potter::uuid::Uuid;
use potter::{App, Service};
use potter_client::invoker::QueryInvoker;
use potter_client::{Connection, ErrorEvent};
use potter_messaging::broker::{Broker, Channel, Keeps, Message, headers};
use potter_nats::NatsBroker;
use potter_postgres::PostgresStore;
use potter_sample::{CreateProductRequest, ListProductsReply, ListProductsRequest, ProductCreated};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::send_with;
use crate::scrape::Scraped;
use crate::server::{self, Server};

/// What must come, comes within that time.
const SOON: Duration = Duration::from_secs(60);

/// Connections that the service may have; not the number that it has unless told.
pub const POOL_SIZE: u32 = 5;

const ROUTES: &[Route] = &[
    route("POST", "/products", "shop.v1.Catalogue/CreateProduct"),
    route("POST", "/products:import", "shop.v1.Catalogue/ImportProduct"),
    route("PUT", "/products/{product_id}", "shop.v1.Catalogue/UpdateProduct"),
    route("POST", "/products/{product_id}/reserve", "shop.v1.Catalogue/ReserveStock"),
    Route {
        method: "GET",
        path: "/products",
        rpc: "shop.v1.Catalogue/ListProducts",
        body: Body::None,
        response_body: None,
    },
];

const fn route(method: &'static str, path: &'static str, rpc: &'static str) -> Route {
    Route { method, path, rpc, body: Body::All, response_body: None }
}

pub struct Shop {
    service: Service,
    /// The database, past the service.
    store: PostgresStore,
    nats: NatsBroker,
    server: Server,
    port: u16,
    directory: TempDir,
}

impl Shop {
    pub async fn start() -> Self {
        let (port, directory) = (server::free_port(), tempfile::tempdir().expect("a directory"));
        let server = Server::start(port, directory.path());
        let nats = server::connect(&server.url).await;
        nats.declare(supplier()).await.expect("the channel can be made");
        let dsn = format!("{}?pool_size={POOL_SIZE}", database().await);
        let options = Options::default();
        let app = App::new(potter_sample::module()).options(options).rest(Rest::new(ROUTES)).grpc().nats();
        let config = config(&dsn, &server.url);
        let service = app.subscribe(articles()).start(config).await.expect("started");
        let store = PostgresStore::open(&dsn).await.expect("it can be opened");
        Self { service, store, nats, server, port, directory }
    }

    pub async fn scrape(&self) -> Scraped {
        let answer = send_with(self.service.http_address(), "GET", "/metrics", "", "").await.expect("an answer");
        assert_eq!(answer.status, 200);
        Scraped::read(&answer.body)
    }

    /// The value of a series.
    pub async fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.scrape().await.value(name, labels).unwrap_or_else(|| panic!("there is no {name} with {labels:?}"))
    }

    /// Waits until a series has that value.
    pub async fn counts(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        self.until(name, labels, &format!("{expected}"), |value| value == expected).await;
    }

    /// Waits until a series has more than that.
    pub async fn exceeds(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        self.until(name, labels, &format!("more than {least}"), |value| value > least).await;
    }

    async fn until(&self, name: &str, labels: &[(&str, &str)], what: &str, holds: impl Fn(f64) -> bool) {
        let began = Instant::now();
        let mut look = tokio::time::interval(Duration::from_millis(10));
        loop {
            look.tick().await;
            let value = self.scrape().await.value(name, labels);
            if value.is_some_and(&holds) {
                return;
            }
            assert!(began.elapsed() < SOON, "{name} with {labels:?} is {value:?}, not {what}");
        }
    }

    /// Waits until every event is published, and taken in or set aside.
    pub async fn rests(&self) {
        let head = self.recorded().await;
        self.counts("potter_outgoing_lag", &[("name", "")], 0.0).await;
        self.counts("potter_projection_lag_events", &[("name", "Products")], 0.0).await;
        assert_eq!(self.recorded().await, head, "nothing is recorded meanwhile");
    }

    /// How many events there are.
    pub async fn recorded(&self) -> f64 {
        self.store.read_all(0, usize::MAX).await.expect("readable").len() as f64
    }

    pub async fn post(&self, path: &str, body: &str, headers: &str, status: u16) -> Value {
        let answer = send_with(self.service.http_address(), "POST", path, body, headers).await.expect("an answer");
        assert_eq!(answer.status, status, "{answer:?}");
        answer.json()
    }

    pub async fn put(&self, path: &str, body: &str, status: u16) {
        let answer = send_with(self.service.http_address(), "PUT", path, body, "").await.expect("an answer");
        assert_eq!(answer.status, status, "{answer:?}");
    }

    pub async fn get(&self, path: &str) {
        let answer = send_with(self.service.http_address(), "GET", path, "", "").await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub async fn ask_over_grpc(&self, name: &str) {
        let address = self.service.grpc_address().expect("gRPC is served");
        let connection = Connection::to(format!("http://{address}")).expect("a valid address");
        let list: QueryInvoker<ListProductsRequest, ListProductsReply, NoEvent> =
            QueryInvoker::over_grpc(&connection, "/shop.v1.Catalogue/ListProducts");
        list.ask(&ListProductsRequest { name: name.to_owned(), ..Default::default() }).await.expect("a reply");
    }

    /// Sends a command over the broker, under a message id that the broker doesn't know.
    pub async fn send_command(&self, command: &str, id: Uuid) {
        let request = CreateProductRequest { name: "cup".to_owned(), ..CreateProductRequest::default() };
        let message = Message::new(format!("shop.commands.{command}"), request.encode_to_vec());
        let message = message.id(Uuid::now_v7().to_string()).header(headers::COMMAND_ID, id.to_string());
        self.nats.publish(message).await.expect("it is kept");
    }

    /// Sends what can be no command, without saying whom to tell.
    pub async fn send_nonsense(&self) {
        self.nats.publish(Message::new("shop.commands.shop.fly", "")).await.expect("it is kept");
    }

    /// Publishes an event as the supplier; without a message id, so that the broker takes repeats for new.
    pub async fn list_article(&self, id: &str, name: &str) {
        let event = ProductCreated { name: name.to_owned(), ..ProductCreated::default() };
        let message = Message::new("supplier.events.article.listed", event.encode_to_vec())
            .header(headers::EVENT_ID, id)
            .header(headers::EVENT_TYPE, "article.listed")
            .header(headers::AGGREGATE, "Article")
            .header(headers::AGGREGATE_ID, "a");
        self.nats.publish(message).await.expect("it is kept");
    }

    /// Records an event of a product that cannot be decoded.
    pub async fn record_nonsense(&self) {
        let (id, payload) = (Uuid::now_v7(), vec![0xff].into());
        let append = Append {
            aggregate: "Product",
            aggregate_id: id.to_string(),
            expected_version: 0,
            events: vec![NewEvent { id, event_type: "product.updated", schema_version: 1, payload }],
            metadata: EventMetadata::default(),
            time: SystemTime::now(),
        };
        self.store.commit(Unit { append: Some(append), ..Unit::default() }).await.expect("recorded");
    }

    pub fn kill_broker(&mut self) {
        self.server.kill();
    }

    pub fn restart_broker(&mut self) {
        self.server = Server::start(self.port, self.directory.path());
    }
}

/// Failures of the shop's queries have no events.
#[derive(Debug)]
pub struct NoEvent;

impl ErrorEvent for NoEvent {
    fn decode(_: &str, _: &[u8]) -> Result<Option<Self>, potter::prost::DecodeError> {
        Ok(None)
    }
}

/// A supplier's article becomes a product, unless it is bad; what is late is so once.
fn articles() -> Subscription {
    let was_late = AtomicBool::new(false);
    Subscription::new("articles", "supplier").on("article.listed", move |event: ProductCreated, _| {
        if event.name == "bad" {
            return Err(Failure::refused("BAD", "it is bad"));
        }
        if event.name == "late" && !was_late.swap(true, Ordering::SeqCst) {
            return Err(Failure::refused("NOT_YET", "not yet").retryable());
        }
        let request = CreateProductRequest { name: event.name, ..CreateProductRequest::default() };
        Ok(vec![Effect::command("shop.create_product", &request)])
    })
}

fn supplier() -> Channel {
    Channel {
        name: "supplier-events".to_owned(),
        subjects: vec!["supplier.events.>".to_owned()],
        keeps: Keeps::For(Duration::from_secs(600)),
        repeats_within: Duration::from_secs(60),
    }
}

fn config(dsn: &str, nats: &str) -> Config {
    let variables = [
        ("SERVER_HOST", "127.0.0.1"),
        ("SERVER_PORT", "0"),
        ("GRPC_PORT", "0"),
        ("DATABASE_DSN", dsn),
        ("NATS_URL", nats),
        ("BODY_LIMIT_BYTES", "4000000"),
        ("BROKER_TIMEOUT_MS", "500"),
    ];
    let value = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
    Config::from_lookup(value).expect("a valid configuration")
}

/// A new database on the server that `scripts/with-servers` has started.
async fn database() -> String {
    let server = std::env::var("POTTER_TEST_POSTGRES")
        .expect("`scripts/with-servers postgres nats -- cargo test -p potter --test metrics` starts a server");
    let connecting = tokio_postgres::connect(&server, tokio_postgres::NoTls).await;
    let (client, connection) = connecting.expect("the server answers");
    let driver = tokio::spawn(connection);
    client.batch_execute("CREATE DATABASE metrics TEMPLATE template0").await.expect("a new name");
    driver.abort();
    let (place, _) = server.rsplit_once('/').expect("a DSN with a database");
    format!("{place}/metrics")
}
