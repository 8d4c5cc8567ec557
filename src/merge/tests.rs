use proptest::prelude::*;

use super::*;

fn clean(base: &str, mine: &str, theirs: &str) -> String {
    match merge(base.as_bytes(), mine.as_bytes(), theirs.as_bytes()) {
        Merge::Clean(bytes) => String::from_utf8(bytes).expect("text stays text"),
        other => panic!("{other:?}"),
    }
}

fn marked(base: &str, mine: &str, theirs: &str) -> (String, usize) {
    match merge(base.as_bytes(), mine.as_bytes(), theirs.as_bytes()) {
        Merge::Conflict(it) => (String::from_utf8(it.marked).expect("text stays text"), it.places),
        other => panic!("{other:?}"),
    }
}

#[test]
fn changes_that_do_not_touch_are_both_taken() {
    assert_eq!(clean("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nd\ne\n"), "A\nb\nc\nd\ne\n");
    assert_eq!(clean("a\nb\nc\nd\n", "a\nb\nc\n", "x\na\nb\nc\nd\n"), "x\na\nb\nc\n");
}

#[test]
fn the_same_change_on_both_sides_is_none() {
    assert_eq!(clean("a\nb\n", "a\nc\n", "a\nc\n"), "a\nc\n");
}

#[test]
fn a_conflict_shows_both_sides_and_what_they_come_from() {
    let expected = "a\n<<<<<<< yours\nmine\n||||||| generated before\nb\n=======\ntheirs\n>>>>>>> generated now\nc\n";
    assert_eq!(marked("a\nb\nc\n", "a\nmine\nc\n", "a\ntheirs\nc\n"), (expected.to_owned(), 1));
}

#[test]
fn markers_start_on_a_line_of_their_own_after_a_missing_newline() {
    let expected = "<<<<<<< yours\nmine\n||||||| generated before\nb\n=======\ntheirs\n>>>>>>> generated now\n";
    assert_eq!(marked("b", "mine", "theirs").0, expected);
}

#[test]
fn lines_that_look_like_markers_are_not_taken_for_them() {
    let (text, places) = marked("b\n", "<<<<<<< ours\n=======\n", "c\n");
    assert_eq!(places, 1);
    assert!(text.starts_with("<<<<<<<< yours\n<<<<<<< ours\n=======\n||||||||"), "{text}");
}

#[test]
fn a_file_saved_with_crlf_keeps_it() {
    assert_eq!(clean("a\nb\nc\n", "a\r\nb\r\nc\r\n", "a\nb\nC\n"), "a\r\nb\r\nC\r\n");
    assert_eq!(clean("a\nb\nc\n", "A\r\nb\r\nc\r\n", "a\nb\nC\n"), "A\r\nb\r\nC\r\n");
    assert!(marked("a\nb\n", "A\r\nb\r\n", "x\nb\n").0.split_inclusive('\n').all(|it| it.ends_with("\r\n")));
}

#[test]
fn single_lines_with_crlf_are_changed_lines() {
    assert_eq!(clean("a\nb\nc\nd\n", "a\r\nb\nc\nd\n", "a\nb\nc\nD\n"), "a\r\nb\nc\nD\n");
}

#[test]
fn empty_files_are_files() {
    assert_eq!(clean("", "mine\n", ""), "mine\n");
    assert_eq!(clean("", "", "theirs\n"), "theirs\n");
    assert_eq!(clean("a\n", "", "a\n"), "");
    assert_eq!(marked("", "mine\n", "theirs\n").1, 1);
    assert_eq!(marked("a\n", "", "b\n").1, 1);
}

#[test]
fn what_is_no_text_is_left_alone() {
    assert_eq!(merge(b"a\n", b"\xff\n", b"b\n"), Merge::NotText);
    assert_eq!(merge(b"a\n", b"a\0\n", b"b\n"), Merge::NotText);
    assert_eq!(merge(b"\xff", b"\xff", b"b\n"), Merge::Clean(b"b\n".to_vec()));
}

#[test]
fn a_long_file_with_changes_all_over_merges_line_by_line() {
    let line = |at: usize, what: &str| format!("    let value_{at} = {what}({at});\n");
    let file = |what: &dyn Fn(usize) -> &'static str| (0..4000).map(|at| line(at, what(at))).collect::<String>();
    let base = file(&|_| "base");
    let mine = file(&|at| if at % 8 == 0 { "mine" } else { "base" });
    let theirs = file(&|at| if at % 8 == 4 { "theirs" } else { "base" });
    let both = file(&|at| match at % 8 {
        0 => "mine",
        4 => "theirs",
        _ => "base",
    });
    assert_eq!(merge(base.as_bytes(), mine.as_bytes(), theirs.as_bytes()), Merge::Clean(both.into_bytes()));
}

#[test]
fn a_diff_reads_as_patch_takes_it() {
    let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n";
    let new = "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl";
    let expected = "--- old\n+++ new\n@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n@@ -9,3 +9,4 @@\n i\n j\n k\n+l\n\\ No newline at end of file\n";
    assert_eq!(unified(old, new, ("old", "new")), expected);
    assert_eq!(unified(old, old, ("old", "new")), "");
    assert_eq!(unified("", "a\n", ("old", "new")), "--- old\n+++ new\n@@ -0,0 +1 @@\n+a\n");
}

#[test]
fn hunks_are_taken_one_by_one() {
    let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n";
    let new = "A\nb\nc\nd\ne\nf\ng\nh\ni\nj\nK\n";
    assert_eq!(hunks(old, new).len(), 2);
    assert_eq!(take(old, new, &[true, false]), "A\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n");
    assert_eq!(take(old, new, &[false, true]), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nK\n");
    assert_eq!(take(old, new, &[true]), "A\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n");
}

/// A change of a line: kept, dropped, or written before.
#[derive(Clone, Debug)]
enum Edit {
    Keep,
    Drop,
    InsertBefore,
    Replace,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![8 => Just(Edit::Keep), 1 => Just(Edit::Drop), 1 => Just(Edit::InsertBefore), 1 => Just(Edit::Replace)];
    prop::collection::vec(edit, 30)
}

/// Applies the edits; what a side writes is told from everything else.
fn edited(base: &[String], edits: &[Edit], side: &str, end: &str) -> String {
    let lines = base.iter().zip(edits).enumerate().map(|(at, (line, edit))| match edit {
        Edit::Keep => format!("{line}{end}"),
        Edit::Drop => String::new(),
        Edit::InsertBefore => format!("{side} {at}{end}{line}{end}"),
        Edit::Replace => format!("{side} {at}{end}"),
    });
    lines.collect()
}

fn any_text() -> impl Strategy<Value = String> {
    "([abc]{0,1}(\n|\r\n)){0,8}[ab]{0,1}"
}

proptest! {
    #[test]
    fn an_unchanged_side_gives_the_other(base in any::<Vec<u8>>(), changed in any::<Vec<u8>>()) {
        prop_assert_eq!(merge(&base, &base, &changed), Merge::Clean(changed.clone()));
        prop_assert_eq!(merge(&base, &changed, &base), Merge::Clean(changed));
    }

    #[test]
    fn merging_is_deterministic_and_never_panics(base in any_text(), mine in any_text(), theirs in any_text()) {
        let once = merge(base.as_bytes(), mine.as_bytes(), theirs.as_bytes());
        prop_assert_eq!(&once, &merge(base.as_bytes(), mine.as_bytes(), theirs.as_bytes()));
        if let Merge::Conflict(conflict) = once {
            prop_assert!(conflict.places > 0);
        }
    }

    /// Whatever comes out, clean or marked, has every line that either side wrote.
    #[test]
    fn no_line_that_was_written_is_lost(
        (mine, theirs) in (edits(), edits()),
        repeated in 1_usize..30,
        crlf in any::<bool>(),
    ) {
        // Few distinct lines make the diffs ambiguous.
        let base: Vec<String> = (0..30).map(|at| format!("line {}", at % repeated)).collect();
        let text = edited(&base, &vec![Edit::Keep; 30], "", "\n");
        let (mine, theirs) =
            (edited(&base, &mine, "mine", if crlf { "\r\n" } else { "\n" }), edited(&base, &theirs, "theirs", "\n"));
        let merged = match merge(text.as_bytes(), mine.as_bytes(), theirs.as_bytes()) {
            Merge::Clean(bytes) | Merge::Conflict(Conflict { marked: bytes, .. }) => bytes,
            Merge::NotText => panic!("all of it is text"),
        };
        let merged = String::from_utf8(merged).expect("text stays text");
        let count = |text: &str, line: &str| text.lines().filter(|it| *it == line).count();
        for line in mine.lines().chain(theirs.lines()).filter(|it| it.starts_with("mine") || it.starts_with("theirs")) {
            prop_assert_eq!(count(&merged, line), 1, "{} in\n{}", line, merged);
        }
    }

    /// A line that mine has and nobody took away is in a clean merge, as often as both sides have it at least.
    #[test]
    fn a_clean_merge_keeps_what_both_sides_keep(mine in edits(), theirs in edits()) {
        let base: Vec<String> = (0..30).map(|at| format!("line {at}")).collect();
        let text = edited(&base, &vec![Edit::Keep; 30], "", "\n");
        let (mine, theirs) = (edited(&base, &mine, "mine", "\n"), edited(&base, &theirs, "theirs", "\n"));
        if let Merge::Clean(merged) = merge(text.as_bytes(), mine.as_bytes(), theirs.as_bytes()) {
            let merged = String::from_utf8(merged).expect("text stays text");
            let has = |text: &str, line: &String| text.lines().any(|it| it == line);
            for line in &base {
                prop_assert_eq!(has(&merged, line), has(&mine, line) && has(&theirs, line), "{} in\n{}", line, merged);
            }
        }
    }

    #[test]
    fn all_hunks_make_the_new_text_and_none_the_old(old in any_text(), new in any_text()) {
        prop_assert_eq!(take(&old, &new, &vec![true; hunks(&old, &new).len()]), new.clone());
        prop_assert_eq!(take(&old, &new, &[]), old);
    }
}
