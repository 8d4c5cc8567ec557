//! What a run does.

use serde::Serialize;
use serde_json::{Value, json};

use crate::reconcile::{Action, Step};
use crate::update::{Plan, is_copy};

/// Each file that changes or waits, and why a person is needed where one is; of copies their files tell.
pub fn text(plan: &Plan) -> String {
    all(plan).filter(|step| is_worth_saying(step) && !is_copy(step)).map(line).collect()
}

/// Each file that changes or waits, with reason, owner, proto element and diff.
pub fn details(plan: &Plan) -> String {
    all(plan).filter(|step| is_worth_saying(step)).map(detail).collect()
}

/// The files of the project, then Potter's own records.
fn all(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().chain(&plan.upkeep)
}

/// A step with reason, owner, proto element and diff.
pub fn detail(step: &Step) -> String {
    let symbol = if step.symbol.is_empty() { String::new() } else { format!(", {}", step.symbol) };
    let Step { class, reason, .. } = step;
    let waiting = step.proposed.as_ref().map(|_| format!("What is new waits:\n{}", step.news())).unwrap_or_default();
    let diff = if is_copy(step) { String::new() } else { step.diff() };
    format!("{}{class}{symbol}: {reason}\n{diff}{waiting}\n", head(step))
}

/// One JSON document: every file with action, reason, owner, proto element and diff.
pub fn json(plan: &Plan) -> String {
    let steps: Vec<StepView<'_>> = all(plan).map(StepView::of).collect();
    let diagnostics = plan.breaking.iter().chain(plan.warnings.iter());
    let document = json!({
        "steps": steps,
        "diagnostics": diagnostics.map(diagnostic).collect::<Vec<_>>(),
        "needs_a_person": plan.needs_a_person() || plan.refuse().is_err(),
    });
    format!("{document:#}\n")
}

/// A diagnostic as JSON.
pub(super) fn diagnostic(it: &crate::diagnostic::Diagnostic) -> Value {
    let place = it.location.as_ref();
    json!({
        "code": it.code.to_string(),
        "severity": if it.severity == crate::diagnostic::Severity::Error { "error" } else { "warning" },
        "file": place.map(|place| place.file.clone()),
        "line": place.map(|place| place.line).filter(|line| *line > 0),
        "column": place.map(|place| place.column).filter(|column| *column > 0),
        "message": it.message,
        "help": it.help,
    })
}

/// How many files are changed, and how many wait.
pub fn summary(plan: &Plan) -> String {
    let changed = plan.steps.iter().filter(|step| step.writes()).count();
    let waiting = plan.steps.iter().filter(|step| step.proposed.is_some()).count();
    let orphans = plan.steps.iter().filter(|step| step.action == Action::Orphan).count();
    let declined = plan.steps.iter().filter(|step| step.action == Action::Decline).count();
    let marked = plan.steps.iter().filter(|step| step.is_marked() && step.proposed.is_none()).count();
    if changed + waiting + orphans + declined + marked == 0 {
        let all_is_well =
            if plan.upkeep.is_empty() { "everything is up to date" } else { "only Potter's records change" };
        return all_is_well.to_owned();
    }
    let mut parts = vec![counted(changed, "file changes", "files change")];
    parts.extend((waiting > 0).then(|| counted(waiting, "waits for you", "wait for you")));
    parts.extend((marked > 0).then(|| counted(marked, "has markers of a conflict", "have markers of a conflict")));
    parts.extend((orphans > 0).then(|| counted(orphans, "orphan", "orphans")));
    parts.extend((declined > 0).then(|| counted(declined, "file stays away", "files stay away")));
    parts.join(", ")
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn is_worth_saying(step: &Step) -> bool {
    step.writes() || step.action.needs_a_person() || matches!(step.action, Action::Orphan | Action::Decline)
}

fn head(step: &Step) -> String {
    let from = step.moved_from.as_ref().map(|old| format!(" (was {old})")).unwrap_or_default();
    format!("{:>10}  {}{from}\n", step.action.name(), step.path)
}

fn line(step: &Step) -> String {
    let is_plain = matches!(step.action, Action::Create | Action::Replace | Action::Remove) && !step.recalled;
    let aside = if step.proposed.is_some() { "; see .potter/pending/" } else { "" };
    match is_plain {
        true => head(step),
        false => format!("{}            {}{aside}\n", head(step), step.reason),
    }
}

#[derive(Serialize)]
struct StepView<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<&'a str>,
    action: &'static str,
    reason: &'a str,
    class: String,
    symbol: &'a str,
    changes_the_file: bool,
    diff: String,
    /// What is new in a proposal that waits.
    pending: String,
}

impl<'a> StepView<'a> {
    fn of(step: &'a Step) -> Self {
        Self {
            path: &step.path,
            moved_from: step.moved_from.as_deref(),
            action: step.action.name(),
            reason: &step.reason,
            class: step.class.to_string(),
            symbol: &step.symbol,
            changes_the_file: step.writes(),
            diff: step.diff(),
            pending: step.news(),
        }
    }
}
