//! What a regeneration does to each file: the proposal, the lock and the disk, laid side by side.
//!
//! Pure: it gets bytes and gives [`Step`]s; what a dry run prints is what a run carries out.

use std::collections::BTreeMap;

use crate::file::{Class, File};
use crate::lock::{Hash, Lock, LockedFile};

/// What happens to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Relative to the project.
    pub path: String,
    /// Whose it is.
    pub class: Class,
    /// Full name of the proto element that it is there for.
    pub symbol: String,
    /// What happens.
    pub action: Action,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It wasn't there.
    Create,
    /// It has the proposed bytes already.
    Keep,
    /// The tool's, or a seed that nobody changed since it was written.
    Replace,
    /// The user changed it, and the proposal is what it was: left alone.
    LeaveChanged,
    /// The user changed it, and so did the proposal: left alone, the proposal is set aside.
    SetAside,
    /// The tool's, but edited by hand: the run stops.
    Edited,
    /// No longer proposed, and nobody changed it: removed.
    Remove,
    /// No longer proposed, but the user changed it: left alone, and reported.
    Orphan,
}

impl Action {
    /// Whether the user's own version of the file stays in place.
    pub fn leaves_the_users_file(self) -> bool {
        matches!(self, Self::LeaveChanged | Self::SetAside | Self::Orphan)
    }
}

/// The steps that lead from what is on disk to what is proposed, sorted by path.
///
/// `disk` gives a file's bytes, `None` where there is none.
pub fn steps(proposal: &[File], lock: Option<&Lock>, disk: impl Fn(&str) -> Option<Vec<u8>>) -> Vec<Step> {
    let known = |path: &str| lock.and_then(|lock| lock.files.get(path));
    let mut steps = BTreeMap::new();
    for file in proposal {
        let action = action(file, known(&file.path), disk(&file.path).as_deref());
        let step = Step { path: file.path.clone(), class: file.class, symbol: file.symbol.clone(), action };
        steps.insert(file.path.clone(), step);
    }
    for (path, locked) in lock.iter().flat_map(|lock| &lock.files) {
        if !steps.contains_key(path)
            && let Some(action) = action_when_gone(locked, disk(path).as_deref())
        {
            let step = Step { path: path.clone(), class: locked.class, symbol: locked.symbol.clone(), action };
            steps.insert(path.clone(), step);
        }
    }
    steps.into_values().collect()
}

fn action(file: &File, locked: Option<&LockedFile>, disk: Option<&[u8]>) -> Action {
    let Some(disk) = disk else { return Action::Create };
    if disk == file.contents.as_bytes() {
        return Action::Keep;
    }
    let proposed = Hash::of(file.contents.as_bytes());
    let untouched = locked.is_some_and(|locked| Hash::of(disk) == *locked.base.as_ref().unwrap_or(&locked.emitted));
    let proposed_before = locked.is_some_and(|locked| locked.emitted == proposed);
    match file.class {
        Class::Generated if untouched => Action::Replace,
        Class::Generated => Action::Edited,
        // What was applied to a database stays as it is.
        Class::Append => Action::LeaveChanged,
        Class::Seed | Class::Structured if untouched => Action::Replace,
        Class::Seed | Class::Structured if proposed_before => Action::LeaveChanged,
        Class::Seed | Class::Structured => Action::SetAside,
    }
}

/// What happens to a file that is no longer proposed; `None` if it is gone already.
fn action_when_gone(locked: &LockedFile, disk: Option<&[u8]>) -> Option<Action> {
    let untouched = Hash::of(disk?) == *locked.base.as_ref().unwrap_or(&locked.emitted);
    Some(match locked.class {
        Class::Append => Action::Keep,
        _ if untouched => Action::Remove,
        _ => Action::Orphan,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The action for a file of `class` that was proposed as `before`, is on disk as `disk` and proposed as `now`.
    fn told(class: Class, before: Option<&str>, disk: Option<&str>, now: Option<&str>) -> Option<Action> {
        let mut lock = Lock::new("shop");
        if let Some(before) = before {
            let emitted = Hash::of(before.as_bytes());
            lock.files.insert("f".into(), LockedFile { class, symbol: "s".into(), emitted, base: None });
        }
        let proposal: Vec<File> = now
            .map(|now| File { path: "f".into(), class, symbol: "s".into(), contents: now.into() })
            .into_iter()
            .collect();
        let steps = steps(&proposal, Some(&lock), |_| disk.map(|it| it.as_bytes().to_vec()));
        steps.first().map(|step| step.action)
    }

    #[test]
    fn the_ownership_table_holds() {
        use Action::*;
        use Class::*;
        let (a, b, c) = (Some("a"), Some("b"), Some("c"));
        for (class, before, disk, now, expected) in [
            (Generated, None, None, a, Some(Create)),
            (Generated, a, a, a, Some(Keep)),
            (Generated, a, a, b, Some(Replace)),
            (Generated, a, c, b, Some(Edited)),
            (Generated, None, c, b, Some(Edited)),
            (Generated, a, b, b, Some(Keep)),
            (Generated, a, a, None, Some(Remove)),
            (Generated, a, c, None, Some(Orphan)),
            (Seed, None, None, a, Some(Create)),
            (Seed, a, a, b, Some(Replace)),
            (Seed, a, c, a, Some(LeaveChanged)),
            (Seed, a, c, b, Some(SetAside)),
            (Seed, a, None, b, Some(Create)),
            (Seed, a, a, None, Some(Remove)),
            (Seed, a, c, None, Some(Orphan)),
            (Seed, a, None, None, None),
            (Append, a, c, b, Some(LeaveChanged)),
            (Append, a, a, None, Some(Keep)),
        ] {
            let actual = told(class, before, disk, now);
            assert_eq!(actual, expected, "{class}: before {before:?}, on disk {disk:?}, now {now:?}");
        }
    }
}
