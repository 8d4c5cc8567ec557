//! What a seed knows: which commands and queries it answers, and which fields it sets, where.
//!
//! In: the Rust text of a seed as it was proposed, and as it would be. Out: the second, with what only the first knows
//! put back. A seed's code follows from names and types; when one of them is called differently, the proposal may no
//! longer see what is plain, and must not take the place of code that does. Nothing else than what Potter writes itself
//! is looked for: methods of an `impl`, arms of a `match`, assignments to fields, struct literals, refusals.

mod recall;
mod unit_tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::tokens::{Kind, Token, tokens};

pub use recall::{Recalled, recalled};

/// Something that a seed knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// The method that knows it.
    pub method: String,
    /// The variant of an event, where the method tells them apart.
    pub variant: Option<String>,
    /// What it knows.
    pub kind: FactKind,
}

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKind {
    /// An answer other than a refusal.
    Answer,
    /// The value of a field of that struct, which is changed in place.
    Changes(Field),
    /// The value of a field of a new struct.
    Makes(Field),
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The name of the struct, without its path.
    pub of: String,
    /// The field.
    pub name: String,
}

impl Fact {
    fn place(&self) -> Place {
        (self.method.clone(), self.variant.clone())
    }

    /// The fact, if what it is about is still there, by the name that a field has now.
    fn called(&self, now: &dyn Fn(&Field) -> Option<String>) -> Option<Self> {
        let field = |it: &Field| Some(Field { of: it.of.clone(), name: now(it)? });
        let kind = match &self.kind {
            FactKind::Answer => FactKind::Answer,
            FactKind::Changes(it) => FactKind::Changes(field(it)?),
            FactKind::Makes(it) => FactKind::Makes(field(it)?),
        };
        Some(Self { kind, ..self.clone() })
    }

    /// What it is about, for a person.
    pub fn told(&self) -> String {
        let Self { method, variant, kind } = self;
        let place = variant.as_ref().map_or_else(|| method.clone(), |variant| format!("{method} at {variant}"));
        match kind {
            FactKind::Answer => format!("what {place} answers"),
            FactKind::Changes(field) | FactKind::Makes(field) => format!("{}.{} in {place}", field.of, field.name),
        }
    }
}

/// Where something is known: a method, or its arm for a variant.
type Place = (String, Option<String>);

/// Facts, and where there is room for more.
#[derive(Default)]
struct Known {
    facts: BTreeSet<Fact>,
    /// The words of each method, from its `fn`, and of each arm. Of two that are called alike neither can be meant.
    places: BTreeMap<Place, Option<Range<usize>>>,
    /// Which words name which fields.
    fields: Vec<(usize, Field)>,
    /// Structs that are made, where.
    made: BTreeSet<(Place, String)>,
    /// Where a state or row is replaced as a whole.
    replaced: BTreeSet<Place>,
}

impl Known {
    fn of(words: &[&str]) -> Self {
        let mut known = Self::default();
        let mut at = 0;
        while at < words.len() {
            match words[at] {
                "mod" => at = after_item(words, at),
                "impl" => at = known.block(words, at),
                _ => at += 1,
            }
        }
        known
    }

    /// An `impl`; answers where it ends.
    fn block(&mut self, words: &[&str], start: usize) -> usize {
        let Some(open) = find(words, start, "{") else { return words.len() };
        let end = end_of_block(words, open);
        let state = words[start..open].iter().rev().find(|it| is_type(it)).copied().unwrap_or_default();
        let mut at = open + 1;
        while let Some(found) = find(&words[..end], at, "fn") {
            at = self.method(&words[..end], found, state);
        }
        end + 1
    }

    /// A method; answers where it ends.
    fn method(&mut self, words: &[&str], start: usize, state: &str) -> usize {
        let Some(open) = find(words, start, "{") else { return words.len() };
        let end = end_of_block(words, open);
        let Some(name) = words.get(start + 1) else { return end };
        let method = Method { name, state, signature: &words[start..open] };
        let is_refusal = |it: &[&str]| it[1] == "(" && matches!(it[0], "Unimplemented" | "unimplemented");
        self.place(method.place(None), start..(end + 1).min(words.len()));
        if !words[open + 1..end].windows(2).any(is_refusal) {
            self.facts.insert(method.fact(None, FactKind::Answer));
        }
        self.body(&method, &words[..end], open + 1);
        end
    }

    fn place(&mut self, place: Place, words: Range<usize>) {
        self.places.entry(place).and_modify(|it| *it = None).or_insert(Some(words));
    }

    /// What stands in a method, to the end of the words.
    fn body(&mut self, method: &Method<'_>, words: &[&str], start: usize) {
        let mut arms: Vec<Arm<'_>> = Vec::new();
        for at in start..words.len() {
            arms.retain(|it| at < it.end);
            match Arm::at(words, at) {
                Some(arm) => {
                    self.place(method.place(Some(arm.variant)), at..arm.end);
                    if arm.is_answer {
                        self.facts.insert(method.fact(Some(arm.variant), FactKind::Answer));
                    }
                    arms.push(arm);
                }
                None => self.statement(method, arms.last(), words, at),
            }
        }
    }

    /// What is told by the words that begin here.
    fn statement(&mut self, method: &Method<'_>, arm: Option<&Arm<'_>>, words: &[&str], at: usize) {
        let near = &words[at..];
        let variant = arm.map(|it| it.variant);
        if let Some((variable, name)) = named(near).filter(|_| at == 0 || words[at - 1] != ".") {
            let of = arm.filter(|it| it.binding == variable).map(|it| it.variant).or_else(|| method.type_of(variable));
            let field = of.map(|of| Field { of: of.to_owned(), name: name.to_owned() });
            self.fields.extend(field.clone().map(|it| (at + 2, it)));
            let changed = field.filter(|_| is_assigned(&near[3..]));
            self.facts.extend(changed.map(|it| method.fact(variant, FactKind::Changes(it))));
        } else if near.len() > 2 && near[0] == "*" && is_word(near[1]) && near[2] == "=" {
            self.replaced.insert(method.place(variant));
        } else if near.len() > 1 && is_type(near[0]) && near[1] == "{" {
            self.literal(method, variant, words, at);
        }
    }

    fn literal(&mut self, method: &Method<'_>, variant: Option<&str>, words: &[&str], start: usize) {
        let (of, open) = (words[start], start + 1);
        self.made.insert((method.place(variant), of.to_owned()));
        let mut depth = 0_usize;
        for at in open + 1..end_of_block(words, open) {
            let begins = matches!(words[at - 1], "{" | ",");
            let ends = words.get(at + 1).is_some_and(|it| matches!(*it, ":" | "," | "}"));
            if depth == 0 && begins && ends && is_word(words[at]) {
                let field = Field { of: of.to_owned(), name: words[at].to_owned() };
                self.fields.push((at, field.clone()));
                self.facts.insert(method.fact(variant, FactKind::Makes(field)));
            }
            depth = depth_after(depth, words[at]);
        }
    }

    /// Whether there is room for a fact.
    fn could_know(&self, fact: &Fact) -> bool {
        let place = fact.place();
        self.places.contains_key(&place)
            && match &fact.kind {
                FactKind::Answer => true,
                FactKind::Changes(_) => !self.replaced.contains(&place),
                FactKind::Makes(field) => self.made.contains(&(place, field.of.clone())),
            }
    }
}

/// `Enum::Variant(binding) => …`
struct Arm<'a> {
    variant: &'a str,
    binding: &'a str,
    /// Behind its last word, its comma included.
    end: usize,
    /// Whether it has a value to tell.
    is_answer: bool,
}

impl<'a> Arm<'a> {
    fn at(words: &[&'a str], at: usize) -> Option<Self> {
        let [of, ":", ":", variant, "(", binding, ")", "=", ">", body @ ..] = &words[at..] else { return None };
        let is_one = is_type(of) && is_type(variant) && is_word(binding);
        let is_answer = body.first() == Some(&"Some");
        let end = words.len() - body.len() + length_of_arm(body);
        is_one.then_some(Self { variant, binding, end, is_answer })
    }
}

/// How many words the body of an arm has, its comma included.
fn length_of_arm(body: &[&str]) -> usize {
    let is_block = body.first() == Some(&"{");
    let end = if is_block { end_of_block(body, 0) + 1 } else { end_of_value(body) };
    (end + usize::from(body.get(end) == Some(&","))).min(body.len())
}

struct Method<'a> {
    name: &'a str,
    state: &'a str,
    signature: &'a [&'a str],
}

impl Method<'_> {
    fn place(&self, variant: Option<&str>) -> Place {
        (self.name.to_owned(), variant.map(str::to_owned))
    }

    fn fact(&self, variant: Option<&str>, kind: FactKind) -> Fact {
        Fact { method: self.name.to_owned(), variant: variant.map(str::to_owned), kind }
    }

    /// The struct that `self` or a parameter is, or holds.
    fn type_of(&self, variable: &str) -> Option<&str> {
        if variable == "self" {
            return Some(self.state);
        }
        let at = self.signature.windows(2).position(|it| it[0] == variable && it[1] == ":")?;
        let mut depth = 0_usize;
        let of_type = self.signature[at + 2..].iter().take_while(|it| {
            depth = if **it == "<" { depth + 1 } else { depth.saturating_sub(usize::from(**it == ">")) };
            depth > 0 || **it != ","
        });
        of_type.filter(|it| is_type(it)).last().copied()
    }
}

/// The words of a text that mean something, what stands in strings left out, and where they stand.
struct Words<'a> {
    texts: Vec<&'a str>,
    places: Vec<Range<usize>>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let (mut texts, mut places, mut start) = (Vec::new(), Vec::new(), 0);
        for Token { kind, text } in tokens(text) {
            let end = start + text.len();
            if !matches!(kind, Kind::Space | Kind::Comment) {
                texts.push(if kind == Kind::Literal { "\"\"" } else { text });
                places.push(start..end);
            }
            start = end;
        }
        Self { texts, places }
    }

    /// Where some of them, one at least, stand in the text.
    fn bytes(&self, words: &Range<usize>) -> Range<usize> {
        self.places[words.start].start..self.places[words.end - 1].end
    }
}

/// `variable.field`, but not a method.
fn named<'a>(words: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let [variable, ".", field, rest @ ..] = words else { return None };
    let is_field = is_word(variable) && is_word(field) && rest.first() != Some(&"(");
    is_field.then_some((*variable, *field))
}

/// Whether `=` comes next, also with an operator.
fn is_assigned(words: &[&str]) -> bool {
    let rest = if matches!(words.first(), Some(&("+" | "-" | "*" | "/" | "|" | "&"))) { &words[1..] } else { words };
    rest.first() == Some(&"=") && !matches!(rest.get(1), Some(&("=" | ">")))
}

fn is_word(text: &str) -> bool {
    text.starts_with(|it: char| it.is_alphabetic() || it == '_')
}

fn is_type(text: &str) -> bool {
    text.starts_with(char::is_uppercase)
}

fn find(words: &[&str], from: usize, word: &str) -> Option<usize> {
    words.get(from..)?.iter().position(|it| *it == word).map(|at| from + at)
}

/// Behind the item that begins here: its block, or its semicolon.
fn after_item(words: &[&str], start: usize) -> usize {
    let is_end = |it: &str| it == ";" || it == "{" && words[start] != "use";
    let end = words[start..].iter().position(|it| is_end(it)).map_or(words.len(), |at| start + at);
    let end = if words.get(end) == Some(&"{") { end_of_block(words, end) } else { end };
    (end + 1).min(words.len())
}

/// Where the bracket closes that is opened here.
fn end_of_block(words: &[&str], open: usize) -> usize {
    let start = (open + 1).min(words.len());
    start + end_of(&words[start..], false)
}

/// Where a value ends: before a comma or a bracket that closes.
fn end_of_value(words: &[&str]) -> usize {
    end_of(words, true)
}

fn end_of(words: &[&str], is_value: bool) -> usize {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate() {
        if depth == 0 && (matches!(*word, "}" | ")" | "]") || is_value && *word == ",") {
            return at;
        }
        depth = depth_after(depth, word);
    }
    words.len()
}

fn depth_after(depth: usize, word: &str) -> usize {
    match word {
        "{" | "(" | "[" => depth + 1,
        "}" | ")" | "]" => depth.saturating_sub(1),
        _ => depth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = r#"
use potter::events;

impl OrderDecider for Order {
    fn place(&self, command: Place) -> Result<Vec<OrderEvent>, OrderError> {
        Ok(events![Placed { id: context.id.clone(), note: command.note, ..Default::default() }])
    }
    fn cancel(&self, _command: Cancel) -> Result<Vec<OrderEvent>, OrderError> {
        Err(OrderError::Unimplemented("cancel"))
    }
    fn evolve(&mut self, event: OrderEvent) {
        match event {
            OrderEvent::Placed(it) => {
                if let Some(note) = it.note {
                    self.note = note;
                }
                self.total += it.total;
            }
            OrderEvent::Returned(_) => self.returned = true,
            OrderEvent::Kept(_) => {}
        }
    }
}

impl LinesProjection for Lines {
    fn project(row: &mut Option<messages::Line>, event: OrderEvent) {
        match event {
            OrderEvent::Placed(it) => {
                let row = row.get_or_insert_with(|| messages::Line { id: it.id.clone(), ..Default::default() });
                row.note = it.note;
            }
            OrderEvent::Returned(_) => *row = None,
        }
    }
}

#[cfg(test)]
mod tests {
    impl Other for Order {
        fn f(&mut self) { self.other = 1; }
    }
}
"#;

    fn lost(before: &str, after: &str, exists: &dyn Fn(&Field) -> bool) -> Vec<Fact> {
        let now = |field: &Field| exists(field).then(|| field.name.clone());
        recalled(before, after, &now).map(|it| it.kept).unwrap_or_default()
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        assert!(SEED.contains(old), "{old}");
        lost(SEED, &SEED.replace(old, new), &|_| true).iter().map(Fact::told).collect()
    }

    #[test]
    fn what_is_lost_is_named() {
        for (old, new, expected) in [
            ("note: command.note, ", "", "Placed.note in place"),
            ("self.note = note;", "", "Order.note in evolve at Placed"),
            ("self.total += it.total;", "", "Order.total in evolve at Placed"),
            ("(_) => self.returned = true", "(_) => {}", "Order.returned in evolve at Returned"),
            ("row.note = it.note;", "", "Line.note in project at Placed"),
            (
                "messages::Line { id: it.id.clone(), ..Default::default() }",
                "messages::Line {}",
                "Line.id in project at Placed",
            ),
        ] {
            assert_eq!(told(old, new), [expected]);
        }
        let refusal = "Err(OrderError::Unimplemented(\"place\"))";
        let answer = "Ok(events![Placed { id: context.id.clone(), note: command.note, ..Default::default() }])";
        assert_eq!(told(answer, refusal), ["what place answers"]);
    }

    #[test]
    fn what_cannot_be_known_any_more_is_not_lost() {
        for (old, new) in [
            ("fn place(", "fn other("),
            ("OrderEvent::Returned(_) => self.returned = true,", ""),
            (
                "events![Placed { id: context.id.clone(), note: command.note, ..Default::default() }]",
                "events![Other {}]",
            ),
            ("self.note = note;", "*self = note;"),
            ("self.other = 1;", ""),
            ("Err(OrderError::Unimplemented(\"cancel\"))", "Ok(events![])"),
            ("self.note = note;", "self.note = other;"),
        ] {
            let after = SEED.replace(old, new);
            assert!(after != SEED, "{old}");
            let lost = lost(SEED, &after, &|field| field.name != "total");
            assert_eq!(lost, [], "{old}");
        }
        assert_eq!(lost(SEED, &SEED.replace("self.note = note;", ""), &|field| field.name != "note"), []);
    }

    #[test]
    fn any_text_is_read() {
        for text in [
            "",
            "impl",
            "impl A",
            "impl A {",
            "impl A { fn",
            "impl A { fn f(",
            "mod",
            "mod a {",
            "impl A { fn f() { B {",
        ] {
            assert_eq!(lost(text, text, &|_| true), []);
        }
    }
}
