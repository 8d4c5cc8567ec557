//! Commands with their outcomes and queries with their replies, the same over every way.

use std::sync::Arc;
use std::time::Duration;

use potter::uuid::Uuid;
use potter::{App, Service};
use potter_client::broker::SharedBroker;
use potter_client::invoker::{CommandInvoker, QueryInvoker};
use potter_client::nats::NatsBroker;
use potter_client::{Connection, FailureKind};

use crate::catalogue::{self, CreateProductRequest, GetProductRequest, GetProductResponse, RenameProductRequest};
use crate::in_process::config;
use crate::sdk::{ErrorEvent, ProductEvent};

type Create = CommandInvoker<CreateProductRequest, ProductEvent, ErrorEvent>;
type Rename = CommandInvoker<RenameProductRequest, ProductEvent, ErrorEvent>;
type Get = QueryInvoker<GetProductRequest, GetProductResponse, ErrorEvent>;

async fn start(variables: &[(&str, &str)]) -> Service {
    let app = App::new(catalogue::module(std::future::pending)).grpc().nats();
    app.start(config(variables)).await.expect("started")
}

fn lamp(name: &str) -> CreateProductRequest {
    CreateProductRequest { name: name.to_owned(), ..CreateProductRequest::default() }
}

/// What a person does with invokers, whatever carries them.
async fn hold(create: Create, get: Get) {
    let outcome = create.invoke(&lamp("lamp")).correlation_id("c-1").actor("ada").await.expect("created");
    assert_eq!(outcome.version, 1);
    assert!(matches!(&outcome.events[..], [ProductEvent::Created(created)] if created.name == "lamp"), "{outcome:?}");
    let reply = get.ask(&GetProductRequest { product_id: outcome.aggregate_id }).correlation_id("c-1").await;
    assert_eq!(reply.expect("a reply").product.expect("the product").name, "lamp");

    let refused = create.invoke(&lamp("taken")).await.expect_err("the name is taken");
    assert!(matches!(refused.event(), Some(ErrorEvent::NameTaken(_))), "{refused:?}");
    let missing = get.ask(&GetProductRequest { product_id: "none".to_owned() }).await.expect_err("there is none");
    assert_eq!((missing.kind(), missing.code()), (FailureKind::Refused, "NOT_FOUND"));
}

fn over(broker: &SharedBroker) -> (Create, Get) {
    let create = Create::over_broker(broker, "catalogue", "catalogue.create_product");
    (create, Get::over_broker(broker, "catalogue", "GetProduct"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_process() {
    let service = start(&[]).await;
    let (create, get) = over(service.broker().expect("it has one"));
    hold(create, get).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_nats() {
    let url = crate::nats::url();
    let _service = start(&[("NATS_URL", &url)]).await;
    let broker: SharedBroker = Arc::new(NatsBroker::connect(&url, "an invoker").await.expect("a valid URL"));
    let (create, get) = over(&broker);
    // Until the service serves there is nobody who answers: a query says so at once.
    let create = create.subjects(|name| format!("catalogue.commands.{name}"));
    hold(create, get).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc() {
    let service = start(&[]).await;
    let address = format!("http://{}", service.grpc_address().expect("gRPC is served"));
    let connection = Connection::to(address).expect("an address");
    let create = Create::over_grpc(&connection, "/catalogue.Catalogue/CreateProduct");
    hold(create, Get::over_grpc(&connection, "/catalogue.Catalogue/GetProduct")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_invoked_twice_is_executed_once() {
    let service = start(&[]).await;
    let (create, _) = over(service.broker().expect("it has one"));
    let id = Uuid::now_v7();
    let first = create.invoke(&lamp("lamp")).id(id).await.expect("created");
    // The broker drops the repeat; the invoker asks again, and the service knows the outcome.
    let second = create.invoke(&lamp("lamp")).id(id).await.expect("created before");
    assert_eq!(first, second);
    assert_eq!(service.dispatcher().store().read_all(0, 10).await.expect("readable").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_can_be_invoked_and_told_what_version_to_expect() {
    let service = start(&[]).await;
    let broker = service.broker().expect("it has one");
    let (create, get) = over(broker);
    let product_id = create.invoke(&lamp("lamp")).await.expect("created").aggregate_id;
    let rename = Rename::over_broker(broker, "catalogue", "catalogue.rename_product");
    let torch = RenameProductRequest { product_id: product_id.clone(), name: "torch".to_owned() };
    let wrong = rename.invoke(&torch).expected_version(7).await.expect_err("another version");
    assert_eq!(wrong.code(), "VERSION_MISMATCH");
    let outcome = rename.invoke(&torch).expected_version(1).caused_by("an event").await.expect("renamed");
    assert_eq!((outcome.version, outcome.unknown_events.len()), (2, 1), "a client may know less than the service");
    let reply = get.ask(&GetProductRequest { product_id }).at_least(2).await.expect("a reply");
    assert_eq!(reply.product.expect("the product").name, "torch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoker_does_not_wait_for_ever() {
    let nobody: SharedBroker = Arc::new(potter_client::broker::MemoryBroker::new());
    let (create, get) = over(&nobody);
    let late = create.invoke(&lamp("lamp")).timeout(Duration::from_millis(50)).await.expect_err("nobody is there");
    assert_eq!((late.code(), late.is_retryable()), ("DEADLINE_EXCEEDED", true));
    let unserved = get.ask(&GetProductRequest::default()).await.expect_err("nobody is there");
    assert_eq!((unserved.kind(), unserved.is_retryable()), (FailureKind::Unavailable, true));
}
