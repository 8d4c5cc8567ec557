//! Patterns on their own, with the meaning that they have in rules.

use regex::Regex;

use crate::cel;

/// What `string.pattern` demands of a text.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// A pattern that is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(String);

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// It is no regular expression of RE2, or too large a one.
    pub fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        cel::regex::compile(pattern).map(Self).map_err(|error| InvalidPattern(error.to_string()))
    }

    /// Whether a text has a match of it.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The same pattern in the syntax of the `regex` crate.
    #[must_use]
    pub fn syntax(&self) -> &str {
        self.0.as_str()
    }
}
