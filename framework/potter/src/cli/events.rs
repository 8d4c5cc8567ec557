//! `events`: prints recorded events.

use std::time::Duration;

use clap::Args;
use potter_core::event::{RecordedEvent, StreamId};
use potter_core::inspect::{Payloads, rfc3339};
use potter_core::module::{AggregateInfo, Module};
use potter_core::store::SharedStore;
use serde_json::Value;

use super::output::{Output, Reader};
use super::{Format, FormatOption};
use crate::error::TaskError;

/// How many events are read at once.
const BATCH: usize = 500;
/// How often a log that another process writes to is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Prints recorded events with their payloads
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Events {
    /// The stream, for example Product-7f3a
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    stream: Option<String>,
    /// The whole log, in the order in which events were recorded
    #[arg(long)]
    all: bool,
    /// Only what comes after this version of the stream, or with --all after this position in the log
    #[arg(long, default_value_t = 0, value_name = "N")]
    after: u64,
    /// Goes on as events are recorded, until it is interrupted
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    format: FormatOption,
}

/// What is read.
enum Source {
    Log,
    Stream(StreamId),
}

impl Events {
    /// Prints what is asked for.
    pub(crate) async fn run(
        &self,
        module: &Module,
        store: &SharedStore,
        output: &mut Output<'_>,
    ) -> Result<(), TaskError> {
        let payloads = Payloads::of(module).map_err(TaskError::other)?;
        let source = self.source(module, store).await?;
        let mut after = self.after;
        loop {
            let events = source.read(store, after).await?;
            let Some(last) = events.last() else {
                if !self.follow {
                    return Ok(());
                }
                tokio::time::sleep(FOLLOW_EVERY).await;
                continue;
            };
            after = source.place(last);
            for event in &events {
                if output.line(print(&payloads, event, self.format.format))? == Reader::Left {
                    return Ok(());
                }
            }
            output.flush()?;
        }
    }

    async fn source(&self, module: &Module, store: &SharedStore) -> Result<Source, TaskError> {
        let Some(name) = &self.stream else { return Ok(Source::Log) };
        match stream_named(name, module, store).await {
            Err(_) if self.follow && !streams_named(name, module.aggregates()).is_empty() => {
                let to_come = streams_named(name, module.aggregates()).swap_remove(0);
                Ok(Source::Stream(to_come))
            }
            found => found.map(Source::Stream),
        }
    }
}

/// The stream of that name, if there is one.
pub(crate) async fn stream_named(name: &str, module: &Module, store: &SharedStore) -> Result<StreamId, TaskError> {
    let streams = streams_named(name, module.aggregates());
    if streams.is_empty() {
        return Err(TaskError::new(not_a_stream(name, module.aggregates())));
    }
    for stream in streams {
        if !store.read_stream(stream.clone(), 0).await?.is_empty() {
            return Ok(stream);
        }
    }
    Err(TaskError::new(format!("there is no stream `{name}`")))
}

/// The streams that `name` may mean: more than one only if an aggregate's name begins with that of another.
fn streams_named(name: &str, aggregates: &[AggregateInfo]) -> Vec<StreamId> {
    let id_in = |aggregate: &str| name.strip_prefix(aggregate)?.strip_prefix('-').filter(|id| !id.is_empty());
    aggregates.iter().filter_map(|it| Some(StreamId::new(it.name, id_in(it.name)?))).collect()
}

fn not_a_stream(name: &str, aggregates: &[AggregateInfo]) -> String {
    let forms: Vec<_> = aggregates.iter().map(|aggregate| format!("{}-<id>", aggregate.name)).collect();
    format!("`{name}` is not the name of a stream; streams are called {}", forms.join(", "))
}

impl Source {
    async fn read(&self, store: &SharedStore, after: u64) -> Result<Vec<RecordedEvent>, TaskError> {
        Ok(match self {
            Self::Log => store.read_all(after, BATCH).await?,
            Self::Stream(stream) => store.read_stream(stream.clone(), after).await?,
        })
    }

    /// What to read on from after `event`.
    fn place(&self, event: &RecordedEvent) -> u64 {
        match self {
            Self::Log => event.position,
            Self::Stream(_) => event.version,
        }
    }
}

/// An event as a line.
fn print(payloads: &Payloads<'_>, event: &RecordedEvent, format: Format) -> String {
    match format {
        Format::Text => text(event, payloads.read(event)),
        Format::Json => payloads.event(event).to_string(),
    }
}

fn text(event: &RecordedEvent, payload: Result<Value, String>) -> String {
    let RecordedEvent { position, aggregate, aggregate_id, version, event_type, .. } = event;
    let time = rfc3339(event.recorded_at);
    let payload = payload.map_or_else(|problem| format!("<{problem}>"), |payload| payload.to_string());
    format!("{position}  {time}  {aggregate}-{aggregate_id}  v{version}  {event_type}  {payload}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGGREGATES: &[AggregateInfo] =
        &[AggregateInfo { name: "Product", events: &[] }, AggregateInfo { name: "Product-Line", events: &[] }];

    fn named(name: &str) -> Vec<(String, String)> {
        let streams = streams_named(name, AGGREGATES);
        streams.iter().map(|stream| (stream.aggregate().to_owned(), stream.id().to_owned())).collect()
    }

    #[test]
    fn a_stream_is_named_by_aggregate_and_id() {
        assert_eq!(named("Product-a-b"), [("Product".to_owned(), "a-b".to_owned())]);
        assert_eq!(named("Product-"), []);
        assert_eq!(named("Order-1"), []);
    }

    #[test]
    fn a_name_that_may_mean_two_streams_means_both() {
        assert_eq!(named("Product-Line-1").len(), 2);
    }
}
