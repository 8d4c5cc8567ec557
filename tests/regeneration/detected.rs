//! What a check sees, and that it writes nothing.

use potter_gen::check::{Check, Status};
use potter_gen::file::Class;
use potter_gen::lock::Lock;
use potter_gen::reconcile::{Action, Allowed};
use proptest::prelude::*;

use crate::project::{PROTO, Project, RULES, action, first, with_note};

/// The files that the lock knows, but the protos, which a person edits.
fn files(project: &Project) -> Vec<(String, Class)> {
    let lock = Lock::read(&project.text("potter.lock")).expect("a lock");
    let files = lock.files.into_iter().map(|(path, file)| (path, file.class));
    files.filter(|(path, _)| path != PROTO).collect()
}

fn statuses(check: &Check) -> Vec<(&str, Status)> {
    check.findings.iter().map(|it| (it.path.as_str(), it.status)).collect()
}

#[test]
fn a_new_project_is_clean() {
    let project = Project::new(&first());
    let before = project.tree();
    let check = project.check();
    assert_eq!(statuses(&check), []);
    assert_eq!((check.exit_code(true), project.tree()), (0, before));
    let unwritten: Vec<_> = check.unimplemented.iter().map(|it| (it.path.as_str(), it.name.as_str())).collect();
    assert_eq!(unwritten, [(RULES, "cancel_order")]);
}

#[test]
fn every_file_that_is_deleted_is_missed() {
    let project = Project::new(&first());
    let files = files(&project);
    assert!(files.len() > 30, "{files:?}");
    files.iter().for_each(|(path, _)| project.delete(path));
    let expected: Vec<_> = files.iter().map(|(path, _)| (path.as_str(), Status::Missing)).collect();
    assert_eq!(statuses(&project.check()), expected);
}

#[test]
fn every_edit_of_a_file_that_is_potters_is_seen() {
    let project = Project::new(&first());
    let potters = |class: Class| matches!(class, Class::Generated | Class::Append);
    let files: Vec<_> = files(&project).into_iter().filter(|(_, class)| potters(*class)).collect();
    files.iter().for_each(|(path, _)| project.write(path, &(project.text(path) + "x\n")));
    let expected: Vec<_> = files.iter().map(|(path, _)| (path.as_str(), Status::Modified)).collect();
    assert_eq!(statuses(&project.check()), expected);
}

#[test]
fn what_potter_introduced_into_structured_files_is_missed() {
    let project = Project::new(&first());
    project.edit("src/domain/mod.rs", "mod order;", "");
    project.edit("src/lib.rs", "pub mod application;", "mod application;");
    project.edit("Cargo.toml", "\"rest\"", "");
    let found = project.check();
    let paths = ["Cargo.toml", "src/domain/mod.rs", "src/lib.rs"];
    assert_eq!(statuses(&found), paths.map(|path| (path, Status::Modified)));
    assert!(found.findings[1].message.contains("mod order;"), "{:?}", found.findings[1]);
}

#[test]
fn files_that_potter_does_not_know_are_seen_in_its_folders_alone() {
    let project = Project::new(&first());
    project.write("src/generated/domain/extra.rs", "");
    project.write("sdk/src/extra.rs", "");
    project.write("src/domain/mine.rs", "");
    let orphans = ["sdk/src/extra.rs", "src/generated/domain/extra.rs"];
    assert_eq!(statuses(&project.check()), orphans.map(|path| (path, Status::Orphan)));
}

#[test]
fn a_changed_proto_is_drift_and_a_changed_seed_is_none() {
    let project = Project::new(&first());
    project.edit(RULES, "//!", "//! Mine.\n//!");
    assert_eq!(statuses(&project.check()), []);
    project.write(PROTO, &with_note());
    let check = project.check();
    assert_eq!(check.exit_code(false), 2);
    assert_eq!(project.status("src/generated/transport/openapi.json"), Some(Status::Stale));
    assert_eq!(project.status("sdk/src/messages/shop.rs"), Some(Status::Stale));
    assert_eq!(project.status(RULES), Some(Status::Pending));
    let diff = &check.findings.iter().find(|it| it.path == "sdk/src/messages/shop.rs").expect("it is stale").diff;
    assert!(diff.contains("+pub struct NoteOrderRequest {"), "{diff}");
}

#[test]
fn layout_and_line_ends_pass_unless_strict() {
    let project = Project::new(&first());
    let path = "src/generated/domain/order.rs";
    project.write(path, &project.text(path).replace("    ", "  "));
    project.write("sdk/src/lib.rs", &project.text("sdk/src/lib.rs").replace('\n', "\r\n"));
    let check = project.check();
    assert_eq!(statuses(&check), [("sdk/src/lib.rs", Status::FormatOnly), (path, Status::FormatOnly)]);
    assert_eq!((check.exit_code(false), check.exit_code(true)), (0, 1));
    project.updated(Allowed::default());
    assert_eq!(statuses(&project.check()), [], "an update mends it");
    assert!(!project.text("sdk/src/lib.rs").contains('\r'));
}

#[test]
fn what_rustfmt_did_to_a_file_of_potters_does_not_stop_the_next_update() {
    let project = Project::new(&first());
    let paths = ["src/generated/domain/order.rs", "src/generated/transport/openapi.json"];
    for path in paths {
        project.write(path, &project.text(path).replace("    ", "  "));
    }
    let plan = project.update(&with_note());
    for path in paths {
        assert_eq!(action(&plan, path), Some(Action::Replace), "{path}");
    }
    assert_eq!(statuses(&project.check()), []);
    project.edit(paths[0], "pub trait", "pub  unsafe trait");
    project.write(PROTO, &first());
    assert!(project.try_update(Allowed::default()).is_err(), "an edit still stops it");
}

#[test]
fn a_checkout_with_other_line_ends_is_the_same_project() {
    let project = Project::new(&first());
    project.edit(RULES, "//!", "//! Mine.\n//!");
    // Of copies that are named after their contents, .gitattributes keeps it off.
    for (path, bytes) in project.tree().into_iter().filter(|(path, _)| !path.starts_with(".potter/base/")) {
        let text = String::from_utf8(bytes).expect("all of it is text");
        project.write(&path, &text.replace('\n', "\r\n"));
    }
    let check = project.check();
    assert_eq!((statuses(&check), check.exit_code(true)), (Vec::new(), 0));
    let before = project.tree();
    project.updated(Allowed::default());
    assert_eq!(project.tree(), before, "an update has nothing to do, and so writes nothing");
    project.write(PROTO, &with_note().replace('\n', "\r\n"));
    project.updated(Allowed { merge: true, ..Allowed::default() });
    let rules = project.text(RULES);
    assert!(rules.contains("//! Mine.\r\n") && rules.contains("fn note_order(\r\n"), "{rules}");
    assert_eq!(rules.matches('\n').count(), rules.matches("\r\n").count());
    assert_eq!(project.check().exit_code(true), 0, "{:?}", project.check().findings);
    let after = project.tree();
    project.updated(Allowed::default());
    assert_eq!(project.tree(), after, "two runs give the same bytes");
}

#[test]
fn a_newer_potter_alone_passes_unless_strict() {
    let project = Project::new(&first());
    // As if an older version had written another line.
    let path = "src/generated/domain/order.rs";
    let old = project.text(path).replacen("pub trait", "/// Old.\npub trait", 1);
    let hash = |text: &str| potter_gen::lock::Hash::of(text.as_bytes()).to_string();
    let lock = project.text("potter.lock").replace(&hash(&project.text(path)), &hash(&old));
    project.write("potter.lock", &lock.replace("generator = \"0.1.0\"", "generator = \"0.0.9\""));
    project.write(path, &old);
    let check = project.check();
    assert_eq!(statuses(&check), [("potter.lock", Status::VersionOnly), (path, Status::VersionOnly)]);
    assert_eq!((check.exit_code(false), check.exit_code(true)), (0, 1));
    let (missing, stray, torn) = ("src/generated/domain/mod.rs", "src/generated/stray.rs", "src/generated/mod.rs");
    project.delete(missing);
    project.write(stray, "");
    project.edit(torn, "//!", "<<<<<<< HEAD\n=======\n>>>>>>> topic\n//!");
    let expected = [(missing, Status::Missing), (stray, Status::Orphan), (torn, Status::Stale)];
    expected.into_iter().for_each(|(path, status)| assert_eq!(project.status(path), Some(status), "{path}"));
    assert_eq!(project.check().exit_code(false), 1);
}

#[test]
fn a_break_with_the_past_is_located_in_the_proto() {
    let project = Project::new(&first());
    project.edit(PROTO, "  string note = 2;\n}", "}");
    let check = project.check();
    let breaking = check.findings.iter().find(|it| it.status == Status::Breaking).expect("the event lost a field");
    assert!(breaking.path.ends_with(PROTO) && breaking.place.is_some(), "{breaking:?}");
    assert!(breaking.help.contains("version"), "the ways out are told: {breaking:?}");
    assert_eq!(breaking.symbol, "shop.OrderPlaced", "the element is told");
    let others = || check.findings.iter().filter(|it| it.status != Status::Breaking);
    assert!(others().count() > 0 && others().all(|it| it.diff.is_empty() && it.help.contains("decide first")));
    assert_eq!(check.exit_code(false), 2);
    let before = project.tree();
    assert!(project.try_update(Default::default()).expect_err("nothing is written").needs_a_person());
    assert_eq!(project.tree(), before);
}

#[test]
fn markers_of_a_conflict_keep_a_file_pending() {
    let project = Project::new(&first());
    let migration = "migrations/sqlite/0001_init.sql";
    let text = project.text(migration);
    project.write(migration, &format!("<<<<<<< HEAD\n{text}=======\n>>>>>>> topic\n"));
    assert_eq!(project.status(migration), Some(Status::Pending));
    assert!(project.updated(Allowed { force: true, ..Allowed::default() }).needs_a_person());
    project.write(migration, &text);
    project.edit(RULES, "//!", "<<<<<<< yours\n=======\n>>>>>>> generated now\n//!");
    assert_eq!(project.status(RULES), Some(Status::Pending));
}

/// Takes out what a part names: `a.b = value` a key, `a.b += value` an entry of a list, anything else a line.
fn without(text: &str, part: &str) -> String {
    let Some((path, value)) = part.split_once(" = ").or_else(|| part.split_once(" += ")) else {
        return text.replacen(part, "", 1);
    };
    let mut manifest: toml_edit::DocumentMut = text.parse().expect("TOML");
    let (key, tables) = path.split('.').collect::<Vec<_>>().split_last().map(|(a, b)| (*a, b.to_vec())).expect("a key");
    let mut table = manifest.as_item_mut();
    for name in tables {
        table = table.get_mut(name).unwrap_or_else(|| panic!("{name} of {path} is not in\n{text}"));
    }
    if part.contains(" += ") {
        let list = table.get_mut(key).and_then(toml_edit::Item::as_array_mut).expect("a list");
        list.retain(|it| it.to_string().trim() != value);
    } else {
        table.as_table_like_mut().and_then(|it| it.remove(key)).expect("the key is there");
    }
    manifest.to_string()
}

#[test]
fn every_key_and_line_of_potters_is_missed_alone() {
    let project = Project::new(&first());
    let lock = Lock::read(&project.text("potter.lock")).expect("a lock");
    let structured: Vec<_> = lock.files.iter().filter(|(_, file)| file.class == Class::Structured).collect();
    let parts: usize = structured.iter().map(|(_, file)| file.parts.len()).sum();
    assert!(structured.len() > 3 && parts > 10, "{structured:?}");
    for (path, file) in structured {
        let text = project.text(path);
        for part in &file.parts {
            project.write(path, &without(&text, part));
            let found = project.check().findings;
            assert!(found.len() == 1 && found[0].status == Status::Modified, "{path}, {part}: {found:?}");
            assert!(found[0].message.contains(part.as_str()), "{part}: {}", found[0].message);
        }
        project.write(path, &text);
    }
    assert_eq!(statuses(&project.check()), []);
}

#[test]
fn a_file_more_is_seen_in_every_folder_of_potters() {
    let project = Project::new(&first());
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let folders: std::collections::BTreeSet<_> = files(&project).iter().filter_map(|(path, _)| folder(path)).collect();
    assert!(folders.len() > 10, "{folders:?}");
    for folder in folders {
        let path = format!("{folder}/0003_more.sql");
        project.write(&path, "-- more\n");
        let expected = match folder.as_str() {
            // It is the user's own migration, and is to be applied.
            it if it.starts_with("migrations/") => vec![("migrations/mod.rs", Status::Stale)],
            it if it.starts_with("src/generated") || it.starts_with("sdk") => vec![(path.as_str(), Status::Orphan)],
            _ => vec![],
        };
        assert_eq!(statuses(&project.check()), expected, "{path}");
        project.delete(&path);
    }
}

#[test]
fn every_file_is_missed_alone() {
    let project = Project::new(&first());
    for (path, _) in files(&project) {
        let text = project.text(&path);
        project.delete(&path);
        let check = project.check();
        assert_eq!(statuses(&check), [(path.as_str(), Status::Missing)]);
        assert_eq!(check.exit_code(false), 1, "{path}");
        project.write(&path, &text);
    }
}

#[test]
fn a_manifest_that_cargo_refuses_is_seen() {
    let project = Project::new(&first());
    project.write("Cargo.toml", &(project.text("Cargo.toml") + "x\n"));
    assert_eq!(statuses(&project.check()), [("Cargo.toml", Status::Pending)]);
}

#[test]
fn two_branches_that_change_one_table_are_merged_by_git() {
    let project = Project::new(&first());
    let git = |arguments: &[&str]| {
        let person = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
        let run = std::process::Command::new("git").current_dir(project.root()).args(person).args(arguments).output();
        run.expect("git runs").status.success()
    };
    let commit = || assert!(git(&["add", "--all"]) && git(&["commit", "--quiet", "--message", "Change"]));
    let column = "name: \"orders\" }; string order_id = 1; string note = 2;";
    let with = |more: &str| first().replace(column, &format!("{column} {more}"));
    assert!(git(&["init", "--quiet", "--initial-branch=ours"]));
    commit();
    assert!(git(&["checkout", "--quiet", "-b", "theirs"]));
    project.update(&with("int64 weight = 4;"));
    commit();
    assert!(git(&["checkout", "--quiet", "ours"]));
    project.update(&with("int64 total = 3;"));
    commit();
    assert!(!git(&["merge", "--quiet", "theirs"]), "both changed the proto and the lock");
    project.update(&with("int64 total = 3; int64 weight = 4;"));
    let names = |beginning: &str| {
        let beginning = format!("migrations/sqlite/{beginning}");
        let is_asked = |path: &str| path.starts_with(&beginning) && !path.ends_with(".down.sql");
        let texts = project.tree().into_iter().filter(|(path, _)| is_asked(path));
        texts.map(|(_, bytes)| String::from_utf8(bytes).expect("text")).collect::<Vec<_>>()
    };
    let both = names("0002_orders_");
    assert!(both.len() == 2 && both.iter().all(|text| !text.contains("<<<<<<<")), "{both:?}");
    let last = names("0003_orders_").concat();
    assert!(last.contains("\"total\"") && last.contains("\"weight\""), "{last}");
    assert_eq!(statuses(&project.check()), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that is wrong with one file hides among what is right with all others.
    #[test]
    fn a_single_change_is_seen_alone(at in any::<prop::sample::Index>(), delete in any::<bool>()) {
        let project = Project::new(&first());
        let files = files(&project);
        let (path, class) = at.get(&files);
        if delete {
            project.delete(path);
        } else {
            project.write(path, &(project.text(path) + "x\n"));
        }
        let expected = match class {
            _ if delete => vec![(path.as_str(), Status::Missing)],
            Class::Generated | Class::Append => vec![(path.as_str(), Status::Modified)],
            // They are the user's.
            Class::Seed => vec![],
            // What is no TOML any more can't be edited; another line of Rust is the user's.
            Class::Structured if path == "Cargo.toml" => vec![(path.as_str(), Status::Pending)],
            Class::Structured => vec![],
        };
        let check = project.check();
        prop_assert_eq!(statuses(&check), expected);
    }
}
