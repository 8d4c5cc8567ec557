//! Lowers files of editions 2023 and 2024 to what they are in proto2 or proto3.
//!
//! The libraries here know the two syntaxes only. In: the encoded descriptor of a file, whose features say field by
//! field what a syntax says once for all. Out: an encoded descriptor that declares the same with a syntax. A file goes
//! to proto3, `optional` being written where presence is explicit, unless something in it only exists in proto2:
//! required fields, delimited messages, defaults, closed enums, extension ranges. Where it would need both, the field
//! that stands in the way is reported.
//!
//! Work is done on the raw fields, so that the options of others come out as they went in.

mod features;
mod raw;
pub(crate) mod text;

use features::{Encoding, Features, Presence};
use raw::Raw;

/// Numbers of fields in `descriptor.proto`.
mod tag {
    pub const FILE_DEPENDENCY: u32 = 3;
    pub const FILE_MESSAGE: u32 = 4;
    pub const FILE_ENUM: u32 = 5;
    pub const FILE_SERVICE: u32 = 6;
    pub const FILE_EXTENSION: u32 = 7;
    pub const FILE_OPTIONS: u32 = 8;
    pub const FILE_SYNTAX: u32 = 12;
    pub const FILE_EDITION: u32 = 14;
    pub const FILE_OPTION_DEPENDENCY: u32 = 15;

    pub const MESSAGE_FIELD: u32 = 2;
    pub const MESSAGE_NESTED: u32 = 3;
    pub const MESSAGE_ENUM: u32 = 4;
    pub const MESSAGE_EXTENSION_RANGE: u32 = 5;
    pub const MESSAGE_EXTENSION: u32 = 6;
    pub const MESSAGE_OPTIONS: u32 = 7;
    pub const MESSAGE_ONEOF: u32 = 8;
    pub const MESSAGE_VISIBILITY: u32 = 11;
    pub const OPTIONS_MAP_ENTRY: u32 = 7;

    pub const FIELD_NAME: u32 = 1;
    pub const FIELD_LABEL: u32 = 4;
    pub const FIELD_TYPE: u32 = 5;
    pub const FIELD_TYPE_NAME: u32 = 6;
    pub const FIELD_DEFAULT: u32 = 7;
    pub const FIELD_OPTIONS: u32 = 8;
    pub const FIELD_ONEOF_INDEX: u32 = 9;
    pub const FIELD_PROTO3_OPTIONAL: u32 = 17;
    pub const OPTIONS_PACKED: u32 = 2;

    pub const ONEOF_NAME: u32 = 1;
    pub const ONEOF_OPTIONS: u32 = 2;

    pub const ENUM_VALUE: u32 = 2;
    pub const ENUM_OPTIONS: u32 = 3;
    pub const ENUM_VISIBILITY: u32 = 6;
    pub const VALUE_OPTIONS: u32 = 3;

    pub const SERVICE_METHOD: u32 = 2;
    pub const SERVICE_OPTIONS: u32 = 3;
    pub const METHOD_OPTIONS: u32 = 4;
    pub const RANGE_OPTIONS: u32 = 3;
}

/// Numbers of `features` in the options of each kind of element.
mod features_of {
    pub const FILE: u32 = 50;
    pub const MESSAGE: u32 = 12;
    pub const FIELD: u32 = 21;
    pub const ONEOF: u32 = 1;
    pub const ENUM: u32 = 7;
    pub const ENUM_VALUE: u32 = 2;
    pub const EXTENSION_RANGE: u32 = 50;
    pub const SERVICE: u32 = 34;
    pub const METHOD: u32 = 35;
}

const LABEL_REQUIRED: u64 = 2;
const LABEL_REPEATED: u64 = 3;
const TYPE_STRING: u64 = 9;
const TYPE_GROUP: u64 = 10;
const TYPE_MESSAGE: u64 = 11;
const TYPE_BYTES: u64 = 12;

/// Something that has no place in the syntax that the rest of the file needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Path of the element in the file's descriptor.
    pub path: Vec<i32>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// The syntax that a file goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Proto2,
    Proto3,
}

/// Lowers the descriptor of a file whose edition is known; `None` if this edition is not. `is_known` tells the files
/// that came along: one that is imported for its options only need not.
///
/// # Errors
///
/// What cannot be lowered; a descriptor that cannot be decoded gives no place.
pub(crate) fn lower(
    bytes: &[u8],
    edition: i32,
    is_known: impl Fn(&str) -> bool,
) -> Option<Result<Vec<u8>, Vec<Refused>>> {
    let defaults = Features::of_edition(edition)?;
    let Some(mut file) = Raw::decode(bytes) else {
        let message = "the descriptor cannot be decoded".to_owned();
        return Some(Err(vec![Refused { path: Vec::new(), message, help: "compile the file again".to_owned() }]));
    };
    let features = defaults.overridden(&file.child(tag::FILE_OPTIONS), features_of::FILE);
    let needs = Needs::of(&file, features);
    let syntax = match needs.proto2.is_empty() {
        true => Syntax::Proto3,
        false => Syntax::Proto2,
    };
    let refused = needs.refused();
    if !refused.is_empty() {
        return Some(Err(refused));
    }
    import_options(&mut file, is_known);
    Lowering { syntax }.file(&mut file, features);
    Some(Ok(file.encode()))
}

/// Makes `import option` an import like any other.
fn import_options(file: &mut Raw, is_known: impl Fn(&str) -> bool) {
    let imports: Vec<_> = file.bytes(tag::FILE_OPTION_DEPENDENCY).map(<[u8]>::to_vec).collect();
    file.remove(tag::FILE_OPTION_DEPENDENCY);
    let known = imports.into_iter().filter(|it| std::str::from_utf8(it).is_ok_and(&is_known));
    known.for_each(|it| file.push_bytes(tag::FILE_DEPENDENCY, it));
}

/// What a file has that exists in one of the syntaxes only.
#[derive(Default)]
struct Needs {
    proto2: Vec<(Vec<i32>, String)>,
    proto3: Vec<(Vec<i32>, String)>,
}

impl Needs {
    fn of(file: &Raw, features: Features) -> Self {
        let mut needs = Needs::default();
        for (at, message) in file.children(tag::FILE_MESSAGE).enumerate() {
            needs.message(&message, features, &path(&[], tag::FILE_MESSAGE, at));
        }
        for (at, of) in file.children(tag::FILE_ENUM).enumerate() {
            needs.enumeration(&of, features, &path(&[], tag::FILE_ENUM, at));
        }
        needs
    }

    fn message(&mut self, message: &Raw, outer: Features, at: &[i32]) {
        let options = message.child(tag::MESSAGE_OPTIONS);
        if options.number(tag::OPTIONS_MAP_ENTRY) == Some(1) {
            return;
        }
        let features = outer.overridden(&options, features_of::MESSAGE);
        if message.children(tag::MESSAGE_EXTENSION_RANGE).next().is_some() {
            self.proto2.push((at.to_vec(), "an extension range".to_owned()));
        }
        for (index, field) in message.children(tag::MESSAGE_FIELD).enumerate() {
            self.field(&Field::of(&field, message, features), &path(at, tag::MESSAGE_FIELD, index));
        }
        for (index, nested) in message.children(tag::MESSAGE_NESTED).enumerate() {
            self.message(&nested, features, &path(at, tag::MESSAGE_NESTED, index));
        }
        for (index, of) in message.children(tag::MESSAGE_ENUM).enumerate() {
            self.enumeration(&of, features, &path(at, tag::MESSAGE_ENUM, index));
        }
    }

    fn field(&mut self, field: &Field, at: &[i32]) {
        let name = &field.name;
        if field.is_required() {
            self.proto2.push((at.to_vec(), format!("the required field `{name}`")));
        }
        if field.is_delimited() {
            self.proto2.push((at.to_vec(), format!("the delimited field `{name}`")));
        }
        if field.has_default {
            self.proto2.push((at.to_vec(), format!("the default of field `{name}`")));
        }
        if field.is_singular_value() && field.features.presence == Presence::Implicit {
            self.proto3.push((at.to_vec(), name.clone()));
        }
    }

    fn enumeration(&mut self, of: &Raw, outer: Features, at: &[i32]) {
        if !outer.overridden(&of.child(tag::ENUM_OPTIONS), features_of::ENUM).open_enum {
            self.proto2.push((at.to_vec(), format!("the closed enum `{}`", of.text(tag::FIELD_NAME))));
        }
    }

    /// Fields with implicit presence in a file that has to go to proto2, which has no such thing.
    fn refused(&self) -> Vec<Refused> {
        let Some((_, cause)) = self.proto2.first() else { return Vec::new() };
        let refused = self.proto3.iter().map(|(path, name)| Refused {
            path: path.clone(),
            message: format!(
                "field `{name}` has implicit presence, which doesn't go together with {cause} in one file"
            ),
            help: "leave `features.field_presence = IMPLICIT` out, or move one of the two into a file of its own"
                .to_owned(),
        });
        refused.collect()
    }
}

/// What must be known of a field.
struct Field {
    name: String,
    label: u64,
    ty: u64,
    is_map: bool,
    in_oneof: bool,
    has_default: bool,
    features: Features,
}

impl Field {
    /// A field of a message whose features are resolved.
    fn of(field: &Raw, message: &Raw, outer: Features) -> Self {
        let oneof = field.number(tag::FIELD_ONEOF_INDEX).and_then(|it| usize::try_from(it).ok());
        let oneof_options = oneof.and_then(|at| message.children(tag::MESSAGE_ONEOF).nth(at));
        let around = match oneof_options {
            Some(oneof) => outer.overridden(&oneof.child(tag::ONEOF_OPTIONS), features_of::ONEOF),
            None => outer,
        };
        let type_name = field.text(tag::FIELD_TYPE_NAME);
        let entry = type_name.rsplit('.').next().unwrap_or_default();
        let is_map = message.children(tag::MESSAGE_NESTED).any(|nested| {
            nested.text(tag::FIELD_NAME) == entry
                && nested.child(tag::MESSAGE_OPTIONS).number(tag::OPTIONS_MAP_ENTRY) == Some(1)
        });
        Field {
            name: field.text(tag::FIELD_NAME),
            label: field.number(tag::FIELD_LABEL).unwrap_or(1),
            ty: field.number(tag::FIELD_TYPE).unwrap_or(0),
            is_map,
            in_oneof: oneof.is_some(),
            has_default: field.bytes(tag::FIELD_DEFAULT).next().is_some(),
            features: around.overridden(&field.child(tag::FIELD_OPTIONS), features_of::FIELD),
        }
    }

    fn is_required(&self) -> bool {
        let asked = self.features.presence == Presence::Required && self.label != LABEL_REPEATED && !self.in_oneof;
        asked || self.label == LABEL_REQUIRED
    }

    fn is_delimited(&self) -> bool {
        // Maps are length-prefixed whatever the features around them say.
        let asked = self.ty == TYPE_MESSAGE && self.features.message == Encoding::Delimited && !self.is_map;
        asked || self.ty == TYPE_GROUP
    }

    /// Whether presence makes a difference: at most one value, which is no message, in no oneof.
    fn is_singular_value(&self) -> bool {
        self.label != LABEL_REPEATED && !self.in_oneof && self.ty != TYPE_MESSAGE && self.ty != TYPE_GROUP
    }

    fn is_packable(&self) -> bool {
        self.label == LABEL_REPEATED && !matches!(self.ty, TYPE_STRING | TYPE_GROUP | TYPE_MESSAGE | TYPE_BYTES)
    }
}

/// Writes a file anew in a syntax.
struct Lowering {
    syntax: Syntax,
}

impl Lowering {
    fn file(&self, file: &mut Raw, features: Features) {
        file.remove(tag::FILE_EDITION);
        file.remove(tag::FILE_SYNTAX);
        let syntax = match self.syntax {
            Syntax::Proto2 => "proto2",
            Syntax::Proto3 => "proto3",
        };
        file.push_bytes(tag::FILE_SYNTAX, syntax.into());
        file.edit(tag::FILE_MESSAGE, |message| self.message(message, features));
        file.edit(tag::FILE_ENUM, enumeration);
        file.edit(tag::FILE_EXTENSION, |extension| self.field(extension, &Raw::default(), features, true));
        file.edit(tag::FILE_SERVICE, |service| {
            service.edit(tag::SERVICE_METHOD, |method| drop_features(method, tag::METHOD_OPTIONS, features_of::METHOD));
            drop_features(service, tag::SERVICE_OPTIONS, features_of::SERVICE);
        });
        drop_features(file, tag::FILE_OPTIONS, features_of::FILE);
    }

    fn message(&self, message: &mut Raw, outer: Features) {
        let options = message.child(tag::MESSAGE_OPTIONS);
        let features = outer.overridden(&options, features_of::MESSAGE);
        if options.number(tag::OPTIONS_MAP_ENTRY) == Some(1) {
            message.edit(tag::MESSAGE_FIELD, |it| drop_features(it, tag::FIELD_OPTIONS, features_of::FIELD));
        } else {
            self.fields(message, features);
        }
        message.edit(tag::MESSAGE_NESTED, |nested| self.message(nested, features));
        message.edit(tag::MESSAGE_ENUM, enumeration);
        message.edit(tag::MESSAGE_EXTENSION_RANGE, |range| {
            drop_features(range, tag::RANGE_OPTIONS, features_of::EXTENSION_RANGE);
        });
        message.edit(tag::MESSAGE_ONEOF, |oneof| drop_features(oneof, tag::ONEOF_OPTIONS, features_of::ONEOF));
        message.remove(tag::MESSAGE_VISIBILITY);
        drop_features(message, tag::MESSAGE_OPTIONS, features_of::MESSAGE);
    }

    fn fields(&self, message: &mut Raw, features: Features) {
        let around = message.clone();
        message.edit(tag::MESSAGE_EXTENSION, |it| self.field(it, &around, features, true));
        let mut oneofs: Vec<String> = around.children(tag::MESSAGE_ONEOF).map(|it| it.text(tag::ONEOF_NAME)).collect();
        let declared = oneofs.len();
        let names: Vec<String> = around.children(tag::MESSAGE_FIELD).map(|it| it.text(tag::FIELD_NAME)).collect();
        message.edit(tag::MESSAGE_FIELD, |raw| {
            let field = Field::of(raw, &around, features);
            let explicit = field.is_singular_value() && field.features.presence == Presence::Explicit;
            self.field(raw, &around, features, false);
            if explicit && self.syntax == Syntax::Proto3 {
                raw.set_number(tag::FIELD_PROTO3_OPTIONAL, 1);
                raw.set_number(tag::FIELD_ONEOF_INDEX, oneofs.len() as u64);
                oneofs.push(synthetic_name(&field.name, &oneofs, &names));
            }
        });
        // The oneofs of `optional` stand behind those that were declared.
        for name in &oneofs[declared..] {
            let mut oneof = Raw::default();
            oneof.push_bytes(tag::ONEOF_NAME, name.as_bytes().to_vec());
            message.push_bytes(tag::MESSAGE_ONEOF, oneof.encode());
        }
    }

    fn field(&self, raw: &mut Raw, message: &Raw, features: Features, is_extension: bool) {
        let field = Field::of(raw, message, features);
        if field.is_required() {
            raw.set_number(tag::FIELD_LABEL, LABEL_REQUIRED);
        }
        if field.is_delimited() {
            raw.set_number(tag::FIELD_TYPE, TYPE_GROUP);
        }
        let mut options = raw.child(tag::FIELD_OPTIONS);
        options.remove(features_of::FIELD);
        if field.is_packable() && field.features.packed != (self.syntax == Syntax::Proto3) {
            options.set_number(tag::OPTIONS_PACKED, u64::from(field.features.packed));
        }
        raw.set_child(tag::FIELD_OPTIONS, options);
        if is_extension {
            raw.remove(tag::FIELD_PROTO3_OPTIONAL);
        }
    }
}

fn enumeration(of: &mut Raw) {
    of.edit(tag::ENUM_VALUE, |value| drop_features(value, tag::VALUE_OPTIONS, features_of::ENUM_VALUE));
    of.remove(tag::ENUM_VISIBILITY);
    drop_features(of, tag::ENUM_OPTIONS, features_of::ENUM);
}

fn drop_features(element: &mut Raw, options: u32, features: u32) {
    let mut of = element.child(options);
    of.remove(features);
    element.set_child(options, of);
}

/// The name that protoc gives to the oneof of an `optional` field.
fn synthetic_name(field: &str, oneofs: &[String], fields: &[String]) -> String {
    let mut name = format!("_{field}");
    while oneofs.contains(&name) || fields.contains(&name) {
        name.insert(0, 'X');
    }
    name
}

fn path(around: &[i32], tag: u32, at: usize) -> Vec<i32> {
    let step = [i32::try_from(tag).unwrap_or_default(), i32::try_from(at).unwrap_or_default()];
    [around, &step].concat()
}

#[cfg(test)]
mod tests;
