//! Puts what an earlier proposal knew back into a later one that doesn't see it any more.
//!
//! A method, or an arm of its `match`, is put back as a whole, with the imports that it needs. Where it doesn't fit the
//! protos any longer, the compiler says so at the very place; a refusal in its stead would say nothing.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Fact, Field, Known, Place, significant, words};
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
    Some(Recalled { text: spliced(before, after, edits), facts })
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
    merge::carry_imports(before, &text, &put_back.join("\n"), &taken_out.join("\n"))
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
    fn what_there_are_two_of_is_left_as_it_is() {
        let other = "impl A { fn place() { Unimplemented() } }\n";
        let twice = |text: &str| text.replace("impl Rules", &format!("{other}impl Rules"));
        let text = recalled(&twice(BEFORE), &twice(AFTER), &|field| field.name == "id").expect("a loss").text;
        assert_eq!(text, twice(AFTER));
    }
}
