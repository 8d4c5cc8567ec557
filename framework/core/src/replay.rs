//! The log once more: all of it, of an aggregate, or of a type of event.
//!
//! For tests and analyses, and for the rows of read models that are to be made anew.

use crate::event::{RecordedEvent, StreamId};
use crate::store::{SharedStore, StoreError};

/// Events read at once.
const BATCH: usize = 1000;

/// Which events.
///
/// ```
/// # use potter_core::replay::Replay;
/// # use potter_core::event::StreamId;
/// let renamings = Replay::all().of_type("product.renamed");
/// let of_one = renamings.clone().of_stream(StreamId::new("Product", "7f3a"));
/// assert_ne!(renamings, of_one);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    aggregate: Option<String>,
    stream: Option<StreamId>,
    event_type: Option<String>,
}

impl Replay {
    /// All that there are.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those of aggregates of that kind.
    #[must_use]
    pub fn of_aggregate(self, kind: impl Into<String>) -> Self {
        Self { aggregate: Some(kind.into()), ..self }
    }

    /// Only those of that stream.
    #[must_use]
    pub fn of_stream(self, stream: StreamId) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// Only those of that stored type.
    #[must_use]
    pub fn of_type(self, event_type: impl Into<String>) -> Self {
        Self { event_type: Some(event_type.into()), ..self }
    }

    /// Whether an event is one of them.
    #[must_use]
    pub fn admits(&self, event: &RecordedEvent) -> bool {
        let of_stream = |stream: &StreamId| stream.aggregate() == event.aggregate && stream.id() == event.aggregate_id;
        self.aggregate.as_ref().is_none_or(|kind| *kind == event.aggregate)
            && self.stream.as_ref().is_none_or(of_stream)
            && self.event_type.as_ref().is_none_or(|ty| *ty == event.event_type)
    }

    /// Shows each of them up to a position, in the order of the log; answers how many there were.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn up_to(
        &self,
        position: u64,
        store: &SharedStore,
        mut each: impl FnMut(&RecordedEvent) + Send,
    ) -> Result<u64, StoreError> {
        let (mut seen, mut after) = (0, 0);
        loop {
            let events = match &self.stream {
                Some(stream) => store.read_stream(stream.clone(), after).await?,
                None => store.read_all(after, BATCH).await?,
            };
            let Some(last) = events.last() else { return Ok(seen) };
            after = if self.stream.is_some() { last.version } else { last.position };
            for event in events.iter().filter(|event| event.position <= position && self.admits(event)) {
                each(event);
                seen += 1;
            }
            if last.position >= position {
                return Ok(seen);
            }
        }
    }

    /// Shows each of them that has been recorded by now, in the order of the log; answers how many there were.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn run(&self, store: &SharedStore, each: impl FnMut(&RecordedEvent) + Send) -> Result<u64, StoreError> {
        let head = *store.head().borrow();
        self.up_to(head, store, each).await
    }
}
