//! Where elements are: the locations of `SourceCodeInfo` by path. A large file has many thousands of them, and asking
//! for each element's by a search would take the square of that.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;
use prost_types::source_code_info::Location;

/// The first location of each path, by file.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    files: HashMap<String, HashMap<Vec<i32>, usize>>,
}

impl Places {
    /// The places of everything in these files.
    pub fn of(files: impl IntoIterator<Item = FileDescriptor>) -> Self {
        Places { files: files.into_iter().map(|it| (it.name().to_owned(), index(&it))).collect() }
    }

    /// Where the element at `path` is, if that is known.
    pub fn location<'a>(&self, file: &'a FileDescriptor, path: &[i32]) -> Option<&'a Location> {
        let at = *self.files.get(file.name())?.get(path)?;
        locations(file).get(at)
    }
}

fn index(file: &FileDescriptor) -> HashMap<Vec<i32>, usize> {
    let mut index = HashMap::new();
    for (at, location) in locations(file).iter().enumerate() {
        index.entry(location.path.clone()).or_insert(at);
    }
    index
}

fn locations(file: &FileDescriptor) -> &[Location] {
    file.file_descriptor_proto().source_code_info.as_ref().map_or(&[], |it| &it.location)
}
