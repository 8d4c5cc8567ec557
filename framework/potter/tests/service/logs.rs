//! What a process says of one request: everything that follows from it has its correlation id.

use crate::http::{Response, send_with};
use crate::process::Process;

async fn create(process: &Process, name: &str, correlation_id: &str) -> Response {
    let headers = format!("x-correlation-id: {correlation_id}\r\n");
    let body = format!(r#"{{"name":"{name}"}}"#);
    send_with(process.http, "POST", "/api/v1/products", &body, &headers).await.expect("an answer")
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
