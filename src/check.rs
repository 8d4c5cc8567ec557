//! `check`: do protos, lock and disk agree?
//!
//! In: a project. Out: a [`Check`], with a [`Finding`] for each place where they don't, and what is worth knowing
//! beside. It makes the very plan that `update` would carry out and reads it, so that the two can't disagree; nothing
//! is written.

mod unimplemented;

use std::collections::BTreeSet;
use std::fmt;

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::file::Class;
use crate::lock::{Hash, LOCK_PATH, Lock, LockedFile};
use crate::output::OutputError;
use crate::reconcile::{self, Action, DELETED, Step};
use crate::structured;
use crate::update::{self, Error, Plan, Request};

pub use unimplemented::Unimplemented;

/// What a check found.
#[derive(Debug, Default)]
pub struct Check {
    /// Where protos, lock and disk don't agree: first what is breaking, then by path.
    pub findings: Vec<Finding>,
    /// What seeds leave to be written: no finding, but worth knowing.
    pub unimplemented: Vec<Unimplemented>,
    /// What is worth saying of the protos; errors, where they are wrong and nothing could be compared.
    pub warnings: Diagnostics,
}

/// A place where protos, lock and disk don't agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub status: Status,
    /// The file, relative to the project; for BREAKING the proto as it was named.
    pub path: String,
    /// Line and column from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// Full name of the proto element that the file is there for.
    pub symbol: String,
    /// The code of a diagnostic, for BREAKING.
    pub code: Option<Code>,
    /// Why.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// What would change in the file, as a unified diff; for PENDING what is new in the proposal.
    pub diff: String,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It should be there.
    Missing,
    /// The protos ask for something else.
    Stale,
    /// It is Potter's, and somebody edited it.
    Modified,
    /// The protos don't ask for it.
    Orphan,
    /// A proposal waits for a person.
    Pending,
    /// The protos would make recorded events unreadable, or commands mean something else.
    Breaking,
    /// It is as it should be, laid out differently.
    FormatOnly,
    /// Only a newer Potter would write it differently.
    VersionOnly,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Missing,
        Self::Stale,
        Self::Modified,
        Self::Orphan,
        Self::Pending,
        Self::Breaking,
        Self::FormatOnly,
        Self::VersionOnly,
    ];

    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Missing => "a file that the protos or a `mod` line ask for is not there",
            Self::Stale => "a file is not what the protos ask for now",
            Self::Modified => "a file of Potter's was edited by hand",
            Self::Orphan => "a file is no longer asked for by the protos",
            Self::Pending => "a proposal for a file of yours waits for you",
            Self::Breaking => "the protos would break what is recorded",
            Self::FormatOnly => "a file is as it should be, laid out differently",
            Self::VersionOnly => "only a newer Potter would write a file differently",
        }
    }

    /// Whether it passes unless the check is strict.
    pub fn is_lenient(self) -> bool {
        matches!(self, Self::FormatOnly | Self::VersionOnly)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Missing => "MISSING",
            Self::Stale => "STALE",
            Self::Modified => "MODIFIED",
            Self::Orphan => "ORPHAN",
            Self::Pending => "PENDING",
            Self::Breaking => "BREAKING",
            Self::FormatOnly => "FORMAT_ONLY",
            Self::VersionOnly => "VERSION_ONLY",
        })
    }
}

impl Finding {
    fn new(status: Status, path: &str, message: &str, help: &str) -> Self {
        Self {
            status,
            path: path.to_owned(),
            place: None,
            symbol: String::new(),
            code: None,
            message: message.to_owned(),
            help: help.to_owned(),
            diff: String::new(),
        }
    }
}

impl Check {
    /// Of protos that are wrong: nothing could be compared with them.
    pub fn of_wrong(protos: Diagnostics) -> Self {
        Self { warnings: protos, ..Self::default() }
    }

    /// How it ends: 0 all is well, 1 something differs, 2 a person is needed, 3 the protos are wrong.
    pub fn exit_code(&self, strict: bool) -> u8 {
        let statuses = || self.findings.iter().map(|it| it.status);
        match () {
            () if self.warnings.has_errors() => 3,
            () if statuses().any(|it| matches!(it, Status::Pending | Status::Breaking)) => 2,
            () if statuses().any(|it| strict || !it.is_lenient()) => 1,
            () => 0,
        }
    }
}

/// Compares protos, lock and disk in both directions.
///
/// # Errors
/// The protos are wrong, or the project can't be read.
pub fn check(request: &Request) -> Result<Check, Error> {
    update::refuse_others(&request.output)?;
    match update::plan(request) {
        Ok(plan) => Ok(Check {
            findings: findings(&plan)?,
            unimplemented: unimplemented::find(&plan.steps),
            warnings: plan.warnings,
        }),
        Err(Error::Output(OutputError::Interrupted(_))) => {
            Ok(Check { findings: vec![interrupted()], ..Check::default() })
        }
        Err(error) => Err(error),
    }
}

fn findings(plan: &Plan) -> Result<Vec<Finding>, OutputError> {
    let is_version_only = is_version_only(plan)?;
    let of_files = plan.steps.iter().filter_map(|step| {
        let finding = of_step(plan, step)?;
        let is_by_version = is_version_only && is_by_version(step, plan.lock_before());
        Some(if is_by_version { Finding { status: Status::VersionOnly, ..finding } } else { finding })
    });
    let mut findings: Vec<Finding> = match plan.breaking.is_empty() {
        true => of_files.collect(),
        false => of_files.map(waiting).collect(),
    };
    findings.extend(of_modules(plan)?);
    findings.extend(of_bases(plan)?);
    findings.extend(of_lock(plan, findings.is_empty(), is_version_only)?);
    findings.extend(plan.breaking.iter().map(breaking));
    findings.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(findings)
}

/// A finding while something is breaking: `update` refuses, and what it would write may be another thing afterwards.
fn waiting(finding: Finding) -> Finding {
    match finding.status {
        Status::Missing | Status::Stale => {
            let help = "decide first on what is BREAKING; `potter-gen update` then writes it".to_owned();
            Finding { help, diff: String::new(), ..finding }
        }
        _ => finding,
    }
}

/// What is breaking comes first, wherever it is: some hosts of CI show only so many annotations.
fn order(finding: &Finding) -> impl Ord + '_ {
    (finding.status != Status::Breaking, &finding.path, finding.place, finding.status)
}

/// Whether a newer Potter is the only thing that changed since the last regeneration.
fn is_version_only(plan: &Plan) -> Result<bool, OutputError> {
    let Some(before) = plan.lock_before().filter(|it| it.generator != plan.lock.generator) else { return Ok(false) };
    if before.descriptor_set.is_some() {
        // Nothing tells whether the set is the one of the last time.
        return Ok(false);
    }
    for (path, locked) in before.files.iter().filter(|(path, _)| path.starts_with("proto/")) {
        if plan.read(path)?.is_none_or(|bytes| Hash::of(&bytes) != locked.emitted) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a newer Potter alone explains a step: nobody deleted, added or damaged the file, and nothing waited for a
/// person before.
fn is_by_version(step: &Step, before: Option<&Lock>) -> bool {
    let locked = before.and_then(|lock| lock.files.get(&step.path));
    let is_whole = || !step.before.as_deref().is_some_and(reconcile::has_conflict_markers);
    match step.action {
        Action::Create => !step.reason.starts_with(DELETED),
        Action::Replace | Action::Edit | Action::Merge | Action::Follow => is_whole(),
        Action::Remove | Action::Orphan => locked.is_some(),
        Action::SetAside => locked.is_some_and(|it| it.base.as_ref() == Some(&it.emitted)),
        _ => false,
    }
}

fn of_step(plan: &Plan, step: &Step) -> Option<Finding> {
    let before = plan.lock_before().and_then(|lock| lock.files.get(&step.path));
    let status = match step.class {
        Class::Structured => structured(step, before, plan.lock.files.get(&step.path)),
        Class::Append => append(step),
        Class::Generated | Class::Seed => plain(step),
    };
    let (status, message) = status?;
    let finding = Finding::new(status, &step.path, &message, help(status, step));
    let diff = if step.proposed.is_some() { step.news() } else { step.diff() };
    Some(Finding { symbol: step.symbol.clone(), diff, ..finding })
}

fn plain(step: &Step) -> Option<(Status, String)> {
    let reason = step.reason.clone();
    Some(match step.action {
        Action::Create => (Status::Missing, reason),
        Action::Decline => (Status::Missing, DELETED.to_owned()),
        Action::Replace if is_laid_out_differently(step) => (Status::FormatOnly, reason),
        Action::Replace | Action::Merge | Action::Follow | Action::Edit => (Status::Stale, reason),
        Action::Edited | Action::Overwrite => (Status::Modified, reason),
        Action::Remove | Action::Orphan => (Status::Orphan, reason),
        Action::SetAside | Action::Mark => (Status::Pending, reason),
        Action::Keep | Action::LeaveChanged | Action::Skip => return None,
    })
}

fn is_laid_out_differently(step: &Step) -> bool {
    let (Some(before), Some(after)) = (&step.before, &step.after) else { return false };
    let after = std::str::from_utf8(after).unwrap_or_default();
    step.class == Class::Generated && reconcile::differs_in_layout(&step.path, before, after)
}

/// Keys and lines of Potter's that the user changed since the last regeneration; `update` lets go of them.
fn structured(step: &Step, before: Option<&LockedFile>, after: Option<&LockedFile>) -> Option<(Status, String)> {
    let released = |file: Option<&LockedFile>| file.map(|it| it.released.clone()).unwrap_or_default();
    let known = released(before);
    let changed: Vec<String> = released(after).into_iter().filter(|it| !known.contains(it)).collect();
    match plain(step) {
        None if !changed.is_empty() => {
            Some((Status::Modified, format!("Potter's part was changed: {}", changed.join("; "))))
        }
        other => other,
    }
}

fn append(step: &Step) -> Option<(Status, String)> {
    let status = match (step.action, &step.before) {
        (Action::Keep, _) => return None,
        (Action::Mark, _) => Status::Pending,
        (Action::Create, _) | (_, None) => Status::Missing,
        _ => Status::Modified,
    };
    Some((status, step.reason.clone()))
}

fn help(status: Status, step: &Step) -> &'static str {
    match status {
        Status::Missing if step.action == Action::Decline => {
            "`potter-gen update` takes it that you don't want it; `potter-gen update --restore FILE` brings it back"
        }
        Status::Modified if step.class == Class::Structured => "`potter-gen update` leaves it to you from then on",
        Status::Modified => "undo the change, or `potter-gen update --force` restores it and keeps a copy",
        Status::Orphan if step.action == Action::Remove => "`potter-gen update` removes it",
        Status::Orphan => "move what you need, then remove it, or `potter-gen update --prune` does",
        Status::Pending if step.action == Action::Mark => "take one side of each conflict, and the markers out",
        Status::Pending => {
            "`potter-gen update --merge` takes both where they don't touch; or take over by hand what you want and \
             remove the file under .potter/pending/"
        }
        _ => "run `potter-gen update`",
    }
}

/// Modules that a file of the user's and Potter's declares, and of which there will be no file: it doesn't compile.
fn of_modules(plan: &Plan) -> Result<Vec<Finding>, OutputError> {
    let mut findings = Vec::new();
    let is_shared = |step: &&Step| step.class == Class::Structured && step.path.ends_with(".rs");
    for step in plan.steps.iter().filter(is_shared) {
        let text = String::from_utf8_lossy(step.after.as_deref().unwrap_or_default()).into_owned();
        let folder = step.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, name) in structured::modules(&text) {
            let (file, inner) = (format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs"));
            if !will_be_there(plan, &file)? && !will_be_there(plan, &inner)? {
                let message = format!("it declares `mod {name}`, and {file} is not there");
                let finding =
                    Finding::new(Status::Missing, &step.path, &message, "take the line out, or write the file");
                findings.push(Finding { place: Some((line, 1)), ..finding });
            }
        }
    }
    Ok(findings)
}

/// Whether an update leaves a file there.
fn will_be_there(plan: &Plan, path: &str) -> Result<bool, OutputError> {
    match plan.steps.iter().find(|step| step.path == path) {
        Some(step) => Ok(step.after.is_some()),
        None => Ok(plan.read(path)?.is_some()),
    }
}

/// What seeds and migrations are based on: without it nothing is merged or restored.
fn of_bases(plan: &Plan) -> Result<Vec<Finding>, OutputError> {
    let files = plan.lock_before().into_iter().flat_map(|lock| lock.files.values());
    let bases: BTreeSet<&Hash> = files.filter_map(|it| it.base.as_ref()).collect();
    let findings = bases.into_iter().map(|hash| of_base(plan, hash));
    findings.filter_map(Result::transpose).collect()
}

fn of_base(plan: &Plan, hash: &Hash) -> Result<Option<Finding>, OutputError> {
    let path = hash.base_path();
    let (status, message) = match plan.read(&path)? {
        None => (Status::Missing, "a copy that later merges stand on is gone"),
        Some(bytes) if !reconcile::is_as_written(&bytes, hash) => {
            (Status::Modified, "a copy that later merges stand on was changed, and so is not used")
        }
        Some(_) => return Ok(None),
    };
    let help = "take it back from version control; else `potter-gen update` writes anew what Potter still knows, and \
                goes on without the rest: changes can't be merged into what was based on it";
    Ok(Some(Finding::new(status, &path, message, help)))
}

/// The lock itself: files that are right and that it knows otherwise were written by protoc or buf.
fn of_lock(plan: &Plan, is_all_well: bool, is_version_only: bool) -> Result<Option<Finding>, OutputError> {
    let text = plan.read(LOCK_PATH)?.unwrap_or_default();
    let is_behind = plan.lock_before().is_some_and(|before| is_behind(before, plan));
    let (status, message) = match () {
        () if reconcile::has_conflict_markers(&text) => (Status::Stale, "it has markers of a merge conflict"),
        () if is_version_only => (Status::VersionOnly, "it was written by another version of Potter"),
        () if is_behind => (Status::Stale, "it lags behind files that protoc or buf regenerated"),
        () if is_all_well && plan.lock_differs()? => (Status::Stale, "it is not what the protos and files ask for"),
        () => return Ok(None),
    };
    Ok(Some(Finding::new(status, LOCK_PATH, message, "`potter-gen update` mends it")))
}

fn is_behind(before: &Lock, plan: &Plan) -> bool {
    let kept = plan.steps.iter().filter(|step| step.class == Class::Generated && step.action == Action::Keep);
    let mut emitted = kept.map(|step| {
        let of = |lock: &Lock| lock.files.get(&step.path).map(|it| it.emitted.clone());
        (of(before), of(&plan.lock))
    });
    emitted.any(|(before, now)| before != now)
}

fn breaking(diagnostic: &Diagnostic) -> Finding {
    let place = diagnostic.location.as_ref();
    let path = place.map(|it| it.file.as_str()).unwrap_or_default();
    let help = diagnostic.help.as_deref().unwrap_or_default();
    Finding {
        place: place.filter(|it| it.line > 0).map(|it| (it.line, it.column.max(1))),
        code: Some(diagnostic.code),
        symbol: diagnostic.symbol.clone().unwrap_or_default(),
        ..Finding::new(Status::Breaking, path, &diagnostic.message, help)
    }
}

fn interrupted() -> Finding {
    let help = "`potter-gen update` finishes its work";
    Finding::new(Status::Stale, ".potter/journal", "an update was interrupted", help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(status: Status, path: &str) -> Finding {
        let (path, text) = (path.to_owned(), String::new);
        let (symbol, message, help, diff) = (text(), text(), text(), text());
        Finding { status, path, place: None, symbol, code: None, message, help, diff }
    }

    #[test]
    fn what_is_breaking_comes_first_wherever_it_is() {
        let mut findings = [
            finding(Status::Stale, "a.rs"),
            finding(Status::Missing, "Cargo.toml"),
            finding(Status::Breaking, "z/shop.proto"),
        ];
        findings.sort_by(|a, b| order(a).cmp(&order(b)));
        assert_eq!(findings.map(|it| it.path), ["z/shop.proto", "Cargo.toml", "a.rs"]);
    }
}
