//! What holds for every validator, whatever its rules.

mod support;

use std::time::{Duration, SystemTime};

use potter_validate::{MAX_VIOLATIONS, Validator, Violation};
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

const SHOP: &str = r#"
    syntax = "proto3";
    package shop;
    import "buf/validate/validate.proto";
    import "google/protobuf/timestamp.proto";
    message Plain { string name = 1; Plain next = 2; repeated Plain more = 3; map<string, Plain> by_name = 4; }
    message Item { string sku = 1 [(buf.validate.field).string.min_len = 3]; }
    message Order { repeated Item items = 1; Plain plain = 2; }
    message Loop { Loop loop = 1; repeated Order orders = 2; }
    message Due { google.protobuf.Timestamp at = 1 [(buf.validate.field).timestamp.gt_now = true]; }
"#;

fn message(pool: &DescriptorPool, name: &str, json: &str) -> DynamicMessage {
    let descriptor = pool.get_message_by_name(name).unwrap();
    DynamicMessage::deserialize(descriptor, &mut serde_json::Deserializer::from_str(json)).unwrap()
}

fn fields(result: Result<(), Vec<Violation>>) -> Vec<String> {
    result.err().unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}

#[test]
fn a_pool_without_the_options_has_an_empty_validator() {
    let pool = support::pool(&[("a.proto", "syntax = \"proto3\"; message A { string name = 1; }")]);
    let validator = Validator::new(pool.clone()).unwrap();
    assert!(!validator.has_rules(&pool.get_message_by_name("A").unwrap()));
    assert_eq!(validator.validate(&message(&pool, "A", r#"{"name": ""}"#)), Ok(()));
}

#[test]
fn only_messages_that_can_contain_a_rule_have_rules() {
    let pool = support::pool(&[("shop.proto", SHOP)]);
    let validator = Validator::new(pool.clone()).unwrap();
    let has_rules = |name: &str| validator.has_rules(&pool.get_message_by_name(name).unwrap());
    assert!(has_rules("shop.Item") && has_rules("shop.Order") && has_rules("shop.Loop"));
    assert!(
        !has_rules("shop.Plain") && !has_rules("google.protobuf.Timestamp") && !has_rules("buf.validate.FieldRules")
    );
}

#[test]
fn messages_of_another_pool_with_the_same_types_are_validated() {
    let validator = Validator::new(support::pool(&[("shop.proto", SHOP)])).unwrap();
    let other = support::pool(&[("shop.proto", SHOP)]);
    let order = message(&other, "shop.Order", r#"{"items": [{"sku": "abc"}, {"sku": "a"}]}"#);
    assert_eq!(fields(validator.validate(&order)), ["items[1].sku"]);
}

#[test]
fn a_message_of_the_same_name_with_other_fields_is_no_reason_to_panic() {
    let validator = Validator::new(support::pool(&[("shop.proto", SHOP)])).unwrap();
    let other = "syntax = \"proto3\"; package shop; message Item { repeated int64 sku = 1; } message Order { string items = 1; }";
    let other = support::pool(&[("shop.proto", other)]);
    assert_eq!(fields(validator.validate(&message(&other, "shop.Item", r#"{"sku": ["1"]}"#))), ["sku"]);
    assert_eq!(validator.validate(&message(&other, "shop.Order", r#"{"items": "x"}"#)), Ok(()));
}

#[test]
fn violations_are_bounded() {
    let pool = support::pool(&[("shop.proto", SHOP)]);
    let validator = Validator::new(pool.clone()).unwrap();
    let item = Value::Message(DynamicMessage::new(pool.get_message_by_name("shop.Item").unwrap()));
    let mut order = DynamicMessage::new(pool.get_message_by_name("shop.Order").unwrap());
    order.set_field_by_name("items", Value::List(vec![item; 100_000]));
    assert_eq!(validator.validate(&order).unwrap_err().len(), MAX_VIOLATIONS);
}

#[test]
fn now_is_when_the_caller_says() {
    let pool = support::pool(&[("shop.proto", SHOP)]);
    let validator = Validator::new(pool.clone()).unwrap();
    let due = message(&pool, "shop.Due", r#"{"at": "1970-01-01T00:01:00Z"}"#);
    let at = |seconds| fields(validator.validate_at(&due, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
    assert!(at(59).is_empty());
    assert_eq!(at(61), ["at"]);
    assert_eq!(fields(validator.validate(&due)), ["at"], "the clock is past 1970");
}

#[test]
fn a_rule_whose_declaration_is_missing_is_an_error() {
    let source = r#"
        syntax = "proto2";
        package shop;
        import "buf/validate/validate.proto";
        extend buf.validate.StringRules {
          optional bool slug = 80048001 [(buf.validate.predefined).cel = {id: "string.slug" expression: "!rule || this != ''"}];
        }
        message Item { optional string sku = 1 [(buf.validate.field).string.(slug) = true]; }
    "#;
    let pool = support::pool(&[("shop.proto", source)]);
    // The number of the declaration is changed in the bytes; the one in the option of the field stays.
    let mut number = Vec::new();
    prost::encoding::encode_varint(80_048_001, &mut number);
    let mut set = pool.encode_to_vec();
    let declared = set.windows(number.len()).position(|bytes| bytes == number).expect("it is declared");
    set[declared] ^= 1;
    let error = Validator::new(DescriptorPool::decode(set.as_slice()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("shop.Item.sku") && error.contains("is not known"), "{error}");
}

#[test]
fn validators_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Validator>();
}
