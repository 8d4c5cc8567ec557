//! The configuration that generated `docker-compose.yml` give NATS, read by a real server.

use std::process::Command;

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
