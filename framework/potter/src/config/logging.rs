//! What the log is told.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::reader::Reader;
use super::{LogFormat, Variable, variable};

pub(super) const VARIABLES: &[Variable] = &[
    variable("LOG_LEVEL", "info", "error, warn, info, debug, trace, off; or by target: info,potter=debug"),
    variable("LOG_FORMAT", "text", "text or json"),
];

const LEVEL: &str = "error, warn, info, debug, trace or off, or levels by target such as `info,potter=debug`";

impl Reader<'_> {
    pub(super) fn log_level(&mut self) -> String {
        self.get("LOG_LEVEL", LEVEL, level).unwrap_or_else(|| "info".to_owned())
    }

    pub(super) fn log_format(&mut self) -> LogFormat {
        self.get("LOG_FORMAT", "text or json", log_format).unwrap_or(LogFormat::Text)
    }
}

fn level(value: &str) -> Option<String> {
    let filter = value.to_ascii_lowercase();
    let filter = if filter == "warning" { "warn".to_owned() } else { value.to_owned() };
    // A bare word that is no level would be taken for the name of a target, and silence everything else.
    let bare = !filter.contains(['=', ',', '[']);
    let known = filter.parse::<LevelFilter>().is_ok();
    (known || (!bare && EnvFilter::try_new(&filter).is_ok())).then_some(filter)
}

fn log_format(value: &str) -> Option<LogFormat> {
    match value.to_ascii_lowercase().as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}
