//! What the writer remembers of streams, so that it needs no search for the version of one it has just written to.
//!
//! Only appends change a version, and each moves the head of the log: as long as the head is where the writer left it,
//! nobody else has appended, and what it remembers is true.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Streams that are remembered at most; a power of two, so that the hash is cut rather than divided.
const SLOTS: usize = 1 << 14;

/// Versions of the streams that were written to last. A stream has one place to be in, which it takes from another.
pub(crate) struct Versions {
    slots: Box<[Slot]>,
    hasher: RandomState,
    /// What was noted in an earlier one is forgotten.
    epoch: u64,
    /// Where the last transaction left the head; `None`: one is open or was rolled back.
    left_at: Option<u64>,
}

#[derive(Clone, Default)]
struct Slot {
    epoch: u64,
    aggregate: &'static str,
    aggregate_id: String,
    version: u64,
}

impl Versions {
    pub(crate) fn new() -> Self {
        Self { slots: vec![Slot::default(); SLOTS].into(), hasher: RandomState::default(), epoch: 1, left_at: None }
    }

    /// A transaction has begun with the log at `head`.
    pub(crate) fn begin(&mut self, head: u64) {
        if self.left_at.take() != Some(head) {
            self.forget();
        }
    }

    /// That transaction has been committed with the log at `head`.
    pub(crate) fn committed(&mut self, head: u64) {
        self.left_at = Some(head);
    }

    /// Somebody may have written who doesn't move the head.
    pub(crate) fn forget(&mut self) {
        self.epoch += 1;
    }

    pub(crate) fn get(&self, aggregate: &str, aggregate_id: &str) -> Option<u64> {
        let slot = &self.slots[self.place(aggregate, aggregate_id)];
        let same = slot.epoch == self.epoch && slot.aggregate_id == aggregate_id && slot.aggregate == aggregate;
        same.then_some(slot.version)
    }

    pub(crate) fn set(&mut self, aggregate: &'static str, aggregate_id: &str, version: u64) {
        let place = self.place(aggregate, aggregate_id);
        let slot = &mut self.slots[place];
        (slot.epoch, slot.aggregate, slot.version) = (self.epoch, aggregate, version);
        aggregate_id.clone_into(&mut slot.aggregate_id);
    }

    fn place(&self, aggregate: &str, aggregate_id: &str) -> usize {
        let hash = self.hasher.hash_one((aggregate, aggregate_id));
        usize::try_from(hash % SLOTS as u64).expect("less than the number of slots")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a transaction that left the head at 10.
    fn after_one() -> Versions {
        let mut versions = Versions::new();
        versions.begin(9);
        versions.set("Thing", "1", 3);
        versions.committed(10);
        versions
    }

    #[test]
    fn a_version_is_remembered_while_nobody_else_writes() {
        let mut versions = after_one();
        versions.begin(10);
        assert_eq!(versions.get("Thing", "1"), Some(3));
        assert_eq!(versions.get("Other", "1"), None);
        versions.set("Thing", "1", 4);
        assert_eq!(versions.get("Thing", "1"), Some(4));
    }

    #[test]
    fn what_others_may_have_changed_is_forgotten() {
        let mut versions = after_one();
        versions.begin(11);
        assert_eq!(versions.get("Thing", "1"), None);
    }

    #[test]
    fn what_was_rolled_back_is_forgotten() {
        let mut versions = after_one();
        versions.begin(10);
        versions.set("Thing", "2", 1);
        versions.begin(10);
        assert_eq!(versions.get("Thing", "2"), None);
    }

    #[test]
    fn streams_that_share_a_place_are_told_apart() {
        let mut versions = Versions::new();
        let ids: Vec<String> = (0..4 * SLOTS).map(|number| number.to_string()).collect();
        for (id, version) in ids.iter().zip(1..) {
            versions.set("Thing", id, version);
        }
        let mut remembered = 0;
        for (id, version) in ids.iter().zip(1..) {
            let known = versions.get("Thing", id);
            assert!(known.is_none_or(|known| known == version), "{id}: {known:?}");
            remembered += usize::from(known.is_some());
        }
        assert!((1..=SLOTS).contains(&remembered), "{remembered}");
    }
}
