//! The admin API: who may, what is seen, what is done.

use potter_http::{AdminToken, Options};
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
