//! What validation costs a request, and the start of a service. `cargo bench -p potter-validate`

#[path = "../tests/support/mod.rs"]
mod support;

use divan::{Bencher, black_box};
use potter_validate::Validator;
use prost_reflect::{DescriptorPool, DynamicMessage};

const PROTO: &str = r#"
    syntax = "proto3";
    package shop;
    import "buf/validate/validate.proto";

    // A typical request: five rules.
    message CreateProduct {
      string name = 1 [(buf.validate.field).string = {min_len: 3, max_len: 100}];
      string sku = 2 [(buf.validate.field).string.pattern = "^[A-Z]{2}-[0-9]+$"];
      double price = 3 [(buf.validate.field).double.gt = 0];
      int32 stock = 4 [(buf.validate.field).int32.gte = 0];
      string category = 5;
      string description = 6;
    }
    message Order {
      message Item {
        string sku = 1 [(buf.validate.field).string.min_len = 3];
        uint32 quantity = 2 [(buf.validate.field).uint32 = {gte: 1, lte: 100}];
      }
      repeated Item items = 1 [(buf.validate.field).repeated = {min_items: 1, max_items: 1000}];
    }
    message Custom {
      option (buf.validate.message).cel = {
        id: "skus", message: "skus must be distinct", expression: "this.items.map(it, it.sku).unique()"
      };
      repeated Order.Item items = 1;
    }
    message Formats {
      string email = 1 [(buf.validate.field).string.email = true];
      string host = 2 [(buf.validate.field).string.hostname = true];
      string uri = 3 [(buf.validate.field).string.uri = true];
      string id = 4 [(buf.validate.field).string.uuid = true];
    }
    message Free { string name = 1; repeated Free more = 2; }
"#;

fn main() {
    divan::main();
}

fn pool() -> DescriptorPool {
    support::pool(&[("shop.proto", PROTO)])
}

fn message(pool: &DescriptorPool, name: &str, json: &str) -> DynamicMessage {
    let descriptor = pool.get_message_by_name(&format!("shop.{name}")).expect("it is declared above");
    DynamicMessage::deserialize(descriptor, &mut serde_json::Deserializer::from_str(json)).expect("it is valid JSON")
}

fn validate(bencher: Bencher<'_, '_>, name: &str, json: &str) {
    let pool = pool();
    let validator = Validator::new(pool.clone()).expect("the rules are valid");
    let message = message(&pool, name, json);
    bencher.bench_local(|| validator.validate(black_box(&message)));
}

const PRODUCT: &str = r#"{"name": "A chair", "sku": "CH-1234", "price": 99.5, "stock": 7, "category": "furniture"}"#;

#[divan::bench]
fn five_rules(bencher: Bencher<'_, '_>) {
    validate(bencher, "CreateProduct", PRODUCT);
}

#[divan::bench]
fn five_rules_all_broken(bencher: Bencher<'_, '_>) {
    validate(bencher, "CreateProduct", r#"{"name": "A", "sku": "x", "price": 0, "stock": -1}"#);
}

#[divan::bench]
fn no_rules(bencher: Bencher<'_, '_>) {
    validate(bencher, "Free", r#"{"name": "A chair", "more": [{}, {}]}"#);
}

#[divan::bench]
fn four_formats(bencher: Bencher<'_, '_>) {
    let json = r#"{"email": "ann@example.com", "host": "www.example.com", "uri": "https://example.com/a?b=c#d",
        "id": "123e4567-e89b-12d3-a456-426614174000"}"#;
    validate(bencher, "Formats", json);
}

fn items(count: usize) -> String {
    let items: Vec<_> = (0..count).map(|it| format!(r#"{{"sku": "sku-{it}", "quantity": 3}}"#)).collect();
    format!(r#"{{"items": [{}]}}"#, items.join(","))
}

#[divan::bench(args = [10, 1000])]
fn nested_items(bencher: Bencher<'_, '_>, count: usize) {
    validate(bencher, "Order", &items(count));
}

#[divan::bench(args = [10, 1000])]
fn custom_rule_over_items(bencher: Bencher<'_, '_>, count: usize) {
    validate(bencher, "Custom", &items(count));
}

#[divan::bench]
fn start_up(bencher: Bencher<'_, '_>) {
    let pool = pool();
    bencher.bench_local(|| Validator::new(black_box(pool.clone())));
}
