//! Additions: whether all that a message was is still there, just as it was.

use std::collections::{BTreeSet, VecDeque};

use super::difference::{self, Difference};
use crate::shape::{Cardinality, MessageShape, Shape, Types};

/// Whether nothing but additions lies between two shapes: every field and every enum value that was there has its
/// number, name, type and presence still.
///
/// Stricter than what protobuf reads without loss, on purpose: a field that has another name may mean another thing.
pub fn only_adds(was: &Shape, now: &Shape) -> bool {
    message_only_adds((was.types(), was.message()), (now.types(), now.message()))
}

/// The same for a message and all that it reaches; types of protobuf itself never change.
pub fn message_only_adds(was: (&Types, &str), now: (&Types, &str)) -> bool {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(was.1.to_owned(), now.1.to_owned())];
    while let Some((was_name, now_name)) = waiting.pop() {
        let (Some(before), Some(after)) = (was.0.message(&was_name), now.0.message(&now_name)) else { return false };
        if !difference::of_messages(&now_name, before, after).iter().all(is_addition) {
            return false;
        }
        for name in before.fields.values().filter_map(|it| it.ty.named()).filter(|it| seen.insert(it.to_owned())) {
            match (was.0.enumeration(name), now.0.enumeration(name)) {
                (Some(was), Some(now)) if difference::of_enums(name, was, now).iter().all(is_addition) => {}
                (Some(_), _) => return false,
                (None, _) if crate::shape::is_well_known(name) => {}
                (None, _) => waiting.push((name.to_owned(), name.to_owned())),
            }
        }
    }
    true
}

fn is_addition(difference: &Difference) -> bool {
    match difference {
        Difference::FieldAdded(added) => {
            !added.number_was_reserved && !added.name_was_reserved && added.field.cardinality != Cardinality::Required
        }
        Difference::ReservationGone { .. } => true,
        Difference::Field(_)
        | Difference::OneofGone { .. }
        | Difference::Value(_)
        | Difference::ReservedValueUsed(_) => false,
    }
}

/// What an upcaster has to know: the fields and values that are gone, changed or new, in words; those of the event
/// itself first, then those of what it reaches.
pub fn differences(was: &Shape, now: &Shape) -> Vec<String> {
    let mut told = Vec::new();
    let mut seen = BTreeSet::new();
    let mut waiting = VecDeque::from([(was.message().to_owned(), now.message().to_owned())]);
    while let Some((was_name, now_name)) = waiting.pop_front() {
        if !seen.insert((was_name.clone(), now_name.clone())) {
            continue;
        }
        let place = if now_name == now.message() { String::new() } else { format!("in {now_name}: ") };
        if let (Some(before), Some(after)) = (was.types().message(&was_name), now.types().message(&now_name)) {
            let between = difference::of_messages(&now_name, before, after);
            told.extend(between.iter().filter_map(in_words).map(|it| format!("{place}{it}")));
            waiting.extend(reached_by_both(before, after));
        } else if let (Some(before), Some(after)) =
            (was.types().enumeration(&was_name), now.types().enumeration(&now_name))
        {
            let between = difference::of_enums(&now_name, before, after);
            told.extend(between.iter().filter_map(in_words).map(|it| format!("{place}{it}")));
        }
    }
    if told.is_empty() {
        told.push("what its fields reach is another".to_owned());
    }
    told
}

/// The types of the fields that both have, as far as they have names.
fn reached_by_both(was: &MessageShape, now: &MessageShape) -> Vec<(String, String)> {
    let both = was.fields.iter().filter_map(|(number, field)| Some((field, now.fields.get(number)?)));
    both.filter_map(|(was, now)| Some((was.ty.named()?.to_owned(), now.ty.named()?.to_owned()))).collect()
}

fn in_words(difference: &Difference) -> Option<String> {
    match difference {
        Difference::Field(it) => Some(match &it.now {
            None => format!("gone: `{} = {}`", it.was, it.number),
            Some(now) => format!("`{} = {}` is `{now} = {}`", it.was, it.number, it.number),
        }),
        Difference::FieldAdded(it) => Some(format!("new: `{} = {}`", it.field, it.number)),
        Difference::Value(it) => Some(match it.now.first() {
            None => format!("gone: `{} = {}`", it.lost.join("`, `"), it.number),
            Some(now) => format!("`{} = {}` is `{now} = {}`", it.lost.join("`, `"), it.number, it.number),
        }),
        Difference::ReservedValueUsed(it) => Some(format!("used again: `{} = {}`", it.name, it.number)),
        Difference::OneofGone { .. } | Difference::ReservationGone { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(fields: &str, line: &str, kinds: &str) -> Shape {
        let text = format!(
            "message .s.E {{\n  1 repeated .s.Line lines\n{fields}}}\nmessage .s.Line {{\n  1 enum .s.K kind\n{line}}}\n\
             enum .s.K {{\n  0 NONE\n{kinds}}}\n"
        );
        text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn additions_at_any_depth_are_additions() {
        let base = shape("  2 string note\n", "", "  1 A\n");
        for now in [
            base.clone(),
            shape("  2 string note\n  3 optional int32 more\n", "", "  1 A\n"),
            shape("  2 string note\n", "  2 .s.Line within\n", "  1 A\n"),
            shape("  2 string note\n", "", "  1 A\n  2 B\n"),
        ] {
            assert!(only_adds(&base, &now), "{now}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        let base = shape("  2 string note\n  3 string more in o\n", "", "  1 A\n");
        for now in [
            shape("  3 string more in o\n", "", "  1 A\n"),
            shape("  2 string remark\n  3 string more in o\n", "", "  1 A\n"),
            shape("  2 bytes note\n  3 string more in o\n", "", "  1 A\n"),
            shape("  2 optional string note\n  3 string more in o\n", "", "  1 A\n"),
            shape("  2 string note\n  3 string more\n", "", "  1 A\n"),
            shape("  2 string note\n  3 string more in o\n  4 required string x\n", "", "  1 A\n"),
            shape("  2 string note\n  3 string more in o\n", "", ""),
            shape("  2 string note\n  3 string more in o\n", "", "  1 B\n"),
        ] {
            assert!(!only_adds(&base, &now), "{now}");
        }
    }

    #[test]
    fn what_lies_between_is_told_in_words() {
        let (was, now) = (shape("  2 string note\n", "", ""), shape("  2 bytes note\n  3 int32 more\n", "", ""));
        assert_eq!(differences(&was, &now), ["`string note = 2` is `bytes note = 2`", "new: `int32 more = 3`"]);
        assert_eq!(differences(&now, &was)[1], "gone: `int32 more = 3`");
    }

    #[test]
    fn what_lies_between_names_what_changed_within() {
        let (was, now) = (shape("", "  2 string note\n", "  1 A\n"), shape("", "  3 int32 more\n", "  1 B\n"));
        assert_eq!(
            differences(&was, &now),
            ["in s.Line: gone: `string note = 2`", "in s.Line: new: `int32 more = 3`", "in s.K: `A = 1` is `B = 1`"]
        );
    }
}
