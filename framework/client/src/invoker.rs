//! Invokers: a command with its outcome, a query with its reply, whatever carries them.
//!
//! A [`CommandInvoker`] sends a command and waits for how it went: what it recorded, or why it was refused. Over a
//! broker the command is published under an id of its own, and the outcome awaited by the correlation id; whoever
//! invokes listens before it sends, and asks again when an answer is long in coming, which the service knows for the
//! same command. Over gRPC it is sent to the service's own rpc under an id as well. A [`QueryInvoker`] asks.
//!
//! A command that was certainly not sent, because the broker isn't in reach or nobody keeps commands there, fails within
//! seconds with the code `NOT_SENT`. Of one that fails with `DEADLINE_EXCEEDED` nobody knows how it went: under the same id
//! it may be sent again, and is executed once.
//!
//! Where other modules go on with the command, [`Invocation::await_any`] awaits the first of several events, whichever
//! module records it.
//!
//! ```no_run
//! # use potter_client::invoker::CommandInvoker;
//! # use potter_client::broker::MemoryBroker;
//! # use potter_client::{Event, NoErrorEvent, prost};
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct CreateProductRequest {}
//! # #[derive(Debug)]
//! # enum ProductEvent {}
//! # impl Event for ProductEvent {
//! #     fn decode(_: &str, _: &[u8]) -> Result<Option<Self>, prost::DecodeError> { Ok(None) }
//! # }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker: potter_client::broker::SharedBroker = std::sync::Arc::new(MemoryBroker::new());
//! let create = CommandInvoker::<CreateProductRequest, ProductEvent, NoErrorEvent>::over_broker(
//!     &broker, "catalogue", "catalogue.create_product",
//! );
//! let outcome = create.invoke(&CreateProductRequest {}).correlation_id("order-7").await?;
//! println!("version {}: {:?}", outcome.version, outcome.events);
//! # Ok(())
//! # }
//! ```

mod await_any;
mod command;
mod query;
mod sending;

use std::sync::Arc;
use std::time::Duration;

use potter_broker::{BrokerError, BrokerErrorKind, SharedBroker};

pub use self::await_any::{AwaitAny, Heard, OneOf};
pub use self::command::{CommandInvoker, Invocation};
pub use self::query::{QueryInvoker, Question};
use crate::connection::Connection;
use crate::error::{Failure, FailureKind};

/// How long is waited when nobody says.
const PATIENCE: Duration = Duration::from_secs(30);

/// Finds the subject of a command or query by its name.
type Resolve = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What carries calls.
#[derive(Clone)]
enum Way {
    /// A broker.
    Broker {
        broker: SharedBroker,
        /// The service's module.
        module: String,
        /// Stable name of the command, or the query's rpc.
        name: String,
        /// Instead of the usual subjects.
        resolve: Option<Resolve>,
    },
    /// gRPC.
    Grpc { connection: Connection, path: &'static str },
}

/// What a call is told beside its request.
#[derive(Clone, Debug, Default)]
struct Told {
    correlation_id: Option<String>,
    causation_id: Option<String>,
    actor: Option<String>,
}

/// What the caller gets when the broker fails.
fn failure(error: &BrokerError) -> Failure {
    match error.kind {
        BrokerErrorKind::TimedOut => Failure::deadline_exceeded(error.to_string()),
        BrokerErrorKind::Refused => Failure::new(FailureKind::Invalid, "INVALID_REQUEST", error.to_string()),
        _ => Failure::new(FailureKind::Unavailable, "UNAVAILABLE", error.to_string()).retryable(),
    }
}
