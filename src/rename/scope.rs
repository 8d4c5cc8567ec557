//! What the names of a file stand for, as far as its own text tells: whether a word is the project's, or only looks
//! like it.
//!
//! In: the significant tokens of a file. Out: a [`Scope`], which knows the names that each block of the file defines
//! itself or takes from other crates. Nothing is resolved beyond that: what the text doesn't tell is left to the
//! compiler.

use std::collections::{BTreeMap, BTreeSet};

use super::blocks::{Blocks, Kind};

/// The names of a file, and whose they are.
pub(super) struct Scope<'a> {
    tokens: Vec<&'a str>,
    crates: &'a BTreeSet<String>,
    blocks: Blocks<'a>,
    /// By block.
    names: Vec<Names<'a>>,
    /// What each enum of the file calls its variants.
    variants: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Names where the file itself gives them.
    given: BTreeSet<usize>,
    /// The paths before the names in `use` statements, by places of tokens.
    imported: BTreeMap<usize, Vec<&'a str>>,
}

/// The names that a block gives or brings in.
#[derive(Clone, Debug, Default)]
struct Names<'a> {
    /// Defined in it, or imported from another crate.
    foreign: BTreeSet<&'a str>,
    /// Its modules, and what it imports from the project.
    own: BTreeSet<&'a str>,
    /// What it imports under a name of its own choice, by that name.
    aliases: BTreeMap<&'a str, &'a str>,
    /// Whole paths of what it imports from the project, by the names that it has here.
    paths: BTreeMap<&'a str, Vec<&'a str>>,
    /// Whether names of the project come in by `*`, so that any word may be one.
    has_glob: bool,
}

/// Keywords behind which an item's name stands.
const ITEMS: [&str; 7] = ["struct", "enum", "union", "type", "trait", "const", "static"];

impl<'a> Scope<'a> {
    /// The scope of a file with these tokens; `crates` are the project's own.
    pub fn of(tokens: Vec<&'a str>, crates: &'a BTreeSet<String>) -> Self {
        let blocks = Blocks::of(&tokens);
        let names = vec![Names::default(); blocks.all.len()];
        let (variants, given, imported) = Default::default();
        let mut scope = Scope { tokens, crates, blocks, names, variants, given, imported };
        (0..scope.tokens.len()).for_each(|at| scope.declaration(at));
        let imports: Vec<usize> = (0..scope.tokens.len()).filter(|at| scope.is_import(*at)).collect();
        imports.into_iter().for_each(|at| scope.import(at));
        scope
    }

    fn declaration(&mut self, at: usize) {
        let name = self.tokens[at];
        let block = self.blocks.of_token(at);
        if is_name(name) && self.blocks.declares_variant(&self.tokens, at) {
            self.given.insert(at);
            if let Kind::Enum(of) = self.blocks.all[block].kind {
                self.variants.entry(of).or_default().insert(name);
            }
        }
        match self.before(at, 1) {
            "mod" => drop(self.names[block].own.insert(name)),
            item if !ITEMS.contains(&item) || self.before(at, 2) == "*" => {}
            // No trait of Potter's has types of the project's names: these are others', and only at this place.
            _ if self.is_associated(block) => drop(self.given.insert(at)),
            _ => drop(self.names[block].foreign.insert(name)),
        }
    }

    fn is_associated(&self, block: usize) -> bool {
        matches!(self.blocks.all[block].kind, Kind::Impl { .. } | Kind::Trait)
    }

    /// Whether a `use` statement begins here; `use<'a>` is a bound.
    fn is_import(&self, at: usize) -> bool {
        self.tokens[at] == "use" && self.token(at + 1) != "<"
    }

    /// Reads a `use` statement: every name in it with the path before it.
    fn import(&mut self, start: usize) {
        let (mut path, mut outer) = (Vec::new(), Vec::new());
        let block = self.blocks.of_token(start);
        for at in start + 1..self.tokens.len() {
            match self.tokens[at] {
                ";" => break,
                "{" => outer.push(path.clone()),
                "," => path = outer.last().cloned().unwrap_or_default(),
                "}" => path = outer.pop().unwrap_or_default(),
                "as" | ":" => {}
                name if self.tokens[at - 1] == "as" => _ = self.names[block].aliases.insert(name, self.tokens[at - 2]),
                name => {
                    self.imported.insert(at, path.clone());
                    path.push(name);
                    self.bring_in(block, at, &path);
                }
            }
        }
    }

    /// What becomes of the last name of an imported path.
    fn bring_in(&mut self, block: usize, at: usize, path: &[&'a str]) {
        let (name, before) = path.split_last().expect("a name was read");
        let is_own = self.path_leads_inside(at, before, name);
        let alias = (self.token(at + 1) == "as").then(|| self.token(at + 2));
        let is_last = matches!(self.token(at + 1), ";" | "," | "}" | "" | "as");
        let variants = before.last().filter(|_| *name == "*").and_then(|it| self.variants.get(it)).cloned();
        let names = &mut self.names[block];
        let whole = if *name == "self" { before } else { path };
        if let Some(name) = alias.or(whole.last().copied()).filter(|_| is_last && is_own) {
            names.paths.insert(name, whole.to_vec());
        }
        match *name {
            _ if !is_last => {}
            "*" => {
                names.has_glob |= is_own;
                names.foreign.extend(variants.unwrap_or_default());
            }
            // `a::{self}` brings in `a`.
            "self" if is_own => names.own.extend(before.last()),
            "self" => names.foreign.extend(before.last()),
            _ if is_own => drop(names.own.insert(alias.unwrap_or(name))),
            _ => drop(names.foreign.insert(alias.unwrap_or(name))),
        }
    }

    /// Whether the word at a place may be the project's: nothing says that it is another's.
    pub fn may_be_own(&self, at: usize) -> bool {
        let name = self.tokens[at];
        if self.given.contains(&at) {
            return false;
        }
        let path = self.path_before(at);
        match path.is_empty() {
            false => self.path_leads_inside(at, &path, name),
            true if self.imported.contains_key(&at) => self.leads_inside(at, name),
            true => self.alias(at, name).is_none() && self.whose(at, name) != Some(false),
        }
    }

    /// The path of a word with the word at its end, from as far as the imports of the file tell.
    pub fn whole_path(&self, at: usize) -> Vec<&'a str> {
        let mut path = self.path_before(at);
        path.push(self.tokens[at]);
        // An import may stand on another.
        for _ in 0..4 {
            let imported = self.blocks.around(at).find_map(|it| self.names[it].paths.get(path[0]));
            let Some(imported) = imported.filter(|it| it[0] != path[0]) else { break };
            path.splice(..1, imported.iter().copied());
        }
        path
    }

    /// The word behind which another stands in a path, `Kind` in `Kind::Gift`, if it may be the project's.
    pub fn holder(&self, at: usize) -> Option<usize> {
        let is_behind = (self.before(at, 2), self.before(at, 1)) == (":", ":");
        at.checked_sub(3).filter(|holder| is_behind && self.may_be_own(*holder))
    }

    /// Whether a word stands where modules do: in a path, an import or a declaration.
    pub fn is_module(&self, at: usize) -> bool {
        let leads_on = self.token(at + 1) == ":" && self.token(at + 2) == ":";
        leads_on || self.before(at, 1) == "mod" || self.imported.contains_key(&at) || !self.path_before(at).is_empty()
    }

    /// Whether a word stands behind the path of a module of that name, `effects::reserve`, which may be the project's.
    pub fn is_of_module(&self, at: usize, module: &str) -> bool {
        let path = self.path_before(at);
        path.last() == Some(&module) && self.path_leads_inside(at, &path, self.tokens[at])
    }

    /// Whether the method at a place is one that the project's traits ask for: where an `impl` of one of them writes
    /// it, or where it is called on a type that the file implements one of them for.
    pub fn is_answer(&self, at: usize) -> bool {
        match self.before(at, 1) {
            "fn" => self.asking(self.blocks.of_token(at)).is_some(),
            "." => at >= 2 && self.is_answerer(at - 2, self.tokens[at]),
            ":" => self.is_path_to_answer(at),
            _ => false,
        }
    }

    /// Whether a place is within an `impl` of one of the traits that rpcs are answered in.
    pub fn is_within_answers(&self, at: usize) -> bool {
        self.blocks.around(at).any(|it| self.asking(it).is_some())
    }

    /// The type that a block implements a generated trait for.
    fn asking(&self, block: usize) -> Option<&'a str> {
        let Kind::Impl { on, of: Some(of) } = self.blocks.all[block].kind else { return None };
        let name = self.tokens[of];
        (is_asking(name) && self.may_be_own(of)).then_some(on)
    }

    /// Whether a type answers rpcs in this file, and has no method of its own that goes before theirs.
    fn answers(&self, name: &str, method: &str) -> bool {
        let answers = (0..self.blocks.all.len()).any(|it| self.asking(it) == Some(name));
        answers && !self.has_own_method(name, method)
    }

    fn has_own_method(&self, name: &str, method: &str) -> bool {
        let is_inherent = |at: usize| matches!(self.blocks.all[self.blocks.of_token(at)].kind, Kind::Impl { on, of: None } if on == name);
        self.tokens.windows(2).enumerate().any(|(at, pair)| pair == ["fn", method] && is_inherent(at))
    }

    /// Whether the receiver that ends at a place is known to answer rpcs.
    fn is_answerer(&self, end: usize, method: &str) -> bool {
        let word = self.tokens[end];
        match word {
            // `Order::default().place()`, `Order { … }.place()`.
            ")" | "}" => {
                let name = self.opening(end).and_then(|it| it.checked_sub(1)).filter(|it| is_name(self.tokens[*it]));
                name.is_some_and(|at| self.answers(self.path_before(at).first().unwrap_or(&self.tokens[at]), method))
            }
            _ if !is_name(word) || self.before(end, 1) == "." => false,
            "self" => self.type_of_self(end).is_some_and(|it| self.answers(it, method)),
            _ => self.answers(word, method) || self.is_bound_to_answerer(end, method),
        }
    }

    /// `Order::place(…)`, `Self::place(…)`, `OrderDecider::place(…)`, `<Order as OrderDecider>::place(…)`.
    fn is_path_to_answer(&self, at: usize) -> bool {
        let Some(end) = at.checked_sub(3) else { return false };
        match self.tokens[end] {
            ">" => end > 0 && is_asking(self.tokens[end - 1]) && self.may_be_own(end - 1),
            "Self" => self.type_of_self(end).is_some_and(|it| self.answers(it, self.tokens[at])),
            name if is_asking(name) => self.may_be_own(end),
            name => self.answers(name, self.tokens[at]),
        }
    }

    /// Whether the binding of a word that is nearest before a place says that it answers rpcs.
    fn is_bound_to_answerer(&self, at: usize, method: &str) -> bool {
        // What another function binds is another thing.
        let function = self.tokens[..at].iter().rposition(|it| *it == "fn").unwrap_or_default();
        let same = (function..at).rev().filter(|it| self.tokens[*it] == self.tokens[at]);
        same.into_iter().find_map(|it| self.binds_answerer(it, method)).unwrap_or_default()
    }

    /// Whether a word is bound here to what answers rpcs: `|order, context|` behind `.when(`, `order: &Order`,
    /// `let order = Order::…`; none if it isn't bound here.
    fn binds_answerer(&self, at: usize, method: &str) -> Option<bool> {
        let is_let = self.before(at, 1) == "let" || (self.before(at, 2), self.before(at, 1)) == ("let", "mut");
        let is_closure = self.before(at, 1) == "|";
        match (self.token(at + 1), self.token(at + 2)) {
            (":", ":") => None,
            (":", _) if is_let || is_closure || self.is_parameter(at) => Some(self.names_answerer(at + 2, method)),
            ("=", _) if is_let => Some(self.names_answerer(at + 2, method)),
            ("," | "|", _) if is_closure => Some((self.before(at, 3), self.before(at, 2)) == ("when", "(")),
            ("in", _) if self.before(at, 1) == "for" => Some(false),
            _ => is_let.then_some(false),
        }
    }

    /// Whether `name: …` is a parameter, and no field of a literal.
    fn is_parameter(&self, at: usize) -> bool {
        self.opening(at).is_some_and(|it| self.tokens[it] == "(")
    }

    /// Whether a type or a value that begins at a place is, borrowed or not, of a type that answers rpcs.
    fn names_answerer(&self, start: usize, method: &str) -> bool {
        let is_mark = |it: &&&str| matches!(**it, "&" | "mut") || it.starts_with('\'');
        let marks = self.tokens.iter().skip(start).take_while(is_mark).count();
        self.answers(self.token(start + marks), method)
    }

    /// The bracket that opens what a place is in or, for a closing bracket, what it closes.
    fn opening(&self, at: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for place in (0..at).rev() {
            match self.tokens[place] {
                ")" | "]" | "}" => depth += 1,
                "(" | "[" | "{" if depth == 0 => return Some(place),
                "(" | "[" | "{" => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// What `Self` stands for at a place.
    fn type_of_self(&self, at: usize) -> Option<&'a str> {
        self.blocks.around(at).find_map(|it| match self.blocks.all[it].kind {
            Kind::Impl { on: name, .. } | Kind::Enum(name) => Some(name),
            _ => None,
        })
    }

    /// The path before a word; empty if it is the first of its path.
    fn path_before(&self, at: usize) -> Vec<&'a str> {
        if let Some(path) = self.imported.get(&at) {
            return path.clone();
        }
        let (mut at, mut path) = (at, Vec::new());
        while at >= 3 && self.tokens[at - 1] == ":" && self.tokens[at - 2] == ":" {
            at -= 3;
            path.insert(0, self.tokens[at]);
        }
        path
    }

    /// Whether a name behind a path, seen from a place, may be the project's.
    fn path_leads_inside(&self, at: usize, path: &[&'a str], name: &'a str) -> bool {
        let (Some(root), Some(last)) = (path.first(), path.last()) else { return self.leads_inside(at, name) };
        !self.gives(at, last, name) && self.may_hold(at, last) && self.leads_inside(at, root)
    }

    /// Whether names of the project's may be in what is called so: of types only its enums of events and errors have
    /// them.
    fn may_hold(&self, at: usize, holder: &'a str) -> bool {
        let holder = self.alias(at, self.resolved(at, holder)).unwrap_or(self.resolved(at, holder));
        let is_module = holder.starts_with(char::is_lowercase);
        is_module || ["Event", "Error"].iter().any(|it| holder.ends_with(it))
    }

    /// The type that `Self` is; any other name is itself.
    fn resolved(&self, at: usize, name: &'a str) -> &'a str {
        if name == "Self" { self.type_of_self(at).unwrap_or(name) } else { name }
    }

    /// Whether what the file calls `holder`, an enum or a module, gives a name itself.
    fn gives(&self, at: usize, holder: &'a str, name: &str) -> bool {
        let holder = self.resolved(at, holder);
        let in_module = |(block, it): (usize, &Names<'_>)| {
            self.blocks.all[block].kind == Kind::Module(holder) && it.foreign.contains(name)
        };
        self.variants.get(holder).is_some_and(|it| it.contains(name))
            || self.names.iter().enumerate().any(in_module)
            || matches!(holder, "self" | "super") && self.whose(at, name) == Some(false)
    }

    fn leads_inside(&self, at: usize, root: &'a str) -> bool {
        let root = self.resolved(at, root);
        let may_be_type = root.starts_with(|it: char| it.is_uppercase() || !it.is_alphabetic());
        let has_glob = || self.blocks.around(at).any(|it| self.names[it].has_glob);
        matches!(root, "crate" | "self" | "super")
            || self.crates.contains(root)
            || self.whose(at, root).unwrap_or_else(|| may_be_type || has_glob())
    }

    /// Whether the innermost block around a place that gives a name says it is the project's; none if no block does.
    fn whose(&self, at: usize, name: &str) -> Option<bool> {
        self.blocks.around(at).map(|it| &self.names[it]).find_map(|it| match () {
            () if it.foreign.contains(name) => Some(false),
            () => it.own.contains(name).then_some(true),
        })
    }

    /// What a name of the file's own choice stands for.
    fn alias(&self, at: usize, name: &str) -> Option<&'a str> {
        self.blocks.around(at).find_map(|it| self.names[it].aliases.get(name)).copied()
    }

    /// The token so many places before another.
    fn before(&self, at: usize, places: usize) -> &'a str {
        at.checked_sub(places).map_or("", |it| self.tokens[it])
    }

    fn token(&self, at: usize) -> &'a str {
        self.tokens.get(at).copied().unwrap_or_default()
    }
}

/// Whether a trait is called as those are in which rpcs are decided and answered.
fn is_asking(name: &str) -> bool {
    name.ends_with("Decider") || name.ends_with("Handlers")
}

/// Whether a token is a word that can be a name.
pub(super) fn is_name(token: &str) -> bool {
    token.starts_with(|it: char| it.is_alphabetic() || it == '_')
}
