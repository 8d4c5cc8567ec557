//! Projects that are generated from a descriptor set instead of protos.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::project::{Project, command, first, with_note};

/// A folder with a descriptor set, and beside it the project that is made from it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Made from a proto's set, which protoc writes with these arguments too.
    fn new(proto: &str, arguments: &[&str]) -> Self {
        let place = Place { folder: tempfile::tempdir().expect("a temporary folder") };
        place.compile(proto, arguments);
        let output = place.run(".", &["init", "--descriptor-set", "shop.binpb", "-o", "shop"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        place
    }

    /// Writes the set.
    fn compile(&self, proto: &str, arguments: &[&str]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = self.folder.path().join("protos");
        fs::create_dir_all(&folder).expect("a writable folder");
        fs::write(folder.join("shop.proto"), proto).expect("a writable folder");
        let mut protoc = Command::new(root.join("target/tools/venv/bin/python"));
        protoc.args(["-m", "grpc_tools.protoc", "--include_imports", "--descriptor_set_out=../shop.binpb", "-I."]);
        protoc.arg("-I").arg(root.join("proto")).args(arguments).arg("shop.proto").current_dir(folder);
        let output = protoc.output().unwrap_or_else(|error| panic!("{protoc:?}: {error}; `make tools` installs it"));
        assert!(output.status.success(), "{}", said(&output));
    }

    /// Runs the command in a folder of the place.
    fn run(&self, folder: &str, arguments: &[&str]) -> Output {
        let mut command = command();
        command.current_dir(self.folder.path().join(folder)).args(arguments);
        if matches!(arguments[0], "init" | "update") {
            command.args(["--framework", "version:0.1.0"]);
        }
        command.output().expect("potter-gen runs")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const WITH_SOURCES: &[&str] = &["--include_source_info"];

#[test]
fn a_set_gives_what_its_protos_give() {
    let (place, project) = (Place::new(&first(), WITH_SOURCES), Project::new(&first()));
    for (path, bytes) in project.tree() {
        let is_same = ["src/", "sdk/", "migrations/", "tests/"].iter().any(|folder| path.starts_with(folder));
        if is_same {
            let by_set =
                fs::read(place.path(&format!("shop/{path}"))).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(by_set == bytes, "{path} is another");
        }
    }
    assert!(!place.path("shop/proto").exists() && !place.text("shop/README.md").contains("proto/"));
}

#[test]
fn a_set_is_remembered_and_followed() {
    let place = Place::new(&first(), &[]);
    assert!(place.text("shop/potter.lock").contains("descriptor_set = \"../shop.binpb\""));
    assert_eq!(place.run("shop", &["check", "--strict"]).status.code(), Some(0), "there is no source info in it");
    place.compile(&with_note(), &[]);
    let check = place.run("shop", &["check"]);
    assert!(check.status.code() == Some(1) && said(&check).contains("STALE"), "{}", said(&check));
    let check = place.run(".", &["check", "-o", "shop", "--descriptor-set", "shop.binpb"]);
    assert_eq!(check.status.code(), Some(1), "{}", said(&check));
    assert_eq!(place.run("shop", &["update"]).status.code(), Some(0));
    assert!(place.text("shop/src/domain/order.rs").contains("fn note_order("));
    assert_eq!(place.run("shop", &["check", "--strict"]).status.code(), Some(0));

    place.compile(&with_note().replace("  string note = 2;\n}", "}"), &[]);
    let check = place.run("shop", &["check"]);
    assert!(check.status.code() == Some(2) && said(&check).contains("BREAKING"), "{}", said(&check));
}

#[test]
fn a_project_can_go_on_from_protos_and_back() {
    let place = Place::new(&first(), &[]);
    let update = place.run("shop", &["update", "--proto", "../protos/shop.proto"]);
    assert_eq!(update.status.code(), Some(0), "{}", said(&update));
    assert!(place.path("shop/proto/shop.proto").exists() && !place.text("shop/potter.lock").contains("descriptor_set"));
    assert_eq!(place.run("shop", &["check"]).status.code(), Some(0));
    place.run("shop", &["generate", "--descriptor-set", "../shop.binpb"]);
    assert!(place.text("shop/potter.lock").contains("descriptor_set = \"../shop.binpb\""));
}

#[test]
fn sets_of_editions_are_read() {
    for edition in ["2023", "2024"] {
        let head = format!("edition = \"{edition}\";\noption features.field_presence = IMPLICIT;");
        let place = Place::new(&first().replace("syntax = \"proto3\";", &head), &[]);
        assert_eq!(place.run("shop", &["check", "--strict"]).status.code(), Some(0), "edition {edition}");
    }
}

#[test]
fn what_is_no_set_is_refused_with_the_way_to_make_one() {
    let place = Place::new(&first(), &[]);
    for (argument, text) in [("none.binpb", "--descriptor_set_out"), ("shop/README.md", "this is no descriptor set")] {
        let output = place.run(".", &["init", "--descriptor-set", argument, "-o", "other"]);
        assert!(output.status.code() == Some(3) && said(&output).contains(text), "{}", said(&output));
    }
    fs::remove_file(place.path("shop.binpb")).expect("it was there");
    let check = place.run("shop", &["check"]);
    assert!(check.status.code() == Some(3) && said(&check).contains("../shop.binpb"), "{}", said(&check));
    let both = place.run(".", &["init", "--descriptor-set", "a", "--proto", "b", "-o", "other"]);
    assert!(both.status.code() == Some(3) && said(&both).contains("cannot be used with"), "{}", said(&both));
}
