//! Seeds: written once, the user's afterwards.

use super::{Action, Past, Step, has_conflict_markers, is_as_written, is_crlf, is_same, without_cr};
use crate::file::{Class, File};
use crate::lock::{Hash, LockedFile};
use crate::merge::{Merge, merge, merge_rust};
use crate::output::OutputError;

/// Merges by what the file is.
pub(crate) fn merged(path: &str, base: &[u8], mine: &[u8], theirs: &[u8]) -> Merge {
    if path.ends_with(".rs") { merge_rust(base, mine, theirs) } else { merge(base, mine, theirs) }
}

/// Where proposals that wait for a person are kept.
pub const PENDING: &str = ".potter/pending";

/// Whether a service is built and tested without the file as well: whoever deletes it doesn't want it.
pub(super) fn is_dispensable(file: &File) -> bool {
    file.class == Class::Seed && !["src/", "proto/"].iter().any(|folder| file.path.starts_with(folder))
}

/// What happens to a seed that is there and isn't what is proposed.
pub(super) fn step(
    step: Step,
    disk: &[u8],
    file: &File,
    locked: Option<&LockedFile>,
    past: &Past<'_>,
) -> Result<Step, OutputError> {
    let proposed = file.contents.as_bytes();
    let base_hash = locked.and_then(|it| it.base.as_ref());
    if base_hash.is_some_and(|base| is_as_written(disk, base)) {
        let after = Some(with_ends_of(disk, proposed));
        return Ok(step.to(Action::Replace, after, "nobody changed it since it was written"));
    }
    let base = past.base(base_hash)?;
    if let Some(followed) = follow(&step, disk, base.as_deref(), file, past) {
        return Ok(followed);
    }
    if base_hash == Some(&Hash::of(proposed)) {
        return Ok(yours(step, disk));
    }
    if is_settled(file, locked, past)? {
        return Ok(step.stays(Action::LeaveChanged, "yours; its pending proposal was removed, and so is settled"));
    }
    Ok(both_changed(step, disk, base, file, past))
}

fn yours(step: Step, disk: &[u8]) -> Step {
    match has_conflict_markers(disk) {
        true => step.stays(Action::Mark, "markers of a conflict are left in it"),
        false => step.stays(Action::LeaveChanged, "yours; there is nothing new for it"),
    }
}

/// A file that was saved with CRLF keeps it.
pub(super) fn with_ends_of(disk: &[u8], proposed: &[u8]) -> Vec<u8> {
    match is_crlf(disk) {
        true => String::from_utf8_lossy(&without_cr(proposed)).replace('\n', "\r\n").into_bytes(),
        false => proposed.to_vec(),
    }
}

/// What the file names is called differently now: the names follow, and what else is new for it is merged where it
/// can be, since the file is written anyway.
fn follow(step: &Step, disk: &[u8], base: Option<&[u8]>, file: &File, past: &Past<'_>) -> Option<Step> {
    if !file.path.ends_with(".rs") || past.renaming.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(disk).ok()?;
    let mine = Some(past.renaming.of_all(text)).filter(|it| it != text || step.moved_from.is_some())?;
    let reason = past.renaming.told_of(text, &mine);
    let base = base.and_then(|it| std::str::from_utf8(it).ok()).map(|it| past.renaming.of_all(it).into_bytes());
    let proposed = file.contents.as_bytes();
    let both = base.as_deref().map(|base| merged(&file.path, base, mine.as_bytes(), proposed));
    Some(match both {
        Some(Merge::Clean(both)) => step.clone().to(Action::Follow, Some(both), reason),
        // What is new for it besides the names waits for a person.
        _ => step.clone().offered(file, base).to(Action::Follow, Some(mine.into_bytes()), reason),
    })
}

/// Whoever removes a pending proposal has dealt with it.
fn is_settled(file: &File, locked: Option<&LockedFile>, past: &Past<'_>) -> Result<bool, OutputError> {
    let proposed = Hash::of(file.contents.as_bytes());
    let was_set_aside = locked.is_some_and(|it| it.emitted == proposed && it.base.as_ref() != Some(&proposed));
    Ok(was_set_aside && (past.disk)(&format!("{PENDING}/{}", file.path))?.is_none())
}

fn both_changed(step: Step, disk: &[u8], base: Option<Vec<u8>>, file: &File, past: &Past<'_>) -> Step {
    let reason = match base.as_deref().map(|base| merged(&step.path, base, disk, file.contents.as_bytes())) {
        Some(Merge::Clean(merged)) if is_same(&merged, disk) => {
            return step.stays(Action::LeaveChanged, "yours; all that is new is in it already");
        }
        Some(Merge::Clean(merged)) if past.allowed.merge => {
            return step.to(Action::Merge, Some(merged), "your changes and the new ones don't touch each other");
        }
        Some(Merge::Conflict(conflict)) if past.allowed.markers => {
            let reason = same_lines(conflict.places);
            return step.to(Action::Mark, Some(conflict.marked), reason);
        }
        Some(Merge::Clean(_)) => "you changed it, and so did Potter; --merge takes both".to_owned(),
        Some(Merge::Conflict(it)) => same_lines(it.places),
        Some(Merge::NotText) => "you changed it, and so did Potter; it is no text".to_owned(),
        None => "it is there already, and Potter would write another".to_owned(),
    };
    step.offered(file, base).stays(Action::SetAside, reason)
}

fn same_lines(places: usize) -> String {
    let places = if places == 1 { "one place".to_owned() } else { format!("{places} places") };
    format!("you and Potter changed the same lines in {places}")
}
