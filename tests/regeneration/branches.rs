//! Two branches, each regenerated for itself, are merged by git; then comes `update`.

use std::process::Command;

use potter_gen::lock::{Hash, Lock};
use potter_gen::reconcile::{Action, Allowed};

use crate::project::{PROTO, Project, RULES, action, first, proto};

const README: &str = "README.md";

/// A project in a repository of its own.
struct Repository(Project);

impl Repository {
    fn new() -> Self {
        let repository = Self(Project::new(&first()));
        repository.git(&["init", "--quiet", "--initial-branch=ours"]);
        repository.commit();
        repository
    }

    fn git(&self, arguments: &[&str]) -> bool {
        let person = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
        let run = Command::new("git").current_dir(self.0.root()).args(person).args(arguments).output();
        run.expect("git runs").status.success()
    }

    fn commit(&self) {
        assert!(self.git(&["add", "--all"]) && self.git(&["commit", "--quiet", "--message", "Change"]));
    }

    /// Does something on either branch, and merges theirs into ours, which ends in a conflict.
    fn merged(ours: impl Fn(&Project), theirs: impl Fn(&Project)) -> Project {
        let repository = Self::new();
        assert!(repository.git(&["checkout", "--quiet", "-b", "theirs"]));
        theirs(&repository.0);
        repository.commit();
        assert!(repository.git(&["checkout", "--quiet", "ours"]));
        ours(&repository.0);
        repository.commit();
        assert!(!repository.git(&["merge", "--quiet", "theirs"]), "both changed the proto and the lock");
        repository.0
    }
}

/// An rpc that records an event with a text, and what it needs.
fn rpc(name: &str, field: &str) -> (String, String) {
    let rpc = format!(
        "rpc {name}Order({name}OrderRequest) returns ({name}OrderReply) {{
           option (potter.command) = {{ aggregate: \"Order\" emits: \"Order{name}ed\" }};
         }}\n"
    );
    let messages = format!(
        "message {name}OrderRequest {{ string order_id = 1; string {field} = 2; }}
         message {name}OrderReply {{ string order_id = 1; }}
         message Order{name}ed {{
           option (potter.event) = {{ event_type: \"order.{field}\" aggregate: \"Order\" }};
           string order_id = 1;
           string {field} = 2;
         }}\n"
    );
    (rpc, messages)
}

/// The proto with these rpcs, and a field of the aggregate and of the read model for each.
fn with(rpcs: &[(&str, &str, u32)]) -> String {
    let all: Vec<_> = rpcs.iter().map(|(name, field, _)| rpc(name, field)).collect();
    let fields: String = rpcs.iter().map(|(_, field, number)| format!(" string {field} = {number};")).collect();
    let text = |part: fn(&(String, String)) -> &String| all.iter().map(|it| part(it).as_str()).collect::<String>();
    let proto = proto(&text(|it| &it.0), &text(|it| &it.1));
    let with_columns = proto.replace("name: \"orders\" };", &format!("name: \"orders\" }};{fields}"));
    with_columns.replace("(potter.aggregate) = {};", &format!("(potter.aggregate) = {{}};{fields}"))
}

const TAG: (&str, &str, u32) = ("Tagg", "tag", 8);
const PARK: (&str, &str, u32) = ("Park", "place", 9);

/// What the proto of both branches is resolved to.
fn of_both() -> String {
    with(&[TAG, PARK])
}

/// The copies that are not what they are named after.
fn damaged_bases(project: &Project) -> Vec<String> {
    let bases = project.tree().into_iter().filter(|(path, _)| path.starts_with(".potter/base/"));
    bases.filter(|(path, bytes)| Hash::of(bytes).base_path() != *path).map(|(path, _)| path).collect()
}

#[test]
fn git_merges_no_copy_and_no_generated_file_line_by_line() {
    let project = Repository::merged(|it| drop(it.update(&with(&[TAG]))), |it| drop(it.update(&with(&[PARK]))));
    assert_eq!(damaged_bases(&project), [""; 0]);
    let (ours, theirs) = (Project::new(&first()), Project::new(&first()));
    ours.update(&with(&[TAG]));
    theirs.update(&with(&[PARK]));
    let (ours, theirs) = (ours.tree(), theirs.tree());
    for (path, bytes) in project.tree() {
        if path.starts_with("src/generated/") || path.starts_with("sdk/") {
            assert!(ours.get(&path) == Some(&bytes) || theirs.get(&path) == Some(&bytes), "{path} is neither's");
        }
    }
}

#[test]
fn with_the_proto_resolved_an_update_does_the_rest() {
    let project = Repository::merged(|it| drop(it.update(&with(&[TAG]))), |it| drop(it.update(&with(&[PARK]))));
    assert!(project.text(RULES).contains("<<<<<<<") && project.text("potter.lock").contains("<<<<<<<"));
    let plan = project.update(&of_both());
    assert!(!plan.needs_a_person());
    assert_eq!(action(&plan, RULES), Some(Action::Replace));
    assert_eq!(project.check().exit_code(true), 0, "{:?}", project.check().findings);
    assert_eq!(damaged_bases(&project), [""; 0]);
    let lock = Lock::read(&project.text("potter.lock")).expect("a lock");
    assert!(["order.tag", "order.place"].iter().all(|it| lock.history.events.contains_key(*it)));
    // It is what it would be if there had never been two branches.
    let alone = Project::new(&first());
    alone.update(&of_both());
    for path in [RULES, README, "src/application/orders.rs", "src/generated/domain/order.rs"] {
        assert_eq!(project.text(path), alone.text(path), "{path}");
    }
}

#[test]
fn what_people_wrote_on_either_branch_is_kept() {
    let ours = |project: &Project| {
        project.edit(RULES, "//!", "//! Ours.\n//!");
        project.write(PROTO, &with(&[TAG]));
        project.updated(Allowed { merge: true, ..Allowed::default() });
    };
    let theirs = |project: &Project| {
        project.write(RULES, &(project.text(RULES) + "\n// Theirs.\n"));
        project.write(PROTO, &with(&[PARK]));
        project.updated(Allowed { merge: true, ..Allowed::default() });
    };
    let project = Repository::merged(ours, theirs);
    let plan = project.update(&of_both());
    assert_eq!(action(&plan, RULES), Some(Action::Merge));
    let rules = project.text(RULES);
    for told in ["//! Ours.", "// Theirs.", "fn tagg_order(", "fn park_order("] {
        assert_eq!(rules.matches(told).count(), 1, "{told} in:\n{rules}");
    }
    assert!(!rules.contains("<<<<<<<") && project.check().exit_code(true) == 0);
}

#[test]
fn where_people_wrote_in_one_place_they_decide() {
    let edited = |by: &str, more: (&'static str, &'static str, u32)| {
        let line = format!("//! {by}.\n//!");
        move |project: &Project| {
            project.edit(RULES, "//!", &line);
            project.write(PROTO, &with(&[more]));
            project.updated(Allowed { merge: true, ..Allowed::default() });
        }
    };
    let project = Repository::merged(edited("Ours", TAG), edited("Theirs", PARK));
    let before = project.text(RULES);
    let plan = project.update(&of_both());
    assert!(plan.needs_a_person() && project.text(RULES) == before, "it is left as git left it");
    assert!(project.text(&format!(".potter/pending/{RULES}")).contains("fn park_order("));
}

#[test]
fn a_proto_in_conflict_is_named_as_that() {
    let project = Repository::merged(|it| drop(it.update(&with(&[TAG]))), |it| drop(it.update(&with(&[PARK]))));
    let error = project.try_update(Allowed::default()).expect_err("the proto is no proto").to_string();
    assert_eq!(error.matches("error[").count(), 1, "once, whatever follows from it: {error}");
    assert!(error.contains("markers of a merge conflict") && error.contains("<<<<<<< HEAD"), "{error}");
}
