//! Calls over real sockets against a hand-written service.

mod calls;
mod commands;
mod failures;
mod reflection;
mod shop;
