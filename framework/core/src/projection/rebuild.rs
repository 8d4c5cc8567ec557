//! Rebuilds: what begins one, carries it out, takes it up after a kill, and notes why it has failed.
//!
//! The store knows each by a number and writes nothing of one that has ended or given way to another. Several processes
//! may build the same next generation, as they may follow the live one; but rows are made anew by one alone.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::follower::{Follower, Log, ends_before};
use crate::backoff::outage;
use crate::failure::Failure;
use crate::panics;
use crate::read_model::ReadModel;
use crate::store::{ProjectionError, ProjectionRecord, Rebuild, RebuildRecord, SharedStore, StoreError};

/// A rebuild that goes on.
pub(super) struct Begun {
    number: u64,
    begin: Rebuild,
}

impl Begun {
    /// Begins one.
    pub async fn new<M: ReadModel>(log: &Log, begin: Rebuild) -> Result<Self, Failure> {
        if let Rebuild::After(position) = begin
            && ends_before(&log.store, position).await?
        {
            let head = *log.store.head().borrow();
            return Err(Failure::invalid("from", format!("is beyond the log, which ends at position {head}")));
        }
        let number = log.store.begin_rebuild(M::NAME, M::TABLE, begin.clone()).await?;
        let number = number.ok_or_else(|| Failure::not_found("snapshot of the read model", M::NAME))?;
        Ok(Self { number, begin })
    }

    /// The one that was broken off, if there is one that can go on.
    ///
    /// Rows that are to be made anew are begun anew: nothing tells which of them are made, and whoever may still be making
    /// them is stopped by that.
    pub async fn broken_off<M: ReadModel>(log: &Log, record: ProjectionRecord) -> Result<Option<Self>, Failure> {
        let ProjectionRecord { rebuilding, rebuild, .. } = record;
        match rebuild.filter(|it| it.end.is_none()) {
            Some(RebuildRecord { begin: begin @ Rebuild::RowsOf(_), .. }) if rebuilding => {
                Self::new::<M>(log, begin).await.map(Some)
            }
            Some(RebuildRecord { number, begin, .. }) if rebuilding => Ok(Some(Self { number, begin })),
            Some(RebuildRecord { number, .. }) => {
                drop_rebuild::<M>(&log.store, number, "a migration has made the table anew").await.map(|_| None)
            }
            None if rebuilding => {
                let reason = "an earlier version of the service has begun it: begin it anew";
                drop_rebuild::<M>(&log.store, 0, reason).await.map(|_| None)
            }
            None => Ok(None),
        }
    }

    /// Builds the next generation until it has caught up for the first time; tells position and head as it goes.
    pub async fn build<M: ReadModel>(
        &self,
        log: &Log,
        tell: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<Follower<M>, ProjectionError> {
        let head = log.store.head();
        let mut builder = Follower::<M>::next(log.clone(), self.number).await?;
        builder.compare_with_log()?;
        if let Rebuild::RowsOf(events) = &self.begin {
            let rows = loop {
                match builder.make_anew(events).await {
                    Ok(rows) => break rows,
                    Err(error) => builder.go_on_after(error).await?,
                }
            };
            tracing::info!(read_model = M::NAME, rows, "made rows anew");
        }
        while builder.build().await? {
            // Whoever is told may look at the head, too.
            let head = *head.borrow();
            tell(builder.position(), head);
        }
        Ok(builder)
    }

    /// The same, through outages of the store; `None` if another process has finished it.
    pub async fn build_through_outages<M: ReadModel>(&self, log: &Log) -> Result<Option<Follower<M>>, Failure> {
        let mut failures = 0;
        loop {
            let error = match AssertUnwindSafe(self.build::<M>(log, &mut |_, _| {})).catch_unwind().await {
                Ok(Ok(builder)) => return Ok(Some(builder)),
                Ok(Err(ProjectionError::Store(error))) => {
                    failures += 1;
                    tracing::error!(read_model = M::NAME, %error, "a rebuild cannot go on now");
                    tokio::time::sleep(outage(failures)).await;
                    continue;
                }
                Ok(Err(error)) => error,
                Err(panic) => StoreError::new("rebuild", format!("a bug: {}", panics::message(&*panic))).into(),
            };
            return self.give_up::<M>(&log.store, error).await.map(|()| None);
        }
    }

    /// Drops what has been built and notes why, unless the rebuild has ended already: it is all right if another process
    /// has finished it.
    pub async fn give_up<M: ReadModel>(&self, store: &SharedStore, error: ProjectionError) -> Result<(), Failure> {
        if matches!(error, ProjectionError::Ended) {
            return self.end::<M>(store).await;
        }
        let (reason, failure) = match error {
            ProjectionError::NotUnique { .. } => {
                let reason = format!("{error}; a rebuild of the whole would park its event");
                (reason.clone(), Failure::refused("NOT_UNIQUE", reason))
            }
            error => (error.to_string(), error.into()),
        };
        match drop_rebuild::<M>(store, self.number, &reason).await? {
            true => Err(failure),
            false => self.end::<M>(store).await,
        }
    }

    /// What has become of it by another process.
    async fn end<M: ReadModel>(&self, store: &SharedStore) -> Result<(), Failure> {
        let last = store.projection(M::NAME).await?.rebuild.filter(|it| it.number == self.number);
        match last.and_then(|it| it.end) {
            Some(end) => end.failure.map_or(Ok(()), |reason| Err(Failure::refused("REBUILD_DROPPED", reason))),
            None => Err(Failure::conflict("REBUILD_REPLACED", "another rebuild has been begun since")),
        }
    }
}

/// Drops a rebuild, unless it has ended before; says whether it did.
async fn drop_rebuild<M: ReadModel>(store: &SharedStore, number: u64, reason: &str) -> Result<bool, Failure> {
    let dropped = store.drop_rebuild(M::NAME, M::TABLE, number, reason.to_owned()).await?;
    if dropped {
        tracing::error!(read_model = M::NAME, reason, "a rebuild is dropped");
    }
    Ok(dropped)
}
