//! Compiles the protos of the tests, with the repository's own `buf/validate/validate.proto` and without protoc.

use std::collections::HashMap;
use std::path::Path;

use prost_reflect::DescriptorPool;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

/// A pool of the first of `files` and what it imports: from the other ones, then from the repository.
pub fn pool(files: &[(&str, &str)]) -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources(files.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect()));
    resolver.add(IncludeFileResolver::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    let root = files[0].0;
    compiler.include_imports(true).open_file(root).unwrap_or_else(|error| panic!("{root}: {error:?}"));
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("protox has checked it")
}

struct Sources(HashMap<String, String>);

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.get(name) {
            Some(source) => File::from_source(name, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}
