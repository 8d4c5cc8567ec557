//! The heart of a Potter service: everything that doesn't name a driver, a protocol or a framework.
//!
//! A request comes in as protobuf bytes at the [`dispatch::Dispatcher`]; a command loads its aggregate from the
//! [`store::Store`], decides, and appends; projections follow the log and keep the read models; a query reads
//! them. Transports (HTTP, gRPC) and stores (SQLite, …) are crates of their own and never import each other.
//!
//! Where to look: [`domain`] is what rules are written with (pure); [`event`] what is recorded; [`store`] the port
//! that every database implements, [`memory`] the plainest of them; [`command`], [`query`] and [`read_model`] what
//! generated code declares, [`subscription`] what is done about other modules' events, all gathered in a
//! [`module::Module`]; [`dispatch`], `worker` and [`projection`] what runs it; [`replay`] shows the log once more;
//! [`resilience`] is what stands before a store that may be out of reach; [`failure`] how things go wrong; [`health`],
//! [`inspect`], [`messages`] and `telemetry` what is seen of it from outside; [`testing`] what the
//! tests of a service are written with.

pub mod backoff;
mod clock;
pub mod command;
pub mod dispatch;
pub mod domain;
pub mod event;
pub mod failure;
pub mod flood;
pub mod health;
pub mod identity;
pub mod inspect;
pub mod memory;
pub mod messages;
pub mod module;
mod outage;
mod panics;
pub mod projection;
pub mod query;
pub mod read_model;
pub mod replay;
pub mod resilience;
pub mod retries;
pub mod store;
pub mod subscription;
mod telemetry;
pub mod testing;
pub mod value;
mod worker;

pub use {bytes, prost, prost_reflect, prost_types, uuid};

/// The events that a rule decides on, each turned into the aggregate's event type.
///
/// ```
/// # use potter_core::events;
/// # enum ProductEvent { ProductListed(ProductListed), StockReserved(StockReserved) }
/// # struct ProductListed { stock: u32 }
/// # struct StockReserved { quantity: u32 }
/// # impl From<ProductListed> for ProductEvent { fn from(it: ProductListed) -> Self { Self::ProductListed(it) } }
/// # impl From<StockReserved> for ProductEvent { fn from(it: StockReserved) -> Self { Self::StockReserved(it) } }
/// let events: Vec<ProductEvent> = events![ProductListed { stock: 3 }, StockReserved { quantity: 2 }];
/// assert_eq!(events.len(), 2);
/// ```
#[macro_export]
macro_rules! events {
    ($($event:expr),* $(,)?) => {
        ::std::vec![$(::core::convert::Into::into($event)),*]
    };
}
