//! What seeds leave to be written: commands and queries that are refused with UNIMPLEMENTED.

use crate::file::Class;
use crate::reconcile::Step;
use crate::tokens::{Kind, Token, tokens};

/// A command or query that isn't written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unimplemented {
    /// The seed.
    pub path: String,
    /// The line of the refusal, from 1.
    pub line: usize,
    /// What is refused, as the seed names it.
    pub name: String,
}

/// All of them, by path and line.
pub(super) fn find(steps: &[Step]) -> Vec<Unimplemented> {
    let seeds = steps.iter().filter(|step| step.class == Class::Seed && step.path.ends_with(".rs"));
    let texts = seeds.filter_map(|step| Some((&step.path, std::str::from_utf8(step.before.as_deref()?).ok()?)));
    texts.flat_map(|(path, text)| in_text(path, text)).collect()
}

/// `XError::Unimplemented("name")` and `Failure::unimplemented("name")`.
fn in_text(path: &str, text: &str) -> Vec<Unimplemented> {
    let mut line = 1;
    let mut found = Vec::new();
    let mut last: [&str; 2] = ["", ""];
    for Token { kind, text } in tokens(text) {
        let refuses = last[1] == "(" && matches!(last[0], "Unimplemented" | "unimplemented");
        if kind == Kind::Literal && refuses {
            let name = text.trim_matches('"').to_owned();
            found.push(Unimplemented { path: path.to_owned(), line, name });
        }
        if !matches!(kind, Kind::Space | Kind::Comment) {
            last = [last[1], text];
        }
        line += text.matches('\n').count();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_found_where_they_are() {
        let text = "fn f() {\n    // Unimplemented(\"in a comment\")\n    Err(E::Unimplemented(\n        \"reserve\"))\n}\n\
                    fn g() { Err(Failure::unimplemented(\"shop.Shop/Find\")) }\nfn h() { unimplemented(name) }\n";
        let found: Vec<_> = in_text("a.rs", text).into_iter().map(|it| (it.line, it.name)).collect();
        assert_eq!(found, [(4, "reserve".to_owned()), (6, "shop.Shop/Find".to_owned())]);
    }
}
