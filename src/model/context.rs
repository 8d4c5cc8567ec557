//! Context: findings and the places that they point at.

use prost_reflect::{FieldDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor, ServiceDescriptor};

use crate::{
    descriptors::{Descriptors, OptionOf},
    diagnostic::{Code, Diagnostic, Diagnostics, Location},
};

/// An element that options stand on.
#[derive(Clone, Copy)]
pub(super) enum Element<'a> {
    Service(&'a ServiceDescriptor),
    Method(&'a MethodDescriptor),
    Message(&'a MessageDescriptor),
    Field(&'a FieldDescriptor),
}

/// An option's field: its name and number in `options.proto`.
pub(super) type Key = (i32, &'static str);

impl Element<'_> {
    /// The file that declares it.
    pub fn file(&self) -> FileDescriptor {
        match self {
            Element::Service(it) => it.parent_file(),
            Element::Method(it) => it.parent_file(),
            Element::Message(it) => it.parent_file(),
            Element::Field(it) => it.parent_file(),
        }
    }

    fn path(&self) -> Vec<i32> {
        match self {
            Element::Service(it) => it.path().to_vec(),
            Element::Method(it) => it.path().to_vec(),
            Element::Message(it) => it.path().to_vec(),
            Element::Field(it) => it.path().to_vec(),
        }
    }

    /// Field number of `options` in the element's descriptor.
    fn options(&self) -> i32 {
        match self {
            Element::Service(_) => 3,
            Element::Method(_) => 4,
            Element::Message(_) => 7,
            Element::Field(_) => 8,
        }
    }
}

/// Numbers of the extensions.
pub(super) mod extension {
    pub const SERVICE: i32 = 50001;
    pub const COMMAND: i32 = 50001;
    pub const QUERY: i32 = 50002;
    pub const EVENT: i32 = 50001;
    pub const AGGREGATE: i32 = 50002;
    pub const VALUE_OBJECT: i32 = 50003;
    pub const ERROR_EVENT: i32 = 50004;
    pub const READ_MODEL: i32 = 50005;
    pub const SAGA: i32 = 50006;
    pub const FIELD: i32 = 50001;
    pub const HTTP: i32 = 72_295_728;
}

/// Gathers findings.
pub(super) struct Context<'a> {
    descriptors: &'a Descriptors,
    pub findings: Diagnostics,
}

impl<'a> Context<'a> {
    pub fn new(descriptors: &'a Descriptors) -> Self {
        Context { descriptors, findings: Diagnostics::new() }
    }

    pub fn descriptors(&self) -> &'a Descriptors {
        self.descriptors
    }

    /// The line of an element's name; 0 if it isn't known.
    pub fn line(&self, element: Element<'_>) -> usize {
        self.descriptors.line(&element.file(), &[element.path().as_slice(), &[1]].concat())
    }

    /// The comment that stands before the element, or behind it on its line.
    pub fn comment(&self, element: Element<'_>) -> String {
        let file = element.file();
        let text = self.descriptors.comment(&file, &element.path());
        let lines = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
        lines.collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    /// Reports on the element's name.
    pub fn on(&mut self, element: Element<'_>, code: Code, message: String, help: String) {
        let path = [element.path().as_slice(), &[1]].concat();
        let place = self.descriptors.locate(&element.file(), &path);
        self.push(place, code, message, help);
    }

    /// Reports on an option as a whole.
    pub fn on_option(&mut self, element: Element<'_>, extension: i32, code: Code, message: String, help: String) {
        let place = self.place(element, extension, None, None);
        self.push(place, code, message, help);
    }

    /// Reports on a field of an option, and there on the given value.
    pub fn on_value(
        &mut self,
        (element, extension): (Element<'_>, i32),
        key: Key,
        value: Option<&str>,
        code: Code,
        (message, help): (String, String),
    ) {
        let place = self.place(element, extension, Some(key), value);
        self.push(place, code, message, help);
    }

    fn place(&self, element: Element<'_>, extension: i32, key: Option<Key>, value: Option<&str>) -> Location {
        let path = element.path();
        let option = OptionOf { path: &path, options: element.options(), extension };
        self.descriptors.locate_option(&element.file(), option, key, value)
    }

    fn push(&mut self, place: Location, code: Code, message: String, help: String) {
        self.findings.push(Diagnostic::new(code, Some(place), message).help(help));
    }
}
