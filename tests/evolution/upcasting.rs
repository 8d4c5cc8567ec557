//! A raised version: what its former versions were, and how they are read.

use crate::project::{Project, placed, proto};

const PLACED: &str = "src/generated/domain/history/order_placed.rs";
const REPLAY: &str = "src/generated/domain/history/replay.rs";

/// A project that has seen these days, the last of them now.
fn after(days: &[String]) -> Project {
    let (first, others) = days.split_first().expect("there is a day");
    let project = Project::new(first);
    for day in others {
        project.update(day).unwrap_or_else(|error| panic!("this change is right:\n{error}\n{day}"));
    }
    project
}

fn fixtures(project: &Project) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(project.root().join("tests/fixtures")) else { return Vec::new() };
    let mut names: Vec<_> =
        folder.map(|it| it.expect("a readable entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_service_without_a_past_has_nothing_of_it() {
    let project = after(&[proto(&placed(1, ""))]);
    assert!(!project.root().join("src/generated/domain/history").exists());
    assert_eq!(fixtures(&project), Vec::<String>::new());
}

#[test]
fn a_hop_of_mere_additions_is_derived() {
    let project = after(&[proto(&placed(1, "")), proto(&placed(2, "string note = 2;"))]);
    let text = project.text(PLACED);
    assert!(text.contains("impl From<v1::OrderPlaced> for v2::OrderPlaced"), "{text}");
    assert!(!text.contains("pub trait"), "nobody has to write it:\n{text}");
    assert!(project.text("src/generated/domain/order.rs").contains("history::order_placed::from_v1(payload)"));
}

#[test]
fn any_other_hop_is_a_trait_whose_lack_is_told_by_name() {
    let project = after(&[proto(&placed(1, "string note = 2;")), proto(&placed(2, "string remark = 2;"))]);
    let text = project.text(PLACED);
    assert!(text.contains("pub trait OrderPlacedV1ToV2"), "{text}");
    assert!(text.contains("`OrderPlacedV1ToV2` is missing"), "{text}");
    assert!(text.contains("/// - `string note = 2` is `string remark = 2`"), "{text}");
    assert!(text.contains("pub note: "), "version 1 as it was:\n{text}");
    assert!(!text.contains("impl OrderPlacedV1ToV2 for Order {\n    fn"), "data is never invented:\n{text}");
}

#[test]
fn the_note_holds_what_is_to_be_written() {
    let project = after(&[proto(&placed(1, "string note = 2;")), proto(&placed(2, "string remark = 2;"))]);
    let text = project.text(PLACED);
    let signature = "fn upcast(event: order_placed::v1::OrderPlaced) -> order_placed::v2::OrderPlaced {";
    let doc = format!(
        "/// use crate::generated::domain::history::order_placed;\n///\n\
         /// impl order_placed::OrderPlacedV1ToV2 for Order {{\n///     {signature}\n"
    );
    assert!(text.contains(&doc), "{text}");
    assert!(text.contains("\"with `use crate::generated::domain::history::order_placed;`\""), "{text}");
    let note =
        format!("write `impl order_placed::OrderPlacedV1ToV2 for Order {{ {signature} … }} }}` in src/domain/order.rs");
    assert!(text.contains(&note.replace('{', "{{").replace('}', "}}")), "{text}");
}

#[test]
fn a_oneof_that_only_adds_converts_itself() {
    let event = |version: u32, fields: &str, labels: &str| {
        let place = "message Place { string city = 1; } message Label { string text = 1; }\n";
        placed(version, fields) + &place.replace("string text = 1;", labels)
    };
    let oneofs = "oneof to { string box = 3; Place place = 4; } oneof by { string clerk = 5; Label label = 6; }
                  oneof gone { string left = 7; string right = 8; }";
    let then =
        "oneof to { string box = 3; Place place = 4; bool lost = 9; } oneof by { string clerk = 5; Label label = 6; }
                oneof gone { string left = 7; }";
    let days = [
        proto(&event(1, &format!("string note = 2; {oneofs}"), "string text = 1;")),
        proto(&event(2, &format!("string remark = 2; {then}"), "string title = 1;")),
    ];
    let text = after(&days).text(PLACED);
    let (from, to) = ("v1::order_placed::To", "v2::order_placed::To");
    assert!(text.contains(&format!("impl From<{from}> for {to}")), "{text}");
    assert!(text.contains(&format!("{from}::Box(it) => Self::Box(it),")), "{text}");
    assert!(text.contains(&format!("{from}::Place(it) => Self::Place(it.into()),")), "{text}");
    assert!(!text.contains("for v2::order_placed::By"), "its label says something else now:\n{text}");
    assert!(!text.contains("for v2::order_placed::Gone"), "a part of it is gone:\n{text}");
    let derived = [
        proto(&event(1, oneofs, "string text = 1;")),
        proto(&event(2, &format!("{oneofs} bool late = 9;"), "string text = 1;")),
    ];
    let text = after(&derived).text(PLACED);
    assert!(text.contains("impl From<v1::OrderPlaced> for v2::OrderPlaced") && !text.contains("pub trait"), "{text}");
    assert!(!text.contains("for v2::order_placed::To"), "nobody needs it:\n{text}");
}

#[test]
fn a_type_that_is_called_otherwise_is_the_same_type() {
    let event = |version: u32, line: &str, kind: &str, fields: &str| {
        format!(
            "{}message {line} {{ {kind} kind = 1; }} enum {kind} {{ KIND_UNSPECIFIED = 0; }}\n",
            placed(version, &format!("repeated {line} lines = 3; {fields}"))
        )
    };
    let mere = [proto(&event(1, "Line", "Kind", "")), proto(&event(2, "Row", "Sort", "string note = 2;"))];
    let text = after(&mere).text(PLACED);
    assert!(text.contains("impl From<v1::Line> for v2::Row") && !text.contains("pub trait"), "{text}");
    let written =
        [proto(&event(1, "Line", "Kind", "string note = 2;")), proto(&event(2, "Row", "Sort", "string remark = 2;"))];
    let text = after(&written).text(PLACED);
    assert!(text.contains("impl From<v1::Line> for v2::Row") && text.contains("pub trait"), "{text}");
    assert!(!text.contains("/// - `repeated"), "nothing is to be done about it:\n{text}");
}

#[test]
fn hops_are_chained_and_keep_their_names_when_the_next_comes() {
    let days = [
        proto(&placed(1, "string note = 2;")),
        proto(&placed(2, "string remark = 2;")),
        proto(&placed(3, "string remark = 2; int32 code = 3;")),
        proto(&placed(5, "repeated string remarks = 4;")),
    ];
    let second = after(&days[..2]).text(PLACED);
    let project = after(&days);
    let text = project.text(PLACED);
    let signature = "fn upcast(event: v1::OrderPlaced) -> v2::OrderPlaced;";
    assert!(second.contains(signature) && text.contains(signature), "what was written once stays right");
    assert!(text.contains("pub trait OrderPlacedV3ToV5"), "versions that never were have no hop:\n{text}");
    let reader = text.split("pub fn from_v1").nth(1).and_then(|it| it.split("pub fn").next()).expect("a reader");
    let steps = [
        "v1::OrderPlaced::decode",
        "OrderPlacedV1ToV2>::upcast",
        "v3::OrderPlaced::from",
        "OrderPlacedV3ToV5>::upcast",
    ];
    let places: Vec<_> =
        steps.iter().map(|step| reader.find(step).unwrap_or_else(|| panic!("{step}:\n{reader}"))).collect();
    assert!(places.is_sorted(), "{reader}");
    assert!(text.contains("pub fn from_v2") && text.contains("v3::OrderPlaced::decode(payload)?"), "{text}");
}

#[test]
fn every_former_shape_has_a_fixture_that_stays() {
    let days = [proto(&placed(1, "")), proto(&placed(1, "string note = 2;")), proto(&placed(2, "string remark = 2;"))];
    let project = after(&days);
    let first = fixtures(&project);
    assert_eq!(first.len(), 2, "both shapes of version 1: {first:?}");
    let test = project.text(REPLAY);
    assert!(first.iter().all(|name| test.contains(name)), "{test}");
    let text = project.text(&format!("tests/fixtures/{}", first[0]));
    project.update(&proto(&placed(3, "int32 code = 3;"))).expect("it is right");
    let then = fixtures(&project);
    assert!(then.len() == 3 && first.iter().all(|it| then.contains(it)), "{then:?}");
    assert_eq!(project.text(&format!("tests/fixtures/{}", first[0])), text);
}

#[test]
fn a_shape_that_was_given_up_is_no_longer_replayed() {
    let project =
        after(&[proto(&placed(1, "string note = 2;")), proto(&placed(1, "string note = 2; int32 code = 3;"))]);
    let changed = proto(&placed(1, "int32 note = 2; int32 code = 3;"));
    crate::project::refusal(project.update(&changed));
    crate::accepting::accept_order_placed(&project);
    project.update(&changed).expect("what was accepted is fine");
    assert!(!project.root().join(REPLAY).exists(), "nothing else is left to read");
    assert_eq!(fixtures(&project).len(), 1, "but the fixture stays");
}

#[test]
fn a_retired_event_is_read_and_no_longer_made() {
    let retired = placed(1, "").replace("version: 1", "version: 1 retired: true");
    let project = after(&[proto(&placed(1, "")), proto(&retired)]);
    let text = project.text("src/generated/domain/order.rs");
    assert!(text.contains("(\"order.placed\", 1) => "), "{text}");
    assert!(!text.contains("impl From<OrderPlaced> for OrderEvent"), "{text}");
}

#[test]
fn a_state_of_another_shape_has_another_schema() {
    let schema = |project: &Project| {
        let text = project.text("src/generated/domain/order.rs");
        text.lines().find(|it| it.contains("const SCHEMA")).map(str::to_owned).expect("an aggregate has a schema")
    };
    let project = after(&[proto(&placed(1, ""))]);
    let before = schema(&project);
    project.update(&proto(&placed(1, "string note = 2;"))).expect("it is right");
    assert_eq!(schema(&project), before, "events are not part of a snapshot");
    let other =
        proto(&placed(1, "string note = 2;")).replace("string note = 2; }", "string note = 2; int32 count = 3; }");
    project.update(&other).expect("it is right");
    assert_ne!(schema(&project), before);
}

#[test]
fn names_that_are_rusts_own_make_a_past_too() {
    let event = |version: u32, fields: &str| {
        format!(
            "message Type {{
               option (potter.event) = {{ event_type: \"a {{b}}/\\\"c\\\"\" aggregate: \"Order\" version: {version} }};
               message Self {{ string fn = 1; }}
               enum Kind {{ KIND_UNSPECIFIED = 0; KIND_SELF = 1; }}
               {fields}
             }}\n"
        )
    };
    let was =
        event(1, "Self self = 1; Kind kind = 2; map<string, Self> map = 3; oneof type { string a = 4; Self b = 5; }");
    let project = after(&[proto(&was), proto(&event(2, "optional Kind kind = 2;"))]);
    let text = project.text("src/generated/domain/history/a_b_c.rs");
    assert!(text.contains("pub trait ABCV1ToV2"), "{text}");
    assert!(text.contains("a {{b}}/\\\"c\\\""), "braces in a message of the compiler are doubled:\n{text}");
    assert_eq!(fixtures(&project).len(), 1);
}

#[test]
fn upcasters_of_one_file_follow_when_a_message_is_renamed() {
    let noted = |version: u32, fields: &str| {
        placed(version, fields).replace("OrderPlaced", "OrderNoted").replace("order.placed", "order.noted")
    };
    let raised = placed(2, "string remark = 2;") + &noted(2, "string remark = 2;");
    let project = after(&[proto(&(placed(1, "string note = 2;") + &noted(1, "string note = 2;"))), proto(&raised)]);
    let upcaster = |module: &str, name: &str, ident: &str| {
        format!(
            "impl {module}::{name}V1ToV2 for Order {{\n    \
             fn upcast(event: {module}::v1::{ident}) -> {module}::v2::{ident} {{\n        \
             {module}::v2::{ident} {{ order_id: event.order_id, remark: event.note }}\n    }}\n}}\n"
        )
    };
    let both = |placed: &str| {
        format!(
            "use crate::generated::domain::history::{{order_noted, order_placed}};\n{}{}",
            upcaster("order_placed", "OrderPlaced", placed),
            upcaster("order_noted", "OrderNoted", "OrderNoted")
        )
    };
    let path = project.root().join("src/domain/upcasters.rs");
    std::fs::write(&path, both("OrderPlaced")).expect("a writable folder");
    project.update(&proto(&raised.replace("message OrderPlaced", "message OrderSubmitted"))).expect("it is right");
    assert_eq!(project.text("src/domain/upcasters.rs"), both("OrderSubmitted"));
}

#[test]
fn an_upcaster_follows_when_the_message_is_renamed() {
    let raised = placed(2, "string remark = 2;");
    let project = after(&[proto(&placed(1, "string note = 2;")), proto(&raised)]);
    let upcaster = "use crate::generated::domain::history::order_placed::{OrderPlacedV1ToV2, v1, v2};\n\
                    impl OrderPlacedV1ToV2 for Order {\n    \
                    fn upcast(event: v1::OrderPlaced) -> v2::OrderPlaced {\n        \
                    v2::OrderPlaced { order_id: event.order_id, remark: event.note }\n    }\n}\n";
    let path = project.root().join("src/domain/upcasters.rs");
    std::fs::write(&path, upcaster).expect("a writable folder");
    project.update(&proto(&raised.replace("message OrderPlaced", "message OrderSubmitted"))).expect("it is right");
    let followed = upcaster.replace("::OrderPlaced", "::OrderSubmitted");
    assert_eq!(project.text("src/domain/upcasters.rs"), followed);
    let text = project.text(PLACED);
    assert!(text.contains("fn upcast(event: v1::OrderSubmitted) -> v2::OrderSubmitted;"), "{text}");
    assert!(text.contains("pub trait OrderPlacedV1ToV2") && text.contains("pub struct OrderSubmitted"), "{text}");
}
