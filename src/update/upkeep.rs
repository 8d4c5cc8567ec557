//! What a run changes of Potter's own records, beside the files of the project: the lock, the copies that merges stand
//! on, and proposals that nobody waits for any more.

use super::Plan;
use crate::file::Class;
use crate::lock::{Hash, LOCK_PATH};
use crate::output::{Change, OutputError};
use crate::reconcile::{Action, PENDING, Step};

/// Where the bytes that seeds are based on are kept.
pub(super) const BASES: &str = ".potter/base";

/// Whether a step is about a copy of a file, which is told elsewhere.
pub fn is_copy(step: &Step) -> bool {
    step.path.starts_with(BASES)
}

/// The records that change, as steps; of a new project nobody asks.
pub(super) fn upkeep(plan: &Plan) -> Result<Vec<Step>, OutputError> {
    if plan.is_new {
        return Ok(Vec::new());
    }
    let mut steps = Vec::new();
    for change in &plan.changes {
        if let Some(reason) = reason(plan, change) {
            let before = plan.read(&change.path)?;
            steps.extend((before != change.contents).then(|| step(change, before, reason)));
        }
    }
    Ok(steps)
}

fn step(change: &Change, before: Option<Vec<u8>>, reason: String) -> Step {
    let action = match (&before, &change.contents) {
        (_, None) => Action::Remove,
        (None, _) => Action::Create,
        _ => Action::Replace,
    };
    Step::untouched(&change.path, Class::Generated, "", before).to(action, change.contents.clone(), reason)
}

/// Why it changes; none for a file of the project, or a proposal that waits, of which its step tells.
fn reason(plan: &Plan, change: &Change) -> Option<String> {
    let path = change.path.as_str();
    let is_gone = change.contents.is_none();
    Some(match () {
        () if path == LOCK_PATH => "it remembers what the protos and files are now".to_owned(),
        () if path.starts_with(BASES) && is_gone => "no file is based on it any more".to_owned(),
        () if path.starts_with(BASES) => format!("a copy of {}, for later merges", based_on(plan, path)),
        () if path.starts_with(PENDING) && is_gone => "nobody waits for it any more".to_owned(),
        () => return None,
    })
}

/// The files that are based on a copy, as a sentence names them.
fn based_on(plan: &Plan, path: &str) -> String {
    let files = plan.lock.files.iter().filter(|(_, it)| it.base.as_ref().map(Hash::base_path).as_deref() == Some(path));
    files.map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(" and ")
}
