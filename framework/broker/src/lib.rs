//! Messages between services: the port that every broker implements, and the broker that lives in the process.
//!
//! A service publishes events and takes in commands through a [`Broker`]; so do the invokers of its clients. This
//! crate is so small that both depend on it without dragging each other along.
//!
//! Where to look: [`port`] is the trait; [`message`] what travels; [`subject`] how names become subjects; [`memory`] the
//! broker in the process. `contract` (feature `contract`) is the suite that every broker passes.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod memory;
pub mod message;
pub mod port;
pub mod subject;

pub use memory::MemoryBroker;
pub use message::{Headers, Message, headers};
pub use port::{
    Acknowledge, Broker, BrokerError, BrokerErrorKind, Call, Calls, Channel, Consumer, Deliveries, Delivery, Keeps,
    Messages, Respond, SharedBroker,
};
