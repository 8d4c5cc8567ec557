//! The unit tests of a seed: those of methods that are put back come back too.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Words, after_item, end_of_block};
use crate::merge::{carry_imports, edited};

/// How the tests' module begins.
const MODULE: [&str; 3] = ["mod", "tests", "{"];

/// The indent of what is in it.
const INDENT: usize = 4;

/// `text` with the tests that `before` has of some methods, and without those of what was there instead.
pub(super) fn with_tests(before: &str, text: &str, methods: &BTreeSet<&str>) -> String {
    let Some(old) = Module::of(before, methods).filter(|it| it.tests.iter().any(|it| it.is_meant)) else {
        return text.to_owned();
    };
    let text = match Module::of(text, methods) {
        Some(_) => text.to_owned(),
        None => format!("{}\n\n{}", text.trim_end(), old.emptied()),
    };
    let Some(new) = Module::of(&text, methods) else { return text };
    let missing = missing(&old, &new);
    let needless = new.tests.iter().filter(|it| it.is_meant && old.named(it.name).is_none());
    let needless: Vec<Range<usize>> = needless.map(|it| it.bytes.clone()).collect();
    let put_back: String = missing.iter().map(|(_, test)| test.as_str()).collect();
    let taken_out: String = needless.iter().map(|it| &text[it.clone()]).collect();
    let mut edits: Vec<(Range<usize>, String)> = missing.into_iter().map(|(at, test)| (at..at, test)).collect();
    // The blank line above goes along.
    edits.extend(needless.into_iter().map(|it| (text[..it.start].trim_end().len()..it.end, String::new())));
    carry_imports(before, &edited(&text, edits), INDENT, &put_back, &taken_out)
}

/// The tests that only the former module has, each with its place: behind the one that it stood behind.
fn missing(old: &Module<'_>, new: &Module<'_>) -> Vec<(usize, String)> {
    let mut missing = Vec::new();
    let mut place = new.start;
    for test in &old.tests {
        match new.named(test.name) {
            Some(there) => place = there.bytes.end,
            None if test.is_meant => missing.push((place, format!("\n\n    {}", &old.text[test.bytes.clone()]))),
            None => {}
        }
    }
    missing
}

/// The module of the tests.
struct Module<'a> {
    text: &'a str,
    /// The first byte, that of its attribute.
    begin: usize,
    /// Where the first test may stand: behind the imports.
    start: usize,
    tests: Vec<Test<'a>>,
}

struct Test<'a> {
    name: &'a str,
    /// Its attributes included.
    bytes: Range<usize>,
    /// Whether it is about one of the methods.
    is_meant: bool,
}

impl<'a> Module<'a> {
    fn of(text: &'a str, methods: &BTreeSet<&str>) -> Option<Self> {
        let words = Words::of(text);
        let texts = &words.texts;
        let open = texts.windows(3).position(|it| it == MODULE)? + 2;
        let end = end_of_block(texts, open);
        let attribute = texts[..open - 2].iter().rposition(|it| *it == "#").filter(|_| texts[open - 3] == "]");
        let begin = words.places[attribute.unwrap_or(open - 2)].start;
        let mut module = Self { text, begin, start: words.places[open].end, tests: Vec::new() };
        let mut at = open + 1;
        while at < end {
            let next = after_item(texts, at).clamp(at + 1, end);
            let bytes = words.bytes(&(at..next));
            match Test::of(&texts[at..next], bytes.clone(), methods) {
                Some(test) => module.tests.push(test),
                None if module.tests.is_empty() => module.start = bytes.end,
                None => {}
            }
            at = next;
        }
        Some(module)
    }

    fn named(&self, name: &str) -> Option<&Test<'a>> {
        self.tests.iter().find(|it| it.name == name)
    }

    /// The module with what precedes the tests alone.
    fn emptied(&self) -> String {
        format!("{}\n}}\n", &self.text[self.begin..self.start])
    }
}

impl<'a> Test<'a> {
    /// An item, if it is a function with an attribute.
    fn of(words: &[&'a str], bytes: Range<usize>, methods: &BTreeSet<&str>) -> Option<Self> {
        let name = words.windows(2).find(|it| it[0] == "fn").filter(|_| words[0] == "#")?[1];
        let is_meant = words.windows(2).any(|it| matches!(it[0], "." | ":") && methods.contains(it[1]));
        Some(Self { name, bytes, is_meant })
    }
}
