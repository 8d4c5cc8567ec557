//! A broker behind a guard: no call hangs, one that may be repeated is, and a broker that is ill is left alone for a
//! while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use potter_broker::{
    Broker, BrokerError, BrokerErrorKind, Calls, Channel, Consumer, Deliveries, Message, Messages, SharedBroker,
};
use potter_core::resilience::Guard;
use potter_core::store::{Layer, MayBeOutage, StoreError};

/// A broker behind a [`Guard`].
///
/// What is published under an id may be published again, because the broker drops repeats or whoever takes it in does.
/// Pings go past the guard: who asks for readiness wants to know how it is now. So do questions, whose caller has a
/// patience of its own.
pub struct GuardedBroker {
    broker: SharedBroker,
    guard: Guard,
}

impl GuardedBroker {
    /// `broker` behind `guard`.
    #[must_use]
    pub fn new(broker: SharedBroker, guard: Guard) -> Self {
        Self { broker, guard }
    }
}

/// A call that failed, in the guard's words.
struct Failed(BrokerError);

impl From<StoreError> for Failed {
    /// The guard itself says so: there was no answer in time, or the circuit is open. In doubt the message has arrived.
    fn from(error: StoreError) -> Self {
        Self(BrokerError::new(BrokerErrorKind::TimedOut, error.to_string()))
    }
}

impl MayBeOutage for Failed {
    fn is_outage(&self) -> bool {
        matches!(self.0.kind, BrokerErrorKind::Unreachable | BrokerErrorKind::TimedOut)
    }
}

impl GuardedBroker {
    fn again<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: impl Fn() -> BoxFuture<'a, Result<T, BrokerError>> + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<T, BrokerError>> {
        async move {
            let called = self.guard.again(operation, || call().map(|it| it.map_err(Failed))).await;
            called.map_err(|failed: Failed| failed.0)
        }
        .boxed()
    }

    /// One of several tries may have arrived, whatever became of the last.
    async fn publish_again(&self, message: Message) -> Result<(), BrokerError> {
        let in_doubt = AtomicBool::new(false);
        let publish = || async {
            // So it is too if the try is broken off.
            let before = in_doubt.swap(true, Ordering::Relaxed);
            let published = self.broker.publish(message.clone()).await;
            let certain = published.as_ref().err().is_some_and(BrokerError::is_certain);
            in_doubt.store(before || !certain, Ordering::Relaxed);
            published.map_err(Failed)
        };
        let published = self.guard.again("publish", publish).await;
        published.map_err(|Failed(error)| match in_doubt.load(Ordering::Relaxed) {
            true => BrokerError { kind: BrokerErrorKind::TimedOut, ..error },
            false => error,
        })
    }

    fn once<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: BoxFuture<'a, Result<T, BrokerError>>,
    ) -> BoxFuture<'a, Result<T, BrokerError>> {
        async move {
            let called = self.guard.once(operation, call.map(|it| it.map_err(Failed))).await;
            called.map_err(|failed: Failed| failed.0)
        }
        .boxed()
    }
}

impl Broker for GuardedBroker {
    fn declare(&self, channel: Channel) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.again("declare a channel", move || self.broker.declare(channel.clone()))
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
        match message.id.is_empty() {
            true => self.once("publish", self.broker.publish(message)),
            false => self.publish_again(message).boxed(),
        }
    }

    fn consume(&self, consumer: Consumer) -> BoxFuture<'_, Result<Deliveries, BrokerError>> {
        self.once("consume", self.broker.consume(consumer))
    }

    fn backlog(&self, consumer: Consumer) -> BoxFuture<'_, Result<u64, BrokerError>> {
        self.once("look at a consumer", self.broker.backlog(consumer))
    }

    fn listen(&self, pattern: String) -> BoxFuture<'_, Result<Messages, BrokerError>> {
        self.once("listen", self.broker.listen(pattern))
    }

    fn serve(&self, pattern: String, group: String) -> BoxFuture<'_, Result<Calls, BrokerError>> {
        self.once("serve", self.broker.serve(pattern, group))
    }

    fn request(&self, message: Message, patience: Duration) -> BoxFuture<'_, Result<Message, BrokerError>> {
        self.broker.request(message, patience)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        async {
            let answer = self.broker.ping().await;
            self.guard.pinged(answer.is_ok());
            answer
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.broker.close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use potter_broker::MemoryBroker;
    use potter_broker::contract::Fixture;
    use potter_core::resilience::Limits;

    use super::*;

    async fn open() -> Fixture {
        let guard = Guard::new("broker", Limits::default());
        Fixture::new(Arc::new(GuardedBroker::new(Arc::new(MemoryBroker::new()), guard)))
    }

    potter_broker::broker_contract!(open);

    #[tokio::test]
    async fn a_broker_that_is_ill_is_left_alone() {
        let closed = Arc::new(MemoryBroker::new());
        let limits = Limits { outages: 1, open_for: Duration::from_secs(600), ..Limits::default() };
        let broker = GuardedBroker::new(Arc::new(Silent::new(closed)), Guard::new("broker", limits));
        let message = || Message::new("a", "").id("1");
        let told = broker.publish(message()).await.expect_err("it doesn't answer").to_string();
        assert_eq!(told, "no answer");
        let told = broker.publish(message()).await.expect_err("it isn't asked");
        assert!(told.to_string().contains("isn't tried at the moment"), "{told}");
    }

    #[tokio::test]
    async fn a_message_that_may_have_arrived_at_the_first_try_is_in_doubt() {
        let silent = Silent::new(Arc::new(MemoryBroker::new()));
        silent.tries(vec![Some(BrokerError::new(BrokerErrorKind::TimedOut, "no answer"))]);
        let broker = GuardedBroker::new(Arc::new(silent), Guard::new("broker", Limits::default()));
        for certain in [false, true] {
            let told = broker.publish(Message::new("a", "").id("1")).await.expect_err("it isn't there");
            assert_eq!(told.is_certain(), certain, "{told:?}");
        }
    }

    /// What was sent and has no answer yet may have arrived, whatever the try before it was told.
    #[tokio::test(start_paused = true)]
    async fn a_message_whose_last_try_is_broken_off_is_in_doubt() {
        let silent = Silent::new(Arc::new(MemoryBroker::new()));
        silent.tries(vec![Some(BrokerError::new(BrokerErrorKind::Unreachable, "not there")), None]);
        let broker = GuardedBroker::new(Arc::new(silent), Guard::new("broker", Limits::default()));
        let told = broker.publish(Message::new("a", "").id("1")).await.expect_err("it doesn't answer");
        assert!(!told.is_certain(), "{told:?}");
    }

    #[tokio::test]
    async fn what_the_broker_refuses_is_no_outage() {
        let limits = Limits { outages: 1, ..Limits::default() };
        let broker = GuardedBroker::new(Arc::new(MemoryBroker::new()), Guard::new("broker", limits));
        for _ in 0..3 {
            let refused = broker.publish(Message::new("a", "").id("1")).await.expect_err("nobody keeps it");
            assert_eq!(refused.kind, BrokerErrorKind::NoChannel);
        }
    }

    /// Keeps everything, and says that it isn't there; what the first tries are told may be something else.
    struct Silent {
        broker: SharedBroker,
        /// `None`: nothing, for ever.
        told: Mutex<VecDeque<Option<BrokerError>>>,
    }

    impl Silent {
        fn new(broker: SharedBroker) -> Self {
            Self { broker, told: Mutex::default() }
        }

        fn tries(&self, told: Vec<Option<BrokerError>>) {
            *self.told.lock().expect("no panic") = told.into();
        }
    }

    impl Broker for Silent {
        fn publish(&self, _: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
            let away = || Some(BrokerError::new(BrokerErrorKind::Unreachable, "no answer"));
            match self.told.lock().expect("no panic").pop_front().unwrap_or_else(away) {
                Some(told) => futures::future::ready(Err(told)).boxed(),
                None => futures::future::pending().boxed(),
            }
        }

        fn declare(&self, channel: Channel) -> BoxFuture<'_, Result<(), BrokerError>> {
            self.broker.declare(channel)
        }

        fn consume(&self, consumer: Consumer) -> BoxFuture<'_, Result<Deliveries, BrokerError>> {
            self.broker.consume(consumer)
        }

        fn backlog(&self, consumer: Consumer) -> BoxFuture<'_, Result<u64, BrokerError>> {
            self.broker.backlog(consumer)
        }

        fn listen(&self, pattern: String) -> BoxFuture<'_, Result<Messages, BrokerError>> {
            self.broker.listen(pattern)
        }

        fn serve(&self, pattern: String, group: String) -> BoxFuture<'_, Result<Calls, BrokerError>> {
            self.broker.serve(pattern, group)
        }

        fn request(&self, message: Message, patience: Duration) -> BoxFuture<'_, Result<Message, BrokerError>> {
            self.broker.request(message, patience)
        }

        fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
            self.broker.ping()
        }

        fn close(&self) -> BoxFuture<'_, ()> {
            self.broker.close()
        }
    }
}
