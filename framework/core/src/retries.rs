//! How often what has failed is tried again, and after how long.

use std::time::Duration;

use crate::backoff::by_chance;

/// What is tried again after each of some waits, and then given up.
///
/// Default: 100 ms, 1 s and 10 s, so four tries.
///
/// ```
/// use std::time::Duration;
/// use potter_core::retries::Retries;
///
/// let retries = Retries::default();
/// assert!(retries.after(1).is_some_and(|wait| wait < Duration::from_millis(150)));
/// assert_eq!(retries.after(4), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries(Vec<Duration>);

impl Retries {
    /// Tries again after each of these waits.
    #[must_use]
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// Gives up at once.
    #[must_use]
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// How long to wait after so many failures, a fifth longer or shorter by chance; `None`: give up.
    #[must_use]
    pub fn after(&self, failures: usize) -> Option<Duration> {
        self.0.get(failures.saturating_sub(1)).copied().map(by_chance)
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self([100, 1000, 10_000].map(Duration::from_millis).into())
    }
}
