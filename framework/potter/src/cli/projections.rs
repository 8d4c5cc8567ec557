//! `projections`: lists read models, pauses, empties and rebuilds them, replays what they could not take in.
//!
//! All of it works beside a running service, because they share the store.

use std::time::Instant;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use potter_core::inspect;
use potter_core::module::Module;
use potter_core::projection::{self, ProjectionState, ProjectionStatus, Rebuild};
use potter_core::replay::Replay;
use potter_core::store::{ParkedEvent, RebuildEnd, RebuildRecord, SharedStore};

use super::events::stream_named;
use super::{Format, FormatOption, Output};
use crate::error::TaskError;

/// Lists, pauses, empties and rebuilds the read models
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Projections {
    /// Lists the read models and how far they are
    List(FormatOption),
    /// Builds a read model anew from the whole log, beside the one that queries read until it is ready
    Rebuild {
        #[command(flatten)]
        read_model: Name,
        /// Takes in only the events after this position
        #[arg(long, value_name = "POSITION", default_value_t, conflicts_with_all = ["aggregate", "event_type"])]
        from: u64,
        /// Begins with what `snapshot` has saved, and takes in the events since
        #[arg(long, conflicts_with_all = ["from", "aggregate", "event_type"])]
        from_snapshot: bool,
        /// Makes only those rows anew that these events are about, each from all of its events
        #[command(flatten)]
        rows_of: Which,
    },
    /// Saves a copy of a read model as it is, for `rebuild --from-snapshot`; there is one for each read model
    Snapshot(Name),
    /// Takes nothing more in until `resume`; queries are answered as of then
    Pause(Name),
    /// Goes on after `pause`
    Resume(Name),
    /// Empties a read model; the running service, or the next start, takes everything in again
    Reset(Name),
    /// Lists the events that a read model could not take in
    Parked {
        #[command(flatten)]
        read_model: Name,
        #[command(flatten)]
        format: FormatOption,
    },
    /// Tries again to take in what is parked
    Replay {
        #[command(flatten)]
        read_model: Name,
        #[command(flatten)]
        which: Which,
    },
}

/// Which events.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Which {
    /// Only events of this stream, for example Product-7f3a
    #[arg(long, value_name = "STREAM")]
    aggregate: Option<String>,
    /// Only events of this stored type, for example product.renamed
    #[arg(long = "type", value_name = "EVENT")]
    event_type: Option<String>,
}

impl Which {
    /// These events; `None` if it isn't said.
    async fn events(&self, module: &Module, store: &SharedStore) -> Result<Option<Replay>, TaskError> {
        let mut events = Replay::all();
        if let Some(name) = &self.aggregate {
            events = events.of_stream(stream_named(name, module, store).await?);
        }
        if let Some(event_type) = &self.event_type {
            events = events.of_type(event_type);
        }
        events.check(module)?;
        Ok(Some(events).filter(|events| *events != Replay::all()))
    }
}

/// Which read model.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Name {
    /// The read model, as `projections list` calls it
    name: String,
}

impl Projections {
    /// Does what is asked for.
    pub(crate) async fn run(
        &self,
        module: &Module,
        store: &SharedStore,
        output: &mut Output<'_>,
    ) -> Result<(), TaskError> {
        match self {
            Self::List(FormatOption { format }) => list(&projection::list(module, store).await, *format, output)?,
            Self::Rebuild { read_model, from, from_snapshot, rows_of } => {
                let name = read_model.of(module)?;
                let begin = match (from_snapshot, rows_of.events(module, store).await?) {
                    (true, _) => Rebuild::FromSnapshot,
                    (false, Some(events)) => Rebuild::RowsOf(events),
                    (false, None) => Rebuild::After(*from),
                };
                rebuild(module, store, name, begin, output).await?;
            }
            Self::Snapshot(read_model) => {
                let name = read_model.of(module)?;
                let position = projection::save(module, store, name).await?;
                output.line(format!("saved {name} as of position {position}"))?;
            }
            Self::Pause(read_model) => {
                let name = read_model.of(module)?;
                projection::set_paused(module, store, name, true).await?;
                output.line(format!("{name} is paused"))?;
            }
            Self::Resume(read_model) => {
                let name = read_model.of(module)?;
                projection::set_paused(module, store, name, false).await?;
                output.line(format!("{name} goes on"))?;
            }
            Self::Reset(read_model) => {
                let name = read_model.of(module)?;
                projection::reset(module, store, name).await?;
                output.line(format!("{name} is empty; the service takes everything in again"))?;
            }
            Self::Parked { read_model, format } => {
                let parked = projection::parked(module, store, read_model.of(module)?).await?;
                list_parked(&parked, format.format, output)?;
            }
            Self::Replay { read_model, which } => {
                let name = read_model.of(module)?;
                let events = which.events(module, store).await?.unwrap_or_default();
                let replayed = projection::replay_parked(module, store, name, &events).await?;
                let parked = projection::parked(module, store, name).await?.len();
                output.line(format!("{name} has taken in {replayed} events; {parked} are still parked"))?;
            }
        }
        Ok(())
    }
}

impl Name {
    /// The name, if the module has such a read model.
    fn of(&self, module: &Module) -> Result<&str, TaskError> {
        let Self { name } = self;
        if module.read_models().any(|it| it == name) {
            return Ok(name);
        }
        let known: Vec<_> = module.read_models().collect();
        Err(TaskError::new(format!("there is no read model `{name}`; there are {}", known.join(", "))))
    }
}

fn list(statuses: &[ProjectionStatus], format: Format, output: &mut Output<'_>) -> Result<(), TaskError> {
    match format {
        Format::Text => {
            let rows: Vec<_> = statuses.iter().map(row).collect();
            output.table(&["NAME", "STATE", "POSITION", "HEAD", "LAG", "PARKED", "LAST REBUILD"], &rows)?;
        }
        Format::Json => {
            for status in statuses {
                output.line(inspect::projection(status).to_string())?;
            }
        }
    }
    Ok(())
}

fn list_parked(parked: &[ParkedEvent], format: Format, output: &mut Output<'_>) -> Result<(), TaskError> {
    match format {
        Format::Text => {
            let rows: Vec<_> = parked.iter().map(parked_row).collect();
            output.table(&["POSITION", "ROW", "EVENT", "PARKED AT", "REASON"], &rows)?;
        }
        Format::Json => {
            for event in parked {
                output.line(inspect::parked(event).to_string())?;
            }
        }
    }
    Ok(())
}

fn parked_row(event: &ParkedEvent) -> Vec<String> {
    vec![
        event.position.to_string(),
        event.key.clone(),
        event.event_type.clone(),
        inspect::rfc3339(event.parked_at),
        event.reason.clone(),
    ]
}

fn row(status: &ProjectionStatus) -> Vec<String> {
    let numbers = [status.position, status.head, status.lag(), status.parked as u64].map(|it| it.to_string());
    let state = match &status.state {
        ProjectionState::Error(reason) => format!("error: {reason}"),
        state => inspect::projection_state(state).to_owned(),
    };
    let rebuild = status.rebuild.as_ref().map_or_else(String::new, rebuilt);
    [status.name.to_owned(), state].into_iter().chain(numbers).chain([rebuild]).collect()
}

/// What has become of a rebuild.
fn rebuilt(rebuild: &RebuildRecord) -> String {
    let state = inspect::rebuild_state(rebuild);
    match &rebuild.end {
        None => format!("{state} since {}", inspect::rfc3339(rebuild.begun_at)),
        Some(RebuildEnd { at, failure: None }) => format!("{state} {}", inspect::rfc3339(*at)),
        Some(RebuildEnd { at, failure: Some(reason) }) => format!("{state} {}: {reason}", inspect::rfc3339(*at)),
    }
}

async fn rebuild(
    module: &Module,
    store: &SharedStore,
    name: &str,
    begin: Rebuild,
    output: &mut Output<'_>,
) -> Result<(), TaskError> {
    let began = Instant::now();
    let bar = progress_bar(name);
    let progress = bar.clone();
    let tell = move |position: u64, head: u64| {
        progress.set_length(head);
        progress.set_position(position);
    };
    let rebuilt = projection::rebuild(module, store.clone(), name, begin.clone(), tell).await;
    bar.finish_and_clear();
    rebuilt?;
    let head = *store.head().borrow();
    let from = match begin {
        Rebuild::After(from) => format!("{} events", head.saturating_sub(from)),
        Rebuild::FromSnapshot => "its snapshot".to_owned(),
        Rebuild::RowsOf(_) => "the events of some of its rows".to_owned(),
    };
    output.line(format!("rebuilt {name} from {from} in {:.1} s", began.elapsed().as_secs_f64()))?;
    let parked = projection::parked(module, store, name).await?.len();
    if parked > 0 {
        output.line(format!("{parked} events are parked: see `projections parked {name}`"))?;
    }
    Ok(())
}

/// Progress is for people who wait, so it is drawn only where somebody can see it.
fn progress_bar(name: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} events, {per_sec}, {eta} left");
    let bar = ProgressBar::new(0).with_message(name.to_owned());
    bar.set_style(style.expect("a valid template"));
    bar
}
