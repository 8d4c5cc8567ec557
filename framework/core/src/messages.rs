//! What operators see of a module's messages and do about them, whatever carries them.

use futures::future::BoxFuture;

use crate::failure::Failure;
use crate::store::{DeadLetter, DeadLetterFilter, StoreError};

/// The messages of a running module, as operators see them; see [`crate::dispatch::Dispatcher::attach_messages`].
pub trait Messages: Send + Sync + 'static {
    /// How far they are.
    fn status(&self) -> BoxFuture<'_, Result<MessagesStatus, StoreError>>;

    /// Tries dead letters again, the oldest first, and removes those that go through this time. Behind one that fails
    /// again its stream goes on waiting.
    fn replay(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<Replayed>, StoreError>>;
}

/// How far the messages of a module are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagesStatus {
    /// Position up to which events have been published, as the store knows; what came later may have been too.
    pub published: u64,
    /// Position of the last event in the log.
    pub head: u64,
    /// Why the broker doesn't work; `None` if it does.
    pub trouble: Option<String>,
    /// How far the module's subscriptions are.
    pub consumers: Vec<ConsumerStatus>,
}

impl MessagesStatus {
    /// How many events wait to be published.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.head.saturating_sub(self.published)
    }
}

/// How far a subscription is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Its name.
    pub subscription: String,
    /// The module whose events it takes in.
    pub module: String,
    /// How many events the broker has for it that it hasn't taken in; or why that isn't known.
    pub backlog: Result<u64, String>,
}

/// What came of a dead letter that was tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The letter.
    pub letter: DeadLetter,
    /// Why it could not go through this time either; it is kept then.
    pub failure: Option<Failure>,
}
