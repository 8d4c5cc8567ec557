//! Lines that one side put in right beside lines that the other changed: a conflict for a merge by lines, and none for a
//! person.

use super::{diff3, marker_length};

/// The three texts merged, if that is all that is in the way.
pub(super) fn merged(texts: [&str; 3]) -> Option<String> {
    let length = marker_length(texts);
    let marked = diff3(texts, length).err()?;
    let mut merged = String::with_capacity(marked.len());
    let mut lines = marked.split_inclusive('\n');
    while let Some(line) = lines.next() {
        if !is_marker(line, '<', length) {
            merged.push_str(line);
            continue;
        }
        let mut until = |sign| lines.by_ref().take_while(|line| !is_marker(line, sign, length)).collect::<String>();
        let [mine, base, theirs] = [until('|'), until('='), until('>')];
        merged.push_str(&both(&base, &mine, &theirs)?);
    }
    Some(merged)
}

fn is_marker(line: &str, sign: char, length: usize) -> bool {
    line.chars().take_while(|it| *it == sign).count() == length
}

/// Both sides' lines, where one of them left those of the base as they were.
fn both(base: &str, mine: &str, theirs: &str) -> Option<String> {
    if base.is_empty() {
        return None;
    }
    let around = |side: &str, other: &str| {
        let after = side.strip_prefix(base).map(|it| format!("{other}{it}"));
        after.or_else(|| side.strip_suffix(base).map(|it| format!("{it}{other}")))
    };
    around(theirs, mine).or_else(|| around(mine, theirs))
}

#[cfg(test)]
mod tests {
    use crate::merge::{Merge, merge, merge_rust};

    #[test]
    fn an_arm_beside_one_that_was_written_is_taken() {
        let base = "match it {\n    A => {}\n    B => {}\n}\n";
        let mine = base.replace("B => {}", "B => {\n        mine();\n    }");
        for theirs in ["    B => {}\n    C => {}\n", "    C => {}\n    B => {}\n"] {
            let theirs = base.replace("    B => {}\n", theirs);
            let Merge::Clean(both) = merge_rust(base.as_bytes(), mine.as_bytes(), theirs.as_bytes()) else {
                panic!("a conflict");
            };
            let expected = theirs.replace("B => {}", "B => {\n        mine();\n    }");
            assert_eq!(String::from_utf8(both).expect("text"), expected);
            let Merge::Clean(both) = merge_rust(base.as_bytes(), theirs.as_bytes(), mine.as_bytes()) else {
                panic!("a conflict");
            };
            assert_eq!(String::from_utf8(both).expect("text"), expected);
            let plain = merge(base.as_bytes(), mine.as_bytes(), theirs.as_bytes());
            assert!(matches!(plain, Merge::Conflict(_)), "other files are merged by lines");
        }
    }

    #[test]
    fn what_both_changed_or_put_in_stays_a_conflict() {
        let base = "a\nb\nc\n";
        for (mine, theirs) in [("a\nx\nc\n", "a\ny\nc\n"), ("a\nb\nx\nc\n", "a\nb\ny\nc\n")] {
            let merged = merge_rust(base.as_bytes(), mine.as_bytes(), theirs.as_bytes());
            assert!(matches!(merged, Merge::Conflict(_)), "{merged:?}");
        }
    }
}
