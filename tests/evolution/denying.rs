//! `--deny`: in CI a warning is an error.

use std::process::Command;

use crate::project::{Project, placed, proto};

fn run(project: &Project, deny: &[&str]) -> (Option<i32>, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_potter-gen"))
        .args(["update", "--output"])
        .arg(project.root())
        .args(deny)
        .output()
        .expect("potter-gen runs");
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

#[test]
fn a_denied_warning_ends_the_run() {
    // Its elements have no comments.
    let project = Project::new(&proto(&placed(1, "")));
    let before = project.text("potter.lock");
    let (code, told) = run(&project, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("warning[P085]"), "{told}");
    let (code, told) = run(&project, &["--deny", "P012"]);
    assert_eq!(code, Some(0), "another code is denied: {told}");
    for deny in [&["--deny", "p085"][..], &["--deny", "P012,all"], &["--deny", "P012", "--deny", "P085"]] {
        let (code, told) = run(&project, deny);
        assert_eq!(code, Some(3), "{deny:?}: {told}");
        assert!(told.contains("error[P085]"), "{deny:?}: {told}");
    }
    assert_eq!(project.text("potter.lock"), before);
}

#[test]
fn an_unknown_code_is_told() {
    let project = Project::new(&proto(&placed(1, "")));
    let (code, told) = run(&project, &["--deny", "P999"]);
    assert_ne!(code, Some(0));
    assert!(told.contains("unknown code `P999`"), "{told}");
}
