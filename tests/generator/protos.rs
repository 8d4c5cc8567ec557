//! Protos for tests, from text or from the disk, by both ways in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use potter_gen::{
    descriptors::{Descriptors, RawRequest, compile},
    diagnostic::Diagnostics,
    model::{self, Command, Module, Query, RpcKind, Settings},
};
use prost::Message;
use prost_reflect::FieldDescriptor;

/// What a run says and gives.
pub type Built = Result<(Module, Diagnostics), Diagnostics>;

/// Where the cases are.
pub fn cases(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(kind)
}

/// Compiles one proto that is given as text and builds its model.
pub fn build_text(text: &str) -> Built {
    build_texts(&[("shop.proto", text)])
}

/// Compiles protos that are given as text, the first being the one to generate, and builds their model.
pub fn build_texts(files: &[(&str, &str)]) -> Built {
    let folder = write(files);
    let descriptors = compile(&[folder.path().join(files[0].0)], &[folder.path().to_owned()])?;
    model::build(&descriptors, &Settings::default())
}

/// Descriptors and model of a proto that is right.
pub fn build(text: &str) -> (Descriptors, Module) {
    let folder = write(&[("shop.proto", text)]);
    let built = compile(&[folder.path().join("shop.proto")], &[]).and_then(|descriptors| {
        let (module, _) = model::build(&descriptors, &Settings::default())?;
        Ok((descriptors, module))
    });
    built.unwrap_or_else(|findings| panic!("this proto is right:\n{findings}\n{text}"))
}

/// The model of protos that are right.
pub fn module(text: &str) -> Module {
    match build_text(text) {
        Ok((module, _)) => module,
        Err(findings) => panic!("these protos are right:\n{findings}"),
    }
}

/// Writes protos below a folder of their own.
pub fn write(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a writable folder");
        fs::write(path, text).expect("a writable folder");
    }
    folder
}

/// What protoc would send for descriptors that were compiled here.
pub fn request(descriptors: &Descriptors, parameter: &str) -> RawRequest {
    let set = FileDescriptorSetBytes::decode(descriptors.pool().encode_to_vec().as_slice()).expect("a set");
    RawRequest {
        file_to_generate: descriptors.files().iter().map(|it| it.name().to_owned()).collect(),
        parameter: Some(parameter.to_owned()),
        proto_file: set.file,
        source_file_descriptors: Vec::new(),
    }
}

/// A descriptor set whose files are left as bytes.
#[derive(Clone, PartialEq, Message)]
pub struct FileDescriptorSetBytes {
    /// Encoded files.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub file: Vec<Vec<u8>>,
}

/// All that a model says, by name. (`Debug` of a descriptor in a oneof never ends.)
pub fn dump(module: &Module) -> String {
    let name = |field: &Option<FieldDescriptor>| field.as_ref().map(|it| it.full_name().to_owned());
    let mut text = format!("{} {:?} {:?}\n", module.name, module.transports, module.openapi);
    for service in &module.services {
        text += &format!("service {}\n", service.descriptor.full_name());
        for rpc in &service.rpcs {
            let kind = match &rpc.kind {
                RpcKind::Command(it) => {
                    let id_field = name(&it.id_field);
                    format!("{id_field:?} {:?}", Command { id_field: None, ..it.clone() })
                }
                RpcKind::Query(it) => {
                    let id_field = name(&it.id_field);
                    format!("{id_field:?} {:?}", Query { id_field: None, ..it.clone() })
                }
            };
            text += &format!("rpc {} {kind} {:?} {:?}\n", rpc.descriptor.full_name(), rpc.routes, rpc.docs);
        }
    }
    for it in &module.aggregates {
        let (message, id_field) = (it.message.full_name(), it.id_field.full_name());
        let rest = (&it.name, it.repository, it.snapshot_every, &it.events, &it.errors);
        text += &format!("aggregate {message} {id_field} {rest:?}\n");
    }
    for it in &module.events {
        let rest = (&it.event_type, it.version, it.aggregate, it.internal, it.retired, it.effect);
        text += &format!("event {} {:?} {rest:?}\n", it.message.full_name(), name(&it.id_field));
    }
    for it in &module.subscriptions {
        text += &format!("subscription {} {}\n", it.name, it.module);
        for it in &it.events {
            text += &format!("heard {} {} {:?}\n", it.message.full_name(), it.event_type, it.mirrored_by);
        }
    }
    for it in &module.errors {
        text += &format!("error {} {} {}\n", it.message.full_name(), it.code, it.retryable);
    }
    for it in &module.read_models {
        let rest = (&it.name, &it.table, &it.events, it.derived_from);
        text += &format!("read model {} {} {rest:?}\n", it.row.full_name(), it.key.full_name());
        for it in &it.columns {
            let rest = (it.ty, it.nullable, it.indexed, it.unique);
            text += &format!("  {} {rest:?}\n", it.field.full_name());
        }
    }
    for it in module.messages.iter().chain(&module.value_objects) {
        text += &format!("message {}\n{:?}\n", it.full_name(), it.descriptor_proto());
    }
    for it in &module.enums {
        text += &format!("enum {}\n{:?}\n", it.full_name(), it.enum_descriptor_proto());
    }
    text
}
