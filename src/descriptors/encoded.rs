//! Descriptors that come ready-made: from protoc or buf, as a plugin's request or as a descriptor set.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool};

use super::{
    Descriptors, Source, bundled,
    edition::{self, FileHead},
    editions,
};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Location};

/// A `CodeGeneratorRequest` whose files are left as bytes, since decoding them would drop the options of others.
#[derive(Clone, PartialEq, Message)]
pub struct RawRequest {
    /// The files to generate.
    #[prost(string, repeated, tag = "1")]
    pub file_to_generate: Vec<String>,
    /// What was given as `--potter_opt`.
    #[prost(string, optional, tag = "2")]
    pub parameter: Option<String>,
    /// `FileDescriptorProto`s of all files reached, imports first.
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub proto_file: Vec<Vec<u8>>,
    /// Those of the files to generate once more, with the options that do not outlive compilation.
    #[prost(bytes = "vec", repeated, tag = "17")]
    pub source_file_descriptors: Vec<Vec<u8>>,
}

/// A `FileDescriptorSet`, likewise.
#[derive(Clone, PartialEq, Message)]
struct RawSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// `EDITION_2023`; what is below stands for a syntax.
const FIRST_EDITION: i32 = 1000;

impl Descriptors {
    /// Takes the files of a plugin's request. `read` gives the text of a file by its import name, if it is at
    /// hand, for the snippets of diagnostics.
    ///
    /// # Errors
    ///
    /// Descriptors that cannot be decoded, or that use editions in a way that no syntax knows.
    pub fn from_request(request: &RawRequest, read: impl Fn(&str) -> Option<String>) -> Result<Self, Diagnostics> {
        let mut files = Files::default();
        files.add(&request.proto_file)?;
        files.add(&request.source_file_descriptors)?;
        // buf asks for every file of its workspace: annotations that lie there are no part of a module.
        let own: Vec<_> = request.file_to_generate.iter().filter(|it| !bundled::is_foreign(it)).cloned().collect();
        files.into_descriptors(&own, read)
    }

    /// Takes the files of an encoded `FileDescriptorSet`. `names` says which are to be generated; where it is
    /// empty, all that are nobody else's.
    ///
    /// # Errors
    ///
    /// Descriptors that cannot be decoded, or that use editions in a way that no syntax knows.
    pub fn from_set(set: &[u8], names: &[String], read: impl Fn(&str) -> Option<String>) -> Result<Self, Diagnostics> {
        let set = RawSet::decode(set).map_err(|error| malformed(format!("this is no descriptor set: {error}")))?;
        let mut files = Files::default();
        files.add(&set.file)?;
        let own: Vec<_> = files.names().filter(|it| !bundled::is_foreign(it)).collect();
        files.into_descriptors(if names.is_empty() { &own } else { names }, read)
    }
}

/// Encoded files in the order in which they came; a later one of the same name replaces the earlier.
#[derive(Default)]
struct Files {
    heads: Vec<FileHead>,
    bytes: BTreeMap<String, Vec<u8>>,
}

impl Files {
    fn add(&mut self, files: &[Vec<u8>]) -> Result<(), Diagnostics> {
        for bytes in files {
            let head = FileHead::decode(bytes.as_slice())
                .map_err(|error| malformed(format!("a file's descriptor cannot be decoded: {error}")))?;
            let name = head.name.clone().unwrap_or_default();
            if self.bytes.insert(name, bytes.clone()).is_none() {
                self.heads.push(head);
            }
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.heads.iter().map(|it| it.name.clone().unwrap_or_default())
    }

    fn into_descriptors(
        mut self,
        names: &[String],
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Descriptors, Diagnostics> {
        let wanted: BTreeSet<_> = names.iter().cloned().collect();
        let sources = self.sources(&wanted, read);
        let mut diagnostics = Diagnostics::new();
        diagnostics.extend(self.lower_editions(&sources));
        diagnostics.extend(
            wanted
                .iter()
                .filter(|it| !self.bytes.contains_key(*it))
                .map(|name| malformed(format!("`{name}` is to be generated, but its descriptor is not there"))),
        );
        diagnostics.extend(self.heads.iter().filter_map(unknown_syntax));
        if diagnostics.has_errors() {
            return Err(diagnostics.sorted());
        }
        let pool = self.pool()?;
        let files = wanted.iter().filter_map(|name| pool.get_file_by_name(name)).collect();
        let of_edition = self.heads.iter().filter(|it| it.edition.is_some_and(|it| it >= FIRST_EDITION));
        let editions = of_edition.filter_map(|it| it.name.clone()).collect();
        Ok(Descriptors::new(pool, files, sources, Vec::new()).with_editions(editions))
    }

    /// Puts files of editions as the syntax that says the same, since the libraries know nothing else.
    fn lower_editions(&mut self, sources: &BTreeMap<String, Source>) -> Diagnostics {
        let known: BTreeSet<_> = self.bytes.keys().cloned().collect();
        let mut diagnostics = Diagnostics::new();
        for head in &self.heads {
            let name = head.name.clone().unwrap_or_default();
            let Some(unsupported) = edition::in_descriptor(head, &sources[&name]) else { continue };
            let edition = head.edition.unwrap_or_default();
            match editions::lower(&self.bytes[&name], edition, |import| known.contains(import)) {
                None => diagnostics.push(unsupported),
                Some(Ok(lowered)) => {
                    self.bytes.insert(name, lowered);
                }
                Some(Err(refused)) => {
                    diagnostics.extend(refused.into_iter().map(|it| edition::refused(it, head, &sources[&name])));
                }
            }
        }
        diagnostics
    }

    fn sources(&self, wanted: &BTreeSet<String>, read: impl Fn(&str) -> Option<String>) -> BTreeMap<String, Source> {
        let source = |head: &FileHead| {
            let name = head.name.clone().unwrap_or_default();
            let text = wanted.contains(&name).then(|| read(&name)).flatten();
            (name.clone(), Source::described(name, text, head.source_code_info.as_ref()))
        };
        self.heads.iter().map(source).collect()
    }

    fn pool(&self) -> Result<DescriptorPool, Diagnostics> {
        let file = self.names().filter_map(|name| self.bytes.get(&name).cloned()).collect();
        let set = RawSet { file }.encode_to_vec();
        // The library checks names and types, but trusts the structure that a compiler writes: a request made
        // by hand can break its invariants, and must not take the plugin down.
        std::panic::catch_unwind(|| DescriptorPool::decode(set.as_slice()))
            .map_err(|_| malformed("the descriptors contradict each other".to_owned()))?
            .map_err(|error| link_error(&error))
    }
}

/// Syntaxes that no compiler writes take the library by surprise.
fn unknown_syntax(head: &FileHead) -> Option<Diagnostic> {
    let syntax = head.syntax.as_deref().filter(|it| !matches!(*it, "proto2" | "proto3" | "editions"))?;
    let name = head.name.as_deref().unwrap_or_default();
    Some(malformed(format!("`{name}` has an unknown syntax `{syntax}`")))
}

fn link_error(error: &DescriptorError) -> Diagnostics {
    let location = error.file().map(|file| Location {
        file: file.to_owned(),
        line: error.line().map_or(0, |it| it + 1),
        column: error.column().map_or(0, |it| it + 1),
        ..Location::default()
    });
    let diagnostic = Diagnostic::new(Code::MalformedDescriptors, location, error.to_string().replace('\'', "`"));
    diagnostic.help("a descriptor set must hold all imports: `protoc --include_imports`").into()
}

fn malformed(message: String) -> Diagnostic {
    Diagnostic::new(Code::MalformedDescriptors, None, message)
        .help("the descriptors must come from protoc, buf or another protobuf compiler")
}
