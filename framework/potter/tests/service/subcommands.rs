//! Subcommands, and how configuration and command line are refused.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use potter::bytes::Bytes;
use potter::event::{EventMetadata, NewEvent};
use potter::store::{Append, ReadModels, Store, Unit};
use potter::uuid::Uuid;
use potter_sqlite::SqliteStore;
use serde_json::Value;
use tempfile::TempDir;

use crate::http::send;
use crate::in_process::{create, postgres};
use crate::process::{Process, command, first_line, printed, run};

/// A directory with a database that a service has written: a product, renamed once. And the product's id.
async fn written() -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[]);
    let id = create(process.http, "lamp").await;
    let path = format!("/api/v1/products/{id}");
    let renamed = send(process.http, "PUT", &path, r#"{"name":"floor lamp"}"#).await.expect("an answer");
    assert_eq!(renamed.status, 200, "{renamed:?}");
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0));
    (directory, id)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

#[tokio::test]
async fn events_prints_a_stream_with_payloads() {
    let (directory, id) = written().await;
    let stream = format!("Product-{id}");
    let output = run(directory.path(), &["events", &stream, "--format", "json"], &[]);
    let (text, errors) = printed(&output);
    assert!(output.status.success(), "{errors}");
    let events = lines(text);
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["type"], &events[0]["data"]["name"]), (&"product.created".into(), &"lamp".into()));
    assert_eq!((&events[1]["version"], &events[1]["data"]["name"]), (&2.into(), &"floor lamp".into()));
    assert_eq!(events[1]["stream"], stream);

    let output = run(directory.path(), &["events", &stream, "--after", "1"], &[]);
    let (text, _) = printed(&output);
    assert!(text.contains("v2  product.renamed  {\"name\":\"floor lamp\"}"), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_an_error() {
    let (directory, _) = written().await;
    let output = run(directory.path(), &["events", "Product-nobody"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(printed(&output).1, "error: there is no stream `Product-nobody`\n");
    let output = run(directory.path(), &["events", "Order-1"], &[]);
    assert!(printed(&output).1.contains("streams are called Product-<id>"), "{output:?}");
}

#[test]
fn who_only_looks_makes_no_database() {
    let directory = tempfile::tempdir().expect("a directory");
    for arguments in [&["events", "--all"][..], &["projections", "list"], &["commands", "pending"]] {
        let output = run(directory.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(printed(&output).1.starts_with("error: there is no database at sqlite://"), "{output:?}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_error() {
    let (directory, _) = written().await;
    let mut child = command(directory.path(), &["events", "--all"], &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spawned");
    assert!(first_line(&mut child).contains("product.created"));
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(printed(&output).1, "");
}

#[tokio::test]
async fn events_can_be_followed_beside_a_running_service() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[]);
    let mut follower = command(directory.path(), &["events", "--all", "--follow"], &[])
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawned");
    let id = create(process.http, "lamp").await;
    assert!(first_line(&mut follower).contains(&format!("Product-{id}  v1  product.created")));
    follower.kill().expect("it still follows");
    follower.wait().expect("ended");
}

#[tokio::test]
async fn projections_are_listed_and_rebuilt() {
    let (directory, _) = written().await;
    let output = run(directory.path(), &["projections", "list", "--format", "json"], &[]);
    let listed = lines(printed(&output).0);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["position"], &listed[0]["lag"]),
        (&"Products".into(), &2.into(), &0.into())
    );

    let output = run(directory.path(), &["projections", "rebuild", "Products"], &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(printed(&output).0.starts_with("rebuilt Products from 2 events"), "{output:?}");

    let output = run(directory.path(), &["projections", "rebuild", "Orders"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(printed(&output).1, "error: there is no read model `Orders`; there are Products\n");
}

#[tokio::test]
async fn a_projection_can_be_rebuilt_beside_a_running_service() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[]);
    create(process.http, "lamp").await;
    let output = run(directory.path(), &["projections", "rebuild", "Products"], &[]);
    assert!(output.status.success(), "{output:?}");
    create(process.http, "table").await;
    let list = crate::http::get(process.http, "/api/v1/products").await.expect("an answer").json();
    assert_eq!(list["total"], 2, "{list}");
}

#[tokio::test]
async fn a_read_model_is_rebuilt_from_a_snapshot_or_for_some_rows() {
    let (directory, id) = written().await;
    let stream = format!("Product-{id}");
    let told = |arguments: &[&str]| {
        let output = run(directory.path(), &[&["projections"], arguments].concat(), &[]);
        assert!(output.status.success(), "{output:?}");
        printed(&output).0.to_owned()
    };
    let output = run(directory.path(), &["projections", "rebuild", "Products", "--from-snapshot"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).1.contains("snapshot of the read model"), "{output:?}");
    assert_eq!(told(&["snapshot", "Products"]), "saved Products as of position 2\n");
    assert!(told(&["rebuild", "Products", "--from-snapshot"]).starts_with("rebuilt Products from its snapshot"));
    for which in [&["--aggregate", &stream][..], &["--type", "product.created"]] {
        let rebuilt = told(&[&["rebuild", "Products"], which].concat());
        assert!(rebuilt.starts_with("rebuilt Products from the events of some of its rows"), "{rebuilt}");
        let replayed = told(&[&["replay", "Products"], which].concat());
        assert_eq!(replayed, "Products has taken in 0 events; 0 are still parked\n");
    }
    for (option, value) in [("--type", "product.creatd"), ("--aggregate", "Product-nobody")] {
        let output = run(directory.path(), &["projections", "rebuild", "Products", option, value], &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
    let listed = lines(&told(&["list", "--format", "json"]));
    assert_eq!((&listed[0]["state"], &listed[0]["position"]), (&"active".into(), &2.into()));
    let rebuild = &listed[0]["rebuild"];
    assert_eq!((&rebuild["number"], &rebuild["state"]), (&3.into(), &"done".into()), "{rebuild}");
    assert_eq!(rebuild["begin"], serde_json::json!({ "rowsOf": { "type": "product.created" } }));
    assert!(told(&["list"]).contains("LAST REBUILD\nProducts  active  2         2     0    0       done 2"));
}

#[tokio::test]
async fn a_rebuild_says_what_it_could_not_take_in() {
    let (directory, id) = written().await;
    let store = store_in(directory.path());
    store.commit(unreadable(&id, 2)).await.expect("recorded");
    store.close().await;
    let output = run(directory.path(), &["projections", "rebuild", "Products"], &[]);
    let told = printed(&output).0;
    assert!(told.ends_with("\n1 events are parked: see `projections parked Products`\n"), "{told}");
}

/// An event that nobody can read.
fn unreadable(id: &str, expected_version: u64) -> Unit {
    let event = NewEvent {
        id: Uuid::now_v7(),
        event_type: "product.renamed",
        schema_version: 1,
        payload: Bytes::from_static(b"\xff"),
    };
    let append = Append {
        aggregate: "Product",
        aggregate_id: id.to_owned(),
        expected_version,
        events: vec![event],
        metadata: EventMetadata::default(),
        time: SystemTime::now(),
    };
    Unit { append: Some(append), ..Unit::default() }
}

#[tokio::test]
async fn a_read_model_of_a_running_service_is_paused_and_emptied() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[]);
    create(process.http, "lamp").await;
    let names = async || {
        let list = crate::http::get(process.http, "/api/v1/products").await.expect("an answer").json();
        list["products"].as_array().expect("a list").len()
    };
    assert_eq!(names().await, 1);
    for (action, told) in [
        ("pause", "Products is paused\n"),
        ("reset", "Products is empty; the service takes everything in again\n"),
        ("resume", "Products goes on\n"),
    ] {
        let output = run(directory.path(), &["projections", action, "Products"], &[]);
        assert_eq!(printed(&output).0, told);
    }
    create(process.http, "table").await;
    // The service notices within a second that it may go on; until then it answers as of the pause.
    let goes_on = async { while names().await != 2 {} };
    tokio::time::timeout(Duration::from_secs(20), goes_on).await.expect("everything is taken in again");
    let output = run(directory.path(), &["projections", "replay", "Products"], &[]);
    assert_eq!(printed(&output).0, "Products has taken in 0 events; 0 are still parked\n");
    let output = run(directory.path(), &["projections", "parked", "Products", "--format", "json"], &[]);
    assert_eq!(printed(&output).0, "");
}

/// Before there is a database, and none comes into being by that; that it may be the wrong place is told.
#[test]
fn who_looks_at_migrations_needs_no_database() {
    let directory = tempfile::tempdir().expect("a directory");
    looks_at_migrations_of_an_empty_database(&[], directory.path(), "there is no database at sqlite://data.db");
    assert!(!directory.path().join("data.db").exists());
}

#[tokio::test]
async fn who_looks_at_migrations_needs_no_tables() {
    let (directory, dsn) = (tempfile::tempdir().expect("a directory"), postgres("migrations_without_tables").await);
    for _ in 0..2 {
        let variables = [("DATABASE_DSN", dsn.as_str())];
        looks_at_migrations_of_an_empty_database(&variables, directory.path(), "there are no tables at postgres://");
    }
}

fn looks_at_migrations_of_an_empty_database(variables: &[(&str, &str)], directory: &Path, note: &str) {
    let migrate = |arguments: &[&str]| {
        let output = run(directory, &[&["migrate"], arguments].concat(), variables);
        assert!(printed(&output).1.starts_with(&format!("note: {note}")), "{output:?}");
        let (stdout, _) = printed(&output);
        (output.status.code().expect("it ended"), stdout.to_owned())
    };
    let (code, dry) = migrate(&["up", "--dry-run"]);
    assert!(code == 0 && dry.starts_with("-- apply 0001_init\nCREATE TABLE IF NOT EXISTS"), "{dry}");
    assert_eq!(migrate(&["status"]), (0, "MIGRATION  APPLIED\n0001_init  no\n".to_owned()));
    assert_eq!(migrate(&["validate"]), (1, "`0001_init` isn't applied\n".to_owned()));
    assert_eq!(migrate(&["down"]), (0, "nothing to take back\n".to_owned()));
}

#[test]
fn migrations_are_applied_once_and_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let migrate = |arguments: &[&str]| run(directory.path(), &[&["migrate"], arguments].concat(), &[]);
    assert_eq!(printed(&migrate(&[])).0, "applied 0001_init\n");
    assert_eq!(printed(&migrate(&["up"])).0, "nothing to apply\n");
    assert!(printed(&migrate(&["status"])).0.contains("0001_init  20"));
    assert_eq!(printed(&migrate(&["validate"])).0, "all migrations are applied, as this service has them\n");
}

#[test]
fn migrations_are_taken_back_and_applied_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let migrate = |arguments: &[&str]| run(directory.path(), &[&["migrate"], arguments].concat(), &[]);
    migrate(&[]);
    let dry = migrate(&["down", "--dry-run"]);
    assert!(printed(&dry).0.starts_with("-- take back 0001_init\nDROP TABLE products;"), "{dry:?}");
    assert!(printed(&migrate(&["status"])).0.contains("0001_init  20"), "a dry run does nothing");
    assert_eq!(printed(&migrate(&["down"])).0, "took back 0001_init\n");
    assert_eq!(printed(&migrate(&["down"])).0, "nothing to take back\n");
    assert_eq!(printed(&migrate(&["status"])).0, "MIGRATION  APPLIED\n0001_init  no\n");
    let wrong = migrate(&["validate"]);
    assert_eq!((wrong.status.code(), printed(&wrong).0), (Some(1), "`0001_init` isn't applied\n"));
    assert!(printed(&migrate(&["up", "--dry-run"])).0.contains("CREATE TABLE IF NOT EXISTS \"products\""));
    let unknown = migrate(&["up", "--to", "0002"]);
    assert!(printed(&unknown).1.contains("there is no migration `0002`; there are 0001_init"), "{unknown:?}");
    assert_eq!(printed(&migrate(&["up", "--to", "0001_init"])).0, "applied 0001_init\n");
}

#[test]
fn files_for_a_migration_of_ones_own_are_made() {
    let directory = tempfile::tempdir().expect("a directory");
    let create = |name: &str| run(directory.path(), &["migrate", "create", name], &[]);
    let refused = create("prices");
    assert!(printed(&refused).1.contains("run it in the project's folder"), "{refused:?}");
    std::fs::create_dir_all(directory.path().join("migrations/sqlite")).expect("a folder");
    std::fs::write(directory.path().join("migrations/sqlite/0007_mine.sql"), "").expect("written");
    let created = create("prices");
    assert!(printed(&created).0.contains("wrote migrations/sqlite/0008_prices.sql\n"), "{created:?}");
    assert!(directory.path().join("migrations/sqlite/0008_prices.down.sql").exists());
    assert_eq!(create("Prices!").status.code(), Some(2));
}

#[tokio::test]
async fn the_status_of_a_command_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(directory.path(), &[]);
    let accepted = crate::http::post(process.http, "/api/v1/products", r#"{"name":"taken"}"#).await.expect("an answer");
    let location = accepted.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location");
    let settled = crate::http::get(process.http, &format!("{location}?wait=10")).await.expect("an answer");
    assert_eq!(settled.json()["status"], "FAILED");
    let id = location.rsplit('/').next().expect("an id");

    let output = run(directory.path(), &["commands", "status", id], &[]);
    assert!(printed(&output).0.trim_end().ends_with("failed  NAME_TAKEN: the name `taken` is taken"), "{output:?}");
    let output = run(directory.path(), &["commands", "status", id, "--format", "json"], &[]);
    assert_eq!(lines(printed(&output).0)[0]["error"]["code"], "NAME_TAKEN");
    let output = run(directory.path(), &["commands", "status", "00000000-0000-0000-0000-000000000000"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let output = run(directory.path(), &["commands", "pending"], &[]);
    assert_eq!((output.status.code(), printed(&output).0), (Some(0), ""));
}

#[test]
fn a_wrong_configuration_is_told_whole_with_exit_code_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = run(directory.path(), &[], &[("SERVER_PORT", "http"), ("DATABASE_DSN", "postgres://u:p@db")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        printed(&output).1,
        "error: the configuration is not valid\n  \
         SERVER_PORT=http: expected a port number from 0 to 65535\n  \
         DATABASE_DSN=postgres://…@db: it names no database; write `postgres://user@host/database`\n"
    );
}

#[test]
fn a_wrong_command_line_has_exit_code_2_and_help_lists_the_environment() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = run(directory.path(), &["evnts"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).1.contains("events"), "it suggests what was meant: {output:?}");
    let output = run(directory.path(), &["--help"], &[("SERVER_PORT", "not even a number")]);
    assert_eq!(output.status.code(), Some(0));
    assert!(printed(&output).0.contains("DATABASE_DSN"), "{output:?}");
}

#[test]
fn subcommands_say_that_memory_holds_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = run(directory.path(), &["events", "--all"], &[("DATABASE_DSN", "memory://")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).1.contains("memory://"), "{output:?}");
}

#[test]
fn the_env_file_is_read_and_the_environment_wins() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join(".env"), "DATABASE_DSN=sqlite://from-file.db\nLOG_LEVEL=warn\n")
        .expect("written");
    let output = run(directory.path(), &["migrate"], &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(directory.path().join("from-file.db").exists());
    let output = run(directory.path(), &["migrate"], &[("DATABASE_DSN", "sqlite://from-environment.db")]);
    assert!(output.status.success(), "{output:?}");
    assert!(directory.path().join("from-environment.db").exists());
}

#[test]
fn a_start_that_fails_is_told_as_json_where_json_is_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = run(directory.path(), &["serve"], &[("DATABASE_DSN", "sqlite://no/such/data.db")]);
    assert_eq!(output.status.code(), Some(1));
    let log = lines(printed(&output).1);
    assert!(log[0]["error"].as_str().is_some_and(|error| error.contains("DATABASE_DSN")), "{log:?}");
    let variables = [("DATABASE_DSN", "sqlite://no/such/data.db"), ("LOG_FORMAT", "text")];
    let output = run(directory.path(), &["serve"], &variables);
    assert!(printed(&output).1.starts_with("error: cannot open the database DATABASE_DSN="), "{output:?}");
}

#[test]
fn a_variable_of_a_later_version_is_named_in_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start_with_log(directory.path(), &[("AMQP_URL", "amqp://localhost")]);
    let warning = process.1.iter().find(|line| line["level"] == "WARN").expect("a warning");
    assert_eq!(warning["variable"], "AMQP_URL");
}

#[cfg(feature = "nats")]
#[tokio::test]
async fn how_far_published_events_are_is_told() {
    let (directory, _) = written().await;
    let output = run(directory.path(), &["outgoing", "--format", "json"], &[]);
    let told: Value = serde_json::from_str(printed(&output).0).expect("JSON");
    let number = |name: &str| told[name].as_u64().expect("a number");
    assert!(number("head") > 0, "{told}");
    assert_eq!(number("lag"), number("head") - number("published"), "{told}");
    let output = run(directory.path(), &["outgoing"], &[("NATS_URL", "nats://127.0.0.1:9")]);
    let (text, _) = printed(&output);
    assert!(text.starts_with("PUBLISHED  HEAD  LAG"), "{text}");
    assert!(text.contains("the broker doesn't work: the broker at NATS_URL is out of reach"), "{text}");
}

#[tokio::test]
async fn dead_letters_are_listed_shown_replayed_and_discarded() {
    let (directory, id) = written().await;
    let rename = crate::catalogue::RenameProductRequest { product_id: id, name: "torch".to_owned() };
    let letters = [
        letter("catalogue.commands.catalogue.rename_product", prost::Message::encode_to_vec(&rename)),
        letter("catalogue.commands.catalogue.fly", Vec::new()),
    ];
    keep(directory.path(), &letters).await;
    let ids = letters.map(|letter| letter.id.to_string());
    let list = |arguments: &[&str]| run(directory.path(), &[&["dead-letters"], arguments].concat(), &[]);

    let output = list(&["list", "--format", "json"]);
    let told: Vec<_> = lines(printed(&output).0).into_iter().map(|it| it["id"].clone()).collect();
    assert_eq!(told, ids);
    let output = list(&["show", &ids[0]]);
    let shown: Value = serde_json::from_str(printed(&output).0).expect("JSON");
    assert_eq!((&shown["reason"], &shown["headers"]["potter-actor"]), (&"no such command".into(), &"ada".into()));

    let position = || {
        let output = run(directory.path(), &["projections", "list", "--format", "json"], &[]);
        lines(printed(&output).0)[0]["position"].clone()
    };
    let before = position();
    let output = list(&["replay"]);
    let (text, errors) = printed(&output);
    assert_eq!(position(), before, "read models are the service's, wherever it keeps them");
    assert_eq!(output.status.code(), Some(1), "one of them cannot be taken in: {text}");
    assert!(text.contains(&format!("{}  commands    taken in", ids[0])), "{text}");
    assert!(text.contains("kept: UNIMPLEMENTED"), "{text}");
    assert!(errors.contains("1 could not be taken in this time either"), "{errors}");
    let output = run(directory.path(), &["events", "--all"], &[]);
    assert!(printed(&output).0.contains("{\"name\":\"torch\"}"), "{output:?}");

    assert!(list(&["discard", &ids[1]]).status.success());
    assert_eq!(printed(&list(&["list"])).0, "");
    for action in ["show", "replay", "discard"] {
        let output = list(&[action, &ids[1]]);
        assert_eq!(output.status.code(), Some(1), "{action}");
        assert!(printed(&output).1.contains("there is no dead letter"), "{output:?}");
    }
}

fn letter(subject: &str, payload: Vec<u8>) -> potter::store::DeadLetter {
    let id = potter::uuid::Uuid::now_v7();
    potter::store::DeadLetter {
        id,
        source: "commands".to_owned(),
        key: String::new(),
        message_id: id.to_string(),
        subject: subject.to_owned(),
        headers: vec![("potter-actor".to_owned(), "ada".to_owned())],
        payload: payload.into(),
        reason: "no such command".to_owned(),
        history: Vec::new(),
        parked_at: std::time::SystemTime::now(),
    }
}

/// The database of a service that isn't running.
fn store_in(directory: &Path) -> SqliteStore {
    SqliteStore::open(&format!("sqlite://{}", directory.join("data.db").display())).expect("a database")
}

/// Puts letters into the database of a service that isn't running.
async fn keep(directory: &Path, letters: &[potter::store::DeadLetter]) {
    let store = store_in(directory);
    for letter in letters {
        store.keep_dead_letter(letter.clone()).await.expect("kept");
    }
    store.close().await;
}
