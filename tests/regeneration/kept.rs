//! What people wrote is kept, and what follows from the protos follows.

use potter_gen::check::Status;
use potter_gen::reconcile::{Action, Allowed};
use potter_gen::update::Request;
use proptest::prelude::*;

use crate::project::{PROTO, Project, RULES, action, first, proto, with_note};

const MINE: &str = "        // Mine.\n        Err(OrderError::Unimplemented(\"cancel_order\"))";
const REFUSAL: &str = "        Err(OrderError::Unimplemented(\"cancel_order\"))";
const MERGING: Allowed = Allowed { force: false, prune: false, merge: true, markers: false };

#[test]
fn nothing_changes_twice() {
    let project = Project::new(&first());
    let before = project.tree();
    assert!(project.updated(Allowed::default()).steps.iter().all(|step| step.action == Action::Keep));
    assert_eq!(project.tree(), before);
}

#[test]
fn an_unchanged_seed_gets_the_body_of_a_new_rpc() {
    let project = Project::new(&first());
    let main = project.text("src/main.rs");
    let plan = project.update(&with_note());
    assert_eq!(action(&plan, RULES), Some(Action::Replace));
    assert!(!plan.needs_a_person());
    assert!(project.text(RULES).contains("Ok(events![OrderNoted {"), "{}", project.text(RULES));
    assert_eq!(project.text("src/main.rs"), main);
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

#[test]
fn a_changed_seed_waits_and_then_merges() {
    let project = Project::new(&first());
    project.edit(RULES, REFUSAL, MINE);
    let mine = project.text(RULES);
    let plan = project.update(&with_note());
    assert_eq!((action(&plan, RULES), plan.needs_a_person()), (Some(Action::SetAside), true));
    assert_eq!(project.text(RULES), mine);
    assert!(project.text(&format!(".potter/pending/{RULES}")).contains("fn note_order"));
    let news = project.text(&format!(".potter/pending/{RULES}.diff"));
    assert!(news.contains("+    fn note_order(") && !news.contains("Mine"), "only what is new:\n{news}");
    assert_eq!(project.status(RULES), Some(Status::Pending));
    assert_eq!(project.check().exit_code(false), 2);

    let plan = project.updated(MERGING);
    assert_eq!((action(&plan, RULES), plan.needs_a_person()), (Some(Action::Merge), false));
    let merged = project.text(RULES);
    assert!(merged.contains("// Mine.") && merged.contains("fn note_order("), "{merged}");
    assert!(!project.has(&format!(".potter/pending/{RULES}")));
    assert!(project.check().findings.is_empty());
}

#[test]
fn a_pending_proposal_that_is_removed_is_settled() {
    let project = Project::new(&first());
    project.edit(RULES, REFUSAL, MINE);
    project.update(&with_note());
    assert_eq!(action(&project.updated(Allowed::default()), RULES), Some(Action::SetAside), "it waits on");
    project.delete(&format!(".potter/pending/{RULES}"));
    let plan = project.updated(Allowed::default());
    assert_eq!((action(&plan, RULES), plan.needs_a_person()), (Some(Action::LeaveChanged), false));
    assert!(!project.has(&format!(".potter/pending/{RULES}.diff")));
    assert!(project.check().findings.is_empty());
}

#[test]
fn hand_edited_files_of_potter_stop_a_run_until_force() {
    let project = Project::new(&first());
    let path = "src/generated/domain/order.rs";
    project.edit(path, "pub trait", "// Mine.\npub trait");
    let before = project.tree();
    let refused = project.try_update(Allowed::default()).expect_err("it was edited");
    assert!(refused.to_string().contains(path) && refused.needs_a_person(), "{refused}");
    assert_eq!(project.tree(), before);
    project.updated(Allowed { force: true, ..Allowed::default() });
    assert!(!project.text(path).contains("// Mine."));
    assert!(project.text(&format!(".potter/edited/{path}")).contains("// Mine."));
    project.edit(path, "pub trait", "// Mine again.\npub trait");
    project.updated(Allowed { force: true, ..Allowed::default() });
    assert!(project.text(&format!(".potter/edited/{path}")).contains("// Mine."), "the first copy stays");
    assert!(project.text(&format!(".potter/edited/{path}.2")).contains("// Mine again."));
}

#[test]
fn own_keys_and_comments_of_the_manifest_survive() {
    let project = Project::new(&first());
    project.edit("Cargo.toml", "[dependencies]\n", "[dependencies]\n# Mine.\nanyhow = \"1\"\n");
    project.edit("Cargo.toml", "version = \"0.1.0\"\nedition", "version = \"3.2.1\" # released\nedition");
    let before = project.text("Cargo.toml");
    let plan = project.update(&first().replace("transport: \"REST\"", "transport: \"REST\" transport: \"gRPC\""));
    assert_eq!(action(&plan, "Cargo.toml"), Some(Action::Edit));
    let after = project.text("Cargo.toml");
    assert!(after.contains("\"grpc\""), "{after}");
    for line in before.lines().filter(|line| !line.starts_with("potter = { workspace")) {
        assert!(after.lines().any(|it| it == line), "`{line}` is gone from\n{after}");
    }
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

#[test]
fn a_key_that_the_user_takes_over_is_theirs_from_then_on() {
    let project = Project::new(&first());
    project.edit("Cargo.toml", "potter-client = \"0.1.0\"", "potter-client = \"=0.1.0\"");
    assert_eq!(project.status("Cargo.toml"), Some(Status::Modified));
    project.updated(Allowed::default());
    assert!(project.text("Cargo.toml").contains("\"=0.1.0\""));
    assert!(project.check().findings.is_empty());
}

const BASKET: &str = "message Basket { option (potter.aggregate) = {}; string id = 1; string note = 2; }";

#[test]
fn what_is_no_longer_asked_for_goes_if_nobody_changed_it() {
    let project = Project::new(&proto("", BASKET));
    project.edit("src/domain/mod.rs", "mod order;", "mod order;\nmod mine;");
    project.write("src/domain/mine.rs", "//! Mine.\n");
    assert!(project.text("src/domain/mod.rs").contains("mod basket;"));
    let plan = project.update(&first());
    assert_eq!(action(&plan, "src/domain/basket.rs"), Some(Action::Remove));
    assert!(!project.has("src/domain/basket.rs"));
    let declared = project.text("src/domain/mod.rs");
    assert!(!declared.contains("basket") && declared.contains("mod mine;"), "{declared}");
}

#[test]
fn a_changed_seed_of_what_is_gone_stays_as_an_orphan_until_prune() {
    let project = Project::new(&proto("", BASKET));
    project.edit("src/domain/basket.rs", "//!", "//! Mine.\n//!");
    let plan = project.update(&first());
    assert_eq!((action(&plan, "src/domain/basket.rs"), plan.needs_a_person()), (Some(Action::Orphan), false));
    assert!(project.text("src/domain/basket.rs").contains("Mine."));
    assert!(!project.text("src/domain/mod.rs").contains("basket"));
    assert_eq!(project.status("src/domain/basket.rs"), Some(Status::Orphan), "it is reported on and on");
    project.updated(Allowed { prune: true, ..Allowed::default() });
    assert!(!project.has("src/domain/basket.rs"));
    assert!(project.check().findings.is_empty());
}

#[test]
fn a_mod_line_that_somebody_touched_goes_with_its_file() {
    for line in ["mod basket; // Mine.", "pub mod basket;", "#[cfg(feature = \"baskets\")]\nmod basket;"] {
        let project = Project::new(&proto("", BASKET));
        project.edit("src/domain/basket.rs", "//!", "//! Mine.\n//!");
        project.edit("src/domain/mod.rs", "mod basket;", line);
        project.updated(Allowed::default());
        let plan = project.update(&first());
        assert_eq!(action(&plan, "src/domain/basket.rs"), Some(Action::Orphan));
        let step = plan.steps.iter().find(|it| it.path == "src/domain/mod.rs").expect("it is edited");
        let mine = line.lines().next().expect("a line");
        assert!(step.reason.contains(&format!("`{mine}`")), "what goes along is told: {}", step.reason);
        project.updated(Allowed { prune: true, ..Allowed::default() });
        assert!(!project.text("src/domain/mod.rs").contains("basket"), "{}", project.text("src/domain/mod.rs"));
        assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
    }
}

#[test]
fn a_mod_line_without_a_file_is_seen() {
    let project = Project::new(&first());
    project.edit("src/domain/mod.rs", "mod order;", "mod order;\nmod gone;");
    let finding = project.finding("src/domain/mod.rs").expect("it can't be compiled");
    assert!(finding.status == Status::Missing && finding.message.contains("src/domain/gone.rs"), "{finding:?}");
    project.write("src/domain/gone/mod.rs", "");
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
}

#[test]
fn a_new_column_makes_a_migration_and_leaves_the_applied_one() {
    let project = Project::new(&first());
    let applied = project.text("migrations/sqlite/0001_init.sql");
    let column = "name: \"orders\" }; string order_id = 1; string note = 2;";
    let changed = first().replace(column, &format!("{column} int64 total = 3 [(potter.field).index = true];"));
    project.update(&changed);
    assert_eq!(project.text("migrations/sqlite/0001_init.sql"), applied);
    let next = project.text(&project.migration("0002_orders_"));
    assert!(next.contains("DROP TABLE IF EXISTS \"orders\";") && next.contains("\"total\" INTEGER"), "{next}");
    assert!(next.contains("DELETE FROM potter_checkpoints WHERE projection = 'OrderLine';"), "{next}");
    assert!(project.text("migrations/mod.rs").contains("sqlite/0002_orders_"));
    assert!(project.check().findings.is_empty());
    let before = project.tree();
    project.updated(Allowed::default());
    assert_eq!(project.tree(), before, "one change, one migration");
}

#[test]
fn a_migration_of_ones_own_is_applied_too() {
    let project = Project::new(&first());
    project.write("migrations/sqlite/0002_mine.sql", "CREATE TABLE mine (a TEXT);\n");
    assert_eq!(project.status("migrations/mod.rs"), Some(Status::Stale));
    project.updated(Allowed::default());
    assert!(project.text("migrations/mod.rs").contains("include_str!(\"sqlite/0002_mine.sql\")"));
}

#[test]
fn a_proto_of_ones_own_is_never_removed_silently() {
    let project = Project::new(&first());
    project.write("proto/money.proto", "syntax = \"proto3\";\npackage money;\nmessage Money { int64 cents = 1; }\n");
    let importing = first()
        .replace("import \"potter/options.proto\";", "import \"potter/options.proto\";\nimport \"money.proto\";");
    project.update(&importing);
    let plan = project.update(&first());
    assert_eq!(action(&plan, "proto/money.proto"), Some(Action::Orphan));
    assert!(project.has("proto/money.proto"));
}

#[test]
fn a_seed_that_was_deleted_stays_away_until_it_is_wanted_back() {
    let project = Project::new(&first());
    project.delete("Dockerfile");
    let finding = project.finding("Dockerfile").expect("it is missed");
    assert_eq!(finding.status, Status::Missing);
    assert!(finding.help.contains("--restore"), "{}", finding.help);
    let plan = project.updated(Allowed::default());
    assert_eq!(action(&plan, "Dockerfile"), Some(Action::Decline));
    assert!(!project.has("Dockerfile") && project.text("potter.lock").contains("declined = true"));
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
    let before = project.tree();
    project.updated(Allowed::default());
    assert_eq!(project.tree(), before, "it is said once");
    project.update(&with_note());
    assert!(!project.has("Dockerfile"), "it stays away whatever the protos become");

    let restored = Request { restored: vec!["Dockerfile".to_owned()], ..project.request() };
    potter_gen::update::run(&restored).expect("it can be brought back");
    assert!(project.has("Dockerfile") && !project.text("potter.lock").contains("declined"));
    assert!(project.check().findings.is_empty());
}

#[test]
fn a_declined_seed_that_comes_back_is_the_users() {
    let project = Project::new(&first());
    let makefile = project.text("Makefile");
    project.delete("Makefile");
    project.updated(Allowed::default());
    project.write("Makefile", "mine:\n\techo mine\n");
    assert_eq!(action(&project.updated(Allowed::default()), "Makefile"), Some(Action::LeaveChanged));
    project.write("Makefile", &makefile);
    assert_eq!(action(&project.updated(Allowed::default()), "Makefile"), Some(Action::Keep));
}

#[test]
fn what_the_service_needs_comes_back_at_once() {
    let project = Project::new(&first());
    let needed = [RULES, "src/main.rs", "src/generated/domain/order.rs", "migrations/sqlite/0001_init.sql"];
    needed.iter().for_each(|path| project.delete(path));
    let plan = project.updated(Allowed::default());
    for path in needed {
        assert_eq!(action(&plan, path), Some(Action::Create), "{path}");
        assert!(project.has(path), "{path}");
    }
}

#[test]
fn only_what_is_gone_and_was_potters_can_be_restored() {
    let project = Project::new(&first());
    project.delete("Dockerfile");
    for (path, why) in [("Dockerfil", "did you mean `Dockerfile`?"), ("Makefile", "it is there"), ("x", "no such file")]
    {
        let output = project.run(&["update", "--restore", path]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && said.contains(why), "{path}: {said}");
    }
    let output = project.run(&["update"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("declined  Dockerfile") && said.contains("--restore Dockerfile"), "{said}");
    assert_eq!(project.run(&["update", "--restore", "./Dockerfile"]).status.code(), Some(0));
    assert!(project.has("Dockerfile"));
}

#[test]
fn a_lock_in_conflict_is_rebuilt() {
    let project = Project::new(&first());
    let ours = project.text("potter.lock");
    project.update(&with_note());
    let theirs = project.text("potter.lock");
    let tree = project.tree();
    project.write("potter.lock", &format!("<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> topic\n"));
    assert_eq!(project.status("potter.lock"), Some(Status::Stale));
    project.updated(Allowed::default());
    assert!(project.check().findings.is_empty(), "{:?}", project.check().findings);
    let rebuilt = project.tree();
    let paths = |tree: &std::collections::BTreeMap<String, Vec<u8>>| -> Vec<String> {
        tree.keys().filter(|path| path.starts_with("src/")).cloned().collect()
    };
    assert_eq!(paths(&rebuilt), paths(&tree));
    assert_eq!(rebuilt[RULES], tree[RULES]);
}

#[test]
fn a_published_framework_goes_along_with_potter() {
    let project = Project::new(&first());
    for path in ["potter.lock", "Cargo.toml"] {
        project.write(path, &project.text(path).replace("0.1.0", "0.0.9"));
    }
    let bare = potter_gen::update::Request { framework: None, ..project.request() };
    potter_gen::update::run(&bare).expect("it can be brought up to date");
    assert!(project.text("potter.lock").contains("framework = \"version:0.1.0\""));
    assert!(project.text("Cargo.toml").contains("potter = \"0.1.0\""), "{}", project.text("Cargo.toml"));
}

#[test]
fn identical_files_keep_their_time() {
    let project = Project::new(&first());
    let path = project.root().join("src/main.rs");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    std::fs::File::options().write(true).open(&path).expect("open").set_modified(long_ago).expect("set");
    project.update(&with_note());
    assert_eq!(std::fs::metadata(&path).expect("there").modified().expect("a time"), long_ago);
}

/// One of the days in a project's life.
fn protos() -> [String; 5] {
    let column = "name: \"orders\" }; string order_id = 1; string note = 2;";
    let with_column = |text: String| text.replace(column, &format!("{column} string label = 3;"));
    let command = "option (potter.command) = { aggregate: \"Order\" };";
    let renamed = first().replace("CancelOrder", "RevokeOrder").replace("OrderPlaced", "OrderAccepted").replace(
        command,
        &command.replace("\"Order\" ", "\"Order\" renamed_from: \"CancelOrder\" id: \"shop.cancel_order\" "),
    );
    [first(), with_note(), with_column(with_note()), proto("", BASKET), renamed]
}

fn seeds() -> [&'static str; 6] {
    [
        RULES,
        "src/application/orders.rs",
        "src/application/order_line.rs",
        "src/main.rs",
        "README.md",
        "tests/service.rs",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever people insert and take out, and whatever the protos become: outside a clean merge a user's file stays
    /// as it is, and in one nothing that they wrote is lost.
    #[test]
    fn no_line_of_a_user_is_lost(
        edits in prop::collection::vec((0_usize..6, 0_usize..60, any::<bool>()), 1..6),
        day in 0_usize..5,
        merge in any::<bool>(),
    ) {
        let project = Project::new(&first());
        let mut cuts = Vec::new();
        for (number, (file, at, cut)) in edits.iter().enumerate() {
            let path = seeds()[*file];
            let text = project.text(path);
            let mut lines: Vec<&str> = text.lines().collect();
            let mine = format!("// user {number}");
            let at = at % lines.len();
            if *cut && !lines[at].contains("user") {
                cuts.push((path, lines[at].to_owned()));
                lines[at] = &mine;
            } else {
                lines.insert(at, &mine);
            }
            project.write(path, &(lines.join("\n") + "\n"));
        }
        let before: Vec<String> = seeds().map(|path| project.text(path)).into();
        project.write(PROTO, &protos()[day]);
        let plan = project.updated(Allowed { merge, ..Allowed::default() });
        for (path, before) in seeds().iter().zip(&before) {
            let is_edited = before.contains("// user");
            let after = project.text(path);
            match action(&plan, path) {
                Some(Action::Merge) => prop_assert!(merge),
                Some(Action::Follow) => prop_assert_eq!(day, 4, "names are followed where something was renamed"),
                _ if is_edited => prop_assert_eq!(&after, before, "{}", path),
                _ => {}
            }
            for line in before.lines().filter(|line| line.contains("// user")) {
                prop_assert!(after.lines().any(|it| it == line), "`{}` is gone from {}", line, path);
            }
            let has = |text: &str, line: &str| text.lines().any(|it| it == line);
            // Lists of names are laid out anew, and what ends otherwise may stand in several places.
            let is_own = |line: &str| line.contains(char::is_alphabetic) && !line.trim_start().starts_with("use ");
            let is_statement = |line: &str| line.ends_with(';') && is_own(line);
            for (_, cut) in cuts.iter().filter(|(of, cut)| of == path && is_statement(cut) && !has(before, cut)) {
                prop_assert!(!has(&after, cut), "`{}` came back to {}", cut, path);
            }
        }
    }

    /// Whatever a file of the user's has become, text or not: what isn't merged stays, byte by byte.
    #[test]
    fn no_byte_of_a_user_changes_outside_a_merge(
        files in prop::collection::vec((0_usize..9, prop::collection::vec(any::<u8>(), 0..40)), 1..5),
        day in 0_usize..4,
        force in any::<bool>(),
    ) {
        let own = ["src/domain/mine.rs", "migrations/mine.txt", "notes/a b.md"];
        let paths: Vec<&str> = seeds().into_iter().chain(own).collect();
        let project = Project::new(&first());
        for (at, bytes) in &files {
            let path = project.root().join(paths[*at]);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
            std::fs::write(path, bytes).expect("a writable folder");
        }
        project.write(PROTO, &protos()[day]);
        let before = project.tree();
        project.updated(Allowed { force, ..Allowed::default() });
        let after = project.tree();
        for (at, _) in &files {
            prop_assert_eq!(&after[paths[*at]], &before[paths[*at]], "{}", paths[*at]);
        }
    }

    #[test]
    fn generated_is_clean_whatever_came_before(days in prop::collection::vec(0_usize..5, 1..4)) {
        let project = Project::new(&protos()[days[0]]);
        for day in &days[1..] {
            // An event that disappears would break what is recorded: it is retired instead.
            let retired = "message OrderNoted {
                option (potter.event) = { event_type: \"order.noted\" aggregate: \"Order\" retired: true };
                string order_id = 1;
                string note = 2;
            }";
            let text = protos()[*day].clone();
            let is_missing = project.text("potter.lock").contains("order.noted") && !text.contains("order.noted");
            project.update(&if is_missing { text + retired } else { text });
        }
        let check = project.check();
        prop_assert!(check.findings.is_empty(), "{:?}", check.findings);
    }
}
