//! `mod` and `use` lines of a Rust file.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::{Edited, line_end};
use crate::tokens;

/// The text with Potter's declarations brought from `before` to `now`; each is a whole line such as `pub mod order;`.
///
/// A line of `before` that `now` doesn't have is taken out, with the attributes and doc comments right above it, which
/// would say of the next item what was said of this one. If `now` doesn't declare its subject at all, the file is gone or
/// an orphan, and so the line goes as well if the user gave it another visibility or a comment; what was the user's of it is
/// told. A body in braces, or a `path` of the user's, makes it another module, which stays. A line of `now` that isn't there
/// yet, and wasn't in `before` either, goes among Potter's lines of the same kind in their order; what the user took out
/// stays out. What the file declares already, whatever its visibility or attributes, is not declared twice. A line within
/// braces, a comment or a string is another thing, and the user's.
pub fn declarations(text: &str, before: &[&str], now: &[&str]) -> Edited {
    let mut lines = lines(text);
    let wanted: BTreeSet<&str> = now.iter().copied().collect();
    let known: BTreeSet<&str> = before.iter().copied().collect();
    let subjects = |lines: &BTreeSet<&str>| lines.iter().filter_map(|it| subject(it)).collect::<BTreeSet<String>>();
    let (known_subjects, wanted_subjects) = (subjects(&known), subjects(&wanted));
    let is_gone = |line: &str| known_subjects.contains(line) && !wanted_subjects.contains(line);
    let mut along = Vec::new();
    take_out(&mut lines, &mut along, |line| match known.contains(line) {
        true => !wanted.contains(line),
        false => is_of_a_file(line) && subject(line).is_some_and(|it| is_gone(&it)),
    });
    along.retain(|line| !known.contains(line.as_str()));
    let mut own: BTreeSet<&str> = known.intersection(&wanted).copied().collect();
    for declaration in now.iter().filter(|it| !known.contains(**it)) {
        if outer(&lines).iter().all(|(_, line)| subject(line) != subject(declaration)) {
            insert(&mut lines, declaration, &own, line_end(text));
        }
        own.insert(declaration);
    }
    Edited { text: lines.concat(), along }
}

/// Takes out the declarations that are gone, each with the attributes above it; what was taken is added to `along`.
fn take_out(lines: &mut Vec<String>, along: &mut Vec<String>, is_gone: impl Fn(&str) -> bool) {
    let gone = outer(lines).into_iter().filter(|(_, line)| is_gone(line));
    let with_attributes = gone.map(|(at, _)| above_attributes(lines, at)..=at);
    let is_here = |it: &RangeInclusive<usize>| lines[it.clone()].iter().all(|line| !has_path(line));
    let gone: Vec<_> = with_attributes.filter(is_here).collect();
    along.extend(gone.iter().flat_map(|it| &lines[it.clone()]).map(|line| line.trim().to_owned()));
    gone.into_iter().rev().for_each(|it| drop(lines.drain(it)));
}

/// The modules that a text declares without saying what is in them or where, each with its line, from 1.
pub fn modules(text: &str) -> Vec<(usize, String)> {
    let lines = lines(text);
    let module = |(at, line): (usize, &str)| {
        let own = &lines[above_attributes(&lines, at)..=at];
        let subject = subject(line).filter(|_| is_of_a_file(line))?;
        let is_conditional = own.iter().any(|line| has_path(line) || line.contains("cfg"));
        let name = subject.strip_prefix("mod ").filter(|_| !is_conditional)?;
        Some((at + 1, name.trim_start_matches("r#").to_owned()))
    };
    outer(&lines).into_iter().filter_map(module).collect()
}

/// The lines of a text with their ends.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// The lines that begin within no brackets, comment or string, without the blanks around them, and where they are.
fn outer(lines: &[String]) -> Vec<(usize, &str)> {
    let text = lines.concat();
    let (mut depth, mut begins_outside) = (0_usize, vec![true]);
    for token in tokens::tokens(&text) {
        match (token.kind, token.text) {
            (tokens::Kind::Sign, "{" | "(" | "[") => depth += 1,
            (tokens::Kind::Sign, "}" | ")" | "]") => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_outside = token.kind == tokens::Kind::Space && depth == 0;
        begins_outside.extend(token.text.matches('\n').map(|_| is_outside));
    }
    let lines = lines.iter().map(|line| line.trim()).enumerate();
    lines.zip(begins_outside).filter_map(|(line, is_outside)| is_outside.then_some(line)).collect()
}

/// Whether a declaration ends on its line, and so says nothing of what is in it.
fn is_of_a_file(line: &str) -> bool {
    without_comment(line).ends_with(';')
}

/// Whether an attribute says in which file a module is.
fn has_path(line: &str) -> bool {
    let code: String = line.split_whitespace().collect();
    code.starts_with("#[") && code.contains("path=")
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line).trim()
}

/// The declarations of a text, in order.
pub(super) fn of(text: &str) -> Vec<String> {
    outer(&lines(text)).into_iter().filter(|(_, line)| kind(line) != Kind::Other).map(|(_, it)| it.to_owned()).collect()
}

/// Puts a declaration before the first of Potter's own of its kind that sorts behind it, else behind the last of
/// them, else behind the last declaration of its kind, else behind the head of the file.
fn insert(lines: &mut Vec<String>, declaration: &str, own: &BTreeSet<&str>, end: &str) {
    let outer = outer(lines);
    let places = || outer.iter().filter(|(_, line)| kind(line) == kind(declaration));
    let ours = || places().filter(|(_, line)| own.contains(line));
    let behind = ours().find(|(_, line)| *line > declaration).map(|(at, _)| *at);
    let at = match behind {
        Some(at) => above_attributes(lines, at),
        None => ours().next_back().or(places().next_back()).map_or_else(|| head(lines), |(at, _)| *at + 1),
    };
    if let Some(last) = at.checked_sub(1).and_then(|it| lines.get_mut(it))
        && !last.ends_with('\n')
    {
        last.push_str(end);
    }
    lines.insert(at, format!("{declaration}{end}"));
}

/// The first line of the attributes and doc comments that belong to the line at `at`.
fn above_attributes(lines: &[String], at: usize) -> usize {
    let mut first = at;
    while let Some(above) = attribute_above(lines, first) {
        first = above;
    }
    first
}

/// The first line of the attribute or doc comment that ends right above the line at `at`; a long attribute closes
/// with a bracket in a line of its own.
fn attribute_above(lines: &[String], at: usize) -> Option<usize> {
    let last = at.checked_sub(1)?;
    let is_doc = lines[last].trim_start().starts_with("///");
    let is_short = is_attribute(&lines[last]);
    if is_doc || is_short {
        return Some(last);
    }
    let closes = lines[last].trim().ends_with(")]");
    let opening = lines[..last].iter().rposition(|line| !line.starts_with([' ', '\t']))?;
    (closes && lines[opening].starts_with("#[") && !is_attribute(&lines[opening])).then_some(opening)
}

/// Whether a line is an attribute and nothing else: one before an item on its line is that item's.
fn is_attribute(line: &str) -> bool {
    let code = without_comment(line);
    code.starts_with("#[") && code.ends_with(']')
}

/// How many lines there are before a declaration may come: inner comments and attributes, and the blank lines among
/// them.
fn head(lines: &[String]) -> usize {
    let is_head = |line: &&String| {
        let bare = line.trim_start();
        bare.trim().is_empty() || bare.starts_with("//") || bare.starts_with("#![")
    };
    lines.iter().take_while(is_head).count()
}

/// What a line declares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mod,
    Use,
    Other,
}

fn kind(line: &str) -> Kind {
    match subject(line) {
        Some(it) if it.starts_with("mod ") => Kind::Mod,
        Some(it) if it.starts_with("use ") => Kind::Use,
        _ => Kind::Other,
    }
}

/// What is declared, whatever its visibility and the attributes on its line: `mod order`; nothing for other lines.
fn subject(line: &str) -> Option<String> {
    let mut rest = line.trim();
    while let Some(attribute) = rest.strip_prefix("#[") {
        rest = attribute.split_once(']')?.1.trim_start();
    }
    if let Some(visible) = rest.strip_prefix("pub") {
        let scoped = visible.trim_start().strip_prefix('(').and_then(|it| it.split_once(')')).map(|(_, rest)| rest);
        rest = scoped.unwrap_or(visible).trim_start();
    }
    let rest = without_comment(rest);
    let (declared, _) = rest.split_once([';', '{'])?;
    let declared = declared.split_whitespace().collect::<Vec<_>>().join(" ");
    (declared.starts_with("mod ") || (declared.starts_with("use ") && rest.ends_with(';'))).then(|| match rest {
        // The braces of a `use` are part of what it imports.
        _ if declared.starts_with("use ") => rest.split_whitespace().collect::<Vec<_>>().join(" "),
        _ => declared,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn declarations(text: &str, before: &[&str], now: &[&str]) -> String {
        super::declarations(text, before, now).text
    }

    const MODS: &[&str] = &["pub mod order;", "pub mod product;"];

    #[test]
    fn a_new_line_goes_in_order_among_potters() {
        let text =
            "//! The domain.\n\n// Written by hand.\nmod money;\npub mod order;\npub mod product;\n\nfn f() {}\n";
        let now = ["pub mod basket;", "pub mod customer;", "pub mod order;", "pub mod product;", "pub mod stock;"];
        assert_eq!(
            declarations(text, MODS, &now),
            "//! The domain.\n\n// Written by hand.\nmod money;\npub mod basket;\npub mod customer;\npub mod order;\n\
             pub mod product;\npub mod stock;\n\nfn f() {}\n"
        );
    }

    #[test]
    fn attributes_stay_with_their_line() {
        let text = "#[cfg(test)]\n/// Orders.\npub mod order;\npub mod product;\n";
        let now = ["pub mod basket;", "pub mod order;", "pub mod product;"];
        assert_eq!(declarations(text, MODS, &now), format!("pub mod basket;\n{text}"));
    }

    #[test]
    fn only_potters_own_lines_are_taken_out() {
        let text = "pub mod order;\n#[path = \"mine.rs\"]\npub mod product;\nmod mine;\n";
        let kept = "#[path = \"mine.rs\"]\npub mod product;\nmod mine;\n";
        assert_eq!(declarations(text, MODS, &[]), kept, "it is another file");
        let inline = "pub mod product { // Mine;\n}\nfn order() {}\n";
        assert_eq!(declarations(inline, MODS, &[]), inline);
    }

    #[test]
    fn a_line_that_the_user_touched_goes_when_its_module_is_gone_and_that_is_told() {
        for mine in ["pub(crate) mod product;", "pub mod product; // Mine.", "#[doc(hidden)] mod  product ;"] {
            let text = format!("pub mod order;\n{mine}\nmod mine;\n");
            let edited = super::declarations(&text, MODS, &MODS[..1]);
            assert_eq!(edited.text, "pub mod order;\nmod mine;\n", "{mine}");
            assert_eq!(edited.along, [mine], "what was the user's is told");
            assert_eq!(declarations(&text, MODS, MODS), text, "as long as it is there, it is the user's affair");
        }
    }

    #[test]
    fn what_is_in_braces_comments_or_strings_is_the_users() {
        for inner in [
            "mod mine {\n    pub mod product;\n}\n",
            "mod mine {\n#[doc(hidden)]\npub mod product;\n}\n",
            "/*\npub mod product;\n*/\n",
            "const MINE: &str = \"\npub mod product;\n\";\n",
            "mine!(\n    pub mod product;\n);\n",
        ] {
            let text = format!("{inner}pub mod order;\npub mod product;\n");
            let kept = format!("{inner}pub mod order;\n");
            assert_eq!(declarations(&text, MODS, &MODS[..1]), kept, "only Potter's own goes");
            assert_eq!(declarations(&kept, &MODS[..1], MODS), text, "it isn't declared yet");
            assert!(!of(&kept).contains(&MODS[1].to_owned()), "it is missed");
            assert_eq!(modules(&kept).len(), 1);
        }
    }

    #[test]
    fn modules_are_those_of_which_files_have_to_be_there() {
        let text = "mod a;\n  pub(crate) mod r#type; // Why.\n#[path = \"b.rs\"] mod c;\nmod d {\n}\n#[cfg(x)]\nmod e;\n\
                    // mod f;\nuse a::B;\n";
        assert_eq!(modules(text), [(1, "a".to_owned()), (2, "type".to_owned())]);
    }

    #[test]
    fn what_the_user_took_out_stays_out_and_what_is_declared_is_not_repeated() {
        assert_eq!(declarations("mod mine;\n", MODS, MODS), "mod mine;\n");
        let own = "#[path = \"p.rs\"] pub(crate) mod product;\n";
        assert_eq!(declarations(own, &[], &["pub mod product;"]), own);
        let inline = "mod product {\n}\n";
        assert_eq!(declarations(inline, &[], &["pub mod product;"]), inline);
    }

    #[test]
    fn attributes_go_with_the_declaration_that_they_are_of() {
        let mods = ["mod aa;", "mod order;"];
        for above in ["#[cfg(any())]\n", "/// Why.\n#[cfg(a)] // Why.\n", "#[cfg(all(\n    a,\n    b,\n))]\n", ""] {
            let text = format!("//! Head.\n\n#[x] mod mine;\n{above}mod aa;\nmod order;\n");
            let expected = "//! Head.\n\n#[x] mod mine;\nmod order;\n";
            let edited = super::declarations(&text, &mods, &mods[1..]);
            assert_eq!(edited.text, expected, "{text}");
            assert_eq!(edited.along, above.lines().map(str::trim).collect::<Vec<_>>(), "what goes along is told");
        }
    }

    #[test]
    fn uses_go_among_uses() {
        let text = "mod order;\nmod product;\n\npub use order::Order;\n\nfn f() {}\n";
        let now = ["mod order;", "mod product;", "pub use order::Order;", "pub use product::{Product, Sku};"];
        let before = &now[..3];
        let expected = text.replace("Order;\n", "Order;\npub use product::{Product, Sku};\n");
        assert_eq!(declarations(text, before, &now), expected);
        assert_eq!(declarations(&expected, &now, before), text);
    }

    #[test]
    fn an_empty_file_and_a_missing_newline_are_fine() {
        assert_eq!(declarations("", &[], MODS), "pub mod order;\npub mod product;\n");
        assert_eq!(declarations("//! Head", &[], MODS), "//! Head\npub mod order;\npub mod product;\n");
        assert_eq!(declarations("mod a;", &[], MODS), "mod a;\npub mod order;\npub mod product;\n");
    }

    #[test]
    fn crlf_is_kept() {
        let text = "mod a;\r\npub mod order;\r\n";
        assert_eq!(declarations(text, &MODS[..1], MODS), "mod a;\r\npub mod order;\r\npub mod product;\r\n");
    }

    fn mods() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set("[a-f]", 0..6)
            .prop_map(|names| names.into_iter().map(|it| format!("pub mod {it};")).collect())
    }

    proptest! {
        #[test]
        fn the_users_lines_stay_as_they_are(
            user in prop::collection::vec("(// [a-z]{0,5}|mod u[a-z]{0,3};|\\}|fn f\\(\\) \\{\\}|#\\[allow\\(x\\)\\]|)", 0..12),
            (before, now) in (mods(), mods()),
            at in 0_usize..12,
        ) {
            let mut lines = user.clone();
            // Attributes right above would be those of Potter's lines.
            let is_free = |at: &usize| *at == 0 || !lines[at - 1].starts_with("#[");
            let at = (0..=at.min(lines.len())).rev().find(is_free).unwrap_or_default();
            lines.splice(at..at, before.iter().cloned());
            let text: String = lines.iter().map(|it| format!("{it}\n")).collect();
            let (before, now): (Vec<_>, Vec<_>) =
                (before.iter().map(String::as_str).collect(), now.iter().map(String::as_str).collect());
            let edited = declarations(&text, &before, &now);
            let is_ours = |it: &&str| it.starts_with("pub mod ");
            prop_assert_eq!(edited.lines().filter(|it| !is_ours(it)).collect::<Vec<_>>(), user);
            let mut ours: Vec<_> = edited.lines().filter(is_ours).collect();
            ours.sort_unstable();
            prop_assert_eq!(ours, now.clone());
            prop_assert_eq!(declarations(&edited, &now, &now), edited.clone());
        }

        #[test]
        fn nothing_is_touched_when_nothing_changes(text in "(\\PC{0,8}(\n|\r\n)){0,6}", mods in mods()) {
            let mods: Vec<_> = mods.iter().map(String::as_str).collect();
            prop_assert_eq!(declarations(&text, &mods, &mods), text);
        }
    }
}
