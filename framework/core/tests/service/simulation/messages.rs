//! The broker of a simulation: messages and acknowledgements get lost on the way to it and back. And what is held against
//! what it keeps in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use potter_broker::{
    Acknowledge, Broker, BrokerError, BrokerErrorKind, Calls, Channel, Consumer, Deliveries, Delivery, Keeps,
    MemoryBroker, Message, Messages, headers,
};
use potter_core::store::Store;
use potter_core::store::contract::ledger::{Known, Ledger};
use potter_core::subscription::{Effect, Subscription};
use prost::Message as _;
use tokio::time::sleep;

use super::{Cluster, Life, Network, SLOTS};
use crate::product::{CreateProduct, create};

/// Articles that a supplier lists; each becomes a product.
const ARTICLES: usize = 8;

/// The broker as a process sees it.
pub(super) struct Line {
    pub memory: MemoryBroker,
    pub network: Arc<Network>,
}

fn lost(operation: &'static str) -> BrokerError {
    BrokerError::new(BrokerErrorKind::Unreachable, format!("{operation}: lost on purpose"))
}

impl Line {
    fn send<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: BoxFuture<'a, Result<T, BrokerError>>,
    ) -> BoxFuture<'a, Result<T, BrokerError>> {
        self.network.call(operation, call, lost).boxed()
    }
}

impl Broker for Line {
    fn declare(&self, channel: Channel) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.send("declare", self.memory.declare(channel))
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.send("publish", self.memory.publish(message))
    }

    /// Nothing comes to a process that is dead.
    fn consume(&self, consumer: Consumer) -> BoxFuture<'_, Result<Deliveries, BrokerError>> {
        let consume = async move {
            let deliveries = self.memory.consume(consumer).await?;
            let network = self.network.clone();
            let mut life = network.life.clone();
            let death = async move { drop(life.wait_for(|life| *life == Life::Dead).await) };
            let unsteady = move |delivery: Result<Delivery, BrokerError>| {
                let answer = |answer| Box::new(Answer { answer, network: network.clone() });
                delivery.map(|it| Delivery { answer: answer(it.answer), ..it })
            };
            let until_death = deliveries.map(unsteady).take_until(death.boxed());
            Ok(until_death.chain(futures::stream::pending()).boxed())
        };
        self.send("consume", consume.boxed())
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
        self.send("ping", self.memory.ping())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// An acknowledgement that may get lost.
struct Answer {
    answer: Box<dyn Acknowledge>,
    network: Arc<Network>,
}

impl Acknowledge for Answer {
    fn done(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.network.call("acknowledge", self.answer.done(), lost).boxed()
    }

    fn again(&self, after: Duration) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.network.call("ask for it again", self.answer.again(after), lost).boxed()
    }

    fn working(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.network.call("ask for patience", self.answer.working(), lost).boxed()
    }
}

/// A supplier's article becomes a product of that id.
pub(super) fn articles() -> Subscription {
    Subscription::new("articles", "supplier")
        .on("article.listed", |article: CreateProduct, _| Ok(vec![Effect::command("shop.create_product", &article)]))
}

/// Lists articles, each once or several times over, in a channel that doesn't notice repeats.
pub(super) async fn supply(broker: &MemoryBroker, mut chance: Rng) -> Ledger {
    let channel = Channel {
        name: "supplier-events".to_owned(),
        subjects: vec!["supplier.events.>".to_owned()],
        keeps: Keeps::For(Duration::from_secs(24 * 60 * 60)),
        repeats_within: Duration::ZERO,
    };
    broker.declare(channel).await.expect("the channel can be made");
    let mut ledger = Ledger::new();
    for number in 0..ARTICLES {
        let id = format!("article-{number}");
        for _ in 0..chance.u32(1..4) {
            sleep(Duration::from_millis(SLOTS * chance.u64(..20))).await;
            broker.publish(listed(&id)).await.expect("it is kept");
        }
        ledger.push((id, Known::Executed));
    }
    ledger
}

fn listed(id: &str) -> Message {
    Message::new("supplier.events.article.listed", create(id, id, 1).encode_to_vec())
        .id(id)
        .header(headers::EVENT_ID, id)
        .header(headers::EVENT_TYPE, "article.listed")
        .header(headers::AGGREGATE, "Article")
        .header(headers::AGGREGATE_ID, id)
        .header(headers::CORRELATION_ID, id)
}

/// Waits until everything is published and every article has had its effect.
pub(super) async fn come_to_rest(cluster: &Cluster) {
    let processes = cluster.all().clone();
    for _ in 0..10_000 {
        let log = cluster.memory.read_all(0, usize::MAX).await.expect("readable");
        let effects = log.iter().filter(|event| event.aggregate_id.starts_with("article-")).count();
        let published = processes.iter().map(|process| process.messaging.published()).max();
        let told = cluster.memory.unannounced_outcomes(1).await.expect("readable").is_empty();
        if effects >= ARTICLES && published >= Some(log.len() as u64) && told {
            return;
        }
        sleep(Duration::from_millis(SLOTS)).await;
    }
    panic!("the messages don't come to rest");
}

/// The broker has every event, and those of a stream in order; every outcome is announced; nothing was set aside.
pub(super) async fn check(cluster: &Cluster) {
    let log = cluster.memory.read_all(0, usize::MAX).await.expect("readable");
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in log {
        expected.entry(event.aggregate_id).or_default().push(event.version);
    }
    let (mut seen, mut kept) = (BTreeSet::new(), BTreeMap::<String, Vec<u64>>::new());
    for message in all(&cluster.broker, "shop-events").await {
        if seen.insert(message.id.clone()) {
            let version = message.parse(headers::VERSION).expect("a number").expect("every event says so");
            kept.entry(message.get(headers::AGGREGATE_ID).expect("so too").to_owned()).or_default().push(version);
        }
    }
    assert_eq!(kept, expected, "every event is published, each stream in order");
    let letters = cluster.memory.dead_letters(Default::default()).await.expect("readable");
    assert_eq!(letters, [], "nothing was set aside");
}

/// What a channel keeps.
async fn all(broker: &MemoryBroker, channel: &str) -> Vec<Message> {
    let consumer = Consumer { max_in_flight: usize::MAX, ..Consumer::new(channel, "check") };
    let mut deliveries = broker.consume(consumer).await.expect("there is such a channel");
    std::iter::from_fn(|| deliveries.next().now_or_never().flatten()).map(|it| it.expect("kept").message).collect()
}
