//! The heart of a Potter service: everything that doesn't name a driver, a protocol or a framework.
//!
//! A request comes in as protobuf bytes at the [`dispatch::Dispatcher`]; a command loads its aggregate from the
//! [`store::Store`], decides, and appends; projections follow the log and keep the read models; a query reads
//! them. Transports (HTTP, gRPC) and stores (SQLite, …) are crates of their own and never import each other.
//!
//! Where to look: [`domain`] is what rules are written with (pure); [`event`] what is recorded; [`store`] the port
//! that every database implements, [`memory`] the plainest of them; [`command`], [`query`] and [`read_model`] what generated code declares, gathered
//! in a [`module::Module`]; [`dispatch`] and [`projection`] what runs it; [`failure`] how things go wrong.

pub mod command;
pub mod domain;
pub mod event;
pub mod failure;
pub mod memory;
pub mod module;
pub mod query;
pub mod read_model;
pub mod store;
