//! Texts that regular expressions match, for samples.

use potter_validate::Pattern;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// A short text that a pattern matches; `None` where that takes more than looking at its parts one by one.
pub fn example(pattern: &str) -> Option<String> {
    let pattern = Pattern::new(pattern).ok()?;
    let mut text = String::new();
    write(&regex_syntax::parse(pattern.syntax()).ok()?, &mut text)?;
    pattern.is_match(&text).then_some(text)
}

fn write(hir: &Hir, text: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(Look::Start | Look::End) => {}
        HirKind::Look(_) => return None,
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => text.push(character(class)?),
        HirKind::Repetition(repetition) => (0..repetition.min).try_for_each(|_| write(&repetition.sub, text))?,
        HirKind::Capture(capture) => write(&capture.sub, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, text))?,
        HirKind::Alternation(ways) => write(ways.first()?, text)?,
    }
    Some(())
}

/// A letter or digit of the class if it has one, so that people can read the text.
fn character(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let starts = class.ranges().iter().map(|it| it.start());
    let readable = |it: &char| it.is_ascii_alphanumeric();
    let usual = ['a', 'A', '1']
        .into_iter()
        .find(|it| class.ranges().iter().any(|range| range.start() <= *it && *it <= range.end()));
    usual.or_else(|| starts.clone().find(readable)).or_else(|| starts.clone().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_match_their_patterns() {
        for pattern in
            ["^[A-Z]{3}$", r"^\d{4}-\d{2}$", "^(red|green)+$", "^[^a-z]+$", "x{2,5}y?", "^$", r"^[\w.]+@[\w.]+$"]
        {
            let text = example(pattern).expect(pattern);
            assert!(Pattern::new(pattern).expect(pattern).is_match(&text), "{pattern}: {text}");
        }
        assert_eq!(example("^[A-Z]{3}$").as_deref(), Some("AAA"));
    }

    #[test]
    fn what_is_no_pattern_or_looks_around_has_no_example() {
        for pattern in ["(", r"a\b b"] {
            assert_eq!(example(pattern), None, "{pattern}");
        }
    }
}
