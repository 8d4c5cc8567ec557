//! Help for the tests of several modules.

use std::fs;

use crate::{
    descriptors::{self, Descriptors},
    model::{self, Module},
};

/// Compiles a proto under the name `shop.proto`, the syntax, package and Potter's import being put before it on its
/// first line.
pub fn compile(proto: &str) -> Descriptors {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("shop.proto");
    let head = "syntax = \"proto3\"; package shop; import \"potter/options.proto\";";
    fs::write(&path, format!("{head}{proto}")).expect("the proto is written");
    descriptors::compile(&[path], &[]).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// The model of a proto, and its descriptors.
pub fn module(proto: &str) -> (Descriptors, Module) {
    let descriptors = compile(proto);
    let (module, _) = model::build(&descriptors, &model::Settings::default()).unwrap_or_else(|wrong| panic!("{wrong}"));
    (descriptors, module)
}

/// A module with the aggregate `Order`, an async idempotent command, a query, and the given declarations.
pub fn shop(declarations: &str) -> (Descriptors, Module) {
    module(&format!("{SHOP}\n{declarations}"))
}

/// What [`shop`] puts before the declarations.
pub const SHOP: &str = r#"
message Order { option (potter.aggregate) = {}; string id = 1; string note = 2; }
service Orders {
  option (potter.service) = { module_name: "shop" };
  rpc PlaceOrder(PlaceOrderRequest) returns (PlaceOrderReply) {
    option (potter.command) = { aggregate: "Order" async: true idempotent: true creates: true };
  }
  rpc GetOrder(GetOrderRequest) returns (GetOrderReply) { option (potter.query) = { read_model: "OrderReadModel" }; }
}
message PlaceOrderRequest { string note = 1; }
message PlaceOrderReply { string order_id = 1; }
message GetOrderRequest { string id = 1; }
message GetOrderReply { Order order = 1; }
message OutOfStock { option (potter.error_event) = { error_code: "OUT_OF_STOCK" retryable: true }; string sku = 1; }
"#;
