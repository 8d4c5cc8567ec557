//! A plugin's standard input.

#![no_main]

use libfuzzer_sys::fuzz_target;
use potter_gen::request;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = request::decode(bytes) else { return };
    if let Err(findings) = request::understand(&request, |_| None) {
        assert!(findings.has_errors(), "refused, and nothing is wrong: {findings}");
    }
});
