//! What goes back when something is wrong.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::shop::{Answered, Shop};
use potter_http::Options;

#[tokio::test]
async fn every_kind_of_failure_has_its_status() {
    let shop = Shop::open().await;
    for (kind, status, code, retryable) in [
        ("invalid", 400, "INVALID_REQUEST", false),
        ("refused", 422, "TOO_LATE", false),
        ("not_found", 404, "NOT_FOUND", false),
        ("unimplemented", 501, "UNIMPLEMENTED", false),
        ("conflict", 409, "CONTENTION", true),
        ("exists", 409, "ALREADY_EXISTS", false),
        ("version", 409, "VERSION_MISMATCH", false),
        ("unavailable", 503, "UNAVAILABLE", true),
        ("deadline", 504, "DEADLINE_EXCEEDED", true),
        ("bug", 500, "INTERNAL", false),
        ("panic", 500, "INTERNAL", false),
    ] {
        let answer = shop.get(&format!("/fail/{kind}")).await;
        assert_eq!(answer.status.as_u16(), status, "{kind}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{kind}");
        assert_eq!(answer.body["status"], status, "{kind}");
        assert_eq!(answer.body["code"], code, "{kind}");
        assert_eq!(answer.body["retryable"], retryable, "{kind}");
        assert_eq!(answer.body["type"], "about:blank", "{kind}");
        assert_eq!(answer.body["instance"], format!("/fail/{kind}"), "{kind}");
        assert_eq!(answer.header("retry-after"), if status == 503 { "1" } else { "" }, "{kind}");
        assert!(!answer.text.contains("secret"), "{kind}");
    }
}

#[tokio::test]
async fn a_problem_document_is_whole() {
    let shop = Shop::open().await;
    let answer = shop.get("/fail/invalid").await;
    let violation = json!({"field": "kind", "rule": "request", "message": "must be something else"});
    assert_eq!(
        answer.body,
        json!({
            "type": "about:blank", "title": "Bad Request", "status": 400,
            "detail": "`kind` must be something else", "instance": "/fail/invalid",
            "code": "INVALID_REQUEST", "retryable": false, "violations": [violation]
        })
    );
    let refused = shop.get("/fail/refused").await;
    assert_eq!(refused.body["title"], "Unprocessable Entity");
    assert_eq!(refused.body["detail"], "the shop is closed");
    assert_eq!(refused.body.get("violations"), None);
}

#[tokio::test]
async fn what_is_not_there_is_said_as_a_problem() {
    let shop = Shop::open().await;
    let nowhere = shop.get("/nowhere").await;
    assert_eq!((nowhere.status, &nowhere.body["code"]), (StatusCode::NOT_FOUND, &json!("ROUTE_NOT_FOUND")));
    assert_eq!(nowhere.header("content-type"), "application/problem+json");

    let wrong = shop.request(Method::DELETE, "/api/v1/products").answer().await;
    assert_eq!((wrong.status, &wrong.body["code"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("METHOD_NOT_ALLOWED")));
    assert_eq!(wrong.header("allow"), "GET, POST, HEAD, OPTIONS");
    let health = shop.request(Method::POST, "/health/live").answer().await;
    assert_eq!((health.status, health.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"));

    let options = shop.request(Method::OPTIONS, "/api/v1/products/7").answer().await;
    assert_eq!(options.status, StatusCode::NO_CONTENT);
    assert_eq!(options.header("allow"), "DELETE, GET, PATCH, PUT, HEAD, OPTIONS");
    assert_eq!(shop.request(Method::OPTIONS, "/nowhere").answer().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let shop = Shop::open().await;
    let get = shop.get("/api/v1/products").await;
    let head = shop.request(Method::HEAD, "/api/v1/products").answer().await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!(shop.request(Method::HEAD, "/api/v1/products/7").answer().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_json_is_taken() {
    let shop = Shop::open().await;
    let send = |content_type: &'static str| {
        shop.request(Method::POST, "/mirror").header("content-type", content_type).body("{}").answer()
    };
    for fine in
        ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"]
    {
        assert_eq!(send(fine).await.status, StatusCode::OK, "{fine}");
    }
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let answer = send(wrong).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{wrong}");
        assert_eq!(answer.body["code"], "UNSUPPORTED_MEDIA_TYPE", "{wrong}");
    }
    let missing = shop.request(Method::POST, "/mirror").body("{}").answer().await;
    assert_eq!(missing.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_body_may_be_too_large() {
    let shop = Shop::open_with(Options { body_limit: 64, ..Options::default() }).await;
    let body = |length: usize| format!(r#"{{"text":"{}"}}"#, "x".repeat(length - 11));
    assert_eq!(shop.post("/mirror", &body(64)).await.status, StatusCode::OK);
    let large = shop.post("/mirror", &body(65)).await;
    assert_eq!((large.status, &large.body["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("BODY_TOO_LARGE")));
}

#[tokio::test]
async fn a_query_ends_with_its_deadline() {
    let shop = Shop::open().await;
    let late = shop.get("/sleep").await;
    assert_eq!((late.status, &late.body["code"]), (StatusCode::GATEWAY_TIMEOUT, &json!("DEADLINE_EXCEEDED")));
}

#[tokio::test]
async fn identities_are_checked() {
    let shop = Shop::open().await;
    let answer = shop.send(Method::PUT, "/api/v1/products/a%20b", "{}").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.body["violations"][0]["field"], "product_id");
    let absent = shop.send(Method::PUT, "/api/v1/products/absent", "{}").await;
    assert_eq!((absent.status, &absent.body["code"]), (StatusCode::NOT_FOUND, &json!("NOT_FOUND")));
    assert_eq!(absent.body["violations"], Value::Null);
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_a_sentence() {
    let shop = Shop::open().await;
    for (body, sentence) in [
        ("[]", "the body must be an object, not an array"),
        ("{} x", "the body is not JSON: trailing characters at line 1 column 4"),
        (r#"{"text":"#, "`text` is not JSON: EOF while parsing a value at line 1 column 8"),
    ] {
        assert_eq!(shop.post("/mirror", body).await.body["detail"], sentence, "{body}");
    }
}
