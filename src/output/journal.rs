//! The journal of a change to an existing project.
//!
//! `.potter/staged/N` holds the new bytes of the N-th file; `.potter/journal` has a line of JSON for each: its path, the
//! hash of what is there, and the hash of what comes. The journal appears by one rename: before it nothing has changed,
//! after it everything will have. What is replaced or removed is kept as `.potter/staged/N.old` until all is done: if a
//! file can't be written, or is no longer what the journal says, whatever was done is undone.

mod undo;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Change, FOLDER, OutputError, at, read, refuse_detours};
use crate::lock::Hash;

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Relative to the project. Any name is a string of JSON, line breaks included.
    path: String,
    /// What is there; `None`: nothing.
    before: Option<Hash>,
    /// What comes there; `None`: nothing.
    after: Option<Hash>,
}

/// Makes the changes, or none of them.
pub(super) fn apply(root: &Path, changes: &[Change]) -> Result<(), OutputError> {
    if all_made(root, changes)? {
        return Ok(());
    }
    refuse_links(root)?;
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let _busy = claim(root)?;
    if is_there(root) {
        // Another command was killed after this one had looked.
        return Err(OutputError::Interrupted(root.to_owned()));
    }
    stage(root, changes)?;
    finish(root)
}

fn all_made(root: &Path, changes: &[Change]) -> Result<bool, OutputError> {
    for change in changes {
        if read(&root.join(&change.path))? != change.contents {
            return Ok(false);
        }
    }
    Ok(true)
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
    if !is_there(root) {
        return clear(root);
    }
    match finish(root) {
        // The person went on working: the project is the old one with that change, and a new run starts from there.
        Err(OutputError::Changed(_)) if !is_there(root) => Ok(()),
        other => other,
    }
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

/// What a change does; `None` if it is made already.
fn entry(root: &Path, change: &Change) -> Result<Option<Entry>, OutputError> {
    let before = state(&root.join(&change.path))?;
    let after = change.contents.as_deref().map(Hash::of);
    match () {
        () if before == after => Ok(None),
        () if !change.before.allows(before.as_ref()) => Err(OutputError::Changed(change.path.clone())),
        () => Ok(Some(Entry { path: change.path.clone(), before, after })),
    }
}

/// What is in a file; `None` if there is none.
fn state(path: &Path) -> Result<Option<Hash>, OutputError> {
    Ok(read(path)?.map(|bytes| Hash::of(&bytes)))
}

fn stage(root: &Path, changes: &[Change]) -> Result<(), OutputError> {
    clear(root)?;
    let folder = staged(root);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let (mut entries, mut written) = (Vec::new(), Vec::new());
    for change in changes {
        let Some(entry) = entry(root, change)? else { continue };
        if let Some(contents) = &change.contents {
            let path = new(root, entries.len());
            fs::write(&path, contents).map_err(at(&path))?;
            written.push(path);
        }
        entries.push(entry);
    }
    // A new file in a folder that is on its way to the disk would wait for it: first all are written, then all synced.
    written.par_iter().try_for_each(|path| sync(path))?;
    begin(root, &entries)
}

/// Makes the journal appear.
fn begin(root: &Path, entries: &[Entry]) -> Result<(), OutputError> {
    let draft = draft(root);
    let line = |entry: &Entry| serde_json::to_string(entry).map(|it| it + "\n");
    let lines = entries.iter().map(line).collect::<Result<String, _>>();
    let lines = lines.map_err(|error| at(&draft)(error.into()))?;
    fs::write(&draft, lines).map_err(at(&draft))?;
    sync(&draft)?;
    fs::rename(&draft, journal(root)).map_err(at(&draft))
}

/// Does what the journal says; if that can't be done, whatever was done is undone.
fn finish(root: &Path) -> Result<(), OutputError> {
    let entries = entries(root)?;
    let done = entries.iter().enumerate().try_for_each(|(number, entry)| carry_out(root, number, entry));
    // Where even that fails, the journal stays: the next command tries again.
    if done.is_err() && undo::undo(root, &entries).is_err() {
        return done;
    }
    remove(&journal(root))?;
    clear(root)?;
    done
}

fn entries(root: &Path) -> Result<Vec<Entry>, OutputError> {
    let path = journal(root);
    let text = read(&path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // Only this module writes journals, and it writes them as a whole.
    let told =
        |error: serde_json::Error| at(&path)(io::Error::other(format!("not a journal of this version: {error}")));
    text.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(told)
}

/// Does what one line says, unless it was done before.
fn carry_out(root: &Path, number: usize, entry: &Entry) -> Result<(), OutputError> {
    refuse_detours(root, &entry.path)?;
    let path = root.join(&entry.path);
    let there = state(&path)?;
    if there == entry.after {
        return Ok(());
    }
    if there != entry.before {
        return Err(OutputError::Changed(entry.path.clone()));
    }
    if there.is_some() {
        undo::keep(&path, &old(root, number))?;
    }
    match entry.after {
        Some(_) => replace(&new(root, number), &path),
        None => remove_with_folders(root, &entry.path),
    }
}

fn replace(from: &Path, to: &Path) -> Result<(), OutputError> {
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

/// Where the new bytes of a file wait.
fn new(root: &Path, number: usize) -> PathBuf {
    staged(root).join(number.to_string())
}

/// Where the old bytes of a file are kept until all is done.
fn old(root: &Path, number: usize) -> PathBuf {
    staged(root).join(format!("{number}.old"))
}

#[cfg(test)]
mod tests;
