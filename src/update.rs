//! `init`, `generate` and `update`: from protos to a project on disk.
//!
//! In: what the command line says. Out: a [`Plan`], which says what would be done to each file and why, and which is
//! then carried out as it is. The stages before do the thinking; here they are put in a row:
//!
//! `protos → model → judge → propose → recall → reconcile → record → changes → output`
//!
//! | part | in | out |
//! |---|---|---|
//! | `request` | the command line, the lock | what is asked for, the remembered filled in |
//! | `judge` | the lock's history, the model | what recorded events and callers will notice |
//! | `apart` | the plan | it, unless the project's protos are others than those that are named |
//! | `record` | the proposal and its steps | the new lock |
//! | `changes` | the same | every change to the disk, bases and pending proposals included |
//! | `bases` | the plan | its lock without what seeds are based on and is gone, and its steps with a word on that |
//! | `upkeep` | the changes | those of Potter's own records, for whoever reads the plan |

mod answer;
mod apart;
mod bases;
mod changes;
mod judge;
mod record;
mod request;
mod tree;
mod upkeep;

use std::collections::BTreeSet;
use std::path::Path;

use crate::diagnostic::{Diagnostics, nearest};
use crate::lock::{LOCK_PATH, Lock};
use crate::migrations;
use crate::model::{self, Module, Settings};
use crate::output::{Change, OutputError, Project};
use crate::plan::history::fixtures;
use crate::proposal::{Past, Proposal, Source, propose};
use crate::reconcile::{self, Action, Step, recall, steps};
use crate::rename::Renaming;
use crate::render::Bug;

pub use answer::Answer;
pub use judge::{Judgement, judge};
pub use request::Request;
pub use upkeep::is_copy;

/// What a run does, before it does it.
#[derive(Debug)]
pub struct Plan {
    /// What was found worth saying in the protos, and of what changed in them.
    pub warnings: Diagnostics,
    /// What stops the run: stored events could no longer be read, or commands would mean something else.
    pub breaking: Diagnostics,
    /// The model.
    pub module: Module,
    /// What is done to each file, sorted by path.
    pub steps: Vec<Step>,
    /// What is done to Potter's own records beside: the lock, and what is below `.potter/`.
    pub upkeep: Vec<Step>,
    /// Whether there was no project before.
    pub is_new: bool,
    /// Every change to the disk.
    changes: Vec<Change>,
    pub(crate) lock: Lock,
    proposal: Proposal,
    project: Project,
    wants_clean_tree: bool,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The protos are wrong.
    #[error("{0}")]
    Protos(Diagnostics),
    /// The change would break what is recorded.
    #[error("{0}")]
    Breaking(Diagnostics),
    /// There is no project, and no proto was named to make one.
    #[error("{0} is no Potter project; `potter-gen init` makes one")]
    NoProject(String),
    /// The project can't be read or written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Files of the tool were edited by hand.
    #[error("edited by hand, and they are Potter's: {}; move your changes, or use --force, which keeps the old files under .potter/edited/", .0.join(", "))]
    Edited(Vec<String>),
    /// Markers would be written among changes that aren't committed.
    #[error(
        "--conflict=markers wants a working tree without uncommitted changes, so that it can be undone: {0}; commit first, or use --allow-dirty"
    )]
    Dirty(String),
    /// The project's protos are neither those that were named nor what they were.
    #[error(
        "{} {} changed in the project, and --proto names another: the project would contradict itself, and nothing was written; take over into one what is new in the other, or use --merge, which generates from both where they don't touch",
        .0.join(", "),
        if .0.len() == 1 { "was" } else { "were" }
    )]
    Apart(Vec<String>),
    /// The project has samples of events in shapes that the lock doesn't know.
    #[error(
        "potter.lock doesn't know the shapes of {}: it lost what it knew of the past, as when one side of a merge was taken; take it back from version control, as with `git checkout -- potter.lock`, or leave both sides in it with the conflict's markers, and `potter-gen update` unites them; if no such event was ever recorded, remove the files",
        .0.join(", ")
    )]
    Forgotten(Vec<String>),
    /// The framework isn't where it was said to be.
    #[error(
        "--framework path:{0}: there is no checkout of Potter; name the folder that has framework/potter/Cargo.toml"
    )]
    NoFramework(String),
    /// A proto was named twice.
    #[error("--proto {0} was given twice; name each file once")]
    Twice(String),
    /// A file can't be brought back.
    #[error("--restore {0}: {1}")]
    Restore(String, String),
    /// Potter is wrong.
    #[error(transparent)]
    Bug(#[from] Bug),
}

impl Error {
    /// Whether a person has to decide; otherwise the input is invalid.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Breaking(_) | Self::Edited(_) | Self::Forgotten(_) | Self::Dirty(_) | Self::Apart(_))
    }
}

/// Generates a project, or brings an existing one up to date.
///
/// # Errors
/// See [`Error`]; nothing was written.
pub fn run(request: &Request) -> Result<Plan, Error> {
    Project::recover(&request.output)?;
    let plan = plan(request)?;
    plan.carry_out()?;
    Ok(plan)
}

/// What [`run`] would do. Nothing is written.
///
/// # Errors
/// See [`Error`].
pub fn plan(request: &Request) -> Result<Plan, Error> {
    request.refuse_mistakes()?;
    apart::settled(planned(request)?, request, planned)
}

fn planned(request: &Request) -> Result<Plan, Error> {
    let project = Project::look(&request.output)?;
    let (source, warnings) = source(request, &project)?;
    let judgement = judge(project.lock(), &source);
    let warnings = denied(warnings, judgement.warnings, request)?;
    let past = Past { lock: project.lock().cloned(), migrations: migrations_on_disk(&project)? };
    let mut proposal = propose(&source, &past)?;
    refuse_to_forget(&proposal, &project)?;
    let steps = reconciled(&mut proposal, &source.module, request, &project)?;
    refuse_restoring(&request.restored, &proposal, &steps)?;
    let lock =
        record::lock(&record::Run { request, source: &source, proposal: &proposal, before: project.lock() }, &steps);
    let mut plan = Plan {
        warnings,
        breaking: judgement.breaking,
        module: source.module,
        is_new: project.lock().is_none(),
        wants_clean_tree: request.allowed.markers && !request.allow_dirty,
        steps,
        upkeep: Vec::new(),
        changes: Vec::new(),
        lock,
        proposal,
        project,
    };
    plan.settle()?;
    Ok(plan)
}

/// All warnings together, unless one of them is to be an error.
fn denied(mut warnings: Diagnostics, others: Diagnostics, request: &Request) -> Result<Diagnostics, Error> {
    warnings.append(others);
    let all = warnings.deny(&request.deny).sorted();
    if all.has_errors() { Err(Error::Protos(all)) } else { Ok(all) }
}

/// Compiles the protos and understands them.
fn source(request: &Request, project: &Project) -> Result<(Source, Diagnostics), Error> {
    let asked =
        request.filled_in(project.lock()).ok_or_else(|| Error::NoProject(request.output.display().to_string()))?;
    let descriptors = asked.input.descriptors().map_err(Error::Protos)?;
    let settings = Settings { module: asked.module };
    let (module, warnings) = model::build(&descriptors, &settings).map_err(Error::Protos)?;
    Ok((Source { descriptors, module, framework: asked.framework }, warnings))
}

/// Whoever has a sample of an event in some shape may have recorded such events.
fn refuse_to_forget(proposal: &Proposal, project: &Project) -> Result<(), Error> {
    let shapes = proposal.history.events.iter().flat_map(|(event, it)| it.shapes.iter().map(move |it| (event, it)));
    let known: BTreeSet<String> = shapes.map(|(event, shape)| fixtures::path(event, shape)).collect();
    let on_disk = project.list(fixtures::FOLDER)?.into_iter();
    // Of a shape that was given up on purpose, the file alone is known.
    let is_known = |path: &String| known.contains(path) || project.lock().is_some_and(|it| it.files.contains_key(path));
    let forgotten: Vec<String> = on_disk.filter(|path| fixtures::is_fixture(path) && !is_known(path)).collect();
    if forgotten.is_empty() { Ok(()) } else { Err(Error::Forgotten(forgotten)) }
}

/// What is to come back must be Potter's to write, and be gone.
fn refuse_restoring(paths: &[String], proposal: &Proposal, steps: &[Step]) -> Result<(), Error> {
    let is_back = |path: &&String| steps.iter().any(|it| it.path == **path && it.action == Action::Create);
    let Some(path) = paths.iter().find(|path| !is_back(path)) else { return Ok(()) };
    let known = proposal.files.iter().map(|it| it.path.as_str());
    let why = match proposal.files.iter().any(|it| it.path == *path) {
        true => "it is there; delete it first if you want it as Potter would write it".to_owned(),
        false => match nearest(path, known) {
            Some(near) => format!("Potter writes no such file; did you mean `{near}`?"),
            None => "Potter writes no such file; name one as seen from the project's folder".to_owned(),
        },
    };
    Err(Error::Restore(path.clone(), why))
}

fn migrations_on_disk(project: &Project) -> Result<std::collections::BTreeSet<String>, OutputError> {
    Ok(project.list(migrations::FOLDER)?.into_iter().filter(|path| migrations::is_migration(path)).collect())
}

fn reconciled(
    proposal: &mut Proposal,
    module: &Module,
    request: &Request,
    project: &Project,
) -> Result<Vec<Step>, OutputError> {
    let none = Lock::new("");
    let before = &project.lock().unwrap_or(&none).names;
    let renaming = Renaming::between(before, &proposal.names, module, &proposal.versions);
    let mut others = project.list("src/generated")?;
    others.extend(project.list("sdk")?);
    if !renaming.is_empty() {
        let of_user = project.list("src")?.into_iter().chain(project.list("tests")?);
        others.extend(of_user.filter(|path| path.ends_with(".rs")));
    }
    let disk = |path: &str| project.read(path);
    let past = reconcile::Past {
        lock: project.lock(),
        renaming: &renaming,
        allowed: request.allowed,
        restored: &request.restored,
        has_crlf: project.has_crlf(),
        others: &others,
        disk: &disk,
    };
    let memory = recall(proposal, &past)?;
    let mut steps = steps(proposal, &past)?;
    memory.note(&mut steps);
    Ok(steps)
}

impl Plan {
    /// Does what the plan says, as a whole or not at all.
    ///
    /// # Errors
    /// The plan needs a person first, or the project can't be written; it is as it was.
    pub fn carry_out(&self) -> Result<(), Error> {
        self.refuse_undecided()?;
        Ok(self.project.write(&self.changes)?)
    }

    /// Takes in what follows from the steps and the lock.
    fn settle(&mut self) -> Result<(), OutputError> {
        bases::let_go(self)?;
        self.changes = changes::changes(self)?;
        self.upkeep = upkeep::upkeep(self)?;
        Ok(())
    }

    /// Why the plan can't be carried out, if it can't.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn refuse(&self) -> Result<(), Error> {
        self.refuse_undecided()?;
        Ok(self.project.refuse(&self.changes)?)
    }

    /// Stops where a person has to decide first.
    fn refuse_undecided(&self) -> Result<(), Error> {
        if self.breaking.has_errors() {
            return Err(Error::Breaking(self.breaking.clone()));
        }
        let edited = self.steps.iter().filter(|step| step.action == Action::Edited);
        let edited: Vec<String> = edited.map(|step| step.path.clone()).collect();
        if !edited.is_empty() {
            return Err(Error::Edited(edited));
        }
        let marks = self.steps.iter().any(|step| step.action == Action::Mark && step.writes());
        if marks && self.wants_clean_tree {
            tree::refuse_dirty(self.project.root()).map_err(Error::Dirty)?;
        }
        Ok(())
    }

    /// Whether a file waits for a person.
    pub fn needs_a_person(&self) -> bool {
        self.breaking.has_errors()
            || self.steps.iter().any(|step| step.action.needs_a_person() || step.proposed.is_some() || step.is_marked())
    }

    /// Whether the lock on disk is not the one that would be written.
    ///
    /// # Errors
    /// It can't be read.
    pub fn lock_differs(&self) -> Result<bool, OutputError> {
        let before = self.read(LOCK_PATH)?;
        Ok(self.changes.iter().any(|it| it.path == LOCK_PATH && it.contents != before))
    }

    /// The lock that was there before.
    pub fn lock_before(&self) -> Option<&Lock> {
        self.project.lock()
    }

    /// The bytes of a file of the project.
    ///
    /// # Errors
    /// The file system fails.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, OutputError> {
        self.project.read(path)
    }
}

/// Makes sure that there is a project, for a command that needs one.
///
/// # Errors
/// There is none; what to do depends on what there is.
pub fn refuse_others(path: &Path) -> Result<(), Error> {
    if is_project(path) {
        return Ok(());
    }
    match Project::look(path) {
        Ok(_) | Err(OutputError::NotAProject(_)) => Err(Error::NoProject(path.display().to_string())),
        Err(error @ OutputError::WithoutLock(_)) => Err(error.into()),
        // Whoever goes on tells of it.
        Err(_) => Ok(()),
    }
}

/// Whether a path is that of a project.
pub fn is_project(path: &Path) -> bool {
    path.join(LOCK_PATH).is_file()
}
