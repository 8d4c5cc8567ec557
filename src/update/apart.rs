//! A proto that was changed in the project, while another version of it is named: only one of them can be generated from.
//!
//! Nothing is written then. With `--merge`, both versions' changes are put together first, and what comes of it is
//! generated from.

use std::fs;
use std::path::Path;

use super::{Error, Plan, Request};
use crate::file::Class;
use crate::output::OutputError;
use crate::reconcile::{Action, Step};

/// The plan, if the project's protos become those that it was made from; else the one of both together, if they may be
/// merged.
pub(super) fn settled(
    plan: Plan,
    request: &Request,
    again: impl Fn(&Request) -> Result<Plan, Error>,
) -> Result<Plan, Error> {
    let apart = apart(&plan);
    if request.protos.is_empty() || apart.is_empty() {
        return Ok(plan);
    }
    let refused = Error::Apart(apart.iter().map(|step| step.path.clone()).collect());
    let is_merged = |step: &&Step| matches!(step.action, Action::Merge | Action::LeaveChanged);
    if !request.allowed.merge || !apart.iter().all(is_merged) {
        return Err(refused);
    }
    let folder = tempfile::tempdir().map_err(failed(&std::env::temp_dir()))?;
    write(&plan, folder.path())?;
    let protos = plan.proposal.protos.iter().map(|name| folder.path().join(name)).collect();
    let proto_paths = vec![folder.path().to_owned()];
    let plan =
        again(&Request { protos, proto_paths, ..request.clone() }).map_err(|error| seen(error, folder.path()))?;
    if self::apart(&plan).is_empty() { Ok(seen_in_project(plan, folder.path())) } else { Err(refused) }
}

fn protos(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(|step| step.class == Class::Seed && step.path.starts_with("proto/"))
}

/// The protos that are not what was generated from, once the plan is carried out; line ends aside.
fn apart(plan: &Plan) -> Vec<&Step> {
    let proposed = |step: &Step| plan.proposal.files.iter().find(|file| file.path == step.path);
    let becomes =
        |step: &Step| String::from_utf8_lossy(step.after.as_deref().unwrap_or_default()).replace("\r\n", "\n");
    protos(plan).filter(|step| proposed(step).is_some_and(|file| becomes(step) != file.contents)).collect()
}

/// Writes the project's protos as they will be.
fn write(plan: &Plan, folder: &Path) -> Result<(), Error> {
    for step in protos(plan) {
        let path = folder.join(step.path.trim_start_matches("proto/"));
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(failed(parent))?;
        fs::write(&path, step.after.as_deref().unwrap_or_default()).map_err(failed(&path))?;
    }
    Ok(())
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> OutputError {
    move |source| OutputError::Io { path: path.to_owned(), source }
}

/// What is said of a merged proto is said of the project's: that is where it will be.
fn seen(error: Error, folder: &Path) -> Error {
    let folder = folder.to_string_lossy();
    match error {
        Error::Protos(findings) => Error::Protos(findings.seen_in(&folder, "proto")),
        other => other,
    }
}

fn seen_in_project(mut plan: Plan, folder: &Path) -> Plan {
    let folder = folder.to_string_lossy();
    plan.warnings = std::mem::take(&mut plan.warnings).seen_in(&folder, "proto");
    plan.breaking = std::mem::take(&mut plan.breaking).seen_in(&folder, "proto");
    plan
}
