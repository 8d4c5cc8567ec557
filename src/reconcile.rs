//! What a regeneration does to each file: the proposal, the lock and the disk, laid side by side.
//!
//! In: a [`Proposal`], the lock, a way to read files. Out: [`Step`]s, each with the bytes before and after. Nothing is
//! written here: what a dry run prints is what a run carries out. Before anything is decided, [`recall`] puts back into
//! the proposal what it would have forgotten.
//!
//! | part | decides on |
//! |---|---|
//! | here | files that are Potter's |
//! | `seed` | files that are the user's once they are written |
//! | `branches` | those of them in which version control left a conflict of two branches |
//! | `structured` | files of which some lines are Potter's |
//! | `gone` | files that are no longer proposed |

mod branches;
mod gone;
mod memory;
mod seed;
mod structured;

use std::collections::{BTreeMap, BTreeSet};

use crate::file::{Class, File};
use crate::lock::{Hash, Lock, LockedFile};
use crate::merge::unified;
use crate::output::OutputError;
use crate::proposal::Proposal;
use crate::rename::Renaming;
use crate::tokens;

pub use gone::is_in_potters_folder;
pub use memory::{Memory, recall};
pub use seed::PENDING;
pub(crate) use seed::merged;

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
    /// Why, for a person.
    pub reason: String,
    /// The bytes on disk.
    pub before: Option<Vec<u8>>,
    /// The bytes afterwards.
    pub after: Option<Vec<u8>>,
    /// The proposal, where it is not what comes afterwards.
    pub proposed: Option<Vec<u8>>,
    /// Where a proposal waits: what the file is based on, and so what is new in the proposal.
    pub base: Option<Vec<u8>>,
    /// Where the file was, if it moves.
    pub moved_from: Option<String>,
    /// Whether it is written with what the protos no longer tell, see [`recall`].
    pub recalled: bool,
}

/// The unified diff of two versions of a file, as far as they are text.
fn diff(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> String {
    let text = |bytes: Option<&[u8]>| std::str::from_utf8(bytes.unwrap_or_default()).map(str::to_owned).ok();
    let (Some(old), Some(new)) = (text(before), text(after)) else {
        return format!("{path} is no text\n");
    };
    let name = |side: &str, there: bool| if there { format!("{side}/{path}") } else { "/dev/null".to_owned() };
    unified(&old, &new, (&name("a", before.is_some()), &name("b", after.is_some())))
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
    /// Potter's keys or lines in it change, the user's stay.
    Edit,
    /// The user changed it, and there is nothing new for it: left alone.
    LeaveChanged,
    /// The user changed it, and so did the proposal: left alone, the proposal is set aside.
    SetAside,
    /// Both changed it, and the changes don't touch each other: both are taken.
    Merge,
    /// Both changed the same lines: both versions are put between markers.
    Mark,
    /// What it names is called differently now: the names in it follow.
    Follow,
    /// The tool's, but edited by hand: the run stops.
    Edited,
    /// The tool's, but edited by hand, or one that both changed, and it is to be overwritten: the old copy is kept aside.
    Overwrite,
    /// No longer proposed: removed.
    Remove,
    /// No longer proposed, but the user changed it; or it was never Potter's: left alone, and reported.
    Orphan,
    /// The user doesn't want it done now.
    Skip,
    /// The user deleted it, and the service does without it: it stays away.
    Decline,
}

impl Action {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Keep => "keep",
            Self::Replace => "replace",
            Self::Edit => "edit",
            Self::LeaveChanged => "leave",
            Self::SetAside => "pending",
            Self::Merge => "merge",
            Self::Mark => "conflict",
            Self::Follow => "rename",
            Self::Edited => "edited",
            Self::Overwrite => "overwrite",
            Self::Remove => "remove",
            Self::Orphan => "orphan",
            Self::Skip => "skip",
            Self::Decline => "declined",
        }
    }

    /// Whether a person has to look at the file before all is well.
    pub fn needs_a_person(self) -> bool {
        matches!(self, Self::SetAside | Self::Mark | Self::Edited)
    }
}

impl Step {
    /// Whether the file on disk is changed.
    pub fn writes(&self) -> bool {
        self.before != self.after || self.moved_from.is_some()
    }

    /// Whether the user's file has markers of a conflict afterwards.
    pub fn is_marked(&self) -> bool {
        let may_be = self.class == Class::Seed && !matches!(self.action, Action::Keep | Action::Create);
        may_be && self.after.as_deref().is_some_and(has_conflict_markers)
    }

    /// What changes on disk, as a unified diff.
    pub fn diff(&self) -> String {
        diff(&self.path, self.before.as_deref(), self.after.as_deref())
    }

    /// What is new in the proposal that waits, as a unified diff; nothing if none does.
    pub fn news(&self) -> String {
        let base = self.base.as_deref().or(self.before.as_deref());
        self.proposed.as_deref().map(|it| diff(&self.path, base, Some(it))).unwrap_or_default()
    }

    /// A file of which nothing has been decided yet.
    pub(crate) fn untouched(path: &str, class: Class, symbol: &str, before: Option<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            class,
            symbol: symbol.to_owned(),
            action: Action::Keep,
            reason: String::new(),
            after: before.clone(),
            before,
            proposed: None,
            base: None,
            moved_from: None,
            recalled: false,
        }
    }

    /// The file becomes another.
    pub(crate) fn to(mut self, action: Action, after: Option<Vec<u8>>, reason: impl Into<String>) -> Self {
        self.action = action;
        self.after = after;
        self.reason = reason.into();
        self
    }

    /// The proposal waits for a person, with what the file is based on.
    fn offered(mut self, file: &File, base: Option<Vec<u8>>) -> Self {
        self.proposed = Some(file.contents.clone().into_bytes());
        self.base = base;
        self
    }

    /// The file stays as it is.
    pub(crate) fn stays(mut self, action: Action, reason: impl Into<String>) -> Self {
        self.after = self.before.clone();
        self.action = action;
        self.reason = reason.into();
        self.moved_from = None;
        self
    }
}

/// What the user allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Hand-edited files of the tool are overwritten.
    pub force: bool,
    /// Orphans are removed.
    pub prune: bool,
    /// Changes on both sides are merged where they don't touch.
    pub merge: bool,
    /// Where they do, both versions are put between markers.
    pub markers: bool,
}

/// What there is beside the proposal.
pub struct Past<'a> {
    /// The lock; none for a new project.
    pub lock: Option<&'a Lock>,
    /// What is called differently now.
    pub renaming: &'a Renaming,
    /// What the user allows.
    pub allowed: Allowed,
    /// Files that were deleted and are wanted back.
    pub restored: &'a [String],
    /// Whether version control checks the project out with CRLF, as the lock shows: line ends are its affair then.
    pub has_crlf: bool,
    /// Files in folders of Potter's, and the user's Rust files: what else there is on disk.
    pub others: &'a BTreeSet<String>,
    /// Gives a file's bytes, `None` where there is none.
    #[allow(clippy::type_complexity, reason = "it is one function, and it is written out once")]
    pub disk: &'a dyn Fn(&str) -> Result<Option<Vec<u8>>, OutputError>,
}

impl Past<'_> {
    fn locked(&self, path: &str) -> Option<&LockedFile> {
        self.lock.and_then(|lock| lock.files.get(path))
    }

    /// What the other of two branches knows of a file, where their locks are in conflict.
    fn other(&self, path: &str) -> Option<&LockedFile> {
        self.lock.and_then(|lock| lock.others.get(path))
    }

    /// The bytes of a base, if they are still there as they were written; a checkout may have given them other line
    /// ends.
    fn base(&self, hash: Option<&Hash>) -> Result<Option<Vec<u8>>, OutputError> {
        let Some(hash) = hash else { return Ok(None) };
        let bytes = (self.disk)(&hash.base_path())?.filter(|bytes| is_as_written(bytes, hash));
        Ok(bytes.map(|bytes| without_cr(&bytes)))
    }
}

/// The steps that lead from what is on disk to what is proposed, sorted by path.
///
/// # Errors
/// A file can't be read.
pub fn steps(proposal: &Proposal, past: &Past<'_>) -> Result<Vec<Step>, OutputError> {
    let mut steps = BTreeMap::new();
    let moves = moves(proposal, past)?;
    for file in &proposal.files {
        let step = step(file, moves.get(&file.path).map(String::as_str), past)?;
        steps.insert(file.path.clone(), step);
    }
    for (path, locked) in past.lock.iter().flat_map(|lock| &lock.files) {
        if !steps.contains_key(path) && !moves.values().any(|old| old == path) {
            steps.extend(gone::step(path, locked, past)?.map(|it| (path.clone(), it)));
        }
    }
    for path in past.others.iter().filter(|path| !moves.values().any(|old| old == *path)) {
        if !steps.contains_key(path) {
            steps.extend(gone::other(path, past)?.map(|it| (path.clone(), it)));
        }
    }
    Ok(steps.into_values().collect())
}

/// Old path by new path.
type Moves = BTreeMap<String, String>;

/// The files that move. Where somebody has a file already, nothing moves to.
fn moves(proposal: &Proposal, past: &Past<'_>) -> Result<Moves, OutputError> {
    let locked = past.lock.iter().flat_map(|lock| lock.files.keys());
    let moved = locked.filter_map(|old| past.renaming.moved(old).map(|new| (new, old.as_str())));
    let is_proposed = |path: &str| proposal.files.iter().any(|it| it.path == path);
    let wanted = moved.filter(|(new, old)| past.locked(new).is_none() && is_proposed(new) && !is_proposed(old));
    let mut moves = Moves::new();
    for (new, old) in wanted {
        if (past.disk)(new)?.is_none() {
            moves.insert(new.to_owned(), old.to_owned());
        }
    }
    Ok(moves)
}

fn step(file: &File, moved_from: Option<&str>, past: &Past<'_>) -> Result<Step, OutputError> {
    let there = moved_from.unwrap_or(&file.path);
    let before = (past.disk)(there)?;
    let locked = past.locked(there);
    let unmoved = Step::untouched(&file.path, file.class, &file.symbol, before);
    let step = Step { moved_from: moved_from.map(str::to_owned), ..unmoved };
    let Some(disk) = step.before.clone() else { return Ok(missing(step, file, locked, past)) };
    let proposed = file.contents.as_bytes();
    if is_same(&disk, proposed) && step.moved_from.is_none() {
        return Ok(match file.class == Class::Generated && disk != proposed && !past.has_crlf {
            true => step.to(Action::Replace, Some(proposed.to_vec()), "its line ends are not the project's"),
            false => step.stays(Action::Keep, "it is as it should be"),
        });
    }
    match file.class {
        Class::Generated => Ok(generated(step, &disk, file, [locked, past.other(there)], past.allowed)),
        Class::Append => Ok(step.stays(Action::LeaveChanged, "what may have been applied is never changed")),
        Class::Structured => Ok(structured::step(step, &disk, file, locked)),
        Class::Seed => match branches::united(&step, &disk, file, past)? {
            Some(united) => Ok(united),
            None => without_markers(seed::step(step, &disk, file, locked, past)?, &disk, file, locked, past),
        },
    }
}

/// As long as a conflict's markers are in a seed, nothing is merged into it: a person takes them out first.
fn without_markers(
    step: Step,
    disk: &[u8],
    file: &File,
    locked: Option<&LockedFile>,
    past: &Past<'_>,
) -> Result<Step, OutputError> {
    if !has_conflict_markers(disk) {
        return Ok(step);
    }
    Ok(match step.action {
        Action::LeaveChanged => step.stays(Action::Mark, MARKED),
        Action::Merge | Action::Mark if step.writes() => {
            let base = past.base(locked.and_then(|it| it.base.as_ref()))?;
            step.offered(file, base).stays(Action::SetAside, MARKED)
        }
        Action::SetAside => Step { reason: format!("{MARKED}; {}", step.reason), ..step },
        Action::Follow => Step { reason: format!("{}; {MARKED}", step.reason), ..step },
        _ => step,
    })
}

/// Why a file waits for a person, whatever else is to be said of it.
const MARKED: &str = "markers of a conflict are left in it; take one side of each, and the markers out";

fn missing(step: Step, file: &File, locked: Option<&LockedFile>, past: &Past<'_>) -> Step {
    let step = Step { moved_from: None, ..step };
    if past.restored.contains(&file.path) {
        return create(step, file, "you want it back");
    }
    match locked {
        None => create(step, file, "the protos ask for it"),
        Some(_) if !seed::is_dispensable(file) => create(step, file, DELETED),
        Some(locked) if locked.declined => step.stays(Action::Keep, "you don't want it"),
        Some(_) => {
            step.stays(Action::Decline, format!("{DELETED}, and stays away; --restore {} brings it back", file.path))
        }
    }
}

/// Why a file that was there is missing.
pub(crate) const DELETED: &str = "it was deleted";

fn create(step: Step, file: &File, reason: &str) -> Step {
    let after = Some(file.contents.clone().into_bytes());
    step.to(Action::Create, after, reason)
}

/// Line ends are the checkout's affair.
fn is_same(disk: &[u8], proposed: &[u8]) -> bool {
    disk == proposed || is_crlf(disk) && without_cr(disk) == proposed
}

fn is_crlf(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|it| it == b"\r\n")
}

fn without_cr(bytes: &[u8]) -> Vec<u8> {
    let ends_line = |at: usize| bytes.get(at + 1) == Some(&b'\n');
    let kept = bytes.iter().enumerate().filter(|(at, byte)| **byte != b'\r' || !ends_line(*at));
    kept.map(|(_, byte)| *byte).collect()
}

/// Whether the bytes are those that were written, line ends aside.
pub(crate) fn is_as_written(disk: &[u8], written: &Hash) -> bool {
    Hash::of(disk) == *written || is_crlf(disk) && Hash::of(&without_cr(disk)) == *written
}

fn generated(step: Step, disk: &[u8], file: &File, locked: [Option<&LockedFile>; 2], allowed: Allowed) -> Step {
    let after = Some(file.contents.clone().into_bytes());
    let mut known = locked.into_iter().flatten();
    match () {
        () if known.clone().any(|it| is_as_written(disk, &it.emitted)) => {
            step.to(Action::Replace, after, "the protos or Potter changed")
        }
        () if has_conflict_markers(disk) => step.to(Action::Replace, after, "it has markers of a merge conflict"),
        () if differs_in_layout(&file.path, disk, &file.contents) => {
            step.to(Action::Replace, after, "it was laid out differently")
        }
        () if known.any(|it| is_as_meant(&file.path, disk, it)) => {
            step.to(Action::Replace, after, "the protos or Potter changed, and it was laid out differently")
        }
        () if allowed.force => step.to(Action::Overwrite, after, "it was edited by hand, and is Potter's"),
        () => step.to(Action::Edited, after, "it was edited by hand, and is Potter's"),
    }
}

/// Whether a file still says what was written, laid out differently.
fn is_as_meant(path: &str, disk: &[u8], locked: &LockedFile) -> bool {
    let said = meaning(path, disk);
    said.is_some() && said == locked.meaning
}

/// The hash of what a file says, its layout left out; none for what can't be read.
pub(crate) fn meaning(path: &str, contents: &[u8]) -> Option<Hash> {
    let text = std::str::from_utf8(contents).ok()?;
    let said = match path.rsplit('.').next() {
        Some("rs") => tokens::without_layout(text),
        Some("json") => serde_json::from_str::<serde_json::Value>(text).ok()?.to_string(),
        _ => text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"),
    };
    Some(Hash::of(said.as_bytes()))
}

/// Whether two versions of a file say the same, laid out differently.
pub fn differs_in_layout(path: &str, disk: &[u8], proposed: &str) -> bool {
    let said = meaning(path, disk);
    said.is_some() && said == meaning(path, proposed.as_bytes())
}

/// Whether version control, or Potter, left both sides of a conflict in a file.
pub fn has_conflict_markers(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    ['<', '=', '>'].iter().all(|sign| text.lines().any(|line| is_marker(line, *sign)))
}

/// Seven signs or more, and behind them nothing or what the side is called.
fn is_marker(line: &str, sign: char) -> bool {
    let label = line.trim_start_matches(sign);
    line.len() - label.len() >= 7 && (label.trim().is_empty() || label.starts_with(' '))
}

#[cfg(test)]
mod tests;
