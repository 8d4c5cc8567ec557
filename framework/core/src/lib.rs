//! The core crate of the Potter framework.
