//! A node that is frozen (`SIGSTOP`) while it publishes to NATS, and goes on when another has long published the same.

use tokio::time::timeout;

use super::{Load, PATIENCE, Place, broker, published, until, variable};
use crate::process::Process;

#[path = "../../../../messaging/tests/killed/kept.rs"]
mod kept;

/// `POTTER_FREEZES` says how often the node that publishes is frozen; once unless told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_publisher_is_replaced_and_nothing_is_lost_or_out_of_order_when_it_goes_on() {
    let freezes = variable("POTTER_FREEZES", 1);
    let data = tempfile::tempdir().expect("a directory");
    let nats = broker::Server::start(broker::free_port(), data.path());
    let place = Place::postgres("frozen_publisher").await.with_nats(&nats.url);
    let nodes = [place.start(), place.start()];
    let load = Load::start(nodes[0].http).await;
    for _ in 0..freezes {
        load.aim([nodes[0].http, nodes[1].http]);
        let (frozen, other) = freeze_publisher(&nodes, &load).await;
        load.aim([other.http]);
        let before = published(other.http).await;
        until("another node publishes", async || published(other.http).await > before).await;
        frozen.signal("CONT");
        load.aim([frozen.http, other.http]);
        load.goes_on(200).await;
    }
    let ledger = load.stop().await;
    let store = place.open().await;
    until("every command has its outcome", async || store.pending_commands().await.expect("readable").is_empty()).await;
    let log = store.read_all(0, usize::MAX).await.expect("readable");
    let repeats = kept::hold_against_the_log(&broker::connect(&nats.url).await, &log).await;
    assert_eq!(repeats, 0, "the broker drops what comes twice within its window");
    place.check(nodes, &ledger).await;
    println!("{freezes} freezes of the publisher, {} events: 0 lost, 0 out of order, 0 twice", log.len());
}

/// Freezes the node that publishes, amidst commands; answers with it and the other, which doesn't.
async fn freeze_publisher<'a>(nodes: &'a [Process; 2], load: &Load) -> (&'a Process, &'a Process) {
    let counts = async || [published(nodes[0].http).await, published(nodes[1].http).await];
    let found = async {
        loop {
            let before = counts().await;
            load.goes_on(200).await;
            let after = counts().await;
            match [after[0] > before[0], after[1] > before[1]] {
                [true, false] => break (&nodes[0], &nodes[1]),
                [false, true] => break (&nodes[1], &nodes[0]),
                // Nobody has yet, or the lead went over.
                [false, false] | [true, true] => {}
            }
        }
    };
    let (publisher, other) = timeout(PATIENCE, found).await.expect("one of them publishes");
    publisher.signal("STOP");
    (publisher, other)
}
