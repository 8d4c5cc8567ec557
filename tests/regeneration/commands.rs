//! The commands as a person and a pipeline use them.

use std::process::{Command, Output};

use potter_gen::check::Status;
use potter_gen::lock::Lock;
use serde_json::Value;

use crate::project::{PROTO, Project, RULES, command, first, with_note};

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&output.stdout)))
}

#[test]
fn inside_a_project_the_bare_command_is_enough() {
    let project = Project::new(&first());
    project.write(PROTO, &with_note());
    assert_eq!(code(&project.run(&["check"])), Some(1));
    assert_eq!(code(&project.run(&["update"])), Some(0));
    assert_eq!(code(&project.run(&["generate"])), Some(0), "it has two names");
    assert_eq!(code(&project.run(&["check", "--strict"])), Some(0));
}

#[test]
fn a_dry_run_says_what_a_run_does_and_writes_nothing() {
    let project = Project::new(&first());
    project.edit(RULES, "//!", "//! Mine.\n//!");
    project.write(PROTO, &with_note());
    let before = project.tree();
    let dry = project.run(&["update", "--dry-run", "--format", "json"]);
    assert_eq!(project.tree(), before);
    let run = project.run(&["update", "--format", "json"]);
    assert_eq!((code(&dry), code(&run)), (Some(2), Some(2)));
    assert_eq!(json(&dry), json(&run));
    let text = String::from_utf8(project.run(&["update", "--dry-run"]).stdout).expect("text");
    assert!(text.contains("seed, shop.Order: you changed it, and so did Potter"), "{text}");
    assert!(text.contains("+    fn note_order("), "{text}");
}

#[test]
fn a_plan_that_changes_nothing_but_potters_records_says_so() {
    let project = Project::new(&first());
    project.write(PROTO, &(first() + "\n// More of them later.\n"));
    let steps = |run: &Output| json(run)["steps"].as_array().expect("steps").clone();
    let changed = |run: &Output| -> Vec<String> {
        let changed = steps(run).into_iter().filter(|step| step["changes_the_file"] == true);
        changed.map(|step| step["path"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let before = project.tree();
    let dry = project.run(&["update", "--dry-run", "--format", "json"]);
    let text = String::from_utf8(project.run(&["update", "--dry-run"]).stdout).expect("text");
    assert!(text.contains("a copy of proto/shop.proto") && text.contains("b/potter.lock"), "{text}");
    let run = project.run(&["update"]);
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(told.contains("potter.lock") && told.contains("only Potter's records change"), "{told}");
    let paths = |tree: &std::collections::BTreeMap<String, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
    let mut after = project.tree();
    // It is empty, and held while a command writes.
    after.remove(".potter/busy");
    let all = paths(&before).into_iter().chain(paths(&after));
    let really: std::collections::BTreeSet<_> = all.filter(|it| before.get(it) != after.get(it)).collect();
    assert_eq!(changed(&dry).into_iter().collect::<std::collections::BTreeSet<_>>(), really, "no more and no less");
    let told = String::from_utf8_lossy(&project.run(&["update"]).stderr).into_owned();
    assert!(told.contains("everything is up to date"), "{told}");
}

#[test]
fn the_plan_in_json_names_action_reason_owner_and_element() {
    let project = Project::new(&first());
    project.write(PROTO, &with_note());
    let plan = json(&project.run(&["update", "--dry-run", "--format", "json"]));
    let steps = plan["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["path"] == RULES).expect("the rules are part of it");
    assert_eq!(step["action"], "replace");
    assert_eq!(step["class"], "seed");
    assert_eq!(step["symbol"], "shop.Order");
    assert_eq!(step["changes_the_file"], true);
    assert!(step["reason"].as_str().is_some_and(|it| !it.is_empty()));
    assert!(step["diff"].as_str().is_some_and(|it| it.contains("+    fn note_order(")));
    assert_eq!(plan["needs_a_person"], false);
}

#[test]
fn a_proto_from_elsewhere_never_contradicts_the_projects_own() {
    let project = Project::new(&first());
    let elsewhere = "../first/shop.proto";
    let update = |arguments: &[&str]| project.run(&[&["update", "--proto", elsewhere], arguments].concat());
    project.edit(PROTO, "// Calls one off.", "// Calls one off, for good.");
    project.write(elsewhere, &with_note());
    let before = project.tree();
    let refused = update(&[]);
    assert_eq!(code(&refused), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("proto/shop.proto was changed in the project") && told.contains("--merge"), "{told}");
    assert_eq!(code(&update(&["--dry-run"])), Some(2));
    assert!(project.tree() == before, "nothing is written");
    // What was changed here alone contradicts as well.
    project.write(elsewhere, &first());
    assert_eq!(code(&update(&[])), Some(2));
    project.write(elsewhere, &with_note());
    let merged = update(&["--merge"]);
    assert_eq!(code(&merged), Some(0), "{}", String::from_utf8_lossy(&merged.stderr));
    let proto = project.text(PROTO);
    assert!(proto.contains("for good") && proto.contains("rpc NoteOrder"), "{proto}");
    let generated = project.text("src/generated/domain/order.rs");
    assert!(generated.contains("for good") && generated.contains("fn note_order"), "it is of both: {generated}");
    assert_eq!(project.check().exit_code(true), 0, "{:?}", project.check().findings);
}

#[test]
fn protos_that_changed_in_the_same_place_are_merged_by_a_person() {
    let project = Project::new(&first());
    project.edit(PROTO, "// Calls one off.", "// Mine.");
    project.write("../first/shop.proto", &first().replace("// Calls one off.", "// Theirs."));
    let before = project.tree();
    for how in [&["--merge"][..], &["--conflict", "markers", "--allow-dirty"]] {
        let run = project.run(&[&["update", "--proto", "../first/shop.proto"], how].concat());
        assert_eq!(code(&run), Some(2), "{how:?}");
        assert!(project.tree() == before, "{how:?} wrote something");
    }
}

#[test]
fn where_the_command_runs_makes_no_difference() {
    let (inside, outside) = (Project::new(&first()), Project::new(&first()));
    for project in [&inside, &outside] {
        project.write(PROTO, &with_note());
    }
    assert_eq!(code(&inside.run(&["update"])), Some(0));
    let root = outside.root();
    let run = command()
        .current_dir(root.parent().expect("a folder"))
        .env("LC_ALL", "tr_TR.UTF-8")
        .args(["update", "--output", "./shop/"])
        .output()
        .expect("potter-gen runs");
    assert_eq!(code(&run), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(inside.tree(), outside.tree());
}

#[test]
fn the_bare_command_finds_its_project_from_anywhere_inside() {
    let project = Project::new(&first());
    project.write(PROTO, &with_note());
    let from_inside = |arguments: &[&str]| {
        let inside = project.root().join("src/domain");
        command().current_dir(inside).args(arguments).output().expect("potter-gen runs")
    };
    assert_eq!(code(&from_inside(&["check"])), Some(1), "the proto changed");
    assert_eq!(code(&from_inside(&["update"])), Some(0));
    assert_eq!(code(&from_inside(&["check"])), Some(0));
    assert!(project.text(RULES).contains("fn note_order("));
}

#[test]
fn exit_codes_tell_what_happened() {
    let project = Project::new(&first());
    let nowhere = tempfile::tempdir().expect("a folder");
    for arguments in [&["update"][..], &["check"]] {
        let run = command().current_dir(nowhere.path()).args(arguments).output().expect("potter-gen runs");
        assert_eq!(code(&run), Some(3), "{arguments:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains("potter-gen init"), "{run:?}");
    }
    project.edit(PROTO, "message Order {", "message Order");
    assert_eq!(code(&project.run(&["check"])), Some(3));
    assert_eq!(code(&project.run(&["update"])), Some(3));
    project.write(PROTO, &first());
    project.edit("src/generated/mod.rs", "//!", "// Mine.\n//!");
    assert_eq!(code(&project.run(&["check"])), Some(1));
    assert_eq!(code(&project.run(&["update"])), Some(2));
    assert_eq!(code(&project.run(&["update", "--force"])), Some(0));
}

/// What a command that is refused says; nothing is written.
fn refusal(project: &Project, arguments: &[&str]) -> String {
    let before = project.tree();
    let run = project.run(arguments);
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(code(&run), Some(3), "{arguments:?}: {told}");
    assert!(project.tree() == before, "{arguments:?} wrote something");
    told
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let project = Project::new(&first());
    for (arguments, expected) in [
        (
            &["accept", "--event", "order.plced", "--reason", "x"][..],
            "no event `order.plced`; did you mean `order.placed`?",
        ),
        (&["accept", "--rpc", "PlaceOrder", "--reason", "x"], "`shop.Orders.PlaceOrder`"),
        (&["accept", "--event", "order.placed", "--reason", "x"], "nothing in the protos breaks"),
        (&["explain", "P999"], "unknown code `P999`; `potter-gen explain` lists all"),
        (&["explain", "P0122"], "did you mean `P012`?"),
        (&["update", "--deny", "P9"], "`potter-gen explain` lists all"),
        (&["update", "--interactive", "--format", "json"], "leave one of them out"),
        (&["update", "--allow-dirty"], "--conflict=markers"),
        (&["update", "--framework", "path:/nope"], "there is no checkout of Potter"),
        (&["init", "-o", ".", "--proto", PROTO, "--proto", "./proto/shop.proto"], "given twice"),
    ] {
        let told = refusal(&project, arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
}

#[test]
fn a_lock_that_is_damaged_or_gone_is_told_with_the_way_back() {
    let project = Project::new(&first());
    let lock = project.text("potter.lock");
    let commands = [&["check"][..], &["update"], &["accept", "--event", "x", "--reason", "x"]];
    let within_a_line = lock.find("emitted = ").expect("it knows files") + 15;
    for damaged in ["", "garbage", &lock[..within_a_line]] {
        project.write("potter.lock", damaged);
        for command in commands {
            let told = refusal(&project, command);
            assert!(told.contains("git checkout -- potter.lock"), "{told}");
        }
    }
    project.delete("potter.lock");
    for command in commands {
        let told = refusal(&project, command);
        assert!(told.contains("without its potter.lock") && told.contains("version control"), "{told}");
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::write(elsewhere.path().join("thesis.txt"), "").expect("a writable folder");
    for arguments in commands {
        let run = command().current_dir(elsewhere.path()).args(arguments).output().expect("potter-gen runs");
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(code(&run) == Some(3) && told.contains("is no Potter project"), "{told}");
    }
}

#[test]
fn a_second_init_keeps_the_framework() {
    let project = Project::new(&first());
    assert_eq!(code(&project.run(&["update", "--framework", "git:https://example.com/potter"])), Some(0));
    assert_eq!(code(&project.run(&["init", "--proto", PROTO, "-I", "proto", "-o", "."])), Some(0));
    assert!(project.text("potter.lock").contains("framework = \"git:https://example.com/potter\""));
}

#[test]
fn markers_want_a_clean_tree() {
    let project = Project::new(&first());
    let refusal = "Err(OrderError::Unimplemented(\"cancel_order\"))";
    project.edit(RULES, refusal, "Ok(Vec::new())");
    let emitting = "{ aggregate: \"Order\" };";
    let changed = first().replace(emitting, "{ aggregate: \"Order\" emits: \"OrderCancelled\" };")
        + "message OrderCancelled {
             option (potter.event) = { event_type: \"order.cancelled\" aggregate: \"Order\" };
             string order_id = 1;
           }";
    project.write(PROTO, &changed);
    let mine = project.text(RULES);
    let refused = project.run(&["update", "--conflict", "markers"]);
    assert_eq!(code(&refused), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--allow-dirty"), "{refused:?}");
    assert_eq!(project.text(RULES), mine);
    let git = |arguments: &[&str]| {
        let run = Command::new("git").current_dir(project.root()).args(arguments).output().expect("git runs");
        assert!(run.status.success(), "{run:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "Before"]);
    assert_eq!(code(&project.run(&["update", "--conflict", "markers"])), Some(2));
    let marked = project.text(RULES);
    assert!(marked.contains("<<<<<<< yours\n") && marked.contains("Ok(Vec::new())"), "{marked}");
    assert_eq!(project.status(RULES), Some(Status::Pending));
}

/// Updates while a person answers.
fn answer(project: &Project, text: &str) -> Output {
    use std::io::Write;
    let mut child = command()
        .current_dir(project.root())
        .args(["update", "--interactive"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("potter-gen starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it listens");
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_no_to_everything_is_remembered_as_nothing() {
    let project = Project::new(&first());
    let lock = Lock::read(&project.text("potter.lock")).expect("a lock");
    let more = first().replace(
        "string order_id = 1;\n  string note = 2;",
        "string order_id = 1;\n  string note = 2;\n  int32 more = 3;",
    );
    let more = more.replace(
        "{ name: \"orders\" }; string order_id = 1;",
        "{ name: \"orders\" }; string order_id = 1; int32 more = 3;",
    );
    project.write(PROTO, &more);
    let before = project.tree();
    answer(&project, &"n\n".repeat(60));
    let now = Lock::read(&project.text("potter.lock")).expect("a lock");
    assert_eq!((now.history, now.tables), (lock.history, lock.tables));
    let written: Vec<_> = project.tree().into_iter().filter(|(path, bytes)| before.get(path) != Some(bytes)).collect();
    assert!(written.iter().all(|(path, _)| path == "potter.lock" || path.starts_with(".potter/")), "{written:?}");
    project.write(PROTO, &first());
    let found = project.check().findings;
    assert!(found.iter().all(|it| it.path == "potter.lock"), "it knows of the other proto, and no more: {found:?}");
    // What was declined comes when it is wanted.
    project.update(&more);
    assert_eq!(project.check().exit_code(true), 0, "{:?}", project.check().findings);
    let now = Lock::read(&project.text("potter.lock")).expect("a lock");
    assert_eq!(now.history.events["order.placed"].shapes.len(), 2);
}

#[test]
fn a_person_is_asked_file_by_file() {
    let project = Project::new(&first());
    project.edit(RULES, "//!", "//! Mine.\n//!");
    project.write(PROTO, &with_note());
    let answer = |text: &str| answer(&project, text);
    let before = project.tree();
    assert_eq!(code(&answer("q\n")), Some(0));
    assert_eq!(project.tree(), before, "nothing is written");
    // No to whatever comes until the rules are asked about, then both versions, then everything else.
    let order: Vec<String> = json(&project.run(&["update", "--dry-run", "--format", "json"]))["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter(|step| step["changes_the_file"] == true || step["action"] == "pending")
        .map(|step| step["path"].as_str().unwrap_or_default().to_owned())
        .collect();
    let at = order.iter().position(|path| path == RULES).expect("the rules wait");
    let run = answer(&format!("{}m\na\n", "n\n".repeat(at)));
    assert!(String::from_utf8_lossy(&run.stderr).contains("+    fn note_order("), "the diff is shown");
    let rules = project.text(RULES);
    assert!(rules.contains("Mine.") && rules.contains("fn note_order("), "{rules}");
    let skipped: Vec<String> = project.check().findings.into_iter().map(|it| it.path).collect();
    assert_eq!(skipped, order[..at], "what was declined is still to be done");
}

#[test]
fn whoever_takes_the_proposal_keeps_a_copy() {
    let project = Project::new(&first());
    project.edit(RULES, "//!", "//! Mine.\n//!");
    let mine = project.text(RULES);
    project.write(PROTO, &with_note());
    answer(&project, &"t\ny\n".repeat(60));
    assert!(project.text(RULES).contains("fn note_order(") && !project.text(RULES).contains("Mine."));
    assert_eq!(project.text(&format!(".potter/edited/{RULES}")), mine);
    assert_eq!(project.check().exit_code(true), 0, "{:?}", project.check().findings);
}

#[test]
fn a_regeneration_by_a_plugin_is_told_in_one_line() {
    let project = Project::new(&first());
    let after = Project::new(&with_note());
    project.write(PROTO, &with_note());
    // The plugin writes what is Potter's alone, and no lock.
    for (path, bytes) in after.tree() {
        if path.starts_with("src/generated/") || path.starts_with("sdk/") {
            project.write(&path, std::str::from_utf8(&bytes).expect("text"));
        }
    }
    let finding = project.finding("potter.lock").expect("it lags");
    assert!(finding.message.contains("lags behind"), "{finding:?}");
    assert_eq!(code(&project.run(&["update"])), Some(0));
    assert!(project.check().findings.is_empty());
}

/// The schema of the standard; see the file beside it.
const SARIF: &str = include_str!("sarif-2.1.0-rtm.5.json");

/// What is wrong with a document, by the standard's schema.
fn objections(document: &Value) -> Vec<String> {
    let mut schema: Value = serde_json::from_str(SARIF).expect("a schema is JSON");
    // Their pattern of languages has a bracket too many, and says nothing of what is checked here.
    for of in ["run", "toolComponent"] {
        let language = schema["definitions"][of]["properties"]["language"].as_object_mut().expect("a property");
        language.remove("pattern").expect("it is there still");
    }
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn sarif_is_what_the_standard_asks_for() {
    let project = Project::new(&first());
    assert_eq!(objections(&json(&project.run(&["check", "--format", "sarif"]))), [""; 0], "of what is clean");
    project.edit(RULES, "//!", "//! Mine.\n//!");
    project.delete("src/generated/domain/mod.rs");
    project.edit("sdk/src/lib.rs", "//!", "//! Mine.\n//!");
    project.write("src/generated/a b%é.rs", "");
    let path = "src/generated/transport/mod.rs";
    project.write(path, &project.text(path).replace('\n', "\r\n"));
    project.write(PROTO, &with_note().replace("  string note = 2;\n}", "}"));
    let document = json(&project.run(&["check", "--format", "sarif"]));
    let results = document["runs"][0]["results"].as_array().expect("results");
    for status in ["MISSING", "STALE", "MODIFIED", "ORPHAN", "PENDING", "P200", "FORMAT_ONLY", "UNWRITTEN"] {
        assert!(results.iter().any(|it| it["ruleId"] == status), "{status} is not among {results:#?}");
    }
    assert_eq!(objections(&document), [""; 0]);
}

#[test]
fn reports_of_programs_have_every_finding_under_its_code() {
    let project = Project::new(&first());
    let without_note = first().replace("PlaceOrderRequest { string note = 1; }", "PlaceOrderRequest {}");
    project.write(PROTO, &without_note.replace("string note = 2;\n}", "}"));
    let sarif = json(&project.run(&["check", "--format", "sarif"]));
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let of = |code: &str| results.iter().find(|it| it["ruleId"] == code).unwrap_or_else(|| panic!("{results:#?}"));
    assert_eq!((&of("P200")["level"], &of("P230")["level"]), (&"error".into(), &"warning".into()));
    assert!(of("P200")["message"]["text"].as_str().is_some_and(|it| it.starts_with("BREAKING: field `note`")));
    let uri = &of("P230")["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, PROTO, "as it is named in the text");
    let annotations = project.run(&["check", "--format", "github"]);
    let annotations = String::from_utf8_lossy(&annotations.stdout);
    let has = |beginning: &str| annotations.lines().any(|it| it.starts_with(beginning));
    assert!(has("::error file=proto/shop.proto,line=21,col=9,title=BREAKING P200::"), "{annotations}");
    assert!(has("::warning file=proto/shop.proto,line=26,col=9,title=P230 published contract"), "{annotations}");
}

#[test]
fn wrong_protos_are_in_reports_of_programs_too() {
    let project = Project::new(&first());
    project.write(PROTO, &first().replace("emits: \"OrderPlaced\"", "emits: \"OrderPlacd\""));
    let run = |format: &str| project.run(&["check", "--format", format]);
    assert_eq!(["text", "json", "sarif", "github"].map(|it| code(&run(it))), [Some(3); 4]);
    let document = json(&run("sarif"));
    assert_eq!(objections(&document), [""; 0]);
    assert_eq!(document["runs"][0]["results"][0]["level"], "error");
    assert_eq!(json(&run("json"))["exit_code"], 3);
    let annotations = run("github");
    assert!(String::from_utf8_lossy(&annotations.stdout).starts_with("::error file=proto/shop.proto,line="));
    let denied = project.run(&["check", "--format", "github", "--deny", "all"]);
    assert_eq!(code(&denied), Some(3));
}

#[test]
fn the_schema_of_sarif_objects_to_what_is_wrong() {
    let project = Project::new(&first());
    let mut document = json(&project.run(&["check", "--format", "sarif"]));
    document["runs"][0]["results"][0]["level"] = "fatal".into();
    assert_eq!(objections(&document).len(), 1);
}
