//! The rules: `cases/<family>.proto` declares messages, `cases/<family>.txt` says what each value of them breaks.
//!
//! A case is a line with a message's name and its JSON, followed by the expected violations, indented. A pair of files
//! dropped in is a test added; `BLESS=1` rewrites the expectations, for reading their diff.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use potter_validate::{Cause, Validator, Violation};
use prost_reflect::{DescriptorPool, DynamicMessage};

#[test]
fn every_case_breaks_the_rules_it_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut families: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    families.retain(|path| path.extension().is_some_and(|it| it == "proto"));
    families.sort();
    assert!(families.len() >= 8, "the families are gone");
    for family in families {
        let source = fs::read_to_string(&family).unwrap();
        let name = family.file_name().unwrap().to_str().unwrap();
        let pool = support::pool(&[(name, &source)]);
        let package = pool.get_file_by_name(name).unwrap().package_name().to_owned();
        let validator = Validator::new(pool.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = fs::read_to_string(family.with_extension("txt")).unwrap_or_default();
        let actual =
            rerun(&expected, |message, json| validate(&validator, &pool, &format!("{package}.{message}"), json));
        if std::env::var_os("BLESS").is_some() {
            fs::write(family.with_extension("txt"), &actual).unwrap();
        } else {
            let diff = expected.lines().zip(actual.lines()).find(|(expected, actual)| expected != actual);
            assert!(expected == actual, "{name}: first difference {diff:#?}\n\nnow it is:\n{actual}");
        }
    }
}

/// The file again, with what the cases give now.
fn rerun(file: &str, run: impl Fn(&str, &str) -> Vec<Violation>) -> String {
    let mut actual = String::new();
    for line in file.lines().filter(|line| !line.starts_with(' ')) {
        writeln!(actual, "{line}").unwrap();
        let Some((message, json)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        for violation in run(message, json) {
            let key = if violation.for_key { " (key)" } else { "" };
            let rule = if violation.cause == Cause::Rule { " (rule)" } else { "" };
            writeln!(actual, "    {violation}{key}{rule}").unwrap();
        }
    }
    actual
}

fn validate(validator: &Validator, pool: &DescriptorPool, message: &str, json: &str) -> Vec<Violation> {
    let descriptor = pool.get_message_by_name(message).unwrap_or_else(|| panic!("{message} is not declared"));
    let mut json = serde_json::Deserializer::from_str(json);
    let message =
        DynamicMessage::deserialize(descriptor, &mut json).unwrap_or_else(|error| panic!("{message}: {error}"));
    // 1 January 2026.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    validator.validate_at(&message, now).err().unwrap_or_default()
}
