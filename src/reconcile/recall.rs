//! Seeds of which Potter would know less than it did: what the earlier proposal knew is put back into the new one.

use std::collections::BTreeMap;

use super::{Past, Step, moves};
use crate::file::{Class, File};
use crate::knowledge::{self, Fact, Field, Recalled};
use crate::lock::Hash;
use crate::output::OutputError;
use crate::proposal::Proposal;

/// What was put back, by path.
pub struct Memory(BTreeMap<String, Vec<Fact>>);

/// Puts back into the proposal what the one before knew and it doesn't, although it could.
///
/// # Errors
/// A file can't be read.
pub fn recall(proposal: &mut Proposal, past: &Past<'_>) -> Result<Memory, OutputError> {
    let mut recalled = Vec::new();
    let moves = moves(proposal, past)?;
    for (at, file) in proposal.files.iter().enumerate() {
        let there = moves.get(file.path.as_str()).copied().unwrap_or(&file.path);
        recalled.extend(of_file(file, there, proposal, past)?.map(|it| (at, it)));
    }
    let mut memory = BTreeMap::new();
    for (at, Recalled { text, facts }) in recalled {
        let file = &mut proposal.files[at];
        file.contents = text;
        memory.insert(file.path.clone(), facts);
    }
    Ok(Memory(memory))
}

fn of_file(file: &File, there: &str, proposal: &Proposal, past: &Past<'_>) -> Result<Option<Recalled>, OutputError> {
    let is_seed = file.class == Class::Seed && file.path.ends_with(".rs");
    let Some(locked) = past.locked(there).filter(|_| is_seed) else { return Ok(None) };
    if locked.base.as_ref().is_none_or(|it| *it == Hash::of(file.contents.as_bytes())) {
        return Ok(None);
    }
    let base = past.base(locked.base.as_ref())?.and_then(|it| String::from_utf8(it).ok());
    let Some(base) = base else { return Ok(None) };
    // What was put back once may name a field that is called differently since.
    let exists = |field: &Field| locked.recalled || exists(field, proposal, past);
    Ok(knowledge::recalled(&past.renaming.of_all(&base), &file.contents, &exists))
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

impl Memory {
    /// Makes a note in the files' steps, and a sentence of it where a file is written or its proposal waits.
    pub fn note(&self, steps: &mut [Step]) {
        for step in steps {
            let Some(facts) = self.0.get(&step.path) else { continue };
            step.recalled = true;
            if step.writes() || step.proposed.is_some() {
                let told = told(facts);
                step.reason = format!("{}; the names in the protos no longer tell {told}: it stays", step.reason);
            }
        }
    }
}

fn told(facts: &[Fact]) -> String {
    let told: Vec<String> = facts.iter().take(3).map(Fact::told).collect();
    let more = if facts.len() > 3 { format!(" and {} more", facts.len() - 3) } else { String::new() };
    format!("{}{more}", told.join(", "))
}
