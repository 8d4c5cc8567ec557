//! Publishes what the log records: the log is the outbox, a checkpoint in it is all that has to be kept.
//!
//! At least once, and in order for each stream: of the events of one stream only one is on its way at a time, so that
//! none can overtake another whatever gets lost; different streams don't wait for each other.
//!
//! Several processes may share the store. One leads and publishes; who finds that another has moved the checkpoint
//! stands by, and takes the lead when the checkpoint stands still although events wait. Two that believe to lead at
//! the same time do no harm: an event is sent only after the broker has the one before it, whoever sent that, and the
//! broker drops repeats.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use potter_core::event::RecordedEvent;
use potter_core::store::{Generation, ProjectionError, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::aside;
use crate::link::{Link, Published};

/// The checkpoint's name; a read model's is an identifier, so that none can be called that.
pub(crate) const FOLLOWER: &str = "outgoing messages";

/// Events published at a time, at most.
const BATCH: usize = 1024;

/// Streams whose events are on their way at the same time.
const STREAMS_AT_ONCE: usize = 512;

/// The checkpoint is written that often while events are published: what is lost of it is published again.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(50);

/// How often a process that stands by looks at the checkpoint.
const LOOK: Duration = Duration::from_millis(250);

/// How long a checkpoint may stand still while events wait before another process takes the lead.
const PATIENCE: Duration = Duration::from_secs(2);

struct Outgoing {
    link: Arc<Link>,
    head: watch::Receiver<u64>,
    /// The checkpoint in the store.
    checkpoint: u64,
    /// Position of the last event that the broker has.
    position: u64,
    /// Whether nobody else has published since this process did, as far as is known.
    leads: bool,
    /// When the checkpoint was written last.
    written: Instant,
    /// Streams of which an event was too large for the broker: what comes later of them waits behind it.
    held: HashSet<String>,
    published: watch::Sender<u64>,
}

/// What a process does next.
enum Next {
    Lead,
    StandBy,
}

/// Publishes until the messages end.
pub(crate) async fn run(link: Arc<Link>, published: watch::Sender<u64>) {
    let head = link.store().head();
    let (written, held) = (Instant::now(), HashSet::new());
    let mut outgoing = Outgoing { link, head, checkpoint: 0, position: 0, leads: false, written, held, published };
    let mut next = Next::Lead;
    let mut failures = 0_u32;
    loop {
        let went = match next {
            Next::Lead => outgoing.lead().await,
            Next::StandBy => outgoing.stand_by().await,
        };
        next = match went {
            Ok(Some(other)) => {
                failures = 0;
                other
            }
            Ok(None) => return,
            Err(error) => {
                failures += 1;
                if failures == 1 || failures.is_multiple_of(10) {
                    tracing::error!(%error, attempt = failures, "cannot publish now");
                }
                if outgoing.link.wait_for_store(failures).await.is_none() {
                    return;
                }
                if outgoing.leads { Next::Lead } else { Next::StandBy }
            }
        };
    }
}

impl Outgoing {
    /// Publishes until another process leads; `None` when the messages end.
    async fn lead(&mut self) -> Result<Option<Next>, StoreError> {
        let own = self.checkpoint..=self.position;
        self.reload().await?;
        // After an outage it goes on at once, unless another process has published meanwhile.
        if self.leads && !own.contains(&self.checkpoint) {
            return Ok(Some(self.give_way()));
        }
        self.leads = true;
        // Whoever led before has set them aside before it moved the checkpoint.
        self.held = aside::streams(self.link.store()).await?;
        loop {
            self.head.mark_unchanged();
            let events = self.link.store().read_all(self.position, BATCH).await?;
            let last = events.last().map(|event| event.position);
            let went_on = match last {
                Some(last) => self.publish(events, last).await,
                None => self.wait().await,
            };
            let ends = went_on.is_none();
            match self.keep_checkpoint(ends).await {
                Ok(()) if ends => return Ok(None),
                Ok(()) => {}
                Err(ProjectionError::Moved { .. }) if ends => return Ok(None),
                Err(ProjectionError::Moved { .. }) => return Ok(Some(self.give_way())),
                Err(ProjectionError::Store(error)) => return Err(error),
                Err(other) => return Err(StoreError::new("keep a checkpoint", other)),
            }
        }
    }

    fn give_way(&mut self) -> Next {
        tracing::info!(position = self.position, checkpoint = self.checkpoint, "another process publishes");
        self.leads = false;
        Next::StandBy
    }

    async fn reload(&mut self) -> Result<(), StoreError> {
        let checkpoint = self.link.store().checkpoint(FOLLOWER, Generation::Live).await?;
        (self.checkpoint, self.position) = (checkpoint, checkpoint);
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        self.published.send_replace(self.position);
    }

    /// Publishes events, of each stream one after the other.
    async fn publish(&mut self, events: Vec<RecordedEvent>, last: u64) -> Option<()> {
        let link = &*self.link;
        let held = &self.held;
        let all = futures::stream::iter(by_stream(events)).map(|((aggregate, id), events)| async move {
            let stream = format!("{aggregate}-{id}");
            let held = publish_stream(link, &stream, events, held.contains(&stream)).await?;
            Some((stream, held))
        });
        let published: Vec<Option<(String, bool)>> = all.buffer_unordered(STREAMS_AT_ONCE).collect().await;
        for (stream, held) in published.into_iter().collect::<Option<Vec<_>>>()? {
            if held {
                self.held.insert(stream)
            } else {
                self.held.remove(&stream)
            };
        }
        self.position = last;
        self.tell();
        Some(())
    }

    /// Waits for events, or until it is time to write the checkpoint.
    async fn wait(&mut self) -> Option<()> {
        let due = (self.position > self.checkpoint).then_some(self.written + CHECKPOINT_EVERY);
        let link = self.link.clone();
        let waited = async {
            match due {
                Some(due) => tokio::select! {
                    // The store, and with it the sender, lives as long as the dispatcher does.
                    _ = self.head.changed() => {}
                    () = sleep_until(due) => {}
                },
                None => drop(self.head.changed().await),
            }
        };
        link.unless_stopping(waited).await
    }

    async fn keep_checkpoint(&mut self, at_once: bool) -> Result<(), ProjectionError> {
        let due = at_once || self.written.elapsed() >= CHECKPOINT_EVERY;
        if self.position > self.checkpoint && due {
            self.link.store().commit_checkpoint(FOLLOWER, self.checkpoint, self.position).await?;
            (self.checkpoint, self.written) = (self.position, Instant::now());
        }
        Ok(())
    }

    /// Watches the checkpoint until it stands still although events wait; `None` when the messages end.
    async fn stand_by(&mut self) -> Result<Option<Next>, StoreError> {
        // Another time for each process keeps them from taking the lead all at once.
        let patience = PATIENCE.mul_f64(1.0 + fastrand::f64() / 2.0);
        let mut still_since = Instant::now();
        while still_since.elapsed() < patience {
            if self.link.unless_stopping(sleep(LOOK)).await.is_none() {
                return Ok(None);
            }
            let before = self.checkpoint;
            self.reload().await?;
            if self.checkpoint != before || self.checkpoint >= *self.head.borrow() {
                still_since = Instant::now();
            }
        }
        Ok(Some(Next::Lead))
    }
}

/// Each stream's events, in order.
fn by_stream(events: Vec<RecordedEvent>) -> BTreeMap<(String, String), Vec<RecordedEvent>> {
    let mut streams: BTreeMap<(String, String), Vec<RecordedEvent>> = BTreeMap::new();
    for event in events {
        streams.entry((event.aggregate.clone(), event.aggregate_id.clone())).or_default().push(event);
    }
    streams
}

/// Publishes the events of a stream, or sets them aside behind one that is too large; says whether the stream is held
/// then, `None` if the messages end before that.
async fn publish_stream(link: &Link, stream: &str, events: Vec<RecordedEvent>, mut held: bool) -> Option<bool> {
    for event in events {
        let Some(message) = link.wire.event(&event) else { continue };
        // Somebody may have replayed or discarded what it waits for.
        held = held && aside::waits(link, stream).await?;
        if held {
            aside::keep(link, stream, &message, None).await?;
            continue;
        }
        match link.publish(&message, &link.meter.events).await? {
            Published::Kept => link.meter.delayed(event.recorded_at),
            Published::TooLarge(refusal) => {
                aside::keep(link, stream, &message, Some(&refusal)).await?;
                held = true;
            }
        }
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use potter_core::event::EventMetadata;
    use uuid::Uuid;

    use super::*;

    fn event(position: u64, id: &str) -> RecordedEvent {
        RecordedEvent {
            position,
            aggregate: "Product".to_owned(),
            aggregate_id: id.to_owned(),
            version: position,
            id: Uuid::from_u128(u128::from(position)),
            event_type: "product.listed".to_owned(),
            schema_version: 1,
            payload: bytes::Bytes::new(),
            metadata: EventMetadata::default(),
            recorded_at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn events_of_a_stream_stay_together_and_in_order() {
        let streams = by_stream(vec![event(1, "b"), event(2, "a"), event(3, "b"), event(4, "b")]);
        let positions: Vec<Vec<u64>> =
            streams.values().map(|stream| stream.iter().map(|event| event.position).collect()).collect();
        assert_eq!(positions, [vec![2], vec![1, 3, 4]]);
    }
}
