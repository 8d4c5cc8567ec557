//! A whole service by hand: what the generator writes and what people write, in the smallest shape.
//!
//! `cargo run -p potter --example catalogue`, then `curl -X POST localhost:8080/api/v1/products -d '{"name":"lamp"}'`.

mod service;

/// A neighbour that never answers.
async fn unreachable() {
    tracing::info!("asking the neighbour");
    std::future::pending().await
}

fn main() -> std::process::ExitCode {
    potter::App::new(service::module(unreachable)).rest(service::api()).grpc().nats().run()
}
