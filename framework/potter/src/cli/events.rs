//! `events`: prints recorded events.

use std::time::{Duration, SystemTime};

use clap::Args;
use potter_core::event::{RecordedEvent, StreamId};
use potter_core::module::{AggregateInfo, Module};
use potter_core::store::SharedStore;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

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
        let printer =
            Printer { module, pool: module.descriptor_pool().map_err(TaskError::other)?, format: self.format.format };
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
                if output.line(printer.print(event))? == Reader::Left {
                    return Ok(());
                }
            }
            output.flush()?;
        }
    }

    async fn source(&self, module: &Module, store: &SharedStore) -> Result<Source, TaskError> {
        let Some(name) = &self.stream else { return Ok(Source::Log) };
        let streams = streams_named(name, module.aggregates());
        if streams.is_empty() {
            return Err(TaskError::new(not_a_stream(name, module.aggregates())));
        }
        for stream in streams {
            if !store.read_stream(stream.clone(), 0).await?.is_empty() || self.follow {
                return Ok(Source::Stream(stream));
            }
        }
        Err(TaskError::new(format!("there is no stream `{name}`")))
    }
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

/// Turns events into lines.
struct Printer<'a> {
    module: &'a Module,
    pool: DescriptorPool,
    format: Format,
}

impl Printer<'_> {
    fn print(&self, event: &RecordedEvent) -> String {
        let payload = self.decode(event);
        match self.format {
            Format::Text => text(event, payload),
            Format::Json => record(event, payload).to_string(),
        }
    }

    /// The payload as canonical JSON, or why it cannot be read.
    fn decode(&self, event: &RecordedEvent) -> Result<Value, String> {
        let message = self
            .module
            .event_message(&event.event_type, event.schema_version)
            .ok_or_else(|| format!("unknown event type in version {}", event.schema_version))?;
        let descriptor =
            self.pool.get_message_by_name(message).ok_or_else(|| format!("unknown message `{message}`"))?;
        let payload = DynamicMessage::decode(descriptor, event.payload.as_ref()).map_err(|error| error.to_string())?;
        let options = SerializeOptions::new().skip_default_fields(false);
        payload.serialize_with_options(serde_json::value::Serializer, &options).map_err(|error| error.to_string())
    }
}

fn text(event: &RecordedEvent, payload: Result<Value, String>) -> String {
    let RecordedEvent { position, aggregate, aggregate_id, version, event_type, .. } = event;
    let time = rfc3339(event.recorded_at);
    let payload = payload.map_or_else(|problem| format!("<{problem}>"), |payload| payload.to_string());
    format!("{position}  {time}  {aggregate}-{aggregate_id}  v{version}  {event_type}  {payload}")
}

fn record(event: &RecordedEvent, payload: Result<Value, String>) -> Value {
    let mut record = json!({
        "position": event.position,
        "stream": format!("{}-{}", event.aggregate, event.aggregate_id),
        "aggregate": event.aggregate,
        "aggregateId": event.aggregate_id,
        "version": event.version,
        "eventId": event.id.to_string(),
        "type": event.event_type,
        "schemaVersion": event.schema_version,
        "recordedAt": rfc3339(event.recorded_at),
        "correlationId": event.metadata.correlation_id,
        "causationId": event.metadata.causation_id,
        "actor": event.metadata.actor,
    });
    match payload {
        Ok(payload) => record["data"] = payload,
        Err(problem) => {
            record["problem"] = problem.into();
            record["payloadHex"] = hex(&event.payload).into();
        }
    }
    record
}

fn rfc3339(time: SystemTime) -> String {
    prost_types::Timestamp::from(time).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

    #[test]
    fn bytes_are_shown_in_hex() {
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }
}
