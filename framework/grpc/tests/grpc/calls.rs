//! Requests and replies, and what they carry beside their messages.

use std::time::Duration;

use potter_grpc::Options;
use potter_sample::{
    CreateProductRequest, Everything, GetProductReply, GetProductRequest, ListProductsReply, ListProductsRequest,
    ProductReply, UpdateProductRequest,
};
use tonic::{Code, Request};

use crate::shop::{Shop, impatient, value, with};

const CREATE: &str = "shop.v1.Catalogue/CreateProduct";
const UPDATE: &str = "shop.v1.Catalogue/UpdateProduct";

fn table() -> CreateProductRequest {
    CreateProductRequest { name: "table".to_owned(), price_cents: 1250, ..Default::default() }
}

#[tokio::test]
async fn commands_and_queries_are_called_by_their_path() {
    let shop = Shop::open().await;
    let created = shop.call::<_, ProductReply>(CREATE, table()).await.expect("created");
    let id = created.get_ref().product_id.clone();
    assert_eq!(value(&created, "potter-aggregate-id"), id);
    assert_eq!(value(&created, "potter-version"), "1");
    assert_eq!(value(&created, "potter-position"), "1");
    assert_eq!(value(&created, "potter-replayed"), "");
    assert_eq!(value(&created, "x-correlation-id").len(), 36);

    let get = with(GetProductRequest { id }, &[("potter-at-least", "1"), ("x-correlation-id", "c1")]);
    let got = shop.send::<_, GetProductReply>("shop.v1.Catalogue/GetProduct", get).await.expect("found");
    assert_eq!(got.get_ref().product, created.get_ref().product);
    assert_eq!(value(&got, "x-correlation-id"), "c1");
    let list = ListProductsRequest::default();
    let list = shop.call::<_, ListProductsReply>("shop.v1.Catalogue/ListProducts", list).await.expect("listed");
    assert_eq!(list.get_ref().total, 1);
}

#[tokio::test]
async fn a_version_may_be_expected() {
    let shop = Shop::open().await;
    let id = shop.call::<_, ProductReply>(CREATE, table()).await.expect("created").into_inner().product_id;
    let update = |version: &str| {
        let request = UpdateProductRequest { product_id: id.clone(), ..Default::default() };
        shop.send::<_, ProductReply>(UPDATE, with(request, &[("potter-expected-version", version)]))
    };
    assert_eq!(value(&update("1").await.expect("updated"), "potter-version"), "2");
    assert_eq!(update("1").await.expect_err("stale").code(), Code::Aborted);
    assert_eq!(update("x").await.expect_err("no number").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_version_may_be_expected_as_rest_has_it() {
    let shop = Shop::open().await;
    let id = shop.call::<_, ProductReply>(CREATE, table()).await.expect("created").into_inner().product_id;
    let update = |tag: &str| {
        let request = UpdateProductRequest { product_id: id.clone(), ..Default::default() };
        shop.send::<_, ProductReply>(UPDATE, with(request, &[("if-match", tag)]))
    };
    assert_eq!(value(&update("\"1\"").await.expect("updated"), "potter-version"), "2");
    assert_eq!(update("1").await.expect_err("stale").code(), Code::Aborted);
    assert_eq!(value(&update("2").await.expect("updated"), "potter-version"), "3");
    assert_eq!(value(&update("*").await.expect("updated"), "potter-version"), "4");
    assert_eq!(update("x").await.expect_err("no version").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_repeat_under_the_same_key_gets_the_recorded_reply() {
    let shop = Shop::open().await;
    let create = || shop.send::<_, ProductReply>(CREATE, with(table(), &[("idempotency-key", "k1")]));
    let first = create().await.expect("created");
    let again = create().await.expect("repeated");
    assert_eq!(again.get_ref(), first.get_ref());
    assert_eq!(value(&again, "potter-replayed"), "true");
}

#[tokio::test]
async fn a_deadline_holds() {
    let shop = Shop::open().await;
    let mut request = Request::new(());
    // The client watches the clock as well, but the server answers a little earlier.
    request.set_timeout(Duration::from_secs(1));
    let late = shop.send::<(), ()>("shop.v1.Mirror/Sleep", request).await.expect_err("never answers");
    assert_eq!((late.code(), late.message()), (Code::DeadlineExceeded, "the deadline passed"));
}

#[tokio::test]
async fn a_query_without_a_deadline_ends_as_well() {
    let shop = Shop::open_with(Options::default(), impatient()).await;
    let late = shop.call::<(), ()>("shop.v1.Mirror/Sleep", ()).await.expect_err("never answers");
    assert_eq!(late.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_message_may_be_too_large() {
    let shop = Shop::open_with(Options { body_limit: 64, ..Options::default() }, impatient()).await;
    let reflect = |length: usize| {
        let request = Everything { text: "x".repeat(length), ..Default::default() };
        shop.call::<_, Everything>("shop.v1.Mirror/Reflect", request)
    };
    assert_eq!(reflect(60).await.expect("small").get_ref().text.len(), 60);
    assert_eq!(reflect(65).await.expect_err("large").code(), Code::OutOfRange);
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented() {
    let shop = Shop::open().await;
    for rpc in ["shop.v1.Mirror/Shatter", "shop.v1.Shop/Open", "nonsense"] {
        let status = shop.call::<(), ()>(rpc, ()).await.expect_err(rpc);
        assert_eq!(status.code(), Code::Unimplemented, "{rpc}");
    }
}
