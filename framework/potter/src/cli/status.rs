//! `commands`: tells how far asynchronous commands are.

use clap::Subcommand;
use potter_core::store::{CommandOutcome, CommandStatus, SharedStore};
use serde_json::{Value, json};
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
        Format::Json => record(status).to_string(),
    }
}

fn text(status: &CommandStatus) -> String {
    let command = &status.command;
    let outcome = match &status.outcome {
        None => "pending".to_owned(),
        Some(CommandOutcome::Succeeded { version, .. }) => format!("succeeded  v{version}"),
        Some(CommandOutcome::Failed { code, message, .. }) => format!("failed  {code}: {message}"),
    };
    let time = prost_types::Timestamp::from(command.accepted_at);
    format!("{}  {time}  {}  {}-{}  {outcome}", command.id, command.name, command.aggregate, command.aggregate_id)
}

fn record(status: &CommandStatus) -> Value {
    let command = &status.command;
    let mut record = json!({
        "commandId": command.id.to_string(),
        "command": command.name,
        "aggregate": command.aggregate,
        "aggregateId": command.aggregate_id,
        "acceptedAt": prost_types::Timestamp::from(command.accepted_at).to_string(),
        "correlationId": command.correlation_id,
        "actor": command.actor,
        "status": "PENDING",
    });
    match &status.outcome {
        None => {}
        Some(CommandOutcome::Succeeded { version, events }) => {
            record["status"] = "SUCCEEDED".into();
            record["version"] = (*version).into();
            record["events"] = events.iter().map(|(event_type, _)| event_type.as_str()).collect::<Vec<_>>().into();
        }
        Some(CommandOutcome::Failed { code, message, retryable, .. }) => {
            record["status"] = "FAILED".into();
            record["error"] = json!({ "code": code, "message": message, "retryable": retryable });
        }
    }
    record
}
