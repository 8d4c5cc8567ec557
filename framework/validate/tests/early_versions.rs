//! Files of protovalidate before 1.0 spell some things differently; services compiled against them are validated alike.

mod support;

use potter_validate::Validator;
use prost_reflect::DynamicMessage;

/// What those versions looked like, cut down to what differs.
const OPTIONS: &str = r#"
    syntax = "proto3";
    package buf.validate;
    import "google/protobuf/descriptor.proto";
    import "buf/validate/priv/private.proto";
    extend google.protobuf.MessageOptions { MessageConstraints message = 1159; }
    extend google.protobuf.OneofOptions { OneofConstraints oneof = 1159; }
    extend google.protobuf.FieldOptions { FieldConstraints field = 1159; }
    message Constraint { string id = 1; string message = 2; string expression = 3; }
    message MessageConstraints { optional bool disabled = 1; repeated Constraint cel = 3; }
    message OneofConstraints { optional bool required = 1; }
    message FieldConstraints {
      repeated Constraint cel = 23;
      bool skipped = 24;
      bool required = 25;
      bool ignore_empty = 26;
      Ignore ignore = 27;
      oneof type { StringRules string = 14; }
    }
    enum Ignore { IGNORE_UNSPECIFIED = 0; IGNORE_IF_UNPOPULATED = 1; IGNORE_IF_DEFAULT_VALUE = 2; IGNORE_ALWAYS = 3; }
    message StringRules {
      optional uint64 min_len = 2 [(priv.field).cel = {
        id: "string.min_len"
        expression: "uint(this.size()) < rules.min_len ? 'value length must be at least %s characters'.format([rules.min_len]) : ''"
      }];
      repeated string in = 10 [(priv.field).cel = {
        id: "string.in"
        expression: "!(this in dyn(rules)['in']) ? 'value must be in list %s'.format([dyn(rules)['in']]) : ''"
      }];
    }
"#;

const PRIVATE: &str = r#"
    syntax = "proto3";
    package buf.validate.priv;
    import "google/protobuf/descriptor.proto";
    extend google.protobuf.FieldOptions { FieldConstraints field = 1160; }
    message FieldConstraints { repeated Constraint cel = 1; }
    message Constraint { string id = 1; string message = 2; string expression = 3; }
"#;

const SHOP: &str = r#"
    syntax = "proto3";
    package shop;
    import "buf/validate/validate.proto";
    message Item {
      string sku = 1 [(buf.validate.field).string.min_len = 3];
      string size = 2 [(buf.validate.field).string = {in: ["S", "L"]}];
      string skipped = 3 [(buf.validate.field) = {skipped: true, string: {min_len: 3}}];
      string perhaps = 4 [(buf.validate.field) = {ignore_empty: true, string: {min_len: 3}}];
      optional string default = 5 [(buf.validate.field) = {ignore: IGNORE_IF_DEFAULT_VALUE, string: {min_len: 3}}];
    }
    message Disabled {
      option (buf.validate.message) = {disabled: true, cel: {id: "never", expression: "false"}};
      string sku = 1 [(buf.validate.field).string.min_len = 3];
    }
"#;

#[test]
fn early_spellings_are_understood() {
    let pool = support::pool(&[
        ("shop.proto", SHOP),
        ("buf/validate/validate.proto", OPTIONS),
        ("buf/validate/priv/private.proto", PRIVATE),
    ]);
    let validator = Validator::new(pool.clone()).unwrap();
    let broken = |name: &str, json: &str| -> Vec<String> {
        let descriptor = pool.get_message_by_name(name).unwrap();
        let message = DynamicMessage::deserialize(descriptor, &mut serde_json::Deserializer::from_str(json)).unwrap();
        validator.validate(&message).err().into_iter().flatten().map(|violation| violation.to_string()).collect()
    };

    assert_eq!(
        broken("shop.Item", r#"{"sku": "a", "size": "M", "default": ""}"#),
        [
            "sku: value length must be at least 3 characters [string.min_len]",
            "size: value must be in list [S, L] [string.in]",
        ]
    );
    assert_eq!(
        broken("shop.Item", r#"{"sku": "abc", "size": "S", "perhaps": "a", "default": "a"}"#).len(),
        2,
        "`perhaps` and `default` are there"
    );
    assert!(broken("shop.Disabled", "{}").is_empty());
}
