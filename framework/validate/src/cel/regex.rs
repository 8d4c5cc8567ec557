//! Regular expressions with RE2's meaning, which protovalidate prescribes, on the `regex` crate.
//!
//! The syntax is all but the same. What differs is translated: RE2's `\d`, `\w`, `\s` and `\b` know ASCII only (a
//! pattern that lets digits through must not let through what `parse` then fails on), and inside brackets RE2 has no
//! nesting and no set operators.

use regex::{Regex, RegexBuilder};

use super::Error;

/// A pattern can come out of a request; this bounds the memory that it may take.
const MAX_SIZE: usize = 1 << 20;

pub(crate) fn compile(pattern: &str) -> Result<Regex, Error> {
    let build = RegexBuilder::new(&translate(pattern)).size_limit(MAX_SIZE).build();
    build.map_err(|error| {
        // The crate draws the pattern and an arrow; its last line is the reason.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Error::new(format!("`{pattern}` is not a regular expression: {reason}"))
    })
}

fn translate(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => translated.push_str(&escape(chars.next(), in_class)),
            '[' if in_class && chars.peek() != Some(&':') => translated.push_str("\\["),
            '[' if in_class => named_class(&mut chars, &mut translated),
            '[' => {
                in_class = true;
                translated.push('[');
                // A bracket right at the start closes nothing.
                translated.extend(chars.next_if_eq(&'^'));
                if chars.next_if_eq(&']').is_some() {
                    translated.push_str("\\]");
                }
            }
            ']' => {
                in_class = false;
                translated.push(']');
            }
            '&' | '~' if in_class => translated.extend(['\\', c]),
            // Of two hyphens one makes a range and the other is its end; they are no difference of sets.
            '-' if in_class && chars.next_if_eq(&'-').is_some() => {
                translated.push_str(if translated.ends_with(['[', '^']) { "\\--" } else { "-\\-" });
            }
            c => translated.push(c),
        }
    }
    translated
}

/// `[:alpha:]` as it stands.
fn named_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, translated: &mut String) {
    translated.push('[');
    for c in chars.by_ref() {
        translated.push(c);
        if c == ']' {
            return;
        }
    }
}

fn escape(escaped: Option<char>, in_class: bool) -> String {
    match escaped {
        Some('d') => "[0-9]".to_owned(),
        Some('D') => "[^0-9]".to_owned(),
        Some('w') => "[0-9A-Za-z_]".to_owned(),
        Some('W') => "[^0-9A-Za-z_]".to_owned(),
        Some('s') => r"[\t\n\f\r ]".to_owned(),
        Some('S') => r"[^\t\n\f\r ]".to_owned(),
        Some('b') if !in_class => r"(?-u:\b)".to_owned(),
        Some(c) => format!("\\{c}"),
        None => "\\".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::compile;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern).expect(pattern).is_match(text)
    }

    #[test]
    fn classes_are_ascii_as_in_re2() {
        assert!(matches(r"^\d+$", "123") && !matches(r"^\d+$", "١٢٣"));
        assert!(matches(r"^\w+$", "az_9") && !matches(r"^\w+$", "é"));
        assert!(matches(r"^[\w-]+$", "a-z") && !matches(r"^[^\d]+$", "1"));
        assert!(matches(r"\bé", "aé"), "é is not a word character");
        assert!(!matches(r"^\s$", "\u{a0}"));
    }

    #[test]
    fn brackets_do_not_nest_as_in_re2() {
        assert!(
            matches("^[[a]+$", "[a[")
                && matches("^[a&&b]+$", "&&")
                && matches("^[+--]$", ",")
                && matches("^[--/]$", ".")
        );
        assert!(matches("^[]a]+$", "]a") && matches("^[^]a]$", "b") && !matches("^[^]a]$", "]"));
        assert!(matches("^[[:alpha:]-]+$", "a-b") && !matches("^[[:alpha:]]$", "1"));
        assert!(matches(r"^[\]\[]+$", "[]"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_reason() {
        for pattern in ["[", "(", "a{2", "*", "\\", r"\q", "(?=a)", r"(a)\1", "[b-a]", "(((a{100}){100}){100})"] {
            let error = compile(pattern).expect_err(pattern).to_string();
            assert!(error.starts_with(&format!("`{pattern}` is not a regular expression: ")), "{error}");
            assert!(!error.ends_with(": ") && !error.contains('\n'), "{error}");
        }
    }
}
