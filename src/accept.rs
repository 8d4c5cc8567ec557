//! `accept`: an incompatible change is meant, and `potter.lock` remembers it with the reason.
//!
//! In: what the change is about. Out: what was added to the lock's history; the next run finds nothing wrong with it.
//! Nothing but the lock is written.

use std::path::{Path, PathBuf};

use crate::{
    diagnostic::{Diagnostics, suggestion},
    evolution::{self, Finding},
    history::{Accepted, Subject},
    lock::Lock,
    model::{self, Settings},
    output::{OutputError, Project},
};

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Request {
    /// The project's directory.
    pub output: PathBuf,
    /// What the change is about.
    pub subject: Subject,
    /// Why it is fine.
    pub reason: String,
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no project, and so no past that a change could break.
    #[error("{0} is no Potter project; name one with --output")]
    NoProject(PathBuf),
    /// The reason is empty.
    #[error("--reason is empty; say for whoever reads potter.lock in some years why the change is fine")]
    NoReason,
    /// Nothing about the subject asks to be accepted.
    #[error("there is nothing to accept about `{subject}`; {help}")]
    Nothing {
        /// What was to be accepted.
        subject: String,
        /// What could be.
        help: String,
    },
    /// Nothing is called so.
    #[error("there is no {what} `{subject}`; {help}")]
    Unknown {
        /// Whether it was to be an event or an rpc.
        what: &'static str,
        /// What was to be accepted.
        subject: String,
        /// What there is.
        help: String,
    },
    /// The protos are wrong.
    #[error("{0}")]
    Protos(Diagnostics),
    /// The project can't be read or written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Accepts every breaking change about a subject.
///
/// # Errors
/// See [`Error`]; nothing was written.
pub fn accept(request: &Request) -> Result<Vec<Accepted>, Error> {
    let none = || Error::NoProject(request.output.clone());
    let project = Project::open(&request.output).map_err(|error| match error {
        OutputError::NotAProject(_) => none(),
        error => error.into(),
    })?;
    let lock = project.lock().ok_or_else(none)?;
    let reason = Some(request.reason.trim()).filter(|it| !it.is_empty()).ok_or(Error::NoReason)?;
    let findings = findings(lock, project.root()).map_err(Error::Protos)?;
    let accepted = evolution::accept(&findings, &request.subject, reason);
    if accepted.is_empty() {
        refuse_unknown(&request.subject, lock, &findings)?;
        return Err(nothing(&request.subject, &findings));
    }
    let mut lock = lock.clone();
    lock.history.accept(&accepted);
    project.write(&[project.lock_change(&lock)])?;
    Ok(accepted)
}

/// What the project's protos break of its past.
fn findings(lock: &Lock, root: &Path) -> Result<Vec<Finding>, Diagnostics> {
    let descriptors = lock.input(root).descriptors()?;
    let (module, _) = model::build(&descriptors, &Settings { module: Some(lock.module.clone()) })?;
    Ok(evolution::findings(&lock.history, &module, &descriptors))
}

/// Refuses what neither the protos nor the past have.
fn refuse_unknown(subject: &Subject, lock: &Lock, findings: &[Finding]) -> Result<(), Error> {
    let acceptable = findings.iter().flat_map(|it| &it.acceptable).map(|it| &it.subject);
    let (what, mut known): (_, Vec<&str>) = match subject {
        Subject::Event(_) => ("event", lock.history.events.keys().map(String::as_str).collect()),
        Subject::Rpc(_) => ("rpc", lock.names.keys().filter_map(|it| it.strip_prefix("answer ")).collect()),
    };
    known.extend(acceptable.filter(|it| is_same_kind(it, subject)).map(Subject::name));
    if known.contains(&subject.name()) {
        return Ok(());
    }
    let help = suggestion(subject.name(), known.iter().copied());
    Err(Error::Unknown { what, subject: subject.name().to_owned(), help })
}

fn is_same_kind(one: &Subject, other: &Subject) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn nothing(subject: &Subject, findings: &[Finding]) -> Error {
    let breaking = findings.iter().filter(|it| it.is_breaking());
    let mut names: Vec<&str> = breaking.flat_map(|it| &it.acceptable).map(|it| it.subject.name()).collect();
    names.sort_unstable();
    names.dedup();
    let help = match names.as_slice() {
        [] => "nothing in the protos breaks what was recorded".to_owned(),
        names => suggestion(subject.name(), names.iter().copied()),
    };
    Error::Nothing { subject: subject.name().to_owned(), help }
}
