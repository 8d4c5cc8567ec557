//! Turns the errors of the protobuf libraries into diagnostics: our codes, one place each, and what to write instead.

use miette::Diagnostic as Report;
use prost_reflect::{DescriptorError, DescriptorPool, MessageDescriptor};
use prost_types::{DescriptorProto, FileDescriptorProto};
use protox_parse::ParseError;

use super::{bundled, source::Source};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Location, nearest, suggestion};

/// The errors of parsing one file.
pub(crate) fn syntax_errors(error: &ParseError, source: &Source) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Some(conflict) = conflict(source) {
        return conflict.into();
    }
    for error in with_related(error) {
        let diagnostic = Diagnostic::new(Code::SyntaxError, Some(place(error, source)), text(&error.to_string()));
        found.push(match error.help() {
            Some(help) => diagnostic.help(text(&help.to_string())),
            None => {
                diagnostic.help("compare with the language guide: https://protobuf.dev/reference/protobuf/proto3-spec/")
            }
        });
    }
    found
}

/// What version control left in a file; all else that is wrong with it follows from that.
fn conflict(source: &Source) -> Option<Diagnostic> {
    let text = source.text.as_deref()?;
    let mut starts =
        text.split_inclusive('\n').scan(0, |next, line| Some((std::mem::replace(next, *next + line.len()), line)));
    let (start, line) = starts.find(|(_, line)| line.starts_with("<<<<<<< "))?;
    let place = source.range(start, start + line.trim_end().len());
    let diagnostic =
        Diagnostic::new(Code::SyntaxError, Some(place), "markers of a merge conflict are left in the proto");
    Some(diagnostic.help("take what either branch added, and the markers out; `potter-gen update` does the rest"))
}

/// The errors of names, types, numbers and options in one file.
pub(crate) fn link_errors(error: DescriptorError, known: &Known, source: &Source) -> Diagnostics {
    let error = match &source.text {
        Some(text) => error.with_source_code(text),
        None => error,
    };
    let mut found = Diagnostics::new();
    for error in with_related(&error).into_iter().filter(|it| !is_echo(*it)) {
        found.push(link_error(error, known, source));
    }
    found
}

/// Two fields of one name collide in camel case too; that says nothing more.
fn is_echo(error: &dyn Report) -> bool {
    let message = error.to_string();
    let names: Vec<&str> = quoted(&message).collect();
    message.starts_with("camel-case name") && matches!(names.as_slice(), [a, b] if a == b)
}

fn with_related(error: &dyn Report) -> Vec<&dyn Report> {
    std::iter::once(error).chain(error.related().into_iter().flatten()).collect()
}

fn link_error(error: &dyn Report, known: &Known, source: &Source) -> Diagnostic {
    let cause = error.diagnostic_source().map(ToString::to_string);
    let message = match &cause {
        Some(cause) => format!("{error}: {cause}"),
        None => plainer(error.to_string()),
    };
    let is_option = cause.is_some() || message.contains("option ") || message.contains("an extension to type");
    let is_option_name = message.ends_with("is not defined") && in_option(error, source);
    let code = if is_option || is_option_name { Code::InvalidOption } else { Code::InvalidDefinition };
    let place = match cause.as_deref().and_then(offending_word) {
        Some(word) => word_in(error, word, source).unwrap_or_else(|| place(error, source)),
        None => place(error, source),
    };
    let help = known.help(&message).or_else(|| error.help().map(|it| it.to_string())).or_else(|| remedy(&message));
    let diagnostic = Diagnostic::new(code, Some(place), text(&message));
    match help {
        Some(help) => diagnostic.help(text(&help)),
        None => diagnostic,
    }
}

/// What to write instead, for the errors that only say what is wrong.
fn remedy(message: &str) -> Option<String> {
    const REMEDIES: &[(&str, &str)] = &[
        ("first value for proto3 enums", "begin with a value such as `UNSPECIFIED = 0;`"),
        ("is defined twice", "give one of them another name"),
        ("is already defined", "give one of them another name"),
        ("is already used", "give the field a number that no other field has"),
        ("camel-case name", "JSON would call both the same: rename one of them"),
        ("reserved range", "what is reserved was used before and removed; take another"),
        ("has already been set", "set it once"),
        ("expected ", "write a value of that type"),
    ];
    REMEDIES.iter().find(|(said, _)| message.contains(said)).map(|(_, help)| (*help).to_owned())
}

/// A name that is unknown where it begins is unknown; how it was searched for says nothing.
fn plainer(message: String) -> String {
    let quoted: Vec<&str> = quoted(&message).collect();
    match quoted.as_slice() {
        [name, resolved] if name == resolved && message.contains("resolves to") => {
            format!("name '{name}' is not defined")
        }
        _ => message,
    }
}

fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('\'').skip(1).step_by(2)
}

/// Whether the error points at an option.
fn in_option(error: &dyn Report, source: &Source) -> bool {
    let text = source.text.as_deref().unwrap_or_default();
    let spanned = label(error).and_then(|(start, end)| text.get(start..end)).unwrap_or_default();
    spanned.starts_with("option") || spanned.starts_with('(')
}

/// The word of an option's block that the error is about.
fn word_in(error: &dyn Report, word: &str, source: &Source) -> Option<Location> {
    let (start, end) = label(error)?;
    let found = super::source::tokens(source.text.as_deref()?.get(start..end)?)
        .into_iter()
        .find(|it| it.text == word || it.string.as_deref() == Some(word))
        .map(|it| (start + it.start, start + it.start + it.text.len()));
    found.map(|(start, end)| source.range(start, end))
}

fn place(error: &dyn Report, source: &Source) -> Location {
    match label(error) {
        Some((start, end)) => source.range(start, end),
        // What lacks a label was expected at the end of the file.
        None => end_of(source),
    }
}

/// Start and end of what the error points at. Of several labels it is the one that shows the offence, not the one that
/// shows what it collides with.
fn label(error: &dyn Report) -> Option<(usize, usize)> {
    let labels: Vec<_> = error.labels()?.collect();
    let says = |words: &[&str]| {
        labels.iter().find(|it| words.iter().any(|word| it.label().is_some_and(|label| label.contains(word))))
    };
    let collides = ["first defined", "range defined", "enum defined"];
    let offends =
        || labels.iter().find(|it| !collides.iter().any(|word| it.label().is_some_and(|label| label.contains(word))));
    let chosen = says(&["found", "again"]).or_else(offends).or(labels.first())?;
    Some((chosen.offset(), chosen.offset() + chosen.len()))
}

fn end_of(source: &Source) -> Location {
    let length = source.text.as_deref().map_or(0, |text| text.trim_end().len());
    source.range(length.saturating_sub(1), length)
}

/// The libraries quote with apostrophes, we with backticks.
fn text(message: &str) -> String {
    message.replace('\'', "`")
}

/// The word that a text-format error is about: the one that was found, else the first one that it names.
fn offending_word(cause: &str) -> Option<&str> {
    match cause.split_once("but found ") {
        Some((_, found)) => quoted(found).next().map(|it| it.trim_matches('"')),
        None => quoted(cause).next(),
    }
}

/// The names that a file could have meant.
pub(crate) struct Known {
    /// Messages and enums of the file and of those before it.
    types: Vec<String>,
    /// Extensions, which is what options are, each with the fields of its message.
    extensions: Vec<(String, Vec<String>)>,
    /// Fields of the messages that options are made of.
    messages: Vec<(String, Vec<String>)>,
}

impl Known {
    /// Gathers them from a file and the pool that has its imports.
    pub fn of(file: &FileDescriptorProto, pool: &DescriptorPool) -> Self {
        let mut types = Vec::new();
        file.message_type.iter().for_each(|it| push_names(it, &mut types));
        types.extend(file.enum_type.iter().map(|it| it.name().to_owned()));
        let own = pool.all_messages().filter(|it| !bundled::is_foreign(it.parent_file().name()));
        types.extend(own.map(|it| it.full_name().to_owned()));
        let fields = |it: &MessageDescriptor| it.fields().map(|it| it.name().to_owned()).collect::<Vec<_>>();
        let is_option = |name: &str| ["potter.", "google.api."].iter().any(|it| name.starts_with(it));
        let messages = pool.all_messages().filter(|it| is_option(it.full_name()));
        let extensions = pool.all_extensions();
        Known {
            types,
            messages: messages.map(|it| (it.full_name().to_owned(), fields(&it))).collect(),
            extensions: extensions
                .map(|it| (it.full_name().to_owned(), it.kind().as_message().map(fields).unwrap_or_default()))
                .collect(),
        }
    }

    /// What to write instead of the name that the message is about.
    fn help(&self, message: &str) -> Option<String> {
        let quoted: Vec<&str> = quoted(message).collect();
        let (first, last) = (*quoted.first()?, *quoted.last()?);
        if message.contains("an extension to type") {
            return Some(format!("({}) stands on {}", quoted.get(1)?, stands_on(last)?));
        }
        if message.starts_with("option field") {
            let (option, field) = first.rsplit_once('.')?;
            return self.suggest(&self.extensions, option.trim_matches(['(', ')']), field);
        }
        if message.contains(" not found for message ") {
            return self.suggest(&self.messages, last, quoted.get(quoted.len().checked_sub(2)?)?);
        }
        if !message.ends_with("is not defined") {
            return None;
        }
        let name = first.trim_start_matches('.');
        missing_import(name, self).or_else(|| {
            let extensions = self.extensions.iter().map(|(name, _)| name);
            nearest(name, self.types.iter().chain(extensions).map(String::as_str))
                .map(|near| format!("did you mean `{near}`?"))
        })
    }

    fn suggest(&self, messages: &[(String, Vec<String>)], message: &str, field: &str) -> Option<String> {
        let (_, fields) = messages.iter().find(|(name, _)| name == message)?;
        Some(suggestion(field, fields.iter().map(String::as_str)))
    }
}

/// What carries the options of a kind.
fn stands_on(options: &str) -> Option<&'static str> {
    Some(match options.strip_prefix("google.protobuf.")? {
        "FileOptions" => "a file",
        "MessageOptions" => "a message",
        "FieldOptions" => "a field",
        "EnumOptions" => "an enum",
        "ServiceOptions" => "a service",
        "MethodOptions" => "an rpc",
        _ => return None,
    })
}

fn push_names(message: &DescriptorProto, names: &mut Vec<String>) {
    names.push(message.name().to_owned());
    message.nested_type.iter().for_each(|it| push_names(it, names));
    names.extend(message.enum_type.iter().map(|it| it.name().to_owned()));
}

/// Names of packages that come along are unknown when their import is missing.
fn missing_import(name: &str, known: &Known) -> Option<String> {
    let is_loaded = |package: &str| known.extensions.iter().any(|(it, _)| it.starts_with(package));
    let import = match name {
        _ if name.starts_with("potter.") && !is_loaded("potter.") => bundled::OPTIONS,
        "google.api.http" => "google/api/annotations.proto",
        "google.api.field_behavior" => "google/api/field_behavior.proto",
        "google.protobuf.Timestamp" => "google/protobuf/timestamp.proto",
        "google.protobuf.Duration" => "google/protobuf/duration.proto",
        "google.protobuf.Empty" => "google/protobuf/empty.proto",
        "google.protobuf.Any" => "google/protobuf/any.proto",
        "google.protobuf.FieldMask" => "google/protobuf/field_mask.proto",
        "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue" => {
            "google/protobuf/struct.proto"
        }
        _ if name.starts_with("google.protobuf.") && name.ends_with("Value") => "google/protobuf/wrappers.proto",
        _ if name.starts_with("buf.validate.") && !is_loaded("buf.validate.") => "buf/validate/validate.proto",
        _ => return None,
    };
    Some(format!("add `import \"{import}\";`"))
}
