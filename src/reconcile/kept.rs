//! Seeds that would know less than they do: names that changed in the protos hide from Potter what it saw before.

use super::{Action, Past, Step, seed};
use crate::file::{Class, File};
use crate::knowledge::{self, Fact, Field};
use crate::output::OutputError;
use crate::proposal::Proposal;

/// The step as it is; or, where the file would lose what it knows, one that keeps the file, its names following, and
/// lets the proposal wait until a person has looked.
pub(super) fn step(step: Step, file: &File, proposal: &Proposal, past: &Past<'_>) -> Result<Step, OutputError> {
    let locked = past.locked(there(&step));
    let is_seed = file.class == Class::Seed && file.path.ends_with(".rs");
    let Some(before) = step.before.as_deref().filter(|_| is_seed && step.action != Action::Keep) else {
        return Ok(step);
    };
    let mine = followed(before, past);
    let was_kept = locked.is_some_and(|it| it.kept);
    if was_kept && mine == before && seed::is_settled(file, locked, past)? {
        return Ok(step.stays(Action::LeaveChanged, "yours; its pending proposal was removed, and so is settled"));
    }
    let lost = lost(&step, &mine, proposal, past);
    if lost.is_empty() && !was_kept {
        return Ok(step);
    }
    let base = past.base(locked.and_then(|it| it.base.as_ref()))?.map(|it| followed(&it, past));
    Ok(kept(step, mine, base, file, &reason(&lost), past))
}

fn kept(step: Step, mine: Vec<u8>, base: Option<Vec<u8>>, file: &File, reason: &str, past: &Past<'_>) -> Step {
    let step = Step { proposed: Some(file.contents.clone().into_bytes()), base, knows_more: true, ..step };
    if step.moved_from.is_none() && step.before.as_ref() == Some(&mine) {
        return step.stays(Action::SetAside, reason);
    }
    step.to(Action::Follow, Some(mine), format!("{}; {reason}", past.renaming.told()))
}

/// What the step would take from the file.
fn lost(step: &Step, mine: &[u8], proposal: &Proposal, past: &Past<'_>) -> Vec<Fact> {
    // Between markers both versions are shown.
    let is_unseen = matches!(step.action, Action::Replace | Action::Merge | Action::Follow);
    let after = step.after.as_deref().filter(|_| is_unseen);
    let texts = std::str::from_utf8(mine).ok().zip(after.and_then(|it| std::str::from_utf8(it).ok()));
    let exists = |field: &Field| exists(field, proposal, past);
    texts.map(|(before, after)| knowledge::lost(before, after, &exists)).unwrap_or_default()
}

fn followed(bytes: &[u8], past: &Past<'_>) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).ok().filter(|_| !past.renaming.is_empty());
    text.map_or_else(|| bytes.to_vec(), |text| past.renaming.of_all(text).into_bytes())
}

fn there(step: &Step) -> &str {
    step.moved_from.as_deref().unwrap_or(&step.path)
}

/// Whether the messages have the field, perhaps under another name.
fn exists(field: &Field, proposal: &Proposal, past: &Past<'_>) -> bool {
    let messages = proposal.files.iter().filter(|it| it.path.starts_with("src/generated/messages/"));
    let structs = messages.filter_map(|it| Some((it.path.as_str(), knowledge::fields(&it.contents, &field.of)?)));
    structs.into_iter().any(|(path, fields)| {
        let number = number_before(path, field, past);
        fields.contains_key(&field.name) || fields.values().any(|it| Some(it) == number.as_ref())
    })
}

/// The number that the field had until now.
fn number_before(path: &str, field: &Field, past: &Past<'_>) -> Option<String> {
    let disk = (past.disk)(path).ok()??;
    let text = past.renaming.of_types(std::str::from_utf8(&disk).ok()?);
    knowledge::fields(&text, &field.of)?.remove(&field.name)
}

fn reason(lost: &[Fact]) -> String {
    let told: Vec<String> = lost.iter().take(3).map(Fact::told).collect();
    let more = if lost.len() > 3 { format!(" and {} more", lost.len() - 3) } else { String::new() };
    let what = match lost {
        [] => "what your file knows".to_owned(),
        _ => format!("{}{more}", told.join(", ")),
    };
    format!("the names in the protos no longer tell {what}: your file stays; mend it, then remove the proposal")
}
