//! How far asynchronous commands are, and what the server says of itself at its end.

use potter_proto::runtime::v1::command_status::Status;
use potter_proto::runtime::v1::commands_client::CommandsClient;
use potter_proto::runtime::v1::{AwaitCommandRequest, GetCommandRequest};
use potter_sample::{CreateProductRequest, OutOfStock, ProductCreated, ProductReply, ReserveStockRequest};
use prost::Message;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::shop::{Shop, value};

#[tokio::test]
async fn an_accepted_command_is_awaited() {
    let shop = Shop::open().await;
    let import = CreateProductRequest { name: "table".to_owned(), stock: 3, ..Default::default() };
    let accepted = shop.call::<_, ProductReply>("shop.v1.Catalogue/ImportProduct", import).await.expect("accepted");
    let command_id = value(&accepted, "potter-command-id").to_owned();
    let product_id = accepted.into_inner().product_id;
    let mut commands = CommandsClient::new(shop.channel.clone());
    let asked = AwaitCommandRequest { command_id: command_id.clone(), timeout: None };
    let told = commands.await_command(asked).await.expect("known").into_inner();
    assert_eq!((told.status(), &told.command_id, &told.aggregate_id), (Status::Succeeded, &command_id, &product_id));
    assert_eq!((told.version, told.events.len(), told.error), (1, 1, None));
    let event = told.events[0].data.as_ref().expect("the event");
    assert_eq!(event.type_url, "type.googleapis.com/shop.v1.ProductCreated");
    assert_eq!(ProductCreated::decode(event.value.as_slice()).expect("its type").stock, 3);
    let again = commands.get_command(GetCommandRequest { command_id }).await.expect("known").into_inner();
    assert_eq!(again.events, told.events);

    let reserve = ReserveStockRequest { product_id, quantity: 5 };
    let accepted = shop.call::<_, ProductReply>("shop.v1.Catalogue/ReserveStock", reserve).await.expect("accepted");
    let command_id = value(&accepted, "potter-command-id").to_owned();
    let told = commands.await_command(AwaitCommandRequest { command_id, timeout: None }).await.expect("known");
    assert_eq!(told.get_ref().status(), Status::Failed);
    let error = told.into_inner().error.expect("why");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("OUT_OF_STOCK", "wanted 5, available 3"));
    let event = error.event.expect("the error event");
    assert_eq!(OutOfStock::decode(event.value.as_slice()).expect("its type").available, 3);
}

#[tokio::test]
async fn an_unknown_command_is_not_found() {
    let shop = Shop::open().await;
    let mut commands = CommandsClient::new(shop.channel.clone());
    let mut get = async |id: &str| {
        let asked = GetCommandRequest { command_id: id.to_owned() };
        commands.get_command(asked).await.expect_err("unknown").code()
    };
    assert_eq!(get("01890a5d-ac96-774b-bcce-b302099a8057").await, Code::NotFound);
    assert_eq!(get("7").await, Code::InvalidArgument);
}

#[tokio::test]
async fn health_is_told_for_each_service_and_ends_with_the_server() {
    let mut shop = Shop::open().await;
    let mut health = HealthClient::new(shop.channel.clone());
    for service in ["", "shop.v1.Catalogue", "shop.v1.Mirror"] {
        let asked = HealthCheckRequest { service: service.to_owned() };
        let told = health.check(asked).await.expect("known").into_inner();
        assert_eq!(told.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest { service: "shop.v1.Shop".to_owned() };
    assert_eq!(health.check(unknown).await.expect_err("unknown").code(), Code::NotFound);

    let asked = HealthCheckRequest { service: "shop.v1.Catalogue".to_owned() };
    let mut watched = health.watch(asked).await.expect("known").into_inner();
    let mut next = async || watched.message().await.expect("no failure").map(|told| told.status());
    assert_eq!(next().await, Some(ServingStatus::Serving));
    shop.close();
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    drop((watched, health));
    shop.closed().await;
}
