//! Log lines: written to stderr, as text or as JSON, panics included.

mod json;

use std::panic;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::JsonFields;

use self::json::FlatJson;
use crate::config::{Config, LogFormat};

/// Installs logging for the whole process; keeps what is installed already.
///
/// Log lines go to stderr, so that what subcommands print can be piped.
pub(crate) fn install(config: &Config) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(&config.log_level)).with_writer(std::io::stderr);
    let installed = match config.log_format {
        LogFormat::Text => builder.with_ansi(colours()).try_init(),
        LogFormat::Json => builder.fmt_fields(JsonFields::new()).event_format(FlatJson).try_init(),
    };
    if installed.is_ok() {
        log_panics();
    }
}

fn colours() -> bool {
    use std::io::IsTerminal as _;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A bare level is meant for the service; what its network libraries say below `info` would drown it.
fn filter(level: &str) -> EnvFilter {
    let quiet = ["h2", "hyper", "hyper_util", "tonic", "tower", "mio"];
    match level.parse::<LevelFilter>() {
        Ok(bare) if bare > LevelFilter::INFO => {
            let directives: Vec<_> = quiet.iter().map(|target| format!("{target}=info")).collect();
            EnvFilter::new(format!("{bare},{}", directives.join(",")))
        }
        _ => EnvFilter::new(level),
    }
}

/// Logs panics where they happen, instead of what the standard library prints of them.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a value that is no text");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            tracing::error!(panic.message = message, panic.place = place, panic.backtrace = %backtrace, "a panic");
        } else {
            tracing::error!(panic.message = message, panic.place = place, "a panic");
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_debug_level_keeps_network_libraries_quiet() {
        let filter = filter("debug").to_string();
        assert!(filter.contains("h2=info"), "{filter}");
        assert!(filter.contains("debug"), "{filter}");
    }

    #[test]
    fn other_filters_are_taken_as_they_are() {
        assert_eq!(filter("warn").to_string(), "warn");
        assert_eq!(filter("h2=trace").to_string(), "h2=trace");
    }
}
