//! Tries again what could not be taken in, from the store's own copy: the broker isn't asked, and its window for
//! repeats doesn't matter.

use std::collections::BTreeSet;

use potter_broker::{MemoryBroker, Message};
use potter_core::dispatch::Dispatcher;
use potter_core::failure::Failure;
use potter_core::store::{DeadLetter, DeadLetterFilter, StoreError};

use crate::link::Link;
use crate::meter::Meter;
use crate::wire::{DescriptorsError, Payload, Wire};
use crate::{Options, channels, intake, subscription};

/// What came of a letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The letter.
    pub letter: DeadLetter,
    /// Why it could not be taken in this time either; it is kept then.
    pub failure: Option<Failure>,
}

/// Tries dead letters again.
pub struct Replayer {
    link: Link,
}

impl Replayer {
    /// For the dead letters of a running module.
    ///
    /// # Errors
    /// The module's descriptors contradict those of Potter's own messages.
    pub fn new(dispatcher: &Dispatcher) -> Result<Self, DescriptorsError> {
        let wire = Wire::new(dispatcher, Payload::Protobuf)?;
        let channels = channels(&wire, &Options::default());
        let meter = Meter::new(dispatcher.module().name());
        // Nothing goes over it: outcomes are announced by whoever serves.
        let broker = std::sync::Arc::new(MemoryBroker::new());
        Ok(Self { link: Link::new(broker, dispatcher.clone(), wire, meter, channels) })
    }

    /// Tries letters again, the oldest first, and removes those that are taken in. Behind one that fails again its
    /// stream goes on waiting.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn replay(&self, filter: DeadLetterFilter) -> Result<Vec<Replayed>, StoreError> {
        let mut stuck = BTreeSet::new();
        let mut replayed = Vec::new();
        for letter in self.link.store().dead_letters(filter).await? {
            let lane = (letter.source.clone(), letter.key.clone());
            if stuck.contains(&lane) {
                continue;
            }
            let failure = self.apply(&letter).await.err();
            match failure {
                None => drop(self.link.store().remove_dead_letter(letter.id).await?),
                Some(_) if letter.key.is_empty() => {}
                Some(_) => drop(stuck.insert(lane)),
            }
            replayed.push(Replayed { letter, failure });
        }
        Ok(replayed)
    }

    async fn apply(&self, letter: &DeadLetter) -> Result<(), Failure> {
        let message = message(letter);
        if letter.source == intake::SOURCE {
            return intake::accept(&self.link, &message).await.map(|_| ());
        }
        let found = self.link.dispatcher.module().subscriptions().iter().find(|it| it.name() == letter.source);
        match found {
            Some(subscription) => subscription::apply(subscription, &self.link, &message).await,
            None => Err(Failure::not_found("subscription", &letter.source)),
        }
    }
}

/// The message as it came.
fn message(letter: &DeadLetter) -> Message {
    Message {
        subject: letter.subject.clone(),
        id: letter.message_id.clone(),
        headers: letter.headers.iter().cloned().collect(),
        payload: letter.payload.clone(),
    }
}
