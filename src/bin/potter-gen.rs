//! The `potter-gen` binary: the generator on the command line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use potter_gen::accept;
use potter_gen::diagnostic::Code;
use potter_gen::explain;
use potter_gen::framework::Framework;
use potter_gen::history::Subject;
use potter_gen::init::{self, Error, Report, Request};
use potter_gen::model::Transport;
use potter_gen::reconcile::Action;

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
    Init(Generate),
    /// Brings an existing project up to date with its protos; what you changed stays.
    Generate(Generate),
    /// Accepts a breaking change on purpose; potter.lock keeps it with the reason.
    Accept(Accept),
    /// Explains a diagnostic: what it means, what causes it, what to write instead.
    Explain {
        /// The code, such as P012; without it, all codes are listed.
        code: Option<Code>,
    },
}

#[derive(Args)]
struct Generate {
    /// The annotated proto; repeat it for several files of one module.
    #[arg(long = "proto", value_name = "FILE", required = true)]
    protos: Vec<PathBuf>,
    /// Where imports are looked up; default: the directory of the first proto.
    #[arg(long = "proto-path", short = 'I', value_name = "DIR")]
    proto_paths: Vec<PathBuf>,
    /// Name of the module; default: `module_name` of its services.
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// The project's directory.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Where the framework comes from: path:DIR, git:URL or version:NUMBER.
    #[arg(long, value_name = "SOURCE")]
    framework: Option<Framework>,
    /// Overwrite files of Potter that were edited by hand; the old ones are kept under .potter/edited/.
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
struct Accept {
    #[command(flatten)]
    subject: AcceptedSubject,
    /// Why the change is fine.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The project's directory.
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
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

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Init(arguments) => generate(arguments, true),
        Command::Generate(arguments) => generate(arguments, false),
        Command::Accept(arguments) => accept(arguments),
        Command::Explain { code } => {
            let page = code.map_or_else(explain::overview, |code| explain::explain(code).to_string());
            // Whoever closes the pipe has read enough.
            let _ = write!(std::io::stdout(), "{page}");
            ExitCode::SUCCESS
        }
    }
}

fn generate(arguments: Generate, is_init: bool) -> ExitCode {
    let output = arguments.output.clone();
    let is_new = !init::is_project(&output);
    if is_new && !is_init {
        eprintln!("potter-gen: {} is no Potter project; `potter-gen init` makes one", output.display());
        return ExitCode::from(INVALID_INPUT);
    }
    match init::generate(&request(arguments)) {
        Ok(report) => {
            eprint!("{}", report.warnings);
            tell(&report, &output, is_new)
        }
        Err(Error::Protos(findings)) => {
            eprint!("{findings}");
            ExitCode::from(INVALID_INPUT)
        }
        Err(Error::Breaking(findings)) => {
            eprint!("{findings}");
            eprintln!("potter-gen: nothing was written; {} of these would break what is recorded", findings.errors());
            ExitCode::from(NEEDS_A_PERSON)
        }
        Err(error) => {
            eprintln!("potter-gen: {error}");
            ExitCode::from(if matches!(error, Error::Edited(_)) { NEEDS_A_PERSON } else { INVALID_INPUT })
        }
    }
}

fn accept(arguments: Accept) -> ExitCode {
    let Accept { subject: AcceptedSubject { event, rpc }, reason, output } = arguments;
    let subject = event.map(Subject::Event).or(rpc.map(Subject::Rpc)).expect("clap wants one of the two");
    match accept::accept(&accept::Request { output, subject, reason }) {
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

fn request(arguments: Generate) -> Request {
    let Generate { protos, mut proto_paths, module, output, framework, force } = arguments;
    if proto_paths.is_empty() {
        let parent = protos.first().and_then(|proto| proto.parent()).filter(|it| !it.as_os_str().is_empty());
        proto_paths.push(parent.unwrap_or(Path::new(".")).to_owned());
    }
    Request { protos, proto_paths, module, output, framework, force }
}

/// Says what was done and, in the last lines, what to do next.
fn tell(report: &Report, output: &Path, is_new: bool) -> ExitCode {
    let count = |action| report.steps.iter().filter(|step| step.action == action).count();
    for step in &report.steps {
        match step.action {
            Action::Keep | Action::LeaveChanged => {}
            Action::Create if is_new => {}
            action => eprintln!("{:>10}  {}", verb(action), step.path),
        }
    }
    if is_new {
        eprintln!("{:>10}  {} files in {}", "wrote", count(Action::Create), output.display());
        let port = if report.module.transports.contains(&Transport::Rest) { "8080" } else { "50051" };
        eprintln!("\nNext:\n  cd {}\n  make run      # serves on port {port}\n  make test", output.display());
        if port == "8080" {
            eprintln!("\nThen open http://localhost:8080/docs, or take a request from README.md.");
        }
        return ExitCode::SUCCESS;
    }
    let pending = count(Action::SetAside);
    if pending > 0 {
        eprintln!("\n{pending} of your files could be brought up to date: see .potter/pending/");
        return ExitCode::from(NEEDS_A_PERSON);
    }
    eprintln!("{} is up to date", output.display());
    ExitCode::SUCCESS
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Keep => "kept",
        Action::Replace | Action::Edited => "replaced",
        Action::LeaveChanged => "yours",
        Action::SetAside => "pending",
        Action::Remove => "removed",
        Action::Orphan => "orphan",
    }
}
