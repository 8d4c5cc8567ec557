//! History: what `potter.lock` remembers of a module's past.
//!
//! Every shape that each version of each event ever had, what was accepted on purpose, and the contract that was
//! published last. It only grows: streams hold events of every shape, and a service must be able to read them all.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    contract::Contract,
    evolution::{self, Holds},
    model::{Event, Module},
    plan::{file_name, take},
    shape::Shape,
};

/// What is remembered of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// The contract that was generated last; none before the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// Incompatible changes that were accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// The events by `event_type`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, EventHistory>,
}

/// What is remembered of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventHistory {
    /// Name of the aggregate in whose streams it is.
    pub aggregate: String,
    /// Whether it is no longer emitted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub retired: bool,
    /// Whether it is kept inside, and not published.
    #[serde(default, skip_serializing_if = "is_false")]
    pub internal: bool,
    /// What the module of its past is called, if another event has the name that follows from its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// By version, and within a version in the order in which they were recorded; never empty.
    pub shapes: Vec<RecordedShape>,
}

/// A shape that an event had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedShape {
    /// Version of the event.
    pub version: u32,
    /// What it looked like.
    pub shape: Shape,
}

/// An incompatible change that was accepted on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Accepted {
    /// What changed: an event type, or the full name of an rpc.
    #[serde(flatten)]
    pub subject: Subject,
    /// What it was: the hash of a shape, or as the finding says.
    pub from: String,
    /// What it became.
    pub to: String,
    /// Why that is fine.
    pub reason: String,
    /// Whether it was done since, so that nothing more is accepted by it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub used: bool,
}

/// What became of what is no longer there.
pub(crate) const REMOVED: &str = "removed";

/// What became of an event that isn't published any more.
pub(crate) const INTERNAL: &str = "internal";

/// What a change that may be accepted is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// An event by its type.
    Event(String),
    /// An rpc by its full name.
    Rpc(String),
}

impl Subject {
    /// The event type, or the full name of the rpc.
    pub fn name(&self) -> &str {
        match self {
            Subject::Event(name) | Subject::Rpc(name) => name,
        }
    }
}

impl History {
    /// What there is to remember of `module`, as if it had no past.
    pub fn of(module: &Module) -> Self {
        let events = module.events.iter();
        History {
            contract: Some(Contract::of(module)),
            accepted: Vec::new(),
            events: events.map(|event| (event.event_type.clone(), EventHistory::of(event, module))).collect(),
        }
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        *self == History::default()
    }

    /// The history and what `module` looks like now.
    pub fn with(&self, module: &Module) -> Self {
        let mut history = self.clone();
        history.record(module);
        history
    }

    /// Takes in what `module` looks like now: its contract in place of the former, its shapes beside the former.
    pub fn record(&mut self, module: &Module) {
        let now = History::of(module);
        let known: BTreeSet<String> = self.events.keys().cloned().collect();
        self.contract = now.contract;
        for (event_type, event) in now.events {
            match self.events.get_mut(&event_type) {
                Some(known) => known.record(event),
                None => {
                    self.events.insert(event_type, event);
                }
            }
        }
        self.use_up(module);
        self.name_modules(&known, module);
    }

    /// Gives the pasts of events modules of different names, each the one that it had: what users have written is
    /// called after them. Those of `known` come before new ones.
    fn name_modules(&mut self, known: &BTreeSet<String>, module: &Module) {
        let declared = |event_type: &str| module.events.iter().position(|it| it.event_type == event_type);
        let mut events: Vec<_> = self.events.iter_mut().collect();
        events.sort_by_key(|(event_type, event)| {
            (event.module.is_none(), !known.contains(*event_type), declared(event_type).unwrap_or(usize::MAX))
        });
        let mut taken = BTreeSet::from(["mod".to_owned(), "replay".to_owned()]);
        for (event_type, event) in events {
            let usual = file_name(event_type, "event");
            let name = take(event.module.as_ref().unwrap_or(&usual), &mut taken);
            event.module = (name != usual).then_some(name);
        }
    }

    /// Remembers that changes were accepted.
    pub fn accept(&mut self, accepted: &[Accepted]) {
        self.accepted.extend_from_slice(accepted);
        self.accepted.sort();
        self.accepted.dedup();
    }

    /// Marks what was accepted and is part of the past now: made again, the same change is another one.
    fn use_up(&mut self, module: &Module) {
        let mut accepted = std::mem::take(&mut self.accepted);
        let mut left = Vec::new();
        for it in accepted.iter_mut().filter(|it| !it.used) {
            it.used = match &it.subject {
                Subject::Rpc(name) => self.is_rpc(name, &it.to),
                Subject::Event(event_type) => {
                    let retaken = self.retaken(event_type, it, module);
                    let was_retaken = retaken.is_some();
                    left.extend(retaken.flatten());
                    was_retaken || self.is_event_past(event_type, it, module)
                }
            };
        }
        self.accept(&accepted);
        self.accept(&left);
    }

    /// What is left of an accepted change of a shape, if it was made and then taken back, wholly or in part.
    fn retaken(&self, event_type: &str, accepted: &Accepted, module: &Module) -> Option<Option<Accepted>> {
        let event = module.events.iter().find(|it| it.event_type == event_type)?;
        let recorded = |hash: &str| {
            let mut shapes = self.events.get(event_type)?.shapes_of(event.version);
            shapes.find(|shape| shape.hash() == hash)
        };
        let (was, became) = (recorded(&accepted.from)?, recorded(&accepted.to)?);
        let now = Shape::of(&event.message);
        match evolution::holds(was, became, &now) {
            Holds::Wholly => None,
            Holds::Partly => Some(Some(Accepted { to: now.hash(), ..accepted.clone() })),
            Holds::Not => Some(None),
        }
    }

    /// Whether an rpc is what it was accepted to become.
    fn is_rpc(&self, name: &str, to: &str) -> bool {
        let Some(contract) = &self.contract else { return false };
        let Some(rpc) = contract.rpcs.get(name) else { return to == REMOVED };
        rpc.role.to_string() == to || contract.types.shape_of(&rpc.request).is_some_and(|it| it.hash() == to)
    }

    /// Whether what was accepted about an event has come and gone, or is recorded as what it is. How its shapes are read
    /// is accepted for as long as streams have them.
    fn is_event_past(&self, event_type: &str, accepted: &Accepted, module: &Module) -> bool {
        let Some(event) = module.events.iter().find(|it| it.event_type == event_type) else { return false };
        match accepted.to.split_once(' ') {
            None if accepted.to == INTERNAL => event.internal,
            None => accepted.to == REMOVED,
            Some(("version", to)) => event.version.to_string() != to,
            Some((_, to)) => self.events.get(event_type).is_some_and(|it| it.aggregate == to),
        }
    }

    /// Adds what only `other` knows: what two branches of version control recorded is all part of the past.
    pub fn unite(&mut self, other: History) {
        self.contract = match (self.contract.take(), other.contract) {
            (Some(mut own), Some(others)) => {
                own.unite(others);
                Some(own)
            }
            (own, others) => own.or(others),
        };
        self.unite_accepted(other.accepted);
        for (event_type, event) in other.events {
            match self.events.get_mut(&event_type) {
                Some(known) => known.add(event.shapes),
                None => {
                    self.events.insert(event_type, event);
                }
            }
        }
    }
}

impl History {
    /// What the other side used up is not part of our contract yet, which is the one that is kept.
    fn unite_accepted(&mut self, others: Vec<Accepted>) {
        for other in others {
            let other = Accepted { used: false, ..other };
            if self.accepted.iter().all(|own| other != Accepted { used: false, ..own.clone() }) {
                self.accept(&[other]);
            }
        }
    }
}

impl EventHistory {
    /// The module of the event's past.
    pub fn module(&self, event_type: &str) -> String {
        self.module.clone().unwrap_or_else(|| file_name(event_type, "event"))
    }

    fn of(event: &Event, module: &Module) -> Self {
        EventHistory {
            aggregate: module.aggregates[event.aggregate.0].name.clone(),
            retired: event.retired,
            internal: event.internal,
            module: None,
            shapes: vec![RecordedShape { version: event.version, shape: Shape::of(&event.message) }],
        }
    }

    /// The highest version that was recorded.
    pub fn version(&self) -> u32 {
        self.shapes.last().map_or(1, |it| it.version)
    }

    /// The shapes of a version, in the order in which they were recorded.
    pub fn shapes_of(&self, version: u32) -> impl DoubleEndedIterator<Item = &Shape> {
        self.shapes.iter().filter(move |it| it.version == version).map(|it| &it.shape)
    }

    /// The shape that was recorded last under the highest version.
    pub fn latest(&self) -> Option<&Shape> {
        self.shapes.last().map(|it| &it.shape)
    }

    fn record(&mut self, now: EventHistory) {
        self.aggregate = now.aggregate;
        self.retired = now.retired;
        self.internal = now.internal;
        self.add(now.shapes);
    }

    fn add(&mut self, shapes: Vec<RecordedShape>) {
        for shape in shapes {
            if !self.shapes.contains(&shape) {
                self.shapes.push(shape);
            }
        }
        // Stable: within a version the order of recording stays.
        self.shapes.sort_by_key(|it| it.version);
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(it: &bool) -> bool {
    !it
}

#[cfg(test)]
mod tests;
