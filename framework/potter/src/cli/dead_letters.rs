//! `dead-letters`: messages that could not be taken in.

use clap::{Args, Subcommand};
use potter_core::inspect::rfc3339;
use potter_core::store::{DeadLetter, DeadLetterFilter, SharedStore};
use serde_json::{Value, json};
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
    /// Only those of a subscription, or `commands`
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
                output.line(format!("{:#}", whole(&letter)))?;
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
        Format::Json => whole(letter).to_string(),
    }
}

fn whole(letter: &DeadLetter) -> Value {
    let history = letter.history.iter().map(|it| json!({ "at": rfc3339(it.at), "reason": it.reason }));
    let headers = letter.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    json!({
        "id": letter.id.to_string(),
        "source": letter.source,
        "key": letter.key,
        "messageId": letter.message_id,
        "subject": letter.subject,
        "reason": letter.reason,
        "parkedAt": rfc3339(letter.parked_at),
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "payload": payload(letter),
        "history": history.collect::<Vec<_>>(),
    })
}

/// Text as it is, everything else in hexadecimal.
fn payload(letter: &DeadLetter) -> Value {
    match std::str::from_utf8(&letter.payload) {
        Ok(text) if !text.contains(char::is_control) => text.into(),
        _ => format!("0x{}", letter.payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).into(),
    }
}

/// Tries letters again, with the whole module running beside the service, if that runs.
#[cfg(feature = "nats")]
pub(crate) async fn replay(
    which: &Which,
    dispatcher: &potter_core::dispatch::Dispatcher,
    output: &mut Output<'_>,
) -> Result<(), TaskError> {
    let replayer =
        potter_messaging::replay::Replayer::new(dispatcher).map_err(|error| TaskError::new(error.to_string()))?;
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
