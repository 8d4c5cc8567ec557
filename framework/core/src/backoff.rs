//! How long to wait before trying again.

use std::time::Duration;

/// 100 ms, 1 s, then 10 s.
pub(crate) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(match attempt {
        0 | 1 => 100,
        2 => 1000,
        _ => 10_000,
    })
}
