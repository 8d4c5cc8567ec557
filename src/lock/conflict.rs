//! Conflicts that version control left in a text: the whole text as each side has it.

/// The two sides of a text with conflicts in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    pub ours: String,
    pub theirs: String,
}

/// The marks, as git, Mercurial and Jujutsu's git style write them.
const OURS: &str = "<<<<<<<";
const BASE: &str = "|||||||";
const THEIRS: &str = "=======";
const END: &str = ">>>>>>>";

/// Whose line it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Both,
    Ours,
    Base,
    Theirs,
}

/// Whether a text has a conflict in it.
pub(super) fn is_in(text: &str) -> bool {
    text.lines().any(|line| is_mark(line, OURS) || is_mark(line, THEIRS) || is_mark(line, END))
}

/// Takes a text with conflicts apart; what both had before, if it is told, is left out.
///
/// # Errors
///
/// The marks are out of order; where and which is missing.
pub(crate) fn sides(text: &str) -> Result<Sides, String> {
    let (mut ours, mut theirs) = (String::new(), String::new());
    let mut part = Part::Both;
    for (line, number) in text.lines().zip(1..) {
        if let Some(next) = after_mark(line, part, number)? {
            part = next;
            continue;
        }
        let put = |side: &mut String| side.extend([line, "\n"]);
        match part {
            Part::Both => [&mut ours, &mut theirs].into_iter().for_each(put),
            Part::Ours => put(&mut ours),
            Part::Base => {}
            Part::Theirs => put(&mut theirs),
        }
    }
    match part {
        Part::Both => Ok(Sides { ours, theirs }),
        _ => Err(format!("line {}: the conflict has no end; `{END}` is missing", text.lines().count())),
    }
}

/// What follows a mark; `None` for a line that is none.
fn after_mark(line: &str, part: Part, number: usize) -> Result<Option<Part>, String> {
    let marks = [(OURS, Part::Ours), (BASE, Part::Base), (THEIRS, Part::Theirs), (END, Part::Both)];
    let Some((mark, next)) = marks.into_iter().find(|(mark, _)| is_mark(line, mark)) else { return Ok(None) };
    let fits = matches!(
        (part, next),
        (Part::Both, Part::Ours)
            | (Part::Ours, Part::Base | Part::Theirs)
            | (Part::Base, Part::Theirs)
            | (Part::Theirs, Part::Both)
    );
    if fits { Ok(Some(next)) } else { Err(format!("line {number}: `{mark}` where no conflict has it")) }
}

/// A mark stands at the beginning of its line, alone or before a space.
fn is_mark(line: &str, mark: &str) -> bool {
    line.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\r']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_sides_apart() {
        let text = "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> topic\nd\n<<<<<<<\n||||||| base\ne\n=======\nf\n>>>>>>>\n";
        let sides = sides(text).expect("the marks are in order");
        assert_eq!(sides, Sides { ours: "a\nb\nd\n".into(), theirs: "a\nc\nd\nf\n".into() });
    }

    #[test]
    fn says_which_mark_is_out_of_place() {
        let cases = [
            ("a\n=======\n", "line 2: `=======` where no conflict has it"),
            ("<<<<<<< a\n<<<<<<< b\n", "line 2: `<<<<<<<` where no conflict has it"),
            ("<<<<<<< a\n>>>>>>> b\n", "line 2: `>>>>>>>` where no conflict has it"),
            ("<<<<<<< a\nb\n", "line 2: the conflict has no end; `>>>>>>>` is missing"),
        ];
        for (text, message) in cases {
            assert_eq!(sides(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn lines_that_only_look_like_marks_are_none() {
        assert!(!is_in("<<<<<<<<\n========\n# =======\n"));
        assert!(is_in("a\n=======\r\n"));
    }
}
