//! Health, metrics, documentation, CORS.

use potter_http::{Body, HttpServer, Metrics, Options, Rest, Route, RouteError};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::shop::{Answered, OPENAPI, Shop};

#[tokio::test]
async fn health_is_told_for_each_part() {
    let shop = Shop::open().await;
    let live = shop.get("/health/live").await;
    assert_eq!((live.status, &live.body["status"]), (StatusCode::OK, &json!("UP")));
    let ready = shop.get("/health/ready").await;
    assert_eq!((ready.status, &ready.body["status"]), (StatusCode::OK, &json!("UP")));
    let components = ready.body["components"].as_array().expect("a list");
    let names: Vec<_> = components.iter().filter_map(|component| component["name"].as_str()).collect();
    assert_eq!(names, ["intake", "store", "workers", "projection Products"]);
    assert!(components.iter().all(|component| component["status"] == "UP"), "{}", ready.text);
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let metrics = Metrics::install().expect("the only recorder");
    let shop = Shop::open_with(Options { metrics: Some(metrics), ..Options::default() }).await;
    shop.get("/mirror/numbers/41").await;
    shop.get("/mirror/numbers/x").await;
    shop.send(Method::PUT, "/api/v1/products/absent", "{}").await;
    let answer = shop.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        r#"http_requests_total{method="GET",route="/mirror/numbers/{number}",status="200"} 1"#,
        r#"http_requests_total{method="GET",route="/mirror/numbers/{number}",status="400"} 1"#,
        r#"http_request_duration_seconds_bucket{method="GET",route="/mirror/numbers/{number}",le="+Inf"} 2"#,
        r#"potter_queries_total{module="shop",name="shop.v1.Mirror/Reflect",outcome="ok"}"#,
        r#"potter_errors_total{module="shop",name="shop.update_product",code="NOT_FOUND"} 1"#,
    ] {
        assert!(answer.text.contains(line), "{line} is not in\n{}", answer.text);
    }
    assert_eq!(Shop::open().await.get("/metrics").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_documentation_comes_from_here() {
    let shop = Shop::open().await;
    let document = shop.get("/openapi.json").await;
    assert_eq!((document.text.as_str(), document.header("content-type")), (OPENAPI, "application/json"));
    let page = shop.get("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(!page.text.contains("http"), "the page needs the network: {}", page.text);
    let mut files: Vec<_> = page.text.split('"').filter(|part| part.starts_with("docs/")).collect();
    files.push("docs/start.js");
    for file in &files {
        let file = shop.get(&format!("/{file}")).await;
        assert_eq!(file.status, StatusCode::OK, "{file:?}");
        assert!(file.text.len() > 100, "{file:?}");
    }
    assert_eq!(files.len(), 7);
    assert!(shop.get("/docs/start.js").await.text.contains("\"openapi.json\""));
    assert_eq!(shop.get("/docs/").await.text, page.text);
}

#[tokio::test]
async fn browsers_may_call_from_where_they_are_allowed_to() {
    let allowed = vec!["https://shop.example".to_owned()];
    let shop = Shop::open_with(Options { cors_allowed_origins: allowed, ..Options::default() }).await;
    let from = |origin: &'static str| shop.request(Method::GET, "/api/v1/products").header("origin", origin).answer();
    let answer = from("https://shop.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://shop.example");
    assert!(answer.header("access-control-expose-headers").contains("etag"));
    assert_eq!(from("https://evil.example").await.header("access-control-allow-origin"), "");

    let preflight = shop
        .request(Method::OPTIONS, "/api/v1/products")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,if-match")
        .answer()
        .await;
    assert_eq!(preflight.status, StatusCode::OK);
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    assert_eq!(preflight.header("access-control-allow-headers"), "content-type,if-match");

    let open = Shop::open_with(Options { cors_allowed_origins: vec!["*".to_owned()], ..Options::default() }).await;
    let answer = open.request(Method::GET, "/nowhere").header("origin", "https://any.example").answer().await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let closed = Shop::open().await;
    let answer = closed.request(Method::GET, "/mirror").header("origin", "https://shop.example").answer().await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn routes_that_cannot_be_served_are_refused_at_the_start() {
    let shop = Shop::open().await;
    let good = Route {
        method: "GET",
        path: "/x/{text}",
        rpc: "shop.v1.Mirror/Reflect",
        body: Body::None,
        response_body: None,
    };
    for (route, wanted) in [
        (Route { rpc: "shop.v1.Mirror", ..good }, "its rpc is not like package.Service/Method"),
        (Route { rpc: "shop.v1.Shop/Open", ..good }, "there is no such service"),
        (Route { rpc: "shop.v1.Mirror/Open", ..good }, "there is no such rpc"),
        (Route { method: "NOT ONE", ..good }, "its method is not one of HTTP"),
        (Route { path: "x", ..good }, "must begin with `/`"),
        (Route { path: "/x/{nothing}", ..good }, "shop.v1.Everything has no field `nothing`"),
        (Route { path: "/x/{filter}", ..good }, "`filter` of shop.v1.Everything cannot stand in a path"),
        (Route { path: "/x/{tags}", ..good }, "`tags` of shop.v1.Everything cannot stand in a path"),
        (Route { body: Body::Field("nothing"), ..good }, "shop.v1.Everything has no field `nothing`"),
        (Route { response_body: Some("nothing"), ..good }, "shop.v1.Everything has no field `nothing`"),
    ] {
        let rest = Rest::new(Box::leak(Box::new([route])));
        let error = HttpServer::new(shop.app.dispatcher().clone(), rest, Options::default()).err();
        let Some(RouteError::Route { reason, .. }) = error else { panic!("{route:?} was not refused: {error:?}") };
        assert_eq!(reason, wanted);
    }
    let twice = Rest::new(Box::leak(Box::new([good, Route { path: "/x/{maybe}", ..good }])));
    assert!(HttpServer::new(shop.app.dispatcher().clone(), twice, Options::default()).is_err());
}

#[tokio::test]
async fn a_service_may_have_a_route_where_one_of_ours_would_be() {
    let shop = Shop::open().await;
    let own = Route {
        method: "GET",
        path: "/api/v1/commands/{text}",
        rpc: "shop.v1.Mirror/Reflect",
        body: Body::None,
        response_body: None,
    };
    let rest = Rest::new(Box::leak(Box::new([own])));
    assert!(HttpServer::new(shop.app.dispatcher().clone(), rest, Options::default()).is_ok());
}
