//! The http crate of the Potter framework.
