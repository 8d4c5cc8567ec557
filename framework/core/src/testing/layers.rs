//! Holds the line between the layers of a service.
//!
//! Sources are read as text, so that the test needs nothing that the service doesn't; `paths` finds out what a file
//! names.

mod paths;

use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use self::paths::paths_in;

/// Checks which layer of a service uses which, in the sources of the crate at `root`.
///
/// | layer | modules | may use, beside itself |
/// |---|---|---|
/// | messages | `generated::messages` | |
/// | domain | `domain`, `generated::domain` | messages, Potter's pure items; nothing that reads a clock, makes random numbers or does I/O |
/// | application | `application`, `generated::application` | domain, messages; of Potter neither stores nor transports |
/// | infrastructure | `infrastructure`, `generated::infrastructure` | application, domain, messages |
/// | transport | `transport`, `generated::transport` | application, domain, messages |
///
/// `main.rs`, `lib.rs` and `generated/mod.rs` put the layers together and may use all of them.
///
/// ```text
/// #[test]
/// fn layers_depend_in_one_direction() {
///     potter::testing::assert_layers(env!("CARGO_MANIFEST_DIR"));
/// }
/// ```
///
/// # Panics
/// When a layer uses what it must not; the message names every place as `file:line`. When the sources cannot be read.
#[track_caller]
pub fn assert_layers(root: &str) {
    let breaches = breaches(Path::new(root)).expect("the sources can be read");
    let told: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "layers must depend in one direction:\n{}", told.join("\n"));
}

/// A place where a layer uses what it must not.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    file: PathBuf,
    line: usize,
    layer: Layer,
    used: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, layer, used } = self;
        write!(formatter, "{}:{line}: the {layer} must not use `{used}`", file.display())
    }
}

/// A layer of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Messages,
    Domain,
    Application,
    Infrastructure,
    Transport,
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Messages => "messages",
            Self::Domain => "domain",
            Self::Application => "application",
            Self::Infrastructure => "infrastructure",
            Self::Transport => "transport",
        })
    }
}

/// Where a module of the service belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Layer(Layer),
    /// `generated` as a whole: through it everything is in reach.
    Everything,
    /// A module that somebody has added.
    Elsewhere,
}

impl Place {
    fn of(module: &[String]) -> Self {
        let mut names = module.iter().map(String::as_str).filter(|name| *name != "*");
        let name = match names.next() {
            Some("generated") => names.next(),
            Some("messages") => None,
            name => name,
        };
        match name {
            Some("messages") => Self::Layer(Layer::Messages),
            Some("domain") => Self::Layer(Layer::Domain),
            Some("application") => Self::Layer(Layer::Application),
            Some("infrastructure") => Self::Layer(Layer::Infrastructure),
            Some("transport") => Self::Layer(Layer::Transport),
            Some(_) => Self::Elsewhere,
            None => Self::Everything,
        }
    }
}

/// What of Potter is pure.
const PURE: &[&str] = &["domain", "events", "prost", "prost_types", "testing", "Context"];

/// What of Potter belongs to the layers further out.
const OUTER: &[&str] = &["App", "config", "dispatch", "grpc", "http", "memory", "store"];

/// Crates that do I/O, spawn tasks or make random numbers.
const EFFECTFUL_CRATES: &[&str] = &[
    "async_std",
    "axum",
    "fastrand",
    "getrandom",
    "hyper",
    "rand",
    "reqwest",
    "rusqlite",
    "smol",
    "sqlx",
    "tokio",
    "tonic",
];

/// The same in the standard library.
const EFFECTFUL_STD: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread"];

/// Functions that give another answer each time.
const IMPURE: &[(&str, &str)] = &[
    ("Instant", "now"),
    ("Local", "now"),
    ("SystemTime", "now"),
    ("Utc", "now"),
    ("Uuid", "new_v4"),
    ("Uuid", "now_v1"),
    ("Uuid", "now_v6"),
    ("Uuid", "now_v7"),
];

impl Layer {
    /// Whether a module of this layer may use a module of the service.
    fn may_use_module(self, module: &[String]) -> bool {
        match (self, Place::of(module)) {
            (_, Place::Everything) => false,
            (Self::Messages | Self::Domain, Place::Elsewhere) => false,
            (_, Place::Elsewhere) => true,
            (layer, Place::Layer(used)) => layer == used || layer.is_outside_of(used),
        }
    }

    fn is_outside_of(self, used: Self) -> bool {
        match self {
            Self::Messages => false,
            Self::Domain => used == Self::Messages,
            Self::Application => matches!(used, Self::Messages | Self::Domain),
            Self::Infrastructure | Self::Transport => {
                matches!(used, Self::Messages | Self::Domain | Self::Application)
            }
        }
    }

    /// Whether a module of this layer may use that of another crate.
    fn may_use_crate(self, path: &[String]) -> bool {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let (first, second) = (names.first().copied().unwrap_or_default(), names.get(1).copied().unwrap_or_default());
        match self {
            Self::Infrastructure | Self::Transport => true,
            Self::Application => first != "potter" || !OUTER.contains(&second),
            Self::Messages | Self::Domain => match first {
                "potter" => PURE.contains(&second),
                "std" if EFFECTFUL_STD.contains(&second) => false,
                first if EFFECTFUL_CRATES.contains(&first) => false,
                _ => !names.windows(2).any(|pair| IMPURE.contains(&(pair[0], pair[1]))),
            },
        }
    }
}

fn breaches(root: &Path) -> io::Result<Vec<Breach>> {
    let sources = root.join("src");
    let mut breaches = Vec::new();
    for file in files(&sources)? {
        let module = module_of(file.strip_prefix(&sources).unwrap_or(&file));
        let Place::Layer(layer) = Place::of(&module) else { continue };
        let shown = file.strip_prefix(root).unwrap_or(&file).to_owned();
        breaches.extend(breaches_in(&fs::read_to_string(&file)?, &module, layer, &shown));
    }
    Ok(breaches)
}

fn breaches_in(source: &str, module: &[String], layer: Layer, file: &Path) -> Vec<Breach> {
    let breach = |line, used| Breach { file: file.to_owned(), line, layer, used };
    let mut breaches = Vec::new();
    for found in paths_in(source, module) {
        let allowed = match found.path.split_first() {
            Some((root, module)) if root == "crate" => layer.may_use_module(module),
            _ => layer.may_use_crate(&found.path),
        };
        if !allowed {
            breaches.push(breach(found.line, found.path.join("::")));
        }
    }
    breaches
}

/// All Rust files below `folder`, sorted.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The module that a file holds: `domain/product.rs` and `domain/product/mod.rs` are `domain::product`.
fn module_of(file: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        file.with_extension("").components().map(|name| name.as_os_str().to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod" || (names.len() == 1 && matches!(&**name, "lib" | "main"))) {
        names.pop();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a file of a service.
    fn check(file: &str, source: &str) -> Vec<String> {
        let root = tempfile::tempdir().expect("a folder for the test");
        let path = root.path().join("src").join(file);
        fs::create_dir_all(path.parent().expect("below src")).expect("a new folder");
        fs::write(path, source).expect("a new file");
        breaches(root.path()).expect("readable").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_rule_may_use_messages_and_what_is_pure() {
        let source = "
            use potter::domain::{Aggregate, Context};
            use potter::{events, prost::Message};
            use crate::generated::{domain::product::{ProductDecider, ProductEvent}, messages::*};
            use super::money::Money;
            fn f() { let _ = std::collections::BTreeMap::<u8, potter::prost_types::Timestamp>::new(); }
            #[cfg(test)] mod tests { use super::*; use potter::testing::given; }
        ";
        assert_eq!(check("domain/product.rs", source), [""; 0]);
    }

    #[test]
    fn a_rule_that_reaches_out_is_told_with_its_place() {
        for (source, used) in [
            ("\nuse crate::generated::transport::rest;", "crate::generated::transport::rest"),
            ("\nuse crate::{domain::x, application::Y};", "crate::application::Y"),
            ("\nuse crate::generated;", "crate::generated"),
            ("\nuse crate::generated::*;", "crate::generated::*"),
            ("\nuse crate::helpers::now;", "crate::helpers::now"),
            ("\nuse potter::store::Store;", "potter::store::Store"),
            ("\nuse potter::*;", "potter::*"),
            ("\nuse tokio::fs;", "tokio::fs"),
            ("\nuse std::{fmt, fs::File};", "std::fs::File"),
            ("\nfn f() { std::thread::spawn(|| 1); }", "std::thread::spawn"),
            ("\nfn f() { let _ = SystemTime::now(); }", "SystemTime::now"),
            ("\nfn f() { let _ = std::time::SystemTime::now(); }", "std::time::SystemTime::now"),
            ("\nfn f() { super::super::application::g(); }", "crate::application::g"),
            ("\nmod tests { use super::super::super::application::g; }", "crate::application::g"),
        ] {
            let told = format!("src/domain/product.rs:2: the domain must not use `{used}`");
            assert_eq!(check("domain/product.rs", source), [told], "{source}");
        }
    }

    #[test]
    fn the_application_knows_neither_stores_nor_transports() {
        let file = "application/product_service.rs";
        let fine = "use potter::{Failure, query::Query}; use crate::generated::{application::views::Views, domain::X};";
        assert_eq!(check(file, fine), [""; 0]);
        assert_eq!(check(file, "use potter::http::Rest;").len(), 1);
        assert_eq!(check(file, "use crate::generated::infrastructure::MIGRATIONS;").len(), 1);
        assert_eq!(check("generated/application/views.rs", "use potter::store::Store;").len(), 1);
    }

    #[test]
    fn outer_layers_use_inner_ones_and_not_each_other() {
        let infrastructure = "generated/infrastructure/mod.rs";
        assert_eq!(
            check(infrastructure, "use crate::generated::application::a::B; use potter::store::Migration;"),
            [""; 0]
        );
        assert_eq!(check(infrastructure, "use crate::generated::transport::rest;").len(), 1);
        assert_eq!(check("transport/extra.rs", "use crate::generated::infrastructure::MIGRATIONS;").len(), 1);
    }

    #[test]
    fn who_puts_the_layers_together_may_use_them_all() {
        let source = "use crate::generated::{transport, infrastructure}; use potter::App;";
        for file in ["main.rs", "lib.rs", "generated/mod.rs"] {
            assert_eq!(check(file, source), [""; 0], "{file}");
        }
    }

    #[test]
    fn a_service_without_sources_is_an_error() {
        let root = tempfile::tempdir().expect("a folder for the test");
        assert!(breaches(root.path()).is_err());
    }
}
