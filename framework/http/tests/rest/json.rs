//! Canonical proto3 JSON, both ways.

use std::sync::LazyLock;

use potter_http::json::{self, Written};
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

static SHAPES: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rest");
    let descriptors = protox::compile(["shapes.proto"], [folder]).expect("shapes.proto is valid");
    DescriptorPool::decode(descriptors.encode_to_vec().as_slice()).expect("a whole set")
});

fn shape(name: &str) -> MessageDescriptor {
    SHAPES.get_message_by_name(&format!("shapes.{name}")).expect("a message of shapes.proto")
}

fn write(message: &DynamicMessage) -> String {
    serde_json::to_string(&Written::from(message)).expect("messages can be written")
}

/// What is read, as bytes on the wire and back, written again.
fn round_trip(name: &str, text: &str) -> String {
    let message = json::read(&shape(name), text.as_bytes()).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
    let bytes = message.encode_to_vec();
    write(&DynamicMessage::decode(shape(name), bytes.as_slice()).expect("its own bytes"))
}

/// Field and rule of each violation.
fn violations(name: &str, text: &str) -> Vec<String> {
    match json::read(&shape(name), text.as_bytes()) {
        Ok(message) => panic!("{text} was read as {}", write(&message)),
        Err(violations) => violations.into_iter().map(|it| format!("{}: {}", it.field, it.rule)).collect(),
    }
}

#[test]
fn defaults_are_written_and_absent_optionals_left_out() {
    for (name, wanted) in [
        (
            "Scalars",
            concat!(
                r#"{"aDouble":0.0,"aFloat":0.0,"anInt32":0,"anInt64":"0","aUint32":0,"aUint64":"0","aSint32":0,"#,
                r#""aSint64":"0","aFixed32":0,"aFixed64":"0","anSfixed32":0,"anSfixed64":"0","aBool":false,"#,
                r#""aString":"","someBytes":"","colour":"COLOUR_UNSPECIFIED"}"#
            ),
        ),
        ("Optionals", "{}"),
        (
            "Many",
            concat!(
                r#"{"numbers":[],"texts":[],"colours":[],"messages":[],"byText":{},"byNumber":{},"byFlag":{},"#,
                r#""messagesById":{}}"#
            ),
        ),
        ("Choice", "{}"),
        ("Tree", r#"{"name":"","branches":[],"named":{}}"#),
        ("WellKnown", r#"{"nullValue":null,"values":[],"times":[]}"#),
        ("Wrappers", "{}"),
        ("Named", r#"{"chosen":"","type":"","HTTPServerName":""}"#),
    ] {
        assert_eq!(round_trip(name, "{}"), wanted, "{name}");
    }
}

/// The part of the answer that is written for what was read.
#[test]
fn what_is_canonical_is_read_and_written() {
    for (name, text, wanted) in [
        // Numbers at their limits, in every spelling.
        ("Scalars", r#"{"anInt32":2147483647}"#, r#""anInt32":2147483647"#),
        ("Scalars", r#"{"an_int32":-2147483648}"#, r#""anInt32":-2147483648"#),
        ("Scalars", r#"{"anInt32":"12"}"#, r#""anInt32":12"#),
        ("Scalars", r#"{"anInt32":1e3}"#, r#""anInt32":1000"#),
        ("Scalars", r#"{"anInt32":"1.0"}"#, r#""anInt32":1"#),
        ("Scalars", r#"{"anInt64":9223372036854775807}"#, r#""anInt64":"9223372036854775807""#),
        ("Scalars", r#"{"anInt64":"-9223372036854775808"}"#, r#""anInt64":"-9223372036854775808""#),
        ("Scalars", r#"{"aUint64":18446744073709551615}"#, r#""aUint64":"18446744073709551615""#),
        ("Scalars", r#"{"aUint32":4294967295}"#, r#""aUint32":4294967295"#),
        ("Scalars", r#"{"aSint64":"-1","aFixed64":1,"anSfixed64":-1}"#, r#""aSint64":"-1""#),
        ("Scalars", r#"{"aDouble":1.5e300}"#, r#""aDouble":1.5e+300"#),
        ("Scalars", r#"{"aDouble":"NaN"}"#, r#""aDouble":"NaN""#),
        ("Scalars", r#"{"aDouble":"-Infinity"}"#, r#""aDouble":"-Infinity""#),
        ("Scalars", r#"{"aFloat":"Infinity"}"#, r#""aFloat":"Infinity""#),
        ("Scalars", r#"{"aFloat":0.1}"#, r#""aFloat":0.1"#),
        ("Scalars", r#"{"aDouble":"0.5"}"#, r#""aDouble":0.5"#),
        ("Scalars", r#"{"aDouble":7}"#, r#""aDouble":7.0"#),
        // Text, bytes, enums.
        ("Scalars", r#"{"aString":"a\u0000\"\\ü\ud83d\ude00"}"#, r#""aString":"a\u0000\"\\ü😀""#),
        ("Scalars", r#"{"someBytes":"+/8="}"#, r#""someBytes":"+/8=""#),
        ("Scalars", r#"{"someBytes":"-_8"}"#, r#""someBytes":"+/8=""#),
        ("Scalars", r#"{"colour":"CRIMSON"}"#, r#""colour":"RED""#),
        ("Scalars", r#"{"colour":"match"}"#, r#""colour":"match""#),
        ("Scalars", r#"{"colour":1}"#, r#""colour":"RED""#),
        ("Scalars", r#"{"colour":77}"#, r#""colour":77"#),
        ("Scalars", r#"{"aBool":true}"#, r#""aBool":true"#),
        // `null` leaves a field unset.
        ("Scalars", r#"{"anInt32":null,"aString":null}"#, r#""anInt32":0"#),
        ("Optionals", r#"{"number":null,"nested":null}"#, "{}"),
        (
            "Optionals",
            r#"{"number":0,"text":"","flag":false,"colour":0}"#,
            r#"{"number":"0","text":"","flag":false,"colour":"COLOUR_UNSPECIFIED"}"#,
        ),
        // Lists and maps.
        ("Many", r#"{"numbers":[1,"2",3.0]}"#, r#""numbers":[1,2,3]"#),
        ("Many", r#"{"colours":["RED",2]}"#, r#""colours":["RED","match"]"#),
        ("Many", r#"{"messages":[{},{"flag":true}]}"#, r#""messages":[{},{"flag":true}]"#),
        ("Many", r#"{"byText":{"b":1,"a":"2"}}"#, r#""byText":{"a":"2","b":"1"}"#),
        ("Many", r#"{"byNumber":{"10":"x","-9":"y"}}"#, r#""byNumber":{"-9":"y","10":"x"}"#),
        ("Many", r#"{"byFlag":{"true":"RED","false":0}}"#, r#""byFlag":{"false":"COLOUR_UNSPECIFIED","true":"RED"}"#),
        (
            "Many",
            r#"{"messages_by_id":{"18446744073709551615":{"text":"x"}}}"#,
            r#""messagesById":{"18446744073709551615":{"text":"x"}}"#,
        ),
        ("Many", r#"{"numbers":null,"byText":null}"#, r#""numbers":[]"#),
        // Oneofs.
        ("Choice", r#"{"text":""}"#, r#"{"text":""}"#),
        ("Choice", r#"{"number":0,"text":null}"#, r#"{"number":0}"#),
        ("Choice", r#"{"nothing":null}"#, r#"{"nothing":null}"#),
        ("Choice", r#"{"nothing":"NULL_VALUE"}"#, r#"{"nothing":null}"#),
        // Recursion.
        ("Tree", r#"{"left":{"left":{"name":"x"}}}"#, r#""left":{"name":"x","branches":[],"named":{}}"#),
        // Well-known types.
        ("WellKnown", r#"{"time":"2024-02-29T12:30:00Z"}"#, r#""time":"2024-02-29T12:30:00Z""#),
        (
            "WellKnown",
            r#"{"time":"2024-02-29T14:30:00.123456789+02:00"}"#,
            r#""time":"2024-02-29T12:30:00.123456789Z""#,
        ),
        ("WellKnown", r#"{"time":"0001-01-01T00:00:00Z"}"#, r#""time":"0001-01-01T00:00:00Z""#),
        ("WellKnown", r#"{"time":"9999-12-31T23:59:59.999999999Z"}"#, r#""time":"9999-12-31T23:59:59.999999999Z""#),
        ("WellKnown", r#"{"duration":"1.5s"}"#, r#""duration":"1.500s""#),
        ("WellKnown", r#"{"duration":"-0.000000001s"}"#, r#""duration":"-0.000000001s""#),
        ("WellKnown", r#"{"mask":"fooBar,baz.quxQuux"}"#, r#""mask":"fooBar,baz.quxQuux""#),
        ("WellKnown", r#"{"empty":{}}"#, r#""empty":{}"#),
        (
            "WellKnown",
            r#"{"struct":{"b":[1,null,{"c":"d"}],"a":true}}"#,
            r#""struct":{"a":true,"b":[1.0,null,{"c":"d"}]}"#,
        ),
        ("WellKnown", r#"{"value":null}"#, r#""value":null"#),
        ("WellKnown", r#"{"value":[{}]}"#, r#""value":[{}]"#),
        ("WellKnown", r#"{"list":["a",2]}"#, r#""list":["a",2.0]"#),
        ("WellKnown", r#"{"values":[null,1]}"#, r#""values":[null,1.0]"#),
        (
            "WellKnown",
            r#"{"any":{"@type":"type.googleapis.com/shapes.Optionals","number":"5"}}"#,
            r#""any":{"@type":"type.googleapis.com/shapes.Optionals","number":"5"}"#,
        ),
        (
            "WellKnown",
            r#"{"any":{"number":5,"@type":"x/shapes.Optionals"}}"#,
            r#""any":{"@type":"x/shapes.Optionals","number":"5"}"#,
        ),
        (
            "WellKnown",
            r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"3s"}}"#,
            r#""any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"3s"}"#,
        ),
        (
            "WellKnown",
            r#"{"any":{"@type":"a/google.protobuf.Any","value":{"@type":"b/shapes.Choice","text":"x"}}}"#,
            r#""any":{"@type":"a/google.protobuf.Any","value":{"@type":"b/shapes.Choice","text":"x"}}"#,
        ),
        ("WellKnown", r#"{"any":{}}"#, r#""any":{}"#),
        // Wrappers.
        (
            "Wrappers",
            r#"{"aDouble":0,"aFloat":"NaN","anInt64":"0","aUint64":0,"anInt32":0}"#,
            r#"{"aDouble":0.0,"aFloat":"NaN","anInt64":"0","aUint64":"0","anInt32":0}"#,
        ),
        (
            "Wrappers",
            r#"{"aUint32":1,"aBool":false,"aString":"","someBytes":""}"#,
            r#"{"aUint32":1,"aBool":false,"aString":"","someBytes":""}"#,
        ),
        ("Wrappers", r#"{"aUint32":null}"#, "{}"),
        // Names.
        ("Named", r#"{"own":"x"}"#, r#""chosen":"x""#),
        ("Named", r#"{"chosen":"x","HTTPServer_name":"y"}"#, r#"{"chosen":"x","type":"","HTTPServerName":"y"}"#),
    ] {
        let written = round_trip(name, text);
        assert!(written.contains(wanted), "{name} {text}\nwritten: {written}\n wanted: {wanted}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_field() {
    let cases: &[(&str, &str, &[&str])] = &[
        // The text itself.
        ("Scalars", "", &[": syntax"]),
        ("Scalars", "nonsense", &[": syntax"]),
        ("Scalars", "{} {}", &[": syntax"]),
        ("Scalars", r#"{"anInt32":1,}"#, &[": syntax"]),
        ("Scalars", r#"{"aDouble":1e999}"#, &["aDouble: syntax"]),
        ("Many", r#"{"numbers":[1,x]}"#, &["numbers[1]: syntax"]),
        ("Scalars", "[]", &[": type"]),
        ("Scalars", "null", &[": type"]),
        // Types and ranges.
        ("Scalars", r#"{"anInt32":"x"}"#, &["an_int32: format"]),
        ("Scalars", r#"{"anInt32":""}"#, &["an_int32: format"]),
        ("Scalars", r#"{"anInt32":" 1"}"#, &["an_int32: format"]),
        ("Scalars", r#"{"anInt32":"+1"}"#, &["an_int32: format"]),
        ("Scalars", r#"{"anInt32":1.5}"#, &["an_int32: format"]),
        ("Scalars", r#"{"anInt32":true}"#, &["an_int32: type"]),
        ("Scalars", r#"{"anInt32":2147483648}"#, &["an_int32: range"]),
        ("Scalars", r#"{"aUint32":-1}"#, &["a_uint32: range"]),
        ("Scalars", r#"{"anInt64":"9223372036854775808"}"#, &["an_int64: range"]),
        ("Scalars", r#"{"anInt64":9223372036854775808}"#, &["an_int64: range"]),
        ("Scalars", r#"{"aUint64":18446744073709551616}"#, &["a_uint64: range"]),
        ("Scalars", r#"{"aUint64":1e300}"#, &["a_uint64: range"]),
        ("Scalars", r#"{"aFloat":3.5e38}"#, &["a_float: range"]),
        ("Scalars", r#"{"aFloat":"inf"}"#, &["a_float: format"]),
        ("Scalars", r#"{"aDouble":"nan"}"#, &["a_double: format"]),
        ("Scalars", r#"{"aDouble":[]}"#, &["a_double: type"]),
        ("Scalars", r#"{"aBool":"true"}"#, &["a_bool: type"]),
        ("Scalars", r#"{"aBool":1}"#, &["a_bool: type"]),
        ("Scalars", r#"{"aString":1}"#, &["a_string: type"]),
        ("Scalars", r#"{"someBytes":"***"}"#, &["some_bytes: format"]),
        ("Scalars", r#"{"colour":"BLUE"}"#, &["colour: enum"]),
        ("Scalars", r#"{"colour":"1"}"#, &["colour: enum"]),
        ("Scalars", r#"{"colour":1.5}"#, &["colour: format"]),
        ("Scalars", r#"{"colour":3000000000}"#, &["colour: range"]),
        // Names.
        ("Scalars", r#"{"unknown":1}"#, &["unknown: unknown_field"]),
        ("Scalars", r#"{"AnInt32":1}"#, &["AnInt32: unknown_field"]),
        ("Scalars", r#"{"anInt32":1,"an_int32":1}"#, &["an_int32: duplicate"]),
        ("Scalars", r#"{"aBool":1,"x":1,"aString":{}}"#, &["a_bool: type", "x: unknown_field", "a_string: type"]),
        // Inside.
        ("Optionals", r#"{"nested":{"anInt32":"x"}}"#, &["nested.an_int32: format"]),
        ("Optionals", r#"{"nested":[]}"#, &["nested: type"]),
        ("Many", r#"{"numbers":1}"#, &["numbers: type"]),
        ("Many", r#"{"numbers":[1,null]}"#, &["numbers[1]: type"]),
        (
            "Many",
            r#"{"messages":[{},{"flag":0},{"nested":{"x":0}}]}"#,
            &["messages[1].flag: type", "messages[2].nested.x: unknown_field"],
        ),
        ("Many", r#"{"byText":[]}"#, &["by_text: type"]),
        ("Many", r#"{"byText":{"a":"x"}}"#, &[r#"by_text["a"]: format"#]),
        ("Many", r#"{"byText":{"a":null}}"#, &[r#"by_text["a"]: type"#]),
        ("Many", r#"{"byText":{"a":1,"a":2}}"#, &[r#"by_text["a"]: duplicate"#]),
        ("Many", r#"{"byNumber":{"x":""}}"#, &[r#"by_number["x"]: format"#]),
        ("Many", r#"{"byFlag":{"1":0}}"#, &[r#"by_flag["1"]: format"#]),
        ("Many", r#"{"messagesById":{"7":{"nested":{"aBool":0}}}}"#, &[r#"messages_by_id["7"].nested.a_bool: type"#]),
        ("Choice", r#"{"text":"","number":0}"#, &["number: oneof"]),
        // Well-known types.
        ("WellKnown", r#"{"time":"yesterday"}"#, &["time: format"]),
        ("WellKnown", r#"{"time":"2024-02-30T00:00:00Z"}"#, &["time: format"]),
        ("WellKnown", r#"{"time":"2024-02-29T12:30:00"}"#, &["time: format"]),
        ("WellKnown", r#"{"time":0}"#, &["time: type"]),
        ("WellKnown", r#"{"times":["2024-02-29T12:30:00Z","x"]}"#, &["times[1]: format"]),
        ("WellKnown", r#"{"duration":"1"}"#, &["duration: format"]),
        ("WellKnown", r#"{"duration":"315576000001s"}"#, &["duration: format"]),
        ("WellKnown", r#"{"mask":"foo_bar"}"#, &["mask: format"]),
        ("WellKnown", r#"{"empty":{"a":1}}"#, &["empty.a: unknown_field"]),
        ("WellKnown", r#"{"struct":[]}"#, &["struct: type"]),
        ("WellKnown", r#"{"struct":{"a":1,"a":2}}"#, &["struct.a: duplicate"]),
        ("WellKnown", r#"{"list":{}}"#, &["list: type"]),
        ("WellKnown", r#"{"any":{"@type":"x/unknown.Message"}}"#, &["any.@type: any"]),
        ("WellKnown", r#"{"any":{"number":1}}"#, &["any.@type: type"]),
        ("WellKnown", r#"{"any":{"@type":"x/shapes.Optionals","number":"x"}}"#, &["any.number: format"]),
        ("WellKnown", r#"{"any":{"@type":"x/google.protobuf.Duration","seconds":1}}"#, &["any: any"]),
        ("Wrappers", r#"{"aBool":{"value":true}}"#, &["a_bool: type"]),
        ("Wrappers", r#"{"anInt32":2147483648}"#, &["an_int32: range"]),
    ];
    for (name, text, wanted) in cases {
        assert_eq!(violations(name, text), *wanted, "{name} {text}");
    }
}

#[test]
fn invalid_utf8_is_a_syntax_error() {
    let wrong = json::read(&shape("Scalars"), b"{\"aString\":\"\xff\"}").expect_err("not UTF-8");
    assert_eq!((wrong[0].field.as_str(), wrong[0].rule.as_str()), ("aString", "syntax"));
}

#[test]
fn nesting_is_bounded() {
    let tree = |depth: usize| format!("{}{}", r#"{"left":"#.repeat(depth), "{}".to_owned() + &"}".repeat(depth));
    assert!(round_trip("Tree", &tree(90)).starts_with(r#"{"name":"","left":"#));
    assert!(violations("Tree", &tree(91))[0].ends_with(": depth"));
    assert!(violations("Tree", &tree(5000))[0].ends_with(": syntax"));

    let named =
        |depth: usize| format!("{}{}", r#"{"named":{"x":"#.repeat(depth), "{}".to_owned() + &"}}".repeat(depth));
    round_trip("Tree", &named(45));
    assert!(violations("Tree", &named(46))[0].ends_with(": depth"));

    let lists = |depth: usize| format!(r#"{{"value":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    round_trip("WellKnown", &lists(40));
    assert_eq!(violations("WellKnown", &lists(100)), ["value: depth"]);
    assert!(violations("WellKnown", &lists(1_000_000))[0].ends_with(": syntax"));
}

#[test]
fn a_request_that_is_wrong_everywhere_is_not_answered_at_length() {
    let text = format!(r#"{{"numbers":[{}true]}}"#, "true,".repeat(10_000));
    assert_eq!(violations("Many", &text).len(), 32);
}

/// Bytes that a client of another transport may have stored, and that have no JSON form.
#[test]
fn what_has_no_json_form_does_not_spoil_a_reply() {
    let well_known = |field: &str, bytes: &[u8]| {
        let number = shape("WellKnown").get_field_by_name(field).expect("a field").number();
        let mut message = vec![(number << 3 | 2) as u8, bytes.len() as u8];
        message.extend_from_slice(bytes);
        write(&DynamicMessage::decode(shape("WellKnown"), message.as_slice()).expect("valid bytes"))
    };
    let far = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }.encode_to_vec();
    assert!(well_known("time", &far).contains(r#""time":null"#));
    let unknown = prost_types::Any { type_url: "x/unknown.Message".to_owned(), value: vec![8, 1] }.encode_to_vec();
    assert!(well_known("any", &unknown).contains(r#""any":{"@type":"x/unknown.Message","value":"CAE="}"#));
}

#[test]
fn anys_inside_of_anys_are_bounded() {
    let any = shape("WellKnown").parent_pool().get_message_by_name("google.protobuf.Any").expect("in the pool");
    let mut value = Vec::new();
    for _ in 0..10_000 {
        value = prost_types::Any { type_url: "x/google.protobuf.Any".to_owned(), value }.encode_to_vec();
    }
    let written = write(&DynamicMessage::decode(any, value.as_slice()).expect("valid bytes"));
    assert_eq!(written.matches("@type").count(), 17);
}

proptest! {
    /// Whatever comes in, it is read or refused, and what is read can be written and read again to the same.
    #[test]
    fn any_json_is_read_or_refused(
        name in prop::sample::select(&["Scalars", "Optionals", "Many", "Choice", "Tree", "WellKnown", "Wrappers"][..]),
        json in json_like(),
    ) {
        let text = json.to_string();
        if let Ok(message) = json::read(&shape(name), text.as_bytes()) {
            let written = write(&message);
            let again = json::read(&shape(name), written.as_bytes());
            prop_assert_eq!(write(&again.expect("what is written can be read")), written);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = json::read(&shape("WellKnown"), &bytes);
    }

    #[test]
    fn any_text_is_a_time_or_not(text in "[-+]?[0-9]{1,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?(Z|[+-][0-9]{2}:[0-9]{2})|-?[0-9]{0,25}(\\.[0-9]{0,12})?s") {
        let _ = json::read(&shape("WellKnown"), format!(r#"{{"time":"{text}"}}"#).as_bytes());
        let _ = json::read(&shape("WellKnown"), format!(r#"{{"duration":"{text}"}}"#).as_bytes());
    }
}

/// Objects with names and values that occur in the shapes.
fn json_like() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let names = [
        "aDouble",
        "aFloat",
        "anInt32",
        "anInt64",
        "aUint64",
        "aBool",
        "aString",
        "someBytes",
        "colour",
        "number",
        "text",
        "flag",
        "nested",
        "numbers",
        "messages",
        "byText",
        "byNumber",
        "byFlag",
        "messagesById",
        "nothing",
        "left",
        "branches",
        "named",
        "time",
        "duration",
        "mask",
        "struct",
        "value",
        "list",
        "any",
        "@type",
        "values",
    ];
    let texts = ["", "1", "RED", "NaN", "true", "2024-02-29T12:30:00Z", "1.5s", "fooBar", "AAAA", "x/shapes.Choice"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.to_vec()), inner), 0..6)
                .prop_map(|entries| entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}
