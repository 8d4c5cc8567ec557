//! What a whole service counts, held against `docs/reference/metrics.md`: every metric of the page is there, with its kind and
//! its labels, nothing else is, and each has moved as the page says.
//!
//! A program of its own with one test, because all that runs in a process is counted together.

mod page;
mod scrape;
mod shop;

#[expect(dead_code, reason = "the other tests use the rest of it")]
#[path = "../service/http.rs"]
mod http;
#[path = "../../../nats/tests/server/mod.rs"]
mod server;

use std::time::Instant;

use potter::uuid::Uuid;
use shop::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_lists_what_a_service_counts_and_each_moves_as_it_says() {
    let began = Instant::now();
    let mut shop = Shop::start().await;
    requests(&shop).await;
    asynchronous_commands(&shop).await;
    queries(&shop).await;
    messages_in(&shop).await;
    an_event_that_nothing_takes_in(&shop).await;
    an_event_that_the_broker_does_not_take(&shop).await;
    a_broker_that_is_away(&mut shop).await;
    everything_comes_to_rest(&shop).await;

    let scraped = shop.scrape().await;
    scraped.check_seconds(began.elapsed());
    let (there, said) = (scraped.described(), page::described());
    for metric in there.keys().chain(said.keys()) {
        assert_eq!(there.get(metric), said.get(metric), "{metric}, and what docs/reference/metrics.md says of it");
    }
}

const CREATE: &str = "shop.create_product";
const IMPORT: &str = "shop.import_product";
const RESERVE: &str = "shop.reserve_stock";
const UPDATE: &str = "shop.update_product";

/// Commands that are answered at once, in every way that a caller can bring about.
async fn requests(shop: &Shop) {
    shop.post("/products", r#"{"name":"lamp","stock":5}"#, "idempotency-key: k\r\n", 201).await;
    shop.post("/products", r#"{"name":"lamp","stock":5}"#, "idempotency-key: k\r\n", 201).await;
    shop.post("/products", r#"{"name":"desk","stock":5}"#, "idempotency-key: k\r\n", 409).await;
    shop.put(&format!("/products/{}", "x".repeat(300)), "{}", 400).await;
    shop.put("/products/none", "{}", 404).await;
    for (command, outcome) in
        [(CREATE, "ok"), (CREATE, "replayed"), (CREATE, "conflict"), (UPDATE, "invalid"), (UPDATE, "refused")]
    {
        shop.counts("potter_commands_total", &[("name", command), ("outcome", outcome)], 1.0).await;
    }
    for (command, code) in [(CREATE, "IDEMPOTENCY_KEY_REUSED"), (UPDATE, "INVALID_REQUEST"), (UPDATE, "NOT_FOUND")] {
        shop.counts("potter_errors_total", &[("name", command), ("code", code)], 1.0).await;
    }
    shop.counts("potter_command_duration_seconds_count", &[("name", CREATE)], 3.0).await;
    shop.counts("potter_events_total", &[("name", "product.created")], 1.0).await;
    let route = [("method", "POST"), ("route", "/products")];
    for (status, count) in [("201", 2.0), ("409", 1.0)] {
        shop.counts("http_requests_total", &[&route[..], &[("status", status)]].concat(), count).await;
    }
    shop.counts("http_request_duration_seconds_count", &route, 3.0).await;
}

/// One that is executed, and one that is tried four times and fails: for so long that it is seen waiting.
async fn asynchronous_commands(shop: &Shop) {
    let imported = shop.post("/products:import", r#"{"name":"torch","stock":5}"#, "", 202).await;
    shop.counts("potter_commands_total", &[("name", IMPORT), ("outcome", "ok")], 1.0).await;
    shop.counts("potter_commands_total", &[("name", IMPORT), ("outcome", "accepted")], 1.0).await;
    shop.counts("potter_pending_commands", &[("name", "")], 0.0).await;
    let reserve = format!("/products/{}/reserve", imported["productId"].as_str().expect("an id"));
    let waits = shop.counts("potter_pending_commands", &[("name", "")], 1.0);
    tokio::join!(waits, shop.post(&reserve, r#"{"quantity":7}"#, "", 202));
    shop.counts("potter_worker_retries_total", &[("name", RESERVE)], 3.0).await;
    shop.counts("potter_worker_failures_total", &[("name", RESERVE)], 1.0).await;
    shop.counts("potter_commands_total", &[("name", RESERVE), ("outcome", "refused")], 4.0).await;
    shop.counts("potter_pending_commands", &[("name", "")], 0.0).await;
    shop.counts("potter_published_total", &[("name", "outcomes")], 2.0).await;
}

/// Over REST and gRPC; the second of two equal ones is known already.
async fn queries(shop: &Shop) {
    const LIST: &str = "shop.v1.Catalogue/ListProducts";
    shop.get("/products?name=lamp").await;
    shop.get("/products?name=lamp").await;
    shop.ask_over_grpc("desk").await;
    shop.counts("potter_queries_total", &[("name", LIST), ("outcome", "ok")], 3.0).await;
    shop.counts("potter_query_duration_seconds_count", &[("name", LIST)], 3.0).await;
    shop.counts("potter_query_cache_total", &[("name", LIST), ("result", "hit")], 1.0).await;
    shop.counts("potter_query_cache_total", &[("name", LIST), ("result", "miss")], 2.0).await;
    shop.counts("grpc_requests_total", &[("rpc", LIST), ("code", "OK")], 1.0).await;
    shop.counts("grpc_request_duration_seconds_count", &[("rpc", LIST)], 1.0).await;
}

/// Commands over the broker, and the supplier's events: new, for the second time, only at the second try, and bad.
async fn messages_in(shop: &Shop) {
    let id = Uuid::now_v7();
    shop.send_command(CREATE, id).await;
    shop.counts("potter_broker_commands_total", &[("name", "accepted")], 1.0).await;
    shop.counts("potter_published_total", &[("name", "outcomes")], 3.0).await;
    shop.send_command(CREATE, id).await;
    shop.counts("potter_broker_commands_total", &[("name", "repeated")], 1.0).await;
    shop.send_command("shop.fly", Uuid::now_v7()).await;
    shop.counts("potter_broker_commands_total", &[("name", "refused")], 1.0).await;
    shop.send_nonsense().await;
    shop.counts("potter_broker_commands_total", &[("name", "refused")], 2.0).await;
    shop.counts("potter_dead_letters", &[("name", "commands")], 1.0).await;
    for (id, name) in [("1", "pen"), ("1", "pen"), ("2", "late"), ("3", "bad")] {
        shop.list_article(id, name).await;
    }
    let articles = ("name", "articles");
    for (outcome, count) in [("processed", 2.0), ("repeated", 1.0), ("set_aside", 1.0)] {
        shop.counts("potter_subscription_events_total", &[articles, ("outcome", outcome)], count).await;
    }
    shop.counts("potter_subscription_retries_total", &[articles], 1.0).await;
    shop.counts("potter_subscription_duration_seconds_count", &[articles], 4.0).await;
    shop.counts("potter_subscription_lag", &[articles], 0.0).await;
    shop.counts("potter_dead_letters", &[articles], 1.0).await;
}

async fn an_event_that_nothing_takes_in(shop: &Shop) {
    shop.record_nonsense().await;
    shop.counts("potter_projection_parked_events", &[("name", "Products")], 1.0).await;
}

async fn an_event_that_the_broker_does_not_take(shop: &Shop) {
    shop.post("/products", &serde_json::json!({ "name": "x".repeat(1_100_000) }).to_string(), "", 201).await;
    shop.counts("potter_dead_letters", &[("name", "outgoing")], 1.0).await;
}

/// What is published then waits, and calls fail, first for themselves and then because there were too many of them.
async fn a_broker_that_is_away(shop: &mut Shop) {
    shop.rests().await;
    let failed = shop.value("potter_publish_failures_total", &[("name", "events")]).await;
    shop.kill_broker();
    shop.post("/products", r#"{"name":"vase"}"#, "", 201).await;
    shop.counts("potter_outgoing_lag", &[("name", "")], 1.0).await;
    shop.exceeds("potter_outgoing_lag_seconds", &[("name", "")], 0.0).await;
    shop.exceeds("potter_publish_failures_total", &[("name", "events")], failed).await;
    for what in ["outages", "retries", "rejections"] {
        shop.exceeds(&format!("potter_guarded_call_{what}_total"), &[("part", "broker")], 0.0).await;
    }
    shop.restart_broker();
    shop.rests().await;
    shop.counts("potter_outgoing_lag_seconds", &[("name", "")], 0.0).await;
}

/// What every counter of events has come to, once everything that was recorded is published and taken in.
async fn everything_comes_to_rest(shop: &Shop) {
    shop.rests().await;
    let recorded = shop.recorded().await;
    // One event is parked, and one was too large.
    shop.counts("potter_projection_events_total", &[("name", "Products")], recorded - 1.0).await;
    shop.counts("potter_projection_lag_events", &[("name", "Products")], 0.0).await;
    shop.counts("potter_published_total", &[("name", "events")], recorded - 1.0).await;
    shop.counts("potter_publish_delay_seconds_count", &[("name", "events")], recorded - 1.0).await;
    for part in ["database", "broker"] {
        shop.exceeds("potter_guarded_call_duration_seconds_count", &[("part", part)], 0.0).await;
    }
    shop.counts("potter_pool_connections", &[("pool", "postgres")], f64::from(shop::POOL_SIZE)).await;
    for what in ["in_use", "waiting"] {
        shop.counts(&format!("potter_pool_{what}"), &[("pool", "postgres")], 0.0).await;
    }
}
