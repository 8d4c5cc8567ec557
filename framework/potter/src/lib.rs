//! What a generated service depends on.
pub mod config;
mod env_file;
mod logging;
