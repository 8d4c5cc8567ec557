use super::*;
use crate::output::Before;

fn changes() -> Vec<Change> {
    vec![change("src/a.rs", Some("new a")), change("b.rs", None), change("c.rs", Some("new c"))]
}

fn change(path: &str, contents: Option<&str>) -> Change {
    Change { path: path.into(), contents: contents.map(|it| it.into()), before: Before::Anything }
}

fn old_project() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(root.path().join(FOLDER)).expect("a directory");
    for (path, text) in [("b.rs", "old b"), ("c.rs", "old c")] {
        fs::write(root.path().join(path), text).expect("written");
    }
    root
}

fn is_new(root: &Path) -> bool {
    let text = |path: &str| read(&root.join(path)).expect("readable");
    text("src/a.rs") == Some(b"new a".to_vec()) && text("b.rs").is_none() && text("c.rs") == Some(b"new c".to_vec())
}

#[test]
fn staged_files_without_a_journal_are_forgotten() {
    let root = old_project();
    let changes = changes();
    stage(root.path(), &changes).expect("staged");
    fs::rename(journal(root.path()), draft(root.path())).expect("as if killed before the rename");
    recover(root.path()).expect("recovered");
    assert_eq!(fs::read(root.path().join("c.rs")).expect("there"), b"old c");
    assert!(!staged(root.path()).exists() && !draft(root.path()).exists());
}

#[test]
fn a_journal_is_finished_however_far_it_came() {
    for done in 0..=3 {
        let root = old_project();
        let changes = changes();
        stage(root.path(), &changes).expect("staged");
        for (number, entry) in entries(root.path()).expect("a journal").iter().take(done).enumerate() {
            carry_out(root.path(), number, entry).expect("done before the kill");
        }
        recover(root.path()).expect("recovered");
        assert!(is_new(root.path()), "killed after {done} files");
        assert!(!journal(root.path()).exists());
    }
}

#[test]
fn folders_that_become_empty_go_too() {
    let root = old_project();
    fs::create_dir_all(root.path().join("a/b")).expect("a directory");
    fs::write(root.path().join("a/b/c.rs"), "c").expect("written");
    apply(root.path(), &[change("a/b/c.rs", None)]).expect("applied");
    assert!(!root.path().join("a").exists() && root.path().join("b.rs").exists());
}

#[cfg(unix)]
#[test]
fn a_script_stays_executable() {
    use std::os::unix::fs::PermissionsExt;
    let root = old_project();
    let path = root.path().join("c.rs");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    let changes = changes();
    apply(root.path(), &changes).expect("applied");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o755);
}

#[test]
fn a_journal_that_leads_outside_is_not_followed() {
    let root = old_project();
    let entry = Entry { path: "../somebody's.rs".into(), before: Some(Hash::of(b"theirs")), after: None };
    begin(root.path(), &[entry]).expect("written");
    let refused = recover(root.path());
    assert!(matches!(refused, Err(OutputError::LeadsOutside(_))), "{refused:?}");
}

#[cfg(unix)]
#[test]
fn potters_folder_may_not_be_a_link() {
    let (root, elsewhere) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    std::os::unix::fs::symlink(elsewhere.path(), root.path().join(FOLDER)).expect("a link");
    let changes = changes();
    let refused = apply(root.path(), &changes);
    assert!(matches!(refused, Err(OutputError::LeadsOutside(_))), "{refused:?}");
    assert_eq!(fs::read_dir(elsewhere.path()).expect("readable").count(), 0);
}

#[cfg(unix)]
#[test]
fn potters_own_files_may_not_be_links() {
    for name in ["busy", "journal.draft", "staged"] {
        let (root, elsewhere) = (old_project(), tempfile::NamedTempFile::new().expect("a file"));
        fs::write(elsewhere.path(), "precious").expect("written");
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join(FOLDER).join(name)).expect("a link");
        let changes = changes();
        let refused = apply(root.path(), &changes);
        assert!(matches!(refused, Err(OutputError::LeadsOutside(_))), "{name}: {refused:?}");
        assert_eq!(fs::read(elsewhere.path()).expect("readable"), b"precious");
    }
}

#[test]
fn two_writers_do_not_meet() {
    let root = old_project();
    let _busy = claim(root.path()).expect("free");
    let changes = changes();
    let refused = apply(root.path(), &changes);
    assert!(matches!(refused, Err(OutputError::Busy(_))), "{refused:?}");
}

/// A project whose journal is written, and nothing done yet.
fn begun() -> tempfile::TempDir {
    let root = old_project();
    stage(root.path(), &changes()).expect("staged");
    root
}

fn text(root: &Path, path: &str) -> Option<String> {
    read(&root.join(path)).expect("readable").map(|it| String::from_utf8_lossy(&it).into_owned())
}

fn is_old(root: &Path) -> bool {
    !root.join("src").exists()
        && text(root, "b.rs").as_deref() == Some("old b")
        && text(root, "c.rs").as_deref() == Some("old c")
        && !is_there(root)
        && !staged(root).exists()
}

#[test]
fn a_write_that_fails_is_undone() {
    let root = begun();
    // As if the disk were full by now: the last file can't be put in its place.
    remove(&new(root.path(), 2)).expect("there");
    let failed = finish(root.path());
    assert!(matches!(failed, Err(OutputError::Io { .. })), "{failed:?}");
    assert!(is_old(root.path()), "it is half written, or replayed later");
}

#[test]
fn an_undoing_that_was_interrupted_is_gone_on_with() {
    for done in 0..=3 {
        let root = begun();
        let lines = entries(root.path()).expect("a journal");
        (0..2).try_for_each(|at| carry_out(root.path(), at, &lines[at])).expect("done");
        remove(&new(root.path(), 2)).expect("there");
        (3 - done..3).rev().try_for_each(|at| undo::take_back(root.path(), at, &lines[at])).expect("undone");
        assert!(recover(root.path()).is_err(), "the last file still can't be put in its place");
        assert!(is_old(root.path()), "interrupted after {done} lines");
    }
}

#[test]
fn what_was_saved_after_the_kill_stays() {
    for (path, done) in [("b.rs", 0), ("c.rs", 0), ("c.rs", 2), ("src/a.rs", 1), ("c.rs", 3)] {
        let root = begun();
        let lines = entries(root.path()).expect("a journal");
        (0..done).try_for_each(|at| carry_out(root.path(), at, &lines[at])).expect("done before the kill");
        fs::create_dir_all(root.path().join("src")).expect("a directory");
        fs::write(root.path().join(path), "mine").expect("saved");
        recover(root.path()).expect("recovered");
        assert_eq!(text(root.path(), path).as_deref(), Some("mine"), "{path} after {done} files");
        for (other, old) in [("b.rs", Some("old b")), ("c.rs", Some("old c")), ("src/a.rs", None)] {
            assert!(other == path || text(root.path(), other).as_deref() == old, "{other} after {done} files");
        }
        assert!(!is_there(root.path()) && !staged(root.path()).exists());
    }
}

#[test]
fn what_is_not_as_planned_is_not_replaced() {
    let root = old_project();
    for planned in [Some("another b"), None] {
        let before = Before::planned(planned.map(str::as_bytes));
        let changes = [change("src/a.rs", Some("new a")), Change { before, ..change("b.rs", None) }];
        let refused = apply(root.path(), &changes);
        assert!(matches!(&refused, Err(OutputError::Changed(path)) if path == "b.rs"), "{refused:?}");
        recover(root.path()).expect("nothing waits");
        assert!(is_old(root.path()));
    }
    let before = Before::planned(Some(b"old b"));
    apply(root.path(), &[Change { before, ..change("b.rs", None) }]).expect("it is as planned");
    assert!(!root.path().join("b.rs").exists());
}

#[cfg(unix)]
#[test]
fn a_name_with_line_breaks_is_one_name() {
    let root = old_project();
    let name = "x\ndrop b.rs\n{\"path\":\"c.rs\",\"before\":null,\"after\":null}";
    fs::write(root.path().join(name), "odd").expect("written");
    apply(root.path(), &[change(name, None)]).expect("applied");
    assert!(!root.path().join(name).exists() && is_old(root.path()), "it is taken for lines of the journal");
}

#[test]
fn a_journal_that_somebody_left_meanwhile_is_not_overwritten() {
    let root = begun();
    let refused = apply(root.path(), &[change("d.rs", Some("new d"))]);
    assert!(matches!(refused, Err(OutputError::Interrupted(_))), "{refused:?}");
    recover(root.path()).expect("finished");
    assert!(is_new(root.path()));
}
