//! The [`Shop`](crate::shop::Shop) of each peer.

pub mod disintegrate;
pub mod esrs;
pub mod evento;
pub mod postgres_es;
