//! The versions of an event as Rust modules: `v1`, `v2`, …, each with the types that the event had then.
//!
//! What a version is called doesn't change when the next one comes: while it is the current one its module re-exports
//! today's messages, afterwards it has structs of its own. An upcaster that was written once stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{MessageDescriptor, OneofDescriptor};
use serde::Serialize;

use crate::{
    docs::Comments,
    lower::{self, Lowered, Names, names::to_snake},
    messages,
    plan::{MESSAGES, Scope},
    render::Bug,
    shape::{
        Shape,
        rebuild::{Rebuilt, rebuild, simple_names},
    },
};

/// A version of an event.
pub(super) struct Version {
    pub number: u32,
    pub shape: Shape,
    is_current: bool,
    /// Rust names of its types, by full name.
    names: BTreeMap<String, String>,
}

/// The names around a oneof.
pub(super) struct Oneof {
    /// The enum's, seen from the event's module.
    pub path: String,
    /// The variants by the numbers of their fields.
    pub variants: BTreeMap<u32, String>,
}

#[derive(Serialize)]
pub(super) struct VersionView {
    number: u32,
    is_current: bool,
    items: String,
}

impl Version {
    /// A version whose event has this name in Rust; the same in all of its versions, whatever its message was called.
    pub fn former(number: u32, shape: Shape, root: &str) -> Self {
        Version { number, names: simple_names(&shape, root), shape, is_current: false }
    }

    /// The version that is recorded now.
    pub fn current(number: u32, shape: Shape, root: &str) -> Self {
        Version { is_current: true, ..Version::former(number, shape, root) }
    }

    /// The name of the event's own struct.
    pub fn root(&self) -> String {
        self.names[self.shape.message()].clone()
    }

    /// What its module has: the types, and the modules of what is in them.
    pub fn items(&self) -> BTreeSet<String> {
        self.names.values().flat_map(|it| [it.clone(), to_snake(it)]).collect()
    }

    /// A message's path, seen from the event's module.
    pub fn path(&self, message: &str) -> Option<String> {
        self.names.get(message).map(|name| format!("v{}::{name}", self.number))
    }

    pub fn view(&self, scope: &Scope<'_>) -> Result<VersionView, Bug> {
        let items = if self.is_current { self.exports(scope) } else { self.structs()? };
        Ok(VersionView { number: self.number, is_current: self.is_current, items })
    }

    fn structs(&self) -> Result<String, Bug> {
        let (_, lowered) = self.rebuilt()?;
        let bodies = messages::generate(&lowered, "::potter").map_err(|error| self.bug(error))?;
        Ok(bodies.into_values().collect())
    }

    /// The types of a former version, and what they are called.
    fn rebuilt(&self) -> Result<(Rebuilt, Lowered), Bug> {
        let rebuilt = rebuild(&self.shape, &self.names).map_err(|error| self.bug(error))?;
        let lowered = lower::lower(&rebuilt.messages, &rebuilt.enums, &Comments::default());
        Ok((rebuilt, lowered))
    }

    fn bug(&self, error: impl ToString) -> Bug {
        Bug::new(format!("version {} of {}", self.number, self.shape.message()), error)
    }

    /// The names around a oneof of a message.
    pub fn oneof(&self, scope: &Scope<'_>, message: &str, oneof: &str) -> Result<Option<Oneof>, Bug> {
        let name = &self.names[message];
        if self.is_current {
            let message = scope.descriptors.pool().get_message_by_name(message);
            let oneof = message.and_then(|it| it.oneofs().find(|it| it.name() == oneof));
            return Ok(oneof.map(|it| self.named(&it, &to_snake(name), &scope.symbols.names)));
        }
        let (rebuilt, lowered) = self.rebuilt()?;
        let message = rebuilt.messages.iter().find(|it| it.name() == name);
        let oneof = message.and_then(|it| it.oneofs().find(|it| it.name() == oneof));
        Ok(oneof.map(|it| {
            let module = lowered.names.oneof_type(&it).modules.last().cloned();
            self.named(&it, &module.unwrap_or_default(), &lowered.names)
        }))
    }

    fn named(&self, oneof: &OneofDescriptor, module: &str, names: &Names) -> Oneof {
        Oneof {
            path: format!("v{}::{module}::{}", self.number, names.oneof_type(oneof).ident),
            variants: oneof.fields().map(|it| (it.number(), names.variant(&it).to_owned())).collect(),
        }
    }

    /// Today's messages under the names that they will keep, with the modules in which their oneofs are.
    fn exports(&self, scope: &Scope<'_>) -> String {
        let pool = scope.descriptors.pool();
        let mut exports = String::new();
        for (full_name, name) in &self.names {
            let message = pool.get_message_by_name(full_name);
            let path = match (&message, pool.get_enum_by_name(full_name)) {
                (Some(message), _) => scope.symbols.names.message(message),
                (None, Some(enumeration)) => scope.symbols.names.enumeration(&enumeration),
                (None, None) => None,
            };
            if let Some(path) = path {
                exports.push_str(&export(&path.modules, &path.ident, name));
            }
            if let Some(modules) = message.and_then(|it| oneof_module(scope, &it)) {
                let (last, around) = modules.split_last().expect("a oneof's enum is in its message's module");
                exports.push_str(&export(around, last, &to_snake(name)));
            }
        }
        exports
    }
}

fn export(modules: &[String], ident: &str, name: &str) -> String {
    let path: String = modules.iter().map(|it| format!("{it}::")).collect();
    let renamed = if ident == name { String::new() } else { format!(" as {name}") };
    format!("pub use {MESSAGES}::{path}{ident}{renamed};\n")
}

/// The module of a message's oneofs, if it has any.
fn oneof_module<'a>(scope: &Scope<'a>, message: &MessageDescriptor) -> Option<&'a Vec<String>> {
    let oneof = message.oneofs().find(|it| !it.is_synthetic())?;
    scope.symbols.names.message(message)?;
    Some(&scope.symbols.names.oneof_type(&oneof).modules)
}
