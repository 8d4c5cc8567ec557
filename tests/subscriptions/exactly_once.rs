//! Two generated services over NATS: what one records has its effect in the other once, though it is delivered twice.

use std::time::Duration;

use futures::StreamExt;
use ordering::generated::messages::{OrderPlaced, PlaceOrderReply, PlaceOrderRequest};
use potter::config::Config;
use potter::dispatch::Request;
use potter::prost::Message as _;
use potter::testing::block_on;
use potter::{App, Service};
use potter_broker::{Message, Messages, headers};
use warehouse::generated::messages::GoodsReserved;

/// What must come, comes within that time.
const SOON: Duration = Duration::from_secs(60);

async fn start(app: App) -> Service {
    let nats = std::env::var("POTTER_TEST_NATS").expect("scripts/with-servers nats starts one");
    let config = Config::from_lookup(|name| match name {
        "NATS_URL" => Some(nats.clone()),
        "DATABASE_DSN" => Some("memory://".to_owned()),
        "SERVER_HOST" => Some("127.0.0.1".to_owned()),
        "SERVER_PORT" | "GRPC_PORT" => Some("0".to_owned()),
        _ => None,
    });
    app.start(config.expect("a valid configuration")).await.expect("it starts")
}

/// Listens as soon as the broker is there.
async fn listen(service: &Service, pattern: &str) -> Messages {
    let broker = service.broker().expect("it has the transport NATS");
    let listening = async {
        loop {
            match broker.listen(pattern.to_owned()).await {
                Ok(messages) => return messages,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(SOON, listening).await.expect("it can listen")
}

async fn next(messages: &mut Messages) -> Message {
    tokio::time::timeout(SOON, messages.next()).await.expect("a message comes").expect("they go on")
}

async fn place(orders: &Service, sku: &str) -> String {
    let body = PlaceOrderRequest { sku: sku.to_owned(), quantity: 2 }.encode_to_vec().into();
    let request = Request { body, ..Request::default() };
    let reply = orders.dispatcher().call("orders.v1.Orders/PlaceOrder", request).await.expect("placed");
    PlaceOrderReply::decode(reply.body).expect("a reply").order_id
}

#[test]
fn an_event_of_another_service_has_its_effect_once() {
    block_on(async {
        // The subscriber is there before the other module has ever run.
        let warehouse = start(App::new(warehouse::generated::module(warehouse::application::Warehouse)).nats()).await;
        let mut reserved = listen(&warehouse, "warehouse.events.goods.reserved").await;
        let orders = start(App::new(ordering::generated::module(ordering::application::Orders)).nats()).await;
        let mut placed = listen(&orders, "ordering.events.order.placed").await;

        let order = place(&orders, "tea").await;
        let event = next(&mut placed).await;
        let effect = next(&mut reserved).await;
        assert_eq!(effect.get(headers::AGGREGATE_ID), Some(order.as_str()));
        assert_eq!(effect.get(headers::CAUSATION_ID), event.get(headers::EVENT_ID));
        let goods = GoodsReserved::decode(effect.payload).expect("an event");
        assert_eq!((goods.sku.as_str(), goods.quantity), ("tea", 2));

        // Once more, under an id that the broker doesn't know, and behind it in the same stream what comes next.
        let broker = orders.broker().expect("it has the transport NATS");
        broker.publish(event.clone().id("again")).await.expect("it is kept");
        let mut marker = OrderPlaced::decode(event.payload.clone()).expect("an event");
        marker.order_id = "next".to_owned();
        let marker = Message { payload: marker.encode_to_vec().into(), ..event }
            .id("next")
            .header(headers::EVENT_ID, "next")
            .header(headers::VERSION, "2");
        broker.publish(marker).await.expect("it is kept");
        assert_eq!(next(&mut reserved).await.get(headers::AGGREGATE_ID), Some("next"));

        let recorded = warehouse.dispatcher().store().read_all(0, 100).await.expect("readable");
        let recorded: Vec<_> = recorded.into_iter().map(|it| it.aggregate_id).collect();
        assert_eq!(recorded, [order, "next".to_owned()]);
        orders.stop().await.expect("stopped in time");
        warehouse.stop().await.expect("stopped in time");
    });
}
