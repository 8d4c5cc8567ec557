//! What the names of a file stand for, as far as its own text tells: whether a word is the project's, or only looks
//! like it.
//!
//! In: the significant tokens of a file. Out: a [`Scope`], which knows the names that the file defines itself or takes
//! from other crates. Nothing is resolved beyond that: what the text doesn't tell is left to the compiler.

use std::collections::BTreeSet;
use std::ops::Range;

/// The names of a file, and whose they are.
pub(super) struct Scope<'a> {
    tokens: Vec<&'a str>,
    crates: &'a BTreeSet<String>,
    /// Defined in the file, or imported from another crate.
    foreign: BTreeSet<&'a str>,
    /// Modules of the file, and what it imports from the project.
    own: BTreeSet<&'a str>,
    /// Whether names of the project come in by `*`, so that any word may be one.
    has_glob: bool,
    /// The `use` statements, by places of tokens.
    imports: Vec<Range<usize>>,
}

/// Keywords behind which an item's name stands.
const ITEMS: [&str; 7] = ["struct", "enum", "union", "type", "trait", "const", "static"];

impl<'a> Scope<'a> {
    /// The scope of a file with these tokens; `crates` are the project's own.
    pub fn of(tokens: Vec<&'a str>, crates: &'a BTreeSet<String>) -> Self {
        let mut scope = Scope {
            crates,
            foreign: BTreeSet::new(),
            own: BTreeSet::new(),
            has_glob: false,
            imports: Vec::new(),
            tokens,
        };
        scope.declarations();
        scope.imports.clone().into_iter().for_each(|it| scope.import(it));
        scope
    }

    fn declarations(&mut self) {
        let mut depth = 0_usize;
        for (at, pair) in self.tokens.windows(2).enumerate() {
            match pair {
                ["{", _] => depth += 1,
                ["}", _] => depth = depth.saturating_sub(1),
                ["mod", name] => drop(self.own.insert(name)),
                // An associated type within braces bears a name that others may have, too.
                [item, name] if depth == 0 && ITEMS.contains(item) => drop(self.foreign.insert(name)),
                ["use", _] => self.imports.push(at + 1..statement_end(&self.tokens, at)),
                _ => {}
            }
        }
    }

    fn import(&mut self, import: Range<usize>) {
        let path = self.tokens[import].to_vec();
        let Some(root) = root_of(&path) else { return };
        let is_own = self.leads_inside(root);
        self.has_glob |= is_own && path.contains(&"*");
        let ends = |at: usize| matches!(path.get(at + 1), None | Some(&"," | &"}"));
        let names = (0..path.len()).filter(|at| is_name(path[*at]) && ends(*at)).map(|at| path[at]);
        if is_own { self.own.extend(names) } else { self.foreign.extend(names) }
    }

    /// Whether the word at a place may be the project's: nothing says that it is another's.
    pub fn may_be_own(&self, at: usize) -> bool {
        if let Some(import) = self.imports.iter().find(|it| it.contains(&at)) {
            return root_of(&self.tokens[import.clone()]).is_none_or(|root| self.leads_inside(root));
        }
        match self.first_segment(at) {
            Some(root) => self.leads_inside(root),
            None => !self.foreign.contains(self.tokens[at]),
        }
    }

    /// Whether a word stands where modules do: in a path, an import or a declaration.
    pub fn is_module(&self, at: usize) -> bool {
        let token = |at: Option<usize>| at.and_then(|at| self.tokens.get(at)).copied().unwrap_or_default();
        let is_in_path = self.first_segment(at).is_some() || token(Some(at + 1)) == ":" && token(Some(at + 2)) == ":";
        is_in_path || token(at.checked_sub(1)) == "mod" || self.imports.iter().any(|it| it.contains(&at))
    }

    /// What the path begins with in which a word is not the first.
    fn first_segment(&self, mut at: usize) -> Option<&'a str> {
        let mut first = None;
        while at >= 3 && self.tokens[at - 1] == ":" && self.tokens[at - 2] == ":" {
            at -= 3;
            first = Some(self.tokens[at]);
        }
        first
    }

    fn leads_inside(&self, root: &str) -> bool {
        let may_be_type = root.starts_with(|it: char| it.is_uppercase() || !it.is_alphabetic());
        matches!(root, "crate" | "self" | "super")
            || self.crates.contains(root)
            || self.own.contains(root)
            || !self.foreign.contains(root) && (may_be_type || self.has_glob)
    }
}

/// The first segment of an import; none where several begin within braces.
fn root_of<'a>(path: &[&'a str]) -> Option<&'a str> {
    path.iter().find(|it| **it != ":").copied().filter(|it| *it != "{")
}

fn is_name(token: &str) -> bool {
    token.starts_with(|it: char| it.is_alphabetic() || it == '_')
}

fn statement_end(tokens: &[&str], at: usize) -> usize {
    tokens[at..].iter().position(|it| *it == ";").map_or(tokens.len(), |length| at + length)
}
