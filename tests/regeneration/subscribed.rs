//! Subscriptions to events of another module come, change and go.

use potter_gen::reconcile::{Action, Allowed};

use crate::project::{Project, action, first};

const SEED: &str = "src/application/billing_subscription.rs";

/// The other module's proto.
const BILLING: &str = r#"syntax = "proto3";
package billing;
import "potter/options.proto";
// Sends bills.
service Billing {
  option (potter.service) = { module_name: "billing" transport: "NATS" };
  // Pays one.
  rpc Pay(PayRequest) returns (Bill) { option (potter.command) = { aggregate: "Bill" }; }
}
message PayRequest { string bill_id = 1; }
message Bill { option (potter.aggregate) = {}; string bill_id = 1; string order_id = 2; }
// Somebody has paid.
message BillPaid { option (potter.event) = { event_type: "bill.paid" aggregate: "Bill" }; string order_id = 1; }
// Nobody will pay.
message BillLost { option (potter.event) = { event_type: "bill.lost" aggregate: "Bill" }; string order_id = 1; }
"#;

/// The shop over NATS.
fn shop() -> String {
    first().replace("transport: \"REST\"", "transport: [\"REST\", \"NATS\"]")
}

fn subscribed(events: &str) -> String {
    let subscribes = format!("\"NATS\"] subscribes: {{ module: \"billing\" events: [{events}] }}");
    shop().replace("\"NATS\"]", &subscribes).replace("package shop;", "package shop;\nimport \"billing.proto\";")
}

/// A project that subscribes to one event.
fn project() -> Project {
    let project = Project::new(&shop());
    project.write("proto/billing.proto", BILLING);
    project.update(&subscribed("\"BillPaid\""));
    project
}

/// What somebody has written into the seed.
fn written(project: &Project) {
    let refusal = "Err(Failure::unimplemented(\"bill.paid\"))";
    let mine = "// Mine.\n        Ok(vec![effects::cancel_order(&it(_event))])";
    project.edit(SEED, refusal, mine);
    project.edit(
        SEED,
        "use crate::generated::application::bill",
        "use crate::generated::application::effects;\nuse crate::generated::application::bill",
    );
}

#[test]
fn a_subscription_comes_without_an_edit_of_main() {
    let project = Project::new(&shop());
    project.edit("src/main.rs", "fn main", "// Mine.\nfn main");
    let main = project.text("src/main.rs");
    project.write("proto/billing.proto", BILLING);
    let plan = project.update(&subscribed("\"BillPaid\""));
    assert_eq!((action(&plan, SEED), plan.needs_a_person()), (Some(Action::Create), false));
    assert_eq!(project.text("src/main.rs"), main);
    assert!(project.text("src/generated/mod.rs").contains("billing_subscription::subscription()"));
    assert!(project.text("src/application/mod.rs").contains("mod billing_subscription;"));
    let check = project.check();
    assert!(check.findings.is_empty(), "{:?}", check.findings);
    assert!(
        check.unimplemented.iter().any(|it| it.path == SEED && it.name == "bill.paid"),
        "{:?}",
        check.unimplemented
    );
}

#[test]
fn a_further_event_is_merged_into_what_somebody_has_written() {
    let project = project();
    written(&project);
    let both = subscribed("\"BillPaid\", \"BillLost\"");
    project.write(crate::project::PROTO, &both);
    let plan = project.updated(Allowed { merge: true, ..Allowed::default() });
    assert_eq!(action(&plan, SEED), Some(Action::Merge));
    let seed = project.text(SEED);
    assert!(seed.contains("// Mine.") && seed.contains("fn bill_lost("), "{seed}");
    assert!(project.text("src/generated/application/billing_subscription.rs").contains("\"bill.lost\""));
}

#[test]
fn another_name_of_the_other_modules_message_is_followed() {
    let project = project();
    written(&project);
    project.write("proto/billing.proto", &BILLING.replace("BillPaid", "BillSettled"));
    let plan = project.update(&subscribed("\"bill.paid\""));
    assert_eq!((action(&plan, SEED), plan.needs_a_person()), (Some(Action::Follow), false));
    let seed = project.text(SEED);
    assert!(seed.contains("fn bill_settled(_event: BillSettled,") && seed.contains("// Mine."), "{seed}");
    assert!(seed.contains(".when(BillingSubscription::bill_settled)"), "{seed}");
    assert!(!seed.contains("BillPaid"), "{seed}");
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

#[test]
fn effects_follow_a_renamed_rpc() {
    let project = project();
    written(&project);
    let renamed = subscribed("\"BillPaid\"").replace("CancelOrder", "RevokeOrder").replacen(
        "option (potter.command) = { aggregate: \"Order\" };",
        "option (potter.command) = { aggregate: \"Order\" renamed_from: \"CancelOrder\" id: \"shop.cancel_order\" };",
        1,
    );
    project.update(&renamed);
    assert!(project.text(SEED).contains("effects::revoke_order(&it(_event))"), "{}", project.text(SEED));
    let effects = project.text("src/generated/application/effects.rs");
    assert!(effects.contains("fn revoke_order(") && effects.contains("\"shop.cancel_order\""), "{effects}");
}

#[test]
fn a_subscription_goes_and_what_somebody_wrote_stays() {
    let untouched = project();
    untouched.update(&shop());
    assert!(!untouched.has(SEED) && !untouched.has("src/generated/application/effects.rs"));
    let orphans: Vec<_> = untouched.check().findings.into_iter().map(|it| it.path).collect();
    assert_eq!(orphans, ["proto/billing.proto"], "nobody imports it any more");

    let project = project();
    written(&project);
    project.update(&shop());
    assert!(project.text(SEED).contains("// Mine."));
    assert!(!project.text("src/application/mod.rs").contains("billing_subscription"));
}
