//! Where a generated project gets the framework from.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// The source of the framework: `path:…`, `git:…` or `version:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framework {
    /// A checkout of Potter; relative to the project, or absolute.
    Path(PathBuf),
    /// A repository.
    Git(String),
    /// A published version.
    Version(String),
}

/// A `--framework` that isn't one.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no source of the framework; write path:DIRECTORY, git:URL or version:NUMBER")]
pub struct UnknownSource(String);

impl Framework {
    /// What holds when nothing was said: the checkout that this binary was built in, if it is still there, else the
    /// version of this binary. Within the checkout the path is relative, so that a committed example stays valid.
    pub fn detect(project: &Path) -> Self {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        if !checkout.join("framework/potter/Cargo.toml").is_file() {
            return Self::Version(env!("CARGO_PKG_VERSION").to_owned());
        }
        match project.strip_prefix(checkout) {
            Ok(inside) => Self::Path(inside.components().map(|_| "..").collect()),
            Err(_) => Self::Path(checkout.to_owned()),
        }
    }

    /// The same source, a path made absolute unless it is: for a path given on the command line.
    pub fn seen_from(self, directory: &Path) -> Self {
        match self {
            Self::Path(path) => Self::Path(normalise(&directory.join(path))),
            other => other,
        }
    }

    /// The checkout, if the framework comes from one.
    pub fn checkout(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The value of a dependency in `Cargo.toml`; `folder` is the crate's below `framework/`.
    pub fn dependency(&self, folder: &str) -> String {
        match self {
            Self::Path(path) => format!("{{ path = {:?} }}", slashes(&path.join("framework").join(folder))),
            Self::Git(url) => format!("{{ git = {url:?} }}"),
            Self::Version(version) => format!("{version:?}"),
        }
    }
}

impl FromStr for Framework {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        match text.split_once(':') {
            Some(("path", path)) if !path.is_empty() => Ok(Self::Path(path.into())),
            Some(("git", url)) if !url.is_empty() => Ok(Self::Git(url.to_owned())),
            Some(("version", number)) if !number.is_empty() => Ok(Self::Version(number.to_owned())),
            _ => Err(UnknownSource(text.to_owned())),
        }
    }
}

impl fmt::Display for Framework {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(out, "path:{}", slashes(path)),
            Self::Git(url) => write!(out, "git:{url}"),
            Self::Version(version) => write!(out, "version:{version}"),
        }
    }
}

/// Takes `.` and `..` out of a path, without looking at the disk.
pub fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

fn slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_written() {
        for text in ["path:../potter", "git:https://example.com/potter", "version:0.1.0"] {
            assert_eq!(text.parse::<Framework>().expect("a source").to_string(), text);
        }
        for text in ["", "path:", "0.1.0", "svn:there"] {
            assert!(text.parse::<Framework>().is_err(), "{text}");
        }
    }

    #[test]
    fn within_the_checkout_the_path_is_relative() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(Framework::detect(&checkout.join("examples/shop")), Framework::Path("../..".into()));
        assert_eq!(Framework::detect(Path::new("/elsewhere/shop")), Framework::Path(checkout.to_owned()));
    }
}
