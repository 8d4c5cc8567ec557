//! Path, query and body become the rpc's request.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::shop::{Answered, Shop};

/// What is asked, and the part of the mirror's answer that must be there.
#[tokio::test]
async fn path_and_query_carry_fields() {
    let shop = Shop::open().await;
    for (path, wanted) in [
        ("/mirror?text=a%20b%2Bc&number=5", json!({"text": "a b+c", "number": "5"})),
        ("/mirror?text=a+b", json!({"text": "a b"})),
        ("/mirror?text=", json!({"text": ""})),
        ("/mirror?text&flag=true", json!({"text": "", "flag": true})),
        ("/mirror?flag=1", json!({"flag": true})),
        ("/mirror?ratio=1.5e3", json!({"ratio": 1500.0})),
        ("/mirror?ratio=NaN", json!({"ratio": "NaN"})),
        ("/mirror?data=-_8", json!({"data": "+/8="})),
        ("/mirror?colour=GREEN", json!({"colour": "GREEN"})),
        ("/mirror?colour=2", json!({"colour": "GREEN"})),
        ("/mirror?maybe=", json!({"maybe": ""})),
        ("/mirror?filter.name=x&filter.min_price=3", json!({"filter": {"name": "x", "minPrice": 3, "ids": []}})),
        (
            "/mirror?filter.minPrice=3&filter.ids=1&filter.ids=2",
            json!({"filter": {"name": "", "minPrice": 3, "ids": ["1", "2"]}}),
        ),
        (
            "/mirror?filter.deeper.name=x",
            json!({"filter": {"name": "", "minPrice": 0, "ids": [], "deeper": {"name": "x", "minPrice": 0, "ids": []}}}),
        ),
        ("/mirror?tags=a&tags=b&tags=", json!({"tags": ["a", "b", ""]})),
        ("/mirror?colours=RED&colours=2", json!({"colours": ["RED", "GREEN"]})),
        ("/mirror?time=2024-02-29T12:30:00Z", json!({"time": "2024-02-29T12:30:00Z"})),
        ("/mirror?time=2024-02-29T14:30:00%2B02:00", json!({"time": "2024-02-29T12:30:00Z"})),
        ("/mirror?duration=1.5s", json!({"duration": "1.500s"})),
        ("/mirror?wrapped=0&wrappedFlag=false", json!({"wrapped": 0, "wrappedFlag": false})),
        ("/mirror?right=0", json!({"right": 0})),
        ("/mirror?mask=text,filter.minPrice", json!({"mask": "text,filter.minPrice"})),
        ("/mirror/numbers/-7", json!({"number": "-7"})),
        ("/mirror/numbers/7?text=x", json!({"number": "7", "text": "x"})),
        ("/mirror/numbers/7?number=7", json!({"number": "7"})),
        (
            "/mirror/times/2024-02-29T12:30:00Z/RED/5",
            json!({"time": "2024-02-29T12:30:00Z", "colour": "RED", "wrapped": 5}),
        ),
        (
            "/mirror/shelves/shelves/3/books/a%2Fb:show",
            json!({"text": "shelves/3", "filter": {"name": "a/b", "minPrice": 0, "ids": []}}),
        ),
        ("/mirror/files/a/b%20c/d%2Fe", json!({"text": "a/b c/d%2Fe"})),
    ] {
        let answer = shop.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        for (name, value) in wanted.as_object().expect("an object") {
            assert_eq!(&answer.body[name], value, "{path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_in_path_or_query_is_named() {
    let shop = Shop::open().await;
    for (path, wanted) in [
        ("/mirror?nothing=1", &["nothing: unknown_parameter"][..]),
        ("/mirror?number=x&flag=yes", &["number: format", "flag: format"]),
        ("/mirror?number=9223372036854775808", &["number: range"]),
        ("/mirror?number=1&number=2", &["number: duplicate"]),
        ("/mirror?colour=BLUE", &["colour: enum"]),
        ("/mirror?data=%2A", &["data: format"]),
        ("/mirror?time=yesterday", &["time: format"]),
        ("/mirror?wrapped=2147483648", &["wrapped: range"]),
        ("/mirror?filter=x", &["filter: type"]),
        ("/mirror?filter.unknown=x", &["filter.unknown: unknown_parameter"]),
        ("/mirror?text.x=1", &["text.x: unknown_parameter"]),
        ("/mirror?colours=RED&colours=BLUE", &["colours: enum"]),
        ("/mirror?counts=1", &["counts: type"]),
        ("/mirror?counts.x=1", &["counts.x: unknown_parameter"]),
        ("/mirror?struct=1", &["struct: type"]),
        ("/mirror?any=1", &["any: type"]),
        ("/mirror?left=a&right=1", &["right: oneof"]),
        ("/mirror?text=%FF", &["text: format"]),
        ("/mirror/numbers/x", &["number: format"]),
        ("/mirror/numbers/7?number=8", &["number: path_conflict"]),
        ("/mirror/numbers/99999999999999999999", &["number: range"]),
        ("/mirror/times/yesterday/BLUE/x", &["time: format", "colour: enum", "wrapped: format"]),
        ("/mirror/files/%FF", &["text: format"]),
    ] {
        assert_eq!(shop.get(path).await.violations(), wanted, "{path}");
    }
    let deep = format!("/mirror?filter{}.name=x", ".deeper".repeat(3000));
    assert!(shop.get(&deep).await.violations()[0].ends_with(": unknown_parameter"));
    assert_eq!(shop.post("/mirror?text=x", "{}").await.violations(), ["text: unknown_parameter"]);
    assert_eq!(shop.post("/mirror/filter?filter.name=x", "{}").await.violations(), ["filter.name: unknown_parameter"]);
}

#[tokio::test]
async fn a_body_carries_everything_or_one_field() {
    let shop = Shop::open().await;
    let whole = r#"{"text":"x","counts":{"a":1},"any":{"@type":"type.googleapis.com/shop.v1.Filter","name":"y"}}"#;
    let answer = shop.post("/mirror", whole).await;
    assert_eq!(answer.body["counts"], json!({"a": 1}));
    assert_eq!(answer.body["any"]["@type"], "type.googleapis.com/shop.v1.Filter");
    assert_eq!(answer.body["any"]["name"], "y");

    let answer = shop.post("/mirror/filter?text=x&tags=a", r#"{"name":"y"}"#).await;
    assert_eq!(answer.body["filter"]["name"], "y");
    assert_eq!((&answer.body["text"], &answer.body["tags"]), (&json!("x"), &json!(["a"])));

    let answer = shop.post("/mirror/tags", r#"["a","b"]"#).await;
    assert_eq!(answer.body["tags"], json!(["a", "b"]));
    assert_eq!(shop.post("/mirror/tags", r#"["a",1]"#).await.violations(), ["tags[1]: type"]);

    let answer = shop.request(Method::POST, "/mirror").answer().await;
    assert_eq!((answer.status, &answer.body["text"]), (StatusCode::OK, &json!("")));
}

#[tokio::test]
async fn the_path_decides_which_aggregate_is_meant() {
    let shop = Shop::open().await;
    let id = shop.product(r#"{"name":"table"}"#).await;
    let path = format!("/api/v1/products/{id}");

    let same = format!(r#"{{"productId":"{id}","name":"desk"}}"#);
    assert_eq!(shop.send(Method::PUT, &path, &same).await.body["product"]["name"], "desk");
    let other = r#"{"productId":"other","name":"chair"}"#;
    assert_eq!(shop.send(Method::PUT, &path, other).await.violations(), ["product_id: path_conflict"]);

    let patched = shop.send(Method::PATCH, &format!("{path}?updateMask=name"), r#"{"name":"bench"}"#).await;
    assert_eq!(patched.body["product"]["name"], "bench");
    let other = shop.send(Method::PATCH, &path, r#"{"productId":"other"}"#).await;
    assert_eq!(other.violations(), ["product.product_id: path_conflict"]);
}

#[tokio::test]
async fn a_body_that_is_not_the_message_is_refused() {
    let shop = Shop::open().await;
    for (body, wanted) in [
        ("nonsense", &[": syntax"][..]),
        ("{} trailing", &[": syntax"]),
        ("[]", &[": type"]),
        (
            r#"{"priceCents":"x","unknown":1,"colour":"BLUE"}"#,
            &["price_cents: format", "unknown: unknown_field", "colour: enum"],
        ),
        (r#"{"priceCents":1,"price_cents":1}"#, &["price_cents: duplicate"]),
        (r#"{"stock":2147483648}"#, &["stock: range"]),
    ] {
        let answer = shop.post("/api/v1/products", body).await;
        assert_eq!(answer.violations(), wanted, "{body}");
        assert_eq!(answer.body["code"], "INVALID_REQUEST");
    }
    let bomb = "[".repeat(1_000_000);
    assert!(shop.post("/mirror", &bomb).await.violations()[0].ends_with(": syntax"));
    let bomb = format!(r#"{{"filter":{}"#, r#"{"deeper":"#.repeat(100_000));
    assert_eq!(shop.post("/mirror", &bomb).await.violations().len(), 1);
    let bomb = format!(r#"{{"struct":{}1{}}}"#, r#"{"a":"#.repeat(60), "}".repeat(60));
    assert_eq!(shop.post("/mirror", &bomb).await.violations(), ["struct: depth"]);
}
