//! Commands that come in, and what is told of them.

use potter_broker::{Message, headers};
use potter_core::dispatch::Request;
use potter_core::prost::Message as _;
use potter_core::store::DeadLetterFilter;
use potter_core::uuid::Uuid;
use potter_proto::runtime::v1::command_status::Status;
use potter_sample::{CreateProductRequest, UpdateProductRequest};

use crate::shop::{Shop, next, outcome};

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
async fn what_can_never_be_a_command_is_set_aside_and_its_sender_told() {
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
        let letters = shop.dispatcher.store().dead_letters(DeadLetterFilter::default()).await.expect("readable");
        let letter = letters.last().expect("a letter");
        assert_eq!((&letter.subject, &letter.payload), (&message.subject, &message.payload));
        assert_eq!((letter.source.as_str(), &letter.message_id), ("commands", &message.id));
        assert!(letter.reason.contains(text), "{letter:?}");
    }
    assert!(shop.dispatcher.store().pending_commands().await.expect("readable").is_empty());
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
