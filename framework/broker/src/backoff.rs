//! How long to wait before trying again.

use std::time::Duration;

/// 100 ms, 1 s, then 10 s; each a fifth longer or shorter by chance, so that those who failed together don't come
/// back together.
///
/// ```
/// let second = potter_broker::backoff::backoff(2);
/// assert!((800..=1200).contains(&second.as_millis()));
/// ```
#[must_use]
pub fn backoff(attempt: u32) -> Duration {
    let milliseconds = match attempt {
        0 | 1 => 100,
        2 => 1000,
        _ => 10_000,
    };
    Duration::from_millis(milliseconds).mul_f64(0.8 + 0.4 * fastrand::f64())
}

/// 100 ms, then 1 s, about: what is out of reach comes back, and nobody shall wait for long then.
///
/// ```
/// assert!(potter_broker::backoff::outage(100).as_millis() <= 1200);
/// ```
#[must_use]
pub fn outage(attempt: u32) -> Duration {
    backoff(attempt.min(2))
}
