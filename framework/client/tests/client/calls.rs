//! Calls: options on the wire, deadlines, retries, typed errors.

use std::time::{Duration, Instant};

use potter_client::prost::Message;
use potter_client::uuid::Uuid;
use potter_client::{Connection, FailureKind, Retries};
use tokio::sync::oneshot;
use tonic::{Code, Status};

use crate::script::{Answer, ScriptedServer, any, failure, reply};
use crate::sdk::{
    Client, CreateProductRequest, Error, ErrorEvent, GetProductRequest, GetProductResponse, ProductCreationFailed,
    UpdateProductRequest, UpdateProductResponse,
};

const QUICK: Retries =
    Retries { times: 5, first_delay: Duration::from_millis(1), longest_delay: Duration::from_millis(20) };

pub fn client(url: &str) -> Client {
    Client::new(Connection::builder(url).retries(QUICK).build().expect("a valid address"))
}

fn contention() -> Answer {
    failure(Code::Aborted, "conflict", "CONTENTION", true, None)
}

#[tokio::test]
async fn a_reply_comes_with_what_the_service_says_about_it() {
    let server = ScriptedServer::start(|_, _| {
        let said = [
            ("potter-aggregate-id", "p-1"),
            ("potter-version", "4"),
            ("potter-position", "17"),
            ("x-correlation-id", "c-1"),
        ];
        let body = UpdateProductResponse { name: "lamp".to_owned() }.encode_to_vec();
        Answer::Reply(body, said.map(|(name, value)| (name, value.to_owned())).to_vec())
    })
    .await;
    let request = UpdateProductRequest { product_id: "p-1".to_owned(), name: "lamp".to_owned() };
    let reply = client(&server.url())
        .update_product(request.clone())
        .expected_version(3)
        .correlation_id("c-1")
        .send()
        .await
        .expect("a reply");

    assert_eq!(reply.message.name, "lamp");
    assert_eq!((reply.aggregate_id.as_deref(), reply.version, reply.position), (Some("p-1"), Some(4), Some(17)));
    assert_eq!(reply.correlation_id.as_deref(), Some("c-1"));
    assert!(!reply.replayed);

    let [call] = &server.calls()[..] else { panic!("one call") };
    assert_eq!(call.path, "/product.ProductService/UpdateProduct");
    assert_eq!(call.body, request.encode_to_vec());
    assert_eq!(call.metadata("potter-expected-version"), Some("3"));
    assert_eq!(call.metadata("x-correlation-id"), Some("c-1"));
    assert_eq!(call.metadata("idempotency-key"), None);
}

#[tokio::test]
async fn a_query_may_ask_for_what_it_must_have_seen() {
    let server = ScriptedServer::start(|_, _| reply(&GetProductResponse { name: "lamp".to_owned() })).await;
    let request = GetProductRequest { product_id: "p-1".to_owned() };
    let client = Client::connect(server.url()).expect("a valid address");
    let product = client.get_product(request).at_least(17).await.expect("a reply");
    assert_eq!(product.name, "lamp");
    assert_eq!(server.calls()[0].metadata("potter-at-least"), Some("17"));
}

#[tokio::test]
async fn metadata_of_connection_and_call_is_sent() {
    let server = ScriptedServer::start(|_, _| reply(&GetProductResponse::default())).await;
    let connection = Connection::builder(server.url())
        .metadata("authorization".parse().expect("a key"), "Bearer t".parse().expect("a value"))
        .build()
        .expect("a valid address");
    Client::new(connection)
        .get_product(GetProductRequest::default())
        .metadata("x-tenant".parse().expect("a key"), "blue".parse().expect("a value"))
        .await
        .expect("a reply");
    let call = &server.calls()[0];
    assert_eq!((call.metadata("authorization"), call.metadata("x-tenant")), (Some("Bearer t"), Some("blue")));
}

#[tokio::test]
async fn a_refusal_is_the_services_own_error_event() {
    let event = ProductCreationFailed { reason: "no such category".to_owned() };
    let sent = event.clone();
    let server = ScriptedServer::start(move |_, _| {
        let event = any("product.ProductCreationFailed", &sent);
        failure(Code::FailedPrecondition, "refused", "PRODUCT_CREATION_FAILED", false, Some(event))
    })
    .await;
    let error = client(&server.url()).create_product(CreateProductRequest::default()).await.expect_err("a refusal");
    assert_eq!(error.code(), "PRODUCT_CREATION_FAILED");
    assert_eq!(error.kind(), FailureKind::Refused);
    assert_eq!(error.message(), "PRODUCT_CREATION_FAILED it is");
    let Error::Refused { event: ErrorEvent::ProductCreationFailed(read), .. } = error else { panic!("{error:?}") };
    assert_eq!(read, event);
    assert_eq!(server.calls().len(), 1, "a refusal is not sent again");
}

#[tokio::test]
async fn an_error_event_of_a_newer_service_leaves_its_code() {
    let server = ScriptedServer::start(move |_, _| {
        let event = any("product.OutOfFashion", &ProductCreationFailed::default());
        failure(Code::FailedPrecondition, "refused", "OUT_OF_FASHION", false, Some(event))
    })
    .await;
    let refused = client(&server.url()).create_product(CreateProductRequest::default()).await;
    let error: Error = refused.expect_err("a refusal");
    assert_eq!((error.code(), error.event()), ("OUT_OF_FASHION", None));
}

#[tokio::test]
async fn retryable_failures_are_tried_again_under_the_same_key() {
    let server = ScriptedServer::start(|n, _| match n {
        0 | 1 => failure(Code::Unavailable, "unavailable", "UNAVAILABLE", true, None),
        _ => Answer::Reply(Vec::new(), vec![("potter-command-id", Uuid::nil().to_string())]),
    })
    .await;
    let pending = client(&server.url()).create_product(CreateProductRequest::default()).await.expect("accepted");
    assert_eq!(pending.command_id(), Uuid::nil());
    let calls = server.calls();
    let keys: Vec<_> = calls.iter().map(|call| call.metadata("idempotency-key").expect("a key")).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn retries_end() {
    let server = ScriptedServer::start(|_, _| contention()).await;
    let error = client(&server.url())
        .update_product(UpdateProductRequest::default())
        .retries(Retries { times: 2, ..QUICK })
        .await
        .expect_err("contention to the end");
    assert_eq!(error.code(), "CONTENTION");
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn nothing_is_tried_again_beyond_the_deadline() {
    let server = ScriptedServer::start(|_, _| contention()).await;
    let slow = Retries { times: 5, first_delay: Duration::from_secs(60), longest_delay: Duration::from_secs(60) };
    let began = Instant::now();
    let command = client(&server.url()).update_product(UpdateProductRequest::default()).retries(slow);
    let error = command.timeout(Duration::from_secs(20)).await.expect_err("contention");
    assert_eq!(error.code(), "CONTENTION");
    assert!(began.elapsed() < Duration::from_secs(20), "the failure is told at once");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up_at_the_deadline() {
    let mut arrivals = Vec::new();
    let server = ScriptedServer::start(move |_, _| {
        let (arrived, arrival) = oneshot::channel();
        arrivals.push(arrival);
        Answer::Hang(arrived)
    })
    .await;
    let query = client(&server.url()).get_product(GetProductRequest::default());
    let error = query.timeout(Duration::from_millis(300)).await.expect_err("no answer");
    assert_eq!((error.code(), error.kind()), ("DEADLINE_EXCEEDED", FailureKind::Unavailable));
    let told = server.calls()[0].metadata("grpc-timeout").expect("the deadline is told").to_owned();
    let unit = told.chars().last().expect("a unit");
    let number: u64 = told.trim_end_matches(unit).parse().expect("a number");
    let nanoseconds =
        number * [('n', 1), ('u', 1_000), ('m', 1_000_000)].iter().find(|(it, _)| *it == unit).expect("a unit").1;
    assert!(nanoseconds <= 300_000_000, "{told}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let url = format!("http://{address}");
    let error = client(&url)
        .update_product(UpdateProductRequest::default())
        .retries(Retries::NONE)
        .await
        .expect_err("nobody there");
    assert_eq!((error.code(), error.is_retryable()), ("UNAVAILABLE", true));
    assert!(error.message().starts_with(&format!("cannot connect to {url}: ")), "{error}");
}

#[tokio::test]
async fn a_service_that_comes_up_late_is_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let patient = Retries { times: 1000, ..QUICK };
    let call =
        client(&format!("http://{address}")).update_product(UpdateProductRequest::default()).retries(patient).send();
    let start = ScriptedServer::start_at(address, |_, _| reply(&UpdateProductResponse::default()));
    let (reply, _server) = tokio::join!(call, start);
    reply.expect("a reply, also to a command that isn't idempotent: it was never sent before");
}

/// Kills a server in the middle of a call and puts another in its place.
async fn kill_in_the_middle<T>(
    call: impl Future<Output = T>,
    arrival: oneshot::Receiver<()>,
    server: ScriptedServer,
) -> (T, ScriptedServer) {
    let address = server.address;
    let replacement = async move {
        arrival.await.expect("the call arrives");
        server.kill().await;
        ScriptedServer::start_at(address, |_, _| reply(&UpdateProductResponse::default())).await
    };
    tokio::join!(call, replacement)
}

/// A server whose first call hangs, and how to hear of that call.
pub async fn hanging() -> (ScriptedServer, oneshot::Receiver<()>) {
    let (arrived, arrival) = oneshot::channel();
    let mut arrived = Some(arrived);
    let server = ScriptedServer::start(move |_, _| Answer::Hang(arrived.take().expect("one call"))).await;
    (server, arrival)
}

#[tokio::test]
async fn a_broken_connection_is_not_enough_to_send_a_command_twice() {
    let (server, arrival) = hanging().await;
    let call = client(&server.url()).update_product(UpdateProductRequest::default()).send();
    let (answer, replacement) = kill_in_the_middle(call, arrival, server).await;
    let error = answer.expect_err("nobody knows what became of the command");
    assert_eq!(error.code(), "UNAVAILABLE");
    assert!(error.message().starts_with("lost the connection to "), "{error}");
    assert_eq!(replacement.calls().len(), 0);
}

#[tokio::test]
async fn an_idempotent_command_survives_a_broken_connection_under_the_same_key() {
    let (server, arrival) = hanging().await;
    let patient = Retries { times: 1000, ..QUICK };
    let command = client(&server.url()).update_product(UpdateProductRequest::default());
    let call = command.idempotent().idempotency_key("order-7").retries(patient).send();
    let (answer, replacement) = kill_in_the_middle(call, arrival, server).await;
    answer.expect("a reply from the replacement");
    assert_eq!(replacement.calls()[0].metadata("idempotency-key"), Some("order-7"));
}

#[tokio::test]
async fn a_query_survives_a_broken_connection() {
    let (server, arrival) = hanging().await;
    let patient = Retries { times: 1000, ..QUICK };
    let call = client(&server.url()).get_product(GetProductRequest::default()).retries(patient).send();
    let (answer, _replacement) = kill_in_the_middle(call, arrival, server).await;
    answer.expect("a reply from the replacement");
}

#[tokio::test]
async fn the_delay_that_the_service_asks_for_is_kept() {
    let server = ScriptedServer::start(|n, _| match n {
        0 => {
            let retry = tonic_types::pb::RetryInfo {
                retry_delay: Some(potter_client::prost_types::Duration { seconds: 0, nanos: 200_000_000 }),
            };
            let details = any("google.rpc.RetryInfo", &retry);
            failure(Code::Unavailable, "unavailable", "UNAVAILABLE", true, Some(details))
        }
        _ => reply(&GetProductResponse::default()),
    })
    .await;
    let began = Instant::now();
    client(&server.url()).get_product(GetProductRequest::default()).await.expect("a reply");
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn an_unreadable_reply_is_a_bug_and_not_asked_for_again() {
    let server = ScriptedServer::start(|_, _| Answer::Reply(vec![0xff, 0xff, 0xff], Vec::new())).await;
    let error = client(&server.url()).get_product(GetProductRequest::default()).await.expect_err("unreadable");
    assert_eq!(error.kind(), FailureKind::Bug);
    assert!(error.message().contains("cannot read the reply"), "{error}");
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_proxy_without_details_is_understood() {
    let server = ScriptedServer::start(|_, _| Answer::Fail(Status::permission_denied("not you"))).await;
    let error = client(&server.url()).get_product(GetProductRequest::default()).await.expect_err("denied");
    assert_eq!((error.code(), error.kind(), error.message()), ("PERMISSION_DENIED", FailureKind::Refused, "not you"));
}
