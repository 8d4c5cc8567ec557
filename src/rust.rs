//! A small Rust syntax tree, printed as rustfmt prints.
//!
//! Seeds belong to people, who run `cargo fmt`: what Potter proposes must already look like that, however long or
//! short the names of a proto are. The plan builds these trees, `layout` prints them by rustfmt's defaults.
//! Only what seeds need is here.

mod layout;

pub use layout::{block, expression, signature, use_list};

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Printed as it is, never broken: a name, a literal.
    Text(String),
    /// `Product { id: 1, ..Default::default() }`
    Struct {
        /// The type.
        path: String,
        /// Field and value; printed in short when both are the same name.
        fields: Vec<(String, Expr)>,
        /// What fills the other fields.
        rest: Option<Box<Expr>>,
    },
    /// `f(a, b)`
    Call(String, Vec<Expr>),
    /// `events![a, b]`
    Macro(String, Vec<Expr>),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `root.field.method(a)?`
    Chain(Box<Expr>, Vec<Link>),
    /// `if condition { then } else { otherwise }`
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `|a, b| body`
    Closure(String, Box<Expr>),
    /// `match value { … }`
    Match(Box<Expr>, Vec<Arm>),
    /// `async { … }`
    AsyncBlock(Vec<Stmt>),
}

/// A link of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// `.name`, `.await`
    Field(String),
    /// `.name(a, b)`
    Method(String, Vec<Expr>),
    /// `?`
    Try,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stmt {
    /// `let pattern = value;`
    Let(String, Expr),
    /// `place = value;`
    Assign(String, Expr),
    /// `value;`
    Do(Expr),
    /// The value of the block.
    Value(Expr),
    /// `if condition { … }`
    If(String, Vec<Stmt>),
    /// `return;`
    Return,
    /// `// text`
    Comment(String),
    /// An empty line.
    Blank,
}

/// An arm of a `match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// What is matched.
    pub pattern: String,
    /// What is done; a lone [`Stmt::Value`] or [`Stmt::Assign`] stands without braces.
    pub body: Vec<Stmt>,
}

impl Expr {
    /// A name, a literal: never broken.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A string literal.
    pub fn string(text: &str) -> Self {
        Self::Text(string_literal(text))
    }

    /// `f(a, b)`
    pub fn call(function: impl Into<String>, arguments: impl Into<Vec<Self>>) -> Self {
        Self::Call(function.into(), arguments.into())
    }

    /// `self.name`, as a further link where it is a chain already.
    #[must_use]
    pub fn field(self, name: impl Into<String>) -> Self {
        self.link(Link::Field(name.into()))
    }

    /// `self.name(a, b)`
    #[must_use]
    pub fn method(self, name: impl Into<String>, arguments: impl Into<Vec<Self>>) -> Self {
        self.link(Link::Method(name.into(), arguments.into()))
    }

    /// `self?`
    #[must_use]
    pub fn tried(self) -> Self {
        self.link(Link::Try)
    }

    fn link(self, link: Link) -> Self {
        match self {
            Self::Chain(root, mut links) => {
                links.push(link);
                Self::Chain(root, links)
            }
            root => Self::Chain(Box::new(root), vec![link]),
        }
    }
}

/// A Rust string literal of `text`.
pub fn string_literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for char in text.chars() {
        match char {
            // `escape_debug` would escape this one, which needn't be.
            '\'' => literal.push(char),
            _ => literal.extend(char.escape_debug()),
        }
    }
    literal.push('"');
    literal
}
