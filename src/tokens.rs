//! The tokens of a Rust text, without losing a byte of it.
//!
//! In: a text. Out: [`Token`]s that, one after the other, are the text again. syn and prettyplease lose comments and
//! layout, and so may never touch a user's file; this is enough to find names, and to tell layout from meaning.

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub text: &'a str,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier, a keyword, a number or a lifetime; `r#type` is one.
    Word,
    /// A string, a byte or a character.
    Literal,
    /// A comment, its line's end not included.
    Comment,
    /// Blanks and line ends.
    Space,
    /// Any other character.
    Sign,
}

/// The tokens of a text, whether it is Rust or not.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = token(rest, first);
        let (text, after) = rest.split_at(length);
        tokens.push(Token { kind, text });
        rest = after;
    }
    tokens
}

/// A token on each line: the same for all texts that say the same in Rust, laid out differently, which is what rustfmt may
/// do to a file and a person would not call an edit.
pub fn without_layout(text: &str) -> String {
    significant(text).iter().map(|it| it.text).collect::<Vec<_>>().join("\n")
}

/// Commas before a closing bracket come and go with the line breaks.
fn significant(text: &str) -> Vec<Token<'_>> {
    let mut kept: Vec<Token<'_>> = Vec::new();
    for token in tokens(text).into_iter().filter(|it| it.kind != Kind::Space) {
        let closes = token.kind == Kind::Sign && matches!(token.text, ")" | "]" | "}");
        if closes && kept.last().is_some_and(|it| it.kind == Kind::Sign && it.text == ",") {
            kept.pop();
        }
        kept.push(token);
    }
    kept
}

/// Kind and length of the first token.
fn token(text: &str, first: char) -> (Kind, usize) {
    match first {
        _ if text.starts_with("//") => (Kind::Comment, text.find(['\n', '\r']).unwrap_or(text.len())),
        _ if text.starts_with("/*") => (Kind::Comment, block(text)),
        '"' => (Kind::Literal, quoted(text, '"')),
        '\'' => quote(text),
        _ if first.is_whitespace() => (Kind::Space, run(text, char::is_whitespace)),
        _ if is_of_word(first) => word(text),
        _ => (Kind::Sign, first.len_utf8()),
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|it| !belongs(it)).unwrap_or(text.len())
}

/// A word; or a string with a prefix such as `br#"…"#`.
fn word(text: &str) -> (Kind, usize) {
    let length = run(text, is_of_word);
    let (word, after) = text.split_at(length);
    match word {
        "r" | "br" | "cr" => {
            let hashes = run(after, |it| it == '#');
            if after[hashes..].starts_with('"') {
                return (Kind::Literal, length + raw(after, hashes));
            }
            let name = if hashes == 1 { run(&after[1..], is_of_word) } else { 0 };
            (Kind::Word, if name > 0 { length + 1 + name } else { length })
        }
        "b" | "c" if after.starts_with('"') => (Kind::Literal, length + quoted(after, '"')),
        "b" if after.starts_with('\'') => (Kind::Literal, length + quoted(after, '\'')),
        _ => (Kind::Word, length),
    }
}

/// Up to the quote and the hashes that close a raw string.
fn raw(text: &str, hashes: usize) -> usize {
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = hashes + 1;
    text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len())
}

/// Up to the mark that closes a literal, if it is closed.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character, or a lifetime.
fn quote(text: &str) -> (Kind, usize) {
    let mut letters = text.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), _) => (Kind::Literal, quoted(text, '\'')),
        (Some(_), Some((at, '\''))) => (Kind::Literal, at + 1),
        (Some((_, letter)), _) if is_of_word(letter) => (Kind::Word, 1 + run(&text[1..], is_of_word)),
        _ => (Kind::Sign, 1),
    }
}

/// Up to the end of a comment in blocks, which may have others in it.
fn block(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (step, deeper) = match () {
            () if rest.starts_with("/*") => (2, 1),
            () if rest.starts_with("*/") => (2, -1),
            () => (rest.chars().next().map_or(1, char::len_utf8), 0),
        };
        at += step;
        depth = depth.saturating_add_signed(deeper);
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(kind: Kind, text: &str) -> Vec<&str> {
        tokens(text).into_iter().filter(|it| it.kind == kind).map(|it| it.text).collect()
    }

    #[test]
    fn words_are_told_from_what_looks_like_them() {
        let text = r##"
            let r#type = "a_word"; // a_word
            /* a_word /* nested */ a_word */ f('a', '\'', b'x', r#"a_word " "#, br"x", 'life, c"a_word");
        "##;
        assert_eq!(of(Kind::Word, text), ["let", "r#type", "f", "'life"]);
        assert_eq!(
            of(Kind::Literal, text),
            ["\"a_word\"", "'a'", "'\\''", "b'x'", "r#\"a_word \" \"#", "br\"x\"", "c\"a_word\""]
        );
        assert_eq!(of(Kind::Comment, text).len(), 2);
    }

    #[test]
    fn layout_is_no_difference_and_all_else_is() {
        let same_but_for_layout = |one: &str, other: &str| without_layout(one) == without_layout(other);
        let one = "fn f(a: u8, b: u8) {\n    g(a, b) // why\n}\n";
        assert!(same_but_for_layout(one, "fn f(\n  a: u8,\n  b: u8,\n) {\n g(a, b) // why\n}"));
        assert!(same_but_for_layout(one, &one.replace('\n', "\r\n")));
        assert!(!same_but_for_layout(one, &one.replace("why", "why not")));
        assert!(!same_but_for_layout(one, &one.replace("g(a, b)", "g(b, a)")));
        assert!(!same_but_for_layout("f(\"a b\")", "f(\"a  b\")"));
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(text in "([a-c_0-9]|r#|br|\"|'|\\\\|/\\*|\\*/|//|\n|\r\n| |[{}(),.:;#]|ü){0,40}") {
            let joined: String = tokens(&text).iter().map(|it| it.text).collect();
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn any_text_has_tokens(text in "\\PC{0,40}") {
            prop_assert!(tokens(&text).iter().all(|it| !it.text.is_empty()));
        }
    }
}
