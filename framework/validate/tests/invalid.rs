//! Rules that cannot be enforced are errors when the service starts, all of them at once.

mod support;

use std::fs;
use std::path::Path;

use potter_validate::Validator;

#[test]
fn every_invalid_rule_is_named_with_its_field() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid/rules.proto");
    let source = fs::read_to_string(file).unwrap();
    let mut expected: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    assert!(expected.len() > 20, "the expectations are gone");
    let error = Validator::new(support::pool(&[("rules.proto", &source)])).unwrap_err().to_string();
    let mut actual: Vec<&str> = error.lines().collect();
    expected.sort_unstable();
    actual.sort_unstable();
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual.len(), expected.len());
}
