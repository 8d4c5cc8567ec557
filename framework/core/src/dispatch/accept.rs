//! The path of an asynchronous command up to its reply: stored first, answered then.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::execution::{Acceptance, BoundCommand, replay};
use super::{Outcome, Reply, Request};
use crate::clock;
use crate::failure::{Failure, FailureKind};
use crate::store::{Claim, CommandStatus, CommitError, Unit};
use crate::worker::Workers;

/// Stores a request for the workers and answers it.
pub(super) async fn accept(
    command: &Arc<dyn BoundCommand>,
    request: Request,
    workers: &Workers,
) -> Result<Reply, Failure> {
    let began = clock::now();
    let result = store_and_enqueue(command, request, workers).await;
    command.meter().accepted(began, &result);
    if let Ok(Reply { outcome: Outcome::Accepted { id, command_id }, replayed: false, .. }) = &result {
        tracing::debug!(name = command.spec().name, aggregate_id = id, %command_id, "accepted");
    }
    result
}

/// Stores a request under an id that somebody else has chosen, unless that was done before; says how far it is.
pub(super) async fn accept_once(
    command: &Arc<dyn BoundCommand>,
    id: Uuid,
    request: Request,
    workers: &Workers,
) -> Result<CommandStatus, Failure> {
    let store = workers.runtime().store.clone();
    let known = store.command_status(id).await?;
    if let Some(known) = known {
        return Ok(known);
    }
    let acceptance = command.prepare(request)?;
    let accepted = CommandStatus { command: acceptance.command.clone(), outcome: None };
    let deadline = acceptance.deadline;
    match in_background(acceptance, deadline, workers).await {
        Ok(_) => Ok(accepted),
        // Somebody else may have stored the same meanwhile.
        Err(failure) if failure.kind == FailureKind::Unavailable => store.command_status(id).await?.ok_or(failure),
        Err(failure) => Err(failure),
    }
}

async fn store_and_enqueue(
    command: &Arc<dyn BoundCommand>,
    request: Request,
    workers: &Workers,
) -> Result<Reply, Failure> {
    let acceptance = command.prepare(request)?;
    let deadline = acceptance.deadline;
    in_background(acceptance, deadline, workers).await
}

async fn in_background(acceptance: Acceptance, deadline: Instant, workers: &Workers) -> Result<Reply, Failure> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let task = {
        let workers = workers.clone();
        async move {
            // The caller may have gone; what was stored is executed all the same.
            let _ = answer.send(commit(acceptance, &workers).await);
        }
    };
    workers.runtime().spawn(task);
    match tokio::time::timeout_at(tokio::time::Instant::from_std(deadline), answered).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => Err(Failure::bug("the task that accepts a command ended without an answer")),
        Err(_) => Err(Failure::deadline_exceeded()),
    }
}

/// Runs to its end even when the caller goes away: otherwise a command that is stored might wait for the next start.
async fn commit(acceptance: Acceptance, workers: &Workers) -> Result<Reply, Failure> {
    let Acceptance { command, claim, reply, deadline } = acceptance;
    let place = workers.reserve()?;
    let store = &workers.runtime().store;
    let request_hash = claim.as_ref().map(|claim: &Claim| claim.request_hash);
    let unit = Unit { accept: Some(command.clone()), claim, deadline: Some(deadline), ..Unit::default() };
    match store.commit(unit).await {
        Ok(_) => {
            let outcome = Outcome::Accepted { id: command.aggregate_id.clone(), command_id: command.id };
            workers.enqueue(command, place);
            Ok(Reply { body: reply, outcome, replayed: false })
        }
        Err(CommitError::Claimed(claim)) => replay(claim, request_hash, *store.head().borrow()),
        Err(CommitError::Expired) => Err(Failure::deadline_exceeded()),
        Err(CommitError::Store(error)) => {
            // It may be stored all the same.
            workers.lose_track();
            Err(error.into())
        }
        Err(error @ (CommitError::Conflict { .. } | CommitError::Settled)) => Err(Failure::bug(&error)),
    }
}
