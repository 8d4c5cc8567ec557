//! Announces how accepted commands went, failures as well: those are not in the log.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use potter_broker::Message;
use potter_core::store::StoreError;
use tokio::sync::watch;

use crate::aside;
use crate::link::{Link, Published};

/// Outcomes announced at a time, at most.
const BATCH: u32 = 256;

/// How often the store is asked for outcomes that another process has recorded and not announced.
const LOOK: Duration = Duration::from_secs(2);

/// Announces until the messages end.
pub(crate) async fn run(link: Arc<Link>, announced: watch::Sender<bool>) {
    let mut recorded = link.dispatcher.outcomes();
    let mut failures = 0_u32;
    loop {
        recorded.mark_unchanged();
        match announce(&link).await {
            Ok(Some(0)) => {
                failures = 0;
                // Something may have been recorded since.
                announced.send_replace(!recorded.has_changed().unwrap_or(false));
                let waited = link.unless_stopping(tokio::time::timeout(LOOK, recorded.changed())).await;
                if waited.is_none() {
                    return;
                }
                announced.send_replace(false);
            }
            Ok(Some(_)) => failures = 0,
            Ok(None) => return,
            Err(error) => {
                failures += 1;
                if failures == 1 || failures.is_multiple_of(10) {
                    tracing::error!(%error, attempt = failures, "cannot announce outcomes now");
                }
                if link.wait_for_store(failures).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Announces what there is; says how many that were, `None` if the messages ended before that.
async fn announce(link: &Link) -> Result<Option<usize>, StoreError> {
    let outcomes = link.store().unannounced_outcomes(BATCH).await?;
    if outcomes.is_empty() {
        return Ok(Some(0));
    }
    let messages: Vec<_> = outcomes.iter().flat_map(|status| link.wire.announcements(status)).collect();
    let all = futures::stream::iter(messages).map(|message| tell(link, message));
    let told: Vec<Option<()>> = all.buffer_unordered(BATCH as usize).collect().await;
    if told.contains(&None) {
        return Ok(None);
    }
    link.store().mark_announced(outcomes.iter().map(|status| status.command.id).collect()).await?;
    Ok(Some(outcomes.len()))
}

/// Announces one outcome, however long that takes; `None` if the messages end before that. One that is too large is
/// kept, and can still be asked for.
async fn tell(link: &Link, message: Message) -> Option<()> {
    match link.publish(&message, &link.meter.outcomes).await? {
        Published::Kept => Some(()),
        Published::TooLarge(refusal) => aside::keep(link, "", &message, Some(&refusal)).await,
    }
}
