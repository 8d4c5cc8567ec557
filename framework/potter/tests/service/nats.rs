//! A service whose messages go over NATS, or within the process when there is none.

use std::time::Duration;

use futures::StreamExt;
use potter::{App, Service};
use potter_messaging::broker::{Broker, Message, headers};
use potter_nats::NatsBroker;
use prost::Message as _;
use tokio::sync::{Mutex, MutexGuard};

use crate::catalogue;
use crate::http::{get, send_with};
use crate::in_process::{config, create};

/// What must come, comes within that time.
const SOON: Duration = Duration::from_secs(20);

/// Where the tests' NATS server is.
fn url() -> String {
    std::env::var("POTTER_TEST_NATS")
        .expect("POTTER_TEST_NATS has the URL of a NATS server; `scripts/with-servers nats -- cargo test` starts one")
}

/// Where it is, for as long as nobody else runs the same module on it: nodes of one module share commands and queries.
pub async fn alone() -> (String, MutexGuard<'static, ()>) {
    static ALONE: Mutex<()> = Mutex::const_new(());
    (url(), ALONE.lock().await)
}

async fn start(variables: &[(&str, &str)]) -> Service {
    let app = App::new(catalogue::module(std::future::pending)).rest(catalogue::api()).nats();
    app.start(config(variables)).await.expect("started")
}

async fn broker(service: &Service) -> serde_json::Value {
    let ready = get(service.http_address(), "/health/ready").await.expect("an answer");
    assert_eq!(ready.status, 200, "a broker that is away takes nothing out of rotation: {ready:?}");
    let components = ready.json()["components"].as_array().expect("components").clone();
    components.into_iter().find(|part| part["name"] == "broker").expect("the broker is told")
}

async fn until(service: &Service, status: &str) {
    let told = async {
        while broker(service).await["status"] != status {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, told).await.expect("the health says so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_url_messages_stay_in_the_process() {
    let service = start(&[]).await;
    create(service.http_address(), "lamp").await;
    until(&service, "UP").await;
    service.stop().await.expect("stopped in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_how_far_messages_are() {
    let service = start(&[("ADMIN_TOKEN", "a-token-that-nobody-guesses")]).await;
    create(service.http_address(), "lamp").await;
    let admin = async |method: &str, path: &str| {
        let token = "authorization: Bearer a-token-that-nobody-guesses\r\n";
        let answer = send_with(service.http_address(), method, path, "", token).await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let published = async {
        loop {
            let outgoing = admin("GET", "/admin/outgoing").await;
            if outgoing["published"] == 1 && outgoing["broker"] == "up" {
                return outgoing;
            }
        }
    };
    let outgoing = tokio::time::timeout(SOON, published).await.expect("it is published and noted");
    assert_eq!((&outgoing["head"], &outgoing["lag"]), (&1.into(), &0.into()), "{outgoing}");
    assert_eq!(admin("POST", "/admin/dead-letters/replay").await["replayed"], serde_json::json!([]));
    service.stop().await.expect("stopped in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_told_and_stops_nothing() {
    // Nobody listens on the port of discarded messages.
    let service = start(&[("NATS_URL", "nats://127.0.0.1:9"), ("SHUTDOWN_TIMEOUT_SECONDS", "4")]).await;
    create(service.http_address(), "lamp").await;
    until(&service, "DEGRADED").await;
    service.stop().await.expect("stopped in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_commands_and_queries_go_over_nats() {
    let (url, _alone) = alone().await;
    let nats = NatsBroker::connect(&url, "tests").await.expect("a valid URL");
    let service = start(&[("NATS_URL", &url)]).await;
    until(&service, "UP").await;
    let module = service.dispatcher().module().name();
    let mut events = nats.listen(format!("{module}.events.>")).await.expect("it can listen");
    let id = create(service.http_address(), "lamp").await;
    let event = next(&mut events).await;
    assert_eq!(event.get(headers::AGGREGATE_ID), Some(id.as_str()));

    let mut outcomes = nats.listen(format!("{module}.outcomes.c-1")).await.expect("it can listen");
    let rename = catalogue::RenameProductRequest { product_id: id.clone(), name: "torch".to_owned() };
    let command = Message::new(format!("{module}.commands.catalogue.rename_product"), rename.encode_to_vec());
    let command = command.id(potter::uuid::Uuid::now_v7().to_string()).header(headers::CORRELATION_ID, "c-1");
    nats.publish(command).await.expect("it is kept");
    assert_eq!(next(&mut outcomes).await.get(headers::CORRELATION_ID), Some("c-1"));
    assert_eq!(next(&mut events).await.get(headers::CORRELATION_ID), Some("c-1"));

    let get = catalogue::GetProductRequest { product_id: id };
    let answer = nats.request(Message::new(format!("{module}.queries.GetProduct"), get.encode_to_vec()), SOON).await;
    let reply = catalogue::GetProductResponse::decode(answer.expect("an answer").payload).expect("a reply");
    assert_eq!(reply.product.expect("the product").name, "torch");
    service.stop().await.expect("stopped in time");
}

async fn next(messages: &mut potter_messaging::broker::Messages) -> Message {
    tokio::time::timeout(SOON, messages.next()).await.expect("a message comes").expect("they go on")
}
