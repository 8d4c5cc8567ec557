//! Sells things.

use std::process::ExitCode;

use catalogue::application::Catalogue;
use catalogue::generated;

fn main() -> ExitCode {
    potter::App::new(generated::module(Catalogue))
        .rest(generated::transport::rest::api())
        .grpc()
        .run()
}
