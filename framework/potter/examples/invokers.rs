//! Commands with their outcomes and queries with their replies, the same within the process, over gRPC and over NATS;
//! and a command whose outcome is another module's event.
//!
//! `NATS_URL=nats://localhost:4222 cargo run -p potter --example invokers`; without `NATS_URL` it leaves NATS out.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use potter::config::Config;
use potter::prost::{DecodeError, Message};
use potter::subscription::{Effect, Subscription};
use potter::{App, Service};
use potter_client::broker::SharedBroker;
use potter_client::invoker::{CommandInvoker, OneOf, QueryInvoker};
use potter_client::nats::NatsBroker;
use potter_client::{Connection, Error as CallError};
use potter_sample as shop;

use catalogue::{
    CreateProductRequest, ListProductsRequest, ListProductsResponse, NameTaken, ProductCreated, ProductRenamed,
};

#[path = "catalogue/service.rs"]
mod catalogue;

// What a generated SDK brings along: the enums of a service's events and error events.

#[derive(Clone, Debug, PartialEq)]
enum ProductEvent {
    Created(ProductCreated),
    Renamed(ProductRenamed),
}

impl potter_client::Event for ProductEvent {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(match message {
            "catalogue.ProductCreated" => Some(Self::Created(ProductCreated::decode(payload)?)),
            "catalogue.ProductRenamed" => Some(Self::Renamed(ProductRenamed::decode(payload)?)),
            _ => None,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
enum ErrorEvent {
    NameTaken(NameTaken),
}

impl potter_client::ErrorEvent for ErrorEvent {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        let taken = || NameTaken::decode(payload).map(Self::NameTaken);
        (message == "catalogue.NameTaken").then(taken).transpose()
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Stocked(shop::ProductCreated);

impl potter_client::Event for Stocked {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        let created = || shop::ProductCreated::decode(payload).map(Self);
        (message == "shop.v1.ProductCreated").then(created).transpose()
    }
}

type Create = CommandInvoker<CreateProductRequest, ProductEvent, ErrorEvent>;
type List = QueryInvoker<ListProductsRequest, ListProductsResponse, ErrorEvent>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nats = std::env::var("NATS_URL").ok();
    in_the_process().await?;
    over_grpc().await?;
    if let Some(url) = nats {
        over_nats(&url).await?;
    }
    Ok(())
}

async fn in_the_process() -> Result<(), Box<dyn Error>> {
    let service = start(catalogue().nats(), None).await?;
    let broker = service.broker().ok_or("a service with messages has a broker")?;
    let create = Create::over_broker(broker, "catalogue", "catalogue.create_product");
    let list = List::over_broker(broker, "catalogue", "ListProducts");
    call("in the process", create, list).await?;
    Ok(service.stop().await?)
}

async fn over_grpc() -> Result<(), Box<dyn Error>> {
    let service = start(catalogue().grpc(), None).await?;
    let address = service.grpc_address().ok_or("gRPC is served")?;
    let connection = Connection::to(format!("http://{address}"))?;
    let create = Create::over_grpc(&connection, "/catalogue.Catalogue/CreateProduct");
    let list = List::over_grpc(&connection, "/catalogue.Catalogue/ListProducts");
    call("over gRPC", create, list).await?;
    Ok(service.stop().await?)
}

async fn over_nats(url: &str) -> Result<(), Box<dyn Error>> {
    let service = start(catalogue().nats(), Some(url)).await?;
    let shop = start(App::new(shop::module()).nats().subscribe(stock_what_is_created()), Some(url)).await?;
    let broker: SharedBroker = Arc::new(NatsBroker::connect(url, "the example").await?);
    let create = Create::over_broker(&broker, "catalogue", "catalogue.create_product");
    await_any(&broker, &create).await?;
    // Where subjects are mapped, a resolver says what the command's is.
    let create = create.subjects(|name| format!("catalogue.commands.{name}"));
    call("over NATS", create, List::over_broker(&broker, "catalogue", "ListProducts")).await?;
    service.stop().await?;
    Ok(shop.stop().await?)
}

fn catalogue() -> App {
    App::new(catalogue::module(std::future::pending)).rest(catalogue::api())
}

/// What an invoker can do, whatever carries it.
async fn call(way: &str, create: Create, list: List) -> Result<(), Box<dyn Error>> {
    let lamp = CreateProductRequest { name: "lamp".to_owned(), price_cents: 4200 };
    let invocation = create.invoke(&lamp).caused_by("order-7").timeout(Duration::from_secs(20));
    // Either result: the events that were recorded, or the error event that says why not.
    let outcome = invocation.await?;
    // Any of several events: the enum has a variant for each.
    match outcome.events.first() {
        Some(ProductEvent::Created(event)) => println!("{way}: created {}", event.name),
        Some(ProductEvent::Renamed(event)) => println!("{way}: renamed to {}", event.name),
        None => println!("{way}: an event that this client doesn't know"),
    }
    let taken = CreateProductRequest { name: "taken".to_owned(), ..lamp };
    match create.invoke(&taken).await {
        Err(CallError::Refused { event: ErrorEvent::NameTaken(event), .. }) => {
            println!("{way}: refused {}", event.name)
        }
        other => return Err(format!("not refused: {other:?}").into()),
    }
    let reply = list.ask(&ListProductsRequest::default()).at_least(1).await?;
    for product in reply.products {
        println!("{way}: listed {}", product.name);
    }
    Ok(())
}

/// The outcome of the command is what another module makes of it; the first of several events ends the wait.
async fn await_any(broker: &SharedBroker, create: &Create) -> Result<(), Box<dyn Error>> {
    let lamp = CreateProductRequest { name: "lamp".to_owned(), price_cents: 4200 };
    let heard = create
        .invoke(&lamp)
        .await_any::<OneOf<Stocked, ProductEvent>>(broker)
        .event("shop", "product.created")
        .event("catalogue", "product.renamed")
        .await?;
    match heard.event {
        OneOf::First(Stocked(product)) => println!("over NATS: the shop stocks {}", product.name),
        OneOf::Second(event) => println!("over NATS: the catalogue went on with {event:?}"),
    }
    Ok(())
}

/// What the shop does about a product of the catalogue.
fn stock_what_is_created() -> Subscription {
    Subscription::new("catalogue", "catalogue").on("product.created", |event: ProductCreated, _| {
        let (name, price_cents) = (event.name, event.price_cents);
        let request = shop::CreateProductRequest { name, price_cents, ..shop::CreateProductRequest::default() };
        Ok(vec![Effect::command("shop.create_product", &request)])
    })
}

/// A service that remembers nothing, on free ports.
async fn start(app: App, nats: Option<&str>) -> Result<Service, Box<dyn Error>> {
    let config = Config::from_lookup(|name| match name {
        "SERVER_HOST" => Some("127.0.0.1".to_owned()),
        "SERVER_PORT" | "GRPC_PORT" => Some("0".to_owned()),
        "DATABASE_DSN" => Some("memory://".to_owned()),
        "NATS_URL" => nats.map(str::to_owned),
        _ => None,
    });
    Ok(app.start(config?).await?)
}
