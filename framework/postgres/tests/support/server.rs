//! A PostgreSQL server of a test's own, to be restarted, ended and frozen.

#![allow(dead_code, reason = "each file of tests uses its own part")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A server; it ends with this.
pub struct Server {
    directory: TempDir,
    port: u16,
}

/// A variable that `scripts/with-servers` sets.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("there is no {name}: run `scripts/with-servers postgres -- cargo test -p potter-postgres`")
    })
}

impl Server {
    /// Makes a cluster and starts it.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // Whoever PostgreSQL runs as makes its own directory within.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(directory.path(), everybody).expect("it is ours");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = Self { directory, port: listener.local_addr().expect("an address").port() };
        drop(listener);
        let data = server.data().display().to_string();
        server.run("initdb", &["-D", &data, "--username=potter", "--auth=trust", "--encoding=UTF8", "--no-sync"]);
        server.control(&["start"]);
        server
    }

    /// Its DSN; callers wait a second.
    pub fn dsn(&self) -> String {
        format!("postgres://potter@127.0.0.1:{}/postgres?timeout=1", self.port)
    }

    /// Gives it a certificate for `localhost` and restarts it; answers with the file of the authority that signed it.
    pub fn encrypt(&self) -> PathBuf {
        let file = |name: &str| self.data().join(name).display().to_string();
        let [authority, authority_key] = ["authority.crt", "authority.key"].map(file);
        let [certificate, key] = ["server.crt", "server.key"].map(file);
        let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"];
        let own = ["-subj", "/CN=authority", "-keyout", &authority_key, "-out", &authority];
        self.run_program("openssl", &[&new[..], &own].concat());
        let signed = ["-subj", "/CN=localhost", "-keyout", &key, "-out", &certificate, "-CA", &authority];
        let for_host = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"];
        self.run_program("openssl", &[&new[..], &signed, &["-CAkey", &authority_key], &for_host].concat());
        std::fs::write(self.data().join("postgresql.auto.conf"), "ssl = on\n").expect("the directory is there");
        self.restart();
        authority.into()
    }

    /// Ends in order, and starts again.
    pub fn restart(&self) {
        self.control(&["restart", "-m", "fast"]);
    }

    /// Ends as a crash would, and starts again, which recovers what was on the disk.
    pub fn crash(&self) {
        self.control(&["restart", "-m", "immediate"]);
    }

    /// Ends in order.
    pub fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    /// Starts again.
    pub fn start_again(&self) {
        self.control(&["start"]);
    }

    /// Freezes all its processes: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("it runs");
        let postmaster = file.lines().next().expect("it begins with the process id");
        let script =
            format!("kill -{signal} {postmaster} $(cat /proc/{postmaster}/task/{postmaster}/children) 2>/dev/null");
        let status = Command::new("sh").args(["-c", &script]).status().expect("there is a shell");
        // One of the children may have ended meanwhile, which is as good.
        let _ = status;
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn control(&self, arguments: &[&str]) {
        let data = self.data().display().to_string();
        let options = format!("-p {} -k {data} -h 127.0.0.1 -c fsync=on -c synchronous_commit=on", self.port);
        let log = self.directory.path().join("data/log").display().to_string();
        let arguments = [arguments, &["-D", &data, "-o", &options, "-l", &log, "-w", "-s"]].concat();
        self.run("pg_ctl", &arguments);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        self.run_program(&format!("{}/{program}", variable("POTTER_TEST_POSTGRES_BIN")), arguments);
    }

    /// As the user that the server runs as.
    fn run_program(&self, program: &str, arguments: &[&str]) {
        let prefix = variable("POTTER_TEST_POSTGRES_AS");
        let mut words = prefix.split_whitespace().chain([program]).chain(arguments.iter().copied());
        let mut command = Command::new(words.next().expect("at least the program"));
        let status =
            command.args(words).current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.expect("it can be started").success(), "{program} {arguments:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw();
        if !std::thread::panicking() || self.data().join("postmaster.pid").exists() {
            self.control(&["stop", "-m", "immediate"]);
        }
    }
}
