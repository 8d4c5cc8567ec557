//! What is asked for: the command line, and what the lock remembers of earlier ones.

use std::path::{Path, PathBuf};

use crate::diagnostic::Denied;
use crate::framework::{Framework, normalise};
use crate::lock::Lock;
use crate::reconcile::Allowed;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The protos to generate from; none: the project's own.
    pub protos: Vec<PathBuf>,
    /// Where imports are looked up; none: where the first proto is.
    pub proto_paths: Vec<PathBuf>,
    /// Name of the module, instead of the services'.
    pub module: Option<String>,
    /// The project's directory.
    pub output: PathBuf,
    /// Where the framework comes from; `None`: as before, or else wherever it can be found.
    pub framework: Option<Framework>,
    /// What may be done to files that people changed.
    pub allowed: Allowed,
    /// Files that were deleted and are wanted back, relative to the project.
    pub restored: Vec<String>,
    /// Warnings that are errors: nothing is written then.
    pub deny: Vec<Denied>,
    /// Whether markers may be written among uncommitted changes.
    pub allow_dirty: bool,
}

/// A request with nothing left open.
pub(super) struct FilledIn {
    pub protos: Vec<PathBuf>,
    pub proto_paths: Vec<PathBuf>,
    pub module: Option<String>,
    pub framework: Framework,
}

impl Request {
    /// The request with what the lock remembers; `None` if there is no project and no proto.
    pub(super) fn filled_in(&self, lock: Option<&Lock>) -> Option<FilledIn> {
        let (protos, proto_paths) = match (self.protos.first(), lock) {
            (Some(first), _) => (self.protos.clone(), self.paths_beside(first)),
            (None, Some(lock)) => (self.within(&lock.protos), self.within(&lock.proto_paths)),
            (None, None) => return None,
        };
        let remembered = lock.filter(|lock| lock.module_given).map(|lock| lock.module.clone());
        Some(FilledIn {
            protos,
            proto_paths,
            module: self.module.clone().or(remembered),
            framework: self.framework(lock),
        })
    }

    /// Whether the module's name comes from the command line, now or earlier.
    pub(super) fn module_given(&self, lock: Option<&Lock>) -> bool {
        self.module.is_some() || lock.is_some_and(|lock| lock.module_given)
    }

    fn paths_beside(&self, proto: &Path) -> Vec<PathBuf> {
        if !self.proto_paths.is_empty() {
            return self.proto_paths.clone();
        }
        let folder = proto.parent().filter(|it| !it.as_os_str().is_empty());
        vec![folder.unwrap_or(Path::new(".")).to_owned()]
    }

    /// Paths of the project as seen from here; the shorter, the better they read in diagnostics.
    fn within(&self, paths: &[String]) -> Vec<PathBuf> {
        let is_here = self.output == Path::new(".") || self.output.as_os_str().is_empty();
        paths.iter().map(|path| if is_here { path.into() } else { self.output.join(path) }).collect()
    }

    /// As the command line says, else as before, else as detected.
    fn framework(&self, lock: Option<&Lock>) -> Framework {
        let here = std::env::current_dir().unwrap_or_default();
        let before = lock.and_then(|lock| lock.framework.parse().ok());
        match (&self.framework, before) {
            (Some(given), _) => given.clone().seen_from(&here),
            // What is generated and what it stands on go together.
            (None, Some(Framework::Version(_))) => Framework::Version(env!("CARGO_PKG_VERSION").to_owned()),
            (None, Some(before)) => before,
            (None, None) => Framework::detect(&normalise(&here.join(&self.output))),
        }
    }
}
