//! `App::start`: a service in the test's own process, on ports that the system chooses.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use potter::config::Config;
use potter::{App, RunError, Service};
use serde_json::json;
use tokio::sync::Notify;

use crate::catalogue::{self, NEIGHBOURS};
use crate::http::{get, post, send, send_with};

/// A configuration for a test: any free ports of this machine, and these variables.
pub fn config(variables: &[(&str, &str)]) -> Config {
    let free = [("SERVER_HOST", "127.0.0.1"), ("SERVER_PORT", "0"), ("GRPC_PORT", "0"), ("DATABASE_DSN", "memory://")];
    let variables: BTreeMap<_, _> = free.iter().chain(variables).copied().collect();
    Config::from_lookup(|name| variables.get(name).map(|value| (*value).to_owned())).expect("a valid configuration")
}

pub fn sqlite(directory: &Path) -> String {
    format!("sqlite://{}", directory.join("data.db").display())
}

fn app() -> App {
    App::new(catalogue::module(std::future::pending))
}

async fn start(variables: &[(&str, &str)]) -> Service {
    app().rest(catalogue::api()).start(config(variables)).await.expect("started")
}

/// A neighbour that tells when it is asked, and answers when it is told to.
fn neighbour() -> (App, Arc<Notify>, Arc<Notify>) {
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let module = catalogue::module({
        let (asked, answer) = (asked.clone(), answer.clone());
        move || {
            let (asked, answer) = (asked.clone(), answer.clone());
            async move {
                asked.notify_one();
                answer.notified().await;
            }
        }
    });
    (App::new(module).rest(catalogue::api()), asked, answer)
}

/// Creates a product and gives its id once it can be read.
pub async fn create(address: std::net::SocketAddr, name: &str) -> String {
    let accepted = post(address, "/api/v1/products", &json!({ "name": name }).to_string()).await.expect("an answer");
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let location = accepted.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location");
    let status = get(address, &format!("{location}?wait=10")).await.expect("a status").json();
    assert_eq!(status["status"], "SUCCEEDED", "{status}");
    accepted.json()["productId"].as_str().expect("an id").to_owned()
}

async fn serves_commands_and_queries(variables: &[(&str, &str)]) {
    let service = start(variables).await;
    let address = service.http_address();
    let id = create(address, "lamp").await;
    let path = format!("/api/v1/products/{id}");

    let renamed = send(address, "PUT", &path, r#"{"name":"floor lamp"}"#).await.expect("an answer");
    assert_eq!(renamed.json()["product"]["name"], "floor lamp");
    assert_eq!(get(address, &path).await.expect("an answer").json()["product"]["name"], "floor lamp");
    let list = get(address, "/api/v1/products?name=floor%20lamp").await.expect("an answer").json();
    assert_eq!(list["total"], 1);

    let removed = send(address, "DELETE", &path, "").await.expect("an answer");
    assert_eq!(removed.status, 200, "{removed:?}");
    assert_eq!(get(address, &path).await.expect("an answer").status, 404);
    service.stop().await.expect("stopped");
}

#[tokio::test]
async fn serves_from_memory() {
    serves_commands_and_queries(&[]).await;
}

#[tokio::test]
async fn serves_from_a_sqlite_file() {
    let directory = tempfile::tempdir().expect("a directory");
    serves_commands_and_queries(&[("DATABASE_DSN", &sqlite(directory.path()))]).await;
}

/// A new database on the server that `scripts/with-servers` has started.
pub async fn postgres(name: &str) -> String {
    let server = std::env::var("POTTER_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("there is no PostgreSQL: run `scripts/with-servers postgres -- cargo test -p potter`")
    });
    let connecting = tokio_postgres::connect(&server, tokio_postgres::NoTls).await;
    let (client, connection) = connecting.expect("the server answers");
    let driver = tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.expect("a new name");
    driver.abort();
    let (place, _) = server.rsplit_once('/').expect("a DSN with a database");
    format!("{place}/{name}")
}

#[tokio::test]
async fn serves_from_postgres() {
    serves_commands_and_queries(&[("DATABASE_DSN", &postgres("serves_from_postgres").await)]).await;
}

#[tokio::test]
async fn what_was_stored_in_postgres_is_there_after_a_restart() {
    what_was_stored_is_there_after_a_restart(&postgres("restarts_on_postgres").await).await;
}

#[tokio::test]
async fn what_was_stored_in_a_file_is_there_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    what_was_stored_is_there_after_a_restart(&sqlite(directory.path())).await;
}

async fn what_was_stored_is_there_after_a_restart(dsn: &str) {
    let first = start(&[("DATABASE_DSN", dsn)]).await;
    let id = create(first.http_address(), "lamp").await;
    first.stop().await.expect("stopped");

    let second = start(&[("DATABASE_DSN", dsn)]).await;
    let product = get(second.http_address(), &format!("/api/v1/products/{id}")).await.expect("an answer").json();
    assert_eq!(product["product"]["name"], "lamp");
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code() {
    let service = start(&[]).await;
    let address = service.http_address();
    let accepted = post(address, "/api/v1/products", r#"{"name":"taken"}"#).await.expect("an answer");
    let location = accepted.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location");
    let status = get(address, &format!("{location}?wait=10")).await.expect("a status").json();
    assert_eq!((&status["status"], &status["error"]["code"]), (&"FAILED".into(), &"NAME_TAKEN".into()), "{status}");
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_is_refused_before_it_is_accepted() {
    let service = start(&[]).await;
    let refused = post(service.http_address(), "/api/v1/products", r#"{"priceCents":"100"}"#).await.expect("an answer");
    assert_eq!(refused.status, 400, "{refused:?}");
    let problem = refused.json();
    let violation = &problem["violations"][0];
    assert_eq!((&violation["field"], &violation["rule"]), (&"name".into(), &"string.min_len".into()), "{problem}");
}

#[tokio::test]
async fn a_module_without_rest_has_health_and_metrics_all_the_same() {
    let service = app().start(config(&[])).await.expect("started");
    let address = service.http_address();
    assert_eq!(get(address, "/health/ready").await.expect("an answer").status, 200);
    assert_eq!(get(address, "/metrics").await.expect("an answer").status, 200);
    assert_eq!(get(address, "/api/v1/products").await.expect("an answer").status, 404);
    assert_eq!(service.grpc_address(), None);
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let service = start(&[("METRICS_ENABLED", "false")]).await;
    assert_eq!(get(service.http_address(), "/metrics").await.expect("an answer").status, 404);
}

#[tokio::test]
async fn the_body_limit_is_that_of_the_configuration() {
    let service = start(&[("BODY_LIMIT_BYTES", "100")]).await;
    let long = json!({ "name": "x".repeat(200) }).to_string();
    let refused = post(service.http_address(), "/api/v1/products", &long).await.expect("an answer");
    assert_eq!(refused.status, 413, "{refused:?}");
}

#[tokio::test]
async fn callers_are_told_apart_by_the_header_that_is_configured() {
    let service = start(&[("ACTOR_HEADER", "x-user")]).await;
    let create = async |user: &str| {
        let headers = format!("idempotency-key: 1\r\nx-user: {user}\r\n");
        let body = json!({ "name": "Pen" }).to_string();
        let created = send_with(service.http_address(), "POST", "/api/v1/products", &body, &headers).await;
        created.expect("an answer").json()["productId"].clone()
    };
    let (ada, again, bob) = (create("ada").await, create("ada").await, create("bob").await);
    assert!(ada.is_string() && ada == again && ada != bob, "{ada} {again} {bob}");
}

#[tokio::test]
async fn a_stop_finishes_what_is_running_and_takes_nothing_new() {
    let (app, asked, answer) = neighbour();
    let service = app.start(config(&[])).await.expect("started");
    let address = service.http_address();
    let running = tokio::spawn(async move { get(address, &format!("/api/v1/products/{NEIGHBOURS}")).await });
    asked.notified().await;

    let stopping = tokio::spawn(service.stop());
    // The listener is gone once the stop has begun, whatever still runs.
    while get(address, "/health/live").await.is_ok() {}
    assert!(!running.is_finished() && !stopping.is_finished());

    answer.notify_one();
    assert_eq!(running.await.expect("no panic").expect("an answer").status, 404);
    stopping.await.expect("no panic").expect("stopped");
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_it_is_told() {
    let (app, asked, _) = neighbour();
    let service = app.start(config(&[("SHUTDOWN_TIMEOUT_SECONDS", "1")])).await.expect("started");
    let address = service.http_address();
    let running = tokio::spawn(async move { get(address, &format!("/api/v1/products/{NEIGHBOURS}")).await });
    asked.notified().await;
    let dispatcher = service.dispatcher().clone();
    let error = service.stop().await.expect_err("something is stuck");
    assert!(matches!(error, RunError::Unfinished { seconds: 1, .. }), "{error}");
    // The rest was released all the same.
    let request = potter::dispatch::Request::default();
    let refused = dispatcher.call("catalogue.Catalogue/CreateProduct", request).await.expect_err("it has stopped");
    assert_eq!(refused.code, "UNAVAILABLE");
    running.abort();
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_before_anything_is_begun() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let directory = tempfile::tempdir().expect("a directory");
    let variables = [("SERVER_PORT", port.as_str()), ("DATABASE_DSN", &sqlite(directory.path()))];
    let error = app().start(config(&variables)).await.expect_err("taken").to_string();
    assert!(error.contains("set SERVER_PORT to another port"), "{error}");
    assert!(!directory.path().join("data.db").exists());
}

#[tokio::test]
async fn a_database_without_its_directory_names_the_variable() {
    let error = app().start(config(&[("DATABASE_DSN", "sqlite://no/such/data.db")])).await.expect_err("no directory");
    let error = error.to_string();
    assert!(error.contains("DATABASE_DSN=sqlite://no/such/data.db"), "{error}");
    assert!(error.contains("no directory `no/such`"), "{error}");
}

#[tokio::test]
async fn a_dropped_service_frees_its_port() {
    let service = start(&[]).await;
    let address = service.http_address();
    drop(service);
    let freed = async {
        while tokio::net::TcpListener::bind(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.expect("the port is free again");
}
