//! The one place where `update` and `check` hear what recorded events and callers will notice.

use crate::descriptors::OptionOf;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, suggestion};
use crate::evolution;
use crate::lock::Lock;
use crate::model::RpcKind;
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
    judgement.warnings.extend(never_were(lock, source));
    judgement
}

/// Number and name of `renamed_from` in `(potter.command)`.
const RENAMED_FROM: (i32, &str) = (13, "renamed_from");
/// Path of the options in a method's descriptor, and the number of `(potter.command)`.
const COMMAND: (i32, i32) = (4, 50001);

/// New rpcs that are said to be old ones, of which nobody knows.
fn never_were<'a>(lock: &'a Lock, source: &'a Source) -> impl Iterator<Item = Diagnostic> + 'a {
    let rpcs = source.module.services.iter().flat_map(|it| &it.rpcs);
    let renamed = rpcs.filter_map(|rpc| match &rpc.kind {
        RpcKind::Command(command) => Some((&rpc.descriptor, command.renamed_from.as_deref()?)),
        RpcKind::Query(_) => None,
    });
    renamed.filter_map(|(rpc, old)| {
        let service = rpc.parent_service().full_name().to_owned();
        let beginning = format!("answer {service}.");
        let known: Vec<&str> = lock.names.keys().filter_map(|it| it.strip_prefix(&beginning)).collect();
        if lock.names.is_empty() || known.contains(&old) || known.contains(&rpc.name()) {
            return None;
        }
        let option = OptionOf { path: rpc.path(), options: COMMAND.0, extension: COMMAND.1 };
        let place = source.descriptors.locate_option(&rpc.parent_file(), option, Some(RENAMED_FROM), Some(old));
        let text = format!("{} is renamed from `{old}`, which potter.lock doesn't know in {service}", rpc.name());
        let found = Diagnostic::new(Code::RenamedFromUnknown, Some(place), text).about(rpc.full_name());
        Some(found.help(suggestion(old, known.iter().copied())))
    })
}
