//! What a check found.

mod annotations;
mod sarif;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::plan::diagnostic;
use crate::check::{Check, Finding, Status};

pub use annotations::github;
pub use sarif::sarif;

/// For a person: each finding with its reason, what to do, and the diff; then how many of each there are.
pub fn text(check: &Check) -> String {
    let findings: String = check.findings.iter().map(finding).collect();
    format!("{findings}{}{}\n", unimplemented(check), summary(check))
}

/// One JSON document.
pub fn json(check: &Check, strict: bool) -> String {
    let unimplemented = check.unimplemented.iter();
    let document = json!({
        "findings": check.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "unimplemented": unimplemented
            .map(|it| json!({ "path": it.path, "line": it.line, "name": it.name }))
            .collect::<Vec<_>>(),
        "diagnostics": check.warnings.iter().map(diagnostic).collect::<Vec<_>>(),
        "exit_code": check.exit_code(strict),
    });
    format!("{document:#}\n")
}

fn finding(it: &Finding) -> String {
    let place = it.place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
    let code = it.code.map(|code| format!("[{code}] ")).unwrap_or_default();
    let symbol = if it.symbol.is_empty() { String::new() } else { format!(" ({})", it.symbol) };
    let help = it.help.replace('\n', "\n              ");
    let Finding { status, path, message, diff, .. } = it;
    format!("{status:<12}  {path}{place}{symbol}\n              {code}{message}\n              {help}\n{diff}")
}

fn unimplemented(check: &Check) -> String {
    let lines = check.unimplemented.iter();
    lines.map(|it| format!("{:<12}  {}:{} {} waits for you\n", "unwritten", it.path, it.line, it.name)).collect()
}

fn summary(check: &Check) -> String {
    let mut counts: BTreeMap<Status, usize> = BTreeMap::new();
    check.findings.iter().for_each(|it| *counts.entry(it.status).or_default() += 1);
    match counts.is_empty() {
        true => "protos, lock and files agree".to_owned(),
        false => counts.iter().map(|(status, count)| format!("{count} {status}")).collect::<Vec<_>>().join(", "),
    }
}

fn finding_json(it: &Finding) -> Value {
    json!({
        "status": it.status.to_string(),
        "path": it.path,
        "line": it.place.map(|place| place.0),
        "column": it.place.map(|place| place.1),
        "symbol": it.symbol,
        "code": it.code.map(|code| code.to_string()),
        "message": it.message,
        "help": it.help,
        "diff": it.diff,
    })
}

/// A file as seen from where the command ran; `folder` is the project's.
fn seen_from_here(folder: &str, finding: &Finding) -> String {
    // A proto is named as the user named it.
    if finding.status == Status::Breaking { finding.path.clone() } else { joined(folder, &finding.path) }
}

fn joined(folder: &str, path: &str) -> String {
    match folder.trim_end_matches('/') {
        "" | "." => path.to_owned(),
        folder => format!("{}/{path}", folder.trim_start_matches("./")),
    }
}
