//! Messages and enums that are nothing but types of fields: no option gives them an identity, their uses do.
//!
//! In: what the fields' types were called, and are called now. Out: the types that are called otherwise. One is if its
//! former name is gone, its new one is new, and every field that had it and is still there has the new one.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase;
use prost_reflect::{EnumDescriptor, MessageDescriptor};

use super::{Many, Names, one_each};
use crate::lower::names::{to_snake, to_upper_camel, to_variant};
use crate::model::Module;

/// The types that are called otherwise, beside those of which that is known.
pub(super) fn renamed(before: &Names, now: &Names, module: &Module, known: &Names) -> Names {
    let (declared, packages) = (Declared::by(module), packages(module));
    let mut renamed = known.clone();
    loop {
        let found = by_uses(before, now, &renamed, &packages);
        let is_new =
            |(old, new): &(String, String)| !declared.names.contains(old) && !before.values().any(|it| it == new);
        let count = renamed.len();
        for (old, new) in found.into_iter().filter(is_new) {
            renamed.entry(old).or_insert(new);
        }
        // A type that was found is what other types are used in.
        if renamed.len() == count {
            renamed.retain(|old, _| !known.contains_key(old));
            return renamed;
        }
    }
}

/// The names that all fields of one type have now, where that is one name and another than before.
fn by_uses(before: &Names, now: &Names, renamed: &Names, packages: &BTreeSet<String>) -> Names {
    let mut found = Many::new();
    for (identity, old) in before {
        let Some((path, number)) = identity.strip_prefix("type ").and_then(|it| it.rsplit_once(' ')) else { continue };
        let new = now.get(&format!("type {} {number}", path_now(path, renamed, packages)));
        found.entry(old.clone()).or_default().extend(new.cloned());
    }
    one_each(found)
}

/// The path of a message, `shop::order::Line`, as it is called now; its package stays.
pub(super) fn path_now(path: &str, renamed: &Names, packages: &BTreeSet<String>) -> String {
    let of_package = |it: &String| path.strip_prefix(it.as_str()).is_some_and(|it| it.starts_with("::"));
    let package = packages.iter().filter(|it| of_package(it)).map(|it| it.len() + 2).max().unwrap_or_default();
    let (package, path) = path.split_at(package);
    let (around, message) = path.rsplit_once("::").map_or((None, path), |(around, it)| (Some(around), it));
    let modules = modules(renamed);
    let now = |names: &Names, it: &str| names.get(it).map_or(it, String::as_str).to_owned();
    let around = around.into_iter().flat_map(|it| it.split("::")).map(|it| now(&modules, it));
    format!("{package}{}", around.chain([now(renamed, message)]).collect::<Vec<_>>().join("::"))
}

/// The modules of the packages that messages are in, `shop::v1`.
pub(super) fn packages(module: &Module) -> BTreeSet<String> {
    let modules = |package: &str| package.split('.').map(to_snake).collect::<Vec<_>>().join("::");
    let packages = module.messages.iter().map(|it| it.package_name().to_owned());
    packages.filter(|it| !it.is_empty()).map(|it| modules(&it)).collect()
}

/// The modules of what is within messages that are called otherwise.
pub(super) fn modules(renamed: &Names) -> Names {
    let types = renamed.iter().filter(|(old, _)| old.starts_with(char::is_uppercase));
    types.map(|(old, new)| (to_snake(old), to_snake(new))).filter(|(old, new)| old != new).collect()
}

/// The variants that lose, or get, the name of their enum in front because the enum is called otherwise.
pub(super) fn variants(renamed: &Names, module: &Module) -> BTreeMap<(String, String), String> {
    let mut variants = BTreeMap::new();
    let enums = Declared::by(module).enums;
    for (old, new) in renamed {
        for of in enums.iter().filter(|it| to_upper_camel(it.name()) == *new) {
            let names = of.values().map(|it| (to_variant(old, it.name()), to_variant(of.name(), it.name())));
            let changed = names.filter(|(was, now)| was != now);
            variants.extend(changed.map(|(was, now)| ((old.clone(), was), now)));
        }
    }
    variants
}

/// What the protos declare.
#[derive(Default)]
struct Declared {
    /// The names of types in Rust, oneofs included.
    names: BTreeSet<String>,
    enums: Vec<EnumDescriptor>,
}

impl Declared {
    fn by(module: &Module) -> Self {
        let mut declared = Self::default();
        module.messages.iter().for_each(|it| declared.message(it));
        module.enums.iter().for_each(|it| declared.enumeration(it.clone()));
        declared
    }

    fn message(&mut self, message: &MessageDescriptor) {
        self.names.insert(to_upper_camel(message.name()));
        let oneofs = message.oneofs().filter(|it| !it.is_synthetic());
        self.names.extend(oneofs.map(|it| it.name().to_upper_camel_case()));
        message.child_messages().filter(|it| !it.is_map_entry()).for_each(|it| self.message(&it));
        message.child_enums().for_each(|it| self.enumeration(it));
    }

    fn enumeration(&mut self, of: EnumDescriptor) {
        self.names.insert(to_upper_camel(of.name()));
        self.enums.push(of);
    }
}
