//! Tests as seeds: a happy case for each command whose rule and outcome are plain.

use serde::Serialize;

use super::{Scope, rules::Rule};
use crate::model::{AggregateId, Command, Rpc};

/// A test of a seed, laid out.
#[derive(Serialize)]
pub(super) struct Test {
    pub name: String,
    pub body: String,
}

/// The tests of a seed and what they import.
pub(super) struct Tests {
    pub tests: Vec<Test>,
    pub uses: String,
}

/// The tests of an aggregate's rules.
pub(super) fn of_aggregate(_: &Scope<'_>, _: AggregateId, _: &[(&Rpc, &Command, Rule<'_>)]) -> Tests {
    Tests { tests: Vec::new(), uses: String::new() }
}
