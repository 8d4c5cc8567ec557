//! What a person answers when asked file by file.

use super::{Plan, record};
use crate::file::Class;
use crate::merge::Merge;
use crate::reconcile::{Action, Step, merged};

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
    /// Of a file that both changed: take the proposal, the user's version is given up.
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
    pub fn ask(&mut self, mut ask: impl FnMut(&Step) -> Answer) -> bool {
        for at in self.questions() {
            match ask(&self.steps[at]) {
                Answer::Yes => self.accept(at),
                Answer::All => {
                    self.questions().into_iter().filter(|it| *it >= at).for_each(|it| self.accept(it));
                    break;
                }
                Answer::Quit => return false,
                Answer::No => self.steps[at] = skipped(&self.steps[at]),
                Answer::Merge => self.merge(at),
                Answer::Take => self.take(at),
                Answer::Mine => self.steps[at] = settled(&self.steps[at]),
            }
        }
        let before = self.project.lock().cloned();
        if let Some(before) = before.as_ref().filter(|_| self.steps.iter().any(|it| it.action == Action::Skip)) {
            // What was left for later may be a file in which a name has not been followed yet.
            self.lock.names = before.names.clone();
        }
        record::files(&mut self.lock, &self.proposal, before.as_ref(), &self.steps);
        true
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
            step.action = Action::Replace;
        }
    }
}

fn skipped(step: &Step) -> Step {
    // A migration that isn't written would be missing from the list that names it.
    match step.class {
        Class::Append => step.clone(),
        _ => {
            let path = step.moved_from.clone().unwrap_or_else(|| step.path.clone());
            Step { path, moved_from: None, proposed: None, ..step.clone() }.stays(Action::Skip, "not now")
        }
    }
}

fn settled(step: &Step) -> Step {
    match step.proposed {
        Some(_) => Step { proposed: None, ..step.clone() }.stays(Action::LeaveChanged, "yours, as you said"),
        None => skipped(step),
    }
}
