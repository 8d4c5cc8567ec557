//! The `protoc-gen-potter` binary.

fn main() {}
