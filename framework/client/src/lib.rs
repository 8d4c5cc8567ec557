//! The client crate of the Potter framework.
