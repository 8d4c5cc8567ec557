//! Lowering: descriptors that prost turns into Rust that compiles, and the Rust names of everything in them.
//!
//! In: the messages and enums of a module. Out: [`Lowered`]: file descriptors with nothing else in them, in which
//! everything is renamed whose Rust name would clash or not be one, and [`Names`], which tells for each element how
//! prost is going to name it. Only Rust names change: what is on the wire and in JSON comes from the original
//! descriptors.

pub(crate) mod names;
mod rename;

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    SourceCodeInfo, source_code_info::Location,
};

pub use names::{Names, RustPath};
pub use rename::accessors;

use crate::docs::{Commented, Comments};
use rename::Renames;

/// What prost gets, and the names that it gives.
#[derive(Debug)]
pub struct Lowered {
    /// One per file that declares something needed, sorted by name, then the well-known types.
    pub files: Vec<FileDescriptorProto>,
    /// The documentation that stands in the files' comments as `@@<index>@@`: prost's own treatment of comments
    /// isn't safe.
    pub docs: Vec<Vec<String>>,
    /// Rust names by proto name.
    pub names: Names,
}

/// Lowers these messages and enums; both are top-level, what is nested comes along.
pub fn lower(messages: &[MessageDescriptor], enums: &[EnumDescriptor], comments: &Comments) -> Lowered {
    let renames = rename::choose(messages, enums);
    let mut parts: BTreeMap<String, Part<'_>> = BTreeMap::new();
    for message in messages {
        parts.entry(message.parent_file().name().to_owned()).or_default().messages.push(message);
    }
    for enumeration in enums {
        parts.entry(enumeration.parent_file().name().to_owned()).or_default().enums.push(enumeration);
    }
    let mut lowering = Lowering { renames: &renames, comments, docs: Vec::new(), locations: Vec::new() };
    let files = parts.into_iter().map(|(name, part)| lowering.file(name, &part)).chain(well_known(messages)).collect();
    let docs = lowering.docs;
    Lowered { files, docs, names: renames.names }
}

/// What of a file is needed.
#[derive(Default)]
struct Part<'a> {
    messages: Vec<&'a MessageDescriptor>,
    enums: Vec<&'a EnumDescriptor>,
}

struct Lowering<'a> {
    renames: &'a Renames,
    comments: &'a Comments,
    docs: Vec<Vec<String>>,
    locations: Vec<Location>,
}

impl Lowering<'_> {
    fn file(&mut self, name: String, part: &Part<'_>) -> FileDescriptorProto {
        let declared = part.messages.first().map(|it| it.parent_file());
        let file = declared.or_else(|| part.enums.first().map(|it| it.parent_file()));
        let file = file.expect("a part has something in it");
        let package = self.renames.full[file.package_name()].clone();
        let message_type = each(&part.messages, |index, it| self.message(it, &[4, index]));
        let enum_type = each(&part.enums, |index, it| self.enumeration(it, &[5, index]));
        FileDescriptorProto {
            name: Some(name),
            // prost doesn't know an empty package from one with an empty name.
            package: (!package.is_empty()).then_some(package),
            syntax: file.file_descriptor_proto().syntax.clone(),
            message_type,
            enum_type,
            source_code_info: Some(SourceCodeInfo { location: std::mem::take(&mut self.locations) }),
            ..FileDescriptorProto::default()
        }
    }

    fn message(&mut self, message: &MessageDescriptor, path: &[i32]) -> DescriptorProto {
        self.locate(message, path);
        let old = message.descriptor_proto();
        let field = each(&old.field, |index, it| {
            let field = message.get_field(it.number() as u32).expect("a field is found by its number");
            self.locate(&field, &below(path, 2, index));
            self.field(&field, it)
        });
        let mut oneof_decl = old.oneof_decl.clone();
        for (index, oneof) in message.oneofs().enumerate() {
            self.locate(&oneof, &below(path, 8, index as i32));
            oneof_decl[index].options = None;
            if let Some(name) = self.renames.members.get(oneof.full_name()) {
                oneof_decl[index].name = Some(name.clone());
            }
        }
        let children: Vec<_> = message.child_messages().collect();
        let nested_type = each(&children, |index, it| match it.is_map_entry() {
            true => self.map_entry(it),
            false => self.message(it, &below(path, 3, index)),
        });
        let children: Vec<_> = message.child_enums().collect();
        let enum_type = each(&children, |index, it| self.enumeration(it, &below(path, 4, index)));
        let name = Some(self.renames.simple(message.full_name()).to_owned());
        DescriptorProto { name, field, oneof_decl, nested_type, enum_type, ..DescriptorProto::default() }
    }

    /// Map entries have no Rust type of their own and keep their names.
    fn map_entry(&self, entry: &MessageDescriptor) -> DescriptorProto {
        let mut proto = entry.descriptor_proto().clone();
        for field in &mut proto.field {
            field.type_name = field.type_name.take().map(|it| self.reference(it));
        }
        proto
    }

    fn field(&self, field: &FieldDescriptor, old: &FieldDescriptorProto) -> FieldDescriptorProto {
        let mut proto = old.clone();
        proto.name = Some(self.renames.members[field.full_name()].clone());
        proto.type_name = proto.type_name.map(|it| self.reference(it));
        // `#[deprecated]` would make the rules of a service warn about its own state.
        proto.options = proto.options.map(|it| prost_types::FieldOptions { packed: it.packed, ..Default::default() });
        if let (Some(default), Kind::Enum(enumeration)) = (&mut proto.default_value, field.kind())
            && let Some(value) = enumeration.get_value_by_name(default)
            && let Some(first) = enumeration.values().find(|it| it.number() == value.number())
            && let Some(name) = self.renames.values.get(first.full_name())
        {
            default.clone_from(name);
        }
        proto
    }

    fn enumeration(&mut self, enumeration: &EnumDescriptor, path: &[i32]) -> EnumDescriptorProto {
        self.locate(enumeration, path);
        // Aliases have no new name: Rust's enums can't have them.
        let new_name = |it: &prost_reflect::EnumValueDescriptor| self.renames.values.get(it.full_name()).cloned();
        let values: Vec<_> = enumeration.values().filter_map(|it| Some((new_name(&it)?, it))).collect();
        let value = each(&values, |index, (name, it)| {
            self.locate(it, &below(path, 2, index));
            let (name, number) = (Some(name.clone()), Some(it.number()));
            EnumValueDescriptorProto { name, number, options: None }
        });
        let name = Some(self.renames.simple(enumeration.full_name()).to_owned());
        EnumDescriptorProto { name, value, ..EnumDescriptorProto::default() }
    }

    /// A reference like `.shop.v1.Product.Size` by the new names.
    fn reference(&self, reference: String) -> String {
        match self.renames.full.get(reference.trim_start_matches('.')) {
            Some(name) => format!(".{name}"),
            None => reference,
        }
    }

    fn locate(&mut self, element: &impl Commented, path: &[i32]) {
        let docs = self.comments.lines(element);
        let leading_comments = (!docs.is_empty()).then(|| format!("@@{}@@", self.docs.len()));
        if !docs.is_empty() {
            self.docs.push(docs);
        }
        self.locations.push(Location { path: path.to_vec(), leading_comments, ..Location::default() });
    }
}

/// Well-known types are extern, but prost looks into them to tell what can be `Copy`.
fn well_known(messages: &[MessageDescriptor]) -> Vec<FileDescriptorProto> {
    let mut known = BTreeMap::new();
    for message in messages {
        let file = message.parent_file();
        collect_well_known(&file, &mut known);
    }
    let proto = |it: &FileDescriptor| FileDescriptorProto {
        source_code_info: None,
        ..it.file_descriptor_proto().clone()
    };
    known.values().flatten().map(proto).collect()
}

/// Gathers what a file imports, by name; `None` for files that have been visited and aren't well-known.
fn collect_well_known(file: &FileDescriptor, known: &mut BTreeMap<String, Option<FileDescriptor>>) {
    for dependency in file.dependencies() {
        if !known.contains_key(dependency.name()) {
            let well_known = dependency.package_name() == "google.protobuf";
            known.insert(dependency.name().to_owned(), well_known.then(|| dependency.clone()));
            collect_well_known(&dependency, known);
        }
    }
}

fn each<T, U>(items: &[T], mut map: impl FnMut(i32, &T) -> U) -> Vec<U> {
    items.iter().enumerate().map(|(index, it)| map(index as i32, it)).collect()
}

fn below(path: &[i32], field: i32, index: i32) -> Vec<i32> {
    [path, &[field, index]].concat()
}
