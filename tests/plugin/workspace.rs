//! Protos of a test's own, and compilers that run the plugin over them.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::compilers::{Compiler, plugin, repository, tool, tree};

/// A folder with protos.
pub struct Workspace {
    folder: tempfile::TempDir,
}

/// What a compiler said and wrote.
pub struct Run {
    pub output: Output,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Workspace {
    /// A folder with these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join("protos").join(name);
            fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a writable folder");
            fs::write(path, text).expect("a writable folder");
        }
        Workspace { folder }
    }

    fn protos(&self) -> std::path::PathBuf {
        self.folder.path().join("protos")
    }

    /// Runs the plugin over the named files; buf always takes all that there are.
    pub fn run(&self, compiler: Compiler, names: &[&str], options: &[&str]) -> Run {
        match compiler {
            Compiler::DebianProtoc => self.protoc(Command::new("protoc"), names, options),
            Compiler::CurrentProtoc => {
                let mut python = Command::new(tool("venv/bin/python"));
                python.args(["-m", "grpc_tools.protoc"]);
                self.protoc(python, names, options)
            }
            Compiler::Buf => self.buf("all", &[], options),
        }
    }

    fn protoc(&self, mut command: Command, names: &[&str], options: &[&str]) -> Run {
        let out = tempfile::tempdir().expect("a temporary folder");
        command
            .arg(format!("--plugin=protoc-gen-potter={}", plugin().display()))
            .arg(format!("--potter_out={}", out.path().display()))
            .arg(format!("--proto_path={}", self.protos().display()))
            .arg(format!("--proto_path={}", repository().join("proto").display()))
            .args(options.iter().map(|option| format!("--potter_opt={option}")))
            .args(names);
        run(command, out.path())
    }

    /// Runs buf with a strategy and further arguments.
    pub fn buf(&self, strategy: &str, arguments: &[&str], options: &[&str]) -> Run {
        let out = tempfile::tempdir().expect("a temporary folder");
        for contract in ["potter/options.proto", "google/api/annotations.proto", "google/api/http.proto"] {
            let to = self.protos().join(contract);
            fs::create_dir_all(to.parent().expect("a file in a folder")).expect("a writable folder");
            fs::copy(repository().join("proto").join(contract), to).expect("a writable folder");
        }
        let options: String = options.iter().map(|option| format!("      - {option}\n")).collect();
        let opt = if options.is_empty() { String::new() } else { format!("    opt:\n{options}") };
        let template = format!(
            "version: v2\nplugins:\n  - local: {}\n    out: {}\n    strategy: {strategy}\n{opt}",
            plugin().display(),
            out.path().display(),
        );
        fs::write(self.protos().join("buf.yaml"), "version: v2\n").expect("a writable folder");
        fs::write(self.protos().join("buf.gen.yaml"), template).expect("a writable folder");
        let mut command = Command::new(tool("node_modules/.bin/buf"));
        command.arg("generate").args(arguments).current_dir(self.protos());
        run(command, out.path())
    }

    /// A descriptor set of these files by the current protoc, as a request's files.
    pub fn set(&self, names: &[&str], arguments: &[&str]) -> Vec<u8> {
        let path = self.folder.path().join("set.binpb");
        let run = Command::new(tool("venv/bin/python"))
            .args(["-m", "grpc_tools.protoc", "--include_imports"])
            .arg(format!("--descriptor_set_out={}", path.display()))
            .arg(format!("--proto_path={}", self.protos().display()))
            .arg(format!("--proto_path={}", repository().join("proto").display()))
            .args(arguments)
            .args(names)
            .output()
            .expect("protoc runs; `make tools` installs it");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        fs::read(path).expect("protoc has written it")
    }

    /// The folder, for what else is to lie there.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Run {
    /// What was said.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The files of a run that went well.
    pub fn good(self, compiler: impl std::fmt::Debug) -> BTreeMap<String, Vec<u8>> {
        assert!(self.output.status.success(), "{compiler:?}: {}", self.stderr());
        self.files
    }

    /// What was said of a run that went wrong, and wrote nothing.
    pub fn refusal(&self, compiler: impl std::fmt::Debug) -> String {
        assert!(!self.output.status.success(), "{compiler:?} accepted it");
        assert!(self.files.is_empty(), "{compiler:?} wrote {:?}", self.files.keys());
        self.stderr()
    }
}

fn run(mut command: Command, out: &Path) -> Run {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `make tools` installs it"));
    Run { output, files: tree(out) }
}
