//! The new lock: what is proposed now, and what became of it.

use rayon::prelude::*;

use super::Request;
use crate::file::{Class, File};
use crate::lock::{Hash, Lock, LockedFile};
use crate::proposal::{Proposal, Source};
use crate::reconcile::{Action, Step, meaning};
use crate::structured;

/// What a run knows.
pub(super) struct Run<'a> {
    pub request: &'a Request,
    pub source: &'a Source,
    pub proposal: &'a Proposal,
    pub before: Option<&'a Lock>,
}

/// The lock after the steps.
pub(super) fn lock(run: &Run<'_>, steps: &[Step]) -> Lock {
    let mut lock = Lock::new(&run.source.module.name);
    lock.module_given = run.request.module_given(run.before);
    lock.descriptor_set = run.request.remembered_set(run.before);
    if lock.descriptor_set.is_none() {
        lock.protos = run.proposal.protos.iter().map(|name| format!("proto/{name}")).collect();
        lock.proto_paths = vec!["proto".to_owned()];
    }
    lock.framework = run.source.framework.to_string();
    lock.tables = run.proposal.tables.clone();
    lock.names = run.proposal.names.clone();
    lock.history = run.proposal.history.clone();
    files(&mut lock, run.proposal, run.before, steps);
    lock
}

/// What the lock knows of the files after the steps.
pub(super) fn files(lock: &mut Lock, proposal: &Proposal, before: Option<&Lock>, steps: &[Step]) {
    let known = |path: &str| before.and_then(|before| before.files.get(path));
    let locked = steps.par_iter().filter_map(|step| {
        let old = known(step.moved_from.as_ref().unwrap_or(&step.path));
        let locked = match proposal.files.binary_search_by(|file| file.path.cmp(&step.path)) {
            Ok(at) => proposed(&proposal.files[at], step, old),
            Err(_) => old.filter(|_| step.action != Action::Remove).cloned(),
        };
        locked.map(|it| (step.path.clone(), it))
    });
    lock.files = locked.collect();
}

fn proposed(file: &File, step: &Step, old: Option<&LockedFile>) -> Option<LockedFile> {
    if step.action == Action::Skip {
        return old.cloned();
    }
    let emitted = Hash::of(file.contents.as_bytes());
    let is_waiting = step.proposed.is_some();
    let base = match file.class {
        Class::Seed if is_waiting && step.base.is_some() => step.base.as_deref().map(Hash::of),
        Class::Seed if is_waiting => old.and_then(|old| old.base.clone()),
        Class::Seed | Class::Append => Some(emitted.clone()),
        Class::Generated | Class::Structured => None,
    };
    let declined = step.after.is_none();
    // Should it come back from version control, it is known what it was.
    let base = if declined { old.and_then(|old| old.base.clone()) } else { base };
    let (parts, released) = parts(file, step, old);
    let known = old.filter(|old| old.emitted == emitted).and_then(|old| old.meaning.clone());
    let meaning = match file.class {
        Class::Generated => known.or_else(|| meaning(&file.path, file.contents.as_bytes())),
        _ => None,
    };
    let symbol = file.symbol.clone();
    Some(LockedFile { class: file.class, symbol, emitted, meaning, base, parts, released, declined })
}

/// Potter's part of a structured file, and what of it the user took over.
fn parts(file: &File, step: &Step, old: Option<&LockedFile>) -> (Vec<String>, Vec<String>) {
    if file.class != Class::Structured || step.action == Action::SetAside {
        return old.map(|old| (old.parts.clone(), old.released.clone())).unwrap_or_default();
    }
    let parts = structured::parts(&file.path, &file.contents).unwrap_or_default();
    let after = String::from_utf8_lossy(step.after.as_deref().unwrap_or_default()).into_owned();
    let released = structured::missing(&file.path, &after, &parts).unwrap_or_default();
    (parts, released)
}
