//! NATS servers for tests: one that the tests of a file share, and ones that a test kills.

#![allow(dead_code, reason = "each file of tests uses its own part")]

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use potter_broker::Broker;
use potter_nats::NatsBroker;

/// A server in a process of its own, on a free port, with its data in a directory.
pub struct Server {
    process: Child,
    pub url: String,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub fn start(port: u16, data: &Path) -> Self {
        Self::with(port, data, &[])
    }

    /// Starts one with further arguments.
    pub fn with(port: u16, data: &Path, arguments: &[&str]) -> Self {
        let program = std::env::var_os("POTTER_TEST_NATS_BIN").unwrap_or_else(|| "nats-server".into());
        let process = Command::new(program)
            .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`nats-server` is installed (Debian's package nats-server) and starts");
        let server = Self { process, url: format!("nats://127.0.0.1:{port}") };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "nats-server doesn't listen on port {port}");
            std::thread::yield_now();
        }
        server
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it has ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The URL of the server that the tests share: the one of `POTTER_TEST_NATS`.
pub fn shared() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        std::env::var("POTTER_TEST_NATS").expect(
            "POTTER_TEST_NATS has the URL of a NATS server with JetStream; `scripts/with-servers nats -- cargo test` starts one",
        )
    })
}

/// Connects, and waits until the server answers.
pub async fn connect(url: &str) -> NatsBroker {
    let broker = NatsBroker::connect(url, "tests").await.expect("a valid URL");
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(error) = broker.ping().await {
        assert!(Instant::now() < until, "{url}: {error}");
        tokio::task::yield_now().await;
    }
    broker
}
