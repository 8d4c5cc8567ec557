//! `accept`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use potter_gen::accept::{self, Request};
use potter_gen::history::Subject;

use crate::{INVALID_INPUT, project};

#[derive(Args)]
pub struct Accept {
    #[command(flatten)]
    subject: AcceptedSubject,
    /// Why the change is fine.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The project's directory; default: this one, or the nearest above it that is a project.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct AcceptedSubject {
    /// The event that changed, by its event_type.
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// The rpc that changed, by its full name: shop.Orders.PlaceOrder.
    #[arg(long, value_name = "NAME")]
    rpc: Option<String>,
}

/// Accepts a breaking change on purpose.
pub fn accept(arguments: Accept) -> ExitCode {
    let Accept { subject: AcceptedSubject { event, rpc }, reason, output } = arguments;
    let subject = event.map(Subject::Event).or(rpc.map(Subject::Rpc)).expect("clap wants one of the two");
    let output = project(output);
    match accept::accept(&Request { output, subject, reason }) {
        Ok(accepted) => {
            for it in accepted {
                eprintln!("{:>10}  {}: {} → {}", "accepted", it.subject.name(), it.from, it.to);
            }
            eprintln!("\npotter.lock keeps it; `potter-gen update` goes on from here");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("potter-gen: {}", error.to_string().trim_end());
            ExitCode::from(INVALID_INPUT)
        }
    }
}
