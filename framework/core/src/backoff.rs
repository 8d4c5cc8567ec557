//! How long to wait before trying again.

use std::time::Duration;

/// 100 ms, 1 s, then 10 s, about: what failed may fail for good.
///
/// ```
/// let second = potter_core::backoff::backoff(2);
/// assert!((800..=1200).contains(&second.as_millis()));
/// ```
#[must_use]
pub fn backoff(attempt: u32) -> Duration {
    by_chance(Duration::from_millis(match attempt {
        0 | 1 => 100,
        2 => 1000,
        _ => 10_000,
    }))
}

/// 100 ms, then 1 s, about: what is out of reach comes back, and nobody shall wait for long then.
///
/// ```
/// assert!(potter_core::backoff::outage(100).as_millis() <= 1200);
/// ```
#[must_use]
pub fn outage(attempt: u32) -> Duration {
    backoff(attempt.min(2))
}

/// A fifth longer or shorter, so that those who failed together don't come back together.
pub(crate) fn by_chance(wait: Duration) -> Duration {
    wait.mul_f64(0.8 + 0.4 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::{backoff, outage};

    #[test]
    fn a_wait_is_about_as_long_as_the_attempt_says_and_never_the_same() {
        let waits: Vec<_> = (0..20).map(|_| backoff(2).as_millis()).collect();
        assert!(waits.iter().all(|wait| (800..=1200).contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }

    #[test]
    fn nobody_waits_long_for_what_is_out_of_reach() {
        assert!((1..100).all(|attempt| outage(attempt).as_millis() <= 1200));
    }
}
