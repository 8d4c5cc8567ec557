//! Differences between two shapes of one message or enum, as plain facts: nothing is judged here.

use std::collections::{BTreeMap, BTreeSet};

use crate::shape::{Cardinality, EnumShape, FieldShape, MessageShape, Reserved};

/// How two shapes of a message or an enum differ. What is named stands in the later one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Difference {
    /// A field that was there is gone, or isn't what it was.
    Field(FieldDifference),
    /// A field that wasn't there.
    FieldAdded(AddedField),
    /// No field is left in a oneof.
    OneofGone { message: String, oneof: String },
    /// A number of an enum lost its names, or some of them.
    Value(ValueDifference),
    /// A value of an enum uses what was reserved.
    ReservedValueUsed(ReservedValue),
    /// Something is no longer reserved, and isn't used either.
    ReservationGone { of: String, kind: Kind, what: String },
}

/// A field that was there is gone, or isn't what it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FieldDifference {
    pub message: String,
    pub number: u32,
    pub was: FieldShape,
    /// What the number means now.
    pub now: Option<FieldShape>,
    /// The number that the field's name has now, if it is another one.
    pub elsewhere: Option<u32>,
    pub number_reserved: bool,
    pub name_reserved: bool,
    /// Whether it went into, out of or between oneofs; the mere renaming of a oneof doesn't count.
    pub oneof_moved: bool,
}

/// A field that wasn't there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AddedField {
    pub message: String,
    pub number: u32,
    pub field: FieldShape,
    pub number_was_reserved: bool,
    pub name_was_reserved: bool,
}

/// A number of an enum lost its names, or some of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ValueDifference {
    pub of: String,
    pub number: i32,
    /// The names that the number lost.
    pub lost: Vec<String>,
    /// The names that it has now.
    pub now: Vec<String>,
    /// A lost name and the number that it has now.
    pub elsewhere: Option<(String, i32)>,
    pub number_reserved: bool,
    pub names_reserved: bool,
}

/// A value of an enum that uses a reserved number, or else a reserved name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReservedValue {
    pub of: String,
    pub number: i32,
    pub name: String,
    pub number_was_reserved: bool,
}

/// What is between the braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Message,
    Enum,
}

/// How a message differs from what it was; `name` is its name now.
pub(super) fn of_messages(name: &str, was: &MessageShape, now: &MessageShape) -> Vec<Difference> {
    let oneofs = Oneofs::of(was, now);
    let numbers: BTreeMap<&str, u32> = now.fields.iter().map(|(number, it)| (it.name.as_str(), *number)).collect();
    let changed = was.fields.iter().filter(|(number, field)| now.fields.get(number) != Some(field));
    let changed = changed.map(|(number, field)| {
        Difference::Field(FieldDifference {
            message: name.to_owned(),
            number: *number,
            was: field.clone(),
            now: now.fields.get(number).cloned(),
            elsewhere: numbers.get(field.name.as_str()).copied().filter(|it| it != number),
            number_reserved: now.reserved.has_number(i64::from(*number)),
            name_reserved: now.reserved.has_name(&field.name),
            oneof_moved: now.fields.get(number).is_some_and(|it| oneofs.moved(field, it)),
        })
    });
    let added = now.fields.iter().filter(|(number, _)| !was.fields.contains_key(number)).map(|(number, field)| {
        Difference::FieldAdded(AddedField {
            message: name.to_owned(),
            number: *number,
            field: field.clone(),
            number_was_reserved: was.reserved.has_number(i64::from(*number)),
            name_was_reserved: was.reserved.has_name(&field.name),
        })
    });
    let oneofs_gone = oneofs.gone(name);
    let used: Vec<_> = now.fields.iter().map(|(number, it)| (i64::from(*number), it.name.as_str())).collect();
    let released = reservations_gone(name, Kind::Message, (&was.reserved, &now.reserved), &used);
    changed.chain(added).chain(oneofs_gone).chain(released).collect()
}

/// How an enum differs from what it was; `name` is its name now.
pub(super) fn of_enums(name: &str, was: &EnumShape, now: &EnumShape) -> Vec<Difference> {
    let numbers: BTreeMap<&str, i32> =
        now.values.iter().flat_map(|(number, names)| names.iter().map(|it| (it.as_str(), *number))).collect();
    let none = Vec::new();
    let changed = was.values.iter().filter_map(|(number, names)| {
        let left = now.values.get(number).unwrap_or(&none);
        let lost: Vec<_> = names.iter().filter(|it| !left.contains(it)).cloned().collect();
        (!lost.is_empty()).then(|| {
            Difference::Value(ValueDifference {
                of: name.to_owned(),
                number: *number,
                elsewhere: lost.iter().find_map(|it| numbers.get(it.as_str()).map(|to| (it.clone(), *to))),
                number_reserved: now.reserved.has_number(i64::from(*number)),
                names_reserved: lost.iter().all(|it| now.reserved.has_name(it)),
                now: left.clone(),
                lost,
            })
        })
    });
    let used_again = numbers.iter().filter_map(|(value, number)| {
        let number_was_reserved = was.reserved.has_number(i64::from(*number));
        (number_was_reserved || was.reserved.has_name(value)).then(|| {
            let (of, name) = (name.to_owned(), (*value).to_owned());
            Difference::ReservedValueUsed(ReservedValue { of, number: *number, name, number_was_reserved })
        })
    });
    let used: Vec<_> = numbers.iter().map(|(name, number)| (i64::from(*number), *name)).collect();
    let released = reservations_gone(name, Kind::Enum, (&was.reserved, &now.reserved), &used);
    changed.chain(used_again).chain(released).collect()
}

/// What was reserved, is not any more, and isn't among what is used now.
fn reservations_gone(
    of: &str,
    kind: Kind,
    (was, now): (&Reserved, &Reserved),
    used: &[(i64, &str)],
) -> Vec<Difference> {
    let covered = |(first, last): &(i64, i64)| now.ranges().iter().any(|(from, to)| from <= first && last <= to);
    let is_used = |(first, last): &(i64, i64)| used.iter().any(|(number, _)| (*first..=*last).contains(number));
    let numbers =
        was.ranges().iter().filter(|it| !covered(it) && !is_used(it)).map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        });
    let names = was.names().iter().filter(|name| !now.has_name(name) && used.iter().all(|(_, it)| it != name));
    let names = names.map(|name| format!("\"{name}\""));
    numbers.chain(names).map(|what| Difference::ReservationGone { of: of.to_owned(), kind, what }).collect()
}

/// The oneofs of two shapes of a message, by the fields that both have.
struct Oneofs {
    was: BTreeMap<String, BTreeSet<u32>>,
    /// The oneofs that have another name now, and are else what they were.
    renamed: BTreeMap<String, String>,
    left: BTreeSet<String>,
}

impl Oneofs {
    fn of(was: &MessageShape, now: &MessageShape) -> Self {
        let in_both = |number: &u32| was.fields.contains_key(number) && now.fields.contains_key(number);
        let (before, after) = (members(was), members(now));
        let shared = |all: &BTreeSet<u32>| all.iter().copied().filter(in_both).collect::<BTreeSet<_>>();
        let renamed = before.iter().filter_map(|(name, fields)| {
            let same = after.iter().find(|(_, it)| !shared(fields).is_empty() && shared(it) == shared(fields));
            same.map(|(other, _)| (name.clone(), other.clone()))
        });
        Oneofs { renamed: renamed.collect(), left: after.keys().cloned().collect(), was: before }
    }

    fn moved(&self, was: &FieldShape, now: &FieldShape) -> bool {
        match (&was.cardinality, &now.cardinality) {
            (Cardinality::Oneof(was), Cardinality::Oneof(now)) => was != now && self.renamed.get(was) != Some(now),
            (Cardinality::Oneof(_), _) | (_, Cardinality::Oneof(_)) => true,
            _ => false,
        }
    }

    fn gone(&self, message: &str) -> Vec<Difference> {
        let gone = self.was.keys().filter(|it| !self.left.contains(*it));
        gone.map(|oneof| Difference::OneofGone { message: message.to_owned(), oneof: oneof.clone() }).collect()
    }
}

fn members(message: &MessageShape) -> BTreeMap<String, BTreeSet<u32>> {
    let mut members: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for (number, field) in &message.fields {
        if let Cardinality::Oneof(oneof) = &field.cardinality {
            members.entry(oneof.clone()).or_default().insert(*number);
        }
    }
    members
}
