//! Protos for tests, from text or from the disk, by both ways in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use potter_gen::{
    descriptors::{Descriptors, RawRequest, compile},
    diagnostic::Diagnostics,
    model::{Module, Settings, build},
};
use prost::Message;

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
    build(&descriptors, &Settings::default())
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
