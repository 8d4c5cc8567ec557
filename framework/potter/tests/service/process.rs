//! A service as a process of its own: the example `catalogue`, or another.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running service and its log.
pub struct Process {
    child: Child,
    log: Receiver<Value>,
    pub http: SocketAddr,
    pub grpc: Option<SocketAddr>,
}

impl Process {
    /// Starts a service that stores in `directory`, and waits until it is ready.
    pub fn start(directory: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_with_log(directory, variables).0
    }

    /// Starts a service; gives also what it said before it was ready.
    pub fn start_with_log(directory: &Path, variables: &[(&str, &str)]) -> (Self, Vec<Value>) {
        Self::start_example("catalogue", directory, variables)
    }

    /// Starts the service of an example; gives also what it said before it was ready.
    pub fn start_example(example: &str, directory: &Path, variables: &[(&str, &str)]) -> (Self, Vec<Value>) {
        let mut command = command_of(example, directory, &[], variables);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("spawned");
        let log = read_log(child.stderr.take().expect("piped"));
        let (ready, before) = wait_for(&log, &format!("{example} is ready"));
        let address = |name: &str| {
            let url = ready.get(name)?.as_str()?.strip_prefix("http://")?;
            Some(url.parse().expect("an address"))
        };
        (Self { child, log, http: address("http").expect("an address"), grpc: address("grpc") }, before)
    }

    /// Waits for a line of the log with that message.
    pub fn wait_for(&self, message: &str) -> Value {
        wait_for(&self.log, message).0
    }

    /// Waits for lines of the log with these messages, in whatever order.
    pub fn wait_for_all<const N: usize>(&self, messages: [&str; N]) -> [Value; N] {
        let mut seen: Vec<Value> = Vec::new();
        let place = |seen: &[Value], message: &str| seen.iter().position(|line| line["message"] == message);
        while messages.iter().any(|message| place(&seen, message).is_none()) {
            let line = self.log.recv_timeout(PATIENCE);
            seen.push(line.unwrap_or_else(|error| panic!("not all of {messages:?} in the log ({error}): {seen:?}")));
        }
        messages.map(|message| seen[place(&seen, message).expect("just seen")].clone())
    }

    /// Sends a signal: `TERM`, `INT`, `KILL`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill is there");
        assert!(sent.success());
    }

    /// Waits for the end.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("ended")
    }

    /// Waits for the end and gives the rest of the log.
    pub fn wait_with_log(mut self) -> (ExitStatus, Vec<Value>) {
        let status = self.child.wait().expect("ended");
        (status, self.log.iter().collect())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_log(stderr: std::process::ChildStderr) -> Receiver<Value> {
    let (lines, log) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or_else(|_| Value::String(line));
            // Nobody reads any longer once the test is over.
            let _ = lines.send(line);
        }
    });
    log
}

/// The line with that message, and those before it.
fn wait_for(log: &Receiver<Value>, message: &str) -> (Value, Vec<Value>) {
    let mut seen = Vec::new();
    loop {
        match log.recv_timeout(PATIENCE) {
            Ok(line) if line["message"] == message => return (line, seen),
            Ok(line) => seen.push(line),
            Err(error) => panic!("no `{message}` in the log ({error}): {seen:?}"),
        }
    }
}

/// Runs a subcommand to its end.
pub fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(directory, arguments, variables).output().expect("run")
}

/// A run of the binary.
pub fn command(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    command_of("catalogue", directory, arguments, variables)
}

/// A run of an example, in `directory` and with nothing of the test's environment.
pub fn command_of(example: &str, directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary(example));
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).env_clear();
    command.envs([("SERVER_HOST", "127.0.0.1"), ("SERVER_PORT", "0"), ("GRPC_PORT", "0"), ("LOG_FORMAT", "json")]);
    command.envs(variables.iter().copied());
    command
}

/// The example, which cargo builds beside the tests of this package.
fn binary(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let binary = profile.join("examples").join(example);
    assert!(binary.exists(), "build it first: cargo build -p potter --example {example}");
    binary
}

/// What a finished run has printed.
pub fn printed(output: &Output) -> (&str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

/// Reads a line of what a running process prints, and stops listening.
pub fn first_line(child: &mut Child) -> String {
    let mut line = Vec::new();
    let mut stdout = child.stdout.take().expect("piped");
    let mut byte = [0];
    while stdout.read(&mut byte).expect("readable") == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("UTF-8")
}
