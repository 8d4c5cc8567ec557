//! How long to wait before trying again.

use std::time::Duration;

/// 100 ms, 1 s, then 10 s; each a fifth longer or shorter by chance, so that those who failed together don't come
/// back together.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let milliseconds = match attempt {
        0 | 1 => 100,
        2 => 1000,
        _ => 10_000,
    };
    Duration::from_millis(milliseconds).mul_f64(0.8 + 0.4 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::backoff;

    #[test]
    fn a_wait_is_about_as_long_as_the_attempt_says_and_never_the_same() {
        let waits: Vec<_> = (0..20).map(|_| backoff(2).as_millis()).collect();
        assert!(waits.iter().all(|wait| (800..=1200).contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }
}
