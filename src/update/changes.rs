//! Every change to the disk that a plan makes: files, copies of what goes, bases, pending proposals, the lock.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, upkeep::BASES};
use crate::file::Class;
use crate::lock::Hash;
use crate::output::{Before, Change, OutputError};
use crate::reconcile::{Action, PENDING, Step};

/// New bytes by path; none removes the file.
type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// The changes, sorted by path, but the lock, which comes last.
pub(super) fn changes(plan: &Plan) -> Result<Vec<Change>, OutputError> {
    let mut changes = Changes::new();
    for step in plan.steps.iter().filter(|step| step.action != Action::Skip) {
        file(plan, step, &mut changes)?;
        pending(step, &mut changes);
    }
    bases(plan, &mut changes)?;
    clear(plan, &mut changes)?;
    if plan.is_new {
        // The versions that Potter was tested with, so that the first build works offline; cargo drops the rest.
        changes.insert("Cargo.lock".to_owned(), Some(include_bytes!("../../Cargo.lock").to_vec()));
    }
    let planned = planned(plan);
    let with_before = |(path, contents): (String, _)| {
        let before = planned.get(path.as_str()).cloned().unwrap_or(Before::Anything);
        Change { path, contents, before }
    };
    let mut changes: Vec<Change> = changes.into_iter().map(with_before).collect();
    changes.push(plan.project.lock_change(&plan.lock));
    Ok(changes)
}

/// What the steps were decided on, by path.
fn planned(plan: &Plan) -> BTreeMap<&str, Before> {
    let of_step = |step: &'_ Step| Before::planned(step.before.as_deref());
    let mut planned = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.writes()) {
        match &step.moved_from {
            // Where it goes there was nothing.
            Some(old) => planned.extend([(old.as_str(), of_step(step)), (step.path.as_str(), Before::planned(None))]),
            None => planned.extend([(step.path.as_str(), of_step(step))]),
        }
    }
    planned
}

fn file(plan: &Plan, step: &Step, changes: &mut Changes) -> Result<(), OutputError> {
    if step.action == Action::Overwrite {
        changes.insert(free_place(plan, step)?, step.before.clone());
    }
    if step.writes() {
        changes.insert(step.path.clone(), step.after.clone());
    }
    if let Some(old) = &step.moved_from {
        changes.insert(old.clone(), None);
    }
    Ok(())
}

/// Where the old copy of a file is kept; copies that are there already stay.
fn free_place(plan: &Plan, step: &Step) -> Result<String, OutputError> {
    let place = format!(".potter/edited/{}", step.path);
    let mut free = place.clone();
    for number in 2_u32.. {
        let there = plan.read(&free)?;
        if there.is_none() || there == step.before {
            break;
        }
        free = format!("{place}.{number}");
    }
    Ok(free)
}

/// The proposal that waits, and what is new in it.
fn pending(step: &Step, changes: &mut Changes) {
    let Some(proposed) = &step.proposed else { return };
    let path = format!("{PENDING}/{}", step.path);
    changes.insert(format!("{path}.diff"), Some(step.news().into_bytes()));
    changes.insert(path, Some(proposed.clone()));
}

/// The bytes that files are based on from now on.
fn bases(plan: &Plan, changes: &mut Changes) -> Result<(), OutputError> {
    let wanted: BTreeSet<&Hash> = plan.lock.files.values().filter_map(|it| it.base.as_ref()).collect();
    let has_base = |class: Class| matches!(class, Class::Seed | Class::Append);
    let proposed = plan.proposal.files.iter().filter(|it| has_base(it.class)).map(|it| it.contents.as_bytes());
    let renamed = plan.steps.iter().filter_map(|it| it.base.as_deref());
    // A migration is no longer proposed once it is there, and is its own base.
    let migrations = plan.steps.iter().filter(|it| it.class == Class::Append).filter_map(|it| it.after.as_deref());
    for bytes in proposed.chain(renamed).chain(migrations) {
        let hash = Hash::of(bytes);
        if wanted.contains(&hash) {
            changes.insert(hash.base_path(), Some(bytes.to_vec()));
        }
    }
    let wanted: BTreeSet<String> = wanted.into_iter().map(Hash::base_path).collect();
    let stale = plan.project.list(BASES)?.into_iter().filter(|path| !wanted.contains(path));
    changes.extend(stale.map(|path| (path, None)));
    Ok(())
}

/// Pending proposals that nobody waits for any more.
fn clear(plan: &Plan, changes: &mut Changes) -> Result<(), OutputError> {
    let skipped: BTreeSet<&str> =
        plan.steps.iter().filter(|step| step.action == Action::Skip).map(|step| step.path.as_str()).collect();
    for path in plan.project.list(PENDING)? {
        let file = path[PENDING.len() + 1..].to_owned();
        let is_skipped = skipped.contains(file.as_str()) || skipped.contains(file.trim_end_matches(".diff"));
        if !is_skipped {
            changes.entry(path).or_insert(None);
        }
    }
    Ok(())
}
