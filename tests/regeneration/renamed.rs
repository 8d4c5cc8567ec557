//! The user's code follows when the proto calls the same thing by another name.

use potter_gen::reconcile::{Action, Allowed};
use potter_gen::update::{Answer, Plan, plan};

use crate::project::{PROTO, Project, RULES, action, first, proto};

const MINE: &str = "        // Mine: cancel_order.\n        let cancel_order = 1;\n        Err(OrderError::Unimplemented(\"cancel_order\"))";
const REFUSAL: &str = "        Err(OrderError::Unimplemented(\"cancel_order\"))";

fn revoked() -> String {
    first().replace("CancelOrder", "RevokeOrder").replace(
        "option (potter.command) = { aggregate: \"Order\" };",
        "option (potter.command) = { aggregate: \"Order\" renamed_from: \"CancelOrder\" id: \"shop.cancel_order\" };",
    )
}

#[test]
fn a_renamed_rpc_renames_the_users_method() {
    let project = Project::new(&first());
    project.edit(RULES, REFUSAL, MINE);
    let plan = project.update(&revoked());
    assert_eq!((action(&plan, RULES), plan.needs_a_person()), (Some(Action::Follow), false));
    let text = project.text(RULES);
    assert!(text.contains("fn revoke_order(") && text.contains("RevokeOrderRequest"), "{text}");
    assert!(text.contains("// Mine: cancel_order.\n        let cancel_order = 1;"), "only names of it change:\n{text}");
    assert!(text.contains("Unimplemented(\"revoke_order\")"), "{text}");
    assert!(!text.contains("fn cancel_order") && !text.contains("CancelOrderRequest"), "{text}");
    assert!(project.text("src/application/orders.rs").contains("fn revoke_order("));
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
    let before = project.tree();
    project.updated(Allowed::default());
    assert_eq!(project.tree(), before, "a name is followed once");
}

#[test]
fn a_former_name_that_nobody_knows_is_told_once() {
    let project = Project::new(&first());
    let told = |plan: &Plan| {
        let found = plan.warnings.iter().find(|it| it.code.as_str() == "P045");
        found.map(|it| (it.location.as_ref().map(|it| it.line), it.help.clone().unwrap_or_default()))
    };
    let plan = project.update(&revoked().replace("renamed_from: \"CancelOrder\"", "renamed_from: \"CancelOrdr\""));
    let (line, help) = told(&plan).expect("nobody knows it");
    assert!(line.is_some_and(|it| it > 0) && help.contains("did you mean `CancelOrder`?"), "{help}");
    assert_eq!(told(&project.updated(Allowed::default())), None, "it is there now");
    let other = Project::new(&first());
    assert_eq!(told(&other.update(&revoked())), None);
}

#[test]
fn a_name_that_was_declined_is_followed_the_next_time() {
    for (renamed, old, new) in [
        (revoked(), RULES, RULES),
        (first().replace("OrderLine", "OrderRow"), "src/application/order_line.rs", "src/application/order_row.rs"),
    ] {
        let project = Project::new(&first());
        project.write(old, &(project.text(old) + "\n// Mine.\n"));
        let mine = project.text(old);
        project.write(PROTO, &renamed);
        let mut plan = plan(&project.request()).expect("a plan");
        assert!(plan.ask(|step| if step.path == new { Answer::No } else { Answer::Yes }).expect("files can be read"));
        plan.carry_out().expect("carried out");
        assert_eq!(project.text(old), mine, "declined");
        let plan = project.updated(Allowed::default());
        assert_eq!(action(&plan, new), Some(Action::Follow), "asked again");
        assert!(project.text(new).contains("// Mine.") && project.text(new) != mine);
        assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
    }
}

#[test]
fn a_renamed_event_is_followed_in_every_file_of_the_user() {
    let project = Project::new(&first());
    project.edit(RULES, REFUSAL, MINE);
    project.write("src/domain/price.rs", "// OrderPlaced\npub fn price(_: &crate::OrderPlaced) {}\n");
    let plan = project.update(&first().replace("OrderPlaced", "OrderAccepted"));
    assert_eq!(action(&plan, "src/domain/price.rs"), Some(Action::Follow));
    assert_eq!(project.text("src/domain/price.rs"), "// OrderPlaced\npub fn price(_: &crate::OrderAccepted) {}\n");
    let rules = project.text(RULES);
    assert!(rules.contains("OrderEvent::OrderAccepted(it)") && rules.contains("// Mine"), "{rules}");
    assert!(!rules.contains("OrderPlaced"), "{rules}");
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

#[test]
fn rules_that_the_user_moved_to_another_file_follow_there() {
    let project = Project::new(&first());
    let moved = "use super::order::*;\n\nimpl OrderDecider for Order {\n    fn cancel_order(&self, _: CancelOrderRequest) {}\n}\n\n\
                 fn again(order: &Order, kept: &mut Vec<u8>) {\n    order.cancel_order(CancelOrderRequest {});\n    \
                 kept.cancel_order(1);\n}\n";
    project.write("src/domain/order_rules.rs", moved);
    let plan = project.update(&revoked());
    assert_eq!(action(&plan, "src/domain/order_rules.rs"), Some(Action::Follow));
    let expected = moved.replace("CancelOrder", "RevokeOrder").replace("fn cancel_order", "fn revoke_order");
    let expected = expected.replace("order.cancel_order", "order.revoke_order");
    assert_eq!(project.text("src/domain/order_rules.rs"), expected, "a method of another type stays");
}

#[test]
fn a_file_tells_what_was_renamed_in_it_alone() {
    let project = Project::new(&first());
    project.edit(RULES, REFUSAL, MINE);
    project.write("src/domain/price.rs", "pub fn price(_: &crate::OrderPlaced) {}\n");
    let plan = project.update(&revoked().replace("OrderPlaced", "OrderAccepted"));
    let reason = |path: &str| plan.steps.iter().find(|it| it.path == path).map(|it| it.reason.as_str());
    assert_eq!(reason("src/domain/price.rs"), Some("OrderPlaced is OrderAccepted"));
    let rules = reason(RULES).expect("the rules follow");
    for part in ["OrderPlaced is OrderAccepted", "CancelOrderRequest is RevokeOrderRequest"] {
        assert!(rules.contains(part), "{rules}");
    }
    assert!(!rules.contains("CancelOrderReply"), "it isn't in the rules: {rules}");
}

const THEIRS: &str = "//! Mine.

enum Kind {
    OrderPlaced,
}

mod inner {
    pub struct OrderPlaced;
}

fn stack(kept: &mut Vec<u8>) -> (Kind, inner::OrderPlaced) {
    struct OrderPlaced;
    let _ = OrderPlaced;
    kept.cancel_order(1);
    (Kind::OrderPlaced, inner::OrderPlaced)
}
";

#[test]
fn names_and_methods_that_are_the_users_own_stay() {
    let project = Project::new(&first());
    project.write("src/domain/stack.rs", THEIRS);
    project.write(RULES, &(project.text(RULES) + THEIRS.trim_start_matches("//! Mine.\n")));
    project.update(&revoked().replace("OrderPlaced", "OrderAccepted"));
    assert_eq!(project.text("src/domain/stack.rs"), THEIRS);
    let rules = project.text(RULES);
    assert!(rules.ends_with(THEIRS.trim_start_matches("//! Mine.\n")), "{rules}");
    assert!(rules.contains("fn revoke_order(") && rules.contains("OrderEvent::OrderAccepted(it)"), "{rules}");
}

#[test]
fn a_renamed_read_model_moves_its_file() {
    let project = Project::new(&first());
    let old = "src/application/order_line.rs";
    project.write(old, &(project.text(old) + "\n// Mine.\n"));
    let plan = project.update(&first().replace("OrderLine", "OrderRow"));
    let new = "src/application/order_row.rs";
    assert_eq!(action(&plan, new), Some(Action::Follow));
    assert!(!project.has(old));
    let text = project.text(new);
    assert!(text.contains("Mine.") && text.contains("impl OrderRowProjection for OrderRow"), "{text}");
    assert!(project.text("src/application/mod.rs").contains("mod order_row;"));
    let migration = project.text(&project.migration("0002_orders_"));
    assert!(migration.contains("'OrderLine'") && migration.contains("'OrderRow'"), "{migration}");
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

#[test]
fn a_file_of_the_users_is_not_renamed_over() {
    let (old, new) = ("src/application/order_line.rs", "src/application/order_row.rs");
    for was_changed in [true, false] {
        let project = Project::new(&first());
        if was_changed {
            project.write(old, &(project.text(old) + "\n// Mine.\n"));
        }
        project.write(new, "// Mine, and it was here before.\n");
        let plan = project.update(&first().replace("OrderLine", "OrderRow"));
        assert_eq!((action(&plan, new), plan.needs_a_person()), (Some(Action::SetAside), true));
        assert_eq!(project.text(new), "// Mine, and it was here before.\n");
        assert!(project.has(".potter/pending/src/application/order_row.rs"));
        assert_eq!(project.has(old), was_changed, "what somebody changed stays");
    }
}

#[test]
fn a_renamed_aggregate_keeps_its_name_and_its_rules() {
    let project = Project::new(&first());
    project.edit(RULES, REFUSAL, MINE);
    let renamed = first().replace(
        "message Order { option (potter.aggregate) = {};",
        "message Purchase { option (potter.aggregate) = { name: \"Order\" };",
    );
    let plan = project.update(&renamed);
    assert_eq!((action(&plan, RULES), plan.needs_a_person()), (Some(Action::Follow), false));
    let rules = project.text(RULES);
    assert!(rules.contains("impl OrderDecider for Purchase {") && rules.contains("// Mine"), "{rules}");
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

/// A proto in which names tell what happens: an order is returned, and its note changed.
fn told_by_names() -> String {
    proto(
        "rpc ReturnOrder(ReturnOrderRequest) returns (ReturnOrderReply) {
           option (potter.command) = { aggregate: \"Order\" };
         }",
        "message ReturnOrderRequest { string order_id = 1; }
         message ReturnOrderReply { string order_id = 1; }
         message OrderReturned {
           option (potter.event) = { event_type: \"order.returned\" aggregate: \"Order\" };
           string order_id = 1;
         }",
    )
    .replace(
        "string order_id = 1; string note = 2; }\nmessage OrderPlaced",
        "string order_id = 1; string note = 2; bool returned = 3; }\nmessage OrderPlaced",
    )
}

#[test]
fn a_renamed_event_is_still_understood_by_its_type() {
    let project = Project::new(&told_by_names());
    let before = project.text(RULES);
    assert!(before.contains("OrderEvent::OrderReturned(_) => self.returned = true,"), "{before}");
    let plan = project.update(&told_by_names().replace("OrderReturned", "GoodsCameBack"));
    assert_eq!((action(&plan, RULES), plan.needs_a_person()), (Some(Action::Replace), false));
    let after = project.text(RULES);
    assert!(after.contains("OrderEvent::GoodsCameBack(_) => self.returned = true,"), "{after}");
    assert!(after.contains("Ok(events![GoodsCameBack {"), "{after}");
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

#[test]
fn a_renamed_rpc_still_records_what_its_former_name_told() {
    let project = Project::new(&told_by_names());
    let renamed = told_by_names().replace("ReturnOrder", "AcceptBack").replace(
        "rpc AcceptBack(AcceptBackRequest) returns (AcceptBackReply) {
           option (potter.command) = { aggregate: \"Order\" };",
        "rpc AcceptBack(AcceptBackRequest) returns (AcceptBackReply) {
           option (potter.command) = { aggregate: \"Order\" renamed_from: \"ReturnOrder\" id: \"shop.return_order\" };",
    );
    let plan = project.update(&renamed);
    assert_eq!((action(&plan, RULES), plan.needs_a_person()), (Some(Action::Replace), false));
    assert!(project.text(RULES).contains("fn accept_back("));
    assert!(project.text(RULES).contains("Ok(events![OrderReturned {"), "{}", project.text(RULES));
}

#[test]
fn what_the_names_no_longer_tell_stays_and_everything_else_is_new() {
    for was_changed in [false, true] {
        let project = Project::new(&told_by_names());
        if was_changed {
            project.edit(RULES, "//! ", "//! Mine. ");
        }
        let renamed = told_by_names().replace("bool returned = 3", "bool is_back = 3");
        let with_more = renamed.replace("OrderReturned", "GoodsCameBack").replace(
            "rpc CancelOrder(",
            "rpc CloseOrder(CloseOrderRequest) returns (CloseOrderReply) { option (potter.command) = { aggregate: \"Order\" }; }
             rpc CancelOrder(",
        ) + "message CloseOrderRequest { string order_id = 1; } message CloseOrderReply { string order_id = 1; }";
        project.write(PROTO, &with_more);
        let plan = project.updated(Allowed { merge: was_changed, ..Allowed::default() });
        let step = plan.steps.iter().find(|it| it.path == RULES).expect("it is written");
        assert!(
            step.reason.contains("no longer tell Order.is_back in evolve at GoodsCameBack: it stays"),
            "{}",
            step.reason
        );
        let rules = project.text(RULES);
        assert!(rules.contains("OrderEvent::GoodsCameBack(_) => self.is_back = true,"), "{rules}");
        assert!(rules.contains("fn close_order(") && rules.contains("Mine.") == was_changed, "{rules}");
        assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
        let before = project.tree();
        assert!(!project.updated(Allowed::default()).needs_a_person());
        assert_eq!(project.tree(), before, "it is recalled once");
        project.update(&with_more.replace("bool is_back = 3;", ""));
        let rules = project.text(RULES);
        assert!(was_changed || rules.contains("OrderEvent::GoodsCameBack(_) => {}"), "what is gone goes:\n{rules}");
    }
}

#[test]
fn a_field_that_nobody_tells_the_value_of_costs_no_answer() {
    let project = Project::new(&told_by_names());
    let answer = "Ok(events![OrderReturned {";
    assert!(project.text(RULES).contains(answer), "{}", project.text(RULES));
    let event = "option (potter.event) = { event_type: \"order.returned\" aggregate: \"Order\" };
           string order_id = 1;";
    assert!(told_by_names().contains(event));
    let plan = project.update(&told_by_names().replace(event, &format!("{event} string reason = 2;")));
    assert!(!plan.needs_a_person());
    assert!(project.text(RULES).contains(answer), "the compiler names the field:\n{}", project.text(RULES));
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

/// A proto whose orders have lines, which nothing but fields knows.
fn with_lines(version: u32, event: &str) -> String {
    let lines = "message Line { string sku = 1; Kind kind = 2; oneof price { uint32 cents = 3; string free = 4; } }
                 enum Kind { KIND_UNSPECIFIED = 0; KIND_GIFT = 1; }\n";
    let event = format!("repeated Line lines = 3; {event}");
    proto("", lines)
        .replace(
            "string note = 2; }\nmessage OrderPlaced",
            "string note = 2; repeated Line lines = 3; }\nmessage OrderPlaced",
        )
        .replace(
            "aggregate: \"Order\" };\n  string order_id = 1;\n  string note = 2;",
            &format!("aggregate: \"Order\" version: {version} }};\n  string order_id = 1;\n  {event}"),
        )
        .replace(
            "message PlaceOrderRequest { string note = 1;",
            "message PlaceOrderRequest { string note = 1; map<string, Line> lines = 2;",
        )
}

const PRICES: &str = "use crate::generated::messages::{self, Kind, Line, line};

pub fn price(it: &Line) -> u32 {
    match (it.kind(), &it.price) {
        (Kind::Gift, _) | (_, None) => 0,
        (_, Some(line::Price::Cents(it))) => *it,
        (_, Some(messages::line::Price::Free(why))) => why.len() as u32,
    }
}
";

const LINES_UPCASTER: &str = "use crate::generated::domain::history::order_placed;

impl order_placed::OrderPlacedV1ToV2 for Order {
    fn upcast(event: order_placed::v1::OrderPlaced) -> order_placed::v2::OrderPlaced {
        let line = |it: order_placed::v1::Line| order_placed::v2::Line { sku: it.sku, ..it.into() };
        order_placed::v2::OrderPlaced { lines: event.lines.into_iter().map(line).collect(), remark: event.note }
    }
}
";

#[test]
fn a_renamed_type_of_fields_is_followed_in_the_users_files() {
    let project = Project::new(&with_lines(1, "string note = 2;"));
    let second = with_lines(2, "string remark = 2;");
    project.write("src/domain/price.rs", PRICES);
    project.write("src/domain/upcasters.rs", LINES_UPCASTER);
    project.update(&second);
    let renamed = second.replace("Line ", "Row ").replace("Line>", "Row>").replace("Kind ", "Sort ");
    assert!(renamed.contains("message Row {") && renamed.contains("enum Sort {"), "{renamed}");
    let plan = project.update(
        &renamed.replace("message OrderPlaced", "message OrderSubmitted").replace("\"OrderPlaced", "\"OrderSubmitted"),
    );
    assert_eq!(action(&plan, "src/domain/price.rs"), Some(Action::Follow));
    let prices = PRICES
        .replace("Kind::Gift", "Sort::KindGift")
        .replace("Kind, Line, line", "Sort, Row, row")
        .replace("&Line", "&Row")
        .replace("line::Price", "row::Price");
    assert_eq!(project.text("src/domain/price.rs"), prices);
    let upcaster = LINES_UPCASTER.replace("v2::Line", "v2::Row").replace("::OrderPlaced", "::OrderSubmitted");
    let upcaster = upcaster.replace("order_placed::OrderSubmittedV1", "order_placed::OrderPlacedV1");
    assert_eq!(project.text("src/domain/upcasters.rs"), upcaster, "version 1 is what it was");
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

#[test]
fn a_version_keeps_the_type_that_it_had_when_the_next_one_calls_it_otherwise() {
    let project = Project::new(&with_lines(1, "string note = 2;"));
    project.update(&with_lines(2, "string remark = 2;"));
    project.write("src/domain/upcasters.rs", LINES_UPCASTER);
    project.update(&with_lines(3, "int32 remark = 2;").replace("Line ", "Row ").replace("Line>", "Row>"));
    assert_eq!(project.text("src/domain/upcasters.rs"), LINES_UPCASTER);
    let past = project.text("src/generated/domain/history/order_placed.rs");
    assert!(past.contains("impl From<v2::Line> for v3::Row"), "{past}");
}

#[test]
fn a_type_is_not_followed_where_it_could_be_another() {
    let before = with_lines(1, "string note = 2;");
    let all = before.replace("Line ", "Row ").replace("Line>", "Row>");
    let still = "message Line { string sku = 1; }\n";
    let two =
        all.replace("map<string, Row>", "map<string, Cell>").replace("message Row", "message Cell {}\nmessage Row");
    for (now, why) in [
        (before.replace("map<string, Line>", "map<string, Row>") + "message Row {}\n", "one field has it still"),
        (all.clone() + still, "it is there still"),
        (two, "its fields have two types now"),
    ] {
        let project = Project::new(&before);
        project.write("src/domain/price.rs", PRICES);
        project.update(&now);
        assert_eq!(project.text("src/domain/price.rs"), PRICES, "{why}");
    }
    let project = Project::new(&(before.clone() + "message Cell { Row row = 1; }\nmessage Row {}\n"));
    project.write("src/domain/price.rs", PRICES);
    project.update(&before.replace("message Line", "message Row").replace(" Line ", " Row ").replace("Line>", "Row>"));
    assert_eq!(project.text("src/domain/price.rs"), PRICES, "the new name was there before");
}

#[test]
fn a_field_that_is_renamed_everywhere_needs_no_memory() {
    let project = Project::new(&first());
    let renamed = [1, 2].iter().fold(first(), |proto, number| {
        let named = format!("string remark = {number} [json_name = \"note\"];");
        proto.replace(&format!("string note = {number};"), &named)
    });
    let plan = project.update(&renamed);
    let step = plan.steps.iter().find(|it| it.path == RULES).expect("it is written");
    assert!(!step.recalled && step.action == Action::Replace, "{}", step.reason);
    let rules = project.text(RULES);
    assert!(rules.contains("self.remark = it.remark") && !rules.contains("note"), "{rules}");
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}
