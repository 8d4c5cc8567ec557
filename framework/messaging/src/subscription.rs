//! Brings other modules' events to the module's subscriptions.
//!
//! Events of one stream are taken in one after the other, different streams side by side. An effect is recorded
//! together with the claim of its event, so that an event that comes again, and be it after the broker's window for
//! repeats, does nothing twice. An event that cannot be taken in is tried again as the options say; then it is
//! kept as a dead letter, and whatever comes later of its stream behind it. While the store is out of reach nothing is
//! given up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use futures::TryStreamExt;
use potter_broker::subject::{Subjects, token};
use potter_broker::{Consumer, Delivery, Message, headers};
use potter_core::failure::{Failure, FailureKind};
use potter_core::flood::Flood;
use potter_core::prost_types::Timestamp;
use potter_core::store::{DeadAttempt, DeadLetter, DeadLetterFilter, StoreError};
use potter_core::subscription::{Effects, EventContext, Subscription};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::link::Link;
use crate::meter::SubscriptionMeter;

/// An event that isn't acknowledged for that long is delivered again, perhaps to another process.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has the effects of an event, each once.
pub(crate) async fn apply(subscription: &Subscription, link: &Link, message: &Message) -> Result<Effects, Failure> {
    let context = context(message)?;
    if !subscription.handles(&context.event_type) {
        return Ok(Effects::New);
    }
    let published = message.get(headers::MESSAGE).unwrap_or_default();
    let name = subscription.message(&context.event_type).unwrap_or(published);
    let payload = link.wire.event_payload(name, message)?;
    subscription.apply(&link.dispatcher, &context, payload).await
}

/// The durable consumer of a subscription of `module`.
pub(crate) fn consumer(module: &str, subscription: &Subscription) -> Consumer {
    let source = Subjects::of(subscription.module());
    let name = format!("{}-{}", token(module), token(subscription.name()));
    let wanted = subscription.event_types().map(|event_type| source.event(event_type));
    Consumer { patience: PATIENCE, ..Consumer::new(source.channel("events"), name).subjects(wanted) }
}

fn context(message: &Message) -> Result<EventContext, Failure> {
    let text = |name: &str| message.get(name).unwrap_or_default().to_owned();
    let needed = |value: &str, name: &str| match value {
        "" => Err(Failure::malformed(format!("the header `{name}` is missing"))),
        value => Ok(value.to_owned()),
    };
    Ok(EventContext {
        // Without one nothing would tell it from another, and whether it has had its effects.
        event_id: needed(event_id(message), headers::EVENT_ID)?,
        event_type: needed(message.get(headers::EVENT_TYPE).unwrap_or_default(), headers::EVENT_TYPE)?,
        schema_version: message.parse(headers::SCHEMA_VERSION).map_err(Failure::malformed)?.unwrap_or_default(),
        aggregate: text(headers::AGGREGATE),
        aggregate_id: text(headers::AGGREGATE_ID),
        version: message.parse(headers::VERSION).map_err(Failure::malformed)?.unwrap_or_default(),
        correlation_id: text(headers::CORRELATION_ID),
        actor: message.get(headers::ACTOR).map(str::to_owned),
    })
}

/// The stream that a message is of; empty: it doesn't say, and waits for no other.
fn key(message: &Message) -> String {
    match (message.get(headers::AGGREGATE), message.get(headers::AGGREGATE_ID)) {
        (Some(aggregate), Some(id)) => format!("{aggregate}-{id}"),
        _ => String::new(),
    }
}

/// What tells an event from all others; empty: it doesn't say.
fn event_id(message: &Message) -> &str {
    message.get(headers::EVENT_ID).unwrap_or(&message.id)
}

/// A subscription of a running module.
struct Following {
    link: Arc<Link>,
    subscription: Subscription,
    /// Streams with events that wait, the one that is being taken in included.
    lanes: Mutex<HashMap<String, VecDeque<Delivery>>>,
    tasks: TaskTracker,
    meter: SubscriptionMeter,
}

/// Takes events in until the intake is closed.
pub(crate) async fn run(link: Arc<Link>, subscription: Subscription) {
    let closed = link.intake_closed.clone();
    let meter = SubscriptionMeter::new(link.dispatcher.module().name(), subscription.name());
    let tasks = TaskTracker::new();
    let following = Arc::new(Following { link, subscription, lanes: Mutex::default(), tasks, meter });
    for attempt in 1.. {
        following.consume().await;
        let paused = closed.run_until_cancelled(following.link.pause(attempt)).await;
        if paused.flatten().is_none() {
            break;
        }
    }
    following.tasks.close();
    following.tasks.wait().await;
}

impl Following {
    /// Takes events in until the broker fails or the intake is closed.
    async fn consume(self: &Arc<Self>) {
        let Self { link, subscription, .. } = &**self;
        let consumer = consumer(link.dispatcher.module().name(), subscription);
        let deliveries = match link.broker.consume(consumer).await {
            Ok(deliveries) => deliveries,
            Err(error) => return link.failed(&error, 1),
        };
        let closed = link.intake_closed.clone().cancelled_owned();
        let mut deliveries = std::pin::pin!(deliveries.take_until(closed));
        loop {
            match deliveries.try_next().await {
                Ok(Some(delivery)) => self.enqueue(delivery),
                Ok(None) => return,
                Err(error) => return link.failed(&error, 1),
            }
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Delivery>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an event be taken in after all others of its stream.
    fn enqueue(self: &Arc<Self>, delivery: Delivery) {
        let key = key(&delivery.message);
        if key.is_empty() {
            let following = self.clone();
            self.tasks.spawn(async move { following.finish(&key, delivery).await });
            return;
        }
        let mut lanes = self.lanes();
        match lanes.get_mut(&key) {
            Some(lane) => lane.push_back(delivery),
            None => {
                lanes.insert(key.clone(), VecDeque::from([delivery]));
                self.tasks.spawn(run_lane(self.clone(), key));
            }
        }
    }

    /// The next event of a stream; the lane ends when there is none.
    fn next(&self, key: &str) -> Option<Delivery> {
        let mut lanes = self.lanes();
        let next = lanes.get_mut(key)?.pop_front();
        if next.is_none() {
            lanes.remove(key);
        }
        next
    }

    /// Takes an event in, or sets it aside, and tells the broker so; `None` if the messages end before that.
    async fn finish(&self, key: &str, delivery: Delivery) -> Option<()> {
        let began = Instant::now();
        self.take_in(key, &delivery).await?;
        self.meter.duration.record(began.elapsed());
        if let Err(error) = delivery.answer.done().await {
            // It comes again, and its claims tell that it is done.
            self.link.failed(&error, 1);
        }
        Some(())
    }

    /// Takes an event in, or sets it aside; `None` if the messages end before that.
    async fn take_in(&self, key: &str, delivery: &Delivery) -> Option<()> {
        let message = &delivery.message;
        let mut history = Vec::new();
        let mut outages = 0;
        loop {
            let failure = match self.apply(key, message).await {
                Ok(Applied::Done(effects)) => {
                    self.count(effects);
                    return Some(());
                }
                Ok(Applied::Behind) => {
                    let id = self.set_aside(key, message, BEHIND.to_owned(), history).await?;
                    return self.take_up(key, id, message).await;
                }
                Err(failure) => failure,
            };
            self.tell(message, &failure);
            // An outage says nothing of the event, and counts for itself.
            let patient = failure.kind == FailureKind::Unavailable;
            if patient {
                outages += 1;
            } else {
                history.push(DeadAttempt { at: SystemTime::now(), reason: failure.to_string() });
            }
            let wait = self.link.dispatcher.retries().after(history.len()).filter(|_| worth_trying_again(&failure));
            if !patient && wait.is_none() {
                return self.set_aside(key, message, failure.to_string(), history).await.map(drop);
            }
            self.meter.retries.increment(1);
            // The broker shall not give it to somebody else meanwhile; if it does, the claim tells.
            let _ = delivery.answer.working().await;
            match wait {
                Some(wait) if !patient => self.link.unless_stopping(sleep(wait)).await?,
                _ => self.link.wait_for_store(outages).await?,
            }
        }
    }

    /// Tells the log why an event isn't taken in; while the store is out of reach, many have the same reason.
    fn tell(&self, message: &Message, failure: &Failure) {
        static WAITING: Flood = Flood::new();
        let admitted = match failure.kind {
            FailureKind::Unavailable => WAITING.admits("events"),
            _ => Some(0),
        };
        if let Some(left_out) = admitted {
            let (subscription, id) = (self.subscription.name(), event_id(message));
            tracing::warn!(subscription, id, %failure, left_out, "cannot take an event in");
        }
    }

    async fn apply(&self, key: &str, message: &Message) -> Result<Applied, Failure> {
        if self.is_parked(key).await? {
            return Ok(Applied::Behind);
        }
        if self.is_long_done(key, message).await? {
            return Ok(Applied::Done(Effects::Repeated));
        }
        apply(&self.subscription, &self.link, message).await.map(Applied::Done)
    }

    fn count(&self, effects: Effects) {
        match effects {
            Effects::New => self.meter.processed.increment(1),
            Effects::Repeated => self.meter.repeated.increment(1),
        }
    }

    /// Whether an earlier event of the stream waits for a person.
    async fn is_parked(&self, key: &str) -> Result<bool, StoreError> {
        Ok(!self.letters(key, 1).await?.is_empty())
    }

    /// Takes an event in that was kept behind others of its stream, if those have gone meanwhile: it would wait for nothing.
    /// Its letter stays until then. `None` if the messages end before that.
    async fn take_up(&self, key: &str, id: Uuid, message: &Message) -> Option<()> {
        for attempt in 1.. {
            let Err(failure) = self.take_up_last(key, id, message).await else { return Some(()) };
            self.tell(message, &failure);
            if failure.kind != FailureKind::Unavailable {
                // A replay tries it again, and says then why it fails.
                return Some(());
            }
            self.link.wait_for_store(attempt).await?;
        }
        unreachable!("attempts are without end")
    }

    async fn take_up_last(&self, key: &str, id: Uuid, message: &Message) -> Result<(), Failure> {
        if self.letters(key, 2).await? == [id] {
            // Whoever replays at the same moment has the same effects, which happen once.
            self.count(apply(&self.subscription, &self.link, message).await?);
            self.link.store().remove_dead_letter(id).await?;
        }
        Ok(())
    }

    /// The oldest letters of a stream, so many at most.
    async fn letters(&self, key: &str, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        if key.is_empty() {
            return Ok(Vec::new());
        }
        let filter = DeadLetterFilter::oldest(self.subscription.name(), key, limit);
        Ok(self.link.store().dead_letters(filter).await?.into_iter().map(|letter| letter.id).collect())
    }

    /// Whether an event that comes again is so old that the claims of its effects are forgotten.
    ///
    /// That takes a day at least: nobody looks for one that is younger.
    async fn is_long_done(&self, key: &str, message: &Message) -> Result<bool, Failure> {
        let version = message.parse::<u64>(headers::VERSION).map_err(Failure::malformed)?.unwrap_or_default();
        if key.is_empty() || version == 0 || is_young(message) {
            return Ok(false);
        }
        let name = self.subscription.name().to_owned();
        Ok(self.link.store().processed_up_to(name, key.to_owned()).await? >= version)
    }

    /// Keeps an event as a letter, whose id it gives.
    async fn set_aside(&self, key: &str, message: &Message, reason: String, history: Vec<DeadAttempt>) -> Option<Uuid> {
        let (id, event_id) = (Uuid::now_v7(), event_id(message));
        let letter = DeadLetter {
            id,
            source: self.subscription.name().to_owned(),
            key: key.to_owned(),
            message_id: if event_id.is_empty() { id.to_string() } else { event_id.to_owned() },
            subject: message.subject.clone(),
            headers: message.headers.clone().into_iter().collect(),
            payload: message.payload.clone(),
            reason,
            history,
            parked_at: SystemTime::now(),
        };
        self.meter.set_aside.increment(1);
        self.link.keep_letter(letter).await.map(|()| id)
    }
}

/// Whether an event was recorded less than a day ago.
fn is_young(message: &Message) -> bool {
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let recorded = message.get(headers::TIME).and_then(|time| time.parse::<Timestamp>().ok());
    let recorded = recorded.and_then(|time| SystemTime::try_from(time).ok());
    // A clock that is behind says nothing of the age.
    recorded.is_some_and(|time| time.elapsed().map_or(true, |age| age < A_DAY))
}

/// Why an event is set aside that has done nothing wrong.
const BEHIND: &str = "waits behind an earlier event of its stream";

/// What came of an event.
enum Applied {
    /// It has had its effects.
    Done(Effects),
    /// An earlier one of its stream waits for a person.
    Behind,
}

fn worth_trying_again(failure: &Failure) -> bool {
    failure.retryable || matches!(failure.kind, FailureKind::Bug | FailureKind::Conflict)
}

/// Takes in the events of one stream, one after the other, until there are none.
async fn run_lane(following: Arc<Following>, key: String) {
    while let Some(delivery) = following.next(&key) {
        if following.finish(&key, delivery).await.is_none() {
            return;
        }
    }
}
