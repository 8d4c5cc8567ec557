//! The log once more: all of it, of an aggregate, or of a type of event.
//!
//! For tests and analyses, and for the rows of read models that are to be made anew.

use crate::event::{RecordedEvent, StreamId};
use crate::failure::Failure;
use crate::module::Module;
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

    /// Refuses an aggregate or a type that the module hasn't, and a type that isn't one of the aggregate's.
    ///
    /// # Errors
    /// Not found, with the name; or invalid: no event would be one of them.
    pub fn check(&self, module: &Module) -> Result<(), Failure> {
        let kind = self.stream.as_ref().map(StreamId::aggregate).or(self.aggregate.as_deref());
        let known = module.aggregates();
        if let Some(kind) = kind {
            known.iter().find(|it| it.name == kind).ok_or_else(|| Failure::not_found("aggregate", kind))?;
        }
        let Some(event_type) = &self.event_type else { return Ok(()) };
        let mut of_type = known.iter().filter(|it| it.events.iter().any(|it| it.0 == event_type)).peekable();
        if of_type.peek().is_none() {
            return Err(Failure::not_found("event", event_type));
        }
        match kind {
            Some(kind) if !of_type.any(|it| it.name == kind) => {
                Err(Failure::invalid("type", format!("must be an event of {kind}, not {event_type}")))
            }
            _ => Ok(()),
        }
    }

    /// What is said of them, by name: `aggregate`, `id`, `type`.
    pub(crate) fn terms(&self) -> Vec<(&'static str, &str)> {
        let kind = self.stream.as_ref().map(StreamId::aggregate).or(self.aggregate.as_deref());
        let terms =
            [("aggregate", kind), ("id", self.stream.as_ref().map(StreamId::id)), ("type", self.event_type.as_deref())];
        terms.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Those of which that is said, by name: `aggregate` (its kind), `id`, `type`; `None` if there is an `id` without an
    /// `aggregate`, or another name.
    #[must_use]
    pub fn of_terms(terms: &[(&str, &str)]) -> Option<Self> {
        let term = |name: &str| terms.iter().find(|it| it.0 == name).map(|it| it.1);
        let unknown = terms.iter().any(|(name, _)| !["aggregate", "id", "type"].contains(name));
        let events = match (term("aggregate"), term("id")) {
            (None, None) => Self::all(),
            (Some(kind), None) => Self::all().of_aggregate(kind),
            (Some(kind), Some(id)) => Self::all().of_stream(StreamId::new(kind, id)),
            (None, Some(_)) => return None,
        };
        let events = term("type").map_or(events.clone(), |event_type| events.of_type(event_type));
        (!unknown).then_some(events)
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

#[cfg(test)]
mod tests {
    use prost_types::{Duration, FieldMask};

    use super::*;
    use crate::domain::{Aggregate, DomainEvent, UnreadableEvent};
    use crate::failure::FailureKind;

    #[derive(Clone, Debug)]
    pub struct Nothing;

    impl DomainEvent for Nothing {
        fn event_type(&self) -> &'static str {
            "nothing"
        }

        fn version(&self) -> u32 {
            1
        }

        fn encode(&self) -> Vec<u8> {
            Vec::new()
        }

        fn decode(_: &str, _: u32, _: &[u8]) -> Result<Self, UnreadableEvent> {
            Ok(Self)
        }
    }

    macro_rules! aggregate {
        ($state:ty, $name:literal) => {
            impl Aggregate for $state {
                const NAME: &'static str = $name;
                const SNAPSHOT_EVERY: u32 = 0;
                const SCHEMA: &'static str = "";
                type Event = Nothing;

                fn with_id(_: &str) -> Self {
                    Self::default()
                }

                fn apply(&mut self, _: Nothing) {}

                fn ends(_: &Nothing) -> bool {
                    false
                }
            }
        };
    }

    aggregate!(Duration, "Break");
    aggregate!(FieldMask, "Mask");

    #[test]
    fn what_no_event_can_be_is_refused() {
        let mut module = Module::new("test", "");
        module.aggregate::<Duration>(&[("break.begun", 1, "google.protobuf.Duration")]);
        module.aggregate::<FieldMask>(&[("mask.made", 1, "google.protobuf.FieldMask")]);
        let of = |terms: &[(&str, &str)]| Replay::of_terms(terms).expect("it makes sense").check(&module);
        for known in [
            &[][..],
            &[("type", "mask.made")],
            &[("aggregate", "Break"), ("id", "7")],
            &[("aggregate", "Break"), ("id", "7"), ("type", "break.begun")],
        ] {
            assert_eq!(of(known), Ok(()), "{known:?}");
        }
        for (unknown, told) in [
            (&[("aggregate", "Pause")][..], "Pause"),
            (&[("type", "mask.torn")], "mask.torn"),
            (&[("aggregate", "Break"), ("id", "7"), ("type", "mask.made")], "must be an event of Break"),
        ] {
            let refused = of(unknown).expect_err("there is none");
            assert!(refused.kind == FailureKind::Refused || refused.kind == FailureKind::Invalid, "{refused:?}");
            assert!(refused.message.contains(told), "{refused:?}");
        }
    }
}
