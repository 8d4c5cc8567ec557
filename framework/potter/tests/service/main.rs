//! The facade from a user's seat: a whole service, in this process and as a process of its own.

#[cfg(unix)]
mod faults;
mod http;
mod in_process;
mod invokers;
#[cfg(unix)]
mod logs;
#[cfg(feature = "nats")]
mod nats;
#[cfg(unix)]
mod process;
mod read_models;
mod sdk;
#[cfg(unix)]
mod signals;
mod stores;
#[cfg(unix)]
mod subcommands;

#[path = "../../examples/catalogue/service.rs"]
mod catalogue;
