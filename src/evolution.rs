//! Evolution: what a change of the proto does to stored events, to callers, and to the meaning of commands.
//!
//! In: the [`History`] that `potter.lock` keeps, and the module as it is now. Out: [`Finding`]s, as data. Two views,
//! judged by different rules:
//!
//! - **Recorded events** are read for ever. Every shape that the current version of an event ever had must read as
//!   the current one, with no value lost or changed, from protobuf and from JSON, which publishing, the SDK and whoever
//!   keeps what they were sent have it in. Where that doesn't hold, the version is to be raised, which asks for an upcaster, or the element to be kept.
//! - **The published contract** may change, but its callers want to know: the rules and categories are those of
//!   `buf breaking`, and nothing of it stops a run. What stops one is a change of meaning under an unchanged name:
//!   a command's id, whether it is async, whether it is idempotent.
//!
//! What was accepted on purpose ([`History::accepted`]) is not found again.

mod addition;
mod difference;
mod events;
mod fit;
mod meaning;
mod place;
mod published;
mod reading;
mod rules;

use crate::{
    descriptors::Descriptors,
    diagnostic::{Code, Diagnostic, Diagnostics, Location, Severity},
    history::{Accepted, History, Subject},
    model::Module,
};

pub use addition::{counterparts, differences, message_only_adds, oneofs_that_only_add, only_adds};
pub(crate) use events::{Holds, holds};
pub use rules::{Category, Rule};

/// A change that recorded events or callers will notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of change it is.
    pub code: Code,
    /// Full name of the element, as far as it is there: a field's `shop.OrderPlaced.note`.
    pub symbol: String,
    /// Where it is; what is gone is located in what it was part of.
    pub location: Option<Location>,
    /// What changed: lowercase, no final full stop.
    pub message: String,
    /// What can be done instead, one sentence each.
    pub ways_out: Vec<String>,
    /// The rules of `buf breaking` that it breaks; for findings about the published contract.
    pub rules: Vec<Rule>,
    /// What has to be accepted for it to be fine.
    pub acceptable: Vec<Acceptable>,
}

/// A change that can be accepted on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acceptable {
    /// What it is about.
    pub subject: Subject,
    /// What it was.
    pub from: String,
    /// What it became.
    pub to: String,
}

impl Finding {
    /// Whether it stops a run: errors make recorded events unreadable or commands mean something else.
    pub fn is_breaking(&self) -> bool {
        self.code.severity() == Severity::Error
    }

    /// The finding as a diagnostic, the ways out being its help.
    pub fn diagnostic(&self) -> Diagnostic {
        let rules: Vec<_> = self.rules.iter().map(Rule::to_string).collect();
        let message = match rules.as_slice() {
            [] => self.message.clone(),
            rules => format!("{} ({})", self.message, rules.join("; ")),
        };
        let diagnostic = Diagnostic::new(self.code, self.location.clone(), message).about(&self.symbol);
        match self.ways_out.as_slice() {
            [] => diagnostic,
            ways_out => diagnostic.help(ways_out.join("\nor ")),
        }
    }
}

/// Everything that recorded events or callers will notice, sorted by place.
pub fn findings(history: &History, module: &Module, descriptors: &Descriptors) -> Vec<Finding> {
    let places = place::Places::new(descriptors);
    let mut findings = events::findings(history, module, &places);
    if let Some(contract) = &history.contract {
        let now = crate::contract::Contract::of(module);
        findings.extend(meaning::findings(contract, &now, &history.accepted, module, &places));
        findings.extend(published::findings(contract, &now, &places));
    }
    findings.sort_by(|a, b| key(a).cmp(&key(b)));
    findings
}

/// [`findings`] as diagnostics, sorted: what is worth saying.
///
/// # Errors
///
/// One of them is breaking; all of them.
pub fn judge(history: &History, module: &Module, descriptors: &Descriptors) -> Result<Diagnostics, Diagnostics> {
    let mut all = Diagnostics::new();
    all.extend(findings(history, module, descriptors).iter().map(Finding::diagnostic));
    let all = all.sorted();
    if all.has_errors() { Err(all) } else { Ok(all) }
}

/// What is to be said of a module whose past is unknown: an event with a former version can't be read without it, and
/// a change of any other isn't noticed.
pub fn without_past(module: &Module, descriptors: &Descriptors) -> Diagnostics {
    let places = place::Places::new(descriptors);
    let later = module.events.iter().filter(|it| it.version > 1);
    let mut findings = Diagnostics::new();
    findings.extend(later.map(|event| {
        let text = format!(
            "event `{}` has version {}, and what its former versions were isn't known here",
            event.event_type, event.version
        );
        let help = "name the project's lock: `--potter_opt=lock=…/potter.lock`\n\
                    or write `lock=none` if no former version was ever recorded";
        Diagnostic::new(Code::PastUnknown, Some(events::version_place(event, &places)), text).help(help)
    }));
    if findings.is_empty() && !module.events.is_empty() {
        let text = "no `lock` is named: a change after which recorded events cannot be read is not noticed here";
        let help = "name the project's lock: `--potter_opt=lock=…/potter.lock`\n\
                    or write `lock=none` as long as nothing is recorded";
        findings.extend([Diagnostic::new(Code::PastUnseen, None, text).help(help)]);
    }
    findings.sorted()
}

fn key(finding: &Finding) -> (Location, Code, &str, &str) {
    (finding.location.clone().unwrap_or_default(), finding.code, &finding.symbol, &finding.message)
}

/// What is to be added to [`History::accepted`] so that the findings about `subject` are fine; empty when there are
/// none.
pub fn accept(findings: &[Finding], subject: &Subject, reason: &str) -> Vec<Accepted> {
    let acceptable = findings.iter().flat_map(|it| &it.acceptable).filter(|it| it.subject == *subject);
    let mut accepted: Vec<_> = acceptable
        .map(|it| Accepted {
            subject: it.subject.clone(),
            from: it.from.clone(),
            to: it.to.clone(),
            reason: reason.to_owned(),
            used: false,
        })
        .collect();
    accepted.sort();
    accepted.dedup();
    accepted
}

#[cfg(test)]
mod tests;
