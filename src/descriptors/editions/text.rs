//! Files of editions that come as text, for a parser that knows proto3.
//!
//! The text is rewritten so that it parses, everything staying in its line and nearly everything in its column; what
//! was parsed is then put as a compiler would have put it, with its edition and its features, and lowered as any other
//! descriptor is.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{FileDescriptorProto, UninterpretedOption};

use super::{Refused, features_of, lower, path, raw::Raw, tag};
use crate::descriptors::source::{Token, tokens};

/// Stands for `default`, which the parser refuses in proto3; as long, and nobody's option.
const DEFAULT: &str = "defau1t";

/// Number of `uninterpreted_option` in the options of every element.
const UNINTERPRETED: u32 = 999;

const TYPE_ENUM: u64 = 14;

/// What a name in a file stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A message.
    Message,
    /// An enum.
    Enum,
}

/// The number and the name of the edition that a text declares, if it declares one.
pub(crate) fn edition(text: &str) -> Option<(i32, String)> {
    let tokens = tokens(text);
    let [word, equals, edition, ..] = tokens.as_slice() else { return None };
    let declared = edition.string.clone().filter(|_| word.text == "edition" && equals.text == "=")?;
    let number = match declared.as_str() {
        "2023" => 1000,
        "2024" => 1001,
        _ => 0,
    };
    Some((number, declared))
}

/// The text as the parser takes it.
pub(crate) fn as_proto3(text: &str) -> String {
    let tokens = tokens(text);
    let mut rewritten = String::with_capacity(text.len() + 8);
    let (mut copied, mut in_reserved) = (0, false);
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |it| tokens[it].text);
        let next = tokens.get(at + 1).map_or("", |it| it.text);
        let replaced = match token.text {
            "edition" if at == 0 => Some("syntax ".to_owned()),
            _ if at == 2 => Some(proto3(token)),
            "option" if before == "import" => Some(" ".repeat(6)),
            "export" | "local" if matches!(next, "message" | "enum") => Some(" ".repeat(token.text.len())),
            "default" if matches!(before, "[" | ",") && next == "=" => Some(DEFAULT.to_owned()),
            word if in_reserved && is_name(word) => Some(format!("\"{word}\"")),
            _ => None,
        };
        // A field may be called so, too: then its number follows.
        in_reserved = match token.text {
            "reserved" => next != "=",
            ";" => false,
            _ => in_reserved,
        };
        if let Some(replaced) = replaced {
            rewritten.push_str(&text[copied..token.start]);
            rewritten.push_str(&replaced);
            copied = token.start + token.text.len();
        }
    }
    rewritten.push_str(&text[copied..]);
    rewritten
}

fn proto3(edition: &Token<'_>) -> String {
    format!("{:width$}", "\"proto3\"", width = edition.text.len())
}

fn is_name(word: &str) -> bool {
    word.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_') && !matches!(word, "to" | "max")
}

/// Lowers what was parsed from a text of that edition. `named` tells what the full names of other files stand for.
///
/// # Errors
///
/// What cannot be lowered, and features that are none.
pub(crate) fn lower_parsed(
    file: &FileDescriptorProto,
    edition: i32,
    named: &BTreeMap<String, Named>,
) -> Result<FileDescriptorProto, Vec<Refused>> {
    let mut raw = Raw::decode(&file.encode_to_vec()).expect("it was encoded just now");
    let mut known = named.clone();
    known.extend(names_in(file));
    let mut parsed = Parsed { named: &known, refused: Vec::new() };
    parsed.file(&mut raw, file.package());
    if !parsed.refused.is_empty() {
        return Err(parsed.refused);
    }
    raw.remove(tag::FILE_SYNTAX);
    raw.set_number(tag::FILE_EDITION, u64::try_from(edition).unwrap_or_default());
    let lowered = lower(&raw.encode(), edition, |_| true).expect("only known editions come here")?;
    Ok(FileDescriptorProto::decode(lowered.as_slice()).expect("a lowered descriptor is a descriptor"))
}

/// The messages and enums of a file, by full name.
pub(crate) fn names_in(file: &FileDescriptorProto) -> BTreeMap<String, Named> {
    let mut names = BTreeMap::new();
    let mut open: Vec<_> = file.message_type.iter().map(|it| (file.package().to_owned(), it)).collect();
    names.extend(file.enum_type.iter().map(|it| (within(file.package(), it.name()), Named::Enum)));
    while let Some((around, message)) = open.pop() {
        let name = within(&around, message.name());
        names.extend(message.enum_type.iter().map(|it| (within(&name, it.name()), Named::Enum)));
        open.extend(message.nested_type.iter().map(|it| (name.clone(), it)));
        names.insert(name, Named::Message);
    }
    names
}

fn within(around: &str, name: &str) -> String {
    if around.is_empty() { name.to_owned() } else { format!("{around}.{name}") }
}

/// Puts a parsed file as a compiler would have put it.
struct Parsed<'a> {
    named: &'a BTreeMap<String, Named>,
    refused: Vec<Refused>,
}

impl Parsed<'_> {
    fn file(&mut self, file: &mut Raw, package: &str) {
        self.features(file, tag::FILE_OPTIONS, features_of::FILE, &[]);
        self.each(file, &[], tag::FILE_MESSAGE, |it, message, at| it.message(message, package, at));
        self.each(file, &[], tag::FILE_ENUM, Self::enumeration);
        self.each(file, &[], tag::FILE_EXTENSION, |it, field, at| it.field(field, package, at));
        self.each(file, &[], tag::FILE_SERVICE, |it, service, at| {
            it.features(service, tag::SERVICE_OPTIONS, features_of::SERVICE, at);
            it.each(service, at, tag::SERVICE_METHOD, |it, method, at| {
                it.features(method, tag::METHOD_OPTIONS, features_of::METHOD, at);
            });
        });
    }

    fn each(&mut self, around: &mut Raw, at: &[i32], of: u32, mut visit: impl FnMut(&mut Self, &mut Raw, &[i32])) {
        let mut index = 0;
        around.edit(of, |it| {
            visit(self, it, &path(at, of, index));
            index += 1;
        });
    }

    fn message(&mut self, message: &mut Raw, around: &str, at: &[i32]) {
        let scope = within(around, &message.text(tag::FIELD_NAME));
        self.features(message, tag::MESSAGE_OPTIONS, features_of::MESSAGE, at);
        self.each(message, at, tag::MESSAGE_FIELD, |it, field, at| it.field(field, &scope, at));
        self.each(message, at, tag::MESSAGE_EXTENSION, |it, field, at| it.field(field, &scope, at));
        self.each(message, at, tag::MESSAGE_NESTED, |it, nested, at| it.message(nested, &scope, at));
        self.each(message, at, tag::MESSAGE_ENUM, Self::enumeration);
        self.each(message, at, tag::MESSAGE_ONEOF, |it, oneof, at| {
            it.features(oneof, tag::ONEOF_OPTIONS, features_of::ONEOF, at);
        });
        self.each(message, at, tag::MESSAGE_EXTENSION_RANGE, |it, range, at| {
            it.features(range, tag::RANGE_OPTIONS, features_of::EXTENSION_RANGE, at);
        });
    }

    fn enumeration(&mut self, of: &mut Raw, at: &[i32]) {
        self.features(of, tag::ENUM_OPTIONS, features_of::ENUM, at);
        self.each(of, at, tag::ENUM_VALUE, |it, value, at| {
            it.features(value, tag::VALUE_OPTIONS, features_of::ENUM_VALUE, at);
        });
    }

    fn field(&mut self, field: &mut Raw, scope: &str, at: &[i32]) {
        if field.number(tag::FIELD_PROTO3_OPTIONAL) == Some(1) {
            self.refused.push(Refused {
                path: at.to_vec(),
                message: format!("`optional {}` is not part of editions", field.text(tag::FIELD_NAME)),
                help: "leave `optional` out: a field tells none from the default unless its features say otherwise"
                    .to_owned(),
            });
        }
        if field.number(tag::FIELD_TYPE).is_none() {
            let ty = match self.resolved(&field.text(tag::FIELD_TYPE_NAME), scope) {
                Some(Named::Enum) => TYPE_ENUM,
                // What is not there at all is said when the file is linked.
                Some(Named::Message) | None => super::TYPE_MESSAGE,
            };
            field.set_number(tag::FIELD_TYPE, ty);
        }
        self.features(field, tag::FIELD_OPTIONS, features_of::FIELD, at);
    }

    /// What a name within a scope stands for: the innermost one that there is.
    fn resolved(&self, name: &str, scope: &str) -> Option<Named> {
        if let Some(full) = name.strip_prefix('.') {
            return self.named.get(full).copied();
        }
        let mut scope = Some(scope);
        while let Some(around) = scope {
            if let Some(named) = self.named.get(&within(around, name)) {
                return Some(*named);
            }
            scope = around.rsplit_once('.').map(|(outer, _)| outer).or((!around.is_empty()).then_some(""));
        }
        None
    }

    /// Takes `features` and the default out of the options that were parsed, and puts them where they belong.
    fn features(&mut self, element: &mut Raw, options_tag: u32, features_tag: u32, at: &[i32]) {
        let mut options = element.child(options_tag);
        let parsed: Vec<Vec<u8>> = options.bytes(UNINTERPRETED).map(<[u8]>::to_vec).collect();
        options.remove(UNINTERPRETED);
        let mut features = options.child(features_tag);
        for bytes in parsed {
            let option = UninterpretedOption::decode(bytes.as_slice()).expect("it was encoded just now");
            let names: Vec<&str> = option.name.iter().map(|it| it.name_part.as_str()).collect();
            match names.as_slice() {
                ["features", rest @ ..] => self.feature(&option, rest, &mut features, at),
                [DEFAULT] => element.push_bytes(tag::FIELD_DEFAULT, default_value(&option).into_bytes()),
                _ => options.push_bytes(UNINTERPRETED, bytes),
            }
        }
        options.set_child(features_tag, features);
        element.set_child(options_tag, options);
    }

    fn feature(&mut self, option: &UninterpretedOption, rest: &[&str], features: &mut Raw, at: &[i32]) {
        let said: Vec<(String, String)> = match rest {
            [name] => vec![((*name).to_owned(), option.identifier_value().to_owned())],
            [] => pairs(option.aggregate_value()),
            // Features of other languages, such as `(pb.java).utf8_validation`.
            _ => return,
        };
        for (name, value) in said {
            match number_of(&name, &value) {
                Some(Some((tag, number))) => features.set_number(tag, number),
                Some(None) => {}
                None => self.refused.push(Refused {
                    path: at.to_vec(),
                    message: format!("`features.{name} = {value}` is no feature"),
                    help: "see https://protobuf.dev/editions/features/".to_owned(),
                }),
            }
        }
    }
}

/// The names and values in `{ field_presence: IMPLICIT, enum_type: OPEN }`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let tokens = tokens(text);
    let with_value = tokens.windows(3).filter(|it| it[1].text == ":");
    with_value.map(|it| (it[0].text.to_owned(), it[2].text.to_owned())).collect()
}

/// The numbers in `google.protobuf.FeatureSet`; the inner option is none for what makes no difference here.
fn number_of(name: &str, value: &str) -> Option<Option<(u32, u64)>> {
    let values: (u32, &[&str]) = match name {
        "field_presence" => (1, &["EXPLICIT", "IMPLICIT", "LEGACY_REQUIRED"]),
        "enum_type" => (2, &["OPEN", "CLOSED"]),
        "repeated_field_encoding" => (3, &["PACKED", "EXPANDED"]),
        "message_encoding" => (5, &["LENGTH_PREFIXED", "DELIMITED"]),
        "utf8_validation" | "json_format" | "enforce_naming_style" | "default_symbol_visibility" => return Some(None),
        name if name.starts_with('(') || name.starts_with('[') => return Some(None),
        _ => return None,
    };
    let number = values.1.iter().position(|it| *it == value)?;
    Some(Some((values.0, number as u64 + 1)))
}

/// A default as descriptors have it.
fn default_value(option: &UninterpretedOption) -> String {
    let UninterpretedOption {
        identifier_value,
        positive_int_value,
        negative_int_value,
        double_value,
        string_value,
        ..
    } = option;
    let number = positive_int_value.map(|it| it.to_string()).or(negative_int_value.map(|it| it.to_string()));
    let text = string_value.as_ref().map(|it| String::from_utf8_lossy(it).into_owned());
    let value = identifier_value.clone().or(number).or(double_value.map(|it| it.to_string())).or(text);
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_lines_and_nearly_all_its_columns() {
        let text = "// a file\nedition  =  \"2024\";\nimport option \"x.proto\";\nexport message M {\n  reserved a, \"b\", 3 to max;\n  \
                    int32 default = 1 [default = 3]; string reserved = 2; // reserved x\n}\n";
        let expected = "// a file\nsyntax   =  \"proto3\";\nimport        \"x.proto\";\n       message M {\n  reserved \"a\", \"b\", 3 to max;\n  \
                        int32 default = 1 [defau1t = 3]; string reserved = 2; // reserved x\n}\n";
        assert_eq!(as_proto3(text), expected);
    }

    #[test]
    fn an_edition_is_told_by_its_first_statement_alone() {
        assert_eq!(edition("/* edition = \"1\" */ edition = '2023';"), Some((1000, "2023".to_owned())));
        assert_eq!(edition("edition = \"2031\";"), Some((0, "2031".to_owned())));
        assert_eq!(edition("syntax = \"proto3\"; // edition = \"2023\";"), None);
    }
}
