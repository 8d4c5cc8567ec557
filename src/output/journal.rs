//! The journal of a change to an existing project.
//!
//! `.potter/staged/N` holds the new bytes of the N-th file; `.potter/journal` has a line `put PATH` or `drop PATH` for
//! each. The journal appears by one rename: before it nothing has changed, after it everything will have.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{Change, FOLDER, OutputError, at, read, refuse_detours};

/// Makes the changes.
pub(super) fn apply(root: &Path, changes: &[&Change]) -> Result<(), OutputError> {
    if changes.is_empty() {
        return Ok(());
    }
    refuse_links(root)?;
    fs::create_dir_all(root.join(FOLDER)).map_err(at(root))?;
    let _busy = claim(root)?;
    stage(root, changes)?;
    finish(root)
}

/// Whether an interrupted command's work waits to be finished.
pub(super) fn is_there(root: &Path) -> bool {
    journal(root).exists()
}

/// Finishes or forgets what an interrupted command began.
pub(super) fn recover(root: &Path) -> Result<(), OutputError> {
    if !journal(root).exists() && !staged(root).exists() {
        return Ok(());
    }
    refuse_links(root)?;
    let _busy = claim(root)?;
    if journal(root).exists() { finish(root) } else { clear(root) }
}

/// Whoever prepares a project may not lead Potter's own files elsewhere.
fn refuse_links(root: &Path) -> Result<(), OutputError> {
    ["busy", "journal", "journal.draft", "staged"]
        .iter()
        .try_for_each(|it| refuse_detours(root, &format!("{FOLDER}/{it}")))
}

/// Held while the project is being written; the system lets go of it when the process ends, however it ends.
fn claim(root: &Path) -> Result<File, OutputError> {
    let path = root.join(FOLDER).join("busy");
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OutputError::Busy(root.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}

fn stage(root: &Path, changes: &[&Change]) -> Result<(), OutputError> {
    clear(root)?;
    let folder = staged(root);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let (mut lines, mut written) = (String::new(), Vec::new());
    for (number, change) in changes.iter().enumerate() {
        let verb = if change.contents.is_some() { "put" } else { "drop" };
        lines.push_str(&format!("{verb} {}\n", change.path));
        if let Some(contents) = &change.contents {
            let path = folder.join(number.to_string());
            fs::write(&path, contents).map_err(at(&path))?;
            written.push(path);
        }
    }
    // A new file in a folder that is on its way to the disk would wait for it: first all are written, then all synced.
    written.par_iter().try_for_each(|path| sync(path))?;
    let draft = draft(root);
    fs::write(&draft, &lines).map_err(at(&draft))?;
    sync(&draft)?;
    fs::rename(&draft, journal(root)).map_err(at(&draft))
}

/// Does what the journal says; a line that was done before is passed over.
fn finish(root: &Path) -> Result<(), OutputError> {
    let lines = read(&journal(root))?.unwrap_or_default();
    for (number, line) in String::from_utf8_lossy(&lines).lines().enumerate() {
        match line.split_once(' ') {
            Some(("put", path)) => {
                refuse_detours(root, path)?;
                replace(&staged(root).join(number.to_string()), &root.join(path))?;
            }
            Some(("drop", path)) => {
                refuse_detours(root, path)?;
                remove_with_folders(root, path)?;
            }
            // Only this module writes journals, and it writes them as a whole.
            _ => return Err(at(&journal(root))(io::Error::other(format!("not a line of a journal: {line}")))),
        }
    }
    remove(&journal(root))?;
    clear(root)
}

fn replace(from: &Path, to: &Path) -> Result<(), OutputError> {
    if !from.exists() {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    if let Ok(there) = fs::metadata(to) {
        // A script stays executable.
        fs::set_permissions(from, there.permissions()).map_err(at(from))?;
    }
    fs::rename(from, to).map_err(at(to))
}

/// Removes a file, and the folders that it leaves empty.
fn remove_with_folders(root: &Path, path: &str) -> Result<(), OutputError> {
    remove(&root.join(path))?;
    for folder in Path::new(path).ancestors().skip(1).filter(|it| !it.as_os_str().is_empty()) {
        if fs::remove_dir(root.join(folder)).is_err() {
            // It has other files in it.
            break;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), OutputError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn clear(root: &Path) -> Result<(), OutputError> {
    remove(&draft(root))?;
    match fs::remove_dir_all(staged(root)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&staged(root))(error)),
        _ => Ok(()),
    }
}

/// Waits until the disk has the file.
fn sync(path: &Path) -> Result<(), OutputError> {
    let synced = File::options().write(true).open(path).and_then(|file| file.sync_all());
    synced.map_err(at(path))
}

fn journal(root: &Path) -> PathBuf {
    root.join(FOLDER).join("journal")
}

/// The journal before it counts.
fn draft(root: &Path) -> PathBuf {
    root.join(FOLDER).join("journal.draft")
}

fn staged(root: &Path) -> PathBuf {
    root.join(FOLDER).join("staged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Vec<Change> {
        vec![
            Change { path: "src/a.rs".into(), contents: Some(b"new a".to_vec()) },
            Change { path: "b.rs".into(), contents: None },
            Change { path: "c.rs".into(), contents: Some(b"new c".to_vec()) },
        ]
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
        stage(root.path(), &changes.iter().collect::<Vec<_>>()).expect("staged");
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
            stage(root.path(), &changes.iter().collect::<Vec<_>>()).expect("staged");
            for (number, change) in changes.iter().take(done).enumerate() {
                match change.contents {
                    Some(_) => replace(&staged(root.path()).join(number.to_string()), &root.path().join(&change.path)),
                    None => remove(&root.path().join(&change.path)),
                }
                .expect("done before the kill");
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
        let change = Change { path: "a/b/c.rs".into(), contents: None };
        apply(root.path(), &[&change]).expect("applied");
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
        apply(root.path(), &changes.iter().collect::<Vec<_>>()).expect("applied");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_journal_that_leads_outside_is_not_followed() {
        let root = old_project();
        fs::write(journal(root.path()), "drop ../somebody's.rs\n").expect("written");
        let refused = recover(root.path());
        assert!(matches!(refused, Err(OutputError::LeadsOutside(_))), "{refused:?}");
    }

    #[cfg(unix)]
    #[test]
    fn potters_folder_may_not_be_a_link() {
        let (root, elsewhere) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join(FOLDER)).expect("a link");
        let changes = changes();
        let refused = apply(root.path(), &changes.iter().collect::<Vec<_>>());
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
            let refused = apply(root.path(), &changes.iter().collect::<Vec<_>>());
            assert!(matches!(refused, Err(OutputError::LeadsOutside(_))), "{name}: {refused:?}");
            assert_eq!(fs::read(elsewhere.path()).expect("readable"), b"precious");
        }
    }

    #[test]
    fn two_writers_do_not_meet() {
        let root = old_project();
        let _busy = claim(root.path()).expect("free");
        let changes = changes();
        let refused = apply(root.path(), &changes.iter().collect::<Vec<_>>());
        assert!(matches!(refused, Err(OutputError::Busy(_))), "{refused:?}");
    }
}
