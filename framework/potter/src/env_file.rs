//! The file `.env`: lines `NAME=value`, as docker compose and shells read them.
//!
//! Blank lines and lines that begin with `#` are passed over, and so is a leading `export`. A value may be quoted;
//! in double quotes `\n`, `\"` and `\\` are escapes. Outside quotes ` #` begins a comment. Nothing is substituted: a
//! `$` in a password is a `$`.

use std::collections::BTreeMap;

/// What is wrong with a line; it never shows the value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// From 1.
    pub(crate) number: usize,
    /// What was expected.
    pub(crate) expected: &'static str,
}

/// Reads the variables in `text`; a later line wins over an earlier one.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, Vec<BadLine>> {
    let mut variables = BTreeMap::new();
    let mut bad = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        match parse_line(line.trim()) {
            Ok(Some((name, value))) => drop(variables.insert(name.to_owned(), value)),
            Ok(None) => {}
            Err(expected) => bad.push(BadLine { number: index + 1, expected }),
        }
    }
    if bad.is_empty() { Ok(variables) } else { Err(bad) }
}

fn parse_line(line: &str) -> Result<Option<(&str, String)>, &'static str> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("expected NAME=value")?;
    let name = name.trim();
    if !is_name(name) {
        return Err("expected NAME=value with a name of letters, digits and underscores");
    }
    Ok(Some((name, parse_value(value.trim())?)))
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|it: char| it.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

fn parse_value(value: &str) -> Result<String, &'static str> {
    if let Some(quoted) = value.strip_prefix('\'') {
        let (inside, rest) = quoted.split_once('\'').ok_or("the closing ' is missing")?;
        return only_comment(rest).map(|()| inside.to_owned());
    }
    match value.strip_prefix('"') {
        Some(quoted) => double_quoted(quoted),
        None => Ok(value.split(" #").next().unwrap_or_default().trim_end().to_owned()),
    }
}

/// What follows an opening double quote.
fn double_quoted(quoted: &str) -> Result<String, &'static str> {
    let mut inside = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return only_comment(letters.as_str()).map(|()| inside),
            '\\' => match letters.next() {
                Some('n') => inside.push('\n'),
                Some(escaped @ ('"' | '\\' | '$')) => inside.push(escaped),
                Some(other) => inside.extend(['\\', other]),
                None => break,
            },
            other => inside.push(other),
        }
    }
    Err("the closing \" is missing")
}

fn only_comment(rest: &str) -> Result<(), &'static str> {
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') { Ok(()) } else { Err("unexpected text after the closing quote") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        parse(text).expect("a valid file")["NAME"].clone()
    }

    #[test]
    fn values_are_taken_as_they_are() {
        assert_eq!(value("NAME=a b $c"), "a b $c");
        assert_eq!(value("  export NAME = a=b # comment"), "a=b");
        assert_eq!(value("NAME=a#b"), "a#b");
        assert_eq!(value("NAME="), "");
        assert_eq!(value("\u{feff}NAME=a\r\n"), "a");
    }

    #[test]
    fn quotes_keep_spaces_and_signs() {
        assert_eq!(value("NAME=' a # b ' # comment"), " a # b ");
        assert_eq!(value(r#"NAME="a \"b\" \\ \n \d" "#), "a \"b\" \\ \n \\d");
    }

    #[test]
    fn comments_and_blank_lines_are_passed_over() {
        assert_eq!(parse("\n# NAME=a\n\n").expect("a valid file"), BTreeMap::new());
    }

    #[test]
    fn the_last_line_wins() {
        assert_eq!(value("NAME=a\nNAME=b"), "b");
    }

    #[test]
    fn every_bad_line_is_told() {
        let bad = parse("NAME\nA=b\n1A=b\nB=\"c\nC='c' d").expect_err("bad lines");
        let numbers: Vec<_> = bad.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 3, 4, 5]);
        assert_eq!(bad[0].expected, "expected NAME=value");
    }
}
