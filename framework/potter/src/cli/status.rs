//! `commands`: tells how far asynchronous commands are.

use clap::Subcommand;
use potter_core::inspect;
use potter_core::store::{CommandOutcome, CommandStatus, SharedStore};
use uuid::Uuid;

use super::{Format, FormatOption, Output};
use crate::error::TaskError;

/// Tells how far asynchronous commands are
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Commands {
    /// Tells how far a command is
    Status {
        /// Under which it was accepted
        id: Uuid,
        #[command(flatten)]
        format: FormatOption,
    },
    /// Lists the commands that are accepted and not yet executed, oldest first
    Pending(FormatOption),
}

impl Commands {
    /// Does what is asked for.
    pub(crate) async fn run(&self, store: &SharedStore, output: &mut Output<'_>) -> Result<(), TaskError> {
        match self {
            Self::Status { id, format } => {
                let status = store.command_status(*id).await?;
                let status = status.ok_or_else(|| TaskError::new(format!("there is no command {id}")))?;
                output.line(print(&status, format.format))?;
            }
            Self::Pending(FormatOption { format }) => {
                for command in store.pending_commands().await? {
                    output.line(print(&CommandStatus { command, outcome: None }, *format))?;
                }
            }
        }
        Ok(())
    }
}

fn print(status: &CommandStatus, format: Format) -> String {
    match format {
        Format::Text => text(status),
        Format::Json => inspect::command(status).to_string(),
    }
}

fn text(status: &CommandStatus) -> String {
    let command = &status.command;
    let outcome = match &status.outcome {
        None => "pending".to_owned(),
        Some(CommandOutcome::Succeeded { version, .. }) => format!("succeeded  v{version}"),
        Some(CommandOutcome::Failed { code, message, .. }) => format!("failed  {code}: {message}"),
    };
    let time = inspect::rfc3339(command.accepted_at);
    format!("{}  {time}  {}  {}-{}  {outcome}", command.id, command.name, command.aggregate, command.aggregate_id)
}
