//! Finds files that use editions, which the protobuf libraries here do not know.

use prost::Message;
use prost_types::SourceCodeInfo;

use super::editions::{self, Refused};
use super::source::{Source, span_of, tokens};
use crate::diagnostic::{Code, Diagnostic, Location};

/// Path of `edition` in a file's descriptor.
const EDITION: i32 = 14;
/// Path of `syntax`, under which older compilers note the place of the edition.
const SYNTAX: i32 = 12;

/// What must be known of a file before a library may see it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileHead {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, repeated, tag = "3")]
    pub dependency: Vec<String>,
    #[prost(message, optional, tag = "9")]
    pub source_code_info: Option<SourceCodeInfo>,
    #[prost(string, optional, tag = "12")]
    pub syntax: Option<String>,
    #[prost(int32, optional, tag = "14")]
    pub edition: Option<i32>,
}

/// Looks for an `edition` statement, which can only be the first one, of an edition that isn't known.
pub(crate) fn in_text(source: &Source) -> Option<Diagnostic> {
    let text = source.text.as_deref()?;
    let (number, name) = editions::text::edition(text)?;
    let tokens = tokens(text);
    let (first, last) = (tokens.first()?, tokens.get(2)?);
    (number == 0).then(|| not_supported(source.range(first.start, last.start + last.text.len()), &name))
}

/// Looks for what protoc writes into the descriptor of such a file.
pub(crate) fn in_descriptor(head: &FileHead, source: &Source) -> Option<Diagnostic> {
    let by_syntax = head.syntax.as_deref() == Some("editions");
    if !by_syntax && head.edition.unwrap_or_default() == 0 {
        return None;
    }
    let info = head.source_code_info.as_ref();
    let place = span_of(info, &[EDITION])
        .or_else(|| span_of(info, &[SYNTAX]))
        .map_or_else(|| source.unplaced(), |span| source.locate(span));
    Some(not_supported(place, &edition_name(head.edition.unwrap_or_default())))
}

/// Says where something is that no syntax knows.
pub(crate) fn refused(refused: Refused, head: &FileHead, source: &Source) -> Diagnostic {
    let info = head.source_code_info.as_ref();
    let place = (0..=refused.path.len())
        .rev()
        .find_map(|length| span_of(info, &refused.path[..length]))
        .map_or_else(|| source.unplaced(), |span| source.locate(span));
    Diagnostic::new(Code::EditionNotSupported, Some(place), refused.message).help(refused.help)
}

/// The year that protobuf gives a number to.
fn edition_name(number: i32) -> String {
    match number {
        1000 => "2023".to_owned(),
        1001 => "2024".to_owned(),
        1002 => "2026".to_owned(),
        _ => number.to_string(),
    }
}

fn not_supported(place: Location, edition: &str) -> Diagnostic {
    Diagnostic::new(Code::EditionNotSupported, Some(place), format!("edition {edition} is not yet supported"))
        .help("write `edition = \"2024\";`, which is the last one that is known, or `syntax = \"proto3\";`")
}
