//! `check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use potter_gen::check::{self, Check as Found};
use potter_gen::diagnostic::Denied;
use potter_gen::report;
use potter_gen::update::{Error, Request};

use crate::{project, show, update};

#[derive(Args)]
pub struct Check {
    /// The project's directory; default: this one, or the nearest above it that is a project.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Compare with a descriptor set instead of what potter.lock remembers.
    #[arg(long, value_name = "FILE")]
    descriptor_set: Option<PathBuf>,
    /// How findings are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Fail as well where only the layout differs, or only a newer Potter would write something else.
    #[arg(long)]
    strict: bool,
    /// Make errors of warnings, such as P085, or `all`; repeat it, or separate them by commas.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    deny: Vec<Denied>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with diffs.
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanners.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
}

/// Says whether protos, lock and disk agree.
pub fn check(arguments: Check) -> ExitCode {
    let Check { output, descriptor_set, format, strict, deny } = arguments;
    let output = project(output);
    let folder = seen_from_here(&output);
    match check::check(&Request { output, descriptor_set, deny, ..Request::default() }) {
        Ok(found) => {
            eprint!("{}", found.warnings);
            show(&printed(&found, &folder, format, strict));
            ExitCode::from(found.exit_code(strict))
        }
        // A pipeline that reads the report wants one whatever happened.
        Err(Error::Protos(findings)) if format != Format::Text => {
            eprint!("{findings}");
            let found = Found::of_wrong(findings);
            show(&printed(&found, &folder, format, strict));
            ExitCode::from(found.exit_code(strict))
        }
        Err(error) => update::refused(&error),
    }
}

/// Scanners and annotations want paths from the repository's root, where a pipeline runs.
fn seen_from_here(folder: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    folder.strip_prefix(here).unwrap_or(folder).to_string_lossy().replace('\\', "/")
}

fn printed(found: &Found, folder: &str, format: Format, strict: bool) -> String {
    match format {
        Format::Text => report::check::text(found),
        Format::Json => report::check::json(found, strict),
        Format::Sarif => report::check::sarif(found, folder, strict),
        Format::Github => report::check::github(found, folder, strict),
    }
}
