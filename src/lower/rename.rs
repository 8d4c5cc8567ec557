//! Choosing names: the proto's own where prost makes a fine Rust name of it, else the same with a number behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use super::names::{Names, RustPath, to_snake, to_upper_camel, to_variant};

/// Methods that generated code or the framework calls on messages, sorted. prost gives some fields accessors of
/// their own name; one of these would hide the method.
const METHODS: &[&str] = &[
    "apply",
    "as_ref",
    "borrow",
    "borrow_mut",
    "clear",
    "clone",
    "clone_from",
    "clone_into",
    "cmp",
    "decode",
    "decode_length_delimited",
    "default",
    "drop",
    "encode",
    "encode_length_delimited",
    "encode_length_delimited_to_vec",
    "encode_raw",
    "encode_to_vec",
    "encoded_len",
    "ends",
    "eq",
    "evolve",
    "fmt",
    "from",
    "hash",
    "into",
    "merge",
    "merge_field",
    "merge_length_delimited",
    "ne",
    "new",
    "partial_cmp",
    "to_owned",
    "to_string",
    "try_from",
    "try_into",
    "type_id",
    "with_id",
];

/// What everything is called from now on.
#[derive(Debug, Default)]
pub(super) struct Renames {
    /// Packages, messages and enums: new full names by old ones.
    pub full: HashMap<String, String>,
    /// Fields and oneofs: new simple names by old full names.
    pub members: HashMap<String, String>,
    /// Enum values: new simple names by old full names; aliases are missing. Apart from the members, because an
    /// enum's values live in the scope around the enum.
    pub values: HashMap<String, String>,
    pub names: Names,
}

impl Renames {
    /// The new simple name of a message or enum.
    pub fn simple(&self, full_name: &str) -> &str {
        let full = &self.full[full_name];
        full.rsplit_once('.').map_or(full.as_str(), |it| it.1)
    }
}

/// Chooses names for everything in these messages and enums.
pub(super) fn choose(messages: &[MessageDescriptor], enums: &[EnumDescriptor]) -> Renames {
    let mut renames = Renames::default();
    let packages: BTreeSet<&str> =
        messages.iter().map(|it| it.package_name()).chain(enums.iter().map(|it| it.package_name())).collect();
    let submodules = name_packages(&packages, &mut renames);
    for package in packages {
        let modules = renames.names.packages[package].clone();
        let around = renames.full[package].clone();
        let mut scope = Scope { modules: submodules[&modules].clone(), path: modules, around, types: BTreeSet::new() };
        for message in messages.iter().filter(|it| it.package_name() == package) {
            name_message(message, &mut scope, &mut renames);
        }
        for enumeration in enums.iter().filter(|it| it.package_name() == package) {
            name_enum(enumeration, &mut scope, &mut renames);
        }
    }
    renames
}

/// A Rust module in which types get their names.
struct Scope {
    /// Its path.
    path: Vec<String>,
    /// The new full name of the package or message that it stands for.
    around: String,
    /// Names of types that are taken.
    types: BTreeSet<String>,
    /// Names of modules that are taken.
    modules: BTreeSet<String>,
}

/// Names taken in a struct.
#[derive(Default)]
struct Members {
    fields: BTreeSet<String>,
    methods: BTreeSet<String>,
}

/// Names packages; answers with the modules directly below each module, by its path.
fn name_packages(packages: &BTreeSet<&str>, renames: &mut Renames) -> BTreeMap<Vec<String>, BTreeSet<String>> {
    let mut submodules = BTreeMap::from([(Vec::new(), BTreeSet::new())]);
    // By original name: the new name and the modules.
    let mut chosen = BTreeMap::from([(String::new(), (String::new(), Vec::new()))]);
    for package in packages {
        let mut around = String::new();
        for segment in package.split('.').filter(|it| !it.is_empty()) {
            let name = join(&around, segment);
            if !chosen.contains_key(&name) {
                let (outer, mut path) = chosen[&around].clone();
                let taken: &mut BTreeSet<String> = submodules.entry(path.clone()).or_default();
                let (segment, module) = first(segment, "package", |it| {
                    let module = to_snake(it);
                    (!module.is_empty() && !taken.contains(&module)).then_some(module)
                });
                taken.insert(module.clone());
                path.push(module);
                submodules.entry(path.clone()).or_default();
                chosen.insert(name.clone(), (join(&outer, &segment), path));
            }
            around = name;
        }
        let (name, modules) = chosen[&around].clone();
        renames.full.insert((*package).to_owned(), name);
        renames.names.packages.insert((*package).to_owned(), modules);
    }
    submodules
}

fn name_message(message: &MessageDescriptor, scope: &mut Scope, renames: &mut Renames) {
    let has_module = message.child_messages().any(|it| !it.is_map_entry())
        || message.child_enums().len() > 0
        || message.oneofs().any(|it| !it.is_synthetic());
    let (name, ident) = first(message.name(), "Message", |it| {
        let (ident, module) = (to_upper_camel(it), to_snake(it));
        let free = !(scope.types.contains(&ident) || has_module && scope.modules.contains(&module));
        (!ident.is_empty() && free).then_some(ident)
    });
    let module = to_snake(&name);
    let mut nested = Scope {
        path: [scope.path.as_slice(), std::slice::from_ref(&module)].concat(),
        around: join(&scope.around, &name),
        types: BTreeSet::new(),
        modules: BTreeSet::new(),
    };
    if has_module {
        scope.modules.insert(module);
    }
    renames.full.insert(message.full_name().to_owned(), nested.around.clone());
    take_type(message.full_name(), ident, scope, renames);

    for child in message.child_messages() {
        if child.is_map_entry() {
            renames.full.insert(child.full_name().to_owned(), join(&nested.around, child.name()));
        } else {
            name_message(&child, &mut nested, renames);
        }
    }
    for child in message.child_enums() {
        name_enum(&child, &mut nested, renames);
    }
    name_members(message, &mut nested, renames);
}

fn take_type(full_name: &str, ident: String, scope: &mut Scope, renames: &mut Renames) {
    scope.types.insert(ident.clone());
    renames.names.types.insert(full_name.to_owned(), RustPath { modules: scope.path.clone(), ident });
}

fn name_members(message: &MessageDescriptor, nested: &mut Scope, renames: &mut Renames) {
    let mut members = Members::default();
    for field in message.fields().filter(|it| real_oneof(it).is_none()) {
        let (name, ident) = first(field.name(), "field", |it| members.admit(it, Some(&field)));
        renames.members.insert(field.full_name().to_owned(), name);
        renames.names.members.insert(field.full_name().to_owned(), ident);
    }
    // prost looks at nested messages and enums alone to tell whether a oneof's type needs another name.
    let siblings = nested.types.clone();
    for oneof in message.oneofs().filter(|it| !it.is_synthetic()) {
        let (name, (ident, ty)) = first(oneof.name(), "choice", |it| {
            let ty = to_upper_camel(it);
            let ty = if siblings.contains(&ty) { format!("{ty}OneOf") } else { ty };
            if ty.is_empty() || nested.types.contains(&ty) { None } else { Some((members.admit(it, None)?, ty)) }
        });
        nested.types.insert(ty.clone());
        renames.members.insert(oneof.full_name().to_owned(), name);
        renames.names.members.insert(oneof.full_name().to_owned(), ident);
        let path = RustPath { modules: nested.path.clone(), ident: ty };
        renames.names.oneofs.insert(oneof.full_name().to_owned(), path);
        name_variants(&oneof, renames);
    }
}

fn name_variants(oneof: &OneofDescriptor, renames: &mut Renames) {
    let mut taken = BTreeSet::new();
    for field in oneof.fields() {
        let (name, variant) = first(field.name(), "field", |it| {
            let variant = to_upper_camel(it);
            (!variant.is_empty() && taken.insert(variant.clone())).then_some(variant)
        });
        renames.members.insert(field.full_name().to_owned(), name);
        renames.names.variants.insert(field.full_name().to_owned(), variant);
    }
}

impl Members {
    /// Takes the name of a field (or of a oneof, without `field`) unless it or an accessor of it is taken.
    fn admit(&mut self, name: &str, field: Option<&FieldDescriptor>) -> Option<String> {
        let ident = to_snake(name);
        let methods = field.map_or_else(Vec::new, |it| accessors(it, ident.trim_start_matches("r#")));
        let hides = |it: &String| self.methods.contains(it) || METHODS.binary_search(&it.as_str()).is_ok();
        if ident.is_empty() || self.fields.contains(&ident) || methods.iter().any(hides) {
            return None;
        }
        self.methods.extend(methods);
        self.fields.insert(ident.clone());
        Some(ident)
    }
}

/// The methods that prost derives for a field that it names `ident`.
pub fn accessors(field: &FieldDescriptor, ident: &str) -> Vec<String> {
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let of_enums = matches!(entry.map_entry_value_field().kind(), Kind::Enum(_));
        return if of_enums { vec![format!("get_{ident}"), format!("insert_{ident}")] } else { Vec::new() };
    }
    match (field.kind(), field.cardinality()) {
        (Kind::Message(_), _) => Vec::new(),
        (Kind::Enum(_), Cardinality::Repeated) => vec![ident.to_owned(), format!("push_{ident}")],
        (Kind::Enum(_), _) => vec![ident.to_owned(), format!("set_{ident}")],
        (_, Cardinality::Optional) if field.supports_presence() => vec![ident.to_owned()],
        _ => Vec::new(),
    }
}

fn name_enum(enumeration: &EnumDescriptor, scope: &mut Scope, renames: &mut Renames) {
    let (name, ident) = first(enumeration.name(), "Enum", |it| {
        let ident = to_upper_camel(it);
        (!ident.is_empty() && !scope.types.contains(&ident)).then_some(ident)
    });
    let mut numbers = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for value in enumeration.values().filter(|it| numbers.insert(it.number())) {
        let (value_name, variant) = first(value.name(), "Value", |it| {
            let variant = to_variant(&name, it);
            (!variant.is_empty() && taken.insert(variant.clone())).then_some(variant)
        });
        renames.values.insert(value.full_name().to_owned(), value_name);
        renames.names.variants.insert(value.full_name().to_owned(), variant);
    }
    renames.full.insert(enumeration.full_name().to_owned(), join(&scope.around, &name));
    take_type(enumeration.full_name(), ident, scope, renames);
}

/// The oneof that a field is in, unless it only stands for `optional`.
pub(super) fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|it| !it.is_synthetic())
}

/// The first acceptable name of `name`, `name2`, `name3`, …, with what makes it acceptable; `fallback` takes the
/// place of a name that has nothing but underscores.
fn first<T>(name: &str, fallback: &str, mut accept: impl FnMut(&str) -> Option<T>) -> (String, T) {
    let name = if name.trim_matches('_').is_empty() { fallback } else { name };
    if let Some(accepted) = accept(name) {
        return (name.to_owned(), accepted);
    }
    let mut numbered = (2_u32..).map(|it| format!("{name}{it}"));
    numbered.find_map(|it| accept(&it).map(|accepted| (it, accepted))).expect("of endlessly many names some is free")
}

fn join(around: &str, name: &str) -> String {
    if around.is_empty() { name.to_owned() } else { format!("{around}.{name}") }
}
