//! Descriptors: what the protos declare, from whichever side they come.
//!
//! In: proto files ([`compile`]), the bytes of a plugin's request ([`Descriptors::from_request`]) or of a
//! descriptor set ([`Descriptors::from_set`]). Out: one [`Descriptors`], the same for the same protos. Options are
//! kept: files go as raw bytes into a `DescriptorPool`, since prost-types would drop the extensions.

pub mod bundled;
mod comments;
mod compile;
mod edition;
mod editions;
mod encoded;
mod input;
mod library;
mod places;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use prost_reflect::{DescriptorPool, FileDescriptor};

pub use compile::compile;
pub use encoded::RawRequest;
pub use input::Input;
pub(crate) use source::Source;

use crate::diagnostic::Location;
use places::Places;

/// Everything that was declared, and what of it is to be generated.
#[derive(Clone, Debug)]
pub struct Descriptors {
    pool: DescriptorPool,
    files: Vec<FileDescriptor>,
    /// Has every file of the pool.
    sources: BTreeMap<String, Source>,
    protos: Vec<ProtoFile>,
    /// The names of the files that have an edition, which the pool has as the syntax that says the same.
    editions: BTreeSet<String>,
    places: Places,
}

/// A proto file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtoFile {
    /// The name by which it is imported.
    pub name: String,
    /// Where it was read; `None` if it came along with Potter.
    pub path: Option<PathBuf>,
    /// Its text.
    pub text: String,
}

/// The element that an option belongs to: its path and the field number of `options` in its descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptionOf<'a> {
    pub path: &'a [i32],
    pub options: i32,
    pub extension: i32,
}

impl Descriptors {
    fn new(
        pool: DescriptorPool,
        files: Vec<FileDescriptor>,
        sources: BTreeMap<String, Source>,
        protos: Vec<ProtoFile>,
    ) -> Self {
        let places = Places::of(pool.files());
        Descriptors { pool, files, sources, protos, editions: BTreeSet::new(), places }
    }

    fn with_editions(self, editions: BTreeSet<String>) -> Self {
        Descriptors { editions, ..self }
    }

    /// Whether a file has an edition instead of a syntax.
    pub(crate) fn has_edition(&self, file: &FileDescriptor) -> bool {
        self.editions.contains(file.name())
    }

    /// All descriptors, imports included.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// The files to generate, sorted by name.
    pub fn files(&self) -> &[FileDescriptor] {
        &self.files
    }

    /// The protos that were compiled, imports first, the well-known types left out; empty when the descriptors
    /// came ready-made.
    pub fn protos(&self) -> &[ProtoFile] {
        &self.protos
    }

    /// The place of the element at `path`, or of the nearest one around it that has a place.
    pub(crate) fn locate(&self, file: &FileDescriptor, path: &[i32]) -> Location {
        let source = self.source(file);
        (1..=path.len())
            .rev()
            .find_map(|length| self.places.location(file, &path[..length]))
            .map_or_else(|| source.unplaced(), |it| source.locate(&it.span))
    }

    /// The line of the element at `path`, from 1; 0 if it isn't known.
    pub(crate) fn line(&self, file: &FileDescriptor, path: &[i32]) -> usize {
        let location = self.places.location(file, path);
        let line = location.and_then(|it| usize::try_from(*it.span.first()?).ok());
        line.map_or(0, |it| it + 1)
    }

    /// The comment on the element at `path` as it was written: the one before it, else the one behind it.
    pub(crate) fn comment<'a>(&self, file: &'a FileDescriptor, path: &[i32]) -> &'a str {
        let location = self.places.location(file, path);
        let comment = location.and_then(|it| it.leading_comments.as_deref().or(it.trailing_comments.as_deref()));
        comment.unwrap_or_default()
    }

    /// The place of an option's field: of the field itself if it has one, else of the field within the option's
    /// block, else of the option, else of the element's name.
    pub(crate) fn locate_option(
        &self,
        file: &FileDescriptor,
        option: OptionOf<'_>,
        field: Option<(i32, &str)>,
        value: Option<&str>,
    ) -> Location {
        let source = self.source(file);
        let Some(info) = file.file_descriptor_proto().source_code_info.as_ref() else {
            return source.unplaced();
        };
        let path = [option.path, &[option.options, option.extension]].concat();
        let own = field.map(|(number, _)| [path.as_slice(), &[number]].concat());
        let starts =
            |prefix: &[i32]| info.location.iter().filter(move |it| it.path.starts_with(prefix)).collect::<Vec<_>>();
        let spans = own.map(|own| starts(&own)).filter(|it| !it.is_empty()).unwrap_or_else(|| starts(&path));
        let narrow = |span: &[i32]| match field {
            Some((_, key)) => source.locate_value(span, key, value),
            None => source.locate(span),
        };
        // A repeated field has a span per entry: the one that holds the value is meant.
        let holds = |span: &[i32]| value.is_some_and(|it| narrow(span).text.is_some_and(|text| text.contains(it)));
        match spans.iter().find(|it| holds(&it.span)).or(spans.first()) {
            Some(location) => narrow(&location.span),
            None => self.locate(file, &[option.path, &[1]].concat()),
        }
    }

    fn source(&self, file: &FileDescriptor) -> &Source {
        &self.sources[file.name()]
    }
}
