//! The `potter-gen` binary: the generator on the command line.

mod accept;
mod ask;
mod check;
mod update;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use potter_gen::diagnostic::Code;
use potter_gen::explain;
use potter_gen::update::is_project;

/// Most of a run is making small strings and trees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for input that is wrong.
const INVALID_INPUT: u8 = 3;
/// Exit code for what needs a person's decision.
const NEEDS_A_PERSON: u8 = 2;

/// Turns an annotated proto into a running, event-sourced CQRS service.
#[derive(Parser)]
#[command(name = "potter-gen", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a project that builds, tests and serves as it stands.
    Init(update::Init),
    /// Brings a project up to date with its protos; what you changed stays.
    ///
    /// Exits with 0 when all is well, 2 when something waits for you, 3 when the input is wrong.
    #[command(visible_alias = "generate")]
    Update(update::Update),
    /// Says whether protos, lock and files agree; writes nothing.
    ///
    /// Exits with 0 when they do, 1 when something differs, 2 when something waits for a person, 3 when the input is
    /// wrong.
    Check(check::Check),
    /// Accepts a breaking change on purpose; potter.lock keeps it with the reason.
    Accept(accept::Accept),
    /// Explains a diagnostic: what it means, what causes it, what to write instead.
    Explain {
        /// The code, such as P012; without it, all codes are listed.
        code: Option<Code>,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Whoever closed the pipe has read enough.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(INVALID_INPUT) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Init(arguments) => update::init(arguments),
        Command::Update(arguments) => update::update(arguments),
        Command::Check(arguments) => check::check(arguments),
        Command::Accept(arguments) => accept::accept(arguments),
        Command::Explain { code } => {
            show(&code.map_or_else(explain::overview, |code| explain::explain(code).to_string()));
            ExitCode::SUCCESS
        }
    }
}

/// The project that a command is about: the folder that is named, or else this one or the nearest above it that is a
/// project.
fn project(named: Option<PathBuf>) -> PathBuf {
    let here = || PathBuf::from(".");
    let above = || {
        let current = std::env::current_dir().ok()?;
        current.ancestors().skip(1).find(|it| is_project(it)).map(Path::to_path_buf)
    };
    named.unwrap_or_else(|| if is_project(&here()) { here() } else { above().unwrap_or_else(here) })
}

/// Prints on standard output. Whoever closes the pipe has read enough.
fn show(text: &str) {
    let _ = write!(std::io::stdout(), "{text}");
}
