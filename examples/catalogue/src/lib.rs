//! The module `catalogue`.
//!
//! `domain` has the rules, `application` what commands and queries are answered with, `generated` all that follows
//! from the protos.

pub mod application;
pub mod domain;
#[rustfmt::skip]
pub mod generated;
