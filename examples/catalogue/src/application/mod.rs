//! What commands and queries are answered with, and how events become rows.

mod catalogue;
mod product_view;

pub use catalogue::Catalogue;
