//! A project in a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use potter_gen::check::{self, Check, Finding, Status};
use potter_gen::framework::Framework;
use potter_gen::reconcile::{Action, Allowed};
use potter_gen::update::{self, Error, Plan, Request};

/// A project on disk.
pub struct Project {
    folder: tempfile::TempDir,
}

/// A proto with these rpcs in its service and these declarations behind it.
pub fn proto(rpcs: &str, declarations: &str) -> String {
    HEAD.replace("// RPCS", rpcs) + declarations
}

/// The proto of the first day.
pub fn first() -> String {
    proto("", "")
}

/// An rpc that renames an order, and what it needs.
pub fn with_note() -> String {
    proto(
        "rpc NoteOrder(NoteOrderRequest) returns (NoteOrderReply) {
           option (potter.command) = { aggregate: \"Order\" emits: \"OrderNoted\" };
         }",
        "message NoteOrderRequest { string order_id = 1; string note = 2; }
         message NoteOrderReply { string order_id = 1; }
         message OrderNoted {
           option (potter.event) = { event_type: \"order.noted\" aggregate: \"Order\" };
           string order_id = 1;
           string note = 2;
         }",
    )
}

const HEAD: &str = r#"syntax = "proto3";
package shop;
import "potter/options.proto";

// Takes orders.
service Orders {
  option (potter.service) = { module_name: "shop" transport: "REST" };
  // Places one.
  rpc PlaceOrder(PlaceOrderRequest) returns (PlaceOrderReply) {
    option (potter.command) = { aggregate: "Order" creates: true emits: "OrderPlaced" };
  }
  // Calls one off.
  rpc CancelOrder(CancelOrderRequest) returns (CancelOrderReply) {
    option (potter.command) = { aggregate: "Order" };
  }
  // RPCS
  // Finds one.
  rpc GetOrder(GetOrderRequest) returns (GetOrderReply) { option (potter.query) = { read_model: "OrderLine" }; }
}
message Order { option (potter.aggregate) = {}; string order_id = 1; string note = 2; }
message OrderPlaced {
  option (potter.event) = { event_type: "order.placed" aggregate: "Order" };
  string order_id = 1;
  string note = 2;
}
message OrderLine { option (potter.read_model) = { name: "orders" }; string order_id = 1; string note = 2; }
message PlaceOrderRequest { string note = 1; }
message PlaceOrderReply { string order_id = 1; }
message CancelOrderRequest { string order_id = 1; }
message CancelOrderReply { string order_id = 1; }
message GetOrderRequest { string order_id = 1; }
message GetOrderReply { OrderLine order = 1; }
"#;

/// The proto within the project.
pub const PROTO: &str = "proto/shop.proto";
/// The rules.
pub const RULES: &str = "src/domain/order.rs";

impl Project {
    /// Makes a project from a proto that is right.
    pub fn new(proto: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let source = project.folder.path().join("first/shop.proto");
        fs::create_dir_all(source.parent().expect("a folder")).expect("a writable folder");
        fs::write(&source, proto).expect("a writable folder");
        let request = Request { protos: vec![source], ..project.request() };
        update::run(&request).unwrap_or_else(|error| panic!("this proto is right:\n{error}\n{proto}"));
        project
    }

    /// Where it is.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    /// What a bare `potter-gen update` asks for in it.
    pub fn request(&self) -> Request {
        Request { output: self.root(), framework: Some(Framework::Version("0.1.0".to_owned())), ..Request::default() }
    }

    /// Changes the proto, and brings the project up to date with it.
    pub fn update(&self, proto: &str) -> Plan {
        self.write(PROTO, proto);
        self.updated(Allowed::default())
    }

    /// Brings the project up to date.
    pub fn updated(&self, allowed: Allowed) -> Plan {
        self.try_update(allowed).unwrap_or_else(|error| panic!("it can be brought up to date: {error}"))
    }

    /// Brings the project up to date, if that can be done.
    pub fn try_update(&self, allowed: Allowed) -> Result<Plan, Error> {
        update::run(&Request { allowed, ..self.request() })
    }

    /// What a check finds.
    pub fn check(&self) -> Check {
        check::check(&self.request()).unwrap_or_else(|error| panic!("it can be checked: {error}"))
    }

    /// What a check finds about a file.
    pub fn finding(&self, path: &str) -> Option<Finding> {
        self.check().findings.into_iter().find(|it| it.path == path)
    }

    /// What is wrong with a file.
    pub fn status(&self, path: &str) -> Option<Status> {
        self.finding(path).map(|it| it.status)
    }

    /// Runs the command in the project's folder.
    pub fn run(&self, arguments: &[&str]) -> Output {
        command().current_dir(self.root()).args(arguments).output().expect("potter-gen runs")
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The path of the migration whose name begins so; the rest of it tells what is in it.
    pub fn migration(&self, name: &str) -> String {
        let mut paths = self.tree().into_keys().filter(|path| !path.ends_with(".down.sql"));
        let beginning = format!("migrations/sqlite/{name}");
        paths.find(|path| path.starts_with(&beginning)).unwrap_or_else(|| panic!("{beginning}… is not there"))
    }

    /// Whether a file is there.
    pub fn has(&self, path: &str) -> bool {
        self.root().join(path).exists()
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        fs::write(path, text).expect("a writable folder");
    }

    /// Changes a file; what is to be changed must be in it.
    pub fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.text(path);
        assert!(text.contains(old), "`{old}` is not in {path}:\n{text}");
        self.write(path, &text.replacen(old, new, 1));
    }

    /// Deletes a file.
    pub fn delete(&self, path: &str) {
        fs::remove_file(self.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Every file and its bytes.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let mut tree = BTreeMap::new();
        collect(&self.root(), &self.root(), &mut tree);
        tree
    }
}

/// The command under test.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_potter-gen"))
}

/// What was done to a file; `None`: it is no part of the project.
pub fn action(plan: &Plan, path: &str) -> Option<Action> {
    plan.steps.iter().find(|step| step.path == path).map(|step| step.action)
}

fn collect(root: &Path, folder: &Path, tree: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(root, &path, tree);
        } else {
            let name = path.strip_prefix(root).expect("below it").to_string_lossy().into_owned();
            tree.insert(name, fs::read(&path).expect("a readable file"));
        }
    }
}
