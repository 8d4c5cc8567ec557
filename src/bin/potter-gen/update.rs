//! `init` and `update`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use potter_gen::diagnostic::Denied;
use potter_gen::file::Class;
use potter_gen::framework::Framework;
use potter_gen::model::Transport;
use potter_gen::output::Project;
use potter_gen::reconcile::Allowed;
use potter_gen::report;
use potter_gen::update::{self, Error, Plan, Request};

use crate::{INVALID_INPUT, NEEDS_A_PERSON, ask, project, show};

#[derive(Args)]
pub struct Init {
    /// The annotated proto; repeat it for several files of one module.
    #[arg(long = "proto", value_name = "FILE", required_unless_present = "descriptor_set")]
    protos: Vec<PathBuf>,
    /// The project's directory.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Overwrite files of Potter that were edited by hand; the old ones are kept under .potter/edited/.
    #[arg(long)]
    force: bool,
}

/// Where everything comes from.
#[derive(Args)]
pub struct Source {
    /// Where imports are looked up; default: the directory of the first proto.
    #[arg(long = "proto-path", short = 'I', value_name = "DIR")]
    proto_paths: Vec<PathBuf>,
    /// Generate from a descriptor set, as protoc and buf write it, instead of protos; all imports must be in it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["protos", "proto_paths"])]
    descriptor_set: Option<PathBuf>,
    /// Name of the module; default: `module_name` of its services.
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// Where the framework comes from: path:DIR, git:URL or version:NUMBER.
    #[arg(long, value_name = "SOURCE")]
    framework: Option<Framework>,
    /// Make errors of warnings, such as P085, or `all`; repeat it, or separate them by commas.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    deny: Vec<Denied>,
}

#[derive(Args)]
pub struct Update {
    /// The annotated proto; default: the project's own, as potter.lock remembers them.
    #[arg(long = "proto", value_name = "FILE")]
    protos: Vec<PathBuf>,
    /// The project's directory; default: this one, or the nearest above it that is a project.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
    /// Print what would be done to each file, why, and the diff; write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Ask about each file, showing its diff.
    #[arg(long, conflicts_with = "dry_run")]
    interactive: bool,
    /// How the plan is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Merge what changed in your files and in Potter's proposals, where they don't touch each other.
    #[arg(long)]
    merge: bool,
    /// What becomes of a file whose same lines you and Potter changed; implies --merge.
    #[arg(long, value_enum, value_name = "HOW")]
    conflict: Option<Conflict>,
    /// Write conflict markers even if the working tree has uncommitted changes.
    #[arg(long)]
    allow_dirty: bool,
    /// Overwrite files of Potter that were edited by hand; the old ones are kept under .potter/edited/.
    #[arg(long)]
    force: bool,
    /// Remove files that the protos no longer ask for, even if you changed them.
    #[arg(long)]
    prune: bool,
    /// Bring back a file that you deleted, named as seen from the project's folder; repeat it for more.
    #[arg(long = "restore", value_name = "FILE")]
    restored: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Conflict {
    /// The file stays as it is; the proposal waits under .potter/pending/.
    Leave,
    /// Both versions are written into the file, between markers.
    Markers,
}

/// Makes a project; an existing one is brought up to date.
pub fn init(arguments: Init) -> ExitCode {
    let Init { protos, output, source, force } = arguments;
    let allowed = Allowed { force, ..Allowed::default() };
    let request = request(protos, output, source, allowed);
    for proto in request.protos.iter().chain(&request.descriptor_set) {
        eprintln!("{:>10}  {}", "reading", proto.display());
    }
    told(update::run(&request).map(|plan| {
        eprint!("{}", plan.warnings);
        if plan.is_new { welcome(&plan, &request.output) } else { done(&plan) }
    }))
}

/// Brings a project up to date.
pub fn update(arguments: Update) -> ExitCode {
    let allowed = Allowed {
        force: arguments.force,
        prune: arguments.prune,
        merge: arguments.merge || arguments.conflict == Some(Conflict::Markers),
        markers: arguments.conflict == Some(Conflict::Markers),
    };
    if let Some(contradiction) = contradiction(&arguments) {
        eprintln!("potter-gen: {contradiction}");
        return ExitCode::from(INVALID_INPUT);
    }
    let Update { protos, output, source, dry_run, interactive, format, allow_dirty, restored, .. } = arguments;
    let output = project(output);
    let restored = restored.iter().map(|it| it.trim_start_matches("./").to_owned()).collect();
    let request = Request { allow_dirty, restored, ..request(protos, output, source, allowed) };
    if let Err(error) = update::refuse_others(&request.output) {
        return refused(&error);
    }
    if dry_run {
        return told(update::plan(&request).map(|plan| preview(&plan, format)));
    }
    told(carried_out(&request, interactive).map(|plan| match plan {
        Some(plan) => report(&plan, format),
        None => {
            eprintln!("nothing was written");
            ExitCode::SUCCESS
        }
    }))
}

/// Options that don't go together.
fn contradiction(arguments: &Update) -> Option<&'static str> {
    let has_markers = arguments.conflict == Some(Conflict::Markers);
    match arguments {
        Update { interactive: true, format: Format::Json, .. } => {
            Some("--interactive asks a person, and --format json is for programs: leave one of them out")
        }
        Update { allow_dirty: true, .. } if !has_markers => {
            Some("--allow-dirty is about markers alone: add --conflict=markers, or leave it out")
        }
        _ => None,
    }
}

/// The plan that was carried out; none if the person wants nothing done.
fn carried_out(request: &Request, interactive: bool) -> Result<Option<Plan>, Error> {
    Project::recover(&request.output)?;
    let mut plan = update::plan(request)?;
    if interactive && !plan.ask(ask::ask)? {
        return Ok(None);
    }
    plan.carry_out()?;
    Ok(Some(plan))
}

fn request(protos: Vec<PathBuf>, output: PathBuf, source: Source, allowed: Allowed) -> Request {
    let Source { proto_paths, descriptor_set, module, framework, deny } = source;
    Request { protos, proto_paths, descriptor_set, module, output, framework, allowed, deny, ..Request::default() }
}

/// Says why nothing was written, if so.
fn told(result: Result<ExitCode, Error>) -> ExitCode {
    result.unwrap_or_else(|error| refused(&error))
}

/// Says why nothing was done.
pub fn refused(error: &Error) -> ExitCode {
    match error {
        Error::Protos(findings) => eprint!("{findings}"),
        Error::Breaking(findings) => {
            eprint!("{findings}");
            eprintln!("potter-gen: nothing was written: this would break what is recorded");
        }
        error => eprintln!("potter-gen: {error}"),
    }
    ExitCode::from(if error.needs_a_person() { NEEDS_A_PERSON } else { INVALID_INPUT })
}

/// The plan as it would be carried out, and how that would end.
fn preview(plan: &Plan, format: Format) -> ExitCode {
    match format {
        Format::Json => show(&report::plan::json(plan)),
        Format::Text => {
            eprint!("{}{}", plan.breaking, plan.warnings);
            show(&report::plan::details(plan));
            eprintln!("{}; nothing was written", report::plan::summary(plan));
        }
    }
    match plan.refuse() {
        Ok(()) => code(plan),
        // The findings have been printed.
        Err(Error::Breaking(_)) => ExitCode::from(NEEDS_A_PERSON),
        Err(error) => told(Err(error)),
    }
}

fn report(plan: &Plan, format: Format) -> ExitCode {
    if format == Format::Json {
        show(&report::plan::json(plan));
        return code(plan);
    }
    eprint!("{}", plan.warnings);
    done(plan)
}

fn done(plan: &Plan) -> ExitCode {
    eprint!("{}", report::plan::text(plan));
    eprintln!("{}", report::plan::summary(plan));
    code(plan)
}

fn code(plan: &Plan) -> ExitCode {
    ExitCode::from(if plan.needs_a_person() { NEEDS_A_PERSON } else { 0 })
}

/// Says what to do next.
fn welcome(plan: &Plan, output: &Path) -> ExitCode {
    let of = |generated: bool| plan.steps.iter().filter(|it| (it.class == Class::Generated) == generated).count();
    let (yours, potters) = (of(false), of(true));
    eprintln!("{:>10}  {yours} files that are yours and {potters} of Potter's in {}", "wrote", output.display());
    let transports = &plan.module.transports;
    let (rest, grpc) = (transports.contains(&Transport::Rest), transports.contains(&Transport::Grpc));
    let serves = match (rest, grpc) {
        (true, _) => "on port 8080",
        (false, true) => "on port 50051",
        (false, false) => "over NATS, and its health on port 8080",
    };
    eprintln!("\nNext:\n  cd {}\n  make run      # serves {serves}\n  make test", output.display());
    if rest {
        eprintln!("\nThen open http://localhost:8080/docs, or take a request from README.md.");
    }
    ExitCode::SUCCESS
}
