//! `outgoing`: how far the published messages are.

use potter_core::inspect;
use potter_core::messages::MessagesStatus;

use super::{Format, Output};
use crate::error::TaskError;

/// Prints how far messages are.
pub(crate) fn print(status: &MessagesStatus, format: Format, output: &mut Output<'_>) -> Result<(), TaskError> {
    if format == Format::Json {
        output.line(inspect::outgoing(status).to_string())?;
        return Ok(());
    }
    let numbers = [status.published, status.head, status.lag()].map(|number| number.to_string());
    output.table(&["PUBLISHED", "HEAD", "LAG"], &[numbers.to_vec()])?;
    if let Some(trouble) = &status.trouble {
        output.line(format!("the broker doesn't work: {trouble}"))?;
    }
    if status.consumers.is_empty() {
        return Ok(());
    }
    let row = |it: &potter_core::messages::ConsumerStatus| {
        let backlog = it.backlog.as_ref().map_or_else(Clone::clone, ToString::to_string);
        vec![it.subscription.clone(), it.module.clone(), backlog]
    };
    output.line("")?;
    let rows: Vec<_> = status.consumers.iter().map(row).collect();
    Ok(output.table(&["SUBSCRIPTION", "MODULE", "LAG"], &rows)?)
}
