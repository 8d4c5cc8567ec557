//! What is asked for: the command line, and what the lock remembers of earlier ones.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Error;
use crate::descriptors::Input;
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
    /// A descriptor set to generate from instead of protos.
    pub descriptor_set: Option<PathBuf>,
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
    pub input: Input,
    pub module: Option<String>,
    pub framework: Framework,
}

impl Request {
    /// The request with what the lock remembers; `None` if there is no project and no proto.
    pub(super) fn filled_in(&self, lock: Option<&Lock>) -> Option<FilledIn> {
        let input = match (&self.descriptor_set, self.protos.first(), lock) {
            (Some(set), _, _) => Input::Set(set.clone()),
            (None, Some(first), _) => Input::Protos(self.protos.clone(), self.paths_beside(first)),
            (None, None, Some(lock)) => lock.input(&self.output),
            (None, None, None) => return None,
        };
        let remembered = lock.filter(|lock| lock.module_given).map(|lock| lock.module.clone());
        Some(FilledIn { input, module: self.module.clone().or(remembered), framework: self.framework(lock) })
    }

    /// Refuses what can only be a slip.
    pub(super) fn refuse_mistakes(&self) -> Result<(), Error> {
        let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let mut seen = BTreeSet::new();
        if let Some(again) = self.protos.iter().find(|path| !seen.insert(real(path))) {
            return Err(Error::Twice(again.display().to_string()));
        }
        match &self.framework {
            Some(Framework::Path(path)) if !path.join("framework/potter/Cargo.toml").is_file() => {
                Err(Error::NoFramework(path.display().to_string()))
            }
            _ => Ok(()),
        }
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

    /// What the lock remembers of the descriptor set, if one is generated from: seen from the project, if it is in it
    /// or beside it, since the two are then moved together.
    pub(super) fn remembered_set(&self, lock: Option<&Lock>) -> Option<String> {
        let Some(set) = &self.descriptor_set else {
            return lock.filter(|_| self.protos.is_empty()).and_then(|lock| lock.descriptor_set.clone());
        };
        let here = std::env::current_dir().unwrap_or_default();
        Some(seen_from(&normalise(&here.join(&self.output)), &normalise(&here.join(set))))
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

/// One absolute path as seen from another.
fn seen_from(folder: &Path, path: &Path) -> String {
    let shared = folder.components().zip(path.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    let seen: PathBuf = up.chain(path.components().skip(shared)).collect();
    seen.to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_project() {
        for (path, seen) in [
            ("/a/shop/set.binpb", "set.binpb"),
            ("/a/set.binpb", "../set.binpb"),
            ("/a/build/set.binpb", "../build/set.binpb"),
            ("/b/set.binpb", "../../b/set.binpb"),
        ] {
            assert_eq!(seen_from(Path::new("/a/shop"), Path::new(path)), seen);
        }
    }
}
