//! SARIF 2.1.0, as code scanners and editors read it.

use serde_json::{Value, json};

use super::{joined, seen_from_here};
use crate::check::{Check, Finding, Status, Unimplemented};
use crate::diagnostic::{Code, Diagnostic, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The rule that what isn't written yet is reported under.
const UNWRITTEN: &str = "UNWRITTEN";

/// One document with one run; `folder` is the project's, as seen from the repository's root.
pub fn sarif(check: &Check, folder: &str, strict: bool) -> String {
    let findings = check.findings.iter().map(|it| finding(it, folder, strict));
    let diagnostics = check.warnings.iter().map(diagnostic);
    let unwritten = check.unimplemented.iter().map(|it| unwritten(it, folder));
    let results: Vec<Value> = findings.chain(diagnostics).chain(unwritten).map(json).collect();
    let driver = json!({ "name": "potter-gen", "version": env!("CARGO_PKG_VERSION"), "rules": rules() });
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results }],
    });
    format!("{document:#}\n")
}

/// What a result is reported under.
#[derive(Clone, Copy)]
enum Rule {
    Status(Status),
    Code(Code),
    Unwritten,
}

impl Rule {
    fn id(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Code(code) => code.to_string(),
            Self::Unwritten => UNWRITTEN.to_owned(),
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Status(status) => status.meaning(),
            Self::Code(code) => code.title(),
            Self::Unwritten => "a command or query is not written yet",
        }
    }

    /// Its place among [`rules`].
    fn index(self) -> usize {
        let place = match self {
            Self::Status(status) => Status::ALL.iter().position(|it| *it == status),
            Self::Unwritten => Some(Status::ALL.len()),
            Self::Code(code) => Code::ALL.iter().position(|it| *it == code).map(|it| Status::ALL.len() + 1 + it),
        };
        place.expect("all are in their list")
    }
}

fn rules() -> Vec<Value> {
    let statuses = Status::ALL.iter().map(|it| Rule::Status(*it)).chain([Rule::Unwritten]);
    let all = statuses.chain(Code::ALL.iter().map(|it| Rule::Code(*it)));
    all.map(|it| json!({ "id": it.id(), "shortDescription": { "text": it.meaning() } })).collect()
}

/// A result before it is JSON.
struct Found {
    rule: Rule,
    level: &'static str,
    text: String,
    path: String,
    place: (usize, usize),
}

fn finding(it: &Finding, folder: &str, strict: bool) -> Found {
    Found {
        rule: it.code.map_or(Rule::Status(it.status), Rule::Code),
        level: if it.status.is_lenient() && !strict { "warning" } else { "error" },
        text: format!("{}: {}; {}", it.status, it.message, it.help),
        path: seen_from_here(folder, it),
        place: it.place.unwrap_or((1, 1)),
    }
}

fn diagnostic(it: &Diagnostic) -> Found {
    let help = it.help.iter().map(|help| format!("; {help}")).collect::<String>();
    let place = it.location.as_ref();
    Found {
        rule: Rule::Code(it.code),
        level: if it.severity == Severity::Error { "error" } else { "warning" },
        text: format!("{}{help}", it.message),
        path: place.map(|it| it.file.clone()).unwrap_or_default(),
        place: place.map_or((1, 1), |it| (it.line.max(1), it.column.max(1))),
    }
}

fn unwritten(it: &Unimplemented, folder: &str) -> Found {
    let text = format!("{} waits for you", it.name);
    Found { rule: Rule::Unwritten, level: "note", text, path: joined(folder, &it.path), place: (it.line, 1) }
}

fn json(it: Found) -> Value {
    let Found { rule, level, text, path, place: (line, column) } = it;
    let id = rule.id();
    let physical = json!({
        "artifactLocation": { "uri": uri(&path) },
        "region": { "startLine": line, "startColumn": column },
    });
    // What is nowhere in the protos has no place.
    let locations = if path.is_empty() { json!([]) } else { json!([{ "physicalLocation": physical }]) };
    json!({
        "ruleId": id,
        "ruleIndex": rule.index(),
        "level": level,
        "message": { "text": text },
        "locations": locations,
        "partialFingerprints": { "potterFinding/v1": format!("{id}:{path}:{text}") },
    })
}

/// A path as a relative reference: what isn't plain is percent-encoded.
fn uri(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encode = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_what_the_standard_asks_for() {
        let finding = Finding {
            status: Status::Stale,
            path: "proto/a b.proto".to_owned(),
            place: None,
            symbol: String::new(),
            code: None,
            message: "the protos changed".to_owned(),
            help: "run it".to_owned(),
            diff: String::new(),
        };
        let unwritten = Unimplemented { path: "src/a.rs".to_owned(), line: 7, name: "f".to_owned() };
        let check = Check { findings: vec![finding], unimplemented: vec![unwritten], ..Check::default() };
        let document: Value = serde_json::from_str(&sarif(&check, "shop", false)).expect("JSON");
        assert_eq!(document["version"], "2.1.0");
        let run = &document["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        for result in run["results"].as_array().expect("results") {
            let index = result["ruleIndex"].as_u64().expect("an index") as usize;
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(matches!(result["level"].as_str(), Some("error" | "warning" | "note" | "none")));
            assert!(result["message"]["text"].is_string());
            let place = &result["locations"][0]["physicalLocation"];
            assert!(place["region"]["startLine"].as_u64().expect("a line") > 0);
        }
        let uri = &run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(uri, "shop/proto/a%20b.proto");
    }
}
