//! What a Rust file imports, and by which name it calls each type.
//!
//! A type goes by its simple name unless the file has another use for that name or Rust's prelude has; then it goes
//! by its path from `messages`, which is imported instead.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use super::types::{FieldType, Item, Shape};
use crate::{
    lower::{
        Names, RustPath,
        names::{to_snake, to_upper_camel},
    },
    rust,
};

/// Names that a reader takes for Rust's own.
const PRELUDE: &[&str] = &[
    "AsMut",
    "AsRef",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "Err",
    "Error",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "Hash",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Self",
    "Self_",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
];

/// Whether a reader takes the name for Rust's own.
pub fn is_prelude(name: &str) -> bool {
    PRELUDE.contains(&name)
}

/// The imports of one file, gathered while its view is made.
#[derive(Clone, Debug)]
pub struct Imports<'a> {
    names: &'a Names,
    /// Path of the module with all messages, `crate::generated::messages`.
    messages: String,
    /// Path of the crate that re-exports prost.
    runtime: &'static str,
    /// Full path by simple name; empty for names that aren't to be imported.
    taken: BTreeMap<String, String>,
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Imports<'a> {
    /// No imports yet; the file defines or imports `own` names itself.
    pub fn new(names: &'a Names, messages: &str, runtime: &'static str, own: &[&str]) -> Self {
        let taken = PRELUDE.iter().chain(own).map(|it| ((*it).to_owned(), String::new())).collect();
        Self { names, messages: messages.to_owned(), runtime, taken, uses: BTreeMap::new() }
    }

    /// The names of the messages.
    pub fn names(&self) -> &'a Names {
        self.names
    }

    /// Imports a name that was named to [`Imports::new`] or can't clash.
    pub fn add(&mut self, module: &str, name: &str) {
        self.uses.entry(module.to_owned()).or_default().insert(name.to_owned());
    }

    /// The type of a value that stands on its own: a request, a row.
    pub fn item(&mut self, item: &Item) -> String {
        match item {
            Item::Bool => "bool".to_owned(),
            Item::I32 | Item::Enum(_) => "i32".to_owned(),
            Item::I64 => "i64".to_owned(),
            Item::U32 => "u32".to_owned(),
            Item::U64 => "u64".to_owned(),
            Item::F32 => "f32".to_owned(),
            Item::F64 => "f64".to_owned(),
            Item::String => "String".to_owned(),
            Item::Bytes => "Vec<u8>".to_owned(),
            Item::Unit => "()".to_owned(),
            Item::Message(message) => match self.names.message(message) {
                Some(path) => self.path(&path.clone()),
                None => self.known(message.full_name()),
            },
        }
    }

    /// The type of a struct's field.
    pub fn field(&mut self, ty: &FieldType) -> String {
        let item = self.item(&ty.item);
        match &ty.shape {
            Shape::Plain => item,
            Shape::Option => format!("Option<{item}>"),
            Shape::Boxed => format!("Option<Box<{item}>>"),
            Shape::List => format!("Vec<{item}>"),
            Shape::Map(key) => {
                let key = self.item(key);
                format!("std::collections::BTreeMap<{key}, {item}>")
            }
        }
    }

    /// A message or enum of the module.
    pub fn path(&mut self, path: &RustPath) -> String {
        // The types of the main package are re-exported at the root.
        let path = if path.modules == self.names.root {
            &RustPath { modules: Vec::new(), ident: path.ident.clone() }
        } else {
            path
        };
        let module = [std::slice::from_ref(&self.messages), path.modules.as_slice()].concat().join("::");
        if self.take(&module, &path.ident) {
            return path.ident.clone();
        }
        let all = self.messages.clone();
        let (around, messages) = all.rsplit_once("::").unwrap_or(("", &all));
        // The file that declares the module has it in sight.
        let in_sight = self.taken.get(messages).is_some_and(String::is_empty);
        if !around.is_empty() && !in_sight {
            self.add(around, messages);
        }
        format!("{messages}::{}", path.join())
    }

    /// A well-known type.
    fn known(&mut self, full_name: &str) -> String {
        let name = full_name.strip_prefix("google.protobuf.").unwrap_or(full_name);
        let (outer, ident) = name.rsplit_once('.').map_or(("", name), |it| it);
        let outer: String =
            outer.split('.').filter(|it| !it.is_empty()).map(|it| format!("::{}", to_snake(it))).collect();
        let module = format!("{}::prost_types{outer}", self.runtime);
        let ident = to_upper_camel(ident);
        if self.take(&module, &ident) { ident } else { format!("{module}::{ident}") }
    }

    /// Whether a name means that very type in this file; imports it if so.
    fn take(&mut self, module: &str, ident: &str) -> bool {
        let full = format!("{module}::{ident}");
        let free = *self.taken.entry(ident.to_owned()).or_insert_with(|| full.clone()) == full;
        if free {
            self.add(module, ident);
        }
        free
    }

    /// The `use` declarations at a level of indentation, as rustfmt orders them: other crates, then this one.
    pub fn render(&self, indent: usize) -> String {
        let mut uses: Vec<(Vec<&str>, Vec<String>)> =
            self.uses.iter().map(|(module, names)| (module.split("::").collect(), sorted(names))).collect();
        uses.sort_by(|a, b| compare_uses(a, b));
        let group = |own: bool| -> String {
            let of_group = uses.iter().filter(|(module, _)| matches!(module[0], "crate" | "super") == own);
            of_group.map(|(module, names)| rust::use_list(&module.join("::"), names, indent)).collect()
        };
        let groups: Vec<String> = [group(false), group(true)].into_iter().filter(|it| !it.is_empty()).collect();
        groups.join("\n")
    }
}

fn sorted(names: &BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = names.iter().cloned().collect();
    names.sort_by(|a, b| compare(a, b));
    names
}

/// By segments; a list of several names comes behind all else in its module.
fn compare_uses((a, a_names): &(Vec<&str>, Vec<String>), (b, b_names): &(Vec<&str>, Vec<String>)) -> Ordering {
    let with_name = |module: &[&str], names: &[String]| -> Vec<String> {
        let last = if let [name] = names { name.clone() } else { "{".to_owned() };
        module.iter().map(|it| (*it).to_owned()).chain([last]).collect()
    };
    let (a, b) = (with_name(a, a_names), with_name(b, b_names));
    let differing = a.iter().zip(&b).find(|(a, b)| a != b);
    differing.map_or(a.len().cmp(&b.len()), |(a, b)| match (a.as_str(), b.as_str()) {
        ("{", _) => Ordering::Greater,
        (_, "{") => Ordering::Less,
        _ => compare(a, b),
    })
}

/// rustfmt's "version sort": numbers count by value, an underscore comes before everything.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (x, y) = match (a.is_empty(), b.is_empty()) {
            (false, false) => (chunk(a), chunk(b)),
            (a, b) => return b.cmp(&a),
        };
        let number = |it: &str| it.parse::<u128>().ok();
        let order = match (number(x), number(y)) {
            _ if x == y => Ordering::Equal,
            _ if x == "_" => Ordering::Less,
            _ if y == "_" => Ordering::Greater,
            (Some(x), Some(y)) => x.cmp(&y),
            _ => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[x.len()..], &b[y.len()..]);
    }
}

/// The number, the underscore, or what is neither, that a name begins with.
fn chunk(name: &str) -> &str {
    let kind = |it: char| {
        if it == '_' {
            0
        } else if it.is_ascii_digit() {
            1
        } else {
            2
        }
    };
    let first = name.chars().next().map(kind);
    let end = match first {
        Some(0) => 1,
        _ => name.find(|it| Some(kind(it)) != first).unwrap_or(name.len()),
    };
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_as_rustfmt_does() {
        let sorted = [
            "A",
            "A_B",
            "A1",
            "A2B",
            "AB",
            "Ab",
            "Alpha",
            "BETA",
            "HTTPServer",
            "HttpServer",
            "Item2A",
            "Item9",
            "Item10",
            "Type",
            "a_b",
            "a1",
            "beta",
            "item_1",
            "r#type",
            "zeta",
        ];
        let mut names = sorted.to_vec();
        names.reverse();
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, sorted);
    }

    #[test]
    fn calls_hazardous_names_by_their_path() {
        let names = Names::default();
        let mut imports = Imports::new(&names, "crate::generated::messages", "potter", &["ProductEvent"]);
        let path = |module: &str, ident: &str| RustPath { modules: vec![module.to_owned()], ident: ident.to_owned() };
        assert_eq!(imports.path(&path("shop", "Product")), "Product");
        assert_eq!(imports.path(&path("shop", "Option")), "messages::shop::Option");
        assert_eq!(imports.path(&path("shop", "ProductEvent")), "messages::shop::ProductEvent");
        assert_eq!(imports.path(&path("store", "Product")), "messages::store::Product");
        imports.add("potter", "Context");
        assert_eq!(
            imports.render(0),
            "use potter::Context;\n\nuse crate::generated::messages;\nuse crate::generated::messages::shop::Product;\n"
        );
    }
}
