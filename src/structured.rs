//! Lossless edits of files that are the user's, where some keys and lines are Potter's.
//!
//! In: the text of the user's file, what Potter wrote into it last time, and what it would write now. Out: the text
//! with only that changed. Comments, order, spelling and line ends of everything else stay, byte for byte.
//!
//! - [`manifest`]: keys of `Cargo.toml`.
//! - [`declarations`]: `mod` and `use` lines of a Rust file.

mod declarations;
mod manifest;

pub use declarations::declarations;
pub use manifest::{Entry, MalformedManifest, manifest};

/// The end that the lines of a text have: CRLF if the first one does.
fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}
