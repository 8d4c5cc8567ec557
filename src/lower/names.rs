//! How prost names things in Rust, and what it is going to name each element of a module.

use std::collections::BTreeMap;

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_reflect::{EnumDescriptor, EnumValueDescriptor, FieldDescriptor, MessageDescriptor, OneofDescriptor};

/// The path of a Rust type below the module that holds all messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RustPath {
    /// Modules, outermost first.
    pub modules: Vec<String>,
    /// Name of the type.
    pub ident: String,
}

/// The Rust names of everything in a module, by proto name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub(super) types: BTreeMap<String, RustPath>,
    pub(super) oneofs: BTreeMap<String, RustPath>,
    pub(super) members: BTreeMap<String, String>,
    pub(super) variants: BTreeMap<String, String>,
    pub(super) packages: BTreeMap<String, Vec<String>>,
    /// The module whose types are re-exported at the root.
    pub(crate) root: Vec<String>,
}

impl RustPath {
    /// `a::b::Name`
    pub fn join(&self) -> String {
        let mut path = self.modules.join("::");
        if !path.is_empty() {
            path.push_str("::");
        }
        path + &self.ident
    }
}

impl Names {
    /// A message's struct; none for well-known types.
    pub fn message(&self, message: &MessageDescriptor) -> Option<&RustPath> {
        self.types.get(message.full_name())
    }

    /// An enum; none for well-known ones.
    pub fn enumeration(&self, enumeration: &EnumDescriptor) -> Option<&RustPath> {
        self.types.get(enumeration.full_name())
    }

    /// The enum of a oneof.
    pub fn oneof_type(&self, oneof: &OneofDescriptor) -> &RustPath {
        &self.oneofs[oneof.full_name()]
    }

    /// The struct field of a field that is in no oneof.
    pub fn field(&self, field: &FieldDescriptor) -> &str {
        &self.members[field.full_name()]
    }

    /// The struct field of a oneof.
    pub fn oneof(&self, oneof: &OneofDescriptor) -> &str {
        &self.members[oneof.full_name()]
    }

    /// The variant of an enum's value; an alias has none of its own.
    pub fn value(&self, value: &EnumValueDescriptor) -> &str {
        let first = value.parent_enum().values().find(|it| it.number() == value.number());
        let name = first.as_ref().map_or(value.full_name(), |it| it.full_name());
        &self.variants[name]
    }

    /// The variant of a field that is in a oneof.
    pub fn variant(&self, field: &FieldDescriptor) -> &str {
        &self.variants[field.full_name()]
    }

    /// Rust modules by proto package, for each package that has a type.
    pub fn packages(&self) -> &BTreeMap<String, Vec<String>> {
        &self.packages
    }
}

/// `lower_snake`, as prost makes names of fields and modules.
pub fn to_snake(name: &str) -> String {
    escape(&name.to_snake_case())
}

/// `UpperCamel`, as prost makes names of types and variants.
pub fn to_upper_camel(name: &str) -> String {
    escape(&name.to_upper_camel_case())
}

/// The variant of an enum's value, as prost names it: without the enum's name in front.
pub fn to_variant(enumeration: &str, value: &str) -> String {
    let value = to_upper_camel(value);
    let stripped = value.strip_prefix(&to_upper_camel(enumeration)).unwrap_or(&value);
    let whole = stripped.chars().next().is_some_and(char::is_uppercase);
    escape(if whole { stripped } else { &value })
}

/// A name that isn't a Rust keyword.
pub fn escape(name: &str) -> String {
    match name {
        "_" | "super" | "self" | "Self" | "extern" | "crate" => format!("{name}_"),
        _ if KEYWORDS.binary_search(&name).is_ok() => format!("r#{name}"),
        _ if name.starts_with(|it: char| it.is_numeric()) => format!("_{name}"),
        _ => name.to_owned(),
    }
}

/// Rust's keywords of all editions, sorted.
pub const KEYWORDS: &[&str] = &[
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
