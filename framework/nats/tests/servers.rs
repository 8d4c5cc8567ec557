//! What real servers say: of the configuration that generated `docker-compose.yml` give them, and of passwords.

mod server;

use std::process::Command;

use potter_broker::{Broker, BrokerErrorKind};
use potter_nats::NatsBroker;
use server::Server;

/// What `docker-compose.yml` has as the file of the config `nats`.
fn configuration() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/catalogue/docker-compose.yml");
    let compose = std::fs::read_to_string(path).expect("the example has one");
    let (_, config) = compose.split_once("\n  nats:\n    # By default JetStream").expect("it has a config for NATS");
    let (_, text) = config.split_once("    content: |\n").expect("it is written there");
    let lines = text.lines().map_while(|line| line.strip_prefix("      "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What the server says of a configuration; `None` if it takes it.
fn complaint(configuration: &str) -> Option<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("nats-server.conf");
    std::fs::write(&path, configuration).expect("written");
    let program = std::env::var_os("POTTER_TEST_NATS_BIN").unwrap_or_else(|| "nats-server".into());
    let read = Command::new(program).arg("-t").arg("-c").arg(&path).output();
    let read = read.expect("`nats-server` is installed (Debian's package nats-server)");
    (!read.status.success()).then(|| String::from_utf8_lossy(&read.stderr).into_owned())
}

#[test]
fn what_is_acknowledged_is_on_the_disk() {
    let configuration = configuration();
    assert!(configuration.starts_with("jetstream {\n"), "{configuration}");
    let without = configuration.replace("  sync_interval: always\n", "");
    assert_ne!(without, configuration);
    // Servers before 2.10 don't know that word alone; the image that the file names is a later one.
    let complaint = complaint(&configuration).filter(|it| !it.contains("unknown field \"sync_interval\""));
    assert_eq!((complaint, self::complaint(&without)), (None, None));
    assert!(self::complaint(&without.replace("store_dir", "stores")).is_some(), "it reads words");
}

/// A server that wants to be shown something, and its address after what is to be shown: `user:password@`.
fn guarded(arguments: &[&str]) -> (Server, tempfile::TempDir, impl Fn(&str) -> String) {
    let (data, port) = (tempfile::tempdir().expect("a directory"), server::free_port());
    let server = Server::with(port, data.path(), arguments);
    (server, data, move |shown: &str| format!("nats://{shown}127.0.0.1:{port}"))
}

#[tokio::test]
async fn what_the_url_says_is_shown() {
    let (_server, _data, url) = guarded(&["--user", "pot", "--pass", "p@ss"]);
    server::connect(&url("pot:p%40ss@")).await;
    // Whichever of a cluster's URLs says it.
    server::connect(&format!("{},{}", url(""), url("pot:p%40ss@"))).await;
    let (_server, _data, url) = guarded(&["--auth", "s3cr3t"]);
    server::connect(&url("s3cr3t@")).await;
}

#[tokio::test]
async fn whoever_is_turned_away_is_told_why() {
    let (_server, _data, url) = guarded(&["--user", "pot", "--pass", "p@ss"]);
    for shown in ["", "pot:wrong@"] {
        let broker = NatsBroker::connect(&url(shown), "tests").await.expect("a valid URL");
        let error = broker.ping().await.expect_err("turned away");
        assert_eq!(error.kind, BrokerErrorKind::Unreachable);
        assert!(error.message.to_lowercase().contains("authorization violation"), "{error}");
    }
    let both = format!("{},{}", url("pot:p%40ss@"), url("pot:wrong@"));
    let error = NatsBroker::connect(&both, "tests").await.err().expect("refused");
    assert!(error.message.contains("different users or passwords") && !error.message.contains("wrong"), "{error}");
}
