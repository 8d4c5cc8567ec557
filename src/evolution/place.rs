//! Places: where in the protos a finding is.

use prost_reflect::{FileDescriptor, MessageDescriptor, MethodDescriptor};

use super::reading::At;
use crate::{
    descriptors::{Descriptors, OptionOf},
    diagnostic::Location,
};

/// Path of the name in every element's descriptor.
const NAME: i32 = 1;
/// Path of the package in a file's descriptor.
const PACKAGE: i32 = 2;
/// Path of the options in a message's descriptor.
const MESSAGE_OPTIONS: i32 = 7;
/// Path of the options in a method's descriptor.
const METHOD_OPTIONS: i32 = 4;

/// Number of `(potter.event)`.
const EVENT: i32 = 50001;
/// Number of `(potter.command)`.
const COMMAND: i32 = 50001;

/// A field of an option: its number and name in `options.proto`.
pub(super) type Key = (i32, &'static str);

/// Finds places.
pub(super) struct Places<'a> {
    descriptors: &'a Descriptors,
}

impl<'a> Places<'a> {
    pub fn new(descriptors: &'a Descriptors) -> Self {
        Places { descriptors }
    }

    pub fn pool(&self) -> &'a prost_reflect::DescriptorPool {
        self.descriptors.pool()
    }

    /// Whether a message is declared in a file of an edition.
    pub fn has_edition(&self, message: &str) -> bool {
        let message = self.descriptors.pool().get_message_by_name(message);
        message.is_some_and(|it| self.descriptors.has_edition(&it.parent_file()))
    }

    /// Full name and place of an element; the name alone for what is not there.
    pub fn element(&self, at: &At) -> (String, Option<Location>) {
        let pool = self.descriptors.pool();
        match at {
            At::Message(name, _) => (name.clone(), self.message(name)),
            At::Field(message, number) => {
                let field = pool.get_message_by_name(message).and_then(|it| it.get_field(*number));
                let name = field.as_ref().map_or_else(|| message.clone(), |it| it.full_name().to_owned());
                (name, field.map(|it| self.name(&it.parent_file(), it.path())))
            }
            At::Enum(name, _) => {
                let place = pool.get_enum_by_name(name).map(|it| self.name(&it.parent_file(), it.path()));
                (name.clone(), place)
            }
            At::Value(of, number) => {
                let value = pool.get_enum_by_name(of).and_then(|it| it.get_value(*number));
                let name = value.as_ref().map_or_else(|| of.clone(), |it| it.full_name().to_owned());
                (name, value.map(|it| self.name(&it.parent_file(), it.path())))
            }
        }
    }

    /// The name of a message.
    pub fn message(&self, name: &str) -> Option<Location> {
        let message = self.descriptors.pool().get_message_by_name(name)?;
        Some(self.name(&message.parent_file(), message.path()))
    }

    /// The name of a service.
    pub fn service(&self, name: &str) -> Option<Location> {
        let service = self.descriptors.pool().get_service_by_name(name)?;
        Some(self.name(&service.parent_file(), service.path()))
    }

    /// The name of an rpc.
    pub fn method(&self, method: &MethodDescriptor) -> Location {
        self.name(&method.parent_file(), method.path())
    }

    /// A field of `(potter.event)`, or what of it there is.
    pub fn event_option(&self, message: &MessageDescriptor, key: Key) -> Location {
        let option = OptionOf { path: message.path(), options: MESSAGE_OPTIONS, extension: EVENT };
        self.descriptors.locate_option(&message.parent_file(), option, Some(key), None)
    }

    /// A field of `(potter.command)`, or what of it there is.
    pub fn command_option(&self, method: &MethodDescriptor, key: Key) -> Location {
        let option = OptionOf { path: method.path(), options: METHOD_OPTIONS, extension: COMMAND };
        self.descriptors.locate_option(&method.parent_file(), option, Some(key), None)
    }

    /// The package of the first of the files to generate, for what is nowhere any more.
    pub fn module(&self) -> Option<Location> {
        self.descriptors.files().first().map(|file| self.descriptors.locate(file, &[PACKAGE]))
    }

    fn name(&self, file: &FileDescriptor, path: &[i32]) -> Location {
        self.descriptors.locate(file, &[path, &[NAME]].concat())
    }
}
