//! The `potter-gen` binary: the generator on the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use potter_gen::{diagnostic::Code, explain};

/// Turns an annotated proto into a running, event-sourced CQRS service.
#[derive(Parser)]
#[command(name = "potter-gen", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Explains a diagnostic: what it means, what causes it, what to write instead.
    Explain {
        /// The code, such as P012; without it, all codes are listed.
        code: Option<Code>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Explain { code: Some(code) } => print!("{}", explain::explain(code)),
        Command::Explain { code: None } => print!("{}", explain::overview()),
    }
    ExitCode::SUCCESS
}
