//! Commands with their outcomes and queries with their replies, the same over every way.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use potter::prost::{DecodeError, Message};
use potter::uuid::Uuid;
use potter::{App, Service};
use potter_client::broker::{Broker, Channel, Consumer, Keeps, MemoryBroker, Message as Sent, SharedBroker, headers};
use potter_client::invoker::{CommandInvoker, OneOf, QueryInvoker};
use potter_client::nats::NatsBroker;
use potter_client::{Connection, FailureKind};

use crate::catalogue::{
    self, CreateProductRequest, GetProductRequest, GetProductResponse, ProductCreated, RenameProductRequest,
};
use crate::in_process::config;
use crate::process;
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
    let (url, _alone) = crate::nats::alone().await;
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
    let create = || Create::over_grpc(&connection, "/catalogue.Catalogue/CreateProduct");
    hold(create(), Get::over_grpc(&connection, "/catalogue.Catalogue/GetProduct")).await;

    // A command that the rpc answers after its execution, and the same id twice: it is executed once, and told again.
    let rename = Rename::over_grpc(&connection, "/catalogue.Catalogue/RenameProduct");
    let (id, created) = (Uuid::now_v7(), create().invoke(&lamp("desk")).await.expect("created"));
    let rename = || {
        rename.invoke(&RenameProductRequest { product_id: created.aggregate_id.clone(), name: "bench".into() }).id(id)
    };
    let first = rename().await.expect("renamed");
    assert_eq!((first.version, first.unknown_events[0].event_type.as_str()), (2, "product.renamed"));
    assert_eq!(rename().await.expect("known"), first);
}

/// The service is asked at once, not when the first answer has been missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_command_again_is_told_its_outcome_at_once() {
    let (url, _alone) = crate::nats::alone().await;
    let service = start(&[("NATS_URL", &url)]).await;
    let nats: SharedBroker = Arc::new(NatsBroker::connect(&url, "an invoker").await.expect("a valid URL"));
    for broker in [service.broker().expect("it has one"), &nats] {
        let (create, _) = over(broker);
        let (id, began) = (Uuid::now_v7(), std::time::Instant::now());
        let first = create.invoke(&lamp("lamp")).id(id).await.expect("created");
        for _ in 0..3 {
            assert_eq!(create.invoke(&lamp("lamp")).id(id).await.expect("known"), first);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "three times five seconds otherwise: {:?}", began.elapsed());
    }
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
async fn the_cause_of_a_command_is_told_whatever_carries_it() {
    let service = start(&[]).await;
    let address = format!("http://{}", service.grpc_address().expect("gRPC is served"));
    let connection = Connection::to(address).expect("an address");
    let over_grpc = Create::over_grpc(&connection, "/catalogue.Catalogue/CreateProduct");
    let (in_process, _) = over(service.broker().expect("it has one"));
    for create in [over_grpc, in_process] {
        create.invoke(&lamp("lamp")).caused_by("order-7").await.expect("created");
    }
    let events = service.dispatcher().store().read_all(0, 10).await.expect("readable");
    let causes: Vec<_> = events.iter().map(|event| event.metadata.causation_id.as_str()).collect();
    assert_eq!(causes, ["order-7", "order-7"]);
}

/// What another module records in consequence, as a program sees it that knows that module too.
type Either = OneOf<Arrived, ProductEvent>;

#[derive(Clone, Debug, PartialEq)]
struct Arrived(ProductCreated);

impl potter_client::Event for Arrived {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        let arrived = || ProductCreated::decode(payload).map(Self);
        (message == "warehouse.Arrived").then(arrived).transpose()
    }
}

/// The warehouse, as far as anybody hears of it.
fn arrived(correlation_id: &str, name: &str) -> Sent {
    let event = ProductCreated { name: name.to_owned(), ..ProductCreated::default() };
    Sent::new("warehouse.events.product.arrived", event.encode_to_vec())
        .header(headers::MESSAGE, "warehouse.Arrived")
        .header(headers::EVENT_ID, "e-1")
        .header(headers::EVENT_TYPE, "product.arrived")
        .header(headers::AGGREGATE_ID, "p-1")
        .header(headers::VERSION, "3")
        .header(headers::CORRELATION_ID, correlation_id)
}

async fn with_warehouse(service: &Service) -> SharedBroker {
    let broker = service.broker().expect("it has one").clone();
    broker.declare(channel("warehouse-events", "warehouse.events.>")).await.expect("declared");
    broker
}

fn channel(name: &str, pattern: &str) -> Channel {
    Channel {
        name: name.to_owned(),
        subjects: vec![pattern.to_owned()],
        keeps: Keeps::For(Duration::from_secs(60)),
        repeats_within: Duration::from_secs(60),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commands_outcome_may_be_the_event_of_another_module() {
    let service = start(&[]).await;
    let broker = with_warehouse(&service).await;
    let (create, _) = over(&broker);
    // The warehouse acts on what the catalogue publishes, as late as it likes.
    let mut published = broker.listen("catalogue.events.>".to_owned()).await.expect("it can listen");
    let warehouse = async {
        let event = published.next().await.expect("it is published");
        broker.publish(arrived("somebody else's", "another lamp")).await.expect("kept");
        broker.publish(arrived(event.get(headers::CORRELATION_ID).expect("it has one"), "lamp")).await.expect("kept");
    };
    let awaited = create.invoke(&lamp("lamp")).await_any::<Either>(&broker);
    let awaited = awaited.event("catalogue", "product.renamed").event("warehouse", "product.arrived");
    let (heard, ()) = tokio::join!(awaited.into_future(), warehouse);
    let heard = heard.expect("the warehouse's event");
    assert!(matches!(&heard.event, OneOf::First(Arrived(event)) if event.name == "lamp"), "{heard:?}");
    assert_eq!((heard.event_id.as_str(), heard.aggregate_id.as_str(), heard.version), ("e-1", "p-1", 3));
    assert_eq!(heard.event_type, "product.arrived");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_the_awaited_events_ends_the_wait_over_grpc_too() {
    let service = start(&[]).await;
    let broker = with_warehouse(&service).await;
    let address = format!("http://{}", service.grpc_address().expect("gRPC is served"));
    let create = Create::over_grpc(&Connection::to(address).expect("an address"), "/catalogue.Catalogue/CreateProduct");
    let awaited = create.invoke(&lamp("lamp")).await_any::<Either>(&broker);
    let heard = awaited.event("warehouse", "product.arrived").event("catalogue", "product.created").await;
    let heard = heard.expect("the catalogue's own event");
    assert!(matches!(heard.event, OneOf::Second(ProductEvent::Created(_))), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_what_follows_from_a_refused_command() {
    let service = start(&[]).await;
    let broker = with_warehouse(&service).await;
    let (create, _) = over(&broker);
    let awaited = |name| create.invoke(&lamp(name)).timeout(Duration::from_millis(700)).await_any::<Either>(&broker);
    let refused = awaited("taken").event("warehouse", "product.arrived").await.expect_err("the name is taken");
    assert!(matches!(refused.event(), Some(ErrorEvent::NameTaken(_))), "{refused:?}");
    let late = awaited("lamp").event("warehouse", "product.arrived").await.expect_err("nothing arrives");
    // Invoked again it would lead to nothing new: what may follow is told by the correlation id.
    assert_eq!((late.code(), late.is_retryable()), ("DEADLINE_EXCEEDED", false));
    let correlation_id = late.failure().correlation_id.as_deref().expect("it has one");
    assert!(late.message().contains(correlation_id), "{late}");
    let nothing = awaited("lamp").await.expect_err("nothing is awaited");
    assert_eq!(nothing.kind(), FailureKind::Invalid);
}

/// The event of an earlier request of the same correlation id, published before anybody could keep the command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_heard_before_the_command_was_sent_does_not_follow_from_it() {
    let broker: SharedBroker = Arc::new(MemoryBroker::new());
    broker.declare(channel("warehouse-events", "warehouse.events.>")).await.expect("declared");
    let (create, _) = over(&broker);
    let awaited = create.invoke(&lamp("lamp")).correlation_id("order-7").await_any::<Either>(&broker);
    let awaited = awaited.event("warehouse", "product.arrived");
    let others = async {
        // The invoker listens within one of its tries.
        for _ in 0..20 {
            broker.publish(arrived("order-7", "earlier lamp")).await.expect("kept");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        broker.declare(channel("catalogue-commands", "catalogue.commands.>")).await.expect("declared");
        let commands = broker.consume(Consumer::new("catalogue-commands", "service")).await;
        commands.expect("it can take part").next().await.expect("it is sent").expect("the broker is there");
        broker.publish(arrived("order-7", "lamp")).await.expect("kept");
    };
    let (heard, ()) = tokio::join!(awaited.into_future(), others);
    let heard = heard.expect("the warehouse's event");
    assert!(matches!(&heard.event, OneOf::First(Arrived(event)) if event.name == "lamp"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_of_events_that_are_not_awaited_is_passed_over() {
    let service = start(&[]).await;
    let broker = with_warehouse(&service).await;
    let in_json = |event: Sent| event.header(headers::CONTENT_TYPE, "application/json; charset=utf-8");
    for (name, awaited) in [("warehouse.Counted", true), ("warehouse.Arrived", false)] {
        let (create, _) = over(&broker);
        let mut published = broker.listen("catalogue.events.>".to_owned()).await.expect("it can listen");
        let warehouse = async {
            let event = published.next().await.expect("it is published");
            let correlation_id = event.get(headers::CORRELATION_ID).expect("it has one");
            let json = in_json(arrived(correlation_id, "lamp")).header(headers::MESSAGE, name);
            broker.publish(json).await.expect("kept");
            broker.publish(arrived(correlation_id, "lamp")).await.expect("kept");
        };
        let heard = create.invoke(&lamp("lamp")).await_any::<Either>(&broker).subject("warehouse.events.>");
        let (heard, ()) = tokio::join!(heard.into_future(), warehouse);
        match heard {
            Ok(heard) => assert!(awaited && matches!(heard.event, OneOf::First(_)), "{heard:?}"),
            Err(error) => assert!(!awaited && error.message().contains("it is in JSON"), "{error}"),
        }
    }
}

/// A connection takes its time, and who asks at once is answered all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_waits_until_the_broker_is_in_reach() {
    let (url, _alone) = crate::nats::alone().await;
    let broker: SharedBroker = Arc::new(NatsBroker::connect(&url, "an invoker").await.expect("a valid URL"));
    let asked = Get::over_broker(&broker, "nowhere", "GetProduct").ask(&GetProductRequest::default()).await;
    let unserved = asked.expect_err("nobody is there").to_string();
    assert!(unserved.contains("nobody serves"), "the server was asked: {unserved}");
}

/// Long before the time for the outcome is up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_never_left_is_told_so() {
    let nobody: SharedBroker = Arc::new(NatsBroker::connect("nats://127.0.0.1:1", "an invoker").await.expect("a URL"));
    let (create, _) = over(&nobody);
    let create = create.timeout(Duration::from_secs(3600));
    let alone = create.invoke(&lamp("lamp")).correlation_id("order-7").await.expect_err("no broker");
    let awaited = create.invoke(&lamp("lamp")).await_any::<Either>(&nobody).event("warehouse", "product.arrived");
    for error in [alone, awaited.await.expect_err("no broker")] {
        assert_eq!((error.code(), error.kind(), error.is_retryable()), ("NOT_SENT", FailureKind::Unavailable, true));
        assert!(error.message().ends_with("was not sent: no NATS server is in reach"), "{error}");
    }
    let closed = MemoryBroker::new();
    closed.close().await;
    let (create, _) = over(&(Arc::new(closed) as SharedBroker));
    let error = create.invoke(&lamp("lamp")).await.expect_err("it is closed");
    assert_eq!((error.code(), error.is_retryable()), ("NOT_SENT", false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_does_what_it_says() {
    let (url, _alone) = crate::nats::alone().await;
    let output = tokio::task::spawn_blocking(move || {
        let directory = tempfile::tempdir().expect("a directory");
        process::command_of("invokers", directory.path(), &[], &[("NATS_URL", &url)]).output().expect("run")
    });
    let output = output.await.expect("no panic");
    let (told, log) = process::printed(&output);
    assert!(output.status.success(), "{told}{log}");
    let mut expected = vec!["over NATS: the shop stocks lamp".to_owned()];
    for way in ["in the process", "over gRPC", "over NATS"] {
        expected.extend(["created lamp", "refused taken", "listed lamp"].map(|what| format!("{way}: {what}")));
    }
    for line in expected {
        assert!(told.lines().any(|it| it == line), "no `{line}` in {told}{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoker_does_not_wait_for_ever() {
    let nobody: SharedBroker = Arc::new(MemoryBroker::new());
    let (create, get) = over(&nobody);
    let late = create.invoke(&lamp("lamp")).timeout(Duration::from_millis(50)).await.expect_err("nobody is there");
    assert_eq!((late.code(), late.is_retryable()), ("NOT_SENT", true));
    let unserved = get.ask(&GetProductRequest::default()).await.expect_err("nobody is there");
    assert_eq!((unserved.kind(), unserved.is_retryable()), (FailureKind::Unavailable, true));
}
