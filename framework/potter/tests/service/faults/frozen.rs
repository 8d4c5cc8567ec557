//! A node that is frozen (`SIGSTOP`) in mid-work and goes on when others have long done its work.

use potter::store::SharedStore;
use potter::uuid::Uuid;

use super::{Load, Place, checkpoint, until, variable};
use crate::process::Process;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_is_replaced_and_does_nothing_twice_when_it_goes_on() {
    is_replaced_and_does_nothing_twice(Place::postgres("frozen_node").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_with_read_models_in_redis_is_replaced_and_does_nothing_twice_when_it_goes_on() {
    is_replaced_and_does_nothing_twice(Place::postgres("frozen_node_with_redis").await.with_redis(2)).await;
}

/// `POTTER_FREEZES` says how often a node is frozen, in turns; once unless told.
async fn is_replaced_and_does_nothing_twice(place: Place) {
    let freezes = variable("POTTER_FREEZES", 1);
    let nodes = [place.start(), place.start()];
    let store = place.open().await;
    let load = Load::start(nodes[0].http).await;
    let mut taken_over = 0;
    for freeze in 0..freezes {
        let (frozen, other) = (&nodes[freeze % 2], &nodes[(freeze + 1) % 2]);
        let held = freeze_in_mid_work(&store, frozen, &load).await;
        load.aim([other.http]);
        let head = *store.head().borrow();
        until("another node keeps the read model", async || checkpoint(&store).await >= head).await;
        until("another node executes what was accepted", async || are_settled(&store, &held).await).await;
        taken_over += held.len();
        frozen.signal("CONT");
        load.aim([frozen.http, other.http]);
        load.goes_on(200).await;
    }
    let answered = load.answered();
    place.check(nodes, &load.stop().await).await;
    println!("{freezes} freezes, {answered} commands, {taken_over} of them taken over: 0 lost, 0 twice");
}

/// Freezes a node that holds accepted commands; answers with those.
async fn freeze_in_mid_work(store: &SharedStore, node: &Process, load: &Load) -> Vec<Uuid> {
    load.aim([node.http]);
    loop {
        load.goes_on(200).await;
        node.signal("STOP");
        let held: Vec<_> = store.pending_commands().await.expect("readable").iter().map(|it| it.id).collect();
        if !held.is_empty() {
            return held;
        }
        node.signal("CONT");
    }
}

async fn are_settled(store: &SharedStore, commands: &[Uuid]) -> bool {
    let pending = store.pending_commands().await.expect("readable");
    !pending.iter().any(|command| commands.contains(&command.id))
}
