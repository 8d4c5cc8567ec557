//! A file of a generated project, and who owns it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One file as it is proposed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct File {
    /// Relative to the project, with forward slashes.
    pub path: String,
    /// Who owns it.
    pub class: Class,
    /// Full name of the proto element that it is there for; the module's name if there is no single one.
    pub symbol: String,
    /// The text.
    pub contents: String,
}

/// Who owns a file, and so what a regeneration may do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The tool: overwritten.
    Generated,
    /// The user, after it was written once.
    Seed,
    /// The user, but for the keys and lines that Potter introduced.
    Structured,
    /// Nobody may change it once it was applied; a change adds another.
    Append,
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Generated => "generated",
            Self::Seed => "seed",
            Self::Structured => "structured",
            Self::Append => "append",
        })
    }
}
