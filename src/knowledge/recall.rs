//! Puts what an earlier proposal knew back into a later one that doesn't see it any more.
//!
//! A method, or an arm of its `match`, is put back as a whole, with the imports that it needs, and with a method the
//! tests that call it. Where it doesn't fit the protos any longer, the compiler says so at the very place; a refusal in
//! its stead would say nothing.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Fact, FactKind, Field, Known, Place, after_item, end_of_block, significant, words};
use crate::merge;

/// A proposal with what it didn't know any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// Its text.
    pub text: String,
    /// What it would have lost.
    pub facts: Vec<Fact>,
}

/// `after`, with what `before` knows and it doesn't, although it could: it has the method, the variant and, as `exists`
/// says, the field. None where nothing is lost.
pub fn recalled(before: &str, after: &str, exists: &dyn Fn(&Field) -> bool) -> Option<Recalled> {
    let (old_words, new_words) = (words(before), words(after));
    let (old, new) = (Known::of(&old_words), Known::of(&new_words));
    let is_lost = |fact: &&Fact| !new.facts.contains(fact) && new.could_know(fact, exists);
    let facts: Vec<Fact> = old.facts.iter().filter(is_lost).cloned().collect();
    if facts.is_empty() {
        return None;
    }
    let mut edits = Vec::new();
    for place in places(&facts) {
        let ranges = old.places.get(&place).zip(new.places.get(&place));
        if let Some((Some(from), Some(to))) = ranges {
            edits.push((bytes(after, to), &before[bytes(before, from)]));
        }
    }
    let text = spliced(before, after, edits);
    Some(Recalled { text: with_tests(before, &text, &facts), facts })
}

/// Where the facts are, an arm in a method that is put back as a whole left out.
fn places(facts: &[Fact]) -> BTreeSet<Place> {
    let all: BTreeSet<Place> = facts.iter().map(|it| (it.method.clone(), it.variant.clone())).collect();
    let is_whole = |(method, variant): &Place| variant.is_none() || !all.contains(&(method.clone(), None));
    all.iter().filter(|it| is_whole(it)).cloned().collect()
}

fn spliced(before: &str, after: &str, mut edits: Vec<(Range<usize>, &str)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let put_back: Vec<&str> = edits.iter().map(|(_, text)| *text).collect();
    let taken_out: Vec<&str> = edits.iter().map(|(range, _)| &after[range.clone()]).collect();
    let mut text = after.to_owned();
    for (range, new) in edits.iter().rev() {
        text.replace_range(range.clone(), new);
    }
    merge::carry_imports(before, &text, 0, &put_back.join("\n"), &taken_out.join("\n"))
}

/// The text with the tests of methods that were put back.
fn with_tests(before: &str, text: &str, facts: &[Fact]) -> String {
    let (old_words, new_words) = (words(before), words(text));
    let (old, new) = (Tests::of(&old_words), Tests::of(&new_words));
    let Some(mut place) = new.start.map(|at| bytes(text, &(at..at + 1)).end) else { return text.to_owned() };
    let answers = facts.iter().filter(|it| it.kind == FactKind::Answer);
    let methods: BTreeSet<&str> = answers.map(|it| it.method.as_str()).collect();
    let is_of_them =
        |words: &[&str]| words.windows(3).any(|it| it[0] == "." && methods.contains(it[1]) && it[2] == "(");
    let (mut edited, mut added) = (text.to_owned(), 0);
    let mut put_back = String::new();
    for (name, range) in &old.tests {
        if let Some((_, there)) = new.tests.iter().find(|it| it.0 == *name) {
            place = bytes(text, there).end;
        } else if is_of_them(&old_words[range.clone()]) {
            let test = format!("\n\n    {}", &before[bytes(before, range)]);
            edited.insert_str(place + added, &test);
            added += test.len();
            put_back += &test;
        }
    }
    merge::carry_imports(before, &edited, 4, &put_back, "")
}

/// The tests of a seed.
#[derive(Default)]
struct Tests<'a> {
    /// The last word before the first of them.
    start: Option<usize>,
    /// By name, the words of each, its attributes included.
    tests: Vec<(&'a str, Range<usize>)>,
}

impl<'a> Tests<'a> {
    fn of(words: &[&'a str]) -> Self {
        let mut found = Self::default();
        let Some(open) = words.windows(3).position(|it| it == ["mod", "tests", "{"]).map(|at| at + 2) else {
            return found;
        };
        let end = (open + 1 + end_of_block(&words[open + 1..])).min(words.len());
        let mut at = open + 1;
        while at < end {
            let next = after_item(words, at).clamp(at + 1, end);
            match words[at..next].windows(2).find(|it| it[0] == "fn") {
                Some(function) if words[at] == "#" => found.tests.push((function[1], at..next)),
                _ if found.tests.is_empty() => found.start = Some(next - 1),
                _ => {}
            }
            at = next;
        }
        found
    }
}

/// Where words stand in a text.
fn bytes(text: &str, words: &Range<usize>) -> Range<usize> {
    let place = |at: usize| {
        significant(text).nth(at).map_or(text.len()..text.len(), |it| {
            let start = it.text.as_ptr() as usize - text.as_ptr() as usize;
            start..start + it.text.len()
        })
    };
    place(words.start).start..place(words.end.saturating_sub(1)).end
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "use a::{Placed, Order};
use m::events;

impl Rules for Order {
    /// Old.
    fn place(&self, it: Place) -> Answer {
        Ok(events![Placed { note: it.note }])
    }

    fn evolve(&mut self, event: OrderEvent) {
        match event {
            OrderEvent::Placed(it) => {
                self.note = it.note;
            }
            OrderEvent::Returned(_) => self.returned = true,
        }
    }
}
";

    const TESTS: &str = "
#[cfg(test)]
mod tests {
    use a::{Order, Placed};
    use m::events;

    #[test]
    fn first() {
        place();
    }

    #[test]
    fn place_records_placed() {
        order.place(it).then(events![Placed]);
    }

    #[test]
    fn last() {}
}
";

    const AFTER: &str = "use a::{Order, OrderError};

impl Rules for Order {
    /// New.
    fn place(&self, _it: Place) -> Answer {
        Err(OrderError::Unimplemented(\"place\"))
    }

    fn evolve(&mut self, event: OrderEvent) {
        match event {
            OrderEvent::Closed(_) => {}
            OrderEvent::Placed(_) => {}
            OrderEvent::Returned(_) => {}
        }
    }
}
";

    #[test]
    fn methods_and_arms_are_put_back_with_their_imports() {
        let Recalled { text, facts } = recalled(BEFORE, AFTER, &|_| true).expect("something is lost");
        let expected = BEFORE.replace("Old", "New").replace(
            "            OrderEvent::Placed",
            "            OrderEvent::Closed(_) => {}\n            OrderEvent::Placed",
        );
        let expected = expected.replace("{Placed, Order}", "{Order, Placed}");
        assert_eq!(text, expected);
        let told: Vec<String> = facts.iter().map(Fact::told).collect();
        let expected = ["Order.note in evolve at Placed", "Order.returned in evolve at Returned", "what place answers"];
        assert_eq!(told, expected);
        assert_eq!(recalled(BEFORE, &text, &|_| true), None);
    }

    #[test]
    fn the_tests_of_a_method_come_back_with_it() {
        let (before, was) = (BEFORE.to_owned() + TESTS, TESTS);
        let test =
            "    #[test]\n    fn place_records_placed() {\n        order.place(it).then(events![Placed]);\n    }\n\n";
        let without =
            was.replace(test, "").replace("    use a::{Order, Placed};\n    use m::events;\n", "    use a::Order;\n");
        let first = "    #[test]\n    fn first() {\n        place();\n    }\n\n";
        for without in [without.clone(), without.replace(first, "")] {
            let text = recalled(&before, &(AFTER.to_owned() + &without), &|_| true).expect("a loss").text;
            let is_first_gone = !without.contains("first");
            let expected = if is_first_gone { was.replace(first, "") } else { was.to_owned() };
            assert!(text.ends_with(&expected), "{text}");
        }
    }

    #[test]
    fn what_there_are_two_of_is_left_as_it_is() {
        let other = "impl A { fn place() { Unimplemented() } }\n";
        let twice = |text: &str| text.replace("impl Rules", &format!("{other}impl Rules"));
        let text = recalled(&twice(BEFORE), &twice(AFTER), &|field| field.name == "id").expect("a loss").text;
        assert_eq!(text, twice(AFTER));
    }
}
