//! The broker that lives in the process: for services without a broker beside them, and for tests.
//!
//! It keeps every promise of the port but durability: what it holds goes with the process. A channel that keeps
//! messages for a time keeps no more than the newest 10,000, so that nobody's memory fills.

mod queue;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, ready};
use futures::stream::{self, StreamExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use self::queue::{Next, Queue};
use crate::message::Message;
use crate::port::{
    Acknowledge, Broker, BrokerError, BrokerErrorKind, Call, Calls, Channel, Consumer, Deliveries, Delivery, Messages,
    Respond,
};
use crate::subject::matches;

/// A broker in memory; clones are the same broker.
#[derive(Clone, Default)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Bytes of a message's payload at most, if that is bounded.
    max_payload: Option<usize>,
    state: Mutex<State>,
    /// Something may be ready for a consumer.
    changed: Notify,
}

#[derive(Default)]
struct State {
    closed: bool,
    queues: Vec<Queue>,
    listeners: Vec<(String, mpsc::UnboundedSender<Message>)>,
    servers: Vec<Server>,
    /// Which server is asked next.
    turn: usize,
}

struct Server {
    pattern: String,
    calls: mpsc::UnboundedSender<Call>,
}

impl MemoryBroker {
    /// An empty broker.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty broker that refuses messages with larger payloads, as others do.
    #[must_use]
    pub fn with_max_payload(bytes: usize) -> Self {
        Self { shared: Arc::new(Shared { max_payload: Some(bytes), ..Shared::default() }) }
    }

    /// Acts when it is waited for, not before: whoever drops the future has done nothing.
    fn with<'a, T: Send + 'a>(
        &'a self,
        act: impl FnOnce(&mut State) -> Result<T, BrokerError> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, BrokerError>> {
        async move { self.shared.with(act) }.boxed()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> Result<T, BrokerError>) -> Result<T, BrokerError> {
        let mut state = self.lock();
        let result = if state.closed { Err(BrokerError::closed()) } else { act(&mut state) };
        drop(state);
        self.changed.notify_waiters();
        result
    }

    /// The next message for a consumer; waits until there is one. `None` when the broker is closed.
    async fn next(self: &Arc<Self>, consumer: &Consumer) -> Option<Delivery> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens from here on, so that a message between the look and the wait isn't missed.
            changed.as_mut().enable();
            let next = {
                let mut state = self.lock();
                if state.closed {
                    return None;
                }
                state.queue(&consumer.channel).ok()?.next(consumer, Instant::now())
            };
            match next {
                Next::Ready { sequence, attempt, message } => {
                    let answer = Ticket { shared: self.clone(), consumer: consumer.clone(), sequence, attempt };
                    return Some(Delivery { message, attempt, answer: Box::new(answer) });
                }
                Next::At(due) => {
                    tokio::select! {
                        () = changed => {}
                        () = sleep_until(due) => {}
                    }
                }
                Next::WhenChanged => changed.await,
            }
        }
    }
}

impl State {
    fn queue(&mut self, name: &str) -> Result<&mut Queue, BrokerError> {
        let found = self.queues.iter_mut().find(|queue| queue.channel.name == name);
        found.ok_or_else(|| BrokerError::new(BrokerErrorKind::NoChannel, format!("there is no channel `{name}`")))
    }

    fn declare(&mut self, channel: Channel) {
        match self.queue(&channel.name) {
            Ok(queue) => queue.channel = channel,
            Err(_) => self.queues.push(Queue::new(channel)),
        }
    }

    fn publish(&mut self, message: &Message) -> Result<(), BrokerError> {
        let keeps = |queue: &&mut Queue| queue.channel.subjects.iter().any(|it| matches(it, &message.subject));
        let Some(queue) = self.queues.iter_mut().find(keeps) else {
            let reason = format!("no channel keeps the subject `{}`", message.subject);
            return Err(BrokerError::new(BrokerErrorKind::NoChannel, reason));
        };
        if queue.keep(message, Instant::now()) {
            // Who has stopped listening is forgotten.
            self.listeners
                .retain(|(pattern, to)| !matches(pattern, &message.subject) || to.send(message.clone()).is_ok());
        }
        Ok(())
    }

    /// Passes a question to one of those who serve its subject, in turn.
    fn ask(&mut self, mut call: Call) -> Result<(), BrokerError> {
        let subject = call.message.subject.clone();
        self.servers.retain(|server| !server.calls.is_closed());
        let serving: Vec<_> = self.servers.iter().filter(|server| matches(&server.pattern, &subject)).collect();
        self.turn += 1;
        for server in serving.iter().cycle().skip(self.turn).take(serving.len()) {
            match server.calls.send(call) {
                Ok(()) => return Ok(()),
                Err(refused) => call = refused.0,
            }
        }
        Err(BrokerError::new(BrokerErrorKind::NobodyServes, format!("nobody serves `{subject}`")))
    }
}

impl Broker for MemoryBroker {
    fn declare(&self, channel: Channel) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.with(move |state| {
            state.declare(channel);
            Ok(())
        })
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
        let most = self.shared.max_payload;
        self.with(move |state| {
            let size = message.payload.len();
            if let Some(most) = most.filter(|most| size > *most) {
                let reason = format!("a payload of {size} bytes on `{}`; {most} are the most", message.subject);
                return Err(BrokerError::new(BrokerErrorKind::TooLarge, reason));
            }
            state.publish(&message)
        })
    }

    fn consume(&self, consumer: Consumer) -> BoxFuture<'_, Result<Deliveries, BrokerError>> {
        let shared = self.shared.clone();
        self.with(move |state| {
            state.queue(&consumer.channel)?.join(&consumer);
            let deliveries = stream::unfold((shared, consumer), |(shared, consumer)| async move {
                let delivery = shared.next(&consumer).await?;
                Some((Ok(delivery), (shared, consumer)))
            });
            Ok(deliveries.boxed())
        })
    }

    fn backlog(&self, consumer: Consumer) -> BoxFuture<'_, Result<u64, BrokerError>> {
        self.with(move |state| {
            let backlog = state.queue(&consumer.channel)?.backlog(&consumer);
            let reason = || format!("there is no consumer `{}` of `{}`", consumer.name, consumer.channel);
            backlog.ok_or_else(|| BrokerError::new(BrokerErrorKind::NoChannel, reason()))
        })
    }

    fn listen(&self, pattern: String) -> BoxFuture<'_, Result<Messages, BrokerError>> {
        self.with(move |state| {
            let (sender, receiver) = mpsc::unbounded_channel();
            state.listeners.push((pattern, sender));
            Ok(received(receiver))
        })
    }

    /// All who serve are one group here: nobody else would be in the process.
    fn serve(&self, pattern: String, _group: String) -> BoxFuture<'_, Result<Calls, BrokerError>> {
        self.with(move |state| {
            let (calls, receiver) = mpsc::unbounded_channel();
            state.servers.push(Server { pattern, calls });
            Ok(received(receiver))
        })
    }

    fn request(&self, message: Message, patience: Duration) -> BoxFuture<'_, Result<Message, BrokerError>> {
        async move {
            let subject = message.subject.clone();
            let (reply, answered) = oneshot::channel();
            self.shared.with(|state| state.ask(Call { message, reply: Box::new(Answer(reply)) }))?;
            let late = |why| BrokerError::new(BrokerErrorKind::TimedOut, format!("`{subject}` {why}"));
            match tokio::time::timeout(patience, answered).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(late("was not answered")),
                Err(_) => Err(late("was not answered in time")),
            }
        }
        .boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.with(|_| Ok(()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let mut state = self.shared.lock();
        state.closed = true;
        (state.listeners, state.servers) = (Vec::new(), Vec::new());
        drop(state);
        self.shared.changed.notify_waiters();
        ready(()).boxed()
    }
}

fn received<T: Send + 'static>(receiver: mpsc::UnboundedReceiver<T>) -> stream::BoxStream<'static, T> {
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }).boxed()
}

/// Where a delivery is answered.
struct Ticket {
    shared: Arc<Shared>,
    consumer: Consumer,
    sequence: u64,
    attempt: u64,
}

impl Ticket {
    /// Says when the message comes again; `None`: never. Does nothing if it has come again meanwhile.
    fn answer(&self, again: Option<Duration>) -> BoxFuture<'_, Result<(), BrokerError>> {
        let answer = move |state: &mut State| {
            let due = again.map(|after| Instant::now() + after);
            state.queue(&self.consumer.channel)?.answer(&self.consumer, self.sequence, self.attempt, due);
            Ok(())
        };
        async move { self.shared.with(answer) }.boxed()
    }
}

impl Acknowledge for Ticket {
    fn done(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.answer(None)
    }

    fn again(&self, after: Duration) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.answer(Some(after))
    }

    fn working(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.answer(Some(self.consumer.patience))
    }
}

/// Where a question is answered.
struct Answer(oneshot::Sender<Message>);

impl Respond for Answer {
    fn respond(self: Box<Self>, answer: Message) -> BoxFuture<'static, Result<(), BrokerError>> {
        // Who asked may have gone.
        let _ = self.0.send(answer);
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Fixture;

    async fn open() -> Fixture {
        Fixture::new(Arc::new(MemoryBroker::new()))
    }

    crate::broker_contract!(open);
}
