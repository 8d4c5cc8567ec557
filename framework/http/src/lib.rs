//! The REST side of Potter, and the operational endpoints of a service.
//!
//! A request comes in, its [`Route`] is found in a tree (`router`), path, query and body are put together to the
//! rpc's request message by descriptors (`bind`, [`json`]), the [`potter_core::dispatch::Dispatcher`] answers it, and
//! the reply goes out as canonical proto3 JSON (`reply`), a failure as an RFC 9457 problem document (`problem`).
//! Nothing is generated for a single rpc but its [`Route`]s.
//!
//! | request | answer |
//! |---|---|
//! | the module's routes | `200`; `201` and `Location` for a command that created; `202` and `Location` of its status for an asynchronous one |
//! | `GET /api/v1/commands/{command_id}` | how far a command is; `?wait=seconds` waits for its outcome |
//! | `GET /health/live`, `GET /health/ready` | whether the process answers; whether its parts do |
//! | `GET /metrics` | everything that is counted, for Prometheus |
//! | `/admin/…` | what operators see and do; see `admin` |
//! | `GET /openapi.json`, `GET /docs` | the API's document, and Swagger UI from this binary |
//!
//! [`headers`] lists the headers of our own, [`problem_codes`] the codes of what HTTP itself has against a request.
//! Beside them `ETag` carries the aggregate's version on a command's reply, and `If-Match` expects it.

pub mod json;

mod admin;
mod bind;
mod docs;
mod exchange;
mod health;
mod messages;
mod metrics;
mod options;
mod problem;
mod reply;
mod route;
mod router;
mod server;
mod service;
mod template;

pub use admin::AdminToken;
pub use exchange::headers;
pub use http::HeaderName;
pub use metrics::{Metrics, MetricsError};
pub use options::Options;
pub use problem::http_codes as problem_codes;
pub use route::{Body, Route};
pub use server::{HttpServer, Rest};
pub use service::RouteError;
