//! A broker that sometimes isn't there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, TryFutureExt, ready};
use futures::stream::{StreamExt, TryStreamExt};
use potter_broker::{
    Broker, BrokerError, BrokerErrorKind, Calls, Channel, Consumer, Deliveries, Delivery, MemoryBroker, Message,
    Messages,
};

/// What becomes of a message that is published.
pub enum Fate {
    /// It is kept.
    Kept,
    /// It is kept, and whoever published it is told that it isn't.
    KeptInSilence,
    /// It is lost.
    Lost,
}

/// Says what becomes of a message.
type Decides = Box<dyn FnMut(&Message) -> Fate + Send>;

/// A broker in memory whose publishing goes as a test says.
pub struct UnsteadyBroker {
    pub memory: MemoryBroker,
    fate: Mutex<Decides>,
    away: AtomicBool,
    /// How often everything that it delivers has been delivered before.
    delivered_before: AtomicU64,
}

impl UnsteadyBroker {
    pub fn new(fate: impl FnMut(&Message) -> Fate + Send + 'static) -> Self {
        Self {
            memory: MemoryBroker::new(),
            fate: Mutex::new(Box::new(fate)),
            away: AtomicBool::new(false),
            delivered_before: AtomicU64::new(0),
        }
    }

    pub fn answers_pings(&self, answers: bool) {
        self.away.store(!answers, Ordering::SeqCst);
    }

    pub fn has_delivered_before(self, times: u64) -> Self {
        self.delivered_before.store(times, Ordering::SeqCst);
        self
    }

    pub fn set(&self, fate: impl FnMut(&Message) -> Fate + Send + 'static) {
        *self.fate.lock().expect("no panic") = Box::new(fate);
    }
}

fn lost() -> BrokerError {
    BrokerError::new(BrokerErrorKind::Unreachable, "lost on purpose")
}

impl Broker for UnsteadyBroker {
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
        let fate = (self.fate.lock().expect("no panic"))(&message);
        match fate {
            Fate::Kept => self.memory.publish(message),
            Fate::Lost => ready(Err(lost())).boxed(),
            Fate::KeptInSilence => async move { self.memory.publish(message).await.and(Err(lost())) }.boxed(),
        }
    }

    fn declare(&self, channel: Channel) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.memory.declare(channel)
    }

    fn consume(&self, consumer: Consumer) -> BoxFuture<'_, Result<Deliveries, BrokerError>> {
        let before = self.delivered_before.load(Ordering::SeqCst);
        let deliveries = self.memory.consume(consumer).map_ok(move |deliveries| {
            deliveries.map_ok(move |it| Delivery { attempt: it.attempt + before, ..it }).boxed()
        });
        deliveries.boxed()
    }

    fn backlog(&self, consumer: Consumer) -> BoxFuture<'_, Result<u64, BrokerError>> {
        self.memory.backlog(consumer)
    }

    fn listen(&self, pattern: String) -> BoxFuture<'_, Result<Messages, BrokerError>> {
        self.memory.listen(pattern)
    }

    fn serve(&self, pattern: String, group: String) -> BoxFuture<'_, Result<Calls, BrokerError>> {
        self.memory.serve(pattern, group)
    }

    fn request(&self, message: Message, patience: Duration) -> BoxFuture<'_, Result<Message, BrokerError>> {
        self.memory.request(message, patience)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        if self.away.load(Ordering::SeqCst) {
            return ready(Err(lost())).boxed();
        }
        self.memory.ping()
    }

    /// The memory outlives each start.
    fn close(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}
