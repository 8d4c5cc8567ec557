//! Diagnostics: what is wrong in the input, where, and what to write instead.
//!
//! In: findings of the stages, in any order. Out: text for a person and for editors,
//!
//! ```text
//! shop.proto:12:3: error[P012]: command ReserveStock names an unknown aggregate `Prodct`
//!    12 |     option (potter.command) = { aggregate: "Prodct" };
//!       |                                            ^^^^^^^^
//!    help: did you mean `Product`?
//! ```
//!
//! The codes and their pages are in [`codes`](Code); `explain` prints the pages.

mod codes;

use std::{fmt, str::FromStr};

pub use codes::{Code, UnknownCode};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is generated.
    Error,
    /// Something was said that this version ignores or reads differently than expected.
    Warning,
}

/// What `--deny` names: warnings that are to be errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// Every warning.
    All,
    /// Those of one code.
    Code(Code),
}

impl FromStr for Denied {
    type Err = UnknownCode;

    /// Reads `all`, or a code in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            all if all.eq_ignore_ascii_case("all") => Ok(Denied::All),
            code => code.parse().map(Denied::Code),
        }
    }
}

/// A place in a proto file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file as the user named it, else by its import name.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: usize,
    /// Column in characters, from 1; 0 when unknown.
    pub column: usize,
    /// How many characters are meant; at least 1.
    pub width: usize,
    /// The text of the line, where the source is at hand.
    pub text: Option<String>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where; `None` for what concerns no file, such as a parameter.
    pub location: Option<Location>,
    /// What is wrong: lowercase, no final full stop, names the offending thing.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Full name of the proto element that it is about, where it is told.
    pub symbol: Option<String>,
}

impl Diagnostic {
    /// A finding of the severity that its code has.
    pub fn new(code: Code, location: Option<Location>, message: impl Into<String>) -> Self {
        Diagnostic { code, severity: code.severity(), location, message: message.into(), help: None, symbol: None }
    }

    /// Adds the full name of the proto element that it is about.
    pub fn about(mut self, symbol: impl Into<String>) -> Self {
        self.symbol = Some(symbol.into());
        self
    }

    /// Adds what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]: {}", self.code, self.message)?;
        let gutter = match &self.location {
            Some(location) => write_snippet(f, location)?,
            None => 3,
        };
        match &self.help {
            Some(help) => write_help(f, gutter, help),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match (self.line, self.column) {
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}

/// Prints the line and its caret; gives the width of the gutter.
fn write_snippet(f: &mut fmt::Formatter<'_>, location: &Location) -> Result<usize, fmt::Error> {
    let gutter = location.line.to_string().len().max(2) + 2;
    let Some(text) = location.text.as_deref().filter(|_| location.line > 0) else {
        return Ok(3);
    };
    write!(f, "\n{:>gutter$} | {}", location.line, text.trim_end())?;
    if location.column > 0 {
        // A tab stays a tab under the line, so that the caret stands right at any tab width.
        let lead: String = text.chars().take(location.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "\n{:>gutter$} | {lead}{}", "", "^".repeat(location.width.max(1)))?;
    }
    Ok(gutter)
}

fn write_help(f: &mut fmt::Formatter<'_>, gutter: usize, help: &str) -> fmt::Result {
    let mut lines = help.lines();
    write!(f, "\n{:>gutter$} help: {}", "", lines.next().unwrap_or_default())?;
    lines.try_for_each(|line| write!(f, "\n{:>gutter$}       {line}", ""))
}

/// The findings of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    findings: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Nothing found yet.
    pub fn new() -> Self {
        Diagnostics::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.findings.push(diagnostic);
    }

    /// Adds the findings of another stage.
    pub fn append(&mut self, other: Diagnostics) {
        self.findings.extend(other.findings);
    }

    /// Whether one of the findings forbids to generate.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.iter().filter(|it| it.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// The findings, in the order of [`Diagnostics::sorted`] once that was called.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.findings.iter()
    }

    /// The same, with warnings that are denied being errors.
    pub fn deny(mut self, denied: &[Denied]) -> Self {
        for finding in &mut self.findings {
            if denied.contains(&Denied::All) || denied.contains(&Denied::Code(finding.code)) {
                finding.severity = Severity::Error;
            }
        }
        self
    }

    /// The same, files of one folder being told as those of another.
    pub fn seen_in(mut self, folder: &str, other: &str) -> Self {
        for place in self.findings.iter_mut().filter_map(|it| it.location.as_mut()) {
            if let Some(rest) = place.file.strip_prefix(folder) {
                place.file = format!("{other}{rest}");
            }
        }
        self
    }

    /// By file, line, column and code; each finding once.
    pub fn sorted(mut self) -> Self {
        self.findings.sort_by(|a, b| {
            let key = |it: &Diagnostic| {
                let at = it.location.clone().unwrap_or_default();
                (at.file, at.line, at.column, it.code, it.message.clone())
            };
            key(a).cmp(&key(b))
        });
        self.findings.dedup();
        self
    }
}

impl fmt::Display for Diagnostics {
    /// One finding after the other, each on its own line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics { findings: vec![diagnostic] }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.findings.into_iter()
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, findings: T) {
        self.findings.extend(findings);
    }
}

/// The name that was probably meant, if one is near: `did you mean …?`
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|it| (strsim::damerau_levenshtein(&lower, &it.to_lowercase()), it))
        .filter(|(distance, it)| *distance <= 1.max(it.chars().count().min(name.chars().count()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// Help for an unknown name: the near one, else all that there are.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let mut all: Vec<String> = Vec::new();
    for it in known.into_iter().map(|it| format!("`{it}`")) {
        // A name that is wrongly given twice is no choice twice.
        if !all.contains(&it) {
            all.push(it);
        }
    }
    match all.as_slice() {
        [] => "there is none".to_owned(),
        [one] => format!("the only one is {one}"),
        _ => format!("there are {}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_twice_is_suggested_once() {
        assert_eq!(suggestion("x", ["order.placed", "order.placed"]), "the only one is `order.placed`");
        assert_eq!(suggestion("x", ["aaa", "bbb", "aaa"]), "there are `aaa`, `bbb`");
    }

    #[test]
    fn finds_the_near_name_only_when_it_is_near() {
        assert_eq!(nearest("Prodct", ["Order", "Product"]), Some("Product"));
        assert_eq!(nearest("rset", ["REST", "gRPC"]), Some("REST"));
        assert_eq!(nearest("Customer", ["Order", "Product"]), None);
    }

    #[test]
    fn denied_warnings_are_errors() {
        let found = || {
            let codes = [Code::MissingDocs, Code::EventNeverRecorded];
            Diagnostics { findings: codes.map(|it| Diagnostic::new(it, None, "no")).to_vec() }
        };
        let denied = |text: &str| text.parse::<Denied>().map(|it| found().deny(&[it]).errors());
        assert_eq!(found().deny(&[]).errors(), 0);
        assert_eq!((denied("p085"), denied("P012"), denied("ALL")), (Ok(1), Ok(0), Ok(2)));
        assert!(denied("P9999").is_err());
    }

    #[test]
    fn keeps_the_caret_under_its_word_after_tabs_and_wide_letters() {
        let location = Location { file: "a.proto".into(), line: 3, column: 4, width: 2, text: Some("\té xx;".into()) };
        let text = Diagnostic::new(Code::SyntaxError, Some(location), "no").to_string();
        assert_eq!(text, "a.proto:3:4: error[P001]: no\n   3 | \té xx;\n     | \t  ^^");
    }
}
