//! SARIF 2.1.0, as code scanners and editors read it.

use serde_json::{Value, json};

use super::{joined, seen_from_here};
use crate::check::{Check, Finding, Status, Unimplemented};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The rule that what isn't written yet is reported under.
const UNWRITTEN: &str = "UNWRITTEN";

/// One document with one run; `folder` is the project's, as seen from the repository's root.
pub fn sarif(check: &Check, folder: &str, strict: bool) -> String {
    let findings = check.findings.iter().map(|it| finding(it, folder, strict));
    let unwritten = check.unimplemented.iter().map(|it| unwritten(it, folder));
    let results: Vec<Value> = findings.chain(unwritten).collect();
    let driver = json!({ "name": "potter-gen", "version": env!("CARGO_PKG_VERSION"), "rules": rules() });
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results }],
    });
    format!("{document:#}\n")
}

fn rules() -> Vec<Value> {
    let rule = |id: String, meaning: &str| json!({ "id": id, "shortDescription": { "text": meaning } });
    let mut rules: Vec<Value> = Status::ALL.iter().map(|it| rule(it.to_string(), it.meaning())).collect();
    rules.push(rule(UNWRITTEN.to_owned(), "a command or query is not written yet"));
    rules
}

fn finding(it: &Finding, folder: &str, strict: bool) -> Value {
    let level = if it.status.is_lenient() && !strict { "warning" } else { "error" };
    let code = it.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
    let index = Status::ALL.iter().position(|status| *status == it.status).unwrap_or_default();
    result(
        (&it.status.to_string(), index),
        level,
        &format!("{code}{}; {}", it.message, it.help),
        &seen_from_here(folder, it),
        it.place.unwrap_or((1, 1)),
    )
}

fn unwritten(it: &Unimplemented, folder: &str) -> Value {
    let path = joined(folder, &it.path);
    result((UNWRITTEN, Status::ALL.len()), "note", &format!("{} waits for you", it.name), &path, (it.line, 1))
}

fn result((rule, index): (&str, usize), level: &str, text: &str, path: &str, (line, column): (usize, usize)) -> Value {
    json!({
        "ruleId": rule,
        "ruleIndex": index,
        "level": level,
        "message": { "text": text },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(path) },
                "region": { "startLine": line, "startColumn": column },
            },
        }],
        "partialFingerprints": { "potterFinding/v1": format!("{rule}:{path}:{text}") },
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
