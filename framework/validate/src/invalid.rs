//! What is wrong with the rules themselves.

use std::fmt;

/// The rules that cannot be enforced, all of them. The service must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidRules(pub(crate) Vec<InvalidRule>);

/// A rule that cannot be enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidRule {
    /// The full name of the message or field that has the rule.
    pub element: String,
    /// The id of the rule, `string.pattern`.
    pub rule: String,
    /// Why it cannot be enforced.
    pub reason: String,
}

impl InvalidRules {
    /// The rules in the order of the descriptors.
    pub fn iter(&self) -> impl Iterator<Item = &InvalidRule> {
        self.0.iter()
    }
}

/// One rule per line.
impl fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.0.iter().enumerate() {
            write!(f, "{}{rule}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: rule `{}`: {}", self.element, self.rule, self.reason)
    }
}
