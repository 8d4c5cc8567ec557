//! Tests of the generator that need protos.
//!
//! Most are directories below `tests/cases`: dropping one in is the whole act of adding a test, and
//! `BLESS=1 cargo test --test generator` writes what is expected of it.

mod diagnostics;
mod evolution;
mod model;
mod openapi;
mod pages;
mod protos;
mod ways_in;
