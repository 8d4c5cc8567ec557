//! The rules: pure functions of state, command and context. Nothing in here reads a clock, a file or a database.

mod product;
