//! Puts what an earlier proposal knew back into a later one that doesn't see it any more.
//!
//! A method, or an arm of its `match`, is put back as a whole: with the names that fields have now, the imports that it
//! needs, and, with a method, the tests that are about it. Where it doesn't fit the protos any longer, the compiler says
//! so at the very place; a refusal in its stead would say nothing.

use std::collections::BTreeSet;
use std::ops::Range;

use super::unit_tests::with_tests;
use super::{Fact, Field, Known, Place, Words};
use crate::merge::{carry_imports, edited};

/// A proposal with what it didn't know any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// Its text.
    pub text: String,
    /// What it would have lost.
    pub kept: Vec<Fact>,
    /// What was new where that was put back, and so isn't in the text.
    pub left_out: Vec<Fact>,
}

/// `after`, with what `before` knows and it doesn't, although it could: it has the method and the variant, and fields
/// are still there, as `now` says by the names that they have. None where nothing is lost.
pub fn recalled(before: &str, after: &str, now: &dyn Fn(&Field) -> Option<String>) -> Option<Recalled> {
    let (old, new) = (Seed::of(before), Seed::of(after));
    let known: BTreeSet<Fact> = old.known.facts.iter().filter_map(|it| it.called(now)).collect();
    let is_lost = |fact: &&Fact| !new.known.facts.contains(fact) && new.known.could_know(fact);
    let lost: Vec<&Fact> = known.iter().filter(is_lost).collect();
    let parts: Vec<Part> = whole(&lost).into_iter().filter_map(|place| Part::of(place, &old, &new)).collect();
    if parts.is_empty() {
        return None;
    }
    let is_put_back = |fact: &Fact| parts.iter().any(|it| it.has(fact));
    let kept = lost.into_iter().filter(|it| is_put_back(it)).cloned().collect();
    let left_out = new.known.facts.iter().filter(|it| is_put_back(it) && !known.contains(it)).cloned().collect();
    let edits = parts.iter().map(|it| (new.words.bytes(&it.new), old.called(&it.old, now))).collect();
    let methods = parts.iter().filter(|it| it.place.1.is_none()).map(|it| it.place.0.as_str()).collect();
    Some(Recalled { text: with_tests(before, &spliced(before, after, edits), &methods), kept, left_out })
}

/// Where the facts are, an arm in a method that is put back as a whole left out.
fn whole(facts: &[&Fact]) -> BTreeSet<Place> {
    let all: BTreeSet<Place> = facts.iter().map(|it| it.place()).collect();
    let is_whole = |(method, variant): &Place| variant.is_none() || !all.contains(&(method.clone(), None));
    all.iter().filter(|it| is_whole(it)).cloned().collect()
}

/// What is put back: its words as they were, and those that stand there instead.
struct Part {
    place: Place,
    old: Range<usize>,
    new: Range<usize>,
}

impl Part {
    /// None where it can't be told which is meant.
    fn of(place: Place, old: &Seed<'_>, new: &Seed<'_>) -> Option<Self> {
        let [old, new] = [old, new].map(|it| it.known.places.get(&place).cloned().flatten());
        Some(Self { place, old: old?, new: new? })
    }

    fn has(&self, fact: &Fact) -> bool {
        self.place.0 == fact.method && (self.place.1.is_none() || self.place.1 == fact.variant)
    }
}

/// A text and what it knows.
struct Seed<'a> {
    text: &'a str,
    words: Words<'a>,
    known: Known,
}

impl<'a> Seed<'a> {
    fn of(text: &'a str) -> Self {
        let words = Words::of(text);
        let known = Known::of(&words.texts);
        Self { text, words, known }
    }

    /// A part of the text, with the names that fields have now.
    fn called(&self, part: &Range<usize>, now: &dyn Fn(&Field) -> Option<String>) -> String {
        let bytes = self.words.bytes(part);
        let edits = self.known.fields.iter().filter(|(at, _)| part.contains(at)).filter_map(|(at, field)| {
            let place = &self.words.places[*at];
            let new = now(field).filter(|new| *new != field.name)?;
            // `note` alone in a literal is field and variable.
            let is_short = self.words.texts[at - 1] != "." && self.words.texts[at + 1] != ":";
            let text = if is_short { format!("{new}: {}", field.name) } else { new };
            Some((place.start - bytes.start..place.end - bytes.start, text))
        });
        edited(&self.text[bytes.clone()], edits.collect())
    }
}

fn spliced(before: &str, after: &str, edits: Vec<(Range<usize>, String)>) -> String {
    let put_back = edits.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
    let taken_out = edits.iter().map(|(range, _)| &after[range.clone()]).collect::<Vec<_>>().join("\n");
    carry_imports(before, &edited(after, edits), 0, &put_back, &taken_out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every field is called as it was.
    #[allow(clippy::unnecessary_wraps, reason = "others are gone")]
    fn same(field: &Field) -> Option<String> {
        Some(field.name.clone())
    }

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
        let Recalled { text, kept, left_out } = recalled(BEFORE, AFTER, &same).expect("something is lost");
        let expected = BEFORE.replace("Old", "New").replace(
            "            OrderEvent::Placed",
            "            OrderEvent::Closed(_) => {}\n            OrderEvent::Placed",
        );
        let expected = expected.replace("{Placed, Order}", "{Order, Placed}");
        assert_eq!(text, expected);
        let told: Vec<String> = kept.iter().map(Fact::told).collect();
        let expected = ["Order.note in evolve at Placed", "Order.returned in evolve at Returned", "what place answers"];
        assert_eq!((told.as_slice(), left_out), (expected.map(str::to_owned).as_slice(), Vec::new()));
        assert_eq!(recalled(BEFORE, &text, &same), None);
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
            let text = recalled(&before, &(AFTER.to_owned() + &without), &same).expect("a loss").text;
            let is_first_gone = !without.contains("first");
            let expected = if is_first_gone { was.replace(first, "") } else { was.to_owned() };
            assert!(text.ends_with(&expected), "{text}");
        }
    }

    #[test]
    fn tests_come_back_where_none_is_left_and_those_of_the_refusal_go() {
        let before = BEFORE.to_owned() + TESTS;
        let text = recalled(&before, AFTER, &same).expect("a loss").text;
        let first = "    #[test]\n    fn first() {\n        place();\n    }\n\n";
        let last = "\n    #[test]\n    fn last() {}\n";
        let alone = TESTS.replace(first, "").replace(last, "");
        assert!(text.ends_with(&alone), "{text}");
        let refused = "\n    #[test]\n    fn place_is_refused() {\n        order.when(Order::place);\n    }\n";
        let text = recalled(&before, &(AFTER.to_owned() + &TESTS.replace(last, refused)), &same).expect("a loss").text;
        assert!(text.ends_with(&TESTS.replace(last, "")), "{text}");
    }

    #[test]
    fn tests_come_back_wherever_the_others_are() {
        let test = |name: &str, body: &str| format!("\n    #[test]\n    fn {name}() {{\n        {body}\n    }}\n");
        let of = |tests: &[String]| format!("\n#[cfg(test)]\nmod tests {{\n    use a::Order;\n{}}}\n", tests.concat());
        let [a, b] = ["a", "b"].map(|it| test(it, "Order(\"é\");"));
        let [x, y] = ["x", "y"].map(|it| test(it, "order.place(Order);"));
        let before = BEFORE.to_owned() + &of(&[a.clone(), x.clone(), b.clone(), y.clone()]);
        let after = AFTER.to_owned() + &of(&[b.clone(), a.clone()]);
        let text = recalled(&before, &after, &same).expect("a loss").text;
        assert!(text.ends_with(&of(&[b, y, a, x])), "{text}");
    }

    #[test]
    fn fields_get_the_names_that_they_have_and_what_is_left_out_is_told() {
        let now = |field: &Field| match field.name.as_str() {
            "note" => Some("remark".to_owned()),
            "returned" => None,
            other => Some(other.to_owned()),
        };
        let after = AFTER.replace("OrderEvent::Placed(_) => {}", "OrderEvent::Placed(it) => self.label = it.label,");
        let Recalled { text, left_out, .. } = recalled(BEFORE, &after, &now).expect("a loss");
        assert!(text.contains("self.remark = it.remark;"), "{text}");
        assert!(text.contains("Ok(events![Placed { remark: it.remark }])"), "{text}");
        assert!(text.contains("OrderEvent::Returned(_) => {}"), "what is gone is not put back:\n{text}");
        let told: Vec<String> = left_out.iter().map(Fact::told).collect();
        assert_eq!(told, ["Order.label in evolve at Placed"]);
        let short = BEFORE.replace("note: it.note", "note");
        assert!(recalled(&short, &after, &now).expect("a loss").text.contains("Placed { remark: note }"));
    }

    #[test]
    fn what_there_are_two_of_is_left_as_it_is() {
        let other = "impl A { fn place() { Unimplemented() } }\n";
        let twice = |text: &str| text.replace("impl Rules", &format!("{other}impl Rules"));
        let now = |field: &Field| (field.name == "id").then(|| field.name.clone());
        assert_eq!(recalled(&twice(BEFORE), &twice(AFTER), &now), None);
    }

    proptest! {
        /// Whatever the texts are: nothing panics, and what was put back is there.
        #[test]
        fn what_is_recalled_stays(
            before in "(impl |fn f|fn g|\\(|\\)|\\{|\\}|E::A\\(it\\) =>|self.a = it.a|,|;|mod tests|#\\[test\\]|\\.f\\(|use a::B;|\n|é| ){0,24}",
            after in "(impl |fn f|fn g|\\(|\\)|\\{|\\}|E::A\\(it\\) =>|Unimplemented\\(|,|;|mod tests|#\\[test\\]|\\.f\\(|use a::B;|\n|é| ){0,24}",
        ) {
            for (before, after) in [(before.as_str(), after.as_str()), (BEFORE, &after), (&before, AFTER)] {
                let _ = recalled(before, after, &same);
            }
            let after = AFTER.replace("{}", &format!("{{ {} }}", after.replace(['{', '}', '(', ')', '[', ']'], "")));
            let it = recalled(BEFORE, &after, &same);
            let again = it.as_ref().and_then(|it| recalled(BEFORE, &it.text, &same));
            prop_assert_eq!(again, None, "{:?}", it);
        }
    }
}
