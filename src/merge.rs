//! Merging: the user's file and the new proposal, by the proposal that the user's file is based on.
//!
//! In: three files as bytes. Out: a [`Merge`], which is clean, or has conflicts, or cannot be told because one of the
//! files is no text. Nothing is decided here about what happens to the file on the disk. [`unified`] and [`hunks`]
//! show how two files differ.

mod beside;
mod diff;
mod imports;

use diffy::{ConflictStyle, IncompleteHunkStyle, MergeOptions};

pub use diff::{Hunk, hunks, take, unified};
pub(crate) use imports::{carry as carry_imports, edited};

/// The shortest marker of a conflict.
const MARKER: usize = 7;

/// What comes of merging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Both sides' changes, none touching the other's.
    Clean(Vec<u8>),
    /// Both sides changed the same lines.
    Conflict(Conflict),
    /// One of the files is not text in UTF-8: nothing can be said about its lines.
    NotText,
}

/// Both sides changed the same lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The merged text with both versions, and what they come from, between markers.
    pub marked: Vec<u8>,
    /// How many places are marked; at least one.
    pub places: usize,
}

/// Merges what changed from `base` to `mine` and from `base` to `theirs`.
///
/// Where one side changed nothing the other's bytes come out as they are. A file whose lines all end in CRLF, as an
/// editor may have saved it, is merged as if they ended in LF, and comes out with CRLF.
pub fn merge(base: &[u8], mine: &[u8], theirs: &[u8]) -> Merge {
    if mine == theirs || theirs == base {
        return Merge::Clean(mine.to_vec());
    }
    if mine == base {
        return Merge::Clean(theirs.to_vec());
    }
    let (Some(base), Some(mine), Some(theirs)) = (text(base), text(mine), text(theirs)) else {
        return Merge::NotText;
    };
    match is_crlf(mine) && !is_crlf(base) {
        false => merge_texts(base, mine, theirs),
        true => with_crlf(merge(base.as_bytes(), to_lf(mine).as_bytes(), to_lf(theirs).as_bytes())),
    }
}

/// As [`merge`], for Rust: where both sides import from a module, all of it is imported, and nothing twice; and what one
/// side put in beside lines that the other changed, an arm of a `match` for instance, is taken too.
pub fn merge_rust(base: &[u8], mine: &[u8], theirs: &[u8]) -> Merge {
    let texts = (text(base), text(mine), text(theirs));
    let (false, (Some(base_text), Some(mine_text), Some(theirs_text))) =
        (mine == theirs || theirs == base || mine == base, texts)
    else {
        return merge(base, mine, theirs);
    };
    if is_crlf(mine_text) && !is_crlf(base_text) {
        return with_crlf(merge_rust(base, to_lf(mine_text).as_bytes(), to_lf(theirs_text).as_bytes()));
    }
    let [base, mine, theirs] = imports::align(base_text, mine_text, theirs_text);
    match merge(base.as_bytes(), mine.as_bytes(), theirs.as_bytes()) {
        Merge::Conflict(conflict) => beside::merged([&base, &mine, &theirs])
            .map_or(Merge::Conflict(conflict), |it| Merge::Clean(it.into_bytes())),
        clean => clean,
    }
}

/// The bytes as text; binary data that happens to be UTF-8 is none.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|it| !it.contains('\0'))
}

fn merge_texts(base: &str, mine: &str, theirs: &str) -> Merge {
    let length = marker_length([base, mine, theirs]);
    match diff3([base, mine, theirs], length) {
        Ok(merged) => Merge::Clean(merged.into_bytes()),
        Err(marked) => Merge::Conflict(conflict(&marked, length)),
    }
}

/// The merged text, or the one with markers of that length.
fn diff3([base, mine, theirs]: [&str; 3], length: usize) -> Result<String, String> {
    let mut options = MergeOptions::new();
    options
        .set_conflict_style(ConflictStyle::Diff3)
        .set_incomplete_hunk_style(IncompleteHunkStyle::Git)
        .set_conflict_marker_length(length);
    options.merge(base, mine, theirs)
}

/// Longer than any line's run of marker signs, so that no line of the files can be taken for a marker.
fn marker_length(texts: [&str; 3]) -> usize {
    let run = |line: &str| match line.chars().next() {
        Some(sign @ ('<' | '|' | '=' | '>')) => line.chars().take_while(|it| *it == sign).count(),
        _ => 0,
    };
    let longest = texts.iter().flat_map(|it| it.lines()).map(run).max().unwrap_or(0);
    if longest < MARKER { MARKER } else { longest + 1 }
}

/// Says whose each part is, in the words of a person who regenerates.
fn conflict(marked: &str, length: usize) -> Conflict {
    let marker = |sign: &str, label: &str| format!("{} {label}", sign.repeat(length));
    let labels = [
        (marker("<", "ours"), marker("<", "yours")),
        (marker("|", "original"), marker("|", "generated before")),
        (marker(">", "theirs"), marker(">", "generated now")),
    ];
    let mut text = String::with_capacity(marked.len() + 64);
    let mut places = 0;
    for line in marked.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\r', '\n']);
        match labels.iter().position(|(from, _)| from == bare) {
            Some(at) => {
                places += usize::from(at == 0);
                text.push_str(&labels[at].1);
                text.push_str(&line[bare.len()..]);
            }
            None => text.push_str(line),
        }
    }
    Conflict { marked: text.into_bytes(), places }
}

/// Whether there are lines, and all of them end in CRLF.
fn is_crlf(text: &str) -> bool {
    text.contains('\n') && text.matches('\n').count() == text.matches("\r\n").count()
}

fn to_lf(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn with_crlf(merged: Merge) -> Merge {
    // What was merged is text, so that every byte of it can be looked at alone.
    let convert = |bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        text.replace('\n', "\r\n").into_bytes()
    };
    match merged {
        Merge::Clean(bytes) => Merge::Clean(convert(bytes)),
        Merge::Conflict(it) => Merge::Conflict(Conflict { marked: convert(it.marked), ..it }),
        Merge::NotText => Merge::NotText,
    }
}

#[cfg(test)]
mod tests;
