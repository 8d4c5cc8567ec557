//! The `potter-gen` binary.

fn main() {}
