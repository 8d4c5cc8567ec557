//! `dead-letters`: messages that could not be taken in or published.

use clap::{Args, Subcommand};
use potter_core::inspect::{dead_letter, rfc3339};
use potter_core::store::{DeadLetter, DeadLetterFilter, SharedStore};
use uuid::Uuid;

use super::{Format, FormatOption, Output};
use crate::error::TaskError;

/// Messages that could not be taken in, and what shall become of them
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum DeadLetters {
    /// Lists them, oldest first
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: FormatOption,
    },
    /// Shows one with its headers, its payload and what was tried
    Show {
        /// As `list` prints it
        id: Uuid,
    },
    /// Tries them again, oldest first; behind one that fails again its stream goes on waiting
    Replay(Which),
    /// Removes one for good; what waits behind it is not replayed by that
    Discard {
        /// As `list` prints it
        id: Uuid,
    },
}

/// Which letters are meant; without either: all
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Which {
    /// Only this one
    pub(crate) id: Option<Uuid>,
    /// Only those of a subscription, of `commands` or of `outgoing`
    #[arg(long)]
    pub(crate) source: Option<String>,
}

impl Which {
    fn filter(&self) -> DeadLetterFilter {
        DeadLetterFilter { id: self.id, source: self.source.clone(), ..DeadLetterFilter::default() }
    }
}

impl DeadLetters {
    /// Does what is asked for, but for replaying, which takes the whole module.
    pub(crate) async fn run(&self, store: &SharedStore, output: &mut Output<'_>) -> Result<(), TaskError> {
        match self {
            Self::List { which, format } => {
                for letter in store.dead_letters(which.filter()).await? {
                    output.line(line(&letter, format.format))?;
                }
            }
            Self::Show { id } => {
                let letter = find(store, *id).await?;
                output.line(format!("{:#}", dead_letter(&letter)))?;
            }
            Self::Discard { id } => {
                let letter = find(store, *id).await?;
                store.remove_dead_letter(*id).await?;
                output.line(format!("discarded {}", line(&letter, Format::Text)))?;
            }
            Self::Replay(_) => {}
        }
        Ok(())
    }
}

async fn find(store: &SharedStore, id: Uuid) -> Result<DeadLetter, TaskError> {
    let only = DeadLetterFilter { id: Some(id), ..DeadLetterFilter::default() };
    let found = store.dead_letters(only).await?.pop();
    found.ok_or_else(|| TaskError::new(format!("there is no dead letter {id}; `dead-letters list` names them")))
}

fn line(letter: &DeadLetter, format: Format) -> String {
    let DeadLetter { id, source, key, subject, reason, parked_at, .. } = letter;
    match format {
        Format::Text => format!("{id}  {}  {source}  {key}  {subject}  {reason}", rfc3339(*parked_at)),
        Format::Json => dead_letter(letter).to_string(),
    }
}

/// Tries letters again, with the module's write side running beside the service, if that runs.
#[cfg(feature = "nats")]
pub(crate) async fn replay(
    which: &Which,
    dispatcher: &potter_core::dispatch::Dispatcher,
    nats_url: Option<&str>,
    output: &mut Output<'_>,
) -> Result<(), TaskError> {
    if let Some(id) = which.id {
        find(dispatcher.store(), id).await?;
    }
    let broker = match nats_url {
        Some(url) if publishes(which, dispatcher).await? => Some(crate::messages::reach(url).await?),
        _ => None,
    };
    let replayer = potter_messaging::replay::Replayer::new(dispatcher, broker)
        .map_err(|error| TaskError::new(error.to_string()))?;
    let replayed = replayer.replay(which.filter()).await?;
    let failed = replayed.iter().filter(|it| it.failure.is_some()).count();
    for it in &replayed {
        let became = it.failure.as_ref().map_or_else(|| "taken in".to_owned(), |failure| format!("kept: {failure}"));
        output.line(format!("{}  {}  {}  {became}", it.letter.id, it.letter.source, it.letter.key))?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(TaskError::new(format!("{failed} could not be taken in this time either"))),
    }
}

/// Whether one of the letters is a message to be published.
#[cfg(feature = "nats")]
async fn publishes(which: &Which, dispatcher: &potter_core::dispatch::Dispatcher) -> Result<bool, TaskError> {
    let letters = dispatcher.store().dead_letters(which.filter()).await?;
    Ok(letters.iter().any(|letter| letter.source == potter_messaging::OUTGOING))
}
