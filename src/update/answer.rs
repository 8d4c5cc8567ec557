//! What a person answers when asked file by file.

use super::{Plan, record};
use crate::lock::Lock;
use crate::merge::Merge;
use crate::migrations;
use crate::output::OutputError;
use crate::reconcile::{Action, Step, is_in_potters_folder, merged};

/// An answer about one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Do it.
    Yes,
    /// Not now; it is asked again the next time.
    No,
    /// Do this, and everything after it.
    All,
    /// Nothing at all, in no file.
    Quit,
    /// Of a file that both changed: take both, where that can be done.
    Merge,
    /// Of a file that both changed: take the proposal; a copy of the user's version is kept under `.potter/edited/`.
    Take,
    /// Of a file that both changed: the user's version is what the proposal is to be from now on.
    Mine,
}

impl Plan {
    /// The steps that a person is asked about: all that change a file, or leave a proposal waiting.
    fn questions(&self) -> Vec<usize> {
        let is_question = |step: &Step| step.writes() || step.proposed.is_some();
        (0..self.steps.len()).filter(|at| is_question(&self.steps[*at])).collect()
    }

    /// Asks about each step, and changes the plan accordingly. `false`: the person wants nothing done.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn ask(&mut self, mut ask: impl FnMut(&Step) -> Answer) -> Result<bool, OutputError> {
        for at in self.questions() {
            match ask(&self.steps[at]) {
                Answer::Yes => self.accept(at),
                Answer::All => {
                    self.questions().into_iter().filter(|it| *it >= at).for_each(|it| self.accept(it));
                    break;
                }
                Answer::Quit => return Ok(false),
                Answer::No => self.steps[at] = skipped(&self.steps[at]),
                Answer::Merge => self.merge(at),
                Answer::Take => self.take(at),
                Answer::Mine => self.steps[at] = settled(&self.steps[at]),
            }
        }
        self.skip_with_migrations();
        let before = self.project.lock().cloned();
        if let Some(before) = &before {
            self.forget_what_was_skipped(before);
        }
        record::files(&mut self.lock, &self.proposal, before.as_ref(), &self.steps);
        self.settle()?;
        Ok(true)
    }

    /// A migration that isn't written may not be in the list of all, and the others may lean on it.
    fn skip_with_migrations(&mut self) {
        let is_new = |step: &Step| migrations::is_migration(&step.path) && step.before.is_none();
        if self.steps.iter().any(|it| is_new(it) && it.action == Action::Skip) {
            let is_of_them = |step: &&mut Step| is_new(step) || step.path == migrations::LIST;
            self.steps.iter_mut().filter(is_of_them).for_each(|step| *step = skipped(step));
        }
    }

    /// What was left for later is not remembered as if it had been done.
    fn forget_what_was_skipped(&mut self, before: &Lock) {
        let is_skipped = |step: &Step| step.action == Action::Skip;
        if !self.steps.iter().any(is_skipped) {
            return;
        }
        // It may be a file in which a name has not been followed yet.
        self.lock.names = before.names.clone();
        if self.steps.iter().any(|it| is_skipped(it) && migrations::is_migration(&it.path)) {
            self.lock.tables = before.tables.clone();
        }
        // As soon as one file of Potter's is written, events may be recorded in the new shapes.
        let is_in_effect = |step: &Step| is_in_potters_folder(&step.path) && step.writes();
        if !self.steps.iter().any(is_in_effect) {
            self.lock.history = before.history.clone();
        }
    }

    /// What was edited by hand and stops a run is overwritten when a person says so.
    fn accept(&mut self, at: usize) {
        let step = &mut self.steps[at];
        if step.action == Action::Edited {
            step.action = Action::Overwrite;
        }
    }

    fn merge(&mut self, at: usize) {
        let step = &self.steps[at];
        let (Some(base), Some(mine), Some(theirs)) = (&step.base, &step.before, &step.proposed) else { return };
        if let Merge::Clean(both) = merged(&step.path, base, mine, theirs) {
            let step = Step { action: Action::Merge, after: Some(both), proposed: None, ..step.clone() };
            self.steps[at] = step;
        }
    }

    fn take(&mut self, at: usize) {
        let step = &mut self.steps[at];
        if let Some(proposed) = step.proposed.take() {
            step.after = Some(proposed);
            step.action = Action::Overwrite;
        }
    }
}

fn skipped(step: &Step) -> Step {
    let path = step.moved_from.clone().unwrap_or_else(|| step.path.clone());
    Step { path, moved_from: None, proposed: None, ..step.clone() }.stays(Action::Skip, "not now")
}

fn settled(step: &Step) -> Step {
    match step.proposed {
        Some(_) => Step { proposed: None, ..step.clone() }.stays(Action::LeaveChanged, "yours, as you said"),
        None => skipped(step),
    }
}
