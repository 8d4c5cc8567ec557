//! What a process says of one request: everything that follows from it has its correlation id.

use crate::http::{Response, get, send_with};
use crate::process::Process;

async fn create(process: &Process, name: &str, correlation_id: &str) -> Response {
    let headers = format!("x-correlation-id: {correlation_id}\r\n");
    let body = format!(r#"{{"name":"{name}"}}"#);
    send_with(process.http, "POST", "/api/v1/products", &body, &headers).await.expect("an answer")
}

/// A database that fails is told of once for many requests: a line for each would hide everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_does_not_flood_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let dsn = crate::in_process::postgres("flood").await;
    let process = Process::start(directory.path(), &[("DATABASE_DSN", &dsn), ("LOG_LEVEL", "info")]);
    let (client, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await.expect("the server is there");
    tokio::spawn(connection);
    client.batch_execute(r#"ALTER TABLE "products" RENAME TO "elsewhere""#).await.expect("renamed");
    for _ in 0..50 {
        let failed = get(process.http, "/api/v1/products/p-1").await.expect("an answer");
        assert_eq!(failed.status, 503, "{failed:?}");
    }
    process.signal("TERM");
    let (_, lines) = process.wait_with_log();
    let told = lines.iter().filter(|line| line["message"] == "the store failed");
    let told: Vec<_> = told.map(|line| &line["left_out"]).collect();
    // One each for the query and the projection; on a slow machine some more.
    assert!((1..10).contains(&told.len()), "{lines:?}");
    assert_eq!(told[0], &serde_json::json!(0));
}

/// A connection takes its time, which nobody needs to be warned of; that there is no broker is told once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_missed_only_where_there_is_none() {
    let (url, _alone) = crate::nats::alone().await;
    for (url, waited_for) in
        [(url.as_str(), None), ("nats://127.0.0.1:1", Some("the broker doesn't work; the service goes on without it"))]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let (process, mut lines) =
            Process::start_with_log(directory.path(), &[("NATS_URL", url), ("LOG_LEVEL", "info")]);
        match waited_for {
            Some(message) => lines.push(process.wait_for(message)),
            None => until_up(&process).await,
        }
        process.signal("TERM");
        lines.extend(process.wait_with_log().1);
        let warnings =
            lines.iter().filter(|line| line["level"] == "WARN" && line["target"] == "potter_messaging::link");
        assert_eq!(warnings.count(), usize::from(waited_for.is_some()), "{lines:?}");
    }
}

async fn until_up(process: &Process) {
    let is_up = async || get(process.http, "/health/ready").await.is_ok_and(|it| it.json()["status"] == "UP");
    let up = async {
        while !is_up().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), up).await.expect("it is up in the end");
}

// The log is waited for on a thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_can_be_followed_from_its_arrival_to_the_read_model() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[("LOG_LEVEL", "debug")]);
    assert_eq!(create(&process, "table", "c1").await.status, 202);
    let lines = process.wait_for_all(["answered", "accepted", "recorded", "taking an event in"]);
    assert!(lines.iter().all(|line| line["correlation_id"] == "c1"), "{lines:?}");
    let [_, accepted, recorded, taken_in] = lines;
    assert_eq!(accepted["aggregate_id"], recorded["aggregate_id"]);
    assert_eq!((&recorded["event_type"], &recorded["name"]), (&"product.created".into(), &accepted["name"]));
    assert_eq!((&taken_in["event_type"], &taken_in["position"]), (&recorded["event_type"], &recorded["position"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_with_its_correlation_id() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[("LOG_LEVEL", "debug")]);
    assert_eq!(create(&process, "taken", "c2").await.status, 202);
    let line = process.wait_for("not executed");
    assert_eq!((&line["correlation_id"], &line["code"]), (&"c2".into(), &"NAME_TAKEN".into()), "{line}");
}

/// One line says where and what; the backtrace comes only to those who ask for it (RUST_BACKTRACE).
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_a_rule_is_a_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let (process, _) = Process::start_example("shop", directory.path(), &[("LOG_LEVEL", "info")]);
    let created = send_with(process.http, "POST", "/products", r#"{"name":"lamp","stock":5}"#, "").await;
    let path =
        format!("/products/{}/reserve", created.expect("an answer").json()["productId"].as_str().expect("an id"));
    // More than the rule looks at, and than the stock can take.
    let reserved = send_with(process.http, "POST", &path, &format!(r#"{{"quantity":{}}}"#, i32::MIN), "").await;
    assert_eq!(reserved.expect("an answer").status, 202);
    let panic = process.wait_for("a panic");
    assert_eq!(panic["panic.message"], "attempt to subtract with overflow", "{panic}");
    let place = panic["panic.place"].as_str().expect("a place");
    assert!(place.starts_with("framework/sample/src/product.rs:"), "{panic}");
    assert!(panic["panic.backtrace"].is_null() && panic["name"] == "shop.reserve_stock", "{panic}");
    process.signal("TERM");
    let (_, rest) = process.wait_with_log();
    assert!(rest.iter().all(serde_json::Value::is_object), "{rest:?}");
}
