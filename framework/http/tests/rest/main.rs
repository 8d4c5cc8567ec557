//! Requests over real sockets against a hand-written service, and canonical JSON shape by shape.

mod admin;
mod connections;
mod json;
mod operations;
mod problems;
mod replies;
mod requests;
mod shop;
