//! Comments of rpcs with a block, as protoc assigns them.
//!
//! What stands behind the opening brace is protoc's trailing comment of an rpc; protox takes what stands behind the
//! closing one. Everything else they do alike, and both ways in must give the same documentation. The rules are those
//! of `Tokenizer::NextWithComments` in protoc.

use prost_types::FileDescriptorProto;

use super::source::{Source, tokens};

/// Paths of services in a file, and of rpcs in a service.
const SERVICE: i32 = 6;
const METHOD: i32 = 2;

/// Gives the rpcs of a file, just parsed, the trailing comments that protoc would give them.
pub(crate) fn as_protoc(file: &mut FileDescriptorProto, source: &Source) {
    let (Some(info), Some(text)) = (&mut file.source_code_info, source.text.as_deref()) else { return };
    let rpcs = info.location.iter_mut().filter(|it| matches!(it.path.as_slice(), [SERVICE, _, METHOD, _]));
    for rpc in rpcs {
        let Some((start, end)) = source.bytes(&rpc.span) else { continue };
        let spanned = &text[start..end];
        if spanned.ends_with('}')
            && let Some(brace) = tokens(spanned).iter().find(|it| it.text == "{")
        {
            rpc.trailing_comments = behind(&text[start + brace.start + 1..]);
        }
    }
}

/// The comment at the start of `text` that belongs to what stands before it.
fn behind(text: &str) -> Option<String> {
    let rest = skip_blanks(text);
    if let Some((comment, _)) = line_comment(rest) {
        return Some(comment);
    }
    if let Some((comment, rest)) = block_comment(rest) {
        // What follows on the same line might as well be what the comment is about.
        return skip_blanks(rest).starts_with('\n').then_some(comment);
    }
    below(rest.strip_prefix('\n')?)
}

/// The comment on the lines below, if a blank line or the end of the block divides it from what follows.
fn below(text: &str) -> Option<String> {
    let mut found: Option<String> = None;
    let mut rest = skip_blanks(text);
    while let Some((comment, after)) = line_comment(rest) {
        found.get_or_insert_default().push_str(&comment);
        rest = skip_blanks(after);
    }
    if let Some((comment, after)) = block_comment(rest) {
        if found.is_some() {
            return found;
        }
        found = Some(comment);
        rest = skip_blanks(after);
        rest = skip_blanks(rest.strip_prefix('\n').unwrap_or(rest));
        if rest.starts_with("//") || rest.starts_with("/*") {
            return found;
        }
    }
    let is_divided = rest.starts_with(['\n', '}', ']', ')']) || rest.is_empty();
    found.filter(|_| is_divided)
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\u{b}', '\u{c}'])
}

/// A comment to the end of the line, that included, and what follows.
fn line_comment(text: &str) -> Option<(String, &str)> {
    let comment = text.strip_prefix("//")?;
    let end = comment.find('\n').map_or(comment.len(), |at| at + 1);
    Some((comment[..end].to_owned(), &comment[end..]))
}

/// A comment in a block, without the stars that its lines begin with, and what follows.
fn block_comment(text: &str) -> Option<(String, &str)> {
    let (comment, rest) = text.strip_prefix("/*")?.split_once("*/")?;
    let mut lines = comment.split('\n');
    let first = lines.next().unwrap_or_default().to_owned();
    let text = lines.fold(first, |text, line| {
        let line = skip_blanks(line);
        text + "\n" + line.strip_prefix('*').unwrap_or(line)
    });
    Some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn takes_what_protoc_takes() {
        for (text, comment) in [
            (" // a\n // b\n x", Some(" a\n")),
            (" /* a */\n x", Some(" a ")),
            (" /* a */ x", None),
            (" x", None),
            ("}", None),
            ("\n // a\n // b\n\n x", Some(" a\n b\n")),
            ("\n // a\n x", None),
            ("\n // a\n }", Some(" a\n")),
            ("\n\n // a\n }", None),
            ("\n /* a\n  * b\n  */\n }", Some(" a\n b\n")),
            ("\n // a\n /* b */ x", Some(" a\n")),
            ("\n /* a */\n // b\n x", Some(" a ")),
            ("\n", None),
        ] {
            assert_eq!(behind(text).as_deref(), comment, "{text:?}");
        }
    }
}
