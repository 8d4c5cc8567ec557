//! Reports: what a plan does or a check found, as text.
//!
//! | part | for |
//! |---|---|
//! | [`plan`] | `update`, and with diffs its dry run: a person, or JSON |
//! | [`check`] | `check`: a person, JSON, SARIF, annotations of GitHub |
//!
//! Nothing is printed here: that is for the binaries.

pub mod check;
pub mod plan;
