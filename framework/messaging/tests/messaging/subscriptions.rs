//! Effects of another module's events: each once, in order, and what cannot be taken in waits for a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use potter_broker::{Broker, Channel, Keeps, MemoryBroker, Message, headers};
use potter_core::dispatch::{self, Dispatcher};
use potter_core::failure::Failure;
use potter_core::health::HealthStatus;
use potter_core::memory::MemoryStore;
use potter_core::module::Module;
use potter_core::prost::Message as _;
use potter_core::store::{DeadLetter, DeadLetterFilter, Expiry, Layer, Layered, MayBeOutage, SharedStore, Store};
use potter_core::subscription::{Effect, EventContext, Subscription};
use potter_messaging::Options;
use potter_messaging::replay::Replayer;
use potter_sample::{CreateProductRequest, ProductCreated};

use crate::shop::{SOON, Shop};

/// A supplier's article becomes a product of the shop.
fn articles(judge: impl Fn(&str) -> Result<(), Failure> + Send + Sync + 'static) -> Subscription {
    Subscription::new("articles", "supplier").on("article.listed", move |event: ProductCreated, _| {
        judge(&event.name)?;
        let request = CreateProductRequest { name: event.name, ..CreateProductRequest::default() };
        Ok(vec![Effect::command("shop.create_product", &request)])
    })
}

fn no_bad_ones(name: &str) -> Result<(), Failure> {
    if name.starts_with("bad") { Err(Failure::refused("BAD", format!("`{name}` is bad"))) } else { Ok(()) }
}

/// What the shop can do, and a subscription of it.
fn module(subscription: Subscription) -> Module {
    let mut module = potter_sample::module();
    module.subscription(subscription);
    module
}

/// The shop, and a supplier's channel that doesn't notice repeats.
async fn start(subscription: Subscription) -> Shop {
    over(Arc::new(MemoryStore::new()), subscription).await
}

async fn over(store: SharedStore, subscription: Subscription) -> Shop {
    let broker = MemoryBroker::new();
    let channel = Channel {
        name: "supplier-events".to_owned(),
        subjects: vec!["supplier.events.>".to_owned()],
        keeps: Keeps::For(Duration::from_secs(600)),
        repeats_within: Duration::ZERO,
    };
    broker.declare(channel).await.expect("the channel can be made");
    Shop::over(store, Arc::new(broker), Options::default(), module(subscription)).await
}

fn listed(id: &str, stream: &str, name: &str) -> Message {
    let event = ProductCreated { name: name.to_owned(), ..ProductCreated::default() };
    Message::new("supplier.events.article.listed", event.encode_to_vec())
        .id(id)
        .header(headers::EVENT_ID, id)
        .header(headers::EVENT_TYPE, "article.listed")
        .header(headers::AGGREGATE, "Article")
        .header(headers::AGGREGATE_ID, stream)
        .header(headers::CORRELATION_ID, "c-1")
        .header(headers::ACTOR, "ada")
}

/// Waits until that many events are recorded, and gives their products' names.
async fn products(shop: &Shop, count: usize) -> Vec<String> {
    let mut head = shop.dispatcher.store().head();
    let reached = head.wait_for(|head| *head >= count as u64);
    tokio::time::timeout(SOON, reached).await.expect("the effects come").expect("the store is there");
    let events = shop.dispatcher.store().read_all(0, 100).await.expect("readable");
    events.into_iter().map(|event| ProductCreated::decode(event.payload).expect("an event").name).collect()
}

/// What operators see of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_far_messages_are_is_told() {
    let mut shop = start(articles(no_bad_ones)).await;
    shop.send(listed("1", "a", "Pen")).await;
    products(&shop, 1).await;
    tokio::time::timeout(SOON, shop.messaging.flush()).await.expect("everything is published");
    let desk = shop.dispatcher.messages().expect("there are messages");
    let told = async {
        loop {
            let status = desk.status().await.expect("the store is there");
            let consumer = &status.consumers[0];
            if status.lag() == 0 && status.trouble.is_none() && consumer.backlog == Ok(0) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    let status = tokio::time::timeout(SOON, told).await.expect("all of it is done in the end");
    assert_eq!((status.published, status.head), (1, 1));
    let consumer = &status.consumers[0];
    assert_eq!((consumer.subscription.as_str(), consumer.module.as_str()), ("articles", "supplier"));
}

async fn letters(shop: &Shop, count: usize) -> Vec<DeadLetter> {
    let told = async {
        loop {
            let found = shop.dispatcher.store().dead_letters(DeadLetterFilter::default()).await.expect("readable");
            if found.len() >= count {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, told).await.expect("the letters come")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_has_its_effect_once_however_often_it_comes() {
    let shop = start(articles(no_bad_ones)).await;
    for (id, name) in [("1", "Pen"), ("1", "Pen"), ("2", "Ink"), ("1", "Pen"), ("2", "Ink"), ("3", "Nib")] {
        shop.send(listed(id, "a", name)).await;
    }
    assert_eq!(products(&shop, 3).await, ["Pen", "Ink", "Nib"], "in order, and none twice");
    let event = shop.dispatcher.store().read_all(0, 1).await.expect("readable").remove(0);
    assert_eq!((event.metadata.correlation_id.as_str(), event.metadata.actor.as_deref()), ("c-1", Some("ada")));
    assert_eq!(event.metadata.causation_id, "1", "the event that it is an effect of");
    shop.messaging.stop(SOON).await;
    assert_eq!(shop.dispatcher.store().read_all(0, 100).await.expect("readable").len(), 3);
}

/// However late: when the claims of its effects are forgotten, the store still knows how far its stream is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_again_after_years_has_no_second_effect() {
    let shop = start(articles(no_bad_ones)).await;
    let old = |id: &str, version: &str, name: &str| {
        listed(id, "a", name).header(headers::VERSION, version).header(headers::TIME, "2020-01-01T00:00:00Z")
    };
    shop.send(old("1", "1", "Pen")).await;
    shop.send(old("2", "4", "Ink")).await;
    assert_eq!(products(&shop, 2).await, ["Pen", "Ink"]);
    let later = SystemTime::now() + Duration::from_secs(60);
    let expiry = Expiry { processed_before: later, claims_before: later, ..Expiry::nothing() };
    assert_eq!(shop.dispatcher.store().purge(expiry).await.expect("purged"), 2);

    shop.send(old("1", "1", "Pen")).await;
    shop.send(old("2", "4", "Ink")).await;
    shop.send(old("3", "5", "Nib")).await;
    assert_eq!(products(&shop, 3).await, ["Pen", "Ink", "Nib"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_message_parks_its_own_stream_and_no_other() {
    let shop = start(articles(no_bad_ones)).await;
    for (id, stream, name) in [("1", "a", "bad one"), ("2", "a", "Ink"), ("3", "b", "Pen"), ("4", "a", "Nib")] {
        shop.send(listed(id, stream, name)).await;
    }
    assert_eq!(products(&shop, 1).await, ["Pen"]);
    let letters = letters(&shop, 3).await;
    let told: Vec<_> = letters.iter().map(|it| (it.message_id.as_str(), it.key.as_str())).collect();
    assert_eq!(told, [("1", "Article-a"), ("2", "Article-a"), ("4", "Article-a")]);
    assert!(letters[0].reason.contains("`bad one` is bad"), "{:?}", letters[0]);
    assert_eq!((letters[0].history.len(), letters[1].history.len()), (1, 0));
    assert_eq!(letters[1].reason, "waits behind an earlier event of its stream");

    // As long as it is bad, its stream goes on waiting.
    let stuck = Replayer::new(&shop.dispatcher, None).expect("descriptors");
    let replayed = stuck.replay(DeadLetterFilter::default()).await.expect("the store is there");
    assert_eq!(replayed.len(), 1);
    assert_eq!(replayed[0].failure.as_ref().map(|failure| failure.code.as_ref()), Some("BAD"));
    assert_eq!(self::letters(&shop, 3).await[0].history.len(), 2, "the replay is told as well");

    let store = shop.dispatcher.store().clone();
    let mended = Dispatcher::start(module(articles(|_| Ok(()))), store, dispatch::Options::default()).await;
    let mended = Replayer::new(&mended.expect("it starts"), None).expect("descriptors");
    let replayed = mended.replay(DeadLetterFilter::default()).await.expect("the store is there");
    assert!(replayed.iter().all(|it| it.failure.is_none()), "{replayed:?}");
    assert_eq!(products(&shop, 4).await, ["Pen", "bad one", "Ink", "Nib"]);
    assert!(mended.replay(DeadLetterFilter::default()).await.expect("the store is there").is_empty());
    shop.send(listed("5", "a", "Cap")).await;
    assert_eq!(products(&shop, 5).await[4], "Cap", "its stream goes on");
}

/// Takes all letters away, once, just before another is kept.
struct Replays {
    armed: Arc<AtomicBool>,
    store: Arc<MemoryStore>,
}

impl Layer for Replays {
    async fn once<T: Send, E: MayBeOutage>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        if operation == "keep a dead letter" && self.armed.swap(false, Ordering::SeqCst) {
            for letter in self.store.dead_letters(DeadLetterFilter::default()).await? {
                self.store.remove_dead_letter(letter.id).await?;
            }
        }
        call.await
    }

    async fn again<T: Send, E: MayBeOutage, F: Future<Output = Result<T, E>> + Send>(
        &self,
        _: &'static str,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T, E> {
        call().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_not_kept_behind_a_letter_that_has_just_gone() {
    let memory = Arc::new(MemoryStore::new());
    let armed = Arc::new(AtomicBool::new(false));
    let replays = Replays { armed: armed.clone(), store: memory.clone() };
    let inner: SharedStore = memory;
    let shop = over(Arc::new(Layered::new(inner, replays)), articles(no_bad_ones)).await;
    shop.send(listed("1", "a", "bad one")).await;
    letters(&shop, 1).await;
    armed.store(true, Ordering::SeqCst);
    shop.send(listed("2", "a", "Ink")).await;
    assert_eq!(products(&shop, 1).await, ["Ink"], "nothing is left that it could wait for");
    assert!(shop.dispatcher.store().dead_letters(DeadLetterFilter::default()).await.expect("readable").is_empty());
}

/// While a letter is replayed its stream goes on, and what comes is kept behind the letter until that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_during_a_replay_is_replayed_too() {
    let shop = start(articles(no_bad_ones)).await;
    shop.send(listed("1", "a", "bad one")).await;
    letters(&shop, 1).await;
    let (broker, store) = (shop.broker.clone(), shop.dispatcher.store().clone());
    let meanwhile = move |name: &str| {
        if name == "bad one" {
            futures::executor::block_on(broker.publish(listed("2", "a", "Ink"))).expect("it is kept");
            let parked = || futures::executor::block_on(store.dead_letters(DeadLetterFilter::default()));
            let until = std::time::Instant::now() + SOON;
            while parked().expect("readable").len() < 2 {
                assert!(std::time::Instant::now() < until, "the second is not kept");
                std::thread::yield_now();
            }
        }
        Ok(())
    };
    let store = shop.dispatcher.store().clone();
    let mended = Dispatcher::start(module(articles(meanwhile)), store, dispatch::Options::default()).await;
    let mended = Replayer::new(&mended.expect("it starts"), None).expect("descriptors");
    let replayed = mended.replay(DeadLetterFilter::default()).await.expect("the store is there");
    assert_eq!(replayed.iter().map(|it| it.letter.message_id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert!(shop.dispatcher.store().dead_letters(DeadLetterFilter::default()).await.expect("readable").is_empty());
    assert_eq!(products(&shop, 2).await, ["bad one", "Ink"]);
}

/// Without the clock, which stands still while there is something to do, somebody must have said that there is a letter.
#[tokio::test(start_paused = true)]
async fn a_letter_is_told_at_once_by_who_keeps_it() {
    let shop = start(articles(no_bad_ones)).await;
    // As long as others are counted only now and again.
    tokio::time::sleep(Duration::from_secs(60)).await;
    for count in 1..=2 {
        shop.broker.publish(listed(&count.to_string(), "a", "bad one")).await.expect("it is kept");
        let mut looks = 0;
        while !is_told(&shop, &format!("{count} messages wait for a person")).await {
            looks += 1;
            assert!(looks < 100_000, "the letter is not told");
            tokio::task::yield_now().await;
        }
    }
}

/// It is waited for, and that isn't the broker's fault.
#[tokio::test(start_paused = true)]
async fn a_module_that_has_never_run_makes_nothing_ill() {
    let (store, broker) = (Arc::new(MemoryStore::new()), Arc::new(MemoryBroker::new()));
    let shop = Shop::over(store, broker, Options::default(), module(articles(no_bad_ones))).await;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let parts = shop.dispatcher.health().await;
        assert!(parts.iter().all(|part| part.status == HealthStatus::Up), "{parts:?}");
    }
}

async fn is_told(shop: &Shop, detail: &str) -> bool {
    let parts = shop.dispatcher.health().await;
    parts.iter().any(|part| part.name == "dead letters" && part.detail == detail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_pass_is_tried_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let shop = start(articles(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Failure::refused("NOT_YET", "not yet").retryable()),
        _ => Ok(()),
    }))
    .await;
    shop.send(listed("1", "a", "Pen")).await;
    assert_eq!(products(&shop, 1).await, ["Pen"]);
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    assert!(shop.dispatcher.store().dead_letters(DeadLetterFilter::default()).await.expect("readable").is_empty());
}

/// A bug of the handler is one more failure: the event is tried again, and whatever waits behind it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_a_handler_ends_nothing() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let shop = start(articles(move |_| {
        assert_ne!(counted.fetch_add(1, Ordering::SeqCst), 0, "a bug");
        Ok(())
    }))
    .await;
    shop.send(listed("1", "a", "Pen")).await;
    shop.send(listed("2", "a", "Ink")).await;
    assert_eq!(products(&shop, 2).await, ["Pen", "Ink"]);
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}

/// Whoever publishes, a bridge or a mirror: what cannot be taken in is kept, each by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_without_an_id_or_a_stream_is_kept_too() {
    let shop = start(articles(no_bad_ones)).await;
    let nameless = |event_id: Option<&str>, name: &str| {
        let event = ProductCreated { name: name.to_owned(), ..ProductCreated::default() };
        let message = Message::new("supplier.events.article.listed", event.encode_to_vec());
        let message = message.header(headers::EVENT_TYPE, "article.listed");
        event_id.map_or(message.clone(), |id| message.header(headers::EVENT_ID, id))
    };
    for event_id in [None, None, Some("1"), Some("2"), Some("2")] {
        shop.send(nameless(event_id, "bad one")).await;
    }
    shop.send(nameless(Some("3"), "Pen")).await;
    assert_eq!(products(&shop, 1).await, ["Pen"], "nothing waits behind what is of no stream");
    let letters = letters(&shop, 4).await;
    assert!(letters.iter().all(|letter| letter.key.is_empty()), "{letters:?}");
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    let (missing, bad) = ("INVALID_REQUEST: the header `potter-event-id` is missing", "BAD: `bad one` is bad");
    assert_eq!(reasons.iter().filter(|reason| **reason == missing).count(), 2, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| **reason == bad).count(), 2, "{reasons:?}");
    shop.messaging.stop(SOON).await;
    let kept = shop.dispatcher.store().dead_letters(DeadLetterFilter::default()).await.expect("readable");
    assert_eq!(kept.len(), 4, "{kept:?}");
}

/// An operator who takes the second letter before the first is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_another_is_not_replayed_before_it() {
    let shop = start(articles(no_bad_ones)).await;
    shop.send(listed("1", "a", "bad one")).await;
    shop.send(listed("2", "a", "Ink")).await;
    let letters = letters(&shop, 2).await;
    let replayer = Replayer::new(&shop.dispatcher, None).expect("descriptors");
    let only = DeadLetterFilter { id: Some(letters[1].id), ..DeadLetterFilter::default() };
    let replayed = replayer.replay(only.clone()).await.expect("the store is there");
    let failure = replayed[0].failure.as_ref().expect("it waits on");
    assert_eq!(failure.code, "OUT_OF_ORDER");
    assert!(failure.message.contains(&letters[0].id.to_string()), "{failure}");

    let store = shop.dispatcher.store();
    assert!(store.remove_dead_letter(letters[0].id).await.expect("the store is there"), "discarded");
    let replayed = replayer.replay(only).await.expect("the store is there");
    assert_eq!(replayed[0].failure, None);
    assert_eq!(products(&shop, 1).await, ["Ink"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_read_is_set_aside() {
    let shop = start(articles(no_bad_ones)).await;
    let broken = Message { payload: vec![0xff].into(), ..listed("1", "a", "Pen") };
    shop.send(broken).await;
    let letter = letters(&shop, 1).await.remove(0);
    assert!(letter.reason.contains("not a valid `article.listed`"), "{letter:?}");
    assert_eq!(letter.payload, [0xff].as_slice());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_of_a_newer_publisher_is_read_as_the_message_that_is_known_here() {
    let own = |event: ProductCreated, context: &EventContext| {
        assert_eq!(context.schema_version, 7);
        let request = CreateProductRequest { name: event.name, ..CreateProductRequest::default() };
        Ok(vec![Effect::command("shop.create_product", &request)])
    };
    let articles = Subscription::new("articles", "supplier");
    let shop = start(articles.on_message("article.listed", "shop.v1.ProductCreated", own)).await;
    let newer = Message { payload: r#"{"name": "Pen", "colour": "blue"}"#.into(), ..listed("1", "a", "") };
    let newer = newer.header(headers::MESSAGE, "supplier.v2.ArticleListed").header(headers::SCHEMA_VERSION, "7");
    shop.send(newer.header(headers::CONTENT_TYPE, headers::JSON)).await;
    assert_eq!(products(&shop, 1).await, ["Pen"]);
}

#[tokio::test]
async fn two_subscriptions_need_two_names() {
    let mut module = module(articles(no_bad_ones));
    module.subscription(articles(no_bad_ones));
    let started = Dispatcher::start(module, Arc::new(MemoryStore::new()), dispatch::Options::default()).await;
    let error = started.err().expect("refused").to_string();
    assert_eq!(error, "two subscriptions are called `articles`");
}
