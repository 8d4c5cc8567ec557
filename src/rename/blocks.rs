//! The blocks of a file: what stands before each brace, so that a name can be told from its namesake in another block.
//!
//! In: the significant tokens of a file. Out: [`Block`]s, the whole file the first of them, and for each token the
//! block that it is in.

/// What a pair of braces belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// The file, a body, a literal: anything else.
    Other,
    /// `mod name { … }`.
    Module(&'a str),
    /// `enum Name { … }`.
    Enum(&'a str),
    /// `trait Name { … }`.
    Trait,
    /// `impl … for on { … }`, with the place of the trait's name if there is a trait.
    Impl {
        /// The type.
        on: &'a str,
        /// Where the name of the trait stands.
        of: Option<usize>,
    },
}

/// A pair of braces and what is between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    /// What it belongs to.
    pub kind: Kind<'a>,
    /// The block that it is in; the file's is in itself.
    pub parent: usize,
}

/// All blocks of a file.
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    /// The first is the file.
    pub all: Vec<Block<'a>>,
    /// The innermost block of each token; a brace is in the block that it opens or closes.
    of_token: Vec<usize>,
    /// Whether a token is within brackets or parentheses of its block.
    is_nested: Vec<bool>,
}

impl<'a> Blocks<'a> {
    /// The blocks of these tokens.
    pub fn of(tokens: &[&'a str]) -> Self {
        let file = Block { kind: Kind::Other, parent: 0 };
        let mut blocks = Blocks { all: vec![file], of_token: Vec::new(), is_nested: Vec::new() };
        let mut reader = Reader { block: 0, depth: 0, start: 0, outer: Vec::new() };
        for (at, token) in tokens.iter().enumerate() {
            reader.read(at, token, tokens, &mut blocks);
        }
        blocks
    }

    /// The innermost block that a token is in.
    pub fn of_token(&self, at: usize) -> usize {
        self.of_token.get(at).copied().unwrap_or_default()
    }

    /// The blocks around a token, the innermost first and the file last.
    pub fn around(&self, at: usize) -> impl Iterator<Item = usize> {
        let parent = |it: &usize| (*it != 0).then(|| self.all[*it].parent);
        std::iter::successors(Some(self.of_token(at)), parent)
    }

    /// Whether the name at a place is that of an enum's variant, as the enum declares it.
    pub fn declares_variant(&self, tokens: &[&str], at: usize) -> bool {
        let is_first = at.checked_sub(1).is_some_and(|before| matches!(tokens[before], "{" | "," | "]"));
        is_first && !self.is_nested[at] && matches!(self.all[self.of_token(at)].kind, Kind::Enum(_))
    }
}

/// Where reading has come to.
struct Reader {
    block: usize,
    /// Brackets and parentheses that are open within the block.
    depth: usize,
    /// Where the statement or item begins.
    start: usize,
    /// The depths of the blocks around.
    outer: Vec<usize>,
}

impl Reader {
    fn read<'a>(&mut self, at: usize, token: &str, tokens: &[&'a str], blocks: &mut Blocks<'a>) {
        if token == "{" {
            let kind = kind(tokens, self.start, at);
            blocks.all.push(Block { kind, parent: self.block });
            self.outer.push(std::mem::take(&mut self.depth));
            self.block = blocks.all.len() - 1;
        }
        blocks.of_token.push(self.block);
        match token {
            "(" | "[" => self.depth += 1,
            ")" | "]" => self.depth = self.depth.saturating_sub(1),
            "}" => {
                self.block = blocks.all[self.block].parent;
                self.depth = self.outer.pop().unwrap_or_default();
            }
            _ => {}
        }
        blocks.is_nested.push(self.depth > 0);
        if matches!(token, "{" | "}") || token == ";" && self.depth == 0 {
            self.start = at + 1;
        }
    }
}

/// What the tokens from `start` say of the brace at `brace`.
fn kind<'a>(tokens: &[&'a str], start: usize, brace: usize) -> Kind<'a> {
    let first = after_marks(tokens, start, brace);
    let name = || tokens.get(first + 1).copied().unwrap_or_default();
    match tokens[first] {
        "mod" => Kind::Module(name()),
        "enum" => Kind::Enum(name()),
        "trait" => Kind::Trait,
        "impl" => implementation(tokens, first + 1, brace),
        _ => Kind::Other,
    }
}

/// Behind the attributes, the visibility and `unsafe`.
fn after_marks(tokens: &[&str], mut at: usize, end: usize) -> usize {
    while at < end {
        at = match tokens[at] {
            "#" => closing(tokens, at + 1, end) + 1,
            "pub" if tokens[at + 1] == "(" => closing(tokens, at + 1, end) + 1,
            "pub" | "unsafe" | "default" => at + 1,
            _ => return at,
        };
    }
    end
}

/// The bracket or parenthesis that closes the one at `at`.
fn closing(tokens: &[&str], at: usize, end: usize) -> usize {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().take(end).skip(at) {
        match *token {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return place;
        }
    }
    end
}

/// Of `<T> path::Trait<X> for Type<T> where …`: the trait and the type.
fn implementation<'a>(tokens: &[&'a str], start: usize, brace: usize) -> Kind<'a> {
    let (mut angles, mut name, mut of) = (0_usize, None, None);
    for at in start..brace {
        match tokens[at] {
            "<" => angles += 1,
            // `->` closes nothing.
            ">" if tokens[at - 1] != "-" => angles = angles.saturating_sub(1),
            "where" if angles == 0 => break,
            // `for<'a>` is no part of the path.
            "for" if angles == 0 && tokens[at + 1] != "<" => of = name.take(),
            word if angles == 0 && super::scope::is_name(word) => name = Some(at),
            _ => {}
        }
    }
    Kind::Impl { on: name.map_or("", |at| tokens[at]), of }
}
