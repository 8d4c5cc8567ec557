//! Finds the paths that a Rust source names: those of its `use` declarations and those written out elsewhere.
//!
//! A light scan: comments and literals are passed over, macros are read as if they were code, types are not resolved.

use std::iter::Peekable;
use std::str::CharIndices;

/// A path of at least two names; one into the own crate begins with `crate`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub line: usize,
    pub path: Vec<String>,
}

/// The paths in `source`, which is the module `module` of its crate.
pub(super) fn paths_in(source: &str, module: &[String]) -> Vec<Found> {
    let mut scan =
        Scan { tokens: tokens(source), next: 0, module: module.to_vec(), blocks: Vec::new(), found: Vec::new() };
    scan.run();
    scan.found
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    /// `::`
    Separator,
    Mark(char),
}

struct Scan {
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// The module that the next token is in.
    module: Vec<String>,
    /// Whether each open block is a module.
    blocks: Vec<bool>,
    found: Vec<Found>,
}

impl Scan {
    fn run(&mut self) {
        while let Some((_, token)) = self.tokens.get(self.next).cloned() {
            match token {
                Token::Name(name) if name == "use" && self.at(1) != Some(&Token::Mark('<')) => {
                    self.next += 1;
                    self.use_tree(&[]);
                }
                Token::Name(name) if name == "mod" => self.module_begins(),
                Token::Name(_) | Token::Separator => self.path(),
                Token::Mark(mark) => {
                    self.block(mark);
                    self.next += 1;
                }
            }
        }
    }

    fn at(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.next + ahead).map(|(_, token)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |(line, _)| *line)
    }

    fn name(&mut self) -> Option<String> {
        match self.at(0) {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.next += 1;
                Some(name)
            }
            _ => None,
        }
    }

    fn skip(&mut self, token: &Token) -> bool {
        let skipped = self.at(0) == Some(token);
        self.next += usize::from(skipped);
        skipped
    }

    /// `mod name {` opens a module; `mod name;` is one in another file.
    fn module_begins(&mut self) {
        self.next += 1;
        if let Some(name) = self.name()
            && self.skip(&Token::Mark('{'))
        {
            self.module.push(name);
            self.blocks.push(true);
        }
    }

    fn block(&mut self, mark: char) {
        match mark {
            '{' => self.blocks.push(false),
            '}' if self.blocks.pop() == Some(true) => {
                self.module.pop();
            }
            _ => {}
        }
    }

    /// One tree of a `use` declaration: `a::b`, `a::{b, c}`, `a::*`, `a as b`.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let mut line = self.line();
        loop {
            self.skip(&Token::Separator);
            if self.skip(&Token::Mark('{')) {
                return self.use_group(&path);
            }
            line = if self.at(0).is_some() { self.line() } else { line };
            match self.name() {
                Some(name) if name == "self" && !path.is_empty() => {}
                Some(name) => path.push(name),
                None if self.skip(&Token::Mark('*')) => path.push("*".to_owned()),
                None => break,
            }
            if self.at(0) != Some(&Token::Separator) {
                break;
            }
        }
        if self.at(0) == Some(&Token::Name("as".to_owned())) {
            self.next += 2;
        }
        self.keep(line, path);
    }

    fn use_group(&mut self, prefix: &[String]) {
        while self.at(0).is_some() && !self.skip(&Token::Mark('}')) {
            let before = self.next;
            self.use_tree(prefix);
            self.skip(&Token::Mark(','));
            if self.next == before {
                // Not what a `use` declaration looks like: macros may contain anything.
                return;
            }
        }
    }

    /// A path in an expression, a type, a pattern or an attribute.
    fn path(&mut self) {
        let line = self.line();
        let is_member = self.next > 0 && self.tokens[self.next - 1].1 == Token::Mark('.');
        let is_external = self.skip(&Token::Separator);
        let mut path: Vec<String> = self.name().into_iter().collect();
        while self.at(0) == Some(&Token::Separator) && matches!(self.at(1), Some(Token::Name(_))) {
            self.next += 1;
            path.extend(self.name());
        }
        if path.len() > 1 && !is_member && !(is_external && path[0] == "crate") {
            self.keep(line, path);
        }
    }

    fn keep(&mut self, line: usize, path: Vec<String>) {
        self.found.push(Found { line, path: self.resolve(path) });
    }

    /// Makes paths that begin with `self` or `super` begin with `crate`.
    fn resolve(&self, path: Vec<String>) -> Vec<String> {
        let supers = path.iter().skip_while(|name| *name == "self").take_while(|name| *name == "super").count();
        let selfs = path.iter().take_while(|name| *name == "self").count();
        if supers + selfs == 0 {
            return path;
        }
        let base = &self.module[..self.module.len().saturating_sub(supers)];
        let root = std::iter::once("crate".to_owned());
        root.chain(base.iter().cloned()).chain(path.into_iter().skip(supers + selfs)).collect()
    }
}

/// The names and marks of a source, each with its line; comments and literals are left out.
fn tokens(source: &str) -> Vec<(usize, Token)> {
    let mut lexer = Lexer { source, chars: source.char_indices().peekable(), line: 1 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    source: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: usize,
}

impl<'a> Lexer<'a> {
    fn next_token(&mut self) -> Option<(usize, Token)> {
        loop {
            let rest = self.rest();
            let line = self.line;
            let c = rest.chars().next()?;
            if rest.starts_with("//") {
                self.skip_while(|c| c != '\n');
            } else if rest.starts_with("/*") {
                self.skip_block_comment();
            } else if let Some(hashes) = raw_string(rest) {
                self.skip_raw_string(hashes);
            } else if c == '"' || rest.starts_with("b\"") || rest.starts_with("c\"") {
                self.skip_string();
            } else if c == '\'' || rest.starts_with("b'") {
                self.skip_character_or_lifetime();
            } else if c.is_ascii_digit() {
                self.skip_while(|c| c.is_alphanumeric() || c == '_');
            } else if is_name(c) {
                return Some((line, Token::Name(self.take_name())));
            } else if rest.starts_with("::") {
                self.skip_count(2);
                return Some((line, Token::Separator));
            } else {
                self.skip_count(1);
                if !c.is_whitespace() {
                    return Some((line, Token::Mark(c)));
                }
            }
        }
    }

    fn rest(&mut self) -> &'a str {
        let start = self.chars.peek().map_or(self.source.len(), |(index, _)| *index);
        &self.source[start..]
    }

    fn advance(&mut self) -> Option<char> {
        let (_, c) = self.chars.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn skip_count(&mut self, count: usize) {
        for _ in 0..count {
            self.advance();
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.chars.peek().is_some_and(|(_, c)| wanted(*c)) {
            self.advance();
        }
    }

    /// A name; `r#type` is called `type`.
    fn take_name(&mut self) -> String {
        if self.rest().starts_with("r#") {
            self.skip_count(2);
        }
        let rest = self.rest();
        let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
        self.skip_count(name.chars().count());
        name
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.skip_count(2);
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.skip_count(2);
            } else if self.advance().is_none() {
                return;
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.skip_while(|c| c != '"');
        self.advance();
        while let Some(c) = self.advance() {
            match c {
                '\\' => self.skip_count(1),
                '"' => return,
                _ => {}
            }
        }
    }

    fn skip_raw_string(&mut self, hashes: usize) {
        self.skip_while(|c| c != '"');
        self.advance();
        let end = format!("\"{}", "#".repeat(hashes));
        while !self.rest().starts_with(&end) && self.advance().is_some() {}
        self.skip_count(end.len());
    }

    /// `'a'` and `'\''` are characters, `'a` is a lifetime.
    fn skip_character_or_lifetime(&mut self) {
        self.skip_while(|c| c != '\'');
        self.advance();
        let mut following = self.rest().chars();
        match (following.next(), following.next()) {
            (Some('\\'), _) => {
                self.skip_count(2);
                self.skip_while(|c| c != '\'');
                self.advance();
            }
            (Some(_), Some('\'')) => self.skip_count(2),
            _ => self.skip_while(is_name),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The number of hashes if a raw string begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.chars().take_while(|c| *c == '#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        let module = ["domain".to_owned(), "product".to_owned()];
        paths_in(source, &module).into_iter().map(|it| format!("{}: {}", it.line, it.path.join("::"))).collect()
    }

    #[test]
    fn trees_of_use_are_taken_apart() {
        let source = "use a::{b, c::{self, d as e}, f::*};\npub(crate) use ::g::h;\nuse i as j;";
        assert_eq!(found(source), ["1: a::b", "1: a::c", "1: a::c::d", "1: a::f::*", "2: g::h", "3: i"]);
    }

    #[test]
    fn paths_are_found_in_code_types_and_macros() {
        let source = "fn f(a: b::C<d::E>) -> impl X + use<'_> { vec![g::h(), i.j::<k::L>()] }\n#[m::n] struct O;";
        assert_eq!(found(source), ["1: b::C", "1: d::E", "1: g::h", "1: k::L", "2: m::n"]);
    }

    #[test]
    fn comments_and_literals_are_passed_over() {
        let source = r####"
            // a::b
            /* c::d /* e::f */ g::h */
            const I: &str = "j::k \" l::m"; const N: &str = r#"o::p " "#; const Q: u8 = b'\''; const R: char = '"';
            fn s<'t>(u: &'t str) { v::w() } fn r#type() { r#crate_::x() }
        "####;
        assert_eq!(found(source), ["5: v::w", "5: crate_::x"]);
    }

    #[test]
    fn relative_paths_are_resolved_from_where_they_stand() {
        let source = "use super::x::Y; fn f() { self::g::h() } mod tests { use super::*; mod deep { use super::super::super::z::Z; } }\nuse super::w::V;";
        assert_eq!(
            found(source),
            [
                "1: crate::domain::x::Y",
                "1: crate::domain::product::g::h",
                "1: crate::domain::product::*",
                "1: crate::domain::z::Z",
                "2: crate::domain::w::V"
            ]
        );
    }

    #[test]
    fn anything_at_all_can_be_scanned() {
        for source in
            ["use", "use {", "use a::{", "mod", "mod x {", "\"", "r#\"", "'", "/*", "::", "use a::{b c}", "}}}}"]
        {
            found(source);
        }
    }
}
