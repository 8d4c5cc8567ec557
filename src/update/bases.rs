//! What seeds are based on, where the copies of it are gone.
//!
//! A copy that can be made anew is written again: that of a proposal that still holds, of a migration. What can't, is no
//! base any more: the lock lets go of it, so that all is well again once a person has dealt with the proposal, and the
//! plan says what is lost with it.

use std::collections::BTreeSet;

use super::{Plan, changes};
use crate::lock::Hash;
use crate::output::OutputError;
use crate::reconcile::is_as_written;

/// What is lost with a base.
const LOST: &str = "the copy that it was based on is gone: what you changed since can't be told from what Potter wrote, \
                    and can't be merged";

/// Lets go of bases whose bytes are nowhere any more.
pub(super) fn let_go(plan: &mut Plan) -> Result<(), OutputError> {
    let wanted: BTreeSet<Hash> = plan.lock.files.values().filter_map(|it| it.base.clone()).collect();
    let mut gone = BTreeSet::new();
    for hash in wanted {
        if !plan.read(&hash.base_path())?.is_some_and(|bytes| is_as_written(&bytes, &hash)) {
            gone.insert(hash);
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    let written = changes::changes(plan)?.into_iter().filter(|it| it.contents.is_some());
    let written: BTreeSet<String> = written.map(|it| it.path).collect();
    gone.retain(|hash| !written.contains(&hash.base_path()));
    for step in &mut plan.steps {
        let Some(locked) = plan.lock.files.get_mut(&step.path) else { continue };
        let is_lost = locked.base.take_if(|base| gone.contains(base)).is_some();
        // A plan that a person was asked about comes by twice.
        if is_lost && !step.reason.contains(LOST) {
            step.reason = format!("{}; {LOST}", step.reason);
        }
    }
    Ok(())
}
