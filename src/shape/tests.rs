use std::path::Path;

use proptest::prelude::*;
use prost_reflect::DescriptorPool;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::*;

/// Serves one proto under the name `a.proto`.
struct Text(String);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "a.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn pool(proto: &str) -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text(proto.to_owned()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(Path::new("a.proto")).expect("the proto is valid");
    compiler.descriptor_pool()
}

fn shape(proto: &str, message: &str) -> Shape {
    Shape::of(&pool(proto).get_message_by_name(message).expect("the message is there"))
}

const PROTO3: &str = r#"
    syntax = "proto3";
    package shop;
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/struct.proto";

    message OrderPlaced {
      reserved 8, 4, 6 to 7;
      reserved "old_name", "gone";
      string order_id = 1;
      repeated Line lines = 2;
      optional Channel channel = 3;
      optional string note = 5;
      map<string, Line> by_sku = 9;
      map<int32, Channel> seen = 10;
      oneof paid {
        uint64 cents = 11 [json_name = "the \"cents\""];
        Line in_kind = 12;
      }
      google.protobuf.Timestamp at = 13;
      google.protobuf.NullValue nothing = 14;
      OrderPlaced before = 15;
    }
    message Line { string sku = 1; sint32 quantity = 2; Line part = 3; }
    enum Channel {
      option allow_alias = true;
      CHANNEL_UNSPECIFIED = 0;
      WEB = 1;
      ONLINE = 1;
      MINUS = -1;
      reserved 5 to max, -9;
      reserved "FAX";
    }
    message Unrelated { string x = 1; }
"#;

const PROTO3_SHAPE: &str = r#"message .shop.OrderPlaced {
  1 string order_id
  2 repeated .shop.Line lines
  3 optional enum .shop.Channel channel
  5 optional string note
  9 map<string, .shop.Line> by_sku
  10 map<int32, enum .shop.Channel> seen
  11 uint64 cents in paid json "the \"cents\""
  12 .shop.Line in_kind in paid
  13 optional .google.protobuf.Timestamp at
  14 enum .google.protobuf.NullValue nothing
  15 optional .shop.OrderPlaced before
  reserved 4, 6 to 8, gone, old_name
}
message .shop.Line {
  1 string sku
  2 sint32 quantity
  3 optional .shop.Line part
}
enum .shop.Channel {
  -1 MINUS
  0 CHANNEL_UNSPECIFIED
  1 WEB, ONLINE
  reserved -9, 5 to 2147483647, FAX
}
"#;

#[test]
fn says_all_that_decides_how_bytes_are_read() {
    assert_eq!(shape(PROTO3, "shop.OrderPlaced").to_string(), PROTO3_SHAPE);
}

#[test]
fn knows_the_kinds_of_proto2() {
    let proto = r#"
        syntax = "proto2";
        message M {
          required string id = 1;
          optional int32 count = 2 [default = -7];
          optional string text = 3 [default = "a\n\"b\""];
          repeated group Part = 4 { optional bytes data = 1; }
        }
    "#;
    let expected = r#"message .M {
  1 required string id
  2 optional int32 count default "-7"
  3 optional string text default "a\u{a}\"b\""
  4 repeated group .M.Part part
}
message .M.Part {
  1 optional bytes data
}
"#;
    let shape = shape(proto, "M");
    assert_eq!(shape.to_string(), expected);
    assert_eq!(expected.parse(), Ok(shape));
}

#[test]
fn reads_back_what_it_prints() {
    let shape = shape(PROTO3, "shop.OrderPlaced");
    assert_eq!(PROTO3_SHAPE.parse::<Shape>(), Ok(shape.clone()));
    assert_eq!(shape.types().to_string().parse::<Types>(), Ok(shape.types().clone()));
}

#[test]
fn reads_what_an_editor_left_with_other_line_ends_and_spaces() {
    let edited = format!("\r\n{}", PROTO3_SHAPE.replace('\n', "  \r\n").replace(", ", " ,"));
    assert_eq!(edited.parse(), Ok(shape(PROTO3, "shop.OrderPlaced")));
}

#[test]
fn a_change_in_a_nested_message_changes_the_hash() {
    let before = shape(PROTO3, "shop.OrderPlaced");
    let nested = shape(&PROTO3.replace("string sku = 1", "string sku = 7"), "shop.OrderPlaced");
    let unrelated = shape(&PROTO3.replace("string x = 1", "string x = 7"), "shop.OrderPlaced");
    assert_ne!(before.hash(), nested.hash());
    assert_eq!(before.hash(), unrelated.hash());
    assert_eq!(before.hash().len(), 16);
}

#[test]
fn the_order_of_declaration_does_not_matter() {
    let forth = shape("syntax = \"proto3\"; message M { int32 a = 1; int32 b = 2; } message N {}", "M");
    let back = shape("syntax = \"proto3\"; message N {} message M { int32 b = 2; int32 a = 1; }", "M");
    assert_eq!(forth.to_string(), back.to_string());
}

#[test]
fn a_message_of_protobuf_itself_has_a_shape() {
    let proto = "syntax = \"proto3\"; import \"google/protobuf/duration.proto\";";
    let shape = shape(proto, "google.protobuf.Duration");
    assert_eq!(shape.to_string(), "message .google.protobuf.Duration {\n  1 int64 seconds\n  2 int32 nanos\n}\n");
}

#[test]
fn says_where_and_what_is_malformed() {
    let cases = [
        ("", 1, "a shape begins with `message .…`"),
        ("enum .E {\n  0 A\n}\n", 3, "a shape begins with `message .…`"),
        ("message M {\n}\n", 1, "full name with a leading dot expected, not `M`"),
        ("message .a.1b {\n}\n", 1, "full name with a leading dot expected, not `.a.1b`"),
        ("message .M\n}\n", 1, "`{` expected"),
        ("message .M {\n  1 string a\n", 2, "`}` is missing"),
        ("message .M {\n}\nmessage .M {\n}\n", 3, "`.M` is there already"),
        ("message .M {\n  1 string a\n  1 string b\n}\n", 3, "field 1 is there already"),
        ("message .M {\n  0 string a\n}\n", 2, "0 is no field number"),
        ("message .M {\n  x string a\n}\n", 2, "number expected, not `x`"),
        ("message .M {\n  99999999999 string a\n}\n", 2, "number expected, not `99999999999`"),
        ("message .M {\n  1 strin a\n}\n", 2, "type expected, not `strin`"),
        ("message .M {\n  1 string\n}\n", 2, "name expected"),
        ("message .M {\n  1 string a b\n}\n", 2, "end of line expected, not `b`"),
        ("message .M {\n  1 string a json \"\n}\n", 2, "a string has no end"),
        ("message .M {\n  1 string a json \"\\u{d800}\"\n}\n", 2, "unknown escape in a string"),
        ("message .M {\n  1 string a json b\n}\n", 2, "string expected, not `b`"),
        ("message .M {\n  1 map<bytes, string> a\n}\n", 2, "`bytes` cannot be the key of a map"),
        ("message .M {\n  1 repeated string a in b\n}\n", 2, "a field of a oneof has no label"),
        ("message .M {\n  reserved 3 to 2\n}\n", 2, "3 to 2 is no range"),
        ("message .M {\n  reserved 3\n  reserved 4\n}\n", 3, "`reserved` is there already"),
        ("message .M {\n  1 .N n\n}\n", 3, "`.N`, the type of `n`, is missing"),
        ("message .M {\n<<<<<<< ours\n", 2, "number expected, not `<`"),
        ("record .M {\n}\n", 1, "`message` or `enum` expected, not `record`"),
    ];
    for (text, line, message) in cases {
        let wrong = text.parse::<Shape>().expect_err(text);
        assert_eq!((wrong.line, wrong.message.as_str()), (line, message), "{text}");
    }
}

fn name() -> impl Strategy<Value = String> {
    // Words of the text's own language are names as good as any.
    prop_oneof!["[a-z_][a-z0-9_]{0,6}", Just("in".to_owned()), Just("json".to_owned()), Just("reserved".to_owned())]
}

fn reserved() -> impl Strategy<Value = Reserved> {
    let ranges = prop::collection::vec((-20_i64..20, 0_i64..4), 0..3);
    (ranges, prop::collection::vec(name(), 0..3))
        .prop_map(|(ranges, names)| Reserved::new(ranges.into_iter().map(|(at, more)| (at, at + more)), names))
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop::sample::select(Scalar::ALL)
}

fn field() -> impl Strategy<Value = FieldShape> {
    let cardinality = prop_oneof![
        Just(Cardinality::Implicit),
        Just(Cardinality::Optional),
        Just(Cardinality::Required),
        Just(Cardinality::Repeated),
        scalar().prop_filter("a key", |it| it.is_map_key()).prop_map(Cardinality::Map),
        name().prop_map(Cardinality::Oneof),
    ];
    let ty = prop_oneof![
        scalar().prop_map(TypeShape::Scalar),
        Just(TypeShape::Message("p.M".to_owned())),
        Just(TypeShape::Group("p.M".to_owned())),
        Just(TypeShape::Enum("p.E".to_owned())),
        Just(TypeShape::Message("google.protobuf.Any".to_owned())),
    ];
    (name(), prop::option::of(".{0,5}"), cardinality, ty, prop::option::of("\\PC{0,5}|[\\x00-\\x1f\"\\\\]{0,4}"))
        .prop_map(|(name, json_name, cardinality, ty, default)| FieldShape {
            json_name: json_name.unwrap_or_else(|| text::default_json_name(&name)),
            name,
            cardinality,
            ty,
            default,
        })
}

prop_compose! {
    fn any_shape()(
        fields in prop::collection::btree_map(1_u32..30, field(), 0..8),
        message in reserved(),
        values in prop::collection::btree_map(any::<i32>(), prop::collection::vec(name(), 1..3), 0..5),
        of_enum in reserved(),
    ) -> Shape {
        let messages = BTreeMap::from([("p.M".to_owned(), MessageShape { fields, reserved: message })]);
        let enums = BTreeMap::from([("p.E".to_owned(), EnumShape { values, reserved: of_enum })]);
        Shape { message: "p.M".to_owned(), types: Types { messages, enums } }
    }
}

proptest! {
    #[test]
    fn every_shape_survives_its_text(shape in any_shape()) {
        prop_assert_eq!(shape.to_string().parse(), Ok(shape));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(message|enum|reserved|\\.p\\.M|[{}<>,\"\\\\]|[0-9]{1,3}|string|\\PC| |\n){0,40}") {
        if let Ok(shape) = text.parse::<Shape>() {
            prop_assert_eq!(shape.to_string().parse(), Ok(shape));
        }
    }

    #[test]
    fn a_damaged_shape_is_refused_or_another_shape(at in 0..PROTO3_SHAPE.len(), letter in any::<char>()) {
        let mut text = PROTO3_SHAPE.to_owned();
        text.replace_range(at..=at, letter.encode_utf8(&mut [0; 4]));
        if let Ok(shape) = text.parse::<Shape>() {
            prop_assert_eq!(shape.to_string().parse(), Ok(shape));
        }
    }
}
