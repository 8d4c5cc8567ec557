//! What a generated service depends on: this crate, and nothing else.
//!
//! Generated code and the code that people write beside it name only `potter::…`; what stands behind a name may
//! change without either of them changing. `main.rs` puts an [`App`] together and runs it:
//!
//! ```no_run
//! # mod generated {
//! #     pub fn module() -> potter::module::Module { potter::module::Module::new("product", "") }
//! # }
//! fn main() -> std::process::ExitCode {
//!     potter::App::new(generated::module()).run()
//! }
//! ```
//!
//! Where to look, by what is being written:
//!
//! - rules: [`domain`], [`events!`], [`Context`], and [`testing`] for their given/when/then tests;
//! - replies and queries: [`Accepted`], [`Executed`], [`Failure`], [`query`];
//! - read models: [`read_model`], [`RecordedEvent`];
//! - effects of other modules' events: [`subscription`];
//! - `main.rs`: [`App`], [`config`] for the environment variables of every service;
//! - generated code: [`command`], [`module`], [`store`], [`value`] and, with the feature `rest`, `http`.
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `rest` | `App::rest`: the module's HTTP routes and their documentation |
//! | `grpc` | `App::grpc`: all rpcs, health and reflection |
//! | `nats` | `App::nats`: events, commands and queries over NATS JetStream |
//! | `mimalloc` (default) | mimalloc as the binary's allocator; without it the system's, or one of your own |
//! | `postgres` (default) | `DATABASE_DSN=postgres://…` |
//! | `redis` (default) | read models in Redis, at `REDIS_ADDR` |
//! | `sqlite` (default) | `DATABASE_DSN=sqlite://…`; without both there is only `memory://` |
//!
//! [`testing`] needs no feature: nothing of it is left in a binary that doesn't call it.

pub mod config;

mod app;
mod cli;
mod env_file;
mod error;
mod logging;
#[cfg(feature = "nats")]
mod messages;
mod read_models;
mod service;
mod signals;

pub use app::App;
pub use error::RunError;
pub use potter_core::command::{Accepted, Executed};
pub use potter_core::domain::Context;
pub use potter_core::event::RecordedEvent;
pub use potter_core::failure::Failure;
pub use potter_core::{bytes, prost, prost_reflect, prost_types, uuid};
pub use potter_core::{
    command, dispatch, domain, event, events, failure, health, identity, memory, module, projection, query, read_model,
    replay, retries, store, subscription, testing, value,
};
pub use service::Service;

#[cfg(feature = "rest")]
pub use potter_http as http;

/// What a command allocates is freed by another thread, the store's: mimalloc does that with less work than most.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
