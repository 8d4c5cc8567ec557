//! Reading recorded bytes and JSON of one shape as another: which differences change what is read.

use std::collections::BTreeSet;

use super::difference::{self, Difference, FieldDifference, Kind, ReservedValue, ValueDifference};
use super::fit::{self, Fit};
use crate::{
    diagnostic::{Code, Severity},
    shape::{Cardinality, EnumShape, FieldShape, Shape, TypeShape, Types, is_well_known, text::default_json_name},
};

/// Values of `features.field_presence`.
const IMPLICIT: &str = "IMPLICIT";
const EXPLICIT: &str = "EXPLICIT";
const LEGACY_REQUIRED: &str = "LEGACY_REQUIRED";

/// Something that makes recorded data read otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Obstacle {
    pub code: Code,
    /// What is meant, in the later shape.
    pub at: At,
    /// What is wrong with it.
    pub message: String,
    /// How the proto can be written so that nothing is wrong, the version being left as it is.
    pub keep: String,
}

impl Obstacle {
    /// Whether protobuf's own bytes read otherwise; else JSON alone does.
    pub fn is_in_protobuf(&self) -> bool {
        self.code.severity() == Severity::Error && self.code != Code::EventJsonChanged
    }
}

/// An element of the later shape, or what is gone from one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    /// A message by its full name, and what is gone from it: a field's number, a oneof, a reservation.
    Message(String, String),
    /// A field by its message and number.
    Field(String, u32),
    /// An enum by its full name, and what is gone from it: a value's number, a reservation.
    Enum(String, String),
    /// A value by its enum and number.
    Value(String, i32),
}

/// Whether a message, by its full name, is declared in a file of an edition: presence is a feature there.
pub(super) type HasEdition<'a> = &'a dyn Fn(&str) -> bool;

/// All that makes data of the shape `was` read otherwise as `now`. `latest` is the shape recorded last: it tells the
/// renaming of a field from the new use of a number that was free for a while.
pub(super) fn obstacles(was: &Shape, now: &Shape, latest: &Shape, has_edition: HasEdition<'_>) -> BTreeSet<Obstacle> {
    let mut reading = Reading::new(was.types(), now.types(), Some(latest), has_edition);
    reading.messages(was.message(), now.message());
    reading.found
}

/// One type laid beside another, and everything that both reach.
struct Reading<'a> {
    was: &'a Types,
    now: &'a Types,
    latest: Option<&'a Shape>,
    /// Pairs that were compared, or are being compared.
    seen: BTreeSet<(&'a str, &'a str)>,
    found: BTreeSet<Obstacle>,
    has_edition: HasEdition<'a>,
}

impl<'a> Reading<'a> {
    fn new(was: &'a Types, now: &'a Types, latest: Option<&'a Shape>, has_edition: HasEdition<'a>) -> Self {
        Reading { was, now, latest, seen: BTreeSet::new(), found: BTreeSet::new(), has_edition }
    }

    fn messages(&mut self, was_name: &'a str, now_name: &'a str) {
        let (Some(was), Some(now)) = (self.was.message(was_name), self.now.message(now_name)) else { return };
        if !self.seen.insert((was_name, now_name)) {
            return;
        }
        for difference in difference::of_messages(now_name, was, now) {
            self.judge(difference, was_name);
        }
        for (number, field) in &was.fields {
            if let Some(now) = now.fields.get(number) {
                self.types(&field.ty, &now.ty);
            }
        }
    }

    /// Compares what is in two types that have one encoding.
    fn types(&mut self, was: &'a TypeShape, now: &'a TypeShape) {
        match (was, now) {
            (TypeShape::Enum(was), TypeShape::Enum(now)) => self.enums(was, now),
            _ => {
                if let (Some(was_name), Some(now_name)) = (was.message(), now.message())
                    && fit::of_types(was, now) == Fit::Exact
                    && self.type_fit(was_name, now_name) == Fit::Exact
                {
                    self.messages(was_name, now_name);
                }
            }
        }
    }

    fn enums(&mut self, was_name: &'a str, now_name: &'a str) {
        let (Some(was), Some(now)) = (self.was.enumeration(was_name), self.now.enumeration(now_name)) else { return };
        if self.seen.insert((was_name, now_name)) {
            difference::of_enums(now_name, was, now).into_iter().for_each(|it| self.judge(it, was_name));
            self.aliases(now_name, was, now);
        }
    }

    /// Of several names of a number JSON has the first one.
    fn aliases(&mut self, of: &str, was: &EnumShape, now: &EnumShape) {
        for (number, names) in &was.values {
            let names = names.first().zip(now.values.get(number));
            let Some((first, now)) = names.filter(|(first, now)| now.first() != Some(first) && now.contains(first))
            else {
                continue;
            };
            let now = &now[0];
            let message = format!("value {number} of {of} is `{now}` in JSON now, and was `{first}`");
            let keep = format!("put `{first} = {number};` before `{now} = {number};`");
            self.report(Code::EventJsonChanged, At::Value(of.to_owned(), *number), message, keep);
        }
    }

    /// Whether a message of another name is the same thing renamed, or another thing.
    fn type_fit(&self, was: &str, now: &str) -> Fit {
        let (was_known, now_known) = (is_well_known(was), is_well_known(now));
        if was == now {
            return Fit::Exact;
        }
        if was_known || now_known {
            return Fit::No;
        }
        let mut apart = Reading::new(self.was, self.now, None, self.has_edition);
        // Types that are being compared already are taken for equal here, or recursion would not end.
        apart.seen.clone_from(&self.seen);
        let (Some((was, _)), Some((now, _))) = (self.was.message_entry(was), self.now.message_entry(now)) else {
            return Fit::No;
        };
        apart.messages(was, now);
        match apart.found.iter().any(Obstacle::is_in_protobuf) {
            true => Fit::No,
            false => Fit::Exact,
        }
    }

    fn fit(&self, was: &FieldShape, now: &FieldShape) -> Fit {
        let values = match (was.ty.message(), now.ty.message()) {
            (Some(was_name), Some(now_name)) => fit::of_types(&was.ty, &now.ty).max(self.type_fit(was_name, now_name)),
            _ => fit::of_types(&was.ty, &now.ty),
        };
        match (&was.cardinality, &now.cardinality) {
            (Cardinality::Map(was), Cardinality::Map(now)) => values.max(fit::of_keys(*was, *now)),
            _ => values,
        }
    }

    fn judge(&mut self, difference: Difference, was_message: &str) {
        match difference {
            Difference::Field(field) => self.field(&field, was_message),
            Difference::FieldAdded(added) => self.added(&added),
            Difference::Value(value) => self.value(&value),
            Difference::ReservedValueUsed(value) => self.reserved_value(value),
            Difference::ReservationGone { of, kind, what } => {
                let at = match kind {
                    Kind::Message => At::Message(of.clone(), what.clone()),
                    Kind::Enum => At::Enum(of.clone(), what.clone()),
                };
                self.report(
                    Code::ReservationRemoved,
                    at,
                    format!("{what} is no longer reserved in {of}"),
                    format!("write `reserved {what};` again, so that nobody uses it for something else"),
                );
            }
            // The fields that left are reported themselves.
            Difference::OneofGone { .. } => {}
        }
    }

    fn field(&mut self, field: &FieldDifference, was_message: &str) {
        match &field.now {
            None => self.gone(field),
            Some(now) if now.name != field.was.name => self.named_otherwise(field, now, was_message),
            Some(now) => self.same_name(field, now),
        }
    }

    fn gone(&mut self, field: &FieldDifference) {
        let (name, number, keep) = (&field.was.name, field.number, self.keep(field));
        match field.elsewhere {
            Some(elsewhere) => self.report(
                Code::EventNumberReused,
                At::Field(field.message.clone(), elsewhere),
                format!("field `{name}` of {} had number {number} and has {elsewhere} now", field.message),
                keep,
            ),
            None => self.report(
                Code::EventFieldRemoved,
                At::Message(field.message.clone(), number.to_string()),
                format!("field `{name}` (number {number}) was removed from {}", field.message),
                keep,
            ),
        }
    }

    fn named_otherwise(&mut self, field: &FieldDifference, now: &FieldShape, was_message: &str) {
        let (number, message, at) = (field.number, &field.message, At::Field(field.message.clone(), field.number));
        let freed = self.latest.is_some_and(|latest| {
            let of = latest.types().message(was_message).unwrap_or_else(|| latest.root());
            !of.fields.contains_key(&number)
        });
        let same_kind = |was: &Cardinality, now: &Cardinality| match (was, now) {
            (Cardinality::Oneof(_), Cardinality::Oneof(_)) | (Cardinality::Map(_), Cardinality::Map(_)) => true,
            _ => was == now,
        };
        let fits = self.fit(&field.was, now) != Fit::No && same_kind(&field.was.cardinality, &now.cardinality);
        if field.elsewhere.is_some() || freed || !fits {
            let declared = |it: &FieldShape| declaration(it, (self.has_edition)(message));
            let (was, now) = (declared(&field.was), declared(now));
            return self.report(
                Code::EventNumberReused,
                at,
                format!("number {number} of {message} was `{was}` and is `{now}` now"),
                self.keep(field),
            );
        }
        self.same_name(field, now);
    }

    /// What is left to judge of a field whose name is the same, or may be another.
    fn same_name(&mut self, field: &FieldDifference, now: &FieldShape) {
        let at = || At::Field(field.message.clone(), field.number);
        let (was, shown) = (&field.was, format!("field `{}` of {}", now.name, field.message));
        let fit = self.fit(was, now);
        if fit == Fit::No {
            let (from, to) = (value_type(was), value_type(now));
            let message = format!("{shown} was `{from}` and is `{to}` now");
            self.report(Code::EventFieldRetyped, at(), message, self.keep(field));
        }
        // With another type the presence is another thing too: messages always have it.
        if field.oneof_moved {
            let message = format!("{shown} was {} and is {} now", place(was), place(now));
            self.report(Code::EventOneofChanged, at(), message, self.keep(field));
        } else if fit != Fit::No && kind(was, false) != kind(now, false) {
            let kind = |it: &FieldShape| kind(it, (self.has_edition)(&field.message));
            let message = format!("{shown} was {}, and is {} now", kind(was), kind(now));
            self.report(Code::EventPresenceChanged, at(), message, self.keep(field));
        }
        if was.default != now.default {
            let shown_default = |it: &Option<String>| it.as_ref().map_or("none".to_owned(), |it| format!("`{it}`"));
            let (from, to) = (shown_default(&was.default), shown_default(&now.default));
            let message = format!("the default of {shown} was {from} and is {to} now");
            self.report(Code::EventPresenceChanged, at(), message, self.keep(field));
        }
        self.json(field, now, fit);
    }

    /// What JSON alone makes of it.
    fn json(&mut self, field: &FieldDifference, now: &FieldShape, fit: Fit) {
        let at = || At::Field(field.message.clone(), field.number);
        let was = &field.was;
        if was.json_name != now.json_name {
            let message = format!(
                "field `{}` of {} is called `{}` in JSON, and was `{}`",
                now.name, field.message, now.json_name, was.json_name
            );
            let keep = format!("keep its name in JSON: `[json_name = \"{}\"]`", was.json_name);
            self.report(Code::EventJsonChanged, at(), message, keep);
        }
        if fit == Fit::WireOnly {
            let (from, to) = (value_type(was), value_type(now));
            let message = format!(
                "field `{}` of {} was `{from}` and is `{to}` now: the same in protobuf, another in JSON",
                now.name, field.message
            );
            self.report(Code::EventJsonChanged, at(), message, self.keep(field));
        }
    }

    fn added(&mut self, added: &difference::AddedField) {
        let (name, number, message) = (&added.field.name, added.number, &added.message);
        let at = || At::Field(message.clone(), number);
        if added.number_was_reserved {
            let text = format!("number {number} of {message} was reserved and is `{name}` now");
            self.report(Code::EventNumberReused, at(), text, format!("give `{name}` a number that was never used"));
        } else if added.name_was_reserved {
            let text = format!("the name `{name}` was reserved in {message} and is used again");
            self.report(Code::ReservationRemoved, at(), text, "give the field another name".to_owned());
        }
        if added.field.cardinality == Cardinality::Required {
            let text = format!("the new field `{name}` of {message} is required, and recorded events lack it");
            let way_out = match (self.has_edition)(message) {
                true => format!("write `[features.field_presence = {EXPLICIT}]`"),
                false => "make the field `optional`".to_owned(),
            };
            self.report(Code::EventPresenceChanged, at(), text, way_out);
        }
    }

    fn value(&mut self, value: &ValueDifference) {
        let (of, number, lost) = (&value.of, value.number, value.lost.join("`, `"));
        let first = value.lost.first().map_or("", String::as_str);
        let keep = format!("keep the value: `{first} = {number};`");
        match (&value.elsewhere, value.now.first()) {
            (Some((name, elsewhere)), _) => self.report(
                Code::EventEnumValueRemoved,
                At::Value(of.clone(), *elsewhere),
                format!("value `{name}` of {of} had number {number} and has {elsewhere} now"),
                keep,
            ),
            (None, None) => self.report(
                Code::EventEnumValueRemoved,
                At::Enum(of.clone(), number.to_string()),
                format!("value `{lost}` (number {number}) was removed from {of}"),
                keep,
            ),
            (None, Some(now)) => self.report(
                Code::EventJsonChanged,
                At::Value(of.clone(), number),
                format!("value {number} of {of} was `{lost}` and is `{now}` now: another in JSON"),
                format!("keep `{first} = {number};` before it, with `option allow_alias = true;`"),
            ),
        }
    }

    fn reserved_value(&mut self, value: ReservedValue) {
        let ReservedValue { of, number, name, number_was_reserved } = value;
        let at = At::Value(of.clone(), number);
        if number_was_reserved {
            let text = format!("number {number} of {of} was reserved and is `{name}` now");
            let keep = format!("give `{name}` a number that was never used");
            self.report(Code::EventNumberReused, at, text, keep);
        } else {
            let text = format!("the name `{name}` was reserved in {of} and is used again");
            self.report(Code::ReservationRemoved, at, text, "give the value another name".to_owned());
        }
    }

    fn keep(&self, field: &FieldDifference) -> String {
        let has_edition = (self.has_edition)(&field.message);
        let presence = presence(&field.was).filter(|_| has_edition);
        let json_name = Some(&field.was.json_name).filter(|it| **it != default_json_name(&field.was.name));
        let options = [
            presence.map(|it| format!("features.field_presence = {it}")),
            json_name.map(|it| format!("json_name = \"{it}\"")),
        ];
        let options = options.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let options = if options.is_empty() { options } else { format!(" [{options}]") };
        format!("keep the field: `{} = {}{options};`", declaration(&field.was, has_edition), field.number)
    }

    fn report(&mut self, code: Code, at: At, message: String, keep: String) {
        self.found.insert(Obstacle { code, at, message, keep });
    }
}

/// A field as a proto declares it, without its number.
pub(super) fn declaration(field: &FieldShape, has_edition: bool) -> String {
    let label = match &field.cardinality {
        Cardinality::Implicit | Cardinality::Oneof(_) | Cardinality::Map(_) => "",
        // The presence of a message is always told.
        Cardinality::Optional if field.ty.message().is_some() => "",
        Cardinality::Optional | Cardinality::Required if has_edition => "",
        Cardinality::Optional => "optional ",
        Cardinality::Required => "required ",
        Cardinality::Repeated => "repeated ",
    };
    format!("{label}{} {}", value_type(field), field.name)
}

/// The presence of a field as a feature of an edition; none where there is no choice.
fn presence(field: &FieldShape) -> Option<&'static str> {
    match &field.cardinality {
        Cardinality::Implicit => Some(IMPLICIT),
        Cardinality::Optional if field.ty.message().is_none() => Some(EXPLICIT),
        Cardinality::Required => Some(LEGACY_REQUIRED),
        Cardinality::Optional | Cardinality::Oneof(_) | Cardinality::Map(_) | Cardinality::Repeated => None,
    }
}

fn value_type(field: &FieldShape) -> String {
    let ty = match &field.ty {
        TypeShape::Scalar(scalar) => scalar.to_string(),
        TypeShape::Message(name) | TypeShape::Group(name) | TypeShape::Enum(name) => name.clone(),
    };
    match &field.cardinality {
        Cardinality::Map(key) => format!("map<{key}, {ty}>"),
        _ => ty,
    }
}

/// Presence in words. What is in a oneof has the presence of `optional`.
fn kind(field: &FieldShape, has_edition: bool) -> &'static str {
    match &field.cardinality {
        Cardinality::Optional | Cardinality::Oneof(_) if field.ty.message().is_some() => "one message or none",
        Cardinality::Implicit if has_edition => "`features.field_presence = IMPLICIT`",
        Cardinality::Optional | Cardinality::Oneof(_) if has_edition => "`features.field_presence = EXPLICIT`",
        Cardinality::Required if has_edition => "`features.field_presence = LEGACY_REQUIRED`",
        Cardinality::Implicit => "a plain field, whose default is the same as none",
        Cardinality::Optional | Cardinality::Oneof(_) => "optional",
        Cardinality::Required => "required",
        Cardinality::Repeated => "repeated",
        Cardinality::Map(_) => "a map",
    }
}

/// Where a field is, in words.
fn place(field: &FieldShape) -> String {
    match &field.cardinality {
        Cardinality::Oneof(oneof) => format!("in oneof `{oneof}`"),
        _ => "in no oneof".to_owned(),
    }
}
