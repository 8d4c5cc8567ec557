//! Stories of services that live on: a proto changes, and what was recorded under the former one must stay readable.

mod accepting;
mod denying;
mod editions;
mod project;
mod replaying;
mod upcasting;
