//! Undoing a journal that can't be finished.

use std::fs;
use std::io;
use std::path::Path;

use super::{Entry, OutputError, at, old, refuse_detours, remove_with_folders, state};

/// Keeps what is about to be replaced or removed.
pub(super) fn keep(path: &Path, kept: &Path) -> Result<(), OutputError> {
    match fs::hard_link(path, kept) {
        // The command was killed between this and the replacement.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Not every file system has links.
        Err(_) => fs::copy(path, kept).map(drop).map_err(at(path)),
        Ok(()) => Ok(()),
    }
}

/// Takes back all that was done. A file that is neither as before nor as after is somebody else's work, and stays.
pub(super) fn undo(root: &Path, entries: &[Entry]) -> Result<(), OutputError> {
    entries.iter().enumerate().rev().try_for_each(|(number, entry)| take_back(root, number, entry))
}

/// Takes back one line, if it was done.
pub(super) fn take_back(root: &Path, number: usize, entry: &Entry) -> Result<(), OutputError> {
    refuse_detours(root, &entry.path)?;
    let (path, kept) = (root.join(&entry.path), old(root, number));
    // What can't be read wasn't written by this journal either.
    let Ok(there) = state(&path) else { return Ok(()) };
    match entry.before {
        // Of a file that wasn't written the folder may have been made.
        None if there.is_none() || there == entry.after => remove_with_folders(root, &entry.path),
        Some(_) if there == entry.after && kept.exists() => put_back(&kept, &path),
        _ => Ok(()),
    }
}

fn put_back(kept: &Path, path: &Path) -> Result<(), OutputError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    fs::rename(kept, path).map_err(at(path))
}
