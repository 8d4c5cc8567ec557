//! Comments of protos as Rust documentation.
//!
//! In: descriptors, or the text of a comment. Out: lines of Markdown that rustdoc and clippy take without a warning,
//! whatever somebody once wrote into a comment: HTML, brackets, code of other languages, stray fences, crooked lists.

use std::collections::HashMap;

use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor,
    OneofDescriptor, ServiceDescriptor,
};

/// Something that a comment can be written on.
pub trait Commented {
    /// Where it is declared.
    fn file(&self) -> FileDescriptor;
    /// Its path within the file, as in `SourceCodeInfo`.
    fn path(&self) -> &[i32];
}

macro_rules! commented {
    ($($descriptor:ty),*) => {
        $(impl Commented for $descriptor {
            fn file(&self) -> FileDescriptor {
                self.parent_file()
            }

            fn path(&self) -> &[i32] {
                self.path()
            }
        })*
    };
}

commented!(
    EnumDescriptor,
    EnumValueDescriptor,
    FieldDescriptor,
    MessageDescriptor,
    MethodDescriptor,
    OneofDescriptor,
    ServiceDescriptor
);

/// The comments of all files.
#[derive(Debug, Default)]
pub struct Comments {
    files: HashMap<String, HashMap<Vec<i32>, String>>,
}

impl Comments {
    /// The comments of these files.
    pub fn of(files: impl IntoIterator<Item = FileDescriptor>) -> Self {
        Self { files: files.into_iter().map(|it| (it.name().to_owned(), index(&it))).collect() }
    }

    /// The comment on an element as it was written: the one before it, else the one behind it; empty without one.
    pub fn raw(&self, element: &impl Commented) -> &str {
        let comments = self.files.get(element.file().name());
        comments.and_then(|it| it.get(element.path())).map_or("", String::as_str)
    }

    /// The comment on an element as documentation.
    pub fn lines(&self, element: &impl Commented) -> Vec<String> {
        markdown(self.raw(element))
    }
}

fn index(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map_or(&[][..], |it| &it.location);
    locations
        .iter()
        .filter_map(|it| {
            let comment = it.leading_comments.as_ref().or(it.trailing_comments.as_ref())?;
            Some((it.path.clone(), comment.clone()))
        })
        .collect()
}

/// A comment as lines of plain text: outer blank lines and the common indentation are gone.
pub fn plain(comment: &str) -> Vec<String> {
    let lines: Vec<String> = comment.lines().map(clean).collect();
    let indent = lines.iter().filter(|it| !it.is_empty()).map(|it| leading_spaces(it)).min().unwrap_or(0);
    let mut lines: Vec<String> = lines.iter().map(|it| it.get(indent..).unwrap_or("").to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let blank = lines.iter().take_while(|it| it.is_empty()).count();
    lines.split_off(blank)
}

/// A comment as lines of Markdown that rustdoc takes without a warning.
pub fn markdown(comment: &str) -> Vec<String> {
    let mut writer = Writer::default();
    for line in plain(comment) {
        writer.line(&line);
    }
    writer.finish()
}

/// Without control characters (those for the direction of text are refused by rustc), tabs being spaces.
fn clean(line: &str) -> String {
    let odd = |it: char| it.is_control() || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    line.replace('\t', "    ").chars().filter(|it| !odd(*it)).collect::<String>().trim_end().to_owned()
}

/// Markdown under construction.
#[derive(Default)]
struct Writer {
    lines: Vec<String>,
    block: Block,
}

/// What the next line may continue.
#[derive(Default, PartialEq)]
enum Block {
    /// Nothing, or a paragraph.
    #[default]
    Text,
    /// An item of a list, with the column where its text begins.
    Item(usize),
    /// A fenced block of code.
    Fence,
    /// A block of code by indentation, which rustdoc would take for Rust.
    Indented,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let text = line.trim_start();
        let fence = text.starts_with("```") || text.starts_with("~~~");
        let after_blank = self.lines.last().is_none_or(String::is_empty);
        match self.block {
            Block::Fence if fence => self.close(),
            Block::Fence => self.lines.push(line.to_owned()),
            Block::Indented if text.is_empty() => self.lines.push(String::new()),
            Block::Indented if leading_spaces(line) >= 4 => self.lines.push(line[4..].to_owned()),
            Block::Indented => {
                self.close();
                self.line(line);
            }
            _ if fence => self.open(Block::Fence),
            Block::Text if after_blank && leading_spaces(line) >= 4 => {
                self.open(Block::Indented);
                self.lines.push(line[4..].to_owned());
            }
            _ => self.text(line, after_blank),
        }
    }

    fn text(&mut self, line: &str, after_blank: bool) {
        let text = line.trim_start();
        if text.is_empty() {
            self.lines.push(String::new());
        } else if let Some(marker) = item_marker(text) {
            // An item within an item stands where the outer one's text begins, any other at the margin.
            let indent = match self.block {
                Block::Item(column) if leading_spaces(line) >= 2 => column.min(leading_spaces(line)),
                _ => 0,
            };
            self.block = Block::Item(indent + marker);
            let (marker, rest) = text.split_at(marker);
            self.lines.push(format!("{}{marker}{}", " ".repeat(indent), escape(rest)));
        } else {
            let continues = !after_blank || leading_spaces(line) >= 2;
            let indent = match self.block {
                Block::Item(column) if continues => column,
                _ => 0,
            };
            if indent == 0 {
                self.block = Block::Text;
            }
            self.lines.push(format!("{}{}", " ".repeat(indent), escape(text)));
        }
    }

    fn open(&mut self, block: Block) {
        self.lines.push("```text".to_owned());
        self.block = block;
    }

    fn close(&mut self) {
        let blank = self.lines.iter().rev().take_while(|it| it.is_empty()).count();
        let blank = if self.block == Block::Indented { blank } else { 0 };
        self.lines.truncate(self.lines.len() - blank);
        self.lines.push("```".to_owned());
        self.lines.extend(std::iter::repeat_n(String::new(), blank));
        self.block = Block::Text;
    }

    fn finish(mut self) -> Vec<String> {
        if matches!(self.block, Block::Fence | Block::Indented) {
            self.close();
        }
        self.lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
        self.lines
    }
}

fn leading_spaces(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Length of the marker that makes a line an item of a list, the space behind it included.
fn item_marker(text: &str) -> Option<usize> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let sign = match text.as_bytes().get(digits) {
        Some(b'-' | b'*' | b'+') if digits == 0 => true,
        Some(b'.' | b')') => (1..10).contains(&digits),
        _ => false,
    };
    (sign && text[digits + 1..].starts_with(' ') && text.len() > digits + 2).then_some(digits + 2)
}

/// Text of which nothing is taken for HTML, a link or a quotation that isn't meant; addresses and code stay.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut rest = text;
    if rest.starts_with('>') {
        escaped.push('\\');
    }
    while let Some(char) = rest.chars().next() {
        let whole = match char {
            '`' => code_span(rest),
            '<' => auto_link(rest),
            '[' => inline_link(rest),
            'h' => web_address(rest),
            _ => None,
        };
        if let Some(length) = whole {
            let (verbatim, after) = rest.split_at(length);
            let bare = char == 'h';
            escaped.push_str(&if bare { format!("<{verbatim}>") } else { verbatim.to_owned() });
            rest = after;
        } else {
            if matches!(char, '`' | '<' | '[' | ']') {
                escaped.push('\\');
            }
            escaped.push(char);
            rest = &rest[char.len_utf8()..];
        }
    }
    escaped
}

/// Length of the code between backticks that `text` begins with.
fn code_span(text: &str) -> Option<usize> {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let (fence, inner) = text.split_at(ticks);
    inner.find(fence).filter(|it| *it > 0).map(|it| it + 2 * ticks)
}

/// Length of the `<https://…>` that `text` begins with.
fn auto_link(text: &str) -> Option<usize> {
    let address = web_address(&text[1..])?;
    text[1 + address..].starts_with('>').then_some(address + 2)
}

/// Length of the `[words](https://…)` that `text` begins with.
fn inline_link(text: &str) -> Option<usize> {
    let words = text.find("](")?;
    let plain = !text[1..words].contains(['[', ']', '<', '`']);
    let address = web_address(&text[words + 2..])?;
    let end = words + 2 + address;
    (plain && text[end..].starts_with(')')).then_some(end + 1)
}

/// Length of the address that `text` begins with; punctuation at its end is the sentence's.
fn web_address(text: &str) -> Option<usize> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return None;
    }
    let odd = |it: char| it.is_whitespace() || matches!(it, '<' | '>' | '(' | ')' | '[' | ']' | '`' | '"' | '\\');
    let end = text.find(odd).unwrap_or(text.len());
    let address = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_']);
    (address.len() > "https://".len()).then_some(address.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown_of(comment: &str) -> String {
        markdown(comment).join("\n")
    }

    #[test]
    fn keeps_plain_sentences() {
        assert_eq!(markdown_of(" A product.\n\n Sold *once* or `never`.\n"), "A product.\n\nSold *once* or `never`.");
    }

    #[test]
    fn escapes_what_is_no_markup() {
        assert_eq!(
            markdown_of(" Vec<T> at [0] */ and [x][y] `<T>` a ` b"),
            r"Vec\<T> at \[0\] */ and \[x\]\[y\] `<T>` a \` b"
        );
        assert_eq!(markdown_of("> quoted\nmore"), "\\> quoted\nmore");
    }

    #[test]
    fn keeps_addresses() {
        assert_eq!(
            markdown_of("See https://a.example/b, <http://c.example> and [d](https://d.example/e_f)."),
            "See <https://a.example/b>, <http://c.example> and [d](https://d.example/e_f)."
        );
    }

    #[test]
    fn marks_code_as_text() {
        assert_eq!(markdown_of("Try:\n\n    x = 1;\n\n    y\n\nDone."), "Try:\n\n```text\nx = 1;\n\ny\n```\n\nDone.");
        assert_eq!(markdown_of("```go\nfunc [T] x()\n```\nend"), "```text\nfunc [T] x()\n```\nend");
        assert_eq!(markdown_of("open\n```"), "open\n```text\n```");
    }

    #[test]
    fn indents_the_rest_of_an_item() {
        assert_eq!(markdown_of("- one\ntwo\n      three\n- four\n\nfive"), "- one\n  two\n  three\n- four\n\nfive");
        assert_eq!(markdown_of("1. a\n   - b\nc"), "1. a\n   - b\n     c");
        assert_eq!(markdown_of("---\n-5 is no item"), "---\n-5 is no item");
    }

    #[test]
    fn drops_what_rustc_refuses() {
        assert_eq!(markdown_of("a\u{202e}b\u{0}\r\n\tc"), "ab\n    c".replace("    ", ""));
    }
}
