//! Commands that come in, and what is told of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use potter_broker::{MemoryBroker, Message, Messages, headers};
use potter_core::command::Command;
use potter_core::dispatch::Request;
use potter_core::domain::Context;
use potter_core::memory::MemoryStore;
use potter_core::prost::Message as _;
use potter_core::store::{DeadLetter, DeadLetterFilter};
use potter_core::uuid::Uuid;
use potter_messaging::{Options, Payload};
use potter_nats::NatsBroker;
use potter_proto::runtime::v1::CommandStatus;
use potter_proto::runtime::v1::command_status::Status;
use potter_sample::{CreateProductRequest, OutOfStock, Product, UpdateProductRequest};

use crate::shop::{SOON, Shop, next, outcome};
use crate::unsteady::{Fate, UnsteadyBroker};

fn create(id: Uuid, correlation_id: &str) -> Message {
    let request = CreateProductRequest { name: "Pen".to_owned(), ..CreateProductRequest::default() };
    Message::new("shop.commands.shop.create_product", request.encode_to_vec())
        .id(id.to_string())
        .header(headers::CORRELATION_ID, correlation_id)
        .header(headers::ACTOR, "ada")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_executed_and_its_outcome_told() {
    let shop = Shop::start().await;
    let mut outcomes = shop.listen("shop.outcomes.c%2E1").await;
    let mut events = shop.listen("shop.events.>").await;
    let id = Uuid::now_v7();
    shop.send(create(id, "c.1")).await;
    let status = outcome(&mut outcomes).await;
    assert_eq!((status.command_id, status.status), (id.to_string(), Status::Succeeded.into()));
    assert_eq!((status.command.as_str(), status.version), ("shop.create_product", 1));
    assert_eq!(status.events[0].r#type, "product.created");
    let event = next(&mut events).await;
    assert_eq!(event.get(headers::CORRELATION_ID), Some("c.1"));
    assert_eq!(event.get(headers::CAUSATION_ID), Some(id.to_string().as_str()));
    assert_eq!(event.get(headers::ACTOR), Some("ada"));
}

/// What happened is known to the service alone, also to whoever has sent the command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_tells_of_no_internal_event() {
    let mut module = potter_sample::module();
    module.internal_events(&["product.created"]);
    let (store, broker) = (Arc::new(MemoryStore::new()), Arc::new(MemoryBroker::new()));
    let shop = Shop::over(store, broker, Options::default(), module).await;
    let mut outcomes = shop.listen("shop.outcomes.*").await;
    shop.send(create(Uuid::now_v7(), "c")).await;
    let status = outcome(&mut outcomes).await;
    assert_eq!((status.status, status.version, status.events), (Status::Succeeded.into(), 1, Vec::new()));
}

/// Also through the store, where the command waits for a worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_command_say_what_has_caused_it() {
    let shop = Shop::start().await;
    let mut events = shop.listen("shop.events.>").await;
    let id = Uuid::now_v7();
    shop.send(create(id, "c").header(headers::CAUSATION_ID, "event-7")).await;
    assert_eq!(next(&mut events).await.get(headers::CAUSATION_ID), Some("event-7"));
    let status = shop.dispatcher.store().command_status(id).await.expect("readable").expect("known");
    assert_eq!(status.command.causation_id.as_deref(), Some("event-7"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_in_json_is_understood() {
    let shop = Shop::start().await;
    let mut outcomes = shop.listen("shop.outcomes.*").await;
    let json = Message::new("shop.commands.shop.create_product", r#"{"name": "Pen", "price_cents": "3"}"#)
        .id(Uuid::now_v7().to_string())
        .header(headers::CONTENT_TYPE, "application/json; charset=utf-8");
    shop.send(json).await;
    assert_eq!(outcome(&mut outcomes).await.status, i32::from(Status::Succeeded));
}

/// Also when the broker has forgotten that it has had the message: its window is passed by without an id of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_is_no_second_command_and_is_told_the_outcome_again() {
    let shop = Shop::start().await;
    let mut outcomes = shop.listen("shop.outcomes.*").await;
    let id = Uuid::now_v7();
    shop.send(create(id, "c")).await;
    let first = outcome(&mut outcomes).await;
    shop.dispatcher.accept("shop.create_product", id, Request::default()).await.expect("a repeat");
    shop.broker.declare(short_memory()).await.expect("the channel can be changed");
    shop.send(create(id, "c")).await;
    assert_eq!(outcome(&mut outcomes).await, first);
    assert_eq!(shop.dispatcher.store().read_all(0, 10).await.expect("readable").len(), 1);
}

fn short_memory() -> potter_broker::Channel {
    potter_broker::Channel {
        name: "shop-commands".to_owned(),
        subjects: vec!["shop.commands.>".to_owned()],
        keeps: potter_broker::Keeps::UntilAcknowledged,
        repeats_within: std::time::Duration::ZERO,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_fails_is_told_as_well() {
    let shop = Shop::start().await;
    let mut outcomes = shop.listen("shop.outcomes.*").await;
    let request = UpdateProductRequest { product_id: "none".to_owned(), ..UpdateProductRequest::default() };
    let message = Message::new("shop.commands.shop.update_product", request.encode_to_vec());
    shop.send(message.id(Uuid::now_v7().to_string())).await;
    let status = outcome(&mut outcomes).await;
    assert_eq!(status.status, i32::from(Status::Failed));
    assert_eq!(status.error.expect("a reason").code, "NOT_FOUND");
    assert_eq!(status.aggregate_id, "none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sender_of_what_can_never_be_a_command_is_told_and_nobody_else() {
    let shop = Shop::start().await;
    let mut outcomes = shop.listen("shop.outcomes.*").await;
    let id = || Uuid::now_v7().to_string();
    let bad = [
        (Message::new("shop.commands.shop.fly", "").id(id()), "UNIMPLEMENTED", "shop.commands.shop.fly"),
        (
            Message::new("shop.commands.shop.create_product", "\u{ff}").id(id()),
            "INVALID_REQUEST",
            "not a valid message",
        ),
        (Message::new("shop.commands.shop.create_product", "").id("seven"), "INVALID_REQUEST", "not `seven`"),
        (
            create(Uuid::now_v7(), "c").header(headers::EXPECTED_VERSION, "x"),
            "INVALID_REQUEST",
            "potter-expected-version",
        ),
        (create(Uuid::now_v7(), "c").header(headers::CONTENT_TYPE, "text/csv"), "INVALID_REQUEST", "text/csv"),
    ];
    for (message, code, text) in bad {
        shop.send(message.clone()).await;
        let error = outcome(&mut outcomes).await.error.expect("a reason");
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.contains(text), "{error:?}");
    }
    assert!(shop.dispatcher.store().pending_commands().await.expect("readable").is_empty());
    assert_eq!(letters(&shop).await, [], "who sent it knows");
}

async fn letters(shop: &Shop) -> Vec<DeadLetter> {
    shop.dispatcher.store().dead_letters(DeadLetterFilter::default()).await.expect("readable")
}

async fn letter(shop: &Shop) -> DeadLetter {
    let kept = async {
        loop {
            if let Some(letter) = letters(shop).await.pop() {
                return letter;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, kept).await.expect("it is kept")
}

/// The broker knows neither by an id, and drops none as a repeat of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_is_told_also_to_who_asks_again() {
    let shop = Shop::start().await;
    let mut outcomes = shop.listen("shop.outcomes.*").await;
    let fly = |id: &str| Message::new("shop.commands.shop.fly", "").id(id);
    let again = fly("seven-2").header(headers::COMMAND_ID, "seven");
    for (message, command_id) in [(fly("seven"), "seven"), (fly("eight"), "eight"), (again, "seven")] {
        shop.send(message).await;
        let told = next(&mut outcomes).await;
        assert_eq!((told.subject, told.id), (format!("shop.outcomes.{command_id}"), String::new()));
        assert_eq!(told.headers.get(headers::COMMAND_ID).map(String::as_str), Some(command_id));
        assert_eq!(CommandStatus::decode(told.payload).expect("a status").command_id, command_id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_repeated_outcomes_are_told_in_json_too() {
    let options = Options { payload: Payload::Json, ..Options::default() };
    let shop = Shop::with(Arc::new(MemoryBroker::new()), options).await;
    let mut in_json = shop.listen("shop.outcomes.*.json").await;
    let id = Uuid::now_v7();
    let again = create(id, "c").id("2").header(headers::COMMAND_ID, id.to_string());
    for (message, status) in [
        (Message::new("shop.commands.shop.fly", "").id("1"), "FAILED"),
        (create(id, "c"), "SUCCEEDED"),
        (again, "SUCCEEDED"),
    ] {
        shop.send(message).await;
        let told = next(&mut in_json).await;
        assert_eq!(told.get(headers::CONTENT_TYPE), Some(headers::JSON));
        assert!(String::from_utf8_lossy(&told.payload).contains(status), "{told:?}");
    }
}

/// Without an id and a correlation id nobody can be told, so that nobody has been told that it failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_of_which_nobody_can_be_told_is_kept_and_can_be_replayed() {
    let shop = Shop::start().await;
    let mut outcomes = shop.listen("shop.outcomes.>").await;
    let mut nameless = create(Uuid::now_v7(), "").id("");
    nameless.headers.clear();
    shop.send(nameless.clone()).await;
    let letter = letter(&shop).await;
    assert_eq!(
        (letter.source.as_str(), letter.subject, letter.payload),
        ("commands", nameless.subject, nameless.payload)
    );
    assert!(letter.reason.contains("must be a UUID"), "{}", letter.reason);

    let desk = shop.dispatcher.messages().expect("there are messages");
    let replayed = desk.replay(DeadLetterFilter::default()).await.expect("the store is there");
    assert!(replayed[0].failure.is_none(), "{replayed:?}");
    assert_eq!(outcome(&mut outcomes).await.status, i32::from(Status::Succeeded), "told for the first time");
    assert_eq!(letters(&shop).await, []);
}

/// What is kept has no outcome yet: nobody believes that it has failed, and then learns of its effects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_a_bug_keeps_out_is_told_nothing_until_it_is_replayed() {
    let buggy = Arc::new(AtomicBool::new(true));
    let mends = buggy.clone();
    let mut module = potter_sample::module();
    module.command(
        Command::declare("shop.fail", "shop.v1.Catalogue/Fail", |_: &Product, _: CreateProductRequest, _: &Context| {
            Err(OutOfStock::default())
        })
        .creates()
        .reply_when_accepted(move |_| assert!(!buggy.load(Ordering::SeqCst), "a bug")),
    );
    let broker = UnsteadyBroker::new(|_| Fate::Kept).has_delivered_before(10);
    let shop = Shop::over(Arc::new(MemoryStore::new()), Arc::new(broker), Options::default(), module).await;
    let mut outcomes = shop.listen("shop.outcomes.>").await;
    let id = Uuid::now_v7();
    let message = Message::new("shop.commands.shop.fail", "").id(id.to_string());
    // Asked again it is the same command.
    shop.send(message.clone()).await;
    shop.send(message.id("again").header(headers::COMMAND_ID, id.to_string())).await;
    shop.send(Message::new("shop.commands.shop.fly", "").id("last")).await;
    assert_eq!(outcome(&mut outcomes).await.command_id, "last", "of the others nothing is told");
    let letter = letter(&shop).await;
    assert_eq!((letter.message_id, letter.reason.as_str()), (id.to_string(), "INTERNAL: internal error"));
    assert_eq!(letters(&shop).await.len(), 1);

    mends.store(false, Ordering::SeqCst);
    let desk = shop.dispatcher.messages().expect("there are messages");
    let replayed = desk.replay(DeadLetterFilter::default()).await.expect("the store is there");
    assert!(replayed[0].failure.is_none(), "{replayed:?}");
    let told = outcome(&mut outcomes).await;
    assert_eq!((told.command_id, told.error.expect("refused").code), (id.to_string(), "OUT_OF_STOCK".to_owned()));
}

/// A subject cannot be of any length; the outcome is told by the command's id then, and holds up no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correlation_id_of_any_length_holds_nobody_up() {
    let url = std::env::var("POTTER_TEST_NATS").expect("`scripts/with-servers nats -- cargo test` starts a server");
    let broker = NatsBroker::connect(&url, "correlation").await.expect("a valid URL");
    let shop = Shop::with(Arc::new(broker), Options::default()).await;
    let mut outcomes = until_heard(&shop, "shop.outcomes.>").await;
    let (id, refused) = (Uuid::now_v7(), Uuid::now_v7());
    let long = "x".repeat(10_000);
    for message in [create(id, &long), create(refused, &long).header(headers::EXPECTED_VERSION, "x")] {
        shop.send(message).await;
        let told = next(&mut outcomes).await;
        let command_id = told.get(headers::COMMAND_ID).expect("it has one").to_owned();
        assert!([id, refused].iter().any(|it| it.to_string() == command_id), "{command_id}");
        assert_eq!(told.subject, format!("shop.outcomes.{command_id}"));
    }
    shop.messaging.stop(SOON).await;
}

/// Listens as soon as the broker is there.
async fn until_heard(shop: &Shop, pattern: &str) -> Messages {
    let heard = async {
        loop {
            if let Ok(messages) = shop.broker.listen(pattern.to_owned()).await {
                return messages;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, heard).await.expect("the broker is there")
}

/// Whatever transport brought it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outcome_of_every_accepted_command_is_told() {
    let shop = Shop::start().await;
    let mut outcomes = shop.listen("shop.outcomes.*").await;
    let body = CreateProductRequest { name: "Pen".to_owned(), ..CreateProductRequest::default() };
    let request = Request { body: body.encode_to_vec().into(), ..Request::default() };
    shop.dispatcher.call("shop.v1.Catalogue/ImportProduct", request).await.expect("accepted");
    assert_eq!(outcome(&mut outcomes).await.command, "shop.import_product");
}
