//! A service that is killed (`SIGKILL`) in mid-load and started again, again and again.

use super::{Load, Place, variable};

/// `POTTER_KILLS` says how often; three times unless told.
async fn nothing_is_lost_or_done_twice_by_kills(place: Place) {
    let kills = variable("POTTER_KILLS", 3);
    let mut service = place.start();
    let load = Load::start(service.http).await;
    for kill in 0..kills {
        // From the first commands to well into the load, without rhythm.
        load.goes_on(1 + kill * 7919 % 400).await;
        service.signal("KILL");
        service.wait();
        service = place.start();
        load.aim([service.http]);
    }
    load.goes_on(200).await;
    let answered = load.answered();
    place.check([service], &load.stop().await).await;
    println!("{kills} kills on {}, {answered} commands: 0 lost, 0 twice", place.kind());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_by_kills_on_sqlite() {
    nothing_is_lost_or_done_twice_by_kills(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_by_kills_on_postgres() {
    nothing_is_lost_or_done_twice_by_kills(Place::postgres("killed_service").await).await;
}
