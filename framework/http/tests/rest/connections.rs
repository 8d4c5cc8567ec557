//! What happens below requests: slow callers, and the end.

use std::time::{Duration, SystemTime};

use potter_core::store::{AcceptedCommand, Unit};
use potter_http::Options;
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::shop::Shop;

/// Sends bytes and reads until the server closes the connection.
async fn exchange(shop: &Shop, request: &str) -> String {
    let mut stream = TcpStream::connect(shop.address).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_caller_that_never_finishes_its_headers_is_left() {
    let shop = Shop::open_with(Options { header_timeout: Duration::from_millis(50), ..Options::default() }).await;
    let answer = exchange(&shop, "GET /mirror HTTP/1.1\r\nHost: shop\r\nX-Slow: ").await;
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test]
async fn a_body_that_never_arrives_is_a_timeout() {
    let shop = Shop::open_with(Options { body_timeout: Duration::from_millis(50), ..Options::default() }).await;
    let request = "POST /mirror HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\
                   Connection: close\r\n\r\n{";
    let answer = exchange(&shop, request).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains(r#""code":"REQUEST_TIMEOUT""#), "{answer}");
}

#[tokio::test]
async fn a_body_without_a_length_is_limited_as_well() {
    let shop = Shop::open_with(Options { body_limit: 8, ..Options::default() }).await;
    let request = "POST /mirror HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n10\r\n                \r\n0\r\n\r\n";
    let answer = exchange(&shop, request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn the_running_requests_are_answered_before_the_end() {
    let mut shop = Shop::open().await;
    let mut running = TcpStream::connect(shop.address).await.expect("the server listens");
    running.write_all(b"GET /sleep HTTP/1.1\r\nHost: shop\r\n\r\n").await.expect("the server reads");
    // Another request on another connection: by the time it is answered, the first one has arrived.
    assert_eq!(shop.get("/health/live").await.status, StatusCode::OK);
    shop.close();
    let mut answer = Vec::new();
    running.read_to_end(&mut answer).await.expect("the server closes after its answer");
    assert!(answer.starts_with(b"HTTP/1.1 504"), "{}", String::from_utf8_lossy(&answer));
    let address = shop.address;
    shop.closed().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn nobody_waits_for_an_outcome_at_the_end() {
    let mut shop = Shop::open().await;
    // Nobody executes what nobody knows.
    let command = AcceptedCommand {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a UUID"),
        name: "shop.unknown".to_owned(),
        aggregate: "Product".to_owned(),
        aggregate_id: "1".to_owned(),
        request: Vec::new().into(),
        expected_version: None,
        correlation_id: "c1".to_owned(),
        causation_id: None,
        actor: None,
        accepted_at: SystemTime::UNIX_EPOCH,
    };
    let request = format!("GET /api/v1/commands/{}?wait=60 HTTP/1.1\r\nHost: shop\r\n\r\n", command.id);
    let unit = Unit { accept: Some(command), ..Unit::default() };
    shop.app.dispatcher().store().commit(unit).await.expect("stored");
    let mut waiting = TcpStream::connect(shop.address).await.expect("the server listens");
    waiting.write_all(request.as_bytes()).await.expect("the server reads");
    assert_eq!(shop.get("/health/live").await.status, StatusCode::OK);
    shop.close();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).await.expect("the server closes after its answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""status":"PENDING""#), "{answer}");
    shop.closed().await;
}

#[tokio::test]
async fn http2_is_spoken_without_tls() {
    let shop = Shop::open().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let response = client.get(format!("http://{}/health/live", shop.address)).send().await.expect("an answer");
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.status(), StatusCode::OK);
}
