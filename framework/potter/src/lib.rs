//! The potter crate of the Potter framework.
