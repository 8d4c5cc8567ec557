//! The gRPC side of Potter.
//!
//! One service answers all rpcs of a module: a request's bytes go to the [`potter_core::dispatch::Dispatcher`] under
//! its path, the reply's bytes go back (`rpcs`), so that nothing is generated for a single rpc. Beside them are served
//! `potter.runtime.v1.Commands` (`commands`), `grpc.health.v1.Health` for each service, and reflection in versions 1
//! and 1alpha.
//!
//! [`metadata`] lists the metadata that requests and replies carry. A failure is a status with rich details
//! (`status`): `ErrorInfo` with the stable code as its reason, the module as its domain and the kind beside it;
//! `BadRequest` with the violations of an invalid request; `RetryInfo` where waiting helps; and the error event, packed
//! in an `Any`, where the domain refused with one.

pub mod metadata;

mod codec;
mod commands;
mod health;
mod rpcs;
mod server;
mod status;

pub use server::{GrpcServer, Options, ServeError};
