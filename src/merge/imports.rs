//! Imports: lists of names that both sides add to, and so the place where merges of Rust files would always conflict.
//!
//! In: three versions of a file. Out: the same three, with one and the same text wherever they import from the same
//! module and the new version imports something else than the base did: every name that either side imports, but those
//! that one of them took out. What is left to merge is the code. Where code is taken over from another version, [`carry`]
//! brings its imports along.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::plan::compare_names;
use crate::rust;
use crate::tokens::{Kind, tokens};

/// `use module::{names};`, in lines of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Import<'a> {
    /// Where it stands: from the beginning of its line to the end of its last.
    range: Range<usize>,
    indent: usize,
    module: &'a str,
    names: BTreeSet<&'a str>,
}

/// The three versions with their imports brought together.
pub(super) fn align(base: &str, mine: &str, theirs: &str) -> [String; 3] {
    let (old, own, new) = (imports(base), imports(mine), imports(theirs));
    let mut edits: [Vec<(Range<usize>, String)>; 3] = Default::default();
    for import in &own {
        let same = |it: &&Import<'_>| (it.indent, it.module) == (import.indent, import.module);
        let is_first = own.iter().find(same) == Some(import);
        let (Some(before), Some(now)) = (old.iter().find(same), new.iter().find(same)) else { continue };
        let is_same = before.names == now.names && base[before.range.clone()] == theirs[now.range.clone()];
        if !is_first || is_same {
            continue;
        }
        let elsewhere: BTreeSet<&str> =
            own.iter().filter(same).filter(|it| *it != import).flat_map(|it| it.names.iter().copied()).collect();
        let names = united(import, before, now, &elsewhere);
        let text = match names == import.names {
            true => mine[import.range.clone()].to_owned(),
            false => printed(import, &names),
        };
        let places = [before, import, now].map(|it| it.range.clone());
        edits.iter_mut().zip(places).for_each(|(edits, place)| edits.push((place, text.clone())));
    }
    let [of_base, of_mine, of_theirs] = edits;
    [edited(base, of_base), edited(mine, of_mine), edited(theirs, of_theirs)]
}

/// What both sides import; nothing twice.
fn united<'a>(
    mine: &Import<'a>,
    before: &Import<'a>,
    now: &Import<'a>,
    elsewhere: &BTreeSet<&str>,
) -> BTreeSet<&'a str> {
    let added = now.names.difference(&before.names).filter(|name| !elsewhere.contains(*name));
    let gone: BTreeSet<&str> = before.names.difference(&now.names).copied().collect();
    mine.names.difference(&gone).chain(added).copied().collect()
}

fn printed(import: &Import<'_>, names: &BTreeSet<&str>) -> String {
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let rank = |name: &String| name != "self";
    names.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| compare_names(a, b)));
    if names.is_empty() { String::new() } else { rust::use_list(import.module, &names, import.indent) }
}

/// `text`, into which code was taken over from `source` in the place of other code, with the imports that the one needs
/// and without those that only the other needed. Only imports with that indent are looked at.
pub(crate) fn carry(source: &str, text: &str, indent: usize, taken_over: &str, taken_out: &str) -> String {
    let of_code = |text| imports(text).into_iter().filter(|it| it.indent == indent).collect::<Vec<_>>();
    let (theirs, own) = (of_code(source), of_code(text));
    let (needed, needless) = (words(taken_over), words(taken_out));
    let code = edited(text, own.iter().map(|it| (it.range.clone(), String::new())).collect());
    let used = words(&code);
    let missing = |import: &Import<'_>| {
        let same = theirs.iter().filter(|it| it.module == import.module);
        let names = same.flat_map(|it| it.names.iter().copied().filter(|name| needed.contains(it.bound(name))));
        names.collect::<BTreeSet<&str>>()
    };
    let mut edits = Vec::new();
    for import in &own {
        let is_kept = |name: &&str| used.contains(import.bound(name)) || !needless.contains(import.bound(name));
        let mut names: BTreeSet<&str> = import.names.iter().copied().filter(is_kept).collect();
        names.extend(missing(import));
        if names != import.names {
            edits.push((import.range.clone(), printed(import, &names)));
        }
    }
    for import in theirs.iter().filter(|it| !own.iter().any(|own| own.module == it.module)) {
        edits.extend(place(import, &own).map(|place| (place..place, printed(import, &missing(import)))));
    }
    edited(text, edits)
}

/// Where an import belongs: in the order of the modules, with those of its crate if there are any.
fn place(import: &Import<'_>, own: &[Import<'_>]) -> Option<usize> {
    let root = |it: &Import<'_>| it.module.split("::").next().map(str::to_owned);
    let kin: Vec<&Import<'_>> = own.iter().filter(|it| root(it) == root(import)).collect();
    let near = if kin.is_empty() { own.iter().collect() } else { kin };
    let before = near.iter().rev().find(|it| it.module < import.module).map(|it| it.range.end);
    before.or(near.first().map(|it| it.range.start))
}

impl Import<'_> {
    /// By which word an imported name goes in the file.
    fn bound<'a>(&'a self, name: &'a str) -> &'a str {
        match name.split_once(" as ") {
            Some((_, alias)) => alias.trim(),
            None if name == "self" => self.module.rsplit("::").next().unwrap_or_default(),
            None => name,
        }
    }
}

/// The words of a code, comments and strings aside.
fn words(text: &str) -> BTreeSet<&str> {
    tokens(text).iter().filter(|it| it.kind == Kind::Word).map(|it| it.text).collect()
}

/// The text with other parts, of which none overlaps another; what is put in somewhere comes in the given order.
pub(crate) fn edited(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut edited = text.to_owned();
    for (range, new) in edits.into_iter().rev() {
        edited.replace_range(range, &new);
    }
    edited
}

/// The plain imports of a text, in order: neither public ones nor such as have lists within lists, nor such as bear
/// attributes, under which only their own names belong.
fn imports(text: &str) -> Vec<Import<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let import = import(text, start).filter(|_| !bears_attribute(&text[..start]));
        let line = text[start..].find('\n').map_or(text.len(), |at| start + at + 1);
        start = import.as_ref().map_or(line, |it| it.range.end);
        found.extend(import);
    }
    found
}

fn import(text: &str, start: usize) -> Option<Import<'_>> {
    let line = &text[start..];
    let indent = line.len() - line.trim_start_matches(' ').len();
    let body = line[indent..].strip_prefix("use ")?;
    let end = body.find(';')?;
    let after = &body[end + 1..];
    let rest = after.find('\n').map_or(after.len(), |at| at + 1);
    let (module, names) = taken_apart(&body[..end])?;
    let is_whole = after[..rest].trim().is_empty();
    let range = start..start + indent + "use ".len() + end + 1 + rest;
    is_whole.then_some(Import { range, indent, module, names })
}

/// Whether what stands above ends with an attribute, comments and blank lines aside.
fn bears_attribute(above: &str) -> bool {
    let all = tokens(above);
    let last = all.iter().rev().find(|it| !matches!(it.kind, Kind::Space | Kind::Comment));
    last.is_some_and(|it| it.text == "]")
}

/// The module and the names of `a::b::{c, d}` or `a::b::c`.
fn taken_apart(path: &str) -> Option<(&str, BTreeSet<&str>)> {
    let is_plain = |name: &str| !name.contains(['{', '}', '*', '/', ':']) && !name.is_empty();
    let (module, names) = match path.split_once('{') {
        Some((module, list)) => (module.trim_end().strip_suffix("::")?, list.trim_end().strip_suffix('}')?),
        None => path.rsplit_once("::")?,
    };
    let names: BTreeSet<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    names.iter().all(|name| is_plain(name)).then_some((module, names))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merge::{Merge, merge_rust};

    fn merged(base: &str, mine: &str, theirs: &str) -> String {
        match merge_rust(base.as_bytes(), mine.as_bytes(), theirs.as_bytes()) {
            Merge::Clean(bytes) => String::from_utf8(bytes).expect("text stays text"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_sides_names_are_imported() {
        let base = "use a::{B, D};\nuse a::c::E;\n\nfn f() {}\n\nfn last() {}\n";
        let mine = "use a::{B, D, X};\nuse a::c::E;\nuse mine::Y;\n\nfn f() { mine() }\n\nfn last() {}\n";
        let theirs = "use a::{B, C};\nuse a::c::{E, F};\n\nfn f() {}\n\nfn last() {}\n\nfn g() {}\n";
        let expected =
            "use a::{B, C, X};\nuse a::c::{E, F};\nuse mine::Y;\n\nfn f() { mine() }\n\nfn last() {}\n\nfn g() {}\n";
        assert_eq!(merged(base, mine, theirs), expected);
    }

    #[test]
    fn long_lists_are_laid_out_as_rustfmt_does_and_nothing_is_imported_twice() {
        let base = "    use m::{\n        Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, Bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,\n    };\n";
        let mine = format!("{base}    use m::Ccccccc;\n");
        let theirs = base.replace("Bbb", "Ddddddd, Ccccccc, Bbb");
        let text = merged(base, &mine, &theirs);
        assert_eq!(text.matches("Ccccccc").count(), 1, "{text}");
        assert!(text.contains("Ddddddd") && text.lines().all(|line| line.len() <= 100), "{text}");
    }

    #[test]
    fn other_imports_and_other_code_are_left_to_the_merge() {
        let base = "pub use a::B;\nuse a::{b::{C}, D};\nuse a::*;\n// use a::B;\n";
        let [one, two, three] = align(base, base, &base.replace('B', "X"));
        assert_eq!((one.as_str(), two.as_str()), (base, base));
        assert_eq!(three, base.replace('B', "X"));
        let conflict = merge_rust(b"fn f() {}\n", b"fn g() {}\n", b"fn h() {}\n");
        assert!(matches!(conflict, Merge::Conflict(_)));
    }

    #[test]
    fn code_that_is_taken_over_brings_what_it_needs() {
        let source = "use a::b::{C, D};\nuse m::events;\nuse z::Z;\n\nfn f() { events![C] }\n";
        let text = "use a::b::{D, E};\nuse y::F;\n\nfn f() { events![C] }\n\nfn g() { D }\n";
        let expected = "use a::b::{C, D};\nuse m::events;\nuse y::F;\n\nfn f() { events![C] }\n\nfn g() { D }\n";
        assert_eq!(carry(source, text, 0, "events![C]", "E(D)"), expected);
        assert_eq!(carry(source, text, 0, "", "F"), text.replace("use y::F;\n", ""));
        assert_eq!(carry(source, text, 4, "events![C]", "E(D)"), text, "they are imported elsewhere");
        assert_eq!(carry("use a::B;\n", "fn f() {}\n", 0, "B", ""), "fn f() {}\n", "it has nowhere to go");
        for (source, text, taken_over, taken_out, expected) in [
            (
                "use a::A;\nuse b::Y;\n",
                "use b::{X, Y};\n\nfn f() { A; Y }\n",
                "A",
                "X",
                "use a::A;\nuse b::Y;\n\nfn f() { A; Y }\n",
            ),
            ("use a::b::{self, C as D};\n", "use z::Z;\n", "b::x; D", "", "use a::b::{self, C as D};\nuse z::Z;\n"),
            (
                "use m::a::A;\n",
                "use crate::z::Z;\n\nuse m::F;\n",
                "A",
                "",
                "use crate::z::Z;\n\nuse m::F;\nuse m::a::A;\n",
            ),
        ] {
            assert_eq!(carry(source, text, 0, taken_over, taken_out), expected);
        }
    }

    #[test]
    fn another_order_of_the_same_names_is_no_conflict() {
        let base = "use a::{B, Z, D};\n\nfn f() {}\n";
        let mine = "use a::{B, Z, D, X};\n\nfn f() { mine() }\n";
        let theirs = "use a::{B, D, Z};\n\nfn f() {}\n";
        assert_eq!(merged(base, mine, theirs), mine);
    }

    #[test]
    fn imports_with_attributes_are_left_alone() {
        for attribute in ["#[cfg(feature = \"extra\")]\n", "#[cfg(\n    test\n)]\n// Why.\n\n", "#[x] // Why.\n"] {
            let base = "use a::B;\n\nfn f() {}\n";
            let mine = format!("{attribute}use a::X;\nuse a::B;\n\nfn f() {{}}\n");
            let theirs = base.replace("a::B", "a::{B, C}");
            assert_eq!(merged(base, &mine, &theirs), mine.replace("a::B", "a::{B, C}"));
        }
    }

    fn names() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set("[A-H]", 1..6)
    }

    proptest! {
        /// Whatever either side imports is imported, but what one of them took out.
        #[test]
        fn imports_never_conflict((base, mine, theirs) in (names(), names(), names())) {
            let text = |names: &BTreeSet<String>| {
                let names: Vec<String> = names.iter().cloned().collect();
                format!("//! Head.\n\n{}\nfn f() {{}}\n", rust::use_list("a::b", &names, 0))
            };
            let merged = merged(&text(&base), &text(&mine), &text(&theirs));
            let has: BTreeSet<String> = imports(&merged).iter().flat_map(|it| &it.names).map(|it| (*it).to_owned()).collect();
            for name in mine.union(&theirs) {
                let taken_out = base.contains(name) && !(mine.contains(name) && theirs.contains(name));
                prop_assert_eq!(has.contains(name), !taken_out, "{} in\n{}", name, merged);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "(use |a::|\\{|\\}|,|;|B|C|\n| |ü){0,20}", other in "(use |a::|\\{|B|;|\n){0,12}") {
            let _ = align(&text, &other, &text);
            let _ = align(&other, &text, &other);
            let _ = carry(&text, &other, 0, "B", "C");
        }
    }
}
