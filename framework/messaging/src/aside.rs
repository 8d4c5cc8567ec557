//! Outgoing messages that the broker refuses for good, because they are larger than it takes: they are kept as dead
//! letters, and later events of the same stream behind them, so that no other stream waits and no order is lost.

use std::collections::HashSet;
use std::time::SystemTime;

use potter_broker::{BrokerError, Message};
use potter_core::store::{DeadAttempt, DeadLetter, DeadLetterFilter, SharedStore, StoreError};
use uuid::Uuid;

use crate::link::{Link, tell_of_store};

/// [`DeadLetter::source`] of messages that could not be published.
pub(crate) const SOURCE: &str = "outgoing";

/// Why a message is set aside that is small enough.
pub(crate) const BEHIND: &str = "waits behind an earlier event of its stream";

/// The streams of which an event waits for a person.
pub(crate) async fn streams(store: &SharedStore) -> Result<HashSet<String>, StoreError> {
    let filter = DeadLetterFilter { source: Some(SOURCE.to_owned()), ..DeadLetterFilter::default() };
    Ok(store.dead_letters(filter).await?.into_iter().map(|letter| letter.key).collect())
}

/// Whether an event of that stream still waits for a person; `None` if the messages end before that is known.
pub(crate) async fn waits(link: &Link, stream: &str) -> Option<bool> {
    let filter = DeadLetterFilter::oldest(SOURCE, stream, 1);
    for attempt in 1.. {
        match link.store().dead_letters(filter.clone()).await {
            Ok(letters) => return Some(!letters.is_empty()),
            Err(error) => tell_of_store(&error, "cannot look for dead letters yet"),
        }
        link.wait_for_store(attempt).await?;
    }
    unreachable!("attempts are without end")
}

/// Keeps a message that is too large, or waits behind one; `None` if the messages end before that.
pub(crate) async fn keep(link: &Link, stream: &str, message: &Message, refusal: Option<&BrokerError>) -> Option<()> {
    let now = SystemTime::now();
    let reason = refusal.map_or_else(|| BEHIND.to_owned(), ToString::to_string);
    if let Some(error) = refusal {
        tracing::error!(stream, id = message.id, %error, "a message cannot be published; it is kept as a dead letter");
    }
    let history = refusal.map(|_| DeadAttempt { at: now, reason: reason.clone() });
    let letter = DeadLetter {
        id: Uuid::now_v7(),
        source: SOURCE.to_owned(),
        key: stream.to_owned(),
        message_id: message.id.clone(),
        subject: message.subject.clone(),
        headers: message.headers.clone().into_iter().collect(),
        payload: message.payload.clone(),
        reason,
        history: history.into_iter().collect(),
        parked_at: now,
    };
    link.keep_letter(letter).await
}
