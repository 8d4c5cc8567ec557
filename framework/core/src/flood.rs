//! Lines of the log that come in floods: one of each kind now and then, with how many were left out.
//!
//! While a database or a broker is away, every request fails for the same reason; a line for each would fill disks and
//! hide what else there is to see. What is left out here is counted by metrics, and told on the level `debug`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A line of one kind is written that often at most.
const EVERY: Duration = Duration::from_secs(10);

/// Decides which lines of the log are written; lives in a `static` beside them.
///
/// ```
/// static FLOOD: potter_core::flood::Flood = potter_core::flood::Flood::new();
/// assert_eq!(FLOOD.admits("read"), Some(0), "the first is written at once");
/// assert_eq!(FLOOD.admits("read"), None);
/// assert_eq!(FLOOD.admits("write"), Some(0), "another kind");
/// ```
#[derive(Debug, Default)]
pub struct Flood {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
}

/// A kind of line.
#[derive(Debug)]
struct Kind {
    written: Instant,
    left_out: u64,
}

impl Flood {
    /// Nothing has been written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { kinds: Mutex::new(BTreeMap::new()) }
    }

    /// Whether a line of that kind is to be written now: then how many were left out since the one before.
    pub fn admits(&self, kind: &'static str) -> Option<u64> {
        self.admits_at(kind, Instant::now())
    }

    fn admits_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = kinds.get_mut(kind) else {
            kinds.insert(kind, Kind { written: now, left_out: 0 });
            return Some(0);
        };
        if now.duration_since(known.written) < EVERY {
            known.left_out += 1;
            return None;
        }
        known.written = now;
        Some(std::mem::take(&mut known.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_says_how_many_were_left_out() {
        let (flood, began) = (Flood::new(), Instant::now());
        let written: Vec<_> =
            (0..250).filter_map(|tenths| flood.admits_at("read", began + EVERY * tenths / 100)).collect();
        assert_eq!(written, [0, 99, 99]);
        assert_eq!(flood.admits_at("read", began + EVERY * 10), Some(49));
    }
}
