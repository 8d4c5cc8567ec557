//! A shop whose messages go over a broker in the process.

mod commands;
mod events;
mod nodes;
mod queries;
mod shop;
mod subscriptions;
mod too_large;
mod unsteady;
