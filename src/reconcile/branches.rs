//! Seeds in which version control left a conflict of two branches, as it did in the lock.
//!
//! Most of what such a conflict is about, the branches' regenerations wrote: each its own rpc in the same place. With
//! the bases of both branches at hand, what people changed can be told from it. Each side's changes are carried over
//! to what is proposed now, and then the two are put together; where anything touches, the file is left to a person.

use super::seed::{merged, with_ends_of};
use super::{Action, Past, Step, has_conflict_markers, without_cr};
use crate::file::File;
use crate::lock::conflict::{self, Sides};
use crate::merge::Merge;
use crate::output::OutputError;

/// The step that takes what both branches and the proposal have, if they don't touch each other.
pub(super) fn united(step: &Step, disk: &[u8], file: &File, past: &Past<'_>) -> Result<Option<Step>, OutputError> {
    // What Potter itself marked, and what names changed in, has one side of Potter's and one of a person.
    let (Some(our), Some(their)) = (past.locked(&file.path), past.other(&file.path)) else { return Ok(None) };
    if !has_conflict_markers(disk) || step.moved_from.is_some() || !past.renaming.is_empty() {
        return Ok(None);
    }
    let (Some(ours), Some(theirs)) = (past.base(our.base.as_ref())?, past.base(their.base.as_ref())?) else {
        return Ok(None);
    };
    let Some(both) = both(disk, [&ours, &theirs], file) else { return Ok(None) };
    let (action, reason) = match both == file.contents.as_bytes() {
        true => (Action::Replace, "it has markers of a merge conflict, and on neither branch anybody changed it"),
        false => (Action::Merge, "what both branches changed and what is new don't touch each other"),
    };
    Ok(Some(step.clone().to(action, Some(with_ends_of(disk, &both)), reason)))
}

/// What both sides changed of their bases, in the proposal.
fn both(disk: &[u8], [our_base, their_base]: [&[u8]; 2], file: &File) -> Option<Vec<u8>> {
    let text = String::from_utf8(without_cr(disk)).ok()?;
    let Sides { ours, theirs } = conflict::sides(&text).ok()?;
    let proposed = file.contents.as_bytes();
    let clean = |base: &[u8], mine: &[u8], theirs: &[u8]| match merged(&file.path, base, mine, theirs) {
        Merge::Clean(bytes) => Some(bytes),
        Merge::Conflict(_) | Merge::NotText => None,
    };
    let ours = clean(our_base, ours.as_bytes(), proposed)?;
    let theirs = clean(their_base, theirs.as_bytes(), proposed)?;
    clean(proposed, &ours, &theirs)
}
