//! What a seed knows: which commands and queries it answers, and which fields it sets, where.
//!
//! In: the Rust text of a seed as it was proposed, and as it would be. Out: the second, with what only the first knows
//! put back. A seed's code follows from names and types; when one of them is called differently, the proposal may no
//! longer see what is plain, and must not take the place of code that does. Nothing else than what Potter writes itself
//! is looked for: methods of an `impl`, arms of a `match`, assignments to fields, struct literals, refusals.

mod recall;

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

/// The fields of a message's struct in a text, if it has that struct: the number of each by its name.
pub fn fields(text: &str, of: &str) -> Option<BTreeMap<String, String>> {
    let tokens: Vec<&str> = significant(text).map(|it| it.text).collect();
    let at = tokens.windows(3).position(|it| it == ["struct", of, "{"])?;
    let body = &tokens[at + 3..];
    let mut fields = BTreeMap::new();
    let mut number = "";
    for near in body[..end_of_block(body)].windows(3) {
        match near {
            ["tag" | "tags", "=", literal] => number = literal,
            ["pub", name, ":"] => drop(fields.insert((*name).to_owned(), number.to_owned())),
            _ => {}
        }
    }
    Some(fields)
}

/// Where something is known: a method, or its arm for a variant.
type Place = (String, Option<String>);

/// Facts, and where there is room for more.
#[derive(Default)]
struct Known {
    facts: BTreeSet<Fact>,
    /// The words of each method, from its `fn`, and of each arm. Of two that are called alike neither can be meant.
    places: BTreeMap<Place, Option<Range<usize>>>,
    /// Structs that a method makes.
    made: BTreeSet<(String, Option<String>, String)>,
    /// Where a state or row is replaced as a whole.
    replaced: BTreeSet<(String, Option<String>)>,
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
        let end = open + 1 + end_of_block(&words[open + 1..]);
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
        let end = open + 1 + end_of_block(&words[open + 1..]);
        let Some(name) = words.get(start + 1) else { return end };
        let method = Method { name, state, signature: &words[start..open] };
        let body = &words[open + 1..end.min(words.len())];
        self.place((method.name, None), start..(end + 1).min(words.len()));
        if !body.windows(2).any(|it| it[1] == "(" && matches!(it[0], "Unimplemented" | "unimplemented")) {
            self.facts.insert(method.fact(None, FactKind::Answer));
        }
        self.body(&method, body, open + 1);
        end
    }

    fn place(&mut self, (method, variant): (&str, Option<&str>), words: Range<usize>) {
        let place = (method.to_owned(), variant.map(str::to_owned));
        self.places.entry(place).and_modify(|it| *it = None).or_insert(Some(words));
    }

    /// What stands in a method, which is so many words behind the text's beginning.
    fn body(&mut self, method: &Method<'_>, body: &[&str], start: usize) {
        let mut variant: Option<&str> = None;
        for at in 0..body.len() {
            let near = &body[at..];
            if let Some(found) = arm(near) {
                variant = Some(found);
                self.place((method.name, variant), start + at..start + at + length_of_arm(near));
            } else if let Some((variable, name)) = assigned(near) {
                let field = method.type_of(variable).map(|of| Field { of: of.to_owned(), name: name.to_owned() });
                self.facts.extend(field.map(|it| method.fact(variant, FactKind::Changes(it))));
            } else if near.len() > 2 && near[0] == "*" && is_word(near[1]) && near[2] == "=" {
                self.replaced.insert((method.name.to_owned(), variant.map(str::to_owned)));
            } else if near.len() > 1 && is_type(near[0]) && near[1] == "{" {
                self.literal(method, variant, near);
            }
        }
    }

    fn literal(&mut self, method: &Method<'_>, variant: Option<&str>, words: &[&str]) {
        let (of, body) = (words[0], &words[2..]);
        self.made.insert((method.name.to_owned(), variant.map(str::to_owned), of.to_owned()));
        let mut depth = 0_usize;
        for at in 0..end_of_block(body) {
            let begins = at == 0 || body[at - 1] == ",";
            let ends = body.get(at + 1).is_some_and(|it| matches!(*it, ":" | "," | "}"));
            if depth == 0 && begins && ends && is_word(body[at]) {
                let field = Field { of: of.to_owned(), name: body[at].to_owned() };
                self.facts.insert(method.fact(variant, FactKind::Makes(field)));
            }
            depth = depth_after(depth, body[at]);
        }
    }

    fn could_know(&self, fact: &Fact, exists: &dyn Fn(&Field) -> bool) -> bool {
        let Fact { method, variant, kind } = fact;
        let has_place = self.places.contains_key(&(method.clone(), variant.clone()));
        let is_replaced = || self.replaced.contains(&(method.clone(), variant.clone()));
        has_place
            && match kind {
                FactKind::Answer => true,
                FactKind::Changes(field) => !is_replaced() && exists(field),
                FactKind::Makes(field) => {
                    self.made.contains(&(method.clone(), variant.clone(), field.of.clone())) && exists(field)
                }
            }
    }
}

struct Method<'a> {
    name: &'a str,
    state: &'a str,
    signature: &'a [&'a str],
}

impl Method<'_> {
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

fn significant(text: &str) -> impl Iterator<Item = Token<'_>> {
    tokens(text).into_iter().filter(|it| !matches!(it.kind, Kind::Space | Kind::Comment))
}

/// What means something, what stands in strings left out.
fn words(text: &str) -> Vec<&str> {
    significant(text).map(|it| if it.kind == Kind::Literal { "\"\"" } else { it.text }).collect()
}

/// `Enum::Variant(it) =>` begins an arm.
fn arm<'a>(words: &[&'a str]) -> Option<&'a str> {
    let [of, ":", ":", variant, "(", binding, ")", "=", ">", ..] = words else { return None };
    (is_type(of) && is_type(variant) && is_word(binding)).then_some(*variant)
}

/// How many words an arm has, its comma included.
fn length_of_arm(words: &[&str]) -> usize {
    let start = words.iter().position(|it| *it == ">").map_or(words.len(), |at| at + 1);
    let body = &words[start..];
    let mut depth = 0_usize;
    for (at, word) in body.iter().enumerate() {
        let is_block = at > 0 && depth == 0 && body[0] == "{" && *word != ",";
        if is_block || depth == 0 && matches!(*word, "}" | ")" | "]") {
            return start + at;
        }
        if depth == 0 && *word == "," {
            return start + at + 1;
        }
        depth = depth_after(depth, word);
    }
    words.len()
}

/// `variable.field =`, also with an operator.
fn assigned<'a>(words: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let [variable, ".", field, rest @ ..] = words else { return None };
    let rest = if matches!(rest.first(), Some(&("+" | "-" | "*" | "/" | "|" | "&"))) { &rest[1..] } else { rest };
    let sets = rest.first() == Some(&"=") && !matches!(rest.get(1), Some(&("=" | ">")));
    (is_word(variable) && is_word(field) && sets).then_some((*variable, *field))
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
    let end = words[start..].iter().position(|it| matches!(*it, "{" | ";")).map_or(words.len(), |at| start + at);
    if words.get(end) == Some(&"{") { end + 2 + end_of_block(&words[end + 1..]) } else { end + 1 }
}

/// How far it is to the bracket that closes what was opened before.
fn end_of_block(words: &[&str]) -> usize {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate() {
        if depth == 0 && matches!(*word, "}" | ")" | "]") {
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
        recalled(before, after, exists).map(|it| it.facts).unwrap_or_default()
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
    fn fields_of_a_struct_are_found() {
        let text = "pub struct A { #[prost(uint32, tag = \"1\")] pub b: u8, #[prost(oneof = \"a::C\", tags = \"2, 3\")] \
                    pub r#type: Option<a::C> } pub struct B {}";
        let pairs = [("b", "\"1\""), ("r#type", "\"2, 3\"")];
        assert_eq!(fields(text, "A"), Some(pairs.map(|(name, tag)| (name.to_owned(), tag.to_owned())).into()));
        assert_eq!(fields(text, "B"), Some(BTreeMap::new()));
        assert_eq!(fields(text, "C"), None);
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
