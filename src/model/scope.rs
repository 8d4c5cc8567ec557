//! Scope: which files, services and messages belong to the module.

use std::collections::BTreeSet;

use prost_reflect::{EnumDescriptor, FileDescriptor, Kind, MessageDescriptor, ServiceDescriptor};

use super::{
    Subscription,
    subscriptions::{self, ImportedEvent},
};
use crate::{
    descriptors::{Descriptors, bundled},
    options,
};

/// What the module is made of, in the order of declaration, files sorted by name.
pub(super) struct Scope {
    /// All services of the files to generate, annotated or not.
    pub services: Vec<ServiceDescriptor>,
    /// All messages of the module's files, each before those nested in it.
    pub messages: Vec<MessageDescriptor>,
    /// Events in files that are imported, whosever they are.
    pub imported: Vec<ImportedEvent>,
    files: Vec<FileDescriptor>,
}

impl Scope {
    pub fn of(descriptors: &Descriptors) -> Self {
        let imported = subscriptions::imported(descriptors);
        let files = module_files(descriptors, &subscriptions::subscribed_files(descriptors, &imported));
        let services = descriptors.files().iter().flat_map(|it| it.services().collect::<Vec<_>>()).collect();
        let mut messages = Vec::new();
        for file in &files {
            file.messages().for_each(|it| push_with_nested(it, &mut messages));
        }
        Scope { services, messages, imported, files }
    }

    /// The top-level messages and enums that need a Rust type: the module's own, then those they reach in imports,
    /// then those of the events that are subscribed to.
    pub fn types(&self, subscriptions: &[Subscription]) -> (Vec<MessageDescriptor>, Vec<EnumDescriptor>) {
        let mut reached = Reached::default();
        self.files.iter().flat_map(|it| it.messages().collect::<Vec<_>>()).for_each(|it| reached.message(&it));
        self.files.iter().flat_map(|it| it.enums().collect::<Vec<_>>()).for_each(|it| reached.enumeration(&it));
        for method in self.services.iter().flat_map(|it| it.methods().collect::<Vec<_>>()) {
            reached.message(&method.input());
            reached.message(&method.output());
        }
        subscriptions.iter().flat_map(|it| &it.events).for_each(|it| reached.message(&it.message));
        (reached.messages, reached.enums)
    }
}

/// The files to generate, and those they import that are nobody else's. An imported file with an annotated service
/// of its own is another module, and so is one with an event that is subscribed to: its messages can be used, its
/// aggregates and events are not ours.
fn module_files(descriptors: &Descriptors, subscribed: &BTreeSet<String>) -> Vec<FileDescriptor> {
    let mut files: Vec<FileDescriptor> = descriptors.files().to_vec();
    let mut seen: BTreeSet<String> = files.iter().map(|it| it.name().to_owned()).collect();
    let mut at = 0;
    while let Some(file) = files.get(at).cloned() {
        at += 1;
        for import in file.dependencies() {
            let is_others =
                bundled::is_foreign(import.name()) || is_module(&import) || subscribed.contains(import.name());
            if !is_others && seen.insert(import.name().to_owned()) {
                files.push(import);
            }
        }
    }
    files.sort_by(|a, b| a.name().cmp(b.name()));
    files
}

fn is_module(file: &FileDescriptor) -> bool {
    file.services().any(|it| options::service(&it).is_some())
}

pub(super) fn push_with_nested(message: MessageDescriptor, messages: &mut Vec<MessageDescriptor>) {
    if message.is_map_entry() {
        return;
    }
    messages.push(message.clone());
    message.child_messages().for_each(|it| push_with_nested(it, messages));
}

/// Top-level types, each once, in the order in which they are reached.
#[derive(Default)]
struct Reached {
    seen: BTreeSet<String>,
    messages: Vec<MessageDescriptor>,
    enums: Vec<EnumDescriptor>,
}

impl Reached {
    fn message(&mut self, message: &MessageDescriptor) {
        let top = outermost(message);
        if is_well_known(top.full_name()) || !self.seen.insert(top.full_name().to_owned()) {
            return;
        }
        self.messages.push(top.clone());
        let mut inner = Vec::new();
        push_with_nested(top, &mut inner);
        inner.iter().for_each(|it| self.fields_of(it));
    }

    fn fields_of(&mut self, message: &MessageDescriptor) {
        for field in message.fields() {
            let kind = if field.is_map() { entry_value(&field.kind()) } else { field.kind() };
            match kind {
                Kind::Message(it) => self.message(&it),
                Kind::Enum(it) => self.enumeration(&it),
                _ => {}
            }
        }
    }

    fn enumeration(&mut self, it: &EnumDescriptor) {
        match it.parent_message() {
            Some(parent) => self.message(&parent),
            None if is_well_known(it.full_name()) => {}
            None => {
                if self.seen.insert(it.full_name().to_owned()) {
                    self.enums.push(it.clone());
                }
            }
        }
    }
}

fn entry_value(kind: &Kind) -> Kind {
    match kind.as_message().and_then(|entry| entry.get_field(2)) {
        Some(value) => value.kind(),
        None => kind.clone(),
    }
}

fn outermost(message: &MessageDescriptor) -> MessageDescriptor {
    let mut top = message.clone();
    while let Some(parent) = top.parent_message() {
        top = parent;
    }
    top
}

fn is_well_known(full_name: &str) -> bool {
    full_name.starts_with("google.protobuf.")
}
