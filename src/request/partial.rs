//! Partial views: a compiler that asks for one folder at a time shows a part of the module, and then the next part.
//!
//! buf does so unless it is told otherwise. Each part would be generated as if it were all: refused, with the fix.

use std::collections::BTreeSet;

use prost_reflect::{FileDescriptor, MessageDescriptor};

use crate::{
    descriptors::{Descriptors, bundled},
    diagnostic::{Code, Diagnostic, Diagnostics},
    options,
};

/// Refuses files that name what is declared in others, which are at hand and not asked for.
pub(super) fn refuse(descriptors: &Descriptors) -> Result<(), Diagnostics> {
    let own = descriptors.files();
    let elsewhere = |file: &FileDescriptor| !own.contains(file) && !bundled::is_foreign(file.name());
    let others: Vec<_> = descriptors.pool().files().filter(elsewhere).collect();
    let declared: BTreeSet<String> = own.iter().flat_map(aggregates).collect();
    let mut findings = Diagnostics::new();
    for other in &others {
        let missing = aggregates(other).into_iter().filter(|it| !declared.contains(it));
        for name in missing.filter(|name| own.iter().any(|file| names_aggregate(file, name))) {
            let text = format!("aggregate `{name}` is declared in `{}`, which is not to be generated", other.name());
            findings.push(finding(descriptors, other, text));
        }
    }
    let no_service = own.iter().all(|file| file.services().all(|it| options::service(&it).is_none()));
    if let Some(file) = own.iter().find(|it| no_service && is_annotated(it)) {
        let text =
            format!("`{}` has Potter's messages, and none of the files to generate has its service", file.name());
        findings.push(finding(descriptors, file, text));
    }
    if findings.is_empty() { Ok(()) } else { Err(findings.sorted()) }
}

fn finding(descriptors: &Descriptors, file: &FileDescriptor, text: String) -> Diagnostic {
    Diagnostic::new(Code::PartOfModule, Some(descriptors.locate(file, &[])), text).help(
        "give all files of the module at once; in buf.gen.yaml that is `strategy: all`, \
         since buf runs a plugin once per folder otherwise",
    )
}

/// The names of a file's aggregates.
fn aggregates(file: &FileDescriptor) -> Vec<String> {
    let name = |message: MessageDescriptor| {
        let options = options::aggregate(&message)?;
        Some(if options.name.is_empty() { message.name().to_owned() } else { options.name })
    };
    file.messages().filter_map(name).collect()
}

/// Whether a command or an event of the file is of that aggregate.
fn names_aggregate(file: &FileDescriptor, name: &str) -> bool {
    let mut methods = file.services().flat_map(|it| it.methods().collect::<Vec<_>>());
    methods.any(|it| options::command(&it).is_some_and(|it| it.aggregate == name))
        || file.messages().any(|it| options::event(&it).is_some_and(|it| it.aggregate == name))
}

fn is_annotated(file: &FileDescriptor) -> bool {
    file.messages().any(|it| {
        options::aggregate(&it).is_some()
            || options::event(&it).is_some()
            || options::error_event(&it).is_some()
            || options::read_model(&it).is_some()
            || options::is_value_object(&it)
    })
}
