//! Where the database is: `DATABASE_DSN` as people write it.

use std::path::{Path, PathBuf};

use crate::OpenError;

/// A database's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dsn {
    /// A file; it is made if it isn't there.
    File(PathBuf),
    /// Gone with its last connection.
    Memory,
}

impl Dsn {
    /// Reads `sqlite://data.db`, `sqlite:///var/lib/data.db`, `sqlite:data.db`, `sqlite::memory:`.
    pub(crate) fn parse(dsn: &str) -> Result<Self, OpenError> {
        let refused = |reason: String| OpenError::Dsn { dsn: dsn.to_owned(), reason };
        let place = dsn.strip_prefix("sqlite:").ok_or_else(|| refused("it must begin with `sqlite:`".to_owned()))?;
        let place = place.strip_prefix("//").unwrap_or(place);
        let (place, parameters) = place.split_once('?').unwrap_or((place, ""));
        if let Some(parameter) = parameters.split('&').find(|it| !it.is_empty()) {
            let name = parameter.split('=').next().unwrap_or(parameter);
            return Err(refused(format!("unknown parameter `{name}`; there are none")));
        }
        match place {
            "" => Err(refused("it names no file; write `sqlite://data.db`".to_owned())),
            ":memory:" => Ok(Self::Memory),
            path => Ok(Self::File(PathBuf::from(path))),
        }
    }

    /// As it is told to people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Memory => ":memory:".to_owned(),
        }
    }

    /// SQLite would only say that it is unable to open the file.
    pub(crate) fn check_directory(&self) -> Result<(), OpenError> {
        let Self::File(path) = self else { return Ok(()) };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => return Ok(()),
        };
        if directory.is_dir() {
            return Ok(());
        }
        Err(OpenError::Directory { path: self.describe(), directory: directory.display().to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling() {
        for (dsn, expected) in [
            ("sqlite://data.db", Dsn::File("data.db".into())),
            ("sqlite:data.db", Dsn::File("data.db".into())),
            ("sqlite:///var/lib/shop/data.db", Dsn::File("/var/lib/shop/data.db".into())),
            ("sqlite://some/where.db?", Dsn::File("some/where.db".into())),
            ("sqlite::memory:", Dsn::Memory),
            ("sqlite://:memory:", Dsn::Memory),
        ] {
            assert_eq!(Dsn::parse(dsn).expect(dsn), expected, "{dsn}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (dsn, part) in [
            ("postgres://localhost", "must begin with `sqlite:`"),
            ("data.db", "must begin with `sqlite:`"),
            ("sqlite://", "names no file"),
            ("sqlite:", "names no file"),
            ("sqlite://data.db?mode=ro", "unknown parameter `mode`"),
        ] {
            let error = Dsn::parse(dsn).expect_err(dsn).to_string();
            assert!(error.contains(part) && error.contains(dsn), "{dsn}: {error}");
        }
    }
}
