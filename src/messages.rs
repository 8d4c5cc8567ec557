//! Messages: the Rust types of protos, made by prost.
//!
//! In: [`Lowered`] descriptors and the path of the crate that re-exports prost. Out: Rust text per module.

use std::collections::BTreeMap;

use prost_build::{Config, Module};
use prost_types::{DescriptorProto, FileDescriptorProto};

use crate::lower::Lowered;

/// The items of each module that has any, by its path: text for syn, not yet laid out.
pub fn generate(lowered: &Lowered, runtime: &str) -> std::io::Result<BTreeMap<Vec<String>, String>> {
    let mut config = Config::new();
    config
        .prost_path(format!("{runtime}::prost"))
        .prost_types_path(format!("{runtime}::prost_types"))
        // What is encoded twice must come out the same: hashes of requests and keys of caches depend on it.
        .btree_map(["."]);
    // prost's own `Debug` of a `BTreeMap` names `::prost`, whatever path it is given.
    let with_maps: Vec<String> = lowered.files.iter().flat_map(with_maps).collect();
    config.skip_debug(&with_maps);
    for path in with_maps {
        config.type_attribute(path, "#[derive(Debug)]");
    }
    let requests = lowered.files.iter().map(|it| (Module::from_protobuf_package_name(it.package()), it.clone()));
    let modules = config.generate(requests.collect())?;
    let path = |module: &Module| module.parts().map(str::to_owned).collect();
    Ok(modules.iter().map(|(module, text)| (path(module), document(text, &lowered.docs))).collect())
}

/// The messages that have maps, by full name; one stands for all that is nested in it too.
fn with_maps(file: &FileDescriptorProto) -> Vec<String> {
    fn collect(message: &DescriptorProto, around: &str, found: &mut Vec<String>) {
        let name = format!("{around}.{}", message.name());
        let is_map = |it: &DescriptorProto| it.options.as_ref().is_some_and(|it| it.map_entry());
        if message.nested_type.iter().any(is_map) {
            found.push(name);
        } else {
            message.nested_type.iter().for_each(|it| collect(it, &name, found));
        }
    }
    let package = file.package.as_ref().map_or_else(String::new, |it| format!(".{it}"));
    let mut found = Vec::new();
    file.message_type.iter().for_each(|it| collect(it, &package, &mut found));
    found
}

/// Puts the documentation in place of the marks that stand for it.
fn document(text: &str, docs: &[Vec<String>]) -> String {
    let mut documented = String::with_capacity(text.len() * 2);
    // The first line is prost's own mark.
    for line in text.lines().skip(1) {
        match marked(line).and_then(|it| docs.get(it)) {
            Some(docs) => docs.iter().for_each(|it| push_line(&mut documented, format!("/// {it}").trim_end())),
            None => push_line(&mut documented, line),
        }
    }
    documented
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The number in `/// @@7@@`.
fn marked(line: &str) -> Option<usize> {
    line.trim().strip_prefix("///")?.trim().strip_prefix("@@")?.strip_suffix("@@")?.parse().ok()
}
