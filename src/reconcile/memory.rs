//! Seeds of which Potter would know less than it did: what the earlier proposal knew is put back into the new one.

use std::collections::BTreeMap;

use super::{Moves, Past, Step};
use crate::file::{Class, File};
use crate::knowledge::{self, Fact, Field, Recalled};
use crate::lock::Hash;
use crate::output::OutputError;
use crate::proposal::Proposal;

/// What is to be said of what was put back, by path.
pub struct Memory(BTreeMap<String, String>);

/// Puts back into the proposal what the one before knew and it doesn't, although it could.
///
/// # Errors
/// A file can't be read.
pub fn recall(proposal: &mut Proposal, past: &Past<'_>) -> Result<Memory, OutputError> {
    let moves = super::moves(proposal, past)?;
    let mut memory = BTreeMap::new();
    for file in &mut proposal.files {
        if let Some(recalled) = of_file(file, &moves, past)? {
            memory.insert(file.path.clone(), sentence(&recalled));
            file.contents = recalled.text;
        }
    }
    Ok(Memory(memory))
}

fn of_file(file: &File, moves: &Moves, past: &Past<'_>) -> Result<Option<Recalled>, OutputError> {
    let is_seed = file.class == Class::Seed && file.path.ends_with(".rs");
    let there = moves.get(&file.path).unwrap_or(&file.path);
    let base = past.locked(there).and_then(|it| it.base.as_ref()).filter(|_| is_seed);
    if base.is_none_or(|it| *it == Hash::of(file.contents.as_bytes())) {
        return Ok(None);
    }
    let Some(base) = past.base(base)?.and_then(|it| String::from_utf8(it).ok()) else { return Ok(None) };
    let now = |field: &Field| past.renaming.field(&field.of, &field.name).map(str::to_owned);
    Ok(knowledge::recalled(&past.renaming.of_all(&base), &file.contents, &now))
}

impl Memory {
    /// Makes a note in the files' steps where a file is written or its proposal waits.
    pub fn note(&self, steps: &mut [Step]) {
        for step in steps.iter_mut().filter(|step| step.writes() || step.proposed.is_some()) {
            if let Some(sentence) = self.0.get(&step.path) {
                step.recalled = true;
                step.reason = format!("{}; {sentence}", step.reason);
            }
        }
    }
}

fn sentence(recalled: &Recalled) -> String {
    let kept = format!("the names in the protos no longer tell {}: it stays", told(&recalled.kept));
    match recalled.left_out.as_slice() {
        [] => kept,
        left_out => format!("{kept}, and {} is left out, which is new there", told(left_out)),
    }
}

fn told(facts: &[Fact]) -> String {
    let told: Vec<String> = facts.iter().take(3).map(Fact::told).collect();
    let more = if facts.len() > 3 { format!(" and {} more", facts.len() - 3) } else { String::new() };
    format!("{}{more}", told.join(", "))
}
