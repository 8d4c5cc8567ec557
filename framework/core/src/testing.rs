//! What the tests of a service are written with.
//!
//! Rules: [`given`] some events, when a command is decided, then these events or this refusal. Subscriptions: another
//! module's event [`heard`], when it is handled, then these effects.
//! The whole service: [`TestApp`], in memory, within [`block_on`]. The architecture: [`assert_layers`]. What was
//! recorded years ago: [`fixture`].

mod app;
mod fixture;
mod heard;
mod layers;
mod scenario;

pub use self::app::{TestApp, block_on};
pub use self::fixture::fixture;
pub use self::heard::{Heard, Reaction, heard};
pub use self::layers::assert_layers;
pub use self::scenario::{Given, Outcome, context, given};
