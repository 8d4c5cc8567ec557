//! Lossless edits of files that are the user's, where some keys and lines are Potter's.
//!
//! In: the text of the user's file, what Potter wrote into it last time, and what it would write now. Out: the text
//! with only that changed. Comments, order, spelling and line ends of everything else stay, byte for byte.
//!
//! - [`manifest`]: keys of `Cargo.toml`.
//! - [`declarations`]: `mod` and `use` lines of a Rust file.
//!
//! [`parts`] tells Potter's part of a file, as lines that `potter.lock` remembers; [`edit`] changes it.

mod declarations;
mod manifest;

pub use declarations::{declarations, modules};
pub use manifest::{Entry, MalformedManifest, manifest};

/// A file with Potter's part brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The whole file.
    pub text: String,
    /// Lines of the user's that went along with what they were said of: attributes, doc comments, a rewritten line.
    pub along: Vec<String>,
}

/// Potter's part of a structured file as it is proposed, sorted: the declarations of a Rust file, the keys of
/// `Cargo.toml` that follow from the protos.
///
/// # Errors
///
/// The text is no `Cargo.toml`.
pub fn parts(path: &str, proposed: &str) -> Result<Vec<String>, MalformedManifest> {
    let mut parts = match is_manifest(path) {
        true => manifest::entries(proposed)?.iter().map(Entry::to_string).collect(),
        false => declarations::of(proposed),
    };
    parts.sort();
    Ok(parts)
}

/// The user's file with Potter's part brought from `before` to `now`.
///
/// # Errors
///
/// It is a `Cargo.toml` that can't be edited.
pub fn edit(path: &str, text: &str, before: &[String], now: &[String]) -> Result<Edited, MalformedManifest> {
    if is_manifest(path) {
        return Ok(Edited { text: manifest(text, &entries(before)?, &entries(now)?)?, along: Vec::new() });
    }
    Ok(declarations(text, &lines(before), &lines(now)))
}

fn lines(parts: &[String]) -> Vec<&str> {
    parts.iter().map(String::as_str).collect()
}

/// Those of Potter's parts that a file doesn't have as Potter wrote them.
///
/// # Errors
///
/// It is a `Cargo.toml` that can't be read.
pub fn missing(path: &str, text: &str, parts: &[String]) -> Result<Vec<String>, MalformedManifest> {
    let mut missing = parts.to_vec();
    if is_manifest(path) {
        missing = manifest::missing(text, &entries(parts)?)?.iter().map(Entry::to_string).collect();
    } else {
        let there = declarations::of(text);
        missing.retain(|part| !there.contains(part));
    }
    Ok(missing)
}

fn entries(parts: &[String]) -> Result<Vec<Entry>, MalformedManifest> {
    parts.iter().map(|part| part.parse()).collect()
}

fn is_manifest(path: &str) -> bool {
    path.ends_with(".toml")
}

/// The end that the lines of a text have: CRLF if the first one does.
fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace]\nmembers = [\"sdk\"]\nresolver = \"3\"\n\n[workspace.dependencies]\n\
                            potter = { path = \"../potter\" }\n\n[package]\nname = \"shop\"\nversion = \"0.1.0\"\n\n\
                            [dependencies]\npotter = { workspace = true, features = [\"grpc\", \"rest\"] }\n";

    #[test]
    fn the_parts_of_a_manifest_follow_from_the_protos() {
        assert_eq!(
            parts("Cargo.toml", MANIFEST).expect("a manifest"),
            [
                "dependencies.potter.features += \"grpc\"",
                "dependencies.potter.features += \"rest\"",
                "dependencies.potter.workspace = true",
                "package.name = \"shop\"",
                "workspace.dependencies.potter = { path = \"../potter\" }",
                "workspace.members += \"sdk\"",
            ]
        );
    }

    #[test]
    fn a_transport_that_goes_takes_its_feature_along_and_nothing_else() {
        let text = MANIFEST
            .replace("version = \"0.1.0\"", "version = \"2.0.0\" # ours")
            .replace("\"rest\"]", "\"rest\", \"mine\"]");
        let before = parts("Cargo.toml", MANIFEST).expect("a manifest");
        let now = parts("Cargo.toml", &MANIFEST.replace("\"grpc\", ", "")).expect("a manifest");
        let edited = edit("Cargo.toml", &text, &before, &now).expect("it can be edited").text;
        assert_eq!(edited.replace("[ \"rest\"", "[\"rest\""), text.replace("\"grpc\", ", ""));
        assert_eq!(missing("Cargo.toml", &edited, &now), Ok(Vec::new()));
        assert_eq!(
            missing("Cargo.toml", &edited, &before),
            Ok(vec!["dependencies.potter.features += \"grpc\"".to_owned()])
        );
    }

    #[test]
    fn the_parts_of_a_rust_file_are_its_declarations() {
        let proposed = "//! Head.\n\nmod order;\nmod product;\n\npub use order::Order;\n";
        let before = parts("src/domain/mod.rs", proposed).expect("declarations");
        assert_eq!(before, ["mod order;", "mod product;", "pub use order::Order;"]);
        let mine = format!("{proposed}mod mine;\n");
        let edited = edit("src/domain/mod.rs", &mine, &before, &before[1..2]).expect("it can be edited").text;
        assert_eq!(edited, "//! Head.\n\nmod product;\n\nmod mine;\n");
        assert_eq!(
            missing("src/domain/mod.rs", &edited, &before).expect("a Rust file"),
            ["mod order;", "pub use order::Order;"]
        );
    }
}
