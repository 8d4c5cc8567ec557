//! The broker as the parts of a service see it: one that is there in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use potter_broker::{BrokerError, BrokerErrorKind, Channel, Message, SharedBroker};
use potter_core::backoff::outage;
use potter_core::dispatch::Dispatcher;
use potter_core::flood::Flood;
use potter_core::health::{ComponentHealth, HealthStatus};
use potter_core::store::{DeadLetter, SharedStore, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::meter::{Kind, Meter};
use crate::status;
use crate::wire::Wire;

/// How often the broker is asked whether it works.
const LOOK: Duration = Duration::from_secs(1);

/// How often dead letters are counted that other processes keep or take away.
const COUNT_LETTERS: Duration = Duration::from_secs(1);

/// How often it is counted what subscriptions have before them.
const COUNT_BACKLOGS: Duration = Duration::from_secs(5);

/// The broker, and what goes over it.
pub(crate) struct Link {
    pub broker: SharedBroker,
    pub dispatcher: Dispatcher,
    pub wire: Wire,
    pub meter: Meter,
    /// Ends what comes in.
    pub intake_closed: CancellationToken,
    /// Ends everything.
    pub stopping: CancellationToken,
    channels: Vec<Channel>,
    /// Why the broker doesn't work; `None` while it does.
    trouble: Mutex<Option<String>>,
    /// Whether it has ever worked.
    reached: AtomicBool,
    lag: watch::Sender<u64>,
    /// How many messages wait for a person.
    letters: watch::Sender<u64>,
    /// There may be others than were counted last.
    letters_changed: Notify,
}

/// What became of a message.
pub(crate) enum Published {
    /// The broker keeps it.
    Kept,
    /// The broker never will.
    TooLarge(BrokerError),
}

impl Link {
    pub fn new(broker: SharedBroker, dispatcher: Dispatcher, wire: Wire, meter: Meter, channels: Vec<Channel>) -> Self {
        Self {
            broker,
            dispatcher,
            wire,
            meter,
            intake_closed: CancellationToken::new(),
            stopping: CancellationToken::new(),
            channels,
            trouble: Mutex::new(Some("not connected yet".to_owned())),
            reached: AtomicBool::new(false),
            lag: watch::Sender::new(0),
            letters: watch::Sender::new(0),
            letters_changed: Notify::new(),
        }
    }

    pub fn store(&self) -> &SharedStore {
        self.dispatcher.store()
    }

    /// What `future` gives, or `None` if the messages end before that.
    pub async fn unless_stopping<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.stopping.run_until_cancelled(future).await
    }

    /// Waits before the broker is asked again, a second at most; `None` if the messages end meanwhile.
    pub async fn pause(&self, attempt: u32) -> Option<()> {
        self.unless_stopping(tokio::time::sleep(outage(attempt))).await
    }

    /// Waits before the store is asked again, until it answers and a second at most; `None` if the messages end meanwhile.
    pub async fn wait_for_store(&self, attempt: u32) -> Option<()> {
        self.unless_stopping(self.dispatcher.wait_for_store(attempt)).await
    }

    /// Publishes a message, however long that takes, unless the broker never will take it; `None` if the messages end
    /// before that.
    pub async fn publish(&self, message: &Message, kind: &Kind) -> Option<Published> {
        for attempt in 1.. {
            let published = self.unless_stopping(self.broker.publish(message.clone())).await?;
            let Err(error) = published else {
                kind.published.increment(1);
                return Some(Published::Kept);
            };
            kind.failures.increment(1);
            if error.kind == BrokerErrorKind::TooLarge {
                return Some(Published::TooLarge(error));
            }
            self.failed(&error, attempt);
            if error.kind == BrokerErrorKind::NoChannel {
                self.declare().await?;
            }
            self.pause(attempt).await?;
        }
        unreachable!("attempts are without end")
    }

    /// Keeps a message that cannot go on, however long that takes; `None` if the messages end before that.
    pub async fn keep_letter(&self, letter: DeadLetter) -> Option<()> {
        for attempt in 1.. {
            match self.store().keep_dead_letter(letter.clone()).await {
                Ok(()) => {
                    self.recount_letters();
                    return Some(());
                }
                Err(error) => tell_of_store(&error, "cannot set a message aside yet"),
            }
            self.wait_for_store(attempt).await?;
        }
        unreachable!("attempts are without end")
    }

    /// Dead letters have come or gone: whoever counts them shall look now.
    pub fn recount_letters(&self) {
        self.letters_changed.notify_one();
    }

    /// Makes the channels, and says whether that has worked; `None` if the messages end before that.
    pub async fn declare(&self) -> Option<bool> {
        for channel in &self.channels {
            let declared = self.unless_stopping(self.broker.declare(channel.clone())).await?;
            if let Err(error) = declared {
                self.failed(&error, 1);
                return Some(false);
            }
        }
        Some(true)
    }

    /// Notes what went wrong; the log is told the first time and then now and again, however many there are to fail.
    /// Until the broker has been in reach, [`keep_watch`] alone tells it.
    /// That there is no channel yet, such as that of a module that has never run, is no failure of the broker's.
    pub fn failed(&self, error: &BrokerError, attempt: u32) {
        static FAILED: Flood = Flood::new();
        if error.kind == BrokerErrorKind::NoChannel {
            return tracing::debug!(%error, "waiting for a channel");
        }
        if self.reached.load(Ordering::Relaxed)
            && (attempt == 1 || attempt.is_multiple_of(10))
            && let Some(left_out) = FAILED.admits("broker")
        {
            tracing::warn!(%error, attempt, left_out, "the broker failed; trying again");
        }
        self.set_trouble(Some(error.to_string()));
    }

    /// Why the broker doesn't work; `None` while it does.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// How the broker is. Without it nothing is lost and commands are taken in all the same: it is never worse than
    /// degraded.
    pub fn health(&self) -> ComponentHealth {
        let lag = *self.lag.borrow();
        let (status, detail) = match self.trouble() {
            None => (HealthStatus::Up, format!("{lag} messages to publish")),
            Some(_) => (HealthStatus::Degraded, format!("out of reach, {lag} messages to publish")),
        };
        ComponentHealth { name: "broker".to_owned(), status, detail }
    }

    /// Whether messages wait for a person; that stops nothing but their own streams.
    pub fn health_of_letters(&self) -> ComponentHealth {
        let (status, detail) = match *self.letters.borrow() {
            0 => (HealthStatus::Up, String::new()),
            count => (HealthStatus::Degraded, format!("{count} messages wait for a person")),
        };
        ComponentHealth { name: "dead letters".to_owned(), status, detail }
    }
}

/// Tells the log that the store failed, of which many messages tell at the same time.
pub(crate) fn tell_of_store(error: &StoreError, what: &'static str) {
    static FAILED: Flood = Flood::new();
    if let Some(left_out) = FAILED.admits(what) {
        tracing::error!(%error, left_out, "{what}");
    }
}

/// Counts dead letters until the messages end: at once when this process keeps one or takes one away.
pub(crate) async fn count_letters(link: Arc<Link>) {
    let mut sources = BTreeSet::new();
    loop {
        let Some(counted) = link.unless_stopping(link.store().dead_letter_counts()).await else { return };
        if let Ok(counts) = counted {
            link.letters.send_replace(counts.iter().map(|(_, count)| count).sum());
            let counts: BTreeMap<_, _> = counts.into_iter().collect();
            sources.extend(counts.keys().cloned());
            for source in &sources {
                link.meter.letters(source, counts.get(source).copied().unwrap_or_default());
            }
        }
        let changed = tokio::time::timeout(COUNT_LETTERS, link.letters_changed.notified());
        if link.unless_stopping(changed).await.is_none() {
            return;
        }
    }
}

/// Counts what subscriptions have before them, until the messages end.
pub(crate) async fn count_backlogs(link: Arc<Link>) {
    let mut look = tokio::time::interval(COUNT_BACKLOGS);
    while link.unless_stopping(look.tick()).await.is_some() {
        let counted = link.unless_stopping(status::consumers(&link.broker, link.dispatcher.module())).await;
        for consumer in counted.unwrap_or_default() {
            if let Ok(backlog) = consumer.backlog {
                link.meter.backlog(&consumer.subscription, backlog);
            }
        }
    }
}

/// What the log is told of a broker that doesn't work: that, once, and that it works again.
#[derive(Default)]
struct Outage {
    looks: u32,
    is_told: bool,
}

impl Outage {
    /// A broker that was never reached may just be about to be: the first look is too early to say so.
    fn go_on(&mut self, error: &BrokerError, was_reached: bool) {
        self.looks += 1;
        if !self.is_told && (was_reached || self.looks > 1) {
            self.is_told = true;
            tracing::warn!(%error, "the broker doesn't work; the service goes on without it");
        }
    }

    fn end(&mut self) {
        if std::mem::take(self).is_told {
            tracing::info!("the broker works");
        }
    }
}

/// Makes the channels as soon as the broker is there, and again when it comes back; keeps health and lag up to date.
pub(crate) async fn keep_watch(link: Arc<Link>, published: watch::Receiver<u64>) {
    let mut declared = false;
    let mut outage = Outage::default();
    let mut look = tokio::time::interval(LOOK);
    // A broker that is long in answering isn't asked the more often for it.
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while link.unless_stopping(look.tick()).await.is_some() {
        let Some(pinged) = link.unless_stopping(link.broker.ping()).await else { return };
        match pinged {
            Ok(()) => {
                outage.end();
                link.reached.store(true, Ordering::Relaxed);
                link.set_trouble(None);
                if !declared {
                    let Some(made) = link.declare().await else { return };
                    declared = made;
                }
            }
            Err(error) => {
                outage.go_on(&error, link.reached.load(Ordering::Relaxed));
                link.set_trouble(Some(error.to_string()));
                declared = false;
            }
        }
        let head = *link.store().head().borrow();
        let published = *published.borrow();
        let lag = head.saturating_sub(published);
        link.lag.send_replace(lag);
        link.meter.lag.set(lag as f64);
        link.meter.age.set(age_of_next(&link, published, lag).await.as_secs_f64());
    }
}

/// How long the oldest event that isn't published has waited.
async fn age_of_next(link: &Link, published: u64, lag: u64) -> Duration {
    if lag == 0 {
        return Duration::ZERO;
    }
    let next = link.store().read_all(published, 1).await.ok().and_then(|events| events.into_iter().next());
    next.and_then(|event| event.recorded_at.elapsed().ok()).unwrap_or_default()
}
