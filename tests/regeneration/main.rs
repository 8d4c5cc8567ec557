//! Tests of regeneration: projects that live on while their protos change and people edit their files.
//!
//! Stories are directories below `tests/scenarios`; dropping one in is the whole act of adding a test, and
//! `BLESS=1 cargo test --test regeneration` writes what is expected of it.

mod branches;
mod commands;
mod descriptor_set;
mod detected;
mod kept;
mod killed;
mod project;
mod renamed;
mod stories;
mod subscribed;
mod trusted;
mod tutorial;
