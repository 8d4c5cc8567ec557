//! What goes back when all is well.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::shop::{Answered, Shop};

#[tokio::test]
async fn a_created_aggregate_is_told_with_its_place() {
    let shop = Shop::open().await;
    let created = shop.post("/api/v1/products", r#"{"name":"table","price_cents":"1250","colour":"RED"}"#).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(created.header("content-type"), "application/json");
    assert_eq!(created.header("etag"), "\"1\"");
    assert_eq!(created.header("potter-position"), "1");
    let id = created.body["productId"].as_str().expect("an id");
    let product = json!({"productId": id, "name": "table", "priceCents": "1250", "colour": "RED", "stock": 0});
    assert_eq!(created.body, json!({"productId": id, "product": product, "message": "created"}));
    assert_eq!(created.header("location"), format!("/api/v1/products/{id}"));

    let read = shop.get(created.header("location")).await;
    assert_eq!((read.status, &read.body), (StatusCode::OK, &json!({"product": product})));
    let bare = shop.get(&format!("/api/v1/products/{id}/bare")).await;
    assert_eq!(bare.body, product);
    let list = shop.get("/api/v1/products?colour=RED&pageSize=5").await;
    assert_eq!(list.body, json!({"products": [product], "total": 1}));
    let none = shop.get("/api/v1/products?name=chair").await;
    assert_eq!(none.body, json!({"products": [], "total": 0}));
}

#[tokio::test]
async fn a_deleted_aggregate_is_gone() {
    let shop = Shop::open().await;
    let id = shop.product("{}").await;
    let path = format!("/api/v1/products/{id}");
    let deleted = shop.request(Method::DELETE, &path).answer().await;
    assert_eq!((deleted.status, deleted.text.as_str()), (StatusCode::OK, "{}"));
    assert_eq!(shop.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(shop.send(Method::PUT, &path, "{}").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn part_of_a_reply_may_be_the_whole_body() {
    let shop = Shop::open().await;
    assert_eq!(shop.get("/mirror/tags-only?tags=a").await.text, r#"["a"]"#);
    assert_eq!(shop.get("/mirror/tags-only").await.text, "[]");
    assert_eq!(shop.get("/mirror/filter-only").await.text, "null");
    assert_eq!(shop.get("/mirror/filter-only?filter.name=x").await.body["name"], "x");
}

#[tokio::test]
async fn a_version_may_be_expected() {
    let shop = Shop::open().await;
    let path = format!("/api/v1/products/{}", shop.product("{}").await);
    let put = |tag: &'static str| {
        shop.request(Method::PUT, &path).header("if-match", tag).json_text(r#"{"name":"x"}"#).answer()
    };
    assert_eq!(put("\"1\"").await.header("etag"), "\"2\"");
    let stale = put("\"1\"").await;
    assert_eq!((stale.status, &stale.body["code"]), (StatusCode::PRECONDITION_FAILED, &json!("VERSION_MISMATCH")));
    assert_eq!(put("W/\"2\"").await.header("etag"), "\"3\"");
    assert_eq!(put("*").await.header("etag"), "\"4\"");
    assert_eq!(put("4").await.header("etag"), "\"5\"");
    assert_eq!(put("four").await.violations(), ["If-Match: header"]);
}

#[tokio::test]
async fn a_repeat_under_the_same_key_gets_the_recorded_reply() {
    let shop = Shop::open().await;
    let post = |body: &'static str| {
        shop.request(Method::POST, "/api/v1/products").header("idempotency-key", "k1").json_text(body).answer()
    };
    let first = post(r#"{"name":"table"}"#).await;
    let again = post(r#"{ "name" : "table" }"#).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, ""));
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("etag"), first.header("etag"));
    let other = post(r#"{"name":"chair"}"#).await;
    assert_eq!((other.status, &other.body["code"]), (StatusCode::CONFLICT, &json!("IDEMPOTENCY_KEY_REUSED")));

    let long = "x".repeat(256);
    let refused = shop.request(Method::POST, "/api/v1/products").header("idempotency-key", long).answer().await;
    assert_eq!(refused.violations(), ["Idempotency-Key: header"]);
}

#[tokio::test]
async fn an_asynchronous_command_tells_where_its_outcome_will_be() {
    let shop = Shop::open().await;
    let accepted = shop.post("/api/v1/products:import", r#"{"name":"table","stock":3}"#).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    let id = accepted.body["productId"].as_str().expect("assigned already").to_owned();
    let status = shop.get(&format!("{}?wait=10", accepted.header("location"))).await;
    assert_eq!(status.status, StatusCode::OK);
    let command_id = accepted.header("location").rsplit('/').next().expect("the last part");
    assert_eq!(status.body["commandId"], command_id);
    assert_eq!(status.body["command"], "shop.import_product");
    assert_eq!(status.body["status"], "SUCCEEDED");
    assert_eq!(status.body["aggregateId"], id);
    assert_eq!(status.body["version"], "1");
    assert_eq!(
        status.body["events"],
        json!([{
            "type": "product.created",
            "data": {
                "@type": "type.googleapis.com/shop.v1.ProductCreated",
                "name": "table", "priceCents": "0", "colour": "COLOUR_UNSPECIFIED", "stock": 3
            }
        }])
    );
    assert_eq!(status.body.get("error"), None);
    assert_eq!(shop.get(&format!("/api/v1/products/{id}")).await.body["product"]["stock"], 3);

    let refused = shop.post(&format!("/api/v1/products/{id}/reserve-stock"), r#"{"quantity":5}"#).await;
    let status = shop.get(&format!("{}?wait=10", refused.header("location"))).await;
    assert_eq!(status.body["status"], "FAILED");
    assert_eq!(status.body["events"], json!([]));
    assert_eq!(
        status.body["error"],
        json!({
            "code": "OUT_OF_STOCK", "message": "wanted 5, available 3", "retryable": true,
            "event": {"@type": "type.googleapis.com/shop.v1.OutOfStock", "wanted": 5, "available": 3},
            "violations": []
        })
    );
}

#[tokio::test]
async fn a_status_is_asked_for_by_a_known_id() {
    let shop = Shop::open().await;
    let unknown = "/api/v1/commands/01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(shop.get(unknown).await.status, StatusCode::NOT_FOUND);
    assert_eq!(shop.get("/api/v1/commands/7").await.violations(), ["command_id: format"]);
    assert_eq!(shop.get(&format!("{unknown}?wait=soon")).await.violations(), ["wait: format"]);
    let patient = shop.get(&format!("{unknown}?wait=4197629493697464249454952448")).await;
    assert_eq!(patient.status, StatusCode::NOT_FOUND, "{:?}", patient.body);
    assert_eq!(shop.get(&format!("{unknown}?patience=1")).await.violations(), ["patience: unknown_parameter"]);
}

#[tokio::test]
async fn ids_are_made_or_taken_over_and_sent_back() {
    let shop = Shop::open().await;
    let made = shop.get("/api/v1/products").await;
    assert_eq!(made.header("x-request-id").len(), 36);
    assert_eq!(made.header("x-correlation-id"), made.header("x-request-id"));

    let request = shop.request(Method::POST, "/api/v1/products:import").json_text("{}");
    let given = request.header("x-request-id", "r1").header("x-correlation-id", "c1").answer().await;
    assert_eq!((given.header("x-request-id"), given.header("x-correlation-id")), ("r1", "c1"));
    assert_eq!(shop.get(given.header("location")).await.body["correlationId"], "c1");

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = shop.request(Method::GET, "/nowhere").header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    assert_eq!(traced.answer().await.header("x-correlation-id"), trace);
    let long = shop.request(Method::GET, "/mirror").header("x-correlation-id", "x".repeat(129)).answer().await;
    assert_eq!(long.header("x-correlation-id").len(), 36);
}

#[tokio::test]
async fn a_query_may_ask_for_a_position() {
    let shop = Shop::open().await;
    let created = shop.post("/api/v1/products", "{}").await;
    let get = |position: &str| {
        shop.request(Method::GET, "/api/v1/products").header("potter-position", position.to_owned()).answer()
    };
    assert_eq!(get(created.header("potter-position")).await.body["total"], 1);
    assert_eq!(get("-1").await.violations(), ["Potter-Position: header"]);
    let early = get("999").await;
    assert!(early.status.is_server_error() && early.body["retryable"] == true, "{early:?}");
}
