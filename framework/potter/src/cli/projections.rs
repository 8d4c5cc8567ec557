//! `projections`: lists and rebuilds read models.

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::Subcommand;
use potter_core::module::Module;
use potter_core::projection::{self, ProjectionState, ProjectionStatus};
use potter_core::store::SharedStore;

use super::{Format, FormatOption, Output};
use crate::error::TaskError;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Lists or rebuilds the read models
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Projections {
    /// Lists the read models and how far they are
    List(FormatOption),
    /// Builds a read model anew from the whole log, beside the one that queries read until it is ready
    Rebuild {
        /// The read model, as `projections list` calls it
        name: String,
    },
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
            Self::List(FormatOption { format }) => list(&projection::list(module, store).await?, *format, output),
            Self::Rebuild { name } => rebuild(module, store, name, output).await,
        }
    }
}

fn list(statuses: &[ProjectionStatus], format: Format, output: &mut Output<'_>) -> Result<(), TaskError> {
    match format {
        Format::Text => {
            let rows: Vec<_> = statuses.iter().map(row).collect();
            output.table(&["NAME", "STATE", "POSITION", "HEAD", "LAG", "PARKED"], &rows)?;
        }
        Format::Json => {
            for status in statuses {
                output.line(record(status).to_string())?;
            }
        }
    }
    Ok(())
}

fn row(status: &ProjectionStatus) -> Vec<String> {
    let numbers = [status.position, status.head, status.lag(), status.parked as u64].map(|it| it.to_string());
    [status.name.to_owned(), state(status).to_owned()].into_iter().chain(numbers).collect()
}

fn record(status: &ProjectionStatus) -> serde_json::Value {
    serde_json::json!({
        "name": status.name,
        "state": state(status),
        "position": status.position,
        "head": status.head,
        "lag": status.lag(),
        "parked": status.parked,
    })
}

fn state(status: &ProjectionStatus) -> &str {
    match &status.state {
        ProjectionState::Active => "active",
        ProjectionState::Building => "behind",
        ProjectionState::Error(reason) => reason,
    }
}

async fn rebuild(module: &Module, store: &SharedStore, name: &str, output: &mut Output<'_>) -> Result<(), TaskError> {
    if !module.read_models().any(|it| it == name) {
        let known: Vec<_> = module.read_models().collect();
        return Err(TaskError::new(format!("there is no read model `{name}`; there are {}", known.join(", "))));
    }
    let began = Instant::now();
    let mut told = began;
    // Progress is for people who wait; what the command comes to is its output.
    let progress = move |position: u64, head: u64| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            // Nobody may be reading, which is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{position} of {head} events ({} %)", percent(position, head));
        }
    };
    projection::rebuild(module, store.clone(), name, progress).await?;
    let head = *store.head().borrow();
    output.line(format!("rebuilt {name} from {head} events in {:.1} s", began.elapsed().as_secs_f64()))?;
    Ok(())
}

fn percent(position: u64, head: u64) -> u64 {
    position.saturating_mul(100).checked_div(head).unwrap_or(100).min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_percentage_also_of_an_empty_log() {
        assert_eq!(percent(1, 3), 33);
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(5, 4), 100);
    }
}
