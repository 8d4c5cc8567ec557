//! Tries again what could not be taken in or published, from the store's own copy: the broker isn't asked for it, and its
//! window for repeats doesn't matter.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use potter_broker::{MemoryBroker, Message, SharedBroker};
use potter_core::dispatch::Dispatcher;
use potter_core::failure::{Failure, FailureKind, codes};
pub use potter_core::messages::Replayed;
use potter_core::store::{DeadLetter, DeadLetterFilter, SharedStore, StoreError};
use uuid::Uuid;

use crate::link::Link;
use crate::meter::Meter;
use crate::wire::{DescriptorsError, Payload, Wire};
use crate::{Options, aside, channels, intake, subscription};

/// Tries dead letters again, with a module that runs for that alone.
pub struct Replayer {
    link: Link,
    publishes: bool,
}

impl Replayer {
    /// For the dead letters of a running module. What could not be published needs the broker that it was meant for.
    ///
    /// # Errors
    /// The module's descriptors contradict those of Potter's own messages.
    pub fn new(dispatcher: &Dispatcher, broker: Option<SharedBroker>) -> Result<Self, DescriptorsError> {
        let wire = Wire::new(dispatcher, Payload::Protobuf)?;
        let channels = channels(&wire, &Options::default());
        let meter = Meter::new(dispatcher.module().name());
        let publishes = broker.is_some();
        // Nothing goes over it: outcomes are announced by whoever serves.
        let broker = broker.unwrap_or_else(|| Arc::new(MemoryBroker::new()));
        Ok(Self { link: Link::new(broker, dispatcher.clone(), wire, meter, channels), publishes })
    }

    /// Tries letters again, the oldest first, and removes those that are taken in. Behind one that fails again its
    /// stream goes on waiting.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn replay(&self, filter: DeadLetterFilter) -> Result<Vec<Replayed>, StoreError> {
        replay(&self.link, self.publishes, filter).await
    }
}

pub(crate) async fn replay(
    link: &Link,
    publishes: bool,
    filter: DeadLetterFilter,
) -> Result<Vec<Replayed>, StoreError> {
    let mut tried = Tried::default();
    let mut replayed = Vec::new();
    loop {
        let letters = link.store().dead_letters(filter.clone()).await?;
        let untried: Vec<_> = letters.into_iter().filter(|letter| tried.leaves(letter)).collect();
        // Whoever wants so many doesn't want those that have come up behind them.
        if untried.is_empty() || (filter.limit.is_some() && !replayed.is_empty()) {
            return Ok(replayed);
        }
        for mut letter in untried {
            if tried.leaves(&letter) {
                let failure = try_again(link, publishes, &letter).await?;
                if let Some(failure) = failure.as_ref().filter(|it| says_something(it)) {
                    letter.tried(SystemTime::now(), failure.to_string());
                    link.store().renew_dead_letter(letter.clone()).await?;
                }
                tried.note(&letter, failure.as_ref());
                replayed.push(Replayed { letter, failure });
            }
        }
    }
}

/// Whether a failure is the letter's: not if it wasn't tried at all, or something else was ill.
fn says_something(failure: &Failure) -> bool {
    failure.kind != FailureKind::Unavailable && failure.code != codes::OUT_OF_ORDER
}

/// Which letters have been tried. There may be others meanwhile: what came while an event was taken in is kept behind it.
#[derive(Default)]
struct Tried {
    letters: BTreeSet<Uuid>,
    /// Sources and keys that wait behind one that has failed again.
    stuck: BTreeSet<(String, String)>,
}

impl Tried {
    fn leaves(&self, letter: &DeadLetter) -> bool {
        !self.letters.contains(&letter.id) && !self.stuck.contains(&(letter.source.clone(), letter.key.clone()))
    }

    fn note(&mut self, letter: &DeadLetter, failure: Option<&Failure>) {
        self.letters.insert(letter.id);
        if failure.is_some() && !letter.key.is_empty() {
            self.stuck.insert((letter.source.clone(), letter.key.clone()));
        }
    }
}

/// Tries a letter again, and removes it if it is taken in; says why it isn't.
async fn try_again(link: &Link, publishes: bool, letter: &DeadLetter) -> Result<Option<Failure>, StoreError> {
    let failure = match first_of_lane(link.store(), letter).await? {
        Some(first) if first != letter.id => Some(behind(first)),
        _ => again(link, publishes, letter).await.err(),
    };
    if failure.is_none() {
        link.store().remove_dead_letter(letter.id).await?;
        link.recount_letters();
    }
    Ok(failure)
}

/// The oldest letter of the stream that a letter is of; `None` for one that is of no stream.
async fn first_of_lane(store: &SharedStore, letter: &DeadLetter) -> Result<Option<Uuid>, StoreError> {
    if letter.key.is_empty() {
        return Ok(None);
    }
    let filter = DeadLetterFilter::oldest(&letter.source, &letter.key, 1);
    Ok(store.dead_letters(filter).await?.first().map(|letter| letter.id))
}

fn behind(first: Uuid) -> Failure {
    let message = format!("an earlier message of its stream waits: replay or discard {first} before");
    Failure::conflict(codes::OUT_OF_ORDER, message)
}

async fn again(link: &Link, publishes: bool, letter: &DeadLetter) -> Result<(), Failure> {
    match letter.source.as_str() {
        intake::SOURCE => intake::accept(link, &message(letter)).await.map(drop),
        aside::SOURCE if publishes => publish(link, letter).await,
        aside::SOURCE => Err(Failure::unavailable(NO_BROKER)),
        _ => apply(link, letter).await,
    }
}

/// Why something is not published.
const NO_BROKER: &str =
    "it was to be published over the broker in the service's own process, or NATS_URL is not set here";

async fn publish(link: &Link, letter: &DeadLetter) -> Result<(), Failure> {
    let published = link.broker.publish(message(letter)).await;
    published.map_err(|error| Failure::unavailable(error.to_string()))
}

async fn apply(link: &Link, letter: &DeadLetter) -> Result<(), Failure> {
    match link.dispatcher.module().subscriptions().iter().find(|it| it.name() == letter.source) {
        Some(subscription) => subscription::apply(subscription, link, &message(letter)).await.map(drop),
        None => Err(Failure::not_found("subscription", &letter.source)),
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
