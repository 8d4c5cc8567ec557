//! A project in a folder of its own, from a proto that changes with the days.

use std::{fs, path::PathBuf};

use potter_gen::{
    framework::Framework,
    lock::Lock,
    update::{Error, Plan, Request, run},
};

/// A project on disk.
pub struct Project {
    folder: tempfile::TempDir,
}

/// What comes before the messages in every proto here.
const HEAD: &str = r#"syntax = "proto3";
package shop;
import "potter/options.proto";

// Takes orders.
service Orders {
  option (potter.service) = { module_name: "shop" };
  // Places one.
  rpc PlaceOrder(PlaceOrderRequest) returns (PlaceOrderReply) {
    option (potter.command) = { aggregate: "Order" creates: true COMMAND };
  }
}
message Order { option (potter.aggregate) = {}; string order_id = 1; string note = 2; }
message PlaceOrderRequest { string note = 1; }
message PlaceOrderReply { string order_id = 1; }
"#;

/// A proto with these declarations.
pub fn proto(declarations: &str) -> String {
    proto_with("", declarations)
}

/// A proto whose command has these options too.
pub fn proto_with(command: &str, declarations: &str) -> String {
    HEAD.replace("COMMAND", command) + declarations
}

/// An event `order.placed` of that version, with these fields after the id.
pub fn placed(version: u32, fields: &str) -> String {
    format!(
        "message OrderPlaced {{
           option (potter.event) = {{ event_type: \"order.placed\" aggregate: \"Order\" version: {version} }};
           string order_id = 1; {fields}
         }}\n"
    )
}

impl Project {
    /// Makes a project from a proto that is right.
    pub fn new(proto: &str) -> Self {
        let project = Project { folder: tempfile::tempdir().expect("a temporary folder") };
        project.update(proto).unwrap_or_else(|error| panic!("this proto is right:\n{error}\n{proto}"));
        project
    }

    /// Where it is.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    /// Brings it up to date with a proto, as `potter-gen update` does.
    pub fn update(&self, proto: &str) -> Result<Plan, Error> {
        let source = self.source();
        fs::create_dir_all(source.parent().expect("it is in a folder")).expect("a writable folder");
        fs::write(&source, proto).expect("a writable folder");
        run(&Request {
            protos: vec![source.clone()],
            proto_paths: vec![source.parent().expect("it is in a folder").to_owned()],
            output: self.root(),
            framework: Some(Framework::Version("0.1.0".to_owned())),
            ..Request::default()
        })
    }

    fn source(&self) -> PathBuf {
        match self.root().is_dir() {
            true => self.root().join("proto/shop.proto"),
            false => self.folder.path().join("first/shop.proto"),
        }
    }

    /// The lock as it is on disk.
    pub fn lock(&self) -> Lock {
        Lock::read(&self.text("potter.lock")).expect("the lock of a project can be read")
    }

    /// A file of the project.
    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// What a refused change is told.
pub fn refusal(result: Result<Plan, Error>) -> String {
    match result {
        Ok(_) => panic!("this change breaks what was recorded"),
        Err(Error::Breaking(findings)) => findings.to_string(),
        Err(other) => panic!("another error than that of evolution: {other}"),
    }
}
