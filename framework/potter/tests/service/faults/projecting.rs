//! A service that is killed (`SIGKILL`) while it takes in events: the rows are those of the position, whenever that is.

use potter::store::contract::ledger::{self, Ledger};
use potter_sample::Products;

use super::rebuilt::write;
use super::{Place, checkpoint, until, variable};

/// Products that are recorded before each kill, ten events each.
const PRODUCTS: usize = 200;

/// `POTTER_KILLS` says how often; three times unless told.
async fn rows_and_position_are_never_apart(place: Place) {
    let kills = variable("POTTER_KILLS", 3);
    let mut service = place.start();
    let store = place.open().await;
    let mut in_mid_work = 0;
    for kill in 0..kills {
        let at = checkpoint(&store).await;
        write(&store, PRODUCTS).await;
        // From the first batch to well into them, without rhythm.
        let enough = at + 1 + (kill as u64) * 7919 % 1_500;
        until("events are taken in", async || checkpoint(&store).await >= enough).await;
        service.signal("KILL");
        service.wait();
        let at = ledger::check_rows_at_position::<Products>(&*store).await;
        in_mid_work += usize::from(at < *store.head().borrow());
        service = place.start();
    }
    assert!(in_mid_work > 0, "no kill came while events waited");
    place.check([service], &Ledger::new()).await;
    println!("{kills} kills on {}, {in_mid_work} of them in mid-work: rows and position never apart", place.kind());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_position_in_redis_are_never_apart() {
    rows_and_position_are_never_apart(Place::sqlite().with_redis(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_position_in_the_database_are_never_apart() {
    rows_and_position_are_never_apart(Place::postgres("killed_while_projecting").await).await;
}
