//! What is compiled, or was: proto files, or a descriptor set in a file.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Descriptors, compile};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Location};

/// Where descriptors come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Proto files, and the folders in which imports are looked up.
    Protos(Vec<PathBuf>, Vec<PathBuf>),
    /// A file with an encoded `FileDescriptorSet`, as protoc and buf write it.
    Set(PathBuf),
}

impl Input {
    /// The descriptors. Of a set all files are generated that are nobody else's.
    ///
    /// # Errors
    ///
    /// All that is wrong with the protos; or the set can't be read, or is none.
    pub fn descriptors(&self) -> Result<Descriptors, Diagnostics> {
        match self {
            Input::Protos(protos, folders) => compile(protos, folders),
            Input::Set(path) => {
                let set = fs::read(path).map_err(|error| unreadable(path, &error))?;
                // The protos that it was made from may have changed since: a snippet of them could be a wrong one.
                Descriptors::from_set(&set, &[], |_| None)
            }
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let place = Location { file: path.to_string_lossy().into_owned(), ..Location::default() };
    let help = "give the path of a descriptor set: `protoc --include_imports --include_source_info \
                --descriptor_set_out=FILE`, or `buf build -o FILE`";
    Diagnostic::new(Code::FileNotFound, Some(place), format!("the descriptor set cannot be read: {error}")).help(help)
}
