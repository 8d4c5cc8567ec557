//! The messages and rpcs that every Potter service serves beside its own: package `potter.runtime.v1`.
//!
//! `proto/potter/runtime.proto` is the source. What prost and tonic make of it is committed in `generated`, so
//! that nobody who builds a service compiles a proto compiler; `tests/generated.rs` holds the two together
//! (`BLESS=1 cargo test -p potter-proto` renews them).

#[cfg(feature = "core")]
pub mod status;

/// Package `potter.runtime.v1`: how far asynchronous commands are.
pub mod runtime {
    /// Version 1.
    #[rustfmt::skip]
    pub mod v1 {
        include!("generated/potter.runtime.v1.rs");
    }
}

/// `google.protobuf.FileDescriptorSet` of `potter/runtime.proto` and all that it imports, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/runtime.binpb");
