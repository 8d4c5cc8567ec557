//! The typed client against the real service: what a user of a generated SDK sees.

use std::collections::BTreeMap;
use std::time::Duration;

use potter::prost::{DecodeError, Message};
use potter::{App, Service};
use potter_client::{AsyncCommand, Command, Connection, Error, FailureKind, Query, Ticket};

use crate::catalogue::{
    self, CreateProductRequest, CreateProductResponse, GetProductRequest, GetProductResponse, NameTaken, Product,
    ProductCreated, RenameProductRequest, RenameProductResponse,
};
use crate::in_process::config;

#[derive(Clone, Debug, PartialEq)]
pub enum ErrorEvent {
    NameTaken(NameTaken),
}

impl potter_client::ErrorEvent for ErrorEvent {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(match message {
            "catalogue.NameTaken" => Some(Self::NameTaken(NameTaken::decode(payload)?)),
            _ => None,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ProductEvent {
    Created(ProductCreated),
}

impl potter_client::Event for ProductEvent {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(match message {
            "catalogue.ProductCreated" => Some(Self::Created(ProductCreated::decode(payload)?)),
            _ => None,
        })
    }
}

struct Client(Connection);

impl Client {
    fn create(&self, name: &str) -> AsyncCommand<CreateProductResponse, ProductEvent, ErrorEvent> {
        let request = CreateProductRequest { name: name.to_owned(), price_cents: 4200 };
        AsyncCommand::new(&self.0, "/catalogue.Catalogue/CreateProduct", &request).idempotent()
    }

    fn rename(&self, id: &str, name: &str) -> Command<RenameProductResponse, ErrorEvent> {
        let request = RenameProductRequest { product_id: id.to_owned(), name: name.to_owned() };
        Command::new(&self.0, "/catalogue.Catalogue/RenameProduct", &request)
    }

    fn get(&self, id: &str) -> Query<GetProductResponse, ErrorEvent> {
        Query::new(&self.0, "/catalogue.Catalogue/GetProduct", &GetProductRequest { product_id: id.to_owned() })
    }
}

async fn start(variables: &[(&str, &str)]) -> (Service, Client) {
    let app = App::new(catalogue::module(std::future::pending)).grpc();
    let service = app.start(config(variables)).await.expect("started");
    let address = service.grpc_address().expect("gRPC is served");
    (service, Client(Connection::to(format!("http://{address}")).expect("a valid address")))
}

#[tokio::test]
async fn an_asynchronous_command_ends_in_its_events() {
    let (_service, client) = start(&[]).await;
    let pending = client.create("lamp").await.expect("accepted");
    assert_eq!(pending.aggregate_id(), Some(pending.reply.product_id.as_str()));
    let outcome = pending.outcome().await.expect("executed");
    assert_eq!((outcome.version, outcome.aggregate_id), (1, pending.reply.product_id.clone()));
    let [ProductEvent::Created(created)] = &outcome.events[..] else { panic!("{:?}", outcome.events) };
    assert_eq!((created.name.as_str(), created.price_cents), ("lamp", 4200));
}

#[tokio::test]
async fn an_asynchronous_refusal_ends_in_its_error_event() {
    let (_service, client) = start(&[]).await;
    let pending = client.create(Product::TAKEN).correlation_id("c-1").await.expect("accepted");
    let error = pending.outcome().await.expect_err("refused");
    assert_eq!((error.code(), error.kind()), ("NAME_TAKEN", FailureKind::Refused));
    assert_eq!(error.failure().correlation_id.as_deref(), Some("c-1"));
    let expected = ErrorEvent::NameTaken(NameTaken { name: Product::TAKEN.to_owned() });
    assert_eq!(error.event(), Some(&expected));
}

#[tokio::test]
async fn a_synchronous_command_expects_a_version_and_tells_the_next() {
    let (_service, client) = start(&[]).await;
    let id = client.create("lamp").await.expect("accepted").outcome().await.expect("executed").aggregate_id;
    let reply = client.rename(&id, "floor lamp").expected_version(1).send().await.expect("executed");
    assert_eq!(reply.message.product.expect("a product").name, "floor lamp");
    assert_eq!((reply.version, reply.aggregate_id.as_deref()), (Some(2), Some(id.as_str())));

    let error = client.rename(&id, "desk lamp").expected_version(1).await.expect_err("somebody else was first");
    assert_eq!((error.code(), error.kind()), ("VERSION_MISMATCH", FailureKind::Conflict));

    let position = reply.position.expect("a position");
    let product = client.get(&id).at_least(position).await.expect("a reply").product.expect("a product");
    assert_eq!(product.name, "floor lamp");
}

#[tokio::test]
async fn the_same_key_is_the_same_command() {
    let (_service, client) = start(&[]).await;
    let first = client.create("lamp").idempotency_key("order-7").await.expect("accepted");
    let second = client.create("lamp").idempotency_key("order-7").await.expect("accepted again");
    assert_eq!((first.command_id(), &first.reply), (second.command_id(), &second.reply));
    assert_eq!((first.replayed(), second.replayed()), (false, true));

    let error = client.create("table").idempotency_key("order-7").await.expect_err("another request");
    assert_eq!(error.code(), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_valid_are_told_apart() {
    let (_service, client) = start(&[]).await;
    let error = client.get("nothing").await.expect_err("nothing there");
    assert_eq!((error.code(), error.kind()), ("NOT_FOUND", FailureKind::Refused));

    let error = client.create("").await.expect_err("a rule is broken");
    assert_eq!((error.code(), error.kind()), ("INVALID_REQUEST", FailureKind::Invalid));
    let violation = &error.violations()[0];
    assert_eq!((violation.field.as_str(), violation.rule.as_str()), ("name", "string.min_len"));
}

#[tokio::test]
async fn a_deadline_is_honoured_by_the_service() {
    let (_service, client) = start(&[]).await;
    let error = client.get(catalogue::NEIGHBOURS).timeout(Duration::from_millis(200)).await.expect_err("too slow");
    assert_eq!((error.code(), error.kind()), ("DEADLINE_EXCEEDED", FailureKind::Unavailable));
}

#[tokio::test]
async fn waiting_for_an_outcome_outlives_the_service() {
    let directory = tempfile::tempdir().expect("a directory");
    let dsn = format!("sqlite://{}", directory.path().join("data.db").display());
    let (service, client) = start(&[("DATABASE_DSN", &dsn)]).await;
    let port = service.grpc_address().expect("gRPC is served").port().to_string();
    let pending = client.create("lamp").await.expect("accepted");
    service.stop().await.expect("stopped");

    // Nobody is there now; the ticket is taken up by another connection, before the service is back.
    let connection = Connection::to(format!("http://127.0.0.1:{port}")).expect("a valid address");
    let ticket = Ticket::<ProductEvent, ErrorEvent>::resume(&connection, pending.command_id());
    let variables = [("DATABASE_DSN", dsn.as_str()), ("GRPC_PORT", port.as_str())];
    let restarted = start(&variables);
    let (outcome, _restarted) = tokio::join!(ticket.outcome().into_future(), restarted);
    assert_eq!(outcome.expect("executed").events.len(), 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_those_who_wait_for_outcomes() {
    let (service, client) = start(&[("SHUTDOWN_TIMEOUT_SECONDS", "10")]).await;
    let unknown = Ticket::<ProductEvent, ErrorEvent>::resume(&client.0, potter_client::uuid::Uuid::now_v7());
    let error = unknown.outcome().await.expect_err("no such command");
    assert_eq!(error.code(), "NOT_FOUND");
    service.stop().await.expect("stopped");
}

/// What the enums of a generated SDK are for: one `match` over everything that can go wrong.
#[tokio::test]
async fn errors_can_be_matched() {
    let (_service, client) = start(&[]).await;
    let mut told = BTreeMap::new();
    for name in ["lamp", Product::TAKEN, ""] {
        let outcome = async { client.create(name).await?.outcome().await }.await;
        let text = match outcome {
            Ok(outcome) => format!("version {}", outcome.version),
            Err(Error::Refused { event: ErrorEvent::NameTaken(event), .. }) => format!("{} is taken", event.name),
            Err(error) => error.code().to_owned(),
        };
        told.insert(name, text);
    }
    let expected = [("", "INVALID_REQUEST"), ("lamp", "version 1"), ("taken", "taken is taken")];
    assert_eq!(told, expected.map(|(name, text)| (name, text.to_owned())).into());
}
