//! The compilers that drive the plugin, and what came out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A compiler that can run the plugin.
#[derive(Clone, Copy, Debug)]
pub enum Compiler {
    /// `protoc` as Debian packages it.
    DebianProtoc,
    /// The one inside grpcio-tools.
    CurrentProtoc,
    /// buf, `strategy: all`.
    Buf,
}

/// Every compiler that is tested.
pub const ALL: [Compiler; 3] = [Compiler::DebianProtoc, Compiler::CurrentProtoc, Compiler::Buf];

/// The protos of the tests.
pub fn protos() -> PathBuf {
    repository().join("tests/plugin/protos")
}

/// The root of the checkout.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The plugin under test.
pub fn plugin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_protoc-gen-potter"))
}

impl Compiler {
    /// Runs the plugin over one proto of [`protos`], with the options given, into `out`.
    pub fn run(self, proto: &str, options: &[&str], out: &Path) -> Output {
        match self {
            Self::DebianProtoc => protoc(Command::new("protoc"), proto, options, out),
            Self::CurrentProtoc => {
                let mut python = Command::new(tool("venv/bin/python"));
                python.args(["-m", "grpc_tools.protoc"]);
                protoc(python, proto, options, out)
            }
            Self::Buf => buf(proto, options, out),
        }
    }
}

fn protoc(mut command: Command, proto: &str, options: &[&str], out: &Path) -> Output {
    command
        .arg(format!("--plugin=protoc-gen-potter={}", plugin().display()))
        .arg(format!("--potter_out={}", out.display()))
        .arg(format!("--proto_path={}", protos().display()))
        .arg(format!("--proto_path={}", repository().join("proto").display()))
        .args(options.iter().map(|option| format!("--potter_opt={option}")))
        .arg(proto)
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `make tools` installs it"))
}

/// buf wants a directory that holds everything, the contract included.
fn buf(proto: &str, options: &[&str], out: &Path) -> Output {
    let workspace = tempfile::tempdir().expect("a temporary directory");
    copy(&protos().join(proto), &workspace.path().join(proto));
    let contracts = [
        "potter/options.proto",
        "google/api/annotations.proto",
        "google/api/http.proto",
        "buf/validate/validate.proto",
    ];
    for contract in contracts {
        copy(&repository().join("proto").join(contract), &workspace.path().join(contract));
    }
    let options = options.iter().map(|option| format!("      - {option}\n")).collect::<String>();
    let template = format!(
        "version: v2\nplugins:\n  - local: {}\n    out: {}\n    strategy: all\n    opt:\n{options}",
        plugin().display(),
        out.display(),
    );
    fs::write(workspace.path().join("buf.yaml"), "version: v2\n").expect("a writable directory");
    fs::write(workspace.path().join("buf.gen.yaml"), template).expect("a writable directory");
    Command::new(tool("node_modules/.bin/buf"))
        .arg("generate")
        .current_dir(workspace.path())
        .output()
        .unwrap_or_else(|error| panic!("buf: {error}; `make tools` installs it"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a file in a directory")).expect("a writable directory");
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// A tool that `make tools` installs.
pub fn tool(path: &str) -> PathBuf {
    repository().join("target/tools").join(path)
}

/// Every file below `root`, by relative path.
pub fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                files.insert(name, fs::read(&path).expect("a readable file"));
            }
        }
    }
    files
}
