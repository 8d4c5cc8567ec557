//! What is wrong with a message, and where.

use std::fmt;

use prost_reflect::MapKey;

/// One rule that a message breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where, as a path from the message: `items[2].price`, `labels["a"]`, the name of a oneof, or nothing for the
    /// message itself.
    pub field: String,
    /// The id of the rule, `string.min_len`.
    pub rule: String,
    /// What is expected, for the person who sent the message.
    pub message: String,
    /// Whether it is the key of the map entry at `field` that breaks the rule, not the value.
    pub for_key: bool,
    /// Whether the value breaks the rule or the rule itself broke.
    pub cause: Cause,
}

/// Who is to blame for a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The value does not follow the rule.
    Value,
    /// The rule could not be evaluated, for example because it divides by a field that is zero. What it would have
    /// said is unknown, so the message is refused; the rule wants mending.
    Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.field.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{} [{}]", self.field, self.message, self.rule)
    }
}

/// The way to the value under validation, kept on the stack: nothing is allocated unless something is wrong.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
    Key(&'p Path<'p>, &'p MapKey),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => match key {
                MapKey::Bool(key) => write!(f, "{parent}[{key}]"),
                MapKey::I32(key) => write!(f, "{parent}[{key}]"),
                MapKey::I64(key) => write!(f, "{parent}[{key}]"),
                MapKey::U32(key) => write!(f, "{parent}[{key}]"),
                MapKey::U64(key) => write!(f, "{parent}[{key}]"),
                MapKey::String(key) => write!(f, "{parent}[{key:?}]"),
            },
        }
    }
}
