//! The one place where `update` and `check` hear what recorded events and callers will notice.

use crate::diagnostic::Diagnostics;
use crate::evolution;
use crate::lock::Lock;
use crate::proposal::Source;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What stops a run and is BREAKING in a check: located, and with the ways out as help.
    pub breaking: Diagnostics,
    /// What is only said.
    pub warnings: Diagnostics,
}

/// Compares what the lock remembers with the protos as they are now.
///
/// [`super::plan`] calls it once for each run. Whatever else compares the past with the present adds its findings
/// here: errors to `breaking`, everything else to `warnings`. `update` then writes nothing and ends with 2; `check`
/// reports each error as BREAKING at its place in the proto, and goes on to compare the files.
pub fn judge(lock: Option<&Lock>, source: &Source) -> Judgement {
    let mut judgement = Judgement::default();
    let Some(lock) = lock else { return judgement };
    for finding in evolution::findings(&lock.history, &source.module, &source.descriptors) {
        let found = if finding.is_breaking() { &mut judgement.breaking } else { &mut judgement.warnings };
        found.push(finding.diagnostic());
    }
    judgement
}
