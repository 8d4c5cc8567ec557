//! Writes one unit within the transaction that is open.

use std::time::{Instant, SystemTime};

use potter_core::event::NewEvent;
use potter_core::store::columns::{self, nanoseconds};
use potter_core::store::{
    AcceptedCommand, Append, Claim, CommandOutcome, CommitError, Settlement, Snapshot, StoreError, Unit,
};
use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::convert::is_not_unique;
use crate::records;
use crate::versions::Versions;

/// The writer's statements, prepared once.
pub(crate) struct Statements<'c> {
    connection: &'c Connection,
    /// Of the streams that were written to last.
    pub(crate) versions: Versions,
    head: Statement<'c>,
    version: Statement<'c>,
    insert_event: Statement<'c>,
    claim: Statement<'c>,
    insert_claim: Statement<'c>,
    insert_command: Statement<'c>,
    unsettled: Statement<'c>,
    settle: Statement<'c>,
    save_snapshot: Statement<'c>,
}

/// Why a unit was not written.
pub(crate) enum Refused {
    /// It doesn't fit what is stored; nothing of it was written.
    Unit(CommitError),
    /// The database failed; something of it may have been written.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl<'c> Statements<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            versions: Versions::new(),
            head: connection.prepare("SELECT coalesce(max(position), 0) FROM potter_events")?,
            version: connection.prepare(
                "SELECT coalesce(max(version), 0) FROM potter_events WHERE aggregate = ?1 AND aggregate_id = ?2",
            )?,
            insert_event: connection
                .prepare("INSERT INTO potter_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?,
            claim: connection.prepare(records::FIND_CLAIM)?,
            insert_claim: connection.prepare(
                "INSERT INTO potter_idempotency (command, caller, key, request_hash, reply, aggregate_id, version, \
                     command_id, claimed_at, subscription, source_stream, source_version) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            insert_command: connection.prepare(
                "INSERT INTO potter_commands (id, name, aggregate, aggregate_id, request, expected_version, \
                 correlation_id, actor, accepted_at, causation_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?,
            unsettled: connection.prepare("SELECT 1 FROM potter_commands WHERE id = ?1 AND outcome IS NULL")?,
            settle: connection.prepare(
                "UPDATE potter_commands SET outcome = ?2, outcome_version = ?3, outcome_code = ?4, \
                 outcome_message = ?5, outcome_retryable = ?6, outcome_events = ?7, settled_at = ?8 WHERE id = ?1",
            )?,
            save_snapshot: connection.prepare(
                "INSERT INTO potter_snapshots VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (aggregate, aggregate_id) DO UPDATE SET schema = excluded.schema, \
                 version = excluded.version, ended = excluded.ended, state = excluded.state \
                 WHERE excluded.schema <> schema OR excluded.version > version",
            )?,
        })
    }

    pub(crate) fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// The last position in the log.
    pub(crate) fn head(&mut self) -> rusqlite::Result<u64> {
        self.head.query_row([], |row| row.get(0))
    }

    /// Checks everything before it has written anything, so that a refused unit leaves nothing behind and needs no
    /// savepoint. Moves `head` on by the events written.
    pub(crate) fn write(&mut self, unit: &Unit, head: &mut u64) -> Result<(), Refused> {
        self.check(unit)?;
        if let Some(append) = &unit.append {
            self.append(append, head)?;
        }
        if let Some(claim) = &unit.claim {
            self.insert_claim(claim)?;
        }
        if let Some(command) = &unit.accept {
            self.accept(command)?;
        }
        if let Some(settlement) = &unit.settle {
            self.settle(settlement)?;
        }
        Ok(())
    }

    fn check(&mut self, unit: &Unit) -> Result<(), Refused> {
        if unit.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Refused::Unit(CommitError::Expired));
        }
        if let Some(Claim { key, .. }) = &unit.claim {
            let found = self.claim.query_row(params![key.command, key.caller, key.key], records::read_claim);
            if let Some(recorded) = found.optional()? {
                return Err(Refused::Unit(CommitError::Claimed(recorded)));
            }
        }
        if let Some(settlement) = &unit.settle
            && !self.unsettled.exists([settlement.command_id.as_bytes()])?
        {
            return Err(Refused::Unit(CommitError::Settled));
        }
        unit.append.as_ref().map_or(Ok(()), |append| self.check_version(append))
    }

    fn check_version(&mut self, append: &Append) -> Result<(), Refused> {
        let actual = match self.versions.get(append.aggregate, &append.aggregate_id) {
            Some(known) => known,
            // Whether the stream exists shows at the index when its first event goes in.
            None if append.expected_version == 0 => return Ok(()),
            None => self.stored_version(append)?,
        };
        match actual == append.expected_version {
            true => Ok(()),
            false => Err(Refused::Unit(CommitError::Conflict { actual })),
        }
    }

    fn stored_version(&mut self, append: &Append) -> rusqlite::Result<u64> {
        self.version.query_row(params![append.aggregate, append.aggregate_id], |row| row.get(0))
    }

    /// Begins with what may still be refused: the first event.
    fn append(&mut self, append: &Append, head: &mut u64) -> Result<(), Refused> {
        let mut version = append.expected_version;
        for event in &append.events {
            match self.insert_event(append, event, *head + 1, version + 1) {
                Err(error) if is_not_unique(&error) && version == append.expected_version => {
                    let actual = self.stored_version(append)?;
                    return Err(Refused::Unit(CommitError::Conflict { actual }));
                }
                inserted => inserted?,
            }
            (*head, version) = (*head + 1, version + 1);
        }
        self.versions.set(append.aggregate, &append.aggregate_id, version);
        Ok(())
    }

    fn insert_event(&mut self, append: &Append, event: &NewEvent, position: u64, version: u64) -> rusqlite::Result<()> {
        let NewEvent { id, event_type, schema_version, payload } = event;
        self.insert_event.execute(params![
            position,
            append.aggregate,
            append.aggregate_id,
            version,
            id.as_bytes(),
            event_type,
            schema_version,
            payload.as_ref(),
            append.metadata.correlation_id,
            append.metadata.causation_id,
            append.metadata.actor,
            nanoseconds(append.time),
        ])?;
        Ok(())
    }

    fn insert_claim(&mut self, claim: &Claim) -> rusqlite::Result<()> {
        let Claim { key, request_hash, reply, event } = claim;
        self.insert_claim.execute(params![
            key.command,
            key.caller,
            key.key,
            request_hash,
            reply.body.as_ref(),
            reply.aggregate_id,
            reply.version,
            reply.command_id.as_ref().map(uuid::Uuid::as_bytes),
            nanoseconds(SystemTime::now()),
            event.as_ref().map(|event| &event.subscription),
            event.as_ref().map(|event| &event.stream),
            event.as_ref().map(|event| event.version),
        ])?;
        Ok(())
    }

    fn accept(&mut self, command: &AcceptedCommand) -> rusqlite::Result<()> {
        self.insert_command.execute(params![
            command.id.as_bytes(),
            command.name,
            command.aggregate,
            command.aggregate_id,
            command.request.as_ref(),
            command.expected_version,
            command.correlation_id,
            command.actor,
            nanoseconds(command.accepted_at),
            command.causation_id,
        ])?;
        Ok(())
    }

    fn settle(&mut self, settlement: &Settlement) -> rusqlite::Result<()> {
        let id = settlement.command_id.as_bytes();
        let now = nanoseconds(SystemTime::now());
        let events = columns::encode_events(&settlement.outcome);
        match &settlement.outcome {
            CommandOutcome::Succeeded { version, .. } => self.settle.execute(params![
                id,
                columns::SUCCEEDED,
                version,
                None::<&str>,
                None::<&str>,
                None::<bool>,
                events,
                now
            ]),
            CommandOutcome::Failed { code, message, retryable, .. } => {
                self.settle.execute(params![id, columns::FAILED, None::<u64>, code, message, retryable, events, now])
            }
        }?;
        Ok(())
    }

    pub(crate) fn save_snapshot(&mut self, snapshot: &Snapshot) -> rusqlite::Result<()> {
        self.save_snapshot.execute(params![
            snapshot.stream.aggregate(),
            snapshot.stream.id(),
            snapshot.schema,
            snapshot.version,
            snapshot.ended,
            snapshot.state.as_ref(),
        ])?;
        Ok(())
    }
}

/// What a caller is told of a failed database.
pub(crate) fn commit_failure(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CommitError {
    StoreError::new("commit", error).into()
}
