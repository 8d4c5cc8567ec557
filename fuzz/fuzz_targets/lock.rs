//! `potter.lock`, as people and version control leave it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use potter_gen::lock::Lock;

fuzz_target!(|text: &str| {
    let Ok(lock) = Lock::read(text) else { return };
    let printed = lock.print();
    let again = Lock::read(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(again, lock);
    assert_eq!(again.print(), printed);
    let mut history = lock.history.clone();
    history.unite(lock.history.clone());
    assert_eq!(history, lock.history, "nothing new comes of uniting a history with itself");
});
