//! How two texts differ, line by line, by their longest common subsequence.

use std::{fmt::Write, ops::Range};

use similar::{Algorithm, DiffOp, TextDiff};

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// A place where two texts differ, with its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Lines of the old text, from 0.
    pub old: Range<usize>,
    /// Lines of the new text, from 0.
    pub new: Range<usize>,
    /// The hunk as a unified diff shows it, its `@@` line first.
    pub text: String,
}

/// The unified diff of two texts; empty where they are equal.
pub fn unified(old: &str, new: &str, (old_name, new_name): (&str, &str)) -> String {
    let hunks = hunks(old, new);
    if hunks.is_empty() {
        return String::new();
    }
    let mut text = format!("--- {old_name}\n+++ {new_name}\n");
    hunks.iter().for_each(|hunk| text.push_str(&hunk.text));
    text
}

/// The places where two texts differ, in order.
pub fn hunks(old: &str, new: &str) -> Vec<Hunk> {
    let diff = diff(old, new);
    let groups = diff.grouped_ops(CONTEXT).into_iter().filter(|it| !it.is_empty());
    groups.map(|ops| hunk(&diff, &ops)).collect()
}

/// The old text with those of the [`hunks`] that are wanted, by their place in the list; those beyond the end of
/// `wanted` are not.
pub fn take(old: &str, new: &str, wanted: &[bool]) -> String {
    let (old_lines, new_lines): (Vec<_>, Vec<_>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let mut text = String::new();
    let mut reached = 0;
    for (at, hunk) in hunks(old, new).iter().enumerate() {
        text.extend(old_lines[reached..hunk.old.start].iter().copied());
        match wanted.get(at) {
            Some(true) => text.extend(new_lines[hunk.new.clone()].iter().copied()),
            _ => text.extend(old_lines[hunk.old.clone()].iter().copied()),
        }
        reached = hunk.old.end;
    }
    text.extend(old_lines[reached..].iter().copied());
    text
}

/// Lines are told apart by `\n` alone, as in [`take`]; the time it takes is bounded by the texts only, so that the
/// same texts always give the same diff.
fn diff<'a>(old: &'a str, new: &'a str) -> TextDiff<'a, 'a, str> {
    let (old, new): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    TextDiff::configure().algorithm(Algorithm::Myers).diff_slices(&old, &new)
}

fn hunk(diff: &TextDiff<'_, '_, str>, ops: &[DiffOp]) -> Hunk {
    let (first, last) = (&ops[0], &ops[ops.len() - 1]);
    let (old, new) = (first.old_range().start..last.old_range().end, first.new_range().start..last.new_range().end);
    let mut text = format!("@@ -{} +{} @@\n", range(&old), range(&new));
    for change in ops.iter().flat_map(|op| diff.iter_changes(op)) {
        let line = change.value();
        write!(text, "{}{line}", change.tag()).expect("a string takes it");
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
    Hunk { old, new, text }
}

/// Lines as a unified diff counts them: from 1, and an empty range names the line before it.
fn range(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        length => format!("{},{length}", lines.start + 1),
    }
}
