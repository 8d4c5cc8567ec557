//! Questions and answers.

use potter_broker::{Message, headers};
use potter_core::prost::Message as _;
use potter_proto::runtime::v1::QueryError;
use potter_sample::{GetProductReply, GetProductRequest};

use crate::shop::{SOON, Shop};

async fn ask(shop: &Shop, message: Message) -> Message {
    tokio::time::timeout(SOON, async {
        loop {
            match shop.broker.request(message.clone(), SOON).await {
                Ok(answer) => return answer,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
    .expect("somebody serves")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_answered_as_it_is_asked() {
    let shop = Shop::start().await;
    let id = shop.create("Pen").await;
    let request = GetProductRequest { id: id.clone() }.encode_to_vec();
    let answer =
        ask(&shop, Message::new("shop.queries.GetProduct", request).header(headers::CORRELATION_ID, "7")).await;
    assert_eq!(answer.get(headers::CORRELATION_ID), Some("7"));
    let reply = GetProductReply::decode(answer.payload).expect("a reply");
    assert_eq!(reply.product.expect("the product").name, "Pen");

    let json = Message::new("shop.queries.GetProduct", format!(r#"{{"id": "{id}"}}"#));
    let answer = ask(&shop, json.header(headers::CONTENT_TYPE, headers::JSON)).await;
    let reply: serde_json::Value = serde_json::from_slice(&answer.payload).expect("JSON");
    assert_eq!(reply["product"]["name"], "Pen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_fails_says_why() {
    let shop = Shop::start().await;
    let request = GetProductRequest { id: "none".to_owned() }.encode_to_vec();
    let answer = ask(&shop, Message::new("shop.queries.GetProduct", request)).await;
    assert_eq!(answer.get(headers::ERROR_CODE), Some("NOT_FOUND"));
    assert_eq!(answer.get(headers::ERROR_KIND), Some("refused"));
    let error = QueryError::decode(answer.payload).expect("an error");
    assert!(error.message.contains("none"), "{error:?}");

    let unknown = ask(&shop, Message::new("shop.queries.Fly", "")).await;
    assert_eq!(unknown.get(headers::ERROR_CODE), Some("UNIMPLEMENTED"));
    let json = Message::new("shop.queries.GetProduct", r#"{"nme": 1}"#).header(headers::CONTENT_TYPE, headers::JSON);
    let invalid = ask(&shop, json).await;
    assert_eq!(invalid.get(headers::ERROR_KIND), Some("invalid"));
    let error: serde_json::Value = serde_json::from_slice(&invalid.payload).expect("JSON, as it was asked");
    assert!(error["message"].as_str().is_some_and(|it| it.contains("nme")), "{error}");
}
