//! The sqlite crate of the Potter framework.
