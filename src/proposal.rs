//! The proposal: every file that a project should have now.
//!
//! In: the protos, compiled and understood, where the framework comes from, and what is known of the past. Out: a
//! [`Proposal`]. What becomes of it on a disk where people work is for [`crate::reconcile`].

use std::collections::{BTreeMap, BTreeSet};

use crate::descriptors::{Descriptors, ProtoFile};
use crate::docs::Comments;
use crate::file::{Class, File};
use crate::framework::Framework;
use crate::history::History;
use crate::lock::Lock;
use crate::migrations::{self, Tables};
use crate::model::Module;
use crate::rename::Names;
use crate::render::Bug;
use crate::{plan, project};

/// What a project is made from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The protos.
    pub descriptors: Descriptors,
    /// What they mean.
    pub module: Module,
    /// Where the framework comes from.
    pub framework: Framework,
}

/// What is known of the past.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The lock; none for a new project.
    pub lock: Option<Lock>,
    /// The paths of the migrations that are on disk.
    pub migrations: BTreeSet<String>,
}

/// Everything that a project should have.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The files, sorted by path. Migrations of the past are not among them.
    pub files: Vec<File>,
    /// The read models' tables.
    pub tables: Tables,
    /// What user code calls what the protos name.
    pub names: Names,
    /// What the types of each version of an event are called, by its module.
    pub versions: BTreeMap<String, BTreeSet<String>>,
    /// Import names of the protos.
    pub protos: Vec<String>,
    /// What is remembered from now on.
    pub history: History,
}

impl Past {
    /// What the lock remembers, and with it what there is now.
    fn history(&self, module: &Module) -> History {
        self.lock.as_ref().map(|lock| lock.history.clone()).unwrap_or_default().with(module)
    }
}

/// Every file that a project should have.
///
/// # Errors
///
/// A bug in Potter.
pub fn propose(source: &Source, past: &Past) -> Result<Proposal, Bug> {
    let Source { descriptors, module, framework } = source;
    let comments = Comments::of(descriptors.pool().files());
    let protos: Vec<String> = descriptors.files().iter().map(|file| file.name().to_owned()).collect();
    let history = past.history(module);
    let plan::Plan { mut files, tables, names, versions } = plan::plan(module, descriptors, &history)?;
    let has_protos = !descriptors.protos().is_empty();
    let setting = project::Setting { framework, protos: &protos, has_protos, comments: &comments };
    files.extend(project::files(module, &setting)?);
    files.extend(descriptors.protos().iter().map(|proto| proto_file(module, proto)));
    files.extend(migrations::files(&module.name, &tables, &known(past))?);
    files.sort();
    Ok(Proposal { files, tables, names, versions, protos, history })
}

/// The project has its own copy of each proto, so that it can be regenerated, and so that editors and protoc find
/// all imports.
fn proto_file(module: &Module, proto: &ProtoFile) -> File {
    File {
        path: format!("proto/{}", proto.name),
        // What came along with Potter stays Potter's.
        class: if proto.path.is_some() { Class::Seed } else { Class::Generated },
        symbol: module.name.clone(),
        // Line ends are the checkout's affair: they make no other proto.
        contents: proto.text.replace("\r\n", "\n"),
    }
}

/// The migrations on disk, and those that the lock knows: one that somebody deleted comes back as it was.
fn known(past: &Past) -> migrations::Past<'_> {
    let locked = past.lock.iter().flat_map(|lock| lock.files.keys());
    migrations::Past {
        tables: past.lock.as_ref().map(|lock| &lock.tables),
        written: locked.filter(|path| migrations::is_migration(path)).cloned().collect(),
        on_disk: past.migrations.clone(),
    }
}
