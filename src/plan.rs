//! The plan: which files a project has, and what is in them.
//!
//! In: a [`Module`] and its descriptors. Out: [`File`]s. Everything is decided here: names (`symbols`), which seeds
//! have working rules (`rules`), what each file says (a view for its template). Templates loop and print.

mod application;
mod called;
mod constraints;
mod copy;
mod defaults;
mod descriptor_set;
mod domain;
pub(crate) mod history;
mod imports;
mod infrastructure;
mod pattern;
mod project;
mod queries;
mod read_models;
mod replies;
mod rules;
pub(crate) mod samples;
mod sdk;
mod subscriptions;
mod symbols;
mod tests;
mod transport;
mod types;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{FileDescriptor, MessageDescriptor};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    descriptors::Descriptors,
    docs::Comments,
    file::{Class, File},
    history::History,
    lower,
    lower::{Lowered, RustPath},
    messages,
    migrations::Tables,
    model::{AggregateId, Module},
    options, render,
    render::Bug,
};
use imports::Imports;
pub(crate) use imports::compare as compare_names;
use symbols::Symbols;
pub(crate) use symbols::{file_name, take};

/// The messages' module in a service.
const MESSAGES: &str = "crate::generated::messages";

/// What follows from the protos, and from their past.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The files, sorted by path.
    pub files: Vec<File>,
    /// The read models' tables, for the migrations.
    pub tables: Tables,
    /// What user code calls what the protos name: see [`crate::rename`].
    pub names: BTreeMap<String, String>,
    /// What the types of each version of an event are called, by its module: `order_placed::v1`.
    pub versions: BTreeMap<String, BTreeSet<String>>,
}

/// The files of a project that follow from its protos and from its past, sorted by path.
///
/// # Errors
///
/// A bug in Potter.
pub fn files(module: &Module, descriptors: &Descriptors, history: &History) -> Result<Vec<File>, Bug> {
    Ok(plan(module, descriptors, history)?.files)
}

/// Everything that follows from the protos and from their past.
///
/// # Errors
///
/// A bug in Potter.
pub fn plan(module: &Module, descriptors: &Descriptors, history: &History) -> Result<Plan, Bug> {
    let comments = Comments::of(descriptors.pool().files());
    let mut lowered = lower::lower(&module.messages, &module.enums, &comments);
    lowered.names.root = root_package(module, &lowered);
    let library = library_name(&module.name);
    let symbols = Symbols::new(module, lowered.names.clone(), &library);
    let origin = origin(descriptors);
    let scope = Scope { module, history, symbols: &symbols, comments: &comments, descriptors, origin: &origin };
    let messages = |scope: &Scope<'_>| messages_files(scope, "src/generated/messages", "::potter", &lowered);
    let parts: [Part<'_>; 7] = [
        &messages,
        &domain::files,
        &application::files,
        &infrastructure::files,
        &transport::files,
        &project::files,
        &sdk::files,
    ];
    let files: Vec<Vec<File>> = parts.par_iter().map(|part| part(&scope)).collect::<Result<_, Bug>>()?;
    let mut files = files.concat();
    files.sort();
    let (tables, names) = (infrastructure::tables(&scope), called::names(&scope));
    Ok(Plan { files, tables, names, versions: history::names(&scope) })
}

/// Makes the files of one part of a project; parts don't depend on each other.
type Part<'a> = &'a (dyn Fn(&Scope<'_>) -> Result<Vec<File>, Bug> + Sync);

/// The name of a module's library, as Rust code writes it.
pub fn library_name(module: &str) -> String {
    symbols::library(module)
}

/// What all parts of the plan look at.
struct Scope<'a> {
    module: &'a Module,
    /// What is known of the module's past.
    history: &'a History,
    symbols: &'a Symbols,
    comments: &'a Comments,
    descriptors: &'a Descriptors,
    /// First line of every generated Rust file.
    origin: &'a str,
}

impl<'a> Scope<'a> {
    fn imports(&self, own: &[&str]) -> Imports<'a> {
        Imports::new(&self.symbols.names, MESSAGES, "potter", own)
    }

    /// The Rust name of a message, whatever it is in.
    fn path(&self, message: &MessageDescriptor) -> &'a RustPath {
        self.symbols.names.message(message).expect("messages with annotations are the module's own")
    }

    fn aggregate(&self, id: AggregateId) -> (&'a crate::model::Aggregate, &'a symbols::AggregateSymbols) {
        (&self.module.aggregates[id.0], &self.symbols.aggregates[id.0])
    }

    fn generated(&self, path: String, symbol: &str, template: &str, view: &impl Serialize) -> Result<File, Bug> {
        let contents = render::rust(&path, self.origin, &render::text(template, view)?)?;
        Ok(File { path, class: Class::Generated, symbol: symbol.to_owned(), contents })
    }

    fn written(
        &self,
        path: String,
        class: Class,
        symbol: &str,
        template: &str,
        view: &impl Serialize,
    ) -> Result<File, Bug> {
        let contents = render::text(template, view)?;
        Ok(File { path, class, symbol: symbol.to_owned(), contents })
    }
}

/// The files with the module's services, whichever else of its files were named beside them.
fn origin(descriptors: &Descriptors) -> String {
    let has_service = |file: &&FileDescriptor| file.services().any(|it| options::service(&it).is_some());
    let files: Vec<&str> = descriptors.files().iter().filter(has_service).map(|it| it.name()).collect();
    format!("// @generated by potter-gen from {}; do not edit\n", files.join(", "))
}

/// The package whose messages are at hand without a path: that of the services, if they are in one.
fn root_package(module: &Module, lowered: &Lowered) -> Vec<String> {
    let packages: BTreeSet<&str> = module.services.iter().map(|it| it.descriptor.package_name()).collect();
    let only = packages.first().filter(|_| packages.len() == 1);
    only.and_then(|it| lowered.names.packages().get(*it)).cloned().unwrap_or_default()
}

/// The messages, a file per package, in modules that follow the packages.
fn messages_files(scope: &Scope<'_>, directory: &str, runtime: &str, lowered: &Lowered) -> Result<Vec<File>, Bug> {
    let bodies = messages::generate(lowered, runtime).map_err(|error| Bug::new("messages", error))?;
    let packages = lowered.names.packages();
    let modules: BTreeSet<&Vec<String>> = packages.values().collect();
    let mut files = Vec::new();
    for (package, path) in packages.iter().filter(|(_, path)| !path.is_empty()) {
        let below = submodules(&modules, path);
        let body = bodies.get(path).map_or("", String::as_str);
        let text = format!("//! Messages of package `{package}`.\n\n{}\n{body}", tree(&modules, path, &below));
        let file = path.iter().map(|it| it.trim_start_matches("r#")).collect::<Vec<_>>().join("/");
        let path = format!("{directory}/{file}.rs");
        let contents = render::rust(&path, scope.origin, &text)?;
        files.push(File { path, class: Class::Generated, symbol: package.clone(), contents });
    }
    let below = submodules(&modules, &[]);
    let root = &lowered.names.root;
    let view = MessagesView {
        tree: tree(&modules, &[], &below),
        root: root.join("::"),
        items: bodies.get(&Vec::new()).map_or("", String::as_str),
    };
    let symbol = &scope.module.name;
    files.push(scope.generated(format!("{directory}/mod.rs"), symbol, "generated/messages/mod.rs.tera", &view)?);
    Ok(files)
}

#[derive(Serialize)]
struct MessagesView<'a> {
    tree: String,
    root: String,
    items: &'a str,
}

/// The names of the modules directly below one.
fn submodules(modules: &BTreeSet<&Vec<String>>, path: &[String]) -> BTreeSet<String> {
    modules.iter().filter_map(|it| it.strip_prefix(path)?.first().cloned()).collect()
}

/// Declarations of the modules below one: a file where a package has messages, nested braces where it hasn't.
fn tree(modules: &BTreeSet<&Vec<String>>, path: &[String], below: &BTreeSet<String>) -> String {
    let module = |name: &String| {
        let path = [path, std::slice::from_ref(name)].concat();
        if modules.contains(&path) {
            return format!("pub mod {name};\n");
        }
        let inner = tree(modules, &path, &submodules(modules, &path));
        format!("/// Packages within `{}`.\npub mod {name} {{\n{inner}}}\n", path.join("."))
    };
    below.iter().map(module).collect()
}
