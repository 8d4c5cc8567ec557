//! A service that is told to stop (`SIGTERM`) in mid-load.

use super::{Load, Place};

/// It ends in order and within its time; what it had begun is finished, or left for the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_told_to_stop_under_load_drains_and_loses_nothing() {
    let place = Place::sqlite();
    let service = place.start();
    let load = Load::start(service.http).await;
    load.goes_on(200).await;
    service.signal("TERM");
    let (status, log) = service.wait_with_log();
    // It would be 1, had the time been over before everything was drained.
    assert_eq!(status.code(), Some(0), "{log:?}");
    assert_eq!(log.last().expect("it says so")["message"], "stopped");
    let service = place.start();
    load.aim([service.http]);
    load.goes_on(100).await;
    let answered = load.answered();
    place.check([service], &load.stop().await).await;
    println!("told to stop amidst {answered} commands: 0 lost, 0 twice");
}
