//! The admin API: who may, what is seen, what is done.

use std::time::{Duration, SystemTime};

use potter_core::read_model::ReadModel;
use potter_core::store::{DeadLetter, Generation, ParkedEvent, ProjectionBatch};
use potter_core::uuid::Uuid;
use potter_http::{AdminToken, Options};
use potter_sample::Products;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::shop::{Answered, Shop};

const TOKEN: &str = "a-token-that-nobody-guesses";

async fn shop() -> Shop {
    Shop::open_with(Options { admin_token: Some(AdminToken::new(TOKEN)), ..Options::default() }).await
}

async fn admin(shop: &Shop, method: Method, path: &str) -> crate::shop::Answer {
    shop.request(method, path).bearer_auth(TOKEN).answer().await
}

/// Creates a product; answers with its id.
async fn create(shop: &Shop, name: &str) -> String {
    let created = shop.post("/api/v1/products", &format!(r#"{{"name":"{name}"}}"#)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    created.header("location").rsplit('/').next().expect("an id").to_owned()
}

#[tokio::test]
async fn only_who_shows_the_token_gets_in() {
    let shop = shop().await;
    for path in ["/admin/events", "/admin/projections", "/admin/commands"] {
        let without = shop.get(path).await;
        assert_eq!((without.status, without.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
        let wrong = shop.request(Method::GET, path).bearer_auth("another").answer().await;
        assert_eq!((wrong.status, &wrong.body["code"]), (StatusCode::UNAUTHORIZED, &json!("UNAUTHENTICATED")));
        assert_eq!(admin(&shop, Method::GET, path).await.status, StatusCode::OK);
        let lower = shop.request(Method::GET, path).header("authorization", format!("bearer {TOKEN}")).answer().await;
        assert_eq!(lower.status, StatusCode::OK, "the scheme's name may be written in any case");
    }
    let off = Shop::open().await;
    assert_eq!(admin(&off, Method::GET, "/admin/events").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_log_and_its_streams_can_be_read() {
    let shop = shop().await;
    let pen = create(&shop, "Pen").await;
    let ink = create(&shop, "Ink").await;
    let events = admin(&shop, Method::GET, "/admin/events?after=1&limit=5").await;
    let events = events.body["events"].as_array().expect("a list");
    assert_eq!((events.len(), &events[0]["position"], &events[0]["aggregateId"]), (1, &json!(2), &json!(ink)));
    let stream = admin(&shop, Method::GET, &format!("/admin/streams/Product/{pen}")).await;
    assert_eq!(stream.body["events"][0]["data"]["name"], "Pen", "{stream:?}");
    for (path, status) in [
        ("/admin/streams/Product/absent", StatusCode::NOT_FOUND),
        ("/admin/events?limit=many", StatusCode::BAD_REQUEST),
        ("/admin/events?first=1", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(admin(&shop, Method::GET, path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn read_models_are_paused_rebuilt_and_emptied() {
    let shop = shop().await;
    create(&shop, "Pen").await;
    let act = async |action: &str| admin(&shop, Method::POST, &format!("/admin/projections/Products/{action}")).await;
    assert_eq!(act("pause").await.body["state"], "paused");
    create(&shop, "Ink").await;
    let listed = admin(&shop, Method::GET, "/admin/projections").await;
    assert_eq!(listed.body["projections"][0]["lag"], 1, "{listed:?}");
    assert_ne!(act("resume").await.body["state"], "paused");
    shop.app.settle().await;
    assert_eq!(act("reset").await.status, StatusCode::OK);
    assert_eq!(act("replay").await.body["replayed"], 0);
    assert_eq!(act("rebuild?from=1").await.status, StatusCode::ACCEPTED);
    assert_eq!(admin(&shop, Method::GET, "/admin/projections/Products/parked").await.body["parked"], json!([]));
    assert_eq!(admin(&shop, Method::POST, "/admin/projections/Orders/pause").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_rebuild_may_begin_with_the_snapshot_or_with_some_rows() {
    let shop = shop().await;
    let pen = create(&shop, "Pen").await;
    shop.app.settle().await;
    let act = async |action: &str| admin(&shop, Method::POST, &format!("/admin/projections/Products/{action}")).await;
    let epoch = async || shop.app.dispatcher().store().projection("Products").await.expect("known").epoch;
    assert_eq!(act("rebuild?from_snapshot=true").await.status, StatusCode::NOT_FOUND, "there is none yet");
    assert_eq!(act("snapshot").await.body, json!({ "position": 1 }));
    for begin in
        ["from_snapshot=true", &format!("aggregate=Product&id={pen}"), "aggregate=Product&type=product.created"]
    {
        let before = epoch().await;
        let begun = act(&format!("rebuild?{begin}")).await;
        assert_eq!((begun.status, &begun.body["name"]), (StatusCode::ACCEPTED, &json!("Products")), "{begin}");
        until_rebuilt(&shop, before + 1).await;
        let listed = admin(&shop, Method::GET, "/admin/projections").await;
        let rebuild = &listed.body["projections"][0]["rebuild"];
        assert_eq!(
            (&rebuild["number"], &rebuild["state"]),
            (&json!(before + 1), &json!("done")),
            "{begin}: {listed:?}"
        );
        assert_eq!(epoch().await, before + 1, "{begin}: it is in place of the one before");
        assert_eq!(shop.get(&format!("/api/v1/products/{pen}")).await.body["product"]["name"], "Pen", "{begin}");
    }
    for (begin, status) in [
        ("from=1&from_snapshot=true", StatusCode::BAD_REQUEST),
        ("from=1&type=product.created", StatusCode::BAD_REQUEST),
        ("from_snapshot=yes", StatusCode::BAD_REQUEST),
        ("id=7", StatusCode::BAD_REQUEST),
        ("aggregate=Order", StatusCode::NOT_FOUND),
        ("type=product.painted", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(act(&format!("rebuild?{begin}")).await.status, status, "{begin}");
    }
}

async fn until_rebuilt(shop: &Shop, epoch: u64) {
    let rebuilt = async {
        while shop.app.dispatcher().store().projection("Products").await.expect("known").epoch < epoch {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rebuilt).await.expect("it is rebuilt");
}

#[tokio::test]
async fn parked_events_are_tried_again_by_aggregate_or_type() {
    let shop = shop().await;
    let pen = create(&shop, "Pen").await;
    shop.app.settle().await;
    let replay =
        async |events: &str| admin(&shop, Method::POST, &format!("/admin/projections/Products/replay?{events}")).await;
    let stream = format!("aggregate=Product&id={pen}");
    for (events, replayed) in [
        ("aggregate=Product&id=absent", 0),
        ("type=product.updated", 0),
        (&format!("{stream}&type=product.created"), 1),
        ("aggregate=Product", 1),
        ("aggregate=Product&type=product.created", 1),
        ("", 1),
    ] {
        park(&shop, &pen).await;
        let answer = replay(events).await;
        assert_eq!(
            (answer.status, &answer.body["replayed"]),
            (StatusCode::OK, &json!(replayed)),
            "{events}: {answer:?}"
        );
    }
    for (events, status) in [
        ("id=7", StatusCode::BAD_REQUEST),
        ("aggregate=Order", StatusCode::NOT_FOUND),
        ("type=product.painted", StatusCode::NOT_FOUND),
        ("from=1", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(replay(events).await.status, status, "{events}");
    }
}

/// Parks the event that has created a product, as if the read model could not have taken it in.
async fn park(shop: &Shop, id: &str) {
    let store = shop.app.dispatcher().store();
    let (at, epoch) = (
        store.checkpoint("Products", Generation::Live).await.expect("known"),
        store.projection("Products").await.expect("known").epoch,
    );
    let event = ParkedEvent {
        position: 1,
        key: id.to_owned(),
        event_type: "product.created".to_owned(),
        reason: "a bug".to_owned(),
        parked_at: SystemTime::now(),
    };
    let (remove, park) = (vec![id.to_owned()], vec![event]);
    let batch = ProjectionBatch { epoch, remove, park, ..ProjectionBatch::moving("Products", Products::TABLE, at, at) };
    store.commit_projection(batch).await.expect("parked");
}

#[tokio::test]
async fn accepted_commands_are_seen() {
    let shop = shop().await;
    let accepted = shop.post("/api/v1/products:import", r#"{"name":"Pen"}"#).await;
    let status = accepted.header("location").replace("/api/v1", "/admin");
    shop.app.settle().await;
    let command = admin(&shop, Method::GET, &status).await;
    assert_eq!(command.body["status"], "SUCCEEDED", "{accepted:?} {command:?}");
    assert_eq!(admin(&shop, Method::GET, "/admin/commands").await.body["commands"], json!([]));
    assert_eq!(admin(&shop, Method::GET, "/admin/commands/7").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn dead_letters_are_listed_shown_and_discarded() {
    let shop = shop().await;
    let store = shop.app.dispatcher().store().clone();
    for (number, source) in [(1, "articles"), (2, "commands")] {
        store.keep_dead_letter(letter(number, source)).await.expect("kept");
    }
    let ids = |answer: &crate::shop::Answer| {
        let letters = answer.body["deadLetters"].as_array().expect("a list");
        letters.iter().map(|it| it["messageId"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&admin(&shop, Method::GET, "/admin/dead-letters").await), ["1", "2"]);
    assert_eq!(ids(&admin(&shop, Method::GET, "/admin/dead-letters?source=comm%61nds").await), ["2"]);
    assert_eq!(ids(&admin(&shop, Method::GET, "/admin/dead-letters?limit=1").await), ["1"]);

    let one = format!("/admin/dead-letters/{}", letter(1, "").id);
    let shown = admin(&shop, Method::GET, &one).await;
    assert_eq!((&shown.body["reason"], &shown.body["payload"]), (&json!("why"), &json!("text")), "{shown:?}");
    let discarded = admin(&shop, Method::POST, &format!("{one}/discard")).await;
    assert_eq!((discarded.status, &discarded.body["messageId"]), (StatusCode::OK, &json!("1")));
    assert_eq!(admin(&shop, Method::GET, &one).await.status, StatusCode::NOT_FOUND);
    assert_eq!(admin(&shop, Method::GET, "/admin/dead-letters/1").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(admin(&shop, Method::GET, "/admin/dead-letters?key=1").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_messages_there_is_nobody_to_replay_them() {
    let shop = shop().await;
    for (method, path) in [(Method::GET, "/admin/outgoing"), (Method::POST, "/admin/dead-letters/replay")] {
        let answer = admin(&shop, method, path).await;
        assert_eq!(answer.body["code"], "UNIMPLEMENTED", "{answer:?}");
    }
}

fn letter(number: u128, source: &str) -> DeadLetter {
    DeadLetter {
        id: Uuid::from_u128(number),
        source: source.to_owned(),
        key: String::new(),
        message_id: number.to_string(),
        subject: "a".to_owned(),
        headers: Vec::new(),
        payload: "text".into(),
        reason: "why".to_owned(),
        history: Vec::new(),
        parked_at: std::time::SystemTime::now(),
    }
}
