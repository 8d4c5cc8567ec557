//! The published contract, judged here and by the real `buf breaking`: both must name the same rules.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use potter_gen::{
    evolution::{self, Rule},
    history::History,
};

use crate::protos;

/// What is before and after each change; `message M` is part of a request.
const CHANGES: &[(&str, &str)] = &[
    ("string a = 1;", "string a = 1; string b = 2;"),
    ("string a = 1;", ""),
    ("string a = 1;", "reserved 1;"),
    ("string a = 1;", "reserved \"a\";"),
    ("string a = 1;", "reserved 1; reserved \"a\";"),
    ("string a = 1;", "string b = 1;"),
    ("string a = 1;", "string a = 2;"),
    ("string a = 1; string b = 2;", "string b = 1; string a = 2;"),
    ("string a = 1;", "string b = 1 [json_name = \"a\"];"),
    ("string a = 1;", "string a = 1 [json_name = \"b\"];"),
    ("string a = 1;", "bytes a = 1;"),
    ("bytes a = 1;", "string a = 1;"),
    ("int32 a = 1;", "int64 a = 1;"),
    ("int32 a = 1;", "uint32 a = 1;"),
    ("int32 a = 1;", "sint32 a = 1;"),
    ("int32 a = 1;", "bool a = 1;"),
    ("uint64 a = 1;", "int64 a = 1;"),
    ("fixed32 a = 1;", "sfixed32 a = 1;"),
    ("fixed32 a = 1;", "fixed64 a = 1;"),
    ("float a = 1;", "double a = 1;"),
    ("sint32 a = 1;", "sint64 a = 1;"),
    ("E a = 1;", "int32 a = 1;"),
    ("E a = 1;", "F a = 1;"),
    ("E a = 1;", "In.E a = 1;"),
    ("N a = 1;", "O a = 1;"),
    ("N a = 1;", "string a = 1;"),
    ("N a = 1;", "bytes a = 1;"),
    ("int32 a = 1;", "optional int32 a = 1;"),
    ("optional int32 a = 1;", "int32 a = 1;"),
    ("N a = 1;", "optional N a = 1;"),
    ("int32 a = 1;", "repeated int32 a = 1;"),
    ("repeated N a = 1;", "N a = 1;"),
    ("oneof o { string a = 1; }", "oneof o { string a = 1; string b = 2; }"),
    ("oneof o { string a = 1; }", "oneof p { string a = 1; }"),
    ("oneof o { string a = 1; string b = 2; }", "oneof o { string b = 2; } string a = 1;"),
    ("oneof o { string a = 1; }", "optional string a = 1;"),
    ("string a = 1;", "oneof o { string a = 1; }"),
    (
        "oneof o { string a = 1; string b = 2; } oneof p { string c = 3; }",
        "oneof o { string a = 1; } oneof p { string b = 2; string c = 3; }",
    ),
    ("oneof o { string a = 1; }", ""),
    ("reserved 1 to 5;", "reserved 1 to 4;"),
    ("reserved 1 to 5;", "reserved 1 to 9;"),
    ("reserved 1, 3;", "reserved 1; string c = 3;"),
    ("reserved \"a\";", "string a = 1;"),
    ("reserved \"a\", \"b\";", "reserved \"a\";"),
    ("G a = 1;", "G a = 1; reserved 2;"),
];

/// The same for the values of the enum `G`, which is part of a request.
const VALUES: &[(&str, &str)] = &[
    ("B = 1;", "B = 1; C = 2;"),
    ("B = 1;", ""),
    ("B = 1;", "reserved 1;"),
    ("B = 1;", "reserved \"B\";"),
    ("B = 1;", "reserved 1; reserved \"B\";"),
    ("B = 1;", "C = 1;"),
    ("B = 1;", "B = 2;"),
    ("B = 1;", "option allow_alias = true; C = 1; B = 1;"),
    ("option allow_alias = true; C = 1; B = 1;", "C = 1;"),
    ("option allow_alias = true; C = 1; B = 1;", ""),
    ("option allow_alias = true; C = 1; B = 1;", "reserved \"C\";"),
    ("reserved 1 to 5;", "reserved 1 to 3, 5;"),
    ("reserved 1;", "B = 1;"),
    ("reserved \"B\";", "B = 1;"),
];

/// The same for the whole file.
const FILES: &[(&str, &str)] = &[
    ("rpc Get(Request) returns (Reply)", "rpc Fetch(Request) returns (Reply)"),
    ("rpc Get(Request) returns (Reply)", "rpc Get(Other) returns (Reply)"),
    ("rpc Get(Request) returns (Reply)", "rpc Get(Request) returns (Other)"),
    ("service Shop", "service Store"),
    ("message N {", "message Renamed { } message N {"),
];

fn file(fields: &str, values: &str) -> String {
    format!(
        r#"syntax = "proto3";
        package shop;
        import "potter/options.proto";
        message Product {{ option (potter.aggregate) = {{}}; string id = 1; }}
        service Shop {{
          option (potter.service) = {{ module_name: "shop" }};
          rpc Get(Request) returns (Reply) {{ option (potter.query) = {{ read_model: "ProductReadModel" }}; }}
        }}
        message Request {{ string id = 1; M m = 2; G g = 3; }}
        message Reply {{ Product product = 1; }}
        message Other {{ string id = 1; string other = 2; }}
        message M {{ {fields} }}
        message N {{ string n = 1; }}
        message O {{ string n = 1; }}
        message In {{ enum E {{ E0 = 0; E1 = 1; E2 = 2; }} }}
        enum E {{ E0 = 0; E1 = 1; }}
        enum F {{ F0 = 0; F1 = 1; }}
        enum G {{ {values} G0 = 0; }}"#
    )
    // The first value of an open enum is zero.
    .replace(&format!("enum G {{ {values} G0 = 0; }}"), &format!("enum G {{ {} }}", zero_first(values)))
}

fn zero_first(values: &str) -> String {
    match values.strip_prefix("option allow_alias = true;") {
        Some(rest) => format!("option allow_alias = true; G0 = 0; {rest}"),
        None => format!("G0 = 0; {values}"),
    }
}

#[test]
fn every_change_breaks_the_rules_that_buf_names() {
    let fields = CHANGES.iter().map(|(was, now)| (file(was, "B = 1;"), file(now, "B = 1;")));
    let values = VALUES.iter().map(|(was, now)| (file("G a = 1;", was), file("G a = 1;", now)));
    let files = FILES.iter().map(|(was, now)| {
        let file = file("N n = 1;", "B = 1;");
        let changed = file.replace(was, now);
        assert_ne!(file, changed, "{was} is there");
        (file, changed)
    });
    let cases: Vec<_> = fields.chain(values).chain(files).collect();
    let bufs = bufs(&cases);
    let different: Vec<_> =
        cases.iter().zip(bufs).filter_map(|((was, now), bufs)| different(was, now, &bufs)).collect();
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

/// What the two say differently of a change.
fn different(was: &str, now: &str, bufs: &BTreeSet<String>) -> Option<String> {
    let ours = ours(was, now);
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    let (own, others) = (only(&ours, bufs), only(bufs, &ours));
    let lines = was.lines().zip(now.lines()).filter(|(was, now)| was != now);
    let changed: String = lines.map(|(was, now)| format!("{}\n{}\n", was.trim(), now.trim())).collect();
    (ours != *bufs).then(|| format!("{changed}  only here: {own:?}\n  only buf: {others:?}"))
}

fn ours(was: &str, now: &str) -> BTreeSet<String> {
    let mut history = History::default();
    history.record(&protos::build(was).1);
    let (descriptors, module) = protos::build(now);
    let found = evolution::findings(&history, &module, &descriptors);
    found.iter().flat_map(|it| &it.rules).map(|it| it.id().to_owned()).collect()
}

/// What buf says of each change, of the rules that are judged here. One run judges them all, each change being a
/// package of its own.
fn bufs(cases: &[(String, String)]) -> Vec<BTreeSet<String>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["was", "now"] {
        let module = folder.path().join(name);
        fs::create_dir_all(module.join("potter")).expect("a writable folder");
        let categories = "version: v2\nbreaking:\n  use: [FILE, PACKAGE, WIRE_JSON, WIRE]\n";
        fs::write(module.join("buf.yaml"), categories).expect("a writable folder");
        fs::copy(repository().join("proto/potter/options.proto"), module.join("potter/options.proto"))
            .expect("a writable folder");
    }
    for (at, (was, now)) in cases.iter().enumerate() {
        for (name, text) in [("was", was), ("now", now)] {
            let text = text.replace("package shop;", &format!("package case{at};"));
            fs::write(folder.path().join(format!("{name}/{at}.proto")), text).expect("a writable folder");
        }
    }
    let output = Command::new(tool("node_modules/.bin/buf"))
        .args(["breaking", "--against", "../was", "--error-format", "json"])
        .current_dir(folder.path().join("now"))
        .output()
        .unwrap_or_else(|error| panic!("buf: {error}; `make tools` installs it"));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut said = vec![BTreeSet::new(); cases.len()];
    for line in String::from_utf8(output.stdout).expect("JSON is UTF-8").lines() {
        let annotation: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |key: &str| annotation[key].as_str().expect("an annotation has its file and rule");
        let case: usize = text("path").trim_end_matches(".proto").parse().expect("files are called by their number");
        if Rule::ALL.iter().any(|it| it.id() == text("type")) {
            said[case].insert(text("type").to_owned());
        }
    }
    said
}

#[test]
fn the_categories_are_bufs() {
    let output = Command::new(tool("node_modules/.bin/buf"))
        .args(["config", "ls-breaking-rules", "--version", "v2", "--format", "json"])
        .output()
        .unwrap_or_else(|error| panic!("buf: {error}; `make tools` installs it"));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let rules: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for rule in Rule::ALL {
        let bufs = rules.iter().find(|it| it["id"] == rule.id()).unwrap_or_else(|| panic!("buf has no {}", rule.id()));
        let bufs: BTreeSet<_> =
            bufs["categories"].as_array().expect("a list").iter().filter_map(|it| it.as_str()).collect();
        let ours: BTreeSet<_> = rule.categories().iter().map(|it| it.as_str()).collect();
        // CSR is for a product of buf's own.
        assert_eq!(ours, bufs.into_iter().filter(|it| *it != "CSR").collect(), "{}", rule.id());
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tool(path: &str) -> PathBuf {
    repository().join("target/tools").join(path)
}
