//! Queries: they see what was acknowledged, page through it, and are cached no longer than it is true.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use potter_core::dispatch::{Dispatcher, Options, Outcome, Request, RequestMetadata, StartError};
use potter_core::failure::{Failure, FailureKind, codes};
use potter_core::memory::MemoryStore;
use potter_core::module::Module;
use potter_core::query::Query;
use potter_core::testing::TestApp;
use prost::Message;

use crate::commands::app;
use crate::product::{self, *};
use crate::stores::TestStore;

async fn list(app: &TestApp, query: ListProducts) -> Result<ProductList, Failure> {
    app.call(LIST, &query).await
}

fn names(list: &ProductList) -> Vec<&str> {
    list.products.iter().map(|product| product.name.as_str()).collect()
}

async fn with_products(count: i64) -> TestApp {
    let app = app().await;
    for number in 0..count {
        let request = create(&format!("p{number}"), &format!("name {number}"), number);
        app.call::<_, ProductReply>(CREATE, &request).await.expect("created");
    }
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_sees_what_was_acknowledged_before_it() {
    let app = app().await;
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 1000)).await.expect("created");
    for left in (900..1000).rev() {
        app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
        let product: Product = app.call(GET, &get("p")).await.expect("found");
        assert_eq!(product.stock, left);
    }
    app.call::<_, ()>(DELETE, &delete("p")).await.expect("deleted");
    let failure = app.call::<_, Product>(GET, &get("p")).await.expect_err("deleted");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Refused, codes::NOT_FOUND));
}

#[tokio::test(start_paused = true)]
async fn a_read_model_that_stays_behind_is_unavailable() {
    let store = TestStore::new();
    let app = store.start().await;
    store.fail_projections(u32::MAX);
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let began = tokio::time::Instant::now();
    let failure = app.call::<_, Product>(GET, &get("p")).await.expect_err("it takes nothing in");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, codes::UNAVAILABLE));
    assert_eq!(failure.message, "the read model `Products` cannot go on now");
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for what cannot go on");
    let anything = RequestMetadata { at_least: Some(0), ..RequestMetadata::default() };
    let failure = app.send(GET, &get("p"), anything).await.expect_err("not there yet, and that is fine");
    assert_eq!(failure.code, codes::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_what_never_comes() {
    let app = app().await;
    let never = RequestMetadata { at_least: Some(1000), ..RequestMetadata::default() };
    let failure = app.send(GET, &get("p"), never).await.expect_err("it never comes");
    assert_eq!(failure.message, "the read model `Products` is behind");
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_ask_for_a_position_that_is_still_to_come() {
    let app = Arc::new(app().await);
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    let later = RequestMetadata { at_least: Some(2), ..RequestMetadata::default() };
    let asking = tokio::spawn({
        let app = app.clone();
        async move { app.send(GET, &get("p"), later).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!asking.is_finished());
    app.call::<_, ProductReply>(RESERVE, &reserve("p", 1)).await.expect("reserved");
    let reply = asking.await.expect("no panic").expect("answered");
    assert_eq!(reply.outcome, Outcome::Queried);
    assert_eq!(Product::decode(reply.body).expect("a product").stock, 4);
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_bug_of_that_query_only() {
    let app = with_products(1).await;
    let failure = app.call::<_, Product>(GET, &get("panic")).await.expect_err("the handler panics");
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Bug, codes::INTERNAL));
    app.call::<_, Product>(GET, &get("p0")).await.expect("life goes on");
}

#[tokio::test]
async fn pages_follow_each_other_by_number_and_by_token() {
    let app = with_products(45).await;
    let first = list(&app, ListProducts::default()).await.expect("listed");
    assert_eq!((first.products.len(), first.total), (20, 45));
    let third = list(&app, ListProducts { page: 3, ..ListProducts::default() }).await.expect("listed");
    assert_eq!((third.products.len(), third.next_page_token.as_str()), (5, ""));
    let mut seen = first.products.clone();
    let mut token = first.next_page_token;
    while !token.is_empty() {
        let query = ListProducts { page_token: token, page_size: 10, ..ListProducts::default() };
        let page = list(&app, query).await.expect("listed");
        seen.extend(page.products);
        token = page.next_page_token;
    }
    seen.sort_by_key(|product| product.stock);
    assert_eq!(seen.iter().map(|product| product.stock).collect::<Vec<_>>(), (0..45).collect::<Vec<_>>());
}

#[tokio::test]
async fn filters_that_are_not_set_are_no_filters() {
    let app = with_products(5).await;
    let all = list(&app, ListProducts::default()).await.expect("listed");
    assert_eq!(all.total, 5);
    let zero = list(&app, ListProducts { min_stock: Some(0), ..ListProducts::default() }).await.expect("listed");
    assert_eq!(zero.total, 5);
    let three = list(&app, ListProducts { min_stock: Some(3), ..ListProducts::default() }).await.expect("listed");
    assert_eq!(names(&three), ["name 3", "name 4"]);
    let one = list(&app, ListProducts { name: "name 2".to_owned(), ..ListProducts::default() }).await.expect("listed");
    assert_eq!(names(&one), ["name 2"]);
}

#[tokio::test]
async fn callers_order_by_what_they_like_and_are_told_what_there_is_not() {
    let app = with_products(3).await;
    let ordered = |order: &str| ListProducts { order_by: order.to_owned(), ..ListProducts::default() };
    for (order, expected) in [
        ("stock desc", ["name 2", "name 1", "name 0"]),
        ("name", ["name 0", "name 1", "name 2"]),
        ("name asc, stock DESC", ["name 0", "name 1", "name 2"]),
        ("id desc", ["name 2", "name 1", "name 0"]),
    ] {
        let listed = list(&app, ordered(order)).await.expect(order);
        assert_eq!(names(&listed), expected, "{order}");
    }
    for order in
        ["colour", "name sideways", "name desc please", "potter_row", "name, name desc", "name; DROP TABLE products"]
    {
        let failure = list(&app, ordered(order)).await.expect_err(order);
        assert_eq!(failure.violations[0].field, "order_by", "{order}");
    }
}

#[tokio::test]
async fn pages_that_cannot_be_are_invalid_at_their_field() {
    let app = with_products(1).await;
    for (query, field) in [
        (ListProducts { page: -1, ..ListProducts::default() }, "page"),
        (ListProducts { page_size: -1, ..ListProducts::default() }, "page_size"),
        (ListProducts { page_token: "made up".to_owned(), ..ListProducts::default() }, "page_token"),
    ] {
        let failure = list(&app, query).await.expect_err(field);
        assert_eq!((failure.kind, failure.violations[0].field.as_str()), (FailureKind::Invalid, field));
    }
    let beyond = list(&app, ListProducts { page: i32::MAX, ..ListProducts::default() }).await.expect("empty");
    assert_eq!((beyond.products.len(), beyond.total), (0, 1));
}

/// A module whose only query counts how often it is really answered.
fn counting(answers: Arc<AtomicUsize>, ttl_seconds: Option<u64>) -> Module {
    let mut module = product::module(Catalogue);
    let query = Query::declare("shop.Catalogue/Count", move |query: ListProducts, context| {
        let answers = answers.clone();
        async move {
            answers.fetch_add(1, Ordering::SeqCst);
            let products = Views::new(&context).products.find().fetch().await?.total_as();
            Ok::<_, Failure>(ProductList { total: products, next_page_token: query.name, ..ProductList::default() })
        }
    });
    module.query(query.reads(&["Products"]).cached(ttl_seconds));
    module
}

async fn count(app: &TestApp, name: &str, actor: Option<&str>) -> i32 {
    let query = ListProducts { name: name.to_owned(), ..ListProducts::default() };
    let metadata = RequestMetadata { actor: actor.map(str::to_owned), ..RequestMetadata::default() };
    let reply = app.send("shop.Catalogue/Count", &query, metadata).await.expect("counted");
    let list = ProductList::decode(reply.body).expect("a list");
    assert_eq!(list.next_page_token, name, "the answer to another request");
    list.total
}

#[tokio::test]
async fn a_cached_answer_is_given_until_the_read_model_changes() {
    let answers = Arc::new(AtomicUsize::new(0));
    let app = TestApp::start(counting(answers.clone(), None)).await;
    for _ in 0..3 {
        assert_eq!(count(&app, "", None).await, 0);
    }
    assert_eq!(answers.load(Ordering::SeqCst), 1);
    app.call::<_, ProductReply>(CREATE, &create("p", "Pen", 5)).await.expect("created");
    assert_eq!(count(&app, "", None).await, 1);
    assert_eq!(answers.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn answers_are_cached_by_every_parameter_and_by_who_asks() {
    let answers = Arc::new(AtomicUsize::new(0));
    let app = TestApp::start(counting(answers.clone(), None)).await;
    for (name, actor) in [("a", None), ("b", None), ("a", Some("ada")), ("a", Some("bob")), ("a", None)] {
        count(&app, name, actor).await;
    }
    assert_eq!(answers.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn two_spellings_of_a_request_have_one_answer() {
    let answers = Arc::new(AtomicUsize::new(0));
    let app = TestApp::start(counting(answers.clone(), None)).await;
    count(&app, "a", None).await;
    // The default value written out, which protobuf allows.
    let spelt_out = [b"\x0a\x01a".as_slice(), b"\x18\x00"].concat();
    let request = Request { body: spelt_out.into(), ..Request::default() };
    app.dispatcher().call("shop.Catalogue/Count", request).await.expect("counted");
    assert_eq!(answers.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_without_a_lifetime_left_is_not_given_again() {
    let answers = Arc::new(AtomicUsize::new(0));
    let app = TestApp::start(counting(answers.clone(), Some(0))).await;
    count(&app, "", None).await;
    count(&app, "", None).await;
    assert_eq!(answers.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cached_answer_is_older_than_what_was_acknowledged() {
    let app = Arc::new(TestApp::start(counting(Arc::default(), Some(300))).await);
    let readers = (0..4).map(|_| {
        let app = app.clone();
        tokio::spawn(async move {
            let mut last = 0;
            while last < 100 {
                let now = count(&app, "", None).await;
                assert!(now >= last, "{now} after {last}");
                last = now;
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for number in 1..=100 {
        let id = format!("p{number}");
        app.call::<_, ProductReply>(CREATE, &create(&id, &id, 1)).await.expect("created");
        assert_eq!(count(&app, "", None).await, number);
    }
    for reader in readers {
        reader.await.expect("no reader saw time go back");
    }
}

#[tokio::test]
async fn a_query_of_an_unknown_read_model_is_found_at_the_start() {
    let mut module = Module::new("shop", "");
    module.query(
        Query::declare(GET, |_: GetProduct, _| async { Ok::<Product, Failure>(Product::default()) })
            .reads(&["Nothing"]),
    );
    let started = Dispatcher::start(module, Arc::new(MemoryStore::new()), Options::default()).await;
    assert!(matches!(started.err(), Some(StartError::UnknownReadModel { read_model: "Nothing", .. })));
}

#[tokio::test]
async fn an_rpc_declared_twice_is_found_at_the_start() {
    let mut module = product::module(Catalogue);
    module.query(Query::declare(GET, |_: GetProduct, _| async { Ok::<Product, Failure>(Product::default()) }));
    let started = Dispatcher::start(module, Arc::new(MemoryStore::new()), Options::default()).await;
    assert!(matches!(started.err(), Some(StartError::DuplicateRpc(GET))));
}
