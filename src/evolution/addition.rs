//! Additions: whether all that a message was is still there, just as it was.

use std::collections::{BTreeSet, VecDeque};

use super::difference::{self, Difference};
use crate::shape::{Cardinality, FieldShape, MessageShape, Shape, Types, is_well_known};

/// Whether nothing but additions lies between two shapes: every field and every enum value that was there has its
/// number, name, type and presence still. A type that is only called otherwise is the same type.
///
/// Stricter than what protobuf reads without loss, on purpose: a field that has another name may mean another thing.
pub fn only_adds(was: &Shape, now: &Shape) -> bool {
    message_only_adds((was.types(), was.message()), (now.types(), now.message()))
}

/// The same for a message and all that it reaches; types of protobuf itself never change.
pub fn message_only_adds(was: (&Types, &str), now: (&Types, &str)) -> bool {
    Between { was: was.0, now: now.0 }.only_adds((was.1, now.1))
}

/// The oneofs of a message of which nothing is gone or changed, members and what they reach included.
pub fn oneofs_that_only_add(was: (&Types, &str), now: (&Types, &str)) -> BTreeSet<String> {
    let between = Between { was: was.0, now: now.0 };
    let (Some(before), Some(after)) = (was.0.message(was.1), now.0.message(now.1)) else { return BTreeSet::new() };
    let renamed = between.as_called_now(before, after);
    let is_same = |number: &u32, field: &FieldShape| {
        let pair = before.fields[number].ty.named().zip(field.ty.named());
        after.fields.get(number) == Some(field) && pair.is_none_or(|it| between.only_adds(it))
    };
    let (mut same, mut others) = (BTreeSet::new(), BTreeSet::new());
    for (number, field) in &renamed.fields {
        if let Cardinality::Oneof(oneof) = &field.cardinality {
            _ = if is_same(number, field) { same.insert(oneof.clone()) } else { others.insert(oneof.clone()) };
        }
    }
    &same - &others
}

/// The messages of a shape with what they are in another: those of one name, and those that are called otherwise now.
pub fn counterparts(was: &Shape, now: &Shape) -> BTreeSet<(String, String)> {
    let between = Between { was: was.types(), now: now.types() };
    let own = |name: &str| (name.to_owned(), name.to_owned());
    let is_other = |name: &str| name != was.message() && now.types().message(name).is_some();
    let mut waiting: Vec<_> = was.types().messages().map(|(name, _)| name).filter(|it| is_other(it)).map(own).collect();
    waiting.push((was.message().to_owned(), now.message().to_owned()));
    let mut pairs = BTreeSet::new();
    while let Some(pair) = waiting.pop() {
        if let (Some(before), Some(after)) = (was.types().message(&pair.0), now.types().message(&pair.1))
            && pairs.insert(pair)
        {
            let reached = reached_by_both(before, after).into_iter();
            waiting.extend(reached.filter(|(was, now)| was == now || between.is_renaming(was, now)));
        }
    }
    pairs
}

/// The types of two shapes.
#[derive(Clone, Copy)]
struct Between<'a> {
    was: &'a Types,
    now: &'a Types,
}

impl Between<'_> {
    fn only_adds(self, (was, now): (&str, &str)) -> bool {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![(was.to_owned(), now.to_owned())]);
        while let Some(pair) = waiting.pop() {
            let messages = (self.was.message(&pair.0), self.now.message(&pair.1));
            let enums = (self.was.enumeration(&pair.0), self.now.enumeration(&pair.1));
            let differences = match (messages, enums) {
                _ if pair.0 == pair.1 && is_well_known(&pair.0) => continue,
                ((Some(before), Some(after)), _) => {
                    let reached = reached_by_both(before, after).into_iter();
                    waiting.extend(reached.filter(|it| seen.insert(it.clone())));
                    difference::of_messages(&pair.1, &self.as_called_now(before, after), after)
                }
                (_, (Some(before), Some(after))) => difference::of_enums(&pair.1, before, after),
                _ => return false,
            };
            if !differences.iter().all(is_addition) {
                return false;
            }
        }
        true
    }

    /// Whether a type is called otherwise: its former name is gone, and the new one is new.
    fn is_renaming(self, was: &str, now: &str) -> bool {
        let has = |types: &Types, name: &str| types.message(name).is_some() || types.enumeration(name).is_some();
        has(self.was, was) && has(self.now, now) && !has(self.now, was) && !has(self.was, now)
    }

    /// A message as it was, the types of its fields by the names that they have now.
    fn as_called_now(self, before: &MessageShape, after: &MessageShape) -> MessageShape {
        let mut renamed = before.clone();
        for (number, field) in &mut renamed.fields {
            let now = after.fields.get(number).and_then(|it| it.ty.named());
            if let (Some(was), Some(now)) = (field.ty.named(), now)
                && self.is_renaming(was, now)
            {
                field.ty = field.ty.called(now);
            }
        }
        renamed
    }
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
            let renamed = Between { was: was.types(), now: now.types() }.as_called_now(before, after);
            let between = difference::of_messages(&now_name, &renamed, after);
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
