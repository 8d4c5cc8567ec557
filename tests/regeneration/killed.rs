//! Killed while it writes, a project is the old one or the new one.

use std::collections::BTreeMap;
use std::process::Stdio;

use crate::project::{PROTO, Project, command, first, with_note};

/// What counts: not what Potter keeps for itself while it writes.
fn tree(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let mut tree = project.tree();
    tree.retain(|path, _| path != ".potter/busy");
    tree
}

#[test]
fn a_killed_update_leaves_the_old_project_or_the_new_one() {
    let after = {
        let project = Project::new(&first());
        project.update(&with_note());
        tree(&project)
    };
    for files_before_the_kill in [0, 1, 5, 12, 20, usize::MAX] {
        let project = Project::new(&first());
        project.write(PROTO, &with_note());
        let before = tree(&project);
        let mut child = command()
            .arg("update")
            .args(["--framework", "version:0.1.0"])
            .current_dir(project.root())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("potter-gen starts");
        let staged = project.root().join(".potter/staged");
        let reached = || std::fs::read_dir(&staged).map_or(0, Iterator::count) > files_before_the_kill;
        while !reached() && child.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("it is gone or going");
        child.wait().expect("it is gone");
        // The next command finishes or forgets what was begun; it needs no proto to do so.
        let reopened = potter_gen::output::Project::open(&project.root()).expect("it can be opened");
        assert!(reopened.lock().is_some());
        let now = tree(&project);
        assert!(now == before || now == after, "killed after {files_before_the_kill} files: it is neither");
    }
}
