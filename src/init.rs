//! `init` and `generate`: from protos to a project on disk.
//!
//! In: what the command line says. Out: the project, and a [`Report`] of what was done. The stages before do the
//! thinking; here they are put in a row, and what they propose is weighed against what is on disk.

use std::path::{Path, PathBuf};

use crate::descriptors::{self, Descriptors, ProtoFile};
use crate::diagnostic::Diagnostics;
use crate::docs::Comments;
use crate::file::{Class, File};
use crate::framework::Framework;
use crate::history::History;
use crate::lock::{Hash, LOCK_PATH, Lock, LockedFile};
use crate::model::{self, Module, Settings};
use crate::output::{Change, OutputError, Project};
use crate::reconcile::{Action, Step, steps};
use crate::render::Bug;
use crate::{evolution, plan, project};

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Request {
    /// The protos to generate from.
    pub protos: Vec<PathBuf>,
    /// Where imports are looked up.
    pub proto_paths: Vec<PathBuf>,
    /// Name of the module, instead of the services'.
    pub module: Option<String>,
    /// The project's directory.
    pub output: PathBuf,
    /// Where the framework comes from; `None`: wherever it can be found.
    pub framework: Option<Framework>,
    /// Whether hand-edited files of the tool are overwritten; the old ones are kept aside.
    pub force: bool,
}

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// What was found worth saying in the protos.
    pub warnings: Diagnostics,
    /// The model.
    pub module: Module,
    /// What was done to each file, sorted by path.
    pub steps: Vec<Step>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The protos are wrong.
    #[error("{0}")]
    Protos(Diagnostics),
    /// Recorded events could not be read any more, or commands would mean something else.
    #[error("{0}")]
    Breaking(Diagnostics),
    /// The project can't be read or written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Files of the tool were edited by hand.
    #[error("edited by hand, and they are Potter's: {}; move your changes, or use --force, which keeps the old files under .potter/edited/", .0.join(", "))]
    Edited(Vec<String>),
    /// Potter is wrong.
    #[error(transparent)]
    Bug(#[from] Bug),
}

/// Generates a project, or brings an existing one up to date.
///
/// # Errors
/// See [`Error`]; nothing was written.
pub fn generate(request: &Request) -> Result<Report, Error> {
    let project = Project::open(&request.output)?;
    let descriptors = descriptors::compile(&request.protos, &request.proto_paths).map_err(Error::Protos)?;
    let settings = Settings { module: request.module.clone() };
    let (module, mut warnings) = model::build(&descriptors, &settings).map_err(Error::Protos)?;
    warnings.append(compare(project.lock(), &module, &descriptors).map_err(Error::Breaking)?);
    let framework = framework(request, &project);
    let history = history(project.lock(), &module);
    let proposal = propose(&module, &descriptors, &framework, &history)?;
    let steps = steps(&proposal, project.lock(), |path| project.read(path).ok().flatten());
    refuse_edited(&steps, request.force)?;
    let lock = lock(&module, &descriptors, &framework, &proposal, &steps, project.lock());
    let changes = changes(&proposal, &steps, &lock, &project)?;
    project.write(&changes)?;
    Ok(Report { warnings, module, steps })
}

/// Compares the module with all that the lock remembers; gives what is worth saying.
fn compare(lock: Option<&Lock>, module: &Module, descriptors: &Descriptors) -> Result<Diagnostics, Diagnostics> {
    lock.map_or_else(|| Ok(Diagnostics::new()), |lock| evolution::judge(&lock.history, module, descriptors))
}

/// What the lock remembers, and with it what there is now.
fn history(before: Option<&Lock>, module: &Module) -> History {
    before.map(|before| before.history.clone()).unwrap_or_default().with(module)
}

/// Every file that a project should have.
fn propose(
    module: &Module,
    descriptors: &Descriptors,
    framework: &Framework,
    history: &History,
) -> Result<Vec<File>, Bug> {
    let comments = Comments::of(descriptors.pool().files());
    let protos = import_names(descriptors);
    let mut files = plan::files(module, descriptors, history)?;
    files.extend(project::files(module, &project::Setting { framework, protos: &protos, comments: &comments })?);
    files.extend(descriptors.protos().iter().map(|proto| proto_file(module, proto)));
    files.sort();
    Ok(files)
}

/// The project has its own copy of each proto, so that it can be regenerated, and so that editors and protoc find
/// all imports.
fn proto_file(module: &Module, proto: &ProtoFile) -> File {
    File {
        path: format!("proto/{}", proto.name),
        // What came along with Potter stays Potter's.
        class: if proto.path.is_some() { Class::Seed } else { Class::Generated },
        symbol: module.name.clone(),
        contents: proto.text.clone(),
    }
}

fn import_names(descriptors: &Descriptors) -> Vec<String> {
    descriptors.files().iter().map(|file| file.name().to_owned()).collect()
}

/// As the command line says, else as before, else as detected.
fn framework(request: &Request, project: &Project) -> Framework {
    let here = std::env::current_dir().unwrap_or_default();
    let before = project.lock().and_then(|lock| lock.framework.parse().ok());
    match &request.framework {
        Some(given) => given.clone().seen_from(&here),
        None => before.unwrap_or_else(|| Framework::detect(&crate::framework::normalise(&here.join(&request.output)))),
    }
}

fn refuse_edited(steps: &[Step], force: bool) -> Result<(), Error> {
    let edited = steps.iter().filter(|step| step.action == Action::Edited);
    let edited: Vec<String> = edited.map(|step| step.path.clone()).collect();
    if edited.is_empty() || force { Ok(()) } else { Err(Error::Edited(edited)) }
}

/// The new lock: what is proposed now, and what became of it.
fn lock(
    module: &Module,
    descriptors: &Descriptors,
    framework: &Framework,
    proposal: &[File],
    steps: &[Step],
    before: Option<&Lock>,
) -> Lock {
    let mut lock = Lock::new(&module.name);
    lock.protos = import_names(descriptors).into_iter().map(|name| format!("proto/{name}")).collect();
    lock.proto_paths = vec!["proto".to_owned()];
    lock.framework = framework.to_string();
    lock.history = history(before, module);
    for file in proposal {
        let emitted = Hash::of(file.contents.as_bytes());
        let known = before.and_then(|before| before.files.get(&file.path));
        let is_left = action_of(steps, &file.path).is_some_and(Action::leaves_the_users_file);
        let base = match file.class {
            Class::Seed | Class::Structured if is_left => known.and_then(|known| known.base.clone()),
            Class::Seed | Class::Structured => Some(emitted.clone()),
            Class::Generated | Class::Append => None,
        };
        let locked = LockedFile { class: file.class, symbol: file.symbol.clone(), emitted, base };
        lock.files.insert(file.path.clone(), locked);
    }
    for step in steps.iter().filter(|step| matches!(step.action, Action::Orphan | Action::Keep)) {
        if let Some(known) = before.and_then(|before| before.files.get(&step.path)) {
            lock.files.entry(step.path.clone()).or_insert_with(|| known.clone());
        }
    }
    lock
}

fn action_of(steps: &[Step], path: &str) -> Option<Action> {
    let index = steps.binary_search_by(|step| step.path.as_str().cmp(path)).ok()?;
    Some(steps[index].action)
}

/// What is written: the files, the bases of seeds, the lock.
fn changes(proposal: &[File], steps: &[Step], lock: &Lock, project: &Project) -> Result<Vec<Change>, OutputError> {
    let mut changes = Vec::new();
    let mut put = |path: String, contents: &[u8]| changes.push(Change { path, contents: Some(contents.to_vec()) });
    for file in proposal {
        let contents = file.contents.as_bytes();
        match action_of(steps, &file.path) {
            Some(Action::Create | Action::Replace) => put(file.path.clone(), contents),
            Some(Action::Edited) => {
                if let Some(old) = project.read(&file.path)? {
                    put(format!(".potter/edited/{}", file.path), &old);
                }
                put(file.path.clone(), contents);
            }
            Some(Action::SetAside) => put(format!(".potter/pending/{}", file.path), contents),
            _ => {}
        }
        if let Some(base) = lock.files.get(&file.path).and_then(|locked| locked.base.as_ref())
            && *base == Hash::of(contents)
        {
            put(base.base_path(), contents);
        }
    }
    put(LOCK_PATH.to_owned(), lock.print().as_bytes());
    if project.lock().is_none() {
        // The versions that Potter was tested with, so that the first build works offline; cargo drops the rest.
        put("Cargo.lock".to_owned(), include_bytes!("../Cargo.lock"));
    }
    let removed = steps.iter().filter(|step| step.action == Action::Remove);
    changes.extend(removed.map(|step| Change { path: step.path.clone(), contents: None }));
    Ok(changes)
}

/// Whether a path is that of a project.
pub fn is_project(path: &Path) -> bool {
    path.join(LOCK_PATH).is_file()
}
