//! A whole service by hand: what the generator writes and what people write, in the smallest shape.
//!
//! `cargo run -p potter --example catalogue`, then `curl -X POST localhost:8080/api/v1/products -d '{"name":"lamp"}'`.

mod service;

fn main() -> std::process::ExitCode {
    potter::App::new(service::module()).rest(service::api()).run()
}
