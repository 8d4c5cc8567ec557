//! The command line of a service's binary.

pub(crate) mod dead_letters;
mod events;
mod migrate;
#[cfg(feature = "nats")]
pub(crate) mod outgoing;
mod output;
mod projections;
mod status;

use clap::builder::styling::Style;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

pub(crate) use self::output::Output;
use crate::config::variables;

/// What the binary is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Task {
    /// Serves until SIGTERM or SIGINT (what happens without a subcommand)
    Serve,
    /// Applies the migrations that haven't been yet, takes them back, or tells where they stand
    Migrate(migrate::Migrate),
    /// Prints recorded events with their payloads
    Events(events::Events),
    /// Lists or rebuilds the read models
    #[command(subcommand)]
    Projections(projections::Projections),
    /// Tells how far asynchronous commands are
    #[command(subcommand)]
    Commands(status::Commands),
    /// Tells how far the published events are, and with NATS_URL the subscriptions
    #[cfg(feature = "nats")]
    Outgoing(FormatOption),
    /// Messages that could not be taken in or published, and what shall become of them
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
}

/// Reads the command line; prints help or what is wrong with it, and ends the process in either case.
pub(crate) fn parse(module: &'static str) -> Task {
    read(&mut command(module).get_matches())
}

fn read(matches: &mut ArgMatches) -> Task {
    if matches.subcommand().is_none() {
        return Task::Serve;
    }
    Task::from_arg_matches_mut(matches).unwrap_or_else(|error| error.exit())
}

fn command(module: &'static str) -> Command {
    // What the subcommands bring along would take the place of an `about` that is set before.
    Task::augment_subcommands(Command::new(module))
        .bin_name(binary_name(module))
        .about(format!("The service `{module}`"))
        .after_help(environment())
        .disable_version_flag(true)
}

/// As the user has called it, so that what the help shows can be copied.
fn binary_name(module: &'static str) -> String {
    let path = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = path.as_deref().and_then(std::path::Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| module.to_owned())
}

/// The list of variables as the help shows it.
fn environment() -> String {
    let heading = Style::new().bold().underline();
    let mut text =
        format!("{heading}Environment{heading:#} (also read from a file `.env` in the working directory):\n");
    for variable in variables() {
        let default = if variable.default.is_empty() { String::new() } else { format!(" [{}]", variable.default) };
        text.push_str(&format!("  {:<26}{}{default}\n", variable.name, variable.about));
    }
    text
}

/// How records are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One line for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// The option `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub(crate) struct FormatOption {
    /// How records are printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(arguments: &[&str]) -> Result<Task, clap::Error> {
        let arguments = std::iter::once("shop").chain(arguments.iter().copied());
        command("shop").try_get_matches_from(arguments).map(|mut matches| read(&mut matches))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command("shop").debug_assert();
    }

    #[test]
    fn the_help_says_what_it_is_help_for() {
        assert!(command("shop").render_help().to_string().starts_with("The service `shop`"));
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        assert_eq!(task(&[]).expect("valid"), Task::Serve);
        assert_eq!(task(&["serve"]).expect("valid"), Task::Serve);
    }

    #[test]
    fn help_lists_every_variable() {
        let help = task(&["--help"]).expect_err("help").to_string();
        for variable in variables() {
            assert!(help.contains(variable.name), "{help}");
        }
        assert!(help.contains("[sqlite://data.db]"), "{help}");
    }

    #[test]
    fn events_need_a_stream_or_all() {
        assert!(task(&["events"]).is_err());
        assert!(task(&["events", "Product-1", "--all"]).is_err());
        assert!(task(&["events", "--all"]).is_ok());
        assert!(task(&["events", "Product-1", "--after", "3", "--follow", "--format", "json"]).is_ok());
    }
}
