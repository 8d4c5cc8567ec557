//! The descriptors that a service carries: for JSON, for validation, for reflection.
//!
//! Only what is needed at run time: without source positions, without Potter's own options and Google's for HTTP.
//! Encoded anew, so that it doesn't matter whose compiler wrote the descriptors first.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, MessageDescriptor, Value};
use protox::file::{FileResolver, GoogleFileResolver};

use crate::{descriptors::Descriptors, model::Module, render::Bug};

/// Characters on a line.
const LINE: usize = 100;

/// A `FileDescriptorSet` of all that the module's files need, in base64.
pub(super) fn base64(_: &Module, descriptors: &Descriptors) -> Result<String, Bug> {
    let bug = |error: &dyn std::fmt::Display| Bug::new("descriptors", error);
    let pool = descriptors.pool();
    let file_type = descriptor_type(pool);
    let mut files = BTreeMap::new();
    for file in descriptors.files() {
        collect(file, descriptors, &file_type, &mut files).map_err(|error| bug(&error))?;
    }
    let mut ordered = Vec::new();
    let mut done = BTreeSet::new();
    for name in files.keys() {
        order(name, &files, &mut done, &mut ordered);
    }
    let mut set = Vec::new();
    for name in ordered {
        let bytes = files[name].encode_to_vec();
        prost::encoding::bytes::encode(1, &bytes, &mut set);
    }
    let text = STANDARD.encode(set);
    let lines = text.as_bytes().chunks(LINE).map(|it| String::from_utf8_lossy(it).into_owned() + "\n");
    Ok(lines.collect())
}

/// `FileDescriptorProto`, with the extensions of the pool if it has any.
fn descriptor_type(pool: &DescriptorPool) -> MessageDescriptor {
    let name = "google.protobuf.FileDescriptorProto";
    let known = pool.get_message_by_name(name).or_else(|| DescriptorPool::global().get_message_by_name(name));
    known.expect("prost-reflect brings descriptor.proto along")
}

/// Takes in a file, and the files that what is left of it imports. Of another module's file only the messages are: its
/// services are not served here, and reflection must not say so.
fn collect(
    file: &FileDescriptor,
    descriptors: &Descriptors,
    file_type: &MessageDescriptor,
    files: &mut BTreeMap<String, DynamicMessage>,
) -> Result<(), prost::DecodeError> {
    if files.contains_key(file.name()) {
        return Ok(());
    }
    let bytes = well_known(file.name()).unwrap_or_else(|| file.encode_to_vec());
    let mut message = DynamicMessage::decode(file_type.clone(), bytes.as_slice())?;
    message.clear_field_by_name("source_code_info");
    strip(&mut message);
    let is_own = descriptors.files().contains(file);
    if !is_own {
        message.clear_field_by_name("service");
    }
    let used = used_files(file, is_own);
    let kept: Vec<FileDescriptor> =
        file.dependencies().filter(|it| !is_foreign(it) || used.contains(it.name())).collect();
    let names = kept.iter().map(|it| Value::String(it.name().to_owned())).collect();
    message.set_field_by_name("dependency", Value::List(names));
    let public: Vec<_> = file.public_dependencies().map(|it| it.name().to_owned()).collect();
    let indices = kept.iter().enumerate().filter(|(_, it)| public.contains(&it.name().to_owned()));
    message.set_field_by_name("public_dependency", Value::List(indices.map(|(at, _)| Value::I32(at as i32)).collect()));
    message.clear_field_by_name("weak_dependency");
    files.insert(file.name().to_owned(), message);
    kept.iter().try_for_each(|it| collect(it, descriptors, file_type, files))
}

/// A well-known file as it comes along with Potter: every compiler has its own version of these.
fn well_known(name: &str) -> Option<Vec<u8>> {
    let file = name.starts_with("google/protobuf/").then(|| GoogleFileResolver::new().open_file(name).ok())??;
    Some(file.file_descriptor_proto().encode_to_vec())
}

/// Whether a file only declares options that mean nothing at run time.
fn is_foreign(file: &FileDescriptor) -> bool {
    matches!(file.package_name(), "potter" | "google.api")
}

/// The files whose types a file's fields and, if they are served, its rpcs use.
fn used_files(file: &FileDescriptor, is_served: bool) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let services = file.services().filter(|_| is_served);
    for method in services.flat_map(|it| it.methods().collect::<Vec<_>>()) {
        used.insert(method.input().parent_file().name().to_owned());
        used.insert(method.output().parent_file().name().to_owned());
    }
    for message in file.messages() {
        uses(&message, &mut used);
    }
    used
}

fn uses(message: &MessageDescriptor, used: &mut BTreeSet<String>) {
    for field in message.fields() {
        match field.kind() {
            prost_reflect::Kind::Message(it) => used.insert(it.parent_file().name().to_owned()),
            prost_reflect::Kind::Enum(it) => used.insert(it.parent_file().name().to_owned()),
            _ => false,
        };
    }
    for child in message.child_messages() {
        uses(&child, used);
    }
}

/// Drops Potter's and Google's options from a descriptor and all within it.
fn strip(message: &mut DynamicMessage) {
    let foreign: Vec<_> = message
        .extensions()
        .map(|(extension, _)| extension)
        .filter(|it| matches!(it.parent_file().package_name(), "potter" | "google.api"))
        .collect();
    for extension in foreign {
        message.clear_extension(&extension);
    }
    let empty: Vec<_> = message
        .fields_mut()
        .filter_map(|(field, value)| match value {
            Value::Message(inner) => {
                strip(inner);
                let nothing = inner.fields().next().is_none()
                    && inner.extensions().next().is_none()
                    && inner.unknown_fields().next().is_none();
                (nothing && field.name() == "options").then_some(field)
            }
            Value::List(values) => {
                values.iter_mut().filter_map(Value::as_message_mut).for_each(strip);
                None
            }
            _ => None,
        })
        .collect();
    for field in empty {
        message.clear_field(&field);
    }
}

/// Names in an order in which imports come first.
fn order<'a>(
    name: &'a str,
    files: &'a BTreeMap<String, DynamicMessage>,
    done: &mut BTreeSet<&'a str>,
    ordered: &mut Vec<&'a str>,
) {
    if !done.insert(name) {
        return;
    }
    let dependencies = files[name].get_field_by_name("dependency");
    let imports: Vec<String> = dependencies
        .as_deref()
        .and_then(Value::as_list)
        .into_iter()
        .flatten()
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect();
    for import in imports {
        if let Some((import, _)) = files.get_key_value(&import) {
            order(import, files, done, ordered);
        }
    }
    ordered.push(name);
}
