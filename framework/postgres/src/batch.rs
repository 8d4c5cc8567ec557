//! What is written together: units side by side, as the columns that `potter_commit` takes.

use std::collections::HashSet;
use std::time::{Instant, SystemTime};

use potter_core::store::columns::{self, nanoseconds};
use potter_core::store::{AcceptedCommand, Append, Claim, ClaimKey, CommandOutcome, Settlement, Unit};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::convert::{Text, stored};

/// Calls the function with all its parameters, in the order of [`Columns::parameters`].
pub(crate) const COMMIT: &str = "SELECT head, claimed, settled, conflicting, actual FROM potter_commit($1, $2, $3, $4, $5, $6, \
    $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, \
    $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49)";

/// A batch as the database takes it.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    batch: Uuid,
    contended: bool,
    node: Option<Uuid>,
    events: Events<'a>,
    claims: Claims<'a>,
    accepted: Accepted<'a>,
    settled: Settled<'a>,
}

#[derive(Default)]
struct Events<'a> {
    units: Vec<i32>,
    counts: Vec<i32>,
    aggregates: Vec<Text<'a>>,
    aggregate_ids: Vec<Text<'a>>,
    versions: Vec<i64>,
    ids: Vec<Uuid>,
    types: Vec<Text<'a>>,
    schema_versions: Vec<i32>,
    payloads: Vec<&'a [u8]>,
    correlation_ids: Vec<Text<'a>>,
    causation_ids: Vec<Text<'a>>,
    actors: Vec<Option<Text<'a>>>,
    times: Vec<i64>,
}

#[derive(Default)]
struct Claims<'a> {
    units: Vec<i32>,
    commands: Vec<Text<'a>>,
    callers: Vec<Text<'a>>,
    keys: Vec<Text<'a>>,
    hashes: Vec<&'a [u8]>,
    replies: Vec<&'a [u8]>,
    aggregate_ids: Vec<Text<'a>>,
    versions: Vec<i64>,
    command_ids: Vec<Option<Uuid>>,
    times: Vec<i64>,
    subscriptions: Vec<Option<Text<'a>>>,
    source_streams: Vec<Option<Text<'a>>>,
    source_versions: Vec<Option<i64>>,
}

#[derive(Default)]
struct Accepted<'a> {
    units: Vec<i32>,
    ids: Vec<Uuid>,
    names: Vec<Text<'a>>,
    aggregates: Vec<Text<'a>>,
    aggregate_ids: Vec<Text<'a>>,
    requests: Vec<&'a [u8]>,
    versions: Vec<Option<i64>>,
    correlation_ids: Vec<Text<'a>>,
    causation_ids: Vec<Option<Text<'a>>>,
    actors: Vec<Option<Text<'a>>>,
    times: Vec<i64>,
}

#[derive(Default)]
struct Settled<'a> {
    units: Vec<i32>,
    ids: Vec<Uuid>,
    outcomes: Vec<&'static str>,
    versions: Vec<Option<i64>>,
    codes: Vec<Option<Text<'a>>>,
    messages: Vec<Option<Text<'a>>>,
    retryable: Vec<Option<bool>>,
    events: Vec<Vec<u8>>,
    times: Vec<i64>,
}

impl<'a> Columns<'a> {
    /// The units in their order; `node` looks after the commands that are accepted.
    pub(crate) fn of(batch: Uuid, node: Option<Uuid>, units: impl Iterator<Item = &'a Unit>) -> Self {
        let now = nanoseconds(SystemTime::now());
        let mut columns = Self { batch, node, ..Self::default() };
        let mut streams = HashSet::new();
        for (unit, number) in units.zip(0..) {
            if let Some(append) = &unit.append {
                columns.contended |= !streams.insert((append.aggregate, append.aggregate_id.as_str()));
                columns.events.add(number, append);
            }
            if let Some(claim) = &unit.claim {
                columns.claims.add(number, claim, now);
            }
            if let Some(command) = &unit.accept {
                columns.accepted.add(number, command);
            }
            if let Some(settlement) = &unit.settle {
                columns.settled.add(number, settlement, now);
            }
        }
        columns
    }

    /// The parameters of [`COMMIT`].
    pub(crate) fn parameters(&self) -> [&(dyn ToSql + Sync); 49] {
        let Self { batch, contended, node, events: e, claims: c, accepted: a, settled: s } = self;
        [
            batch,
            contended,
            &e.units,
            &e.counts,
            &e.aggregates,
            &e.aggregate_ids,
            &e.versions,
            &e.ids,
            &e.types,
            &e.schema_versions,
            &e.payloads,
            &e.correlation_ids,
            &e.causation_ids,
            &e.actors,
            &e.times,
            &c.units,
            &c.commands,
            &c.callers,
            &c.keys,
            &c.hashes,
            &c.replies,
            &c.aggregate_ids,
            &c.versions,
            &c.command_ids,
            &c.times,
            &c.subscriptions,
            &c.source_streams,
            &c.source_versions,
            &a.units,
            &a.ids,
            &a.names,
            &a.aggregates,
            &a.aggregate_ids,
            &a.requests,
            &a.versions,
            &a.correlation_ids,
            &a.causation_ids,
            &a.actors,
            &a.times,
            node,
            &s.units,
            &s.ids,
            &s.outcomes,
            &s.versions,
            &s.codes,
            &s.messages,
            &s.retryable,
            &s.events,
            &s.times,
        ]
    }
}

impl<'a> Events<'a> {
    fn add(&mut self, unit: i32, append: &'a Append) {
        let mut count = i32::try_from(append.events.len()).unwrap_or(i32::MAX);
        let time = nanoseconds(append.time);
        let metadata = &append.metadata;
        for (event, version) in append.events.iter().zip(append.expected_version + 1..) {
            self.units.push(unit);
            self.counts.push(std::mem::take(&mut count));
            self.aggregates.push(Text(append.aggregate));
            self.aggregate_ids.push(Text(&append.aggregate_id));
            self.versions.push(stored(version));
            self.ids.push(event.id);
            self.types.push(Text(event.event_type));
            self.schema_versions.push(event.schema_version.cast_signed());
            self.payloads.push(&event.payload);
            self.correlation_ids.push(Text(&metadata.correlation_id));
            self.causation_ids.push(Text(&metadata.causation_id));
            self.actors.push(metadata.actor.as_deref().map(Text));
            self.times.push(time);
        }
    }
}

impl<'a> Claims<'a> {
    fn add(&mut self, unit: i32, claim: &'a Claim, now: i64) {
        let Claim { key: ClaimKey { command, caller, key }, request_hash, reply, event } = claim;
        self.units.push(unit);
        self.commands.push(Text(command));
        self.callers.push(Text(caller));
        self.keys.push(Text(key));
        self.hashes.push(request_hash);
        self.replies.push(&reply.body);
        self.aggregate_ids.push(Text(&reply.aggregate_id));
        self.versions.push(stored(reply.version));
        self.command_ids.push(reply.command_id);
        self.times.push(now);
        self.subscriptions.push(event.as_ref().map(|event| Text(&event.subscription)));
        self.source_streams.push(event.as_ref().map(|event| Text(&event.stream)));
        self.source_versions.push(event.as_ref().map(|event| stored(event.version)));
    }
}

impl<'a> Accepted<'a> {
    fn add(&mut self, unit: i32, command: &'a AcceptedCommand) {
        self.units.push(unit);
        self.ids.push(command.id);
        self.names.push(Text(&command.name));
        self.aggregates.push(Text(&command.aggregate));
        self.aggregate_ids.push(Text(&command.aggregate_id));
        self.requests.push(&command.request);
        self.versions.push(command.expected_version.map(stored));
        self.correlation_ids.push(Text(&command.correlation_id));
        self.causation_ids.push(command.causation_id.as_deref().map(Text));
        self.actors.push(command.actor.as_deref().map(Text));
        self.times.push(nanoseconds(command.accepted_at));
    }
}

impl<'a> Settled<'a> {
    fn add(&mut self, unit: i32, settlement: &'a Settlement, now: i64) {
        let (outcome, version, code, message, retryable) = match &settlement.outcome {
            CommandOutcome::Succeeded { version, .. } => (columns::SUCCEEDED, Some(stored(*version)), None, None, None),
            CommandOutcome::Failed { code, message, retryable, .. } => {
                (columns::FAILED, None, Some(Text(code)), Some(Text(message)), Some(*retryable))
            }
        };
        self.units.push(unit);
        self.ids.push(settlement.command_id);
        self.outcomes.push(outcome);
        self.versions.push(version);
        self.codes.push(code);
        self.messages.push(message);
        self.retryable.push(retryable);
        self.events.push(columns::encode_events(&settlement.outcome));
        self.times.push(now);
    }
}

/// What makes two units wait for each other: not both can be written, and which it is shows only afterwards.
#[derive(Default)]
pub(crate) struct Rivals<'a> {
    claims: HashSet<&'a ClaimKey>,
    commands: HashSet<Uuid>,
}

impl<'a> Rivals<'a> {
    /// Whether the unit can be written together with those that were admitted before.
    pub(crate) fn admit(&mut self, unit: &'a Unit) -> bool {
        let claim = unit.claim.as_ref().map(|claim| &claim.key);
        let command = command_of(unit);
        let rival =
            claim.is_some_and(|key| self.claims.contains(key)) || command.is_some_and(|id| self.commands.contains(&id));
        if !rival {
            self.claims.extend(claim);
            self.commands.extend(command);
        }
        !rival
    }
}

/// The command that a unit accepts or settles.
pub(crate) fn command_of(unit: &Unit) -> Option<Uuid> {
    let accepted = unit.accept.as_ref().map(|command| command.id);
    accepted.or(unit.settle.as_ref().map(|settlement| settlement.command_id))
}

/// Whether the caller has been told that it took too long.
pub(crate) fn is_late(unit: &Unit) -> bool {
    unit.deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// About how much a unit writes.
pub(crate) fn bytes(unit: &Unit) -> usize {
    let events = unit.append.iter().flat_map(|append| &append.events);
    events.map(|event| event.payload.len()).sum::<usize>()
        + unit.claim.as_ref().map_or(0, |claim| claim.reply.body.len())
        + unit.accept.as_ref().map_or(0, |command| command.request.len())
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Written; its last position, or that before it.
    Written(u64),
    /// Its claim is taken.
    Claimed,
    /// Its command is settled.
    Settled,
    /// Its stream has that version.
    Conflict(u64),
    /// Not written, and it isn't known why.
    Refused,
}

/// What the database says of a batch: the head before, and what wasn't written.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    head: u64,
    claimed: Vec<i32>,
    settled: Vec<i32>,
    conflicting: Vec<i32>,
    actual: Vec<i64>,
    refused: Vec<i32>,
}

impl Verdict {
    /// Reads the answer of [`COMMIT`].
    pub(crate) fn read(row: &Row) -> Result<Self, Error> {
        let units = |column| Ok::<_, Error>(row.try_get::<_, Option<Vec<i32>>>(column)?.unwrap_or_default());
        Ok(Self {
            head: crate::convert::number(row, 0)?,
            claimed: units(1)?,
            settled: units(2)?,
            conflicting: units(3)?,
            actual: row.try_get::<_, Option<Vec<i64>>>(4)?.unwrap_or_default(),
            refused: Vec::new(),
        })
    }

    /// What a receipt says.
    pub(crate) fn of_receipt(head: u64, refused: Vec<i32>) -> Self {
        Self { head, refused, ..Self::default() }
    }

    /// What became of each unit, and the head afterwards.
    pub(crate) fn outcomes<'u>(&self, units: impl Iterator<Item = &'u Unit>) -> (Vec<Outcome>, u64) {
        let mut head = self.head;
        let outcomes = units.zip(0..).map(|(unit, number)| {
            let outcome = self.refusal(number);
            outcome.unwrap_or_else(|| {
                head += unit.append.as_ref().map_or(0, |append| append.events.len() as u64);
                Outcome::Written(head)
            })
        });
        let outcomes = outcomes.collect();
        (outcomes, head)
    }

    /// A taken claim is told before a wrong version.
    fn refusal(&self, unit: i32) -> Option<Outcome> {
        let conflict = || self.conflicting.iter().position(|it| *it == unit).and_then(|place| self.actual.get(place));
        if self.claimed.contains(&unit) {
            Some(Outcome::Claimed)
        } else if self.settled.contains(&unit) {
            Some(Outcome::Settled)
        } else if let Some(actual) = conflict() {
            Some(Outcome::Conflict(actual.cast_unsigned()))
        } else {
            self.refused.contains(&unit).then_some(Outcome::Refused)
        }
    }
}
