//! What is on disk when it is written counts, not what is remembered of it.

use potter_gen::check::Status;
use potter_gen::output::OutputError;
use potter_gen::reconcile::{Action, Allowed};
use potter_gen::update::{Answer, Error, Plan, plan};

use crate::project::{PROTO, Project, RULES, action, first, with_note};

/// Every file of bases and its text.
fn bases(project: &Project) -> Vec<(String, String)> {
    let tree = project.tree().into_iter().filter(|(path, _)| path.starts_with(".potter/base/"));
    tree.map(|(path, bytes)| (path, String::from_utf8_lossy(&bytes).into_owned())).collect()
}

#[test]
fn what_is_saved_while_a_question_is_open_stays() {
    let project = Project::new(&first());
    project.write(PROTO, &with_note());
    let mut plan = plan(&project.request()).expect("a plan");
    let saved = project.text(RULES) + "\n// Saved while it asked.\n";
    let goes_on = plan.ask(|_| {
        project.write(RULES, &saved);
        Answer::All
    });
    assert!(goes_on.expect("files can be read"));
    let before = project.tree();
    let refused = plan.carry_out();
    assert!(matches!(&refused, Err(Error::Output(OutputError::Changed(path))) if path == RULES), "{refused:?}");
    let mut after = project.tree();
    after.retain(|path, _| before.contains_key(path));
    assert_eq!(after, before, "nothing was written");
    assert_eq!(project.text(RULES), saved);
}

#[test]
fn a_base_that_somebody_changed_is_none() {
    let project = Project::new(&first());
    let (old, new) = ("Err(OrderError::Unimplemented(\"cancel_order\"))", "Ok(Vec::new()) // Mine.");
    project.edit(RULES, old, new);
    for (path, text) in bases(&project) {
        project.write(&path, &text.replace(old, new));
    }
    project.write(PROTO, &with_note());
    let plan = project.updated(Allowed { merge: true, ..Allowed::default() });
    assert_eq!(action(&plan, RULES), Some(Action::SetAside));
    assert!(project.text(RULES).contains(new), "the change is lost:\n{}", project.text(RULES));
}

#[test]
fn a_migration_is_not_restored_from_a_base_that_somebody_changed() {
    let project = Project::new(&first());
    project.update(&first().replace("name: \"orders\" };", "name: \"orders\" }; string more = 3;"));
    let migration = "migrations/sqlite/0001_init.sql";
    let applied = project.text(migration);
    for (path, text) in bases(&project).into_iter().filter(|(_, text)| *text == applied) {
        project.write(&path, &text.replace("CREATE", "DROP"));
    }
    project.delete(migration);
    project.updated(Allowed::default());
    assert!(!project.has(migration), "{}", project.text(migration));
}

#[test]
fn a_check_tells_of_bases_that_are_gone_or_changed() {
    let project = Project::new(&first());
    let all = bases(&project);
    let ((gone, _), (changed, text)) = (&all[0], &all[1]);
    project.delete(gone);
    project.write(changed, &(text.clone() + "more\n"));
    assert_eq!(project.status(gone), Some(Status::Missing));
    assert_eq!(project.status(changed), Some(Status::Modified));
    project.updated(Allowed::default());
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
    for (path, text) in &all {
        project.write(path, &text.replace('\n', "\r\n"));
    }
    assert!(project.check().findings.is_empty(), "a checkout with other line ends is fine");
}

#[cfg(unix)]
#[test]
fn a_dry_run_refuses_what_the_run_refuses() {
    let project = Project::new(&first());
    let elsewhere = project.root().join("../elsewhere.rs");
    std::fs::rename(project.root().join(RULES), &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, project.root().join(RULES)).expect("a link");
    project.write(PROTO, &with_note());
    let codes = [&["update", "--dry-run"][..], &["update"][..]].map(|it| {
        let output = project.run(&[it, &["--framework", "version:0.1.0"]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).contains("symbolic link"))
    });
    assert_eq!(codes, [(Some(3), true); 2]);
}

#[test]
fn a_project_is_made_where_one_is() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let proto = place.path().join("shop.proto");
    let folder = place.path().join("empty");
    std::fs::create_dir(&folder).and_then(|()| std::fs::write(&proto, first())).expect("a writable folder");
    let init = |arguments: &[&str]| {
        let mut command = crate::project::command();
        command.current_dir(&folder).args(["init", "--proto", "../shop.proto", "--output", "."]).args(arguments);
        command.output().expect("potter-gen runs")
    };
    let output = init(&["--framework", "version:0.1.0"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.join("potter.lock").is_file() && folder.join(RULES).is_file());
}

#[test]
fn a_file_where_a_folder_has_to_be_stops_the_run_before_it_writes() {
    let project = Project::new(&first());
    project.edit(RULES, "Err(OrderError::Unimplemented(\"cancel_order\"))", "Ok(Vec::new())");
    project.write(".potter/pending", "mine");
    project.write(PROTO, &with_note());
    let before = project.tree();
    let error = project.try_update(Allowed::default()).expect_err("it can't be written").to_string();
    assert!(error.contains(".potter/pending is a file, and has to be a folder"), "{error}");
    assert_eq!(project.tree(), before);
    project.delete(".potter/pending");
    assert!(project.updated(Allowed::default()).needs_a_person(), "the proposal waits");
}

#[test]
fn bases_that_are_gone_are_made_anew_or_let_go_of() {
    let project = Project::new(&first());
    project.edit(RULES, "//!", "//! Mine.\n//!");
    project.edit("README.md", "#", "Mine.\n#");
    project.write(PROTO, &with_note());
    assert!(project.updated(Allowed::default()).needs_a_person(), "a proposal waits");
    bases(&project).iter().for_each(|(path, _)| project.delete(path));
    let mut asked = plan(&project.request()).expect("a plan");
    assert!(asked.ask(|_| Answer::Yes).expect("files can be read"));
    let told =
        |plan: &Plan| plan.steps.iter().find(|it| it.path == RULES).map(|it| it.reason.matches("is gone").count());
    assert_eq!(told(&asked), Some(1), "a person who was asked is told once");
    let plan = project.updated(Allowed { merge: true, ..Allowed::default() });
    assert_eq!(action(&plan, RULES), Some(Action::SetAside), "there is nothing to merge with");
    let step = plan.steps.iter().find(|it| it.path == RULES).expect("it waits");
    assert!(step.reason.contains("can't be merged"), "what is lost is told: {}", step.reason);
    let found = project.check().findings;
    assert!(found.iter().all(|it| it.status == Status::Pending), "no base is missed any more: {found:?}");
    for path in [RULES, "README.md"] {
        project.delete(&format!(".potter/pending/{path}"));
    }
    project.updated(Allowed::default());
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

/// What git leaves of two branches that both changed a README.
fn conflicting(text: &str) -> String {
    text.replacen('#', "<<<<<<< HEAD\nOurs.\n=======\nTheirs.\n>>>>>>> topic\n#", 1)
}

#[test]
fn a_seed_with_markers_is_never_merged() {
    let project = Project::new(&first());
    let readme = conflicting(&project.text("README.md"));
    project.write("README.md", &readme);
    project.write(PROTO, &with_note());
    for allowed in [Allowed { merge: true, ..Allowed::default() }, Allowed { markers: true, ..Allowed::default() }] {
        let plan = project.updated(allowed);
        assert_eq!((action(&plan, "README.md"), plan.needs_a_person()), (Some(Action::SetAside), true), "{allowed:?}");
        assert_eq!(project.text("README.md"), readme);
    }
    assert_eq!(project.status("README.md"), Some(Status::Pending));
}

#[test]
fn markers_are_told_as_long_as_they_are_there() {
    let project = Project::new(&first());
    project.write("README.md", &conflicting(&project.text("README.md")));
    project.write(PROTO, &with_note());
    project.updated(Allowed::default());
    std::fs::remove_dir_all(project.root().join(".potter/pending")).expect("it is there");
    for arguments in [&["update", "--merge"][..], &["update"], &["check"]] {
        let run = project.run(&[arguments, &[]].concat());
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        let told = [run.stdout, run.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.contains("README.md") && told.contains("markers"), "{told}");
        assert!(!told.contains("up to date"), "{told}");
    }
}

#[test]
fn a_lock_that_knows_less_of_the_past_than_the_fixtures_is_refused() {
    let project = Project::new(&first());
    let before = project.text("potter.lock");
    let event = "option (potter.event) = { event_type: \"order.placed\" aggregate: \"Order\" };";
    for fields in ["string by = 3;", "string by = 3; string at = 4;"] {
        project.update(&first().replace(event, &format!("{event} {fields}")));
    }
    let tree = project.tree();
    project.write("potter.lock", &before);
    let refused = project.try_update(Allowed { force: true, ..Allowed::default() });
    let refused = refused.map(drop).expect_err("a shape is forgotten");
    let told = refused.to_string();
    assert!(refused.needs_a_person() && told.contains("tests/fixtures/order.placed.v1."), "{told}");
    assert!(told.contains("git checkout -- potter.lock"), "{told}");
    assert_eq!(project.run(&["check"]).status.code(), Some(2));
    project.write("potter.lock", std::str::from_utf8(&tree["potter.lock"]).expect("text"));
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
    project.write("tests/fixtures/mine.hex", "00");
    assert!(project.check().findings.is_empty(), "a file of the user's is none of Potter's");
}
