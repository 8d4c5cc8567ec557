//! Source texts and places in them.
//!
//! Descriptors name elements by path (`[4, 0, 7, 50002]`); here such a path becomes a line, a column and the
//! text of the line. An option written as one block, `option (potter.query) = { … }`, has a single span for all
//! of its fields; with the text at hand the field itself is found in it.

use prost_types::SourceCodeInfo;

use crate::diagnostic::Location;

/// A proto file's text, as far as it is at hand, and how it is called in diagnostics.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// How the user calls the file.
    pub display: String,
    /// The text; unknown for descriptors that came ready-made.
    pub text: Option<String>,
    /// How far a tab moves the column: protoc counts 8, protox 1.
    pub tab_width: usize,
}

impl Source {
    /// A file whose descriptor came ready-made. Compilers differ in how they count a tab, so that the text decides:
    /// the width is right with which every span begins with a letter or a sign.
    pub fn described(display: String, text: Option<String>, info: Option<&SourceCodeInfo>) -> Self {
        let fits = |tab_width: usize| {
            let (Some(text), Some(info)) = (&text, info) else { return true };
            let source = Source { display: String::new(), text: None, tab_width };
            let mut starts =
                info.location.iter().filter_map(|it| Span::new(&it.span)).map(|it| source.offset(text, it.start));
            starts.all(|at| text[at..].starts_with(|it: char| !it.is_whitespace()))
        };
        let tab_width = if fits(8) { 8 } else { 1 };
        Source { display, text, tab_width }
    }

    /// The place of a span of `SourceCodeInfo`.
    pub fn locate(&self, span: &[i32]) -> Location {
        let Some(Span { start, end }) = Span::new(span) else {
            return self.unplaced();
        };
        match self.text.as_deref() {
            Some(text) => self.range(self.offset(text, start), self.offset(text, end)),
            None => Location {
                file: self.display.clone(),
                line: start.0 + 1,
                column: start.1 + 1,
                width: if start.0 == end.0 { end.1.saturating_sub(start.1) } else { 1 },
                text: None,
            },
        }
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: &[i32]) -> Option<(usize, usize)> {
        let text = self.text.as_deref()?;
        let Span { start, end } = Span::new(span)?;
        let (start, end) = (self.offset(text, start), self.offset(text, end));
        (start <= end).then_some((start, end))
    }

    /// The place of a range of bytes.
    pub fn range(&self, start: usize, end: usize) -> Location {
        let Some(text) = self.text.as_deref() else {
            return self.unplaced();
        };
        let start = floor_char_boundary(text, start);
        let line_start = text[..start].rfind('\n').map_or(0, |it| it + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |it| start + it);
        let end = floor_char_boundary(text, end).clamp(start, line_end);
        Location {
            file: self.display.clone(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end].trim_end().chars().count().max(1),
            text: Some(text[line_start..line_end].trim_end_matches('\r').to_owned()),
        }
    }

    /// The value of `key` within a span, or its one value that equals `value`; the span itself if not found.
    pub fn locate_value(&self, span: &[i32], key: &str, value: Option<&str>) -> Location {
        self.find_value(span, key, value).unwrap_or_else(|| self.locate(span))
    }

    fn find_value(&self, span: &[i32], key: &str, value: Option<&str>) -> Option<Location> {
        let text = self.text.as_deref()?;
        let (start, end) = self.bytes(span)?;
        let tokens = tokens(&text[start..end]);
        let is = |token: &Token, word: &str| token.text == word;
        let found =
            value.and_then(|value| tokens.iter().find(|it| it.string.as_deref() == Some(value))).or_else(|| {
                let at = tokens.iter().position(|it| is(it, key))?;
                tokens[at + 1..].iter().find(|it| !is(it, ":") && !is(it, "=") && !is(it, ")"))
            })?;
        Some(self.range(start + found.start, start + found.start + found.text.len()))
    }

    /// The file without a place in it.
    pub fn unplaced(&self) -> Location {
        Location { file: self.display.clone(), ..Location::default() }
    }

    /// The byte at a line and column of a span; columns count bytes, tabs apart.
    fn offset(&self, text: &str, (line, column): (usize, usize)) -> usize {
        let line_start = match line {
            0 => 0,
            _ => text.match_indices('\n').nth(line - 1).map_or(text.len(), |(at, _)| at + 1),
        };
        let mut reached = 0;
        let mut offset = line_start;
        for byte in text.as_bytes()[line_start..].iter().take_while(|byte| **byte != b'\n') {
            if reached >= column {
                break;
            }
            reached = match byte {
                b'\t' => (reached / self.tab_width + 1) * self.tab_width,
                _ => reached + 1,
            };
            offset += 1;
        }
        floor_char_boundary(text, offset)
    }
}

/// The span of the element at `path`.
pub(crate) fn span_of<'a>(info: Option<&'a SourceCodeInfo>, path: &[i32]) -> Option<&'a [i32]> {
    info?.location.iter().find(|it| it.path == path).map(|it| it.span.as_slice())
}

/// Lines and columns from 0, the end being exclusive.
struct Span {
    start: (usize, usize),
    end: (usize, usize),
}

impl Span {
    /// Reads the three or four numbers of `SourceCodeInfo`.
    fn new(span: &[i32]) -> Option<Self> {
        let number = |at: usize| usize::try_from(span[at]).ok();
        match span.len() {
            3 => Some(Span { start: (number(0)?, number(1)?), end: (number(0)?, number(2)?) }),
            4 => Some(Span { start: (number(0)?, number(1)?), end: (number(2)?, number(3)?) }),
            _ => None,
        }
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0)
}

/// A token of a proto file, comments and white space left out.
pub(crate) struct Token<'a> {
    /// Where it starts, in bytes.
    pub start: usize,
    /// As written.
    pub text: &'a str,
    /// What is between the quotes, escapes unread, if it is a string.
    pub string: Option<String>,
}

/// Cuts a text into tokens, as roughly as finding a place asks for.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |it| it + 2),
            '"' | '\'' => {
                let length = string_length(rest, first);
                let inner = rest[1..length].strip_suffix(first).unwrap_or(&rest[1..length]);
                tokens.push(Token { start: at, text: &rest[..length], string: Some(inner.to_owned()) });
                length
            }
            _ if is_word(first) || first == '-' => {
                let length = rest[1..].find(|it| !is_word(it) && it != '.').map_or(rest.len(), |it| it + 1);
                tokens.push(Token { start: at, text: &rest[..length], string: None });
                length
            }
            _ if first.is_whitespace() => first.len_utf8(),
            _ => {
                tokens.push(Token { start: at, text: &rest[..first.len_utf8()], string: None });
                first.len_utf8()
            }
        };
        at += length;
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The length of the string literal at the start, quotes included; it ends with its line at the latest.
fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str, tab_width: usize) -> Source {
        Source { display: "a.proto".into(), text: Some(text.into()), tab_width }
    }

    #[test]
    fn finds_the_same_word_whether_tabs_count_one_or_eight() {
        let text = "a\n\toption (x) = { key: \"no\" key2: 'é' };\n";
        let by_protox = source(text, 1).locate_value(&[1, 1, 40], "key2", None);
        let by_protoc = source(text, 8).locate_value(&[1, 8, 47], "key2", None);
        assert_eq!(by_protox, by_protoc);
        assert_eq!((by_protox.line, by_protox.column, by_protox.width), (2, 33, 3));
    }

    #[test]
    fn passes_over_comments_and_strings() {
        let text = "option = { /* key: 1 */ note: \"key: 2\" // key: 3\n key: 4 }";
        let place = source(text, 1).locate_value(&[0, 0, 1, 9], "key", None);
        assert_eq!((place.line, place.column, place.width), (2, 7, 1));
    }

    #[test]
    fn survives_spans_that_lie_outside_the_text() {
        assert_eq!(source("ab", 1).locate(&[7, 3, 9]).line, 1);
        assert_eq!(source("ab", 1).locate(&[-1, 0, 0]).line, 0);
        assert_eq!(source("ab", 1).locate(&[]).line, 0);
    }
}
