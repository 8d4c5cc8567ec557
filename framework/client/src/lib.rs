//! What the typed client of a Potter service runs on.
//!
//! A generated SDK has one method per rpc; each returns a [`Command`], an [`AsyncCommand`] or a [`Query`], which is
//! sent when it is awaited. Out comes the reply, a [`Pending`] command whose outcome can be awaited, or an
//! [`Error`] that carries the service's own error event.
//!
//! What every call has without being asked: a deadline, which the server is told; retries with backoff, but only
//! where a repeat cannot do the same thing twice; for commands that the service deduplicates, an idempotency key
//! that stays the same through all retries.
//!
//! ```no_run
//! # use potter_client::{prost, Command, Connection, NoErrorEvent};
//! # use std::time::Duration;
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct UpdateProductRequest {}
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct UpdateProductResponse {}
//! # #[derive(Clone)]
//! # struct Client(Connection);
//! # impl Client {
//! #     fn connect(address: &str) -> Result<Self, potter_client::InvalidAddress> { Connection::to(address).map(Self) }
//! #     fn update_product(&self, request: UpdateProductRequest) -> Command<UpdateProductResponse, NoErrorEvent> {
//! #         Command::new(&self.0, "/product.ProductService/UpdateProduct", &request)
//! #     }
//! # }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("http://127.0.0.1:50051")?;
//! let reply = client
//!     .update_product(UpdateProductRequest {})
//!     .expected_version(3)
//!     .timeout(Duration::from_secs(2))
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! Where to look: [`Connection`] is where calls go; [`call`] what a call can be told; [`pending`] how the outcome of
//! an asynchronous command is awaited; [`error`] how calls fail; [`retry`] which failures are tried again. With the
//! feature `broker` (with NATS: `nats`), `invoker` has the same calls over a message broker.

pub mod call;
pub mod connection;
pub mod error;
#[cfg(feature = "broker")]
pub mod invoker;
pub mod pending;
pub mod retry;

mod attempt;
mod metadata;
mod status;

pub use call::{AsyncCommand, Command, Query, Reply};
pub use connection::{Connection, ConnectionBuilder, InvalidAddress};
pub use error::{Error, ErrorEvent, Failure, FailureKind, FieldViolation, NoErrorEvent};
pub use pending::{Event, Outcome, Pending, Ticket};
pub use retry::Retries;

/// Brokers: the port, and the one in the process.
#[cfg(feature = "broker")]
pub use potter_broker as broker;
/// NATS.
#[cfg(feature = "nats")]
pub use potter_nats as nats;

pub use prost;
pub use prost_types;
pub use tonic;
pub use uuid;
