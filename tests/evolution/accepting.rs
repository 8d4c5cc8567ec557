//! What stops a run, and how a person lets it go on.

use potter_gen::{
    accept::{Error, Request, accept},
    history::Subject,
};

use crate::project::{Project, placed, proto, proto_with, refusal};

fn accepting(project: &Project, subject: Subject, reason: &str) -> Result<usize, Error> {
    let request = Request { output: project.root(), subject, reason: reason.to_owned() };
    accept(&request).map(|it| it.len())
}

fn order_placed() -> Subject {
    Subject::Event("order.placed".to_owned())
}

/// Accepts what changed in `order.placed`.
pub fn accept_order_placed(project: &Project) {
    accepting(project, order_placed(), "nobody wrote a note").expect("there is something to accept");
}

#[test]
fn the_lock_remembers_every_shape_of_an_event() {
    let project = Project::new(&proto(&placed(1, "")));
    project.update(&proto(&placed(1, "string note = 2;"))).expect("additions are fine");
    project.update(&proto(&placed(1, "string note = 2;"))).expect("nothing changed");
    let history = project.lock().history;
    assert_eq!(history.events["order.placed"].shapes.len(), 2);
    assert!(history.contract.is_some_and(|it| it.rpcs.contains_key("shop.Orders.PlaceOrder")));
}

#[test]
fn a_breaking_change_is_located_and_writes_nothing() {
    let project = Project::new(&proto(&placed(1, "string note = 2;")));
    let before = (project.text("potter.lock"), project.text("src/generated/messages/shop.rs"));
    let told = refusal(project.update(&proto(&placed(1, ""))));
    assert!(told.contains("proto/shop.proto:16:9: error[P200]"), "{told}");
    assert!(told.contains("raise the event's version: `version: 2`"), "{told}");
    assert!(told.contains("keep the field: `string note = 2;`"), "{told}");
    assert!(told.contains("potter-gen accept --event order.placed --reason"), "{told}");
    assert_eq!(before, (project.text("potter.lock"), project.text("src/generated/messages/shop.rs")));
}

#[test]
fn what_was_accepted_goes_on_and_is_remembered_with_its_reason() {
    let project = Project::new(&proto(&placed(1, "string note = 2;")));
    let changed = proto(&placed(1, ""));
    refusal(project.update(&changed));
    assert_eq!(accepting(&project, order_placed(), " nobody wrote a note ").expect("it is accepted"), 1);
    project.update(&changed).expect("what was accepted is fine");
    let history = project.lock().history;
    assert_eq!(history.accepted[0].reason, "nobody wrote a note");
    assert_eq!(history.events["order.placed"].shapes.len(), 2, "the shape that was given up is not forgotten");
}

#[test]
fn a_command_that_means_something_else_stops_too() {
    let project = Project::new(&proto_with("idempotent: true", &placed(1, "")));
    let changed = proto_with("async: true", &placed(1, ""));
    let told = refusal(project.update(&changed));
    assert!(told.contains("error[P221]") && told.contains("error[P222]"), "{told}");
    let rpc = Subject::Rpc("shop.Orders.PlaceOrder".to_owned());
    accepting(&project, rpc, "all callers were told").expect("it is accepted");
    project.update(&changed).expect("what was accepted is fine");
}

#[test]
fn a_change_of_the_published_contract_is_only_told() {
    let project = Project::new(&proto(&placed(1, "")));
    let changed = proto(&placed(1, ""))
        .replace("message PlaceOrderRequest { string note = 1; }", "message PlaceOrderRequest { }");
    let report = project.update(&changed).expect("callers may be broken, events not");
    assert!(report.warnings.to_string().contains("FIELD_NO_DELETE: FILE, PACKAGE"), "{}", report.warnings);
}

#[test]
fn there_must_be_something_to_accept_and_a_reason() {
    let project = Project::new(&proto(&placed(1, "string note = 2;")));
    let told = |subject, reason| accepting(&project, subject, reason).expect_err("it is refused").to_string();
    assert!(told(order_placed(), "why not").contains("nothing in the protos breaks"));
    refusal(project.update(&proto(&placed(1, ""))));
    assert!(told(order_placed(), " ").contains("--reason is empty"));
    let typo = told(Subject::Event("order.plced".to_owned()), "a typo");
    assert!(typo.contains("did you mean `order.placed`?"), "{typo}");
}

#[test]
fn a_lock_that_git_left_in_conflict_loses_nothing() {
    let [ours, theirs] = [(); 2].map(|()| Project::new(&proto(&placed(1, ""))));
    ours.update(&proto(&placed(1, "string note = 2;"))).expect("additions are fine");
    let code = proto(&placed(1, "int32 code = 2;"));
    theirs.update(&code).expect("additions are fine");
    let (our_lock, their_lock) = (ours.text("potter.lock"), theirs.text("potter.lock"));
    let conflict = format!("<<<<<<< HEAD\n{our_lock}=======\n{their_lock}>>>>>>> topic\n");
    std::fs::write(ours.root().join("potter.lock"), conflict).expect("a writable folder");
    let told = refusal(ours.update(&code));
    assert!(told.contains("error[P202]") || told.contains("error[P201]"), "our branch recorded notes: {told}");
}
