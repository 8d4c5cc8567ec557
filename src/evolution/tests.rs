use super::*;
use crate::testing::shop;

mod accepting;
mod audience;

/// An event `order.placed` of a version, with the fields and what else is declared.
fn event(version: u32, fields: &str, others: &str) -> String {
    format!(
        "message OrderPlaced {{
           option (potter.event) = {{ event_type: \"order.placed\" aggregate: \"Order\" version: {version} }};
           string order_id = 1; {fields}
         }}
         {others}"
    )
}

fn placed(fields: &str) -> String {
    event(1, fields, "")
}

/// The history after all but the last of the declarations, and the last one's module.
fn after(days: &[&str]) -> (History, Descriptors, Module) {
    let (today, past) = days.split_last().expect("there is a day");
    let mut history = History::default();
    past.iter().for_each(|day| history.record(&shop(day).1));
    let (descriptors, module) = shop(today);
    (history, descriptors, module)
}

fn findings_of(days: &[&str]) -> Vec<Finding> {
    let (history, descriptors, module) = after(days);
    findings(&history, &module, &descriptors)
}

/// Codes and messages of what is found after changing the fields of the event, version 1.
fn on_fields(was: &str, now: &str) -> Vec<(Code, String)> {
    let found = findings_of(&[&placed(was), &placed(now)]);
    found.into_iter().map(|it| (it.code, it.message)).collect()
}

/// The one code that is found after changing the fields.
fn code(was: &str, now: &str) -> Option<Code> {
    let found = on_fields(was, now);
    assert!(found.len() <= 1, "{was} → {now}: {found:?}");
    found.into_iter().next().map(|(code, _)| code)
}

#[test]
fn additions_are_fine() {
    for added in [
        "string note = 2;",
        "optional int32 note = 2; repeated string tags = 3; map<string, int32> counts = 4;",
        "oneof kind { string a = 2; int32 b = 3; }",
        "reserved 9; reserved \"old\";",
    ] {
        assert_eq!(code("", added), None, "{added}");
    }
    assert_eq!(code("oneof kind { string a = 2; }", "oneof kind { string a = 2; int32 b = 3; }"), None);
}

#[test]
fn nothing_is_found_where_nothing_changed() {
    let everything = event(
        3,
        "Line line = 2; Kind kind = 3; reserved 7;",
        "message Line { Line line = 1; } enum Kind { NONE = 0; }",
    );
    assert_eq!(findings_of(&[&everything, &everything]), []);
    assert_eq!(findings_of(&[&everything]), [], "a module without a past");
}

#[test]
fn a_removed_field_breaks_reserved_or_not() {
    assert_eq!(code("string note = 2;", ""), Some(Code::EventFieldRemoved));
    assert_eq!(code("string note = 2;", "reserved 2; reserved \"note\";"), Some(Code::EventFieldRemoved));
}

#[test]
fn a_retyped_field_breaks_in_protobuf_or_in_json_alone() {
    let retyped = |was: &str, now: &str| code(&format!("{was} it = 2;"), &format!("{now} it = 2;"));
    for (was, now) in [("int32", "int64"), ("uint32", "uint64"), ("uint32", "int64"), ("sint32", "sint64")] {
        assert_eq!(retyped(was, now), Some(Code::EventJsonChanged), "{was} → {now}: a string in JSON");
        let repeated = retyped(&format!("repeated {was}"), &format!("repeated {now}"));
        assert_eq!(repeated, Some(Code::EventJsonChanged), "repeated {was} → {now}");
    }
    for (was, now) in [("string", "bytes"), ("bool", "int32"), ("bool", "uint64")] {
        assert_eq!(retyped(was, now), Some(Code::EventJsonChanged), "{was} → {now}");
    }
    for (was, now) in [
        ("int64", "int32"),
        ("int32", "uint32"),
        ("int32", "sint32"),
        ("fixed32", "sfixed32"),
        ("bytes", "string"),
        ("string", "int32"),
        ("float", "double"),
        ("string", "Order"),
        ("int32", "bool"),
    ] {
        assert_eq!(retyped(was, now), Some(Code::EventFieldRetyped), "{was} → {now}");
    }
}

#[test]
fn all_that_is_gone_from_one_place_is_told() {
    let found = on_fields("int32 a = 2; int32 b = 3;", "");
    let messages: Vec<_> = found.iter().map(|it| it.1.split(';').next().unwrap_or_default()).collect();
    let expected =
        ["a` (number 2)", "b` (number 3)"].map(|it| format!("field `{it} was removed from shop.OrderPlaced"));
    assert_eq!(messages, expected);
    assert_eq!(on_fields("reserved 8; reserved \"old\";", "").len(), 2);
    let kinds = |kinds: &str| event(1, "Kind kind = 2;", &format!("enum Kind {{ NONE = 0; {kinds} }}"));
    assert_eq!(findings_of(&[&kinds("A = 1; B = 2;"), &kinds("")]).len(), 2);
}

#[test]
fn of_several_events_each_is_to_be_raised_or_accepted() {
    let other = "message OrderNoted {
                   option (potter.event) = { event_type: \"order.noted\" aggregate: \"Order\" version: 3 }; Line line = 1;
                 }";
    let with = |line: &str| event(1, "Line line = 2;", &format!("{other} message Line {{ {line} }}"));
    let found = findings_of(&[&with("int32 a = 1;"), &with("")]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    let [raise, _, accept] = found.ways_out.as_slice() else { panic!("{found:#?}") };
    let versions = "`version: 4` in (potter.event) of OrderNoted, `version: 2` in (potter.event) of OrderPlaced";
    assert_eq!(*raise, format!("raise the version of each event: {versions}; upcasters are then asked for"));
    let command = |event: &str| format!("`potter-gen accept --event {event} --reason \"…\"`");
    assert_eq!(*accept, format!("accept it on purpose: {} and {}", command("order.noted"), command("order.placed")));
}

#[test]
fn the_field_to_keep_has_its_name_in_json() {
    let found = findings_of(&[&placed("string a = 2 [json_name = \"x\"]; string the_b = 3;"), &placed("")]);
    let kept: Vec<_> = found.iter().map(|it| it.ways_out[1].as_str()).collect();
    assert_eq!(kept, ["keep the field: `string a = 2 [json_name = \"x\"];`", "keep the field: `string the_b = 3;`"]);
}

#[test]
fn a_changed_presence_breaks() {
    for (was, now) in [
        ("int32 it = 2;", "optional int32 it = 2;"),
        ("optional int32 it = 2;", "int32 it = 2;"),
        ("int32 it = 2;", "repeated int32 it = 2;"),
        ("repeated string it = 2;", "string it = 2;"),
        ("repeated Order it = 2;", "Order it = 2;"),
    ] {
        assert_eq!(code(was, now), Some(Code::EventPresenceChanged), "{was} → {now}");
    }
    assert_eq!(code("Order it = 2;", "optional Order it = 2;"), None, "a message's presence is always told");
}

#[test]
fn the_keys_of_a_map_may_only_widen() {
    assert_eq!(code("map<int32, uint32> it = 2;", "map<int64, uint32> it = 2;"), None, "keys are strings in JSON");
    assert_eq!(code("map<int32, uint32> it = 2;", "map<int32, uint64> it = 2;"), Some(Code::EventJsonChanged));
    assert_eq!(code("map<int64, uint32> it = 2;", "map<int32, uint32> it = 2;"), Some(Code::EventFieldRetyped));
    assert_eq!(code("map<string, uint32> it = 2;", "map<string, string> it = 2;"), Some(Code::EventFieldRetyped));
}

#[test]
fn a_move_between_oneofs_breaks() {
    let two = "oneof a { string x = 2; string y = 3; } oneof b { string z = 4; }";
    assert_eq!(
        code(two, "oneof a { string x = 2; } oneof b { string y = 3; string z = 4; }"),
        Some(Code::EventOneofChanged)
    );
    assert_eq!(code("optional string x = 2;", "oneof a { string x = 2; }"), Some(Code::EventOneofChanged));
    assert_eq!(code("oneof a { string x = 2; }", "optional string x = 2;"), Some(Code::EventOneofChanged));
    assert_eq!(code("oneof a { string x = 2; }", "string x = 2;"), Some(Code::EventOneofChanged));
    assert_eq!(code(two, &two.replace("oneof a", "oneof c")), None, "the name of a oneof is only source");
}

#[test]
fn a_renamed_field_changes_json_alone() {
    let found = on_fields("string note = 2;", "string remark = 2;");
    let message = "field `remark` of shop.OrderPlaced is called `remark` in JSON, and was `note`; \
                   recorded in `order.placed` version 1";
    assert_eq!(found, [(Code::EventJsonChanged, message.to_owned())]);
    assert!(Code::EventJsonChanged.severity() == Severity::Error, "publishing and the SDK have events in JSON");
    assert_eq!(code("string note = 2;", "string remark = 2 [json_name = \"note\"];"), None);
    assert_eq!(findings_of(&[&placed("string note = 2;"), &event(2, "string remark = 2;", "")]), []);
    assert_eq!(code("string note = 2;", "string note = 2 [json_name = \"n\"];"), Some(Code::EventJsonChanged));
}

#[test]
fn a_number_that_is_used_again_breaks() {
    assert_eq!(code("string note = 2;", "int32 count = 2;"), Some(Code::EventNumberReused));
    assert_eq!(code("string note = 2;", "string note = 3;"), Some(Code::EventNumberReused));
    assert_eq!(code("reserved 2;", "string note = 2;"), Some(Code::EventNumberReused));
    assert_eq!(code("reserved \"note\";", "string note = 2;"), Some(Code::ReservationRemoved));
    let of_enum = |values: &str| event(1, "Kind kind = 2;", &format!("enum Kind {{ NONE = 0; {values} }}"));
    let code_of_enum = |was: &str, now: &str| findings_of(&[&of_enum(was), &of_enum(now)])[0].code;
    assert_eq!(code_of_enum("reserved 1;", "FAST = 1;"), Code::EventNumberReused);
    assert_eq!(code_of_enum("reserved \"FAST\";", "FAST = 1;"), Code::ReservationRemoved);
    assert_eq!(code_of_enum("reserved 1;", ""), Code::ReservationRemoved);
    let swapped = on_fields("string a = 2; string b = 3;", "string b = 2; string a = 3;");
    assert_eq!(swapped.iter().map(|it| it.0).collect::<Vec<_>>(), [Code::EventNumberReused; 2]);
}

#[test]
fn every_recorded_shape_counts_not_only_the_last() {
    // The removal was accepted once; the number is used again, for a field of the same type.
    let (was, removed, again) = (placed("string note = 2;"), placed(""), placed("string remark = 2;"));
    let (mut history, descriptors, module) = after(&[&was, &removed]);
    let found = findings(&history, &module, &descriptors);
    history.accepted = accept(&found, &Subject::Event("order.placed".to_owned()), "test data only");
    history.record(&module);
    assert_eq!(findings(&history, &module, &descriptors), [], "what was accepted is fine");

    let (descriptors, module) = shop(&again);
    let found = findings(&history, &module, &descriptors);
    assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), [Code::EventNumberReused], "{found:#?}");

    // What is merely added later doesn't bring the accepted removal up again.
    let (descriptors, module) = shop(&placed("string more = 5;"));
    assert_eq!(findings(&history, &module, &descriptors), []);
}

#[test]
fn what_was_accepted_for_one_shape_is_not_accepted_for_another() {
    let (mut history, descriptors, module) = after(&[&placed("string a = 2; string b = 3;"), &placed("string b = 3;")]);
    let found = findings(&history, &module, &descriptors);
    history.accepted = accept(&found, &Subject::Event("order.placed".to_owned()), "nobody read it");
    history.record(&module);
    let (descriptors, module) = shop(&placed(""));
    let found = findings(&history, &module, &descriptors);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert!(found.message.contains("field `b`"), "{}", found.message);
}

#[test]
fn a_raised_version_asks_for_an_upcaster_and_breaks_nothing() {
    let days = [placed("string note = 2;"), event(2, "int32 count = 2;", "")];
    assert_eq!(findings_of(&[&days[0], &days[1]]), []);
    // Back to version 1, whatever it looks like: version 2 was recorded.
    let found = findings_of(&[&days[0], &days[1], &days[0]]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(found.code, Code::EventVersionLowered);
    assert_eq!(found.message, "the version of event `order.placed` is 1, and version 2 was recorded");
}

#[test]
fn nested_types_are_part_of_the_event() {
    let with = |line: &str, kind: &str| {
        event(
            1,
            "repeated Line lines = 2;",
            &format!("message Line {{ {line} Kind kind = 9; }} enum Kind {{ NONE = 0; {kind} }}"),
        )
    };
    let was = with("string sku = 1;", "FAST = 1;");
    let code = |now: &str| {
        let found = findings_of(&[&was, now]);
        assert!(found.len() <= 1, "{found:#?}");
        found.into_iter().next().map(|it| (it.code, it.symbol))
    };
    let symbol = |code: Code, symbol: &str| Some((code, symbol.to_owned()));
    assert_eq!(code(&with("string sku = 1; int32 n = 2;", "FAST = 1; SLOW = 2;")), None);
    assert_eq!(code(&with("", "FAST = 1;")), symbol(Code::EventFieldRemoved, "shop.Line"));
    assert_eq!(code(&with("int32 sku = 1;", "FAST = 1;")), symbol(Code::EventFieldRetyped, "shop.Line.sku"));
    assert_eq!(code(&with("string sku = 1;", "")), symbol(Code::EventEnumValueRemoved, "shop.Kind"));
    assert_eq!(code(&with("string sku = 1;", "reserved 1;")), symbol(Code::EventEnumValueRemoved, "shop.Kind"));
    assert_eq!(code(&with("string sku = 1;", "FAST = 2;")), symbol(Code::EventEnumValueRemoved, "shop.FAST"));
    assert_eq!(code(&with("string sku = 1;", "QUICK = 1;")), symbol(Code::EventJsonChanged, "shop.QUICK"));
    assert_eq!(code(&with("string sku = 1;", "option allow_alias = true; FAST = 1; QUICK = 1;")), None);
    let before = with("string sku = 1;", "option allow_alias = true; QUICK = 1; FAST = 1;");
    assert_eq!(code(&before), symbol(Code::EventJsonChanged, "shop.QUICK"), "JSON has the first name");
}

#[test]
fn a_message_may_be_renamed_but_not_exchanged() {
    let with = |name: &str, fields: &str| {
        event(1, &format!("{name} line = 2;"), &format!("message {name} {{ {fields} {name} part = 9; }}"))
    };
    let was = with("Line", "string sku = 1;");
    assert_eq!(findings_of(&[&was, &with("Row", "string sku = 1; int32 n = 2;")]), []);
    let found = findings_of(&[&was, &with("Row", "int32 n = 1;")]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((found.code, found.symbol.as_str()), (Code::EventFieldRetyped, "shop.OrderPlaced.line"));
    assert_eq!(
        found.message,
        "field `line` of shop.OrderPlaced was `shop.Line` and is `shop.Row` now; recorded in `order.placed` version 1"
    );
}

#[test]
fn an_event_may_be_renamed_while_its_type_stays() {
    let was = placed("string note = 2;");
    assert_eq!(findings_of(&[&was, &was.replace("message OrderPlaced", "message OrderSubmitted")]), []);
}

#[test]
fn a_nested_change_is_told_once_with_all_its_events() {
    let two = |line: &str| {
        let second = "message OrderShipped { option (potter.event) = { event_type: \"order.shipped\" aggregate: \"Order\" version: 4 }; Line line = 1; }";
        event(1, "Line line = 2;", &format!("{second} message Line {{ {line} }}"))
    };
    let found = findings_of(&[&two("string sku = 1;"), &two("")]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert!(
        found.message.ends_with("recorded in `order.placed` version 1, `order.shipped` version 4"),
        "{}",
        found.message
    );
    assert_eq!(found.acceptable.len(), 2);
    assert!(
        found.ways_out.iter().any(|it| it.contains("`version: 5` in (potter.event) of OrderShipped")),
        "{:?}",
        found.ways_out
    );
}

#[test]
fn a_removed_event_breaks_and_a_retired_one_does_not() {
    let was = placed("");
    let found = findings_of(&[&was, ""]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((found.code, found.symbol.as_str()), (Code::EventRemoved, "shop.OrderPlaced"));
    assert!(found.ways_out[0].contains("`retired: true`"), "{:?}", found.ways_out);
    let retired = was.replace("version: 1", "version: 1 retired: true");
    assert_eq!(findings_of(&[&was, &retired]), []);
    assert_eq!(findings_of(&[&was, &retired, &was]), []);
    assert_eq!(findings_of(&[&was, &retired, ""]).len(), 1, "a retired event stays readable");
}

#[test]
fn a_changed_event_type_breaks() {
    let was = placed("");
    let found = findings_of(&[&was, &was.replace("order.placed", "order.submitted")]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(found.code, Code::EventTypeChanged);
    let place = found.location.as_ref().expect("the option is there");
    assert!(place.text.as_ref().is_some_and(|it| it.contains("order.submitted")), "{place:?}");
}

#[test]
fn an_event_that_changes_its_aggregate_breaks() {
    let cart = "message Cart { option (potter.aggregate) = {}; string id = 1; }";
    let was = event(1, "", cart);
    let found = findings_of(&[&was, &was.replace("aggregate: \"Order\"", "aggregate: \"Cart\"")]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(found.code, Code::EventMoved);
    assert_eq!(found.ways_out[0], "write `aggregate: \"Order\"` again");
}

#[test]
fn every_finding_says_where_it_is_and_how_to_get_out() {
    let found = findings_of(&[&placed("string note = 2;"), &placed("")]);
    let text = found[0].diagnostic().to_string();
    let expected = "error[P200]: field `note` (number 2) was removed from shop.OrderPlaced; recorded in `order.placed` version 1
  16 | message OrderPlaced {
     |         ^^^^^^^^^^^
     help: raise the event's version: `version: 2` in (potter.event) of OrderPlaced; an upcaster from version 1 is then asked for
           or keep the field: `string note = 2;`
           or accept it on purpose: `potter-gen accept --event order.placed --reason \"…\"`";
    assert!(text.contains(expected), "{text}");
    assert!(found[0].is_breaking());
}

/// Replaces the command's options.
fn command(options: &str) -> Vec<(Code, String)> {
    let (mut history, ..) = after(&[&placed(""), ""]);
    let (descriptors, module) = crate::testing::module(
        &crate::testing::SHOP.replace("aggregate: \"Order\" async: true idempotent: true creates: true", options),
    );
    history.events.clear();
    findings(&history, &module, &descriptors).into_iter().map(|it| (it.code, it.message)).collect()
}

#[test]
fn a_command_keeps_its_meaning() {
    let codes = |options: &str| command(options).into_iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!(codes("aggregate: \"Order\" async: true idempotent: true creates: true"), []);
    assert_eq!(codes("aggregate: \"Order\" idempotent: true creates: true"), [Code::AsyncFlipped]);
    assert_eq!(codes("aggregate: \"Order\" async: true creates: true"), [Code::IdempotencyDropped]);
    assert_eq!(
        codes("aggregate: \"Order\" async: true idempotent: true creates: true id: \"place\""),
        [Code::CommandIdChanged]
    );
}

#[test]
fn becoming_idempotent_harms_nobody() {
    let plain = crate::testing::SHOP.replace("idempotent: true ", "");
    let mut history = History::default();
    history.record(&crate::testing::module(&plain).1);
    let (descriptors, module) = shop("");
    assert_eq!(findings(&history, &module, &descriptors), []);
}

#[test]
fn a_renamed_command_keeps_its_id() {
    let (history, ..) = after(&["", ""]);
    let renamed = |options: &str| {
        let proto = crate::testing::SHOP.replace("rpc PlaceOrder", "rpc SubmitOrder").replace("creates: true", options);
        let (descriptors, module) = crate::testing::module(&proto);
        findings(&history, &module, &descriptors)
    };
    let codes = |told: &[Finding]| told.iter().map(|it| it.code).collect::<Vec<_>>();
    let told = renamed("creates: true renamed_from: \"PlaceOrder\"");
    assert_eq!(codes(&told), [Code::ContractSourceBroken, Code::CommandIdChanged]);
    let told = renamed("creates: true renamed_from: \"PlaceOrder\" id: \"shop.place_order\"");
    assert_eq!(codes(&told), [Code::ContractSourceBroken], "callers of the rpc want to know");
    assert!(told[0].message.ends_with("is called SubmitOrder now"), "{}", told[0].message);
    assert!(told[0].ways_out[0].starts_with("tell its callers"), "{:?}", told[0].ways_out);
}

#[test]
fn a_command_is_followed_by_its_id_whatever_its_rpc_is_called() {
    let (history, ..) = after(&["", ""]);
    let flipped = "aggregate: \"Order\" creates: true id: \"shop.place_order\"";
    for (old, new) in [("rpc PlaceOrder", "rpc SubmitOrder"), ("service Orders", "service Shop")] {
        let plain =
            crate::testing::SHOP.replace("aggregate: \"Order\" async: true idempotent: true creates: true", flipped);
        let (descriptors, module) = crate::testing::module(&plain.replace(old, new));
        let codes: Vec<_> = findings(&history, &module, &descriptors).into_iter().map(|it| it.code).collect();
        for code in [Code::AsyncFlipped, Code::IdempotencyDropped] {
            assert!(codes.contains(&code), "{new}: {codes:?}");
        }
    }
}

/// Codes of the breaking findings after a replacement in the shop.
fn breaking(changes: &[(&str, &str)], declarations: &str) -> Vec<Code> {
    let (history, ..) = after(&[declarations, ""]);
    let proto = format!("{}{declarations}", crate::testing::SHOP);
    let changed = changes.iter().fold(proto, |proto, (from, to)| {
        assert!(proto.contains(from), "{from} is there");
        proto.replace(from, to)
    });
    let (descriptors, module) = crate::testing::module(&changed);
    let found = findings(&history, &module, &descriptors);
    found.iter().filter(|it| it.is_breaking()).map(|it| it.code).collect()
}

#[test]
fn a_command_keeps_its_streams() {
    let cart = "message Cart { option (potter.aggregate) = {}; string id = 1; }";
    let moved = ("aggregate: \"Order\" async", "aggregate: \"Cart\" async");
    assert_eq!(breaking(&[moved], cart), [Code::CommandMoved]);
    let with_id = ("PlaceOrderRequest { string note = 1; }", "PlaceOrderRequest { string note = 1; string id = 2; }");
    assert_eq!(breaking(&[with_id], ""), []);
    assert_eq!(breaking(&[with_id, (" creates: true", "")], ""), [Code::CreatesFlipped]);
}

#[test]
fn accepted_commands_stay_executable() {
    let retyped = ("PlaceOrderRequest { string note", "PlaceOrderRequest { int32 note");
    assert_eq!(breaking(&[retyped], ""), [Code::AcceptedUnreadable]);
    let added = ("PlaceOrderRequest { string note = 1;", "PlaceOrderRequest { string note = 1; int32 more = 2;");
    assert_eq!(breaking(&[added], ""), []);
    let renamed = ("PlaceOrderRequest { string note", "PlaceOrderRequest { string remark");
    assert_eq!(breaking(&[renamed], ""), [], "they wait as protobuf");
    let proto = crate::testing::SHOP;
    let (from, to) = (proto.find("rpc PlaceOrder"), proto.find("rpc GetOrder"));
    let rpc = &proto[from.expect("it is there")..to.expect("it is there")];
    assert_eq!(breaking(&[(rpc, "")], ""), [Code::AcceptedUnreadable]);
    let (history, ..) = after(&["", ""]);
    let was = history.contract.as_ref().expect("it was recorded");
    assert_eq!(was.types.shape_of("shop.PlaceOrderRequest").expect("it is there").types().messages().count(), 1);
}

#[test]
fn a_change_of_meaning_can_be_accepted() {
    let (mut history, ..) = after(&["", ""]);
    let (descriptors, module) = crate::testing::module(&crate::testing::SHOP.replace("async: true ", ""));
    let found = findings(&history, &module, &descriptors);
    assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), [Code::AsyncFlipped]);
    assert!(accept(&found, &Subject::Event("shop.Orders.PlaceOrder".to_owned()), "no such event").is_empty());
    history.accepted = accept(&found, &Subject::Rpc("shop.Orders.PlaceOrder".to_owned()), "all callers wait anyway");
    assert_eq!(findings(&history, &module, &descriptors), []);
}

#[test]
fn what_was_accepted_is_accepted_once() {
    let (mut history, descriptors, module) = after(&["", ""]);
    let (others, flipped) = crate::testing::module(&crate::testing::SHOP.replace("async: true ", ""));
    let rpc = Subject::Rpc("shop.Orders.PlaceOrder".to_owned());
    for (descriptors, module) in [(&others, &flipped), (&descriptors, &module), (&others, &flipped)] {
        let found = findings(&history, module, descriptors);
        assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), [Code::AsyncFlipped]);
        history.accept(&accept(&found, &rpc, "nobody calls it"));
        assert_eq!(findings(&history, module, descriptors), []);
        history.record(module);
        assert_eq!(findings(&history, module, descriptors), [], "what was recorded is fine");
    }
    assert_eq!(history.accepted.len(), 2, "and what was accepted again is told once");
}

#[test]
fn an_event_that_came_back_is_not_removed_unseen() {
    let was = placed("");
    let (mut history, descriptors, module) = after(&[&was, ""]);
    let found = findings(&history, &module, &descriptors);
    history.accept(&accept(&found, &Subject::Event("order.placed".to_owned()), "never deployed"));
    for _ in 0..2 {
        history.record(&module);
        assert_eq!(findings(&history, &module, &descriptors), [], "it stays away");
    }
    history.record(&shop(&was).1);
    assert_eq!(findings(&history, &module, &descriptors).len(), 1, "streams may hold it again");
}

#[test]
fn callers_are_told_of_lost_routes_and_errors() {
    let (history, ..) = after(&["", ""]);
    let codes = |from: &str, to: &str| {
        let proto = crate::testing::SHOP.replace(from, to);
        assert_ne!(proto, crate::testing::SHOP, "{from} is there");
        let (descriptors, module) = crate::testing::module(&proto);
        findings(&history, &module, &descriptors).into_iter().map(|it| (it.code, it.message)).collect::<Vec<_>>()
    };
    let text = |it: &str| it.to_owned();
    assert_eq!(
        codes("OUT_OF_STOCK", "SOLD_OUT"),
        [(Code::ErrorCodeRemoved, text("error code `OUT_OF_STOCK` was removed"))]
    );
    assert_eq!(
        codes("retryable: true", ""),
        [(Code::ErrorCodeRemoved, text("error code `OUT_OF_STOCK` was retryable and is not retryable now"))]
    );
    let route = "(GetOrderReply) { option (potter.query) = { read_model: \"OrderReadModel\" }; }";
    let moved = "(GetOrderReply) { option (potter.query) = { read_model: \"OrderReadModel\" };
                 option (google.api.http) = { get: \"/orders/{id}\" }; }";
    let proto = crate::testing::SHOP.replace(route, moved);
    let (descriptors, module) = crate::testing::module(&format!("import \"google/api/annotations.proto\"; {proto}"));
    let found = findings(&history, &module, &descriptors);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(found.message, "rpc GetOrder is no longer served at `GET /api/v1/orders/{id}`");
}

#[test]
fn the_contract_is_judged_by_bufs_rules_and_stops_nothing() {
    let (history, ..) = after(&["", ""]);
    let proto =
        crate::testing::SHOP.replace("message PlaceOrderReply { string order_id = 1; }", "message PlaceOrderReply {}");
    let (descriptors, module) = crate::testing::module(&proto);
    let found = findings(&history, &module, &descriptors);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(found.code, Code::ContractWireBroken);
    assert!(!found.is_breaking());
    let text = found.diagnostic().to_string();
    assert!(
        text.contains("(FIELD_NO_DELETE: FILE, PACKAGE; FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED: WIRE_JSON, WIRE"),
        "{text}"
    );
}
