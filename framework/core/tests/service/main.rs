//! A small module, written by hand as it would be generated, and everything that runs it.

mod commands;
mod idempotency;
mod product;
mod projections;
mod queries;
mod scenarios;
mod shutdown;
mod simulation;
mod stores;
mod validation;
mod workers;
