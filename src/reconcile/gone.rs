//! Files that are on disk or in the lock and no longer proposed.

use super::{Action, Past, Step, has_conflict_markers, is_as_written};
use crate::file::Class;
use crate::lock::LockedFile;
use crate::output::OutputError;

/// What happens to a file of the lock that is no longer proposed; `None` if it is gone already.
pub(super) fn step(path: &str, locked: &LockedFile, past: &Past<'_>) -> Result<Option<Step>, OutputError> {
    let before = (past.disk)(path)?;
    let step = Step::untouched(path, locked.class, &locked.symbol, before);
    if locked.class == Class::Append {
        return kept_for_good(step, locked, past).map(Some);
    }
    let Some(disk) = step.before.clone() else { return Ok(None) };
    let written = locked.base.as_ref().unwrap_or(&locked.emitted);
    Ok(Some(match () {
        () if is_own_proto(path, locked) && !past.allowed.prune => step.stays(
            Action::Orphan,
            "no proto of the module needs it any more, but a person wrote it; --prune removes it",
        ),
        () if is_as_written(&disk, written) => step.to(Action::Remove, None, "the protos no longer ask for it"),
        () if past.allowed.prune => {
            step.to(Action::Remove, None, "the protos no longer ask for it, and --prune was given")
        }
        () => step.stays(Action::Orphan, "the protos no longer ask for it, but you changed it; --prune removes it"),
    }))
}

/// What Potter copied into the project wasn't written by it.
fn is_own_proto(path: &str, locked: &LockedFile) -> bool {
    locked.class == Class::Seed && path.starts_with("proto/")
}

/// A migration stays, and comes back if it was deleted: databases may have it.
fn kept_for_good(step: Step, locked: &LockedFile, past: &Past<'_>) -> Result<Step, OutputError> {
    let base = past.base(locked.base.as_ref())?;
    Ok(match (&step.before, base) {
        (None, Some(base)) => step.to(Action::Create, Some(base), "it was deleted, and databases may have applied it"),
        (None, None) => step.stays(Action::LeaveChanged, "it was deleted, and no copy of it is left"),
        (Some(disk), _) if is_as_written(disk, &locked.emitted) => step.stays(Action::Keep, "it is as it was applied"),
        (Some(disk), _) if has_conflict_markers(disk) => step.stays(Action::Mark, "it has markers of a merge conflict"),
        (Some(_), Some(base)) if past.allowed.force => {
            step.to(Action::Overwrite, Some(base), "it was changed, and databases may have applied it")
        }
        (Some(_), _) => {
            step.stays(Action::LeaveChanged, "it was changed, and databases may have applied it; --force restores it")
        }
    })
}

/// What happens to a file that neither the lock nor the proposal knows: in a folder of Potter's it is an orphan, and
/// in a Rust file of the user's names follow, methods included.
pub(super) fn other(path: &str, past: &Past<'_>) -> Result<Option<Step>, OutputError> {
    let Some(disk) = (past.disk)(path)? else { return Ok(None) };
    let is_potters = is_in_potters_folder(path);
    let class = if is_potters { Class::Generated } else { Class::Seed };
    let step = Step::untouched(path, class, "", Some(disk.clone()));
    if is_potters {
        return Ok(Some(match past.allowed.prune {
            true => step.to(Action::Remove, None, "Potter doesn't know it, and --prune was given"),
            false => step.stays(
                Action::Orphan,
                "it is in a folder of Potter's, who doesn't know it; move it, or --prune removes it",
            ),
        }));
    }
    let Ok(text) = std::str::from_utf8(&disk) else { return Ok(None) };
    let renamed = past.renaming.of_all(text);
    let reason = past.renaming.told_of(text, &renamed);
    Ok((renamed != text).then(|| step.to(Action::Follow, Some(renamed.into_bytes()), reason)))
}

/// Whether all files of the folder that a path is in are generated.
pub fn is_in_potters_folder(path: &str) -> bool {
    ["src/generated/", "sdk/"].iter().any(|folder| path.starts_with(folder))
}
