//! Compiles proto files, with no protoc: load every file that is reached, then hand them to the pool.
//!
//! All files are read before anything is said, so that one run reports what is wrong in each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Component, Path, PathBuf},
};

use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use protox::file::{FileResolver, GoogleFileResolver};

use super::{
    Descriptors, ProtoFile, bundled, comments,
    edition::{self, FileHead},
    editions::text,
    library,
    source::{Source, span_of},
};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Location, nearest};

/// Path of the imports in a file's descriptor.
const DEPENDENCY: i32 = 3;

/// Compiles `inputs`, which are paths of files, or names below one of the `includes`.
///
/// Imports are looked for in `includes` in their order, then among the files that come along. An input that is
/// below none of them makes its own folder the last of them.
///
/// # Errors
///
/// All that is wrong in the files reached, in one go.
pub fn compile(inputs: &[PathBuf], includes: &[PathBuf]) -> Result<Descriptors, Diagnostics> {
    let mut loader = Loader { includes: includes.to_vec(), ..Loader::default() };
    let names = loader.names_of(inputs);
    for name in &names {
        loader.load(name, None);
    }
    let (pool, mut diagnostics) = loader.link();
    diagnostics.append(std::mem::take(&mut loader.diagnostics));
    if diagnostics.has_errors() {
        return Err(diagnostics.sorted());
    }
    let files = names.iter().filter_map(|name| pool.get_file_by_name(name)).collect();
    Ok(Descriptors::new(pool, files, loader.sources, loader.protos).with_editions(loader.editions))
}

#[derive(Default)]
struct Loader {
    includes: Vec<PathBuf>,
    /// Files that are being loaded: an import of one of them is a cycle.
    open: Vec<String>,
    /// In the order of their dependence; `None` for a file with errors.
    loaded: Vec<(String, Option<FileDescriptorProto>)>,
    sources: BTreeMap<String, Source>,
    protos: Vec<ProtoFile>,
    /// Files of an edition.
    editions: BTreeSet<String>,
    diagnostics: Diagnostics,
}

impl Loader {
    /// The import names of the inputs, sorted, each once.
    fn names_of(&mut self, inputs: &[PathBuf]) -> BTreeSet<String> {
        inputs.iter().filter_map(|input| self.name_of(input)).collect()
    }

    fn name_of(&mut self, input: &Path) -> Option<String> {
        if !input.is_file() {
            return self.name_below_includes(input);
        }
        let Some((include, name)) = self.below_include(input) else {
            let (folder, name) = (input.parent()?.to_owned(), input.file_name()?.to_str()?.to_owned());
            self.includes.push(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder });
            return Some(name);
        };
        let shadow = self.includes[..include].iter().map(|it| it.join(&name)).find(|it| it.is_file());
        if let Some(shadow) = shadow {
            let message = format!("the file is hidden by {}", shown(&shadow));
            self.report_file(input, message, "give the include path of this file before the other one's");
            return None;
        }
        Some(name)
    }

    /// Protoc takes import names too; so do we.
    fn name_below_includes(&mut self, input: &Path) -> Option<String> {
        let name = import_name(input);
        let found = name.filter(|name| self.includes.iter().any(|it| it.join(name).is_file()));
        if found.is_none() {
            let message = match fs::metadata(input) {
                Ok(_) => "it is not a file".to_owned(),
                Err(error) => format!("the file cannot be read: {error}"),
            };
            self.report_file(input, message, "give the path of a proto file, or its name below a --proto-path");
        }
        found
    }

    fn below_include(&self, input: &Path) -> Option<(usize, String)> {
        let absolute = fs::canonicalize(input).ok();
        self.includes.iter().enumerate().find_map(|(at, include)| {
            let plain = strip_current(input).strip_prefix(strip_current(include)).ok().and_then(import_name);
            let real = || {
                let include = fs::canonicalize(include).ok()?;
                import_name(absolute.as_deref()?.strip_prefix(include).ok()?)
            };
            plain.or_else(real).map(|name| (at, name))
        })
    }

    fn report_file(&mut self, file: &Path, message: String, help: &str) {
        let location = Location { file: shown(file), ..Location::default() };
        self.diagnostics.push(Diagnostic::new(Code::FileNotFound, Some(location), message).help(help));
    }

    /// Loads a file and, before it, all that it imports; `from` is the import statement that asks for it.
    fn load(&mut self, name: &str, from: Option<Location>) {
        if self.sources.contains_key(name) {
            return;
        }
        match self.open_proto(name) {
            Some(Ok(descriptor)) => {
                self.open.push(name.to_owned());
                self.load_imports(name, &descriptor);
                self.open.pop();
                let descriptor = self.lowered(name, descriptor);
                self.loaded.push((name.to_owned(), descriptor));
            }
            Some(Err(diagnostics)) => {
                self.diagnostics.append(diagnostics);
                self.loaded.push((name.to_owned(), None));
            }
            None => self.report_missing(name, from),
        }
    }

    /// Puts a file of an edition as the syntax that says the same; its imports are loaded.
    fn lowered(&mut self, name: &str, file: FileDescriptorProto) -> Option<FileDescriptorProto> {
        let source = &self.sources[name];
        let Some((edition, _)) = source.text.as_deref().and_then(text::edition) else { return Some(file) };
        self.editions.insert(name.to_owned());
        let imported = self.loaded.iter().filter_map(|(_, it)| it.as_ref());
        let named = imported.flat_map(text::names_in).collect();
        match text::lower_parsed(&file, edition, &named) {
            Ok(lowered) => Some(lowered),
            Err(refused) => {
                let head = FileHead { source_code_info: file.source_code_info, ..FileHead::default() };
                self.diagnostics.extend(refused.into_iter().map(|it| edition::refused(it, &head, source)));
                None
            }
        }
    }

    fn load_imports(&mut self, name: &str, descriptor: &FileDescriptorProto) {
        let mut seen = BTreeSet::new();
        for (at, import) in descriptor.dependency.iter().enumerate() {
            let source = &self.sources[name];
            let place = span_of(descriptor.source_code_info.as_ref(), &[DEPENDENCY, at as i32])
                .map_or_else(|| source.unplaced(), |span| source.locate_value(span, "import", Some(import)));
            if !seen.insert(import) {
                let message = format!("`{import}` is imported twice");
                self.diagnostics.push(
                    Diagnostic::new(Code::ImportCycle, Some(place), message).help("leave one of the imports out"),
                );
            } else if let Some(start) = self.open.iter().position(|it| it == import) {
                let cycle = [&self.open[start..], std::slice::from_ref(import)].concat().join("` → `");
                self.diagnostics.push(
                    Diagnostic::new(Code::ImportCycle, Some(place), format!("files import each other: `{cycle}`"))
                        .help("move what both need into a third file"),
                );
            } else {
                self.load(import, Some(place));
            }
        }
    }

    /// Reads and parses a file; `None` if there is no such file.
    fn open_proto(&mut self, name: &str) -> Option<Result<FileDescriptorProto, Diagnostics>> {
        let (display, path, text) = match self.read(name)? {
            Ok(found) => found,
            Err(diagnostics) => return Some(Err(diagnostics)),
        };
        let Some(text) = text else {
            let file = GoogleFileResolver::new().open_file(name).ok()?;
            self.sources.insert(name.to_owned(), Source { display, text: None, tab_width: 1 });
            return Some(Ok(file.into()));
        };
        let source = Source { display, text: Some(text.clone()), tab_width: 1 };
        let parsed = parse(name, &source);
        self.sources.insert(name.to_owned(), source);
        self.protos.push(ProtoFile { name: name.to_owned(), path, text });
        Some(parsed)
    }

    /// Finds a file: how it is called, where it is, and its text; no text for the well-known types.
    #[allow(clippy::type_complexity, reason = "a file has these three, and they are taken apart at once")]
    fn read(&mut self, name: &str) -> Option<Result<(String, Option<PathBuf>, Option<String>), Diagnostics>> {
        // Copies of them, such as those in a generated project, may be older than what Potter goes by.
        if let Some(text) = bundled::text(name) {
            return Some(Ok((name.to_owned(), None, Some(text.to_owned()))));
        }
        for include in &self.includes {
            let path = include.join(name);
            match fs::read(&path) {
                Ok(bytes) => {
                    let display = shown(&path);
                    return Some(utf8(bytes, &display).map(|text| (display, Some(path), Some(text))));
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => {
                    let location = Location { file: shown(&path), ..Location::default() };
                    let message = format!("the file cannot be read: {error}");
                    self.sources.insert(name.to_owned(), Source { display: shown(&path), text: None, tab_width: 1 });
                    return Some(Err(Diagnostic::new(Code::FileNotFound, Some(location), message).into()));
                }
            }
        }
        GoogleFileResolver::new().open_file(name).ok().map(|_| Ok((name.to_owned(), None, None)))
    }

    fn report_missing(&mut self, name: &str, from: Option<Location>) {
        let folders: Vec<_> = self.includes.iter().map(|it| format!("`{}`", shown(it))).collect();
        let known = bundled::FILES.iter().map(|(name, _)| *name);
        let help = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if folders.is_empty() => "name the folder that it is in with --proto-path".to_owned(),
            None => format!("it is not in {}; name the folder that it is in with --proto-path", folders.join(", ")),
        };
        let message = format!("import `{name}` not found");
        self.diagnostics.push(Diagnostic::new(Code::ImportNotFound, from, message).help(help));
    }

    /// Puts the files into a pool; those that lean on a broken one are left out, silently.
    fn link(&mut self) -> (DescriptorPool, Diagnostics) {
        let mut pool = DescriptorPool::new();
        let mut diagnostics = Diagnostics::new();
        for (_, descriptor) in self.loaded.drain(..) {
            let Some(descriptor) = descriptor else { continue };
            let name = descriptor.name().to_owned();
            if !descriptor.dependency.iter().all(|it| pool.get_file_by_name(it).is_some()) {
                continue;
            }
            let known = library::Known::of(&descriptor, &pool);
            if let Err(error) = pool.add_file_descriptor_proto(descriptor) {
                diagnostics.append(library::link_errors(error, &known, &self.sources[&name]));
            }
        }
        (pool, diagnostics)
    }
}

fn utf8(bytes: Vec<u8>, display: &str) -> Result<String, Diagnostics> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let source = Source { display: display.to_owned(), text: Some(text), tab_width: 1 };
        Diagnostic::new(Code::SyntaxError, Some(source.range(valid, valid + 1)), "the file is not valid UTF-8")
            .help("save the file in UTF-8")
            .into()
    })
}

fn parse(name: &str, source: &Source) -> Result<FileDescriptorProto, Diagnostics> {
    if let Some(edition) = edition::in_text(source) {
        return Err(edition.into());
    }
    let text = source.text.as_deref().unwrap_or_default();
    let rewritten = text::edition(text).map(|_| text::as_proto3(text));
    let mut file = protox_parse::parse(name, rewritten.as_deref().unwrap_or(text))
        .map_err(|error| library::syntax_errors(&error, source))?;
    comments::as_protoc(&mut file, source);
    Ok(file)
}

/// The path as an import name: forward slashes, no `.` and `..`.
fn import_name(path: &Path) -> Option<String> {
    let parts: Option<Vec<_>> = path
        .components()
        .filter(|it| *it != Component::CurDir)
        .map(|it| match it {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    parts.filter(|it| !it.is_empty()).map(|it| it.join("/"))
}

fn strip_current(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

/// The path as the user knows it.
fn shown(path: &Path) -> String {
    strip_current(path).display().to_string().replace('\\', "/")
}
