//! The client's runtime against real servers: scripted ones that fail on purpose, and a real service.

mod calls;
mod outcomes;
mod script;
mod sdk;
