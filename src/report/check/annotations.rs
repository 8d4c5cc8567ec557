//! Annotations of GitHub Actions: one line per finding on standard output.

use super::{joined, seen_from_here};
use crate::check::{Check, Finding};
use crate::diagnostic::{Diagnostic, Severity};

/// The annotations; `folder` is the project's, as seen from the repository's root.
pub fn github(check: &Check, folder: &str, strict: bool) -> String {
    let findings = check.findings.iter().map(|it| finding(it, folder, strict));
    let unwritten = check.unimplemented.iter().map(|it| {
        let place = format!("file={},line={}", property(&joined(folder, &it.path)), it.line);
        format!("::notice {place},title=unwritten::{}\n", data(&format!("{} waits for you", it.name)))
    });
    let diagnostics = check.warnings.iter().map(diagnostic);
    findings.chain(diagnostics).chain(unwritten).collect()
}

fn finding(it: &Finding, folder: &str, strict: bool) -> String {
    let level = if it.status.is_lenient() && !strict { "warning" } else { "error" };
    let place = it.place.map(|(line, column)| format!(",line={line},col={column}")).unwrap_or_default();
    let file = property(&seen_from_here(folder, it));
    let message = data(&format!("{}\n{}", it.message, it.help));
    let code = it.code.map(|code| format!(" {code}")).unwrap_or_default();
    format!("::{level} file={file}{place},title={}{code}::{message}\n", it.status)
}

fn diagnostic(it: &Diagnostic) -> String {
    let level = match it.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = it.location.as_ref().map(|place| {
        let line =
            if place.line > 0 { format!(",line={},col={}", place.line, place.column.max(1)) } else { String::new() };
        format!("file={}{line},", property(&place.file))
    });
    let help = it.help.iter().map(|help| format!("\n{help}")).collect::<String>();
    let title = property(&format!("{} {}", it.code, it.code.title()));
    format!("::{level} {}title={title}::{}\n", place.unwrap_or_default(), data(&format!("{}{help}", it.message)))
}

/// What ends a message or a property is written as GitHub's runner reads it back.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;

    #[test]
    fn a_finding_is_one_line_whatever_it_says() {
        let finding = Finding {
            status: Status::Modified,
            path: "src/a,b:c.rs".to_owned(),
            place: Some((3, 1)),
            symbol: String::new(),
            code: None,
            message: "100% wrong\nreally".to_owned(),
            help: "undo it".to_owned(),
            diff: String::new(),
        };
        let check = Check { findings: vec![finding], ..Check::default() };
        assert_eq!(
            github(&check, "./services/shop/", false),
            "::error file=services/shop/src/a%2Cb%3Ac.rs,line=3,col=1,title=MODIFIED::100%25 wrong%0Areally%0Aundo it\n"
        );
    }
}
