//! `protoc-gen-potter` under the real compilers: Debian's protoc, a current protoc and buf.
//!
//! `make tools` installs them; a missing one fails the run, because a plugin that was only tried against itself
//! hasn't been tried.

mod compilers;
mod conformance;
mod protocol;
mod same_bytes;
mod views;
mod workspace;
