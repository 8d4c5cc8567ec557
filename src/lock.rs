//! `potter.lock`: what was generated from what, and whose it is.
//!
//! Sorted TOML, committed with the project. It is all that a regeneration knows of the past: nothing depends on
//! version control or on an older binary.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::file::Class;

/// Name of the file, at the root of a project.
pub const LOCK_PATH: &str = "potter.lock";

const HEADER: &str =
    "# Written by potter-gen; commit it. It says whose each file is and from which proto it comes.\n\n";

/// The format that this version writes.
const FORMAT: u32 = 1;

/// The contents of `potter.lock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of the lock's own format.
    pub format: u32,
    /// Version of the generator; the only place in a project that has it.
    pub generator: String,
    /// Name of the module.
    pub module: String,
    /// The protos, relative to the project.
    pub protos: Vec<String>,
    /// Directories in which imports are looked up, relative to the project.
    pub proto_paths: Vec<String>,
    /// Where the framework comes from, as `--framework` takes it.
    pub framework: String,
    /// Every file, by path.
    pub files: BTreeMap<String, LockedFile>,
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// Whose it is.
    pub class: Class,
    /// Full name of the proto element that it is there for.
    pub symbol: String,
    /// What was proposed last.
    pub emitted: Hash,
    /// For seeds: the proposal that the user's file is based on; its bytes are kept in the project.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<Hash>,
}

/// SHA-256 of a file, in lowercase hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(String);

/// A lock that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("potter.lock: {0}")]
pub struct UnreadableLock(String);

impl Lock {
    /// A lock that knows no file yet.
    pub fn new(module: &str) -> Self {
        Self {
            format: FORMAT,
            generator: env!("CARGO_PKG_VERSION").to_owned(),
            module: module.to_owned(),
            protos: Vec::new(),
            proto_paths: Vec::new(),
            framework: String::new(),
            files: BTreeMap::new(),
        }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// The text isn't a lock, or one of a newer version of Potter.
    pub fn parse(text: &str) -> Result<Self, UnreadableLock> {
        let lock: Self = toml::from_str(text).map_err(|error| UnreadableLock(error.to_string()))?;
        if lock.format > FORMAT {
            let newer = format!("format {} is of a newer potter-gen; this one reads {FORMAT}", lock.format);
            return Err(UnreadableLock(newer));
        }
        Ok(lock)
    }

    /// The text of the lock.
    pub fn print(&self) -> String {
        let body = toml::to_string(self).expect("a lock is made of strings, numbers and tables");
        format!("{HEADER}{body}")
    }
}

impl Hash {
    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Where the bytes of that hash are kept, relative to the project.
    pub fn base_path(&self) -> String {
        format!(".potter/base/{}", self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Lock {
        let mut lock = Lock::new("shop");
        lock.protos.push("proto/shop.proto".into());
        for path in ["src/main.rs", "Cargo.toml"] {
            let file = LockedFile {
                class: Class::Seed,
                symbol: "shop".into(),
                emitted: Hash::of(path.as_bytes()),
                base: Some(Hash::of(b"base")),
            };
            lock.files.insert(path.into(), file);
        }
        lock
    }

    #[test]
    fn what_was_printed_is_read_back() {
        assert_eq!(Lock::parse(&sample().print()).expect("a lock"), sample());
    }

    #[test]
    fn files_are_sorted() {
        let text = sample().print();
        assert!(text.find("Cargo.toml") < text.find("src/main.rs"), "{text}");
    }

    #[test]
    fn a_newer_format_is_refused() {
        let text = sample().print().replace("format = 1", "format = 2");
        let error = Lock::parse(&text).expect_err("newer").to_string();
        assert!(error.contains("newer potter-gen"), "{error}");
    }

    #[test]
    fn a_typo_is_located() {
        let text = sample().print().replace("class = \"seed\"", "class = \"seeed\"");
        let error = Lock::parse(&text).expect_err("no such class").to_string();
        assert!(error.contains("seeed") && error.contains("line"), "{error}");
    }
}
