//! Killed while it writes, a project is the old one or the new one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use crate::project::{PROTO, Project, command, first, with_note};

/// Files that an update removes: so many that a kill hits between two of them. In a journal they stand between files
/// that are replaced.
const STRAYS: usize = 2_000;
/// How often a kill may come too late before something must be wrong.
const TRIES: usize = 20;

fn stray(number: usize) -> String {
    format!("src/generated/stray/{number:05}.rs")
}

/// What counts: not what Potter keeps for itself while it writes.
fn tree(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let mut tree = project.tree();
    tree.retain(|path, _| path != ".potter/busy" && path != ".potter/journal" && !path.starts_with(".potter/staged/"));
    tree
}

/// A project with everything to do for an update.
fn project() -> Project {
    let project = Project::new(&first());
    project.write(PROTO, &with_note());
    (0..STRAYS).for_each(|number| project.write(&stray(number), "// Nobody knows it.\n"));
    project
}

fn update(project: &Project) -> std::process::Child {
    let mut command = command();
    command.args(["update", "--prune", "--framework", "version:0.1.0"]).current_dir(project.root());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("potter-gen starts")
}

/// Kills an update as soon as it has come so far, or lets it end.
fn kill_when(project: &Project, reached: impl Fn(&Path) -> bool) {
    let root = project.root();
    let mut child = update(project);
    while !reached(&root) && child.try_wait().expect("a child").is_none() {
        std::thread::yield_now();
    }
    child.kill().expect("it is gone or going");
    child.wait().expect("it is gone");
}

/// The next command finishes or forgets what was begun; it needs no proto to do so.
fn reopen(project: &Project) {
    let reopened = potter_gen::output::Project::open(&project.root()).expect("it can be opened");
    assert!(reopened.lock().is_some());
    assert!(!project.has(".potter/journal") && !project.has(".potter/staged"), "something is left");
}

#[test]
fn killed_before_the_journal_it_is_the_old_one() {
    for files_before_the_kill in [0, 1, 5, 12] {
        let has_hit = (0..TRIES).any(|_| {
            let project = project();
            let before = tree(&project);
            kill_when(&project, |root| {
                let staged = std::fs::read_dir(root.join(".potter/staged"));
                staged.map_or(0, Iterator::count) > files_before_the_kill
            });
            let is_staging = project.has(".potter/staged") && !project.has(".potter/journal");
            reopen(&project);
            assert!(!is_staging || tree(&project) == before, "killed after {files_before_the_kill} staged files");
            is_staging
        });
        assert!(has_hit, "no kill came after {files_before_the_kill} staged files and before the journal");
    }
}

#[test]
fn killed_between_two_files_it_is_the_new_one() {
    let after = {
        let project = project();
        assert!(update(&project).wait().expect("it ends").success());
        tree(&project)
    };
    for strays_before_the_kill in [0, STRAYS / 4, STRAYS / 2] {
        let has_hit = (0..TRIES).any(|_| {
            let project = project();
            let before = tree(&project);
            kill_when(&project, |root| !root.join(stray(strays_before_the_kill)).exists());
            let is_between = project.has(".potter/journal") && project.has(&stray(STRAYS - 1));
            let torn = tree(&project);
            assert!(!is_between || torn != before && torn != after, "it was to be killed halfway");
            reopen(&project);
            assert!(
                tree(&project) == after,
                "killed after {strays_before_the_kill} removed files: it isn't the new one"
            );
            is_between
        });
        assert!(has_hit, "no kill came after {strays_before_the_kill} removed files and before the last");
    }
}
