//! A service that is killed (`SIGKILL`) while it takes in events: the rows are those of the position, whenever that is.

use potter::store::contract::ledger::{self, Ledger};
use potter_sample::Products;
use tokio::sync::watch;

use super::rebuilt::{keep_writing, write};
use super::{Place, checkpoint, until, variable};

/// Products that are there already when the service starts, so that it has something to take in.
const BACKLOG: usize = 100;

/// `POTTER_KILLS` says how often; three times unless told.
async fn rows_and_position_are_never_apart(place: Place) {
    let kills = variable("POTTER_KILLS", 3);
    let mut service = place.start();
    let store = place.open().await;
    let writing = watch::Sender::new(true);
    let writer = tokio::spawn(keep_writing(store.clone(), writing.subscribe()));
    let (mut at, mut behind) = (0, 0);
    for kill in 0..kills {
        write(&store, BACKLOG).await;
        // From the first batch to well into them, without rhythm.
        let enough = at + 1 + (kill as u64) * 7919 % 600;
        until("events are taken in", async || checkpoint(&store).await >= enough).await;
        service.signal("KILL");
        service.wait();
        at = ledger::check_rows_at_position::<Products>(&*store).await;
        behind += usize::from(at < *store.head().borrow());
        service = place.start();
    }
    writing.send_replace(false);
    writer.await.expect("no panic");
    place.check([service], &Ledger::new()).await;
    println!("{kills} kills on {}, {behind} of them in mid-work: rows and position never apart", place.kind());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_position_in_redis_are_never_apart() {
    rows_and_position_are_never_apart(Place::sqlite().with_redis(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_position_in_the_database_are_never_apart() {
    rows_and_position_are_never_apart(Place::postgres("killed_while_projecting").await).await;
}
