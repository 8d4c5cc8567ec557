//! A three-way merge: base, mine and theirs, separated by a line of `=`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use potter_gen::merge::{Merge, merge};

fn parts(bytes: &[u8]) -> [Vec<u8>; 3] {
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line == b"=\n" && at < 2 {
            at += 1;
        } else {
            parts[at].extend_from_slice(line);
        }
    }
    parts
}

fn clean(merge: Merge) -> Option<Vec<u8>> {
    match merge {
        Merge::Clean(bytes) => Some(bytes),
        Merge::Conflict(_) | Merge::NotText => None,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [base, mine, theirs] = parts(bytes);
    if let Merge::Conflict(conflict) = merge(&base, &mine, &theirs) {
        assert!(conflict.places > 0);
    }
    // Where one side changed nothing, the other's bytes come out as they are.
    assert_eq!(clean(merge(&base, &base, &theirs)).as_ref(), Some(&theirs));
    assert_eq!(clean(merge(&base, &mine, &base)).as_ref(), Some(&mine));
    // Both made the same change.
    assert_eq!(clean(merge(&base, &mine, &mine)).as_ref(), Some(&mine));
});
