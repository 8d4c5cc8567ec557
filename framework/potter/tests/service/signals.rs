//! How a process ends: asked politely, asked twice, killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::http::{get, post};
use crate::process::Process;

const STUCK: &str = "/api/v1/products/neighbours";

async fn a_signal_ends_it(signal: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[]);
    assert_eq!(get(process.http, "/health/ready").await.expect("an answer").status, 200);
    assert!(process.grpc.is_some(), "both addresses are told");
    process.signal(signal);
    let (status, log) = process.wait_with_log();
    assert_eq!(status.code(), Some(0), "{log:?}");
    let messages: Vec<_> = log.iter().filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(messages, ["stopping; a second signal ends the process at once", "stopped"]);
}

#[tokio::test]
async fn sigterm_ends_it_in_order() {
    a_signal_ends_it("TERM").await;
}

#[tokio::test]
async fn sigint_ends_it_in_order() {
    a_signal_ends_it("INT").await;
}

// The log is waited for on a thread, and the request goes on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[("SHUTDOWN_TIMEOUT_SECONDS", "3600")]);
    let stuck = tokio::spawn(get(process.http, STUCK));
    process.wait_for("asking the neighbour");
    process.signal("TERM");
    process.wait_for("stopping; a second signal ends the process at once");
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(1));
    stuck.await.expect("no panic").expect_err("the connection broke");
}

// The log is waited for on a thread, and the request goes on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_in_time_is_given_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[("SHUTDOWN_TIMEOUT_SECONDS", "1")]);
    let stuck = tokio::spawn(get(process.http, STUCK));
    process.wait_for("asking the neighbour");
    process.signal("TERM");
    let (status, log) = process.wait_with_log();
    assert_eq!(status.code(), Some(1), "{log:?}");
    let last = log.last().expect("a reason");
    assert!(last["error"].as_str().is_some_and(|error| error.contains("SHUTDOWN_TIMEOUT_SECONDS")), "{last}");
    stuck.await.expect("no panic").expect_err("the connection broke");
}

/// Sends commands until the process is gone; gives the ids of those that were accepted.
async fn create_until_it_is_gone(address: std::net::SocketAddr, gone: Arc<AtomicBool>) -> Vec<String> {
    let mut accepted = Vec::new();
    while !gone.load(Ordering::Relaxed) {
        let Ok(answer) = post(address, "/api/v1/products", &json!({ "name": "lamp" }).to_string()).await else { break };
        if answer.status == 202 {
            accepted.push(answer.json()["productId"].as_str().expect("an id").to_owned());
        }
    }
    accepted
}

#[tokio::test]
async fn an_acknowledged_command_survives_a_kill_and_is_executed_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[]);
    let gone = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(create_until_it_is_gone(process.http, gone.clone()))).collect();
    while get(process.http, "/api/v1/products?pageSize=1").await.expect("an answer").json()["total"].as_i64() < Some(50)
    {
    }
    process.signal("KILL");
    gone.store(true, Ordering::Relaxed);
    process.wait();
    let mut accepted = Vec::new();
    for client in clients {
        accepted.extend(client.await.expect("no panic"));
    }
    assert!(accepted.len() >= 50);

    let restarted = Process::start(directory.path(), &[]);
    for id in &accepted {
        let product = loop {
            // Commands that were accepted and not executed are executed after the start.
            let answer = get(restarted.http, &format!("/api/v1/products/{id}")).await.expect("an answer");
            if answer.status == 200 {
                break answer.json();
            }
            assert_eq!(answer.status, 404, "{answer:?}");
        };
        assert_eq!(product["product"]["name"], "lamp");
    }
    restarted.signal("TERM");
    assert_eq!(restarted.wait().code(), Some(0));

    let events = crate::process::run(directory.path(), &["events", "--all", "--format", "json"], &[]);
    let (events, _) = crate::process::printed(&events);
    for id in &accepted {
        let created = events.lines().filter(|line| line.contains(id.as_str())).count();
        assert_eq!(created, 1, "{id}");
    }
}
