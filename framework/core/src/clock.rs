//! The time by which the runtime measures how long something takes.

use std::time::Instant;

/// Now, as the runtime sees it: a test may have stopped its clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
