//! Reads variables, and remembers everything that is wrong.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use potter_core::resilience::Limits;

use super::{ConfigError, Problem};

pub(super) const COUNT: &str = "a number from 1 to 4294967295";
const MILLISECONDS: &str = "a number of milliseconds, 1 or more";

/// What the limits of a part are called.
pub(super) struct LimitNames {
    pub timeout: &'static str,
    pub attempts: &'static str,
    pub outages: &'static str,
    pub open_for: &'static str,
    pub concurrency: &'static str,
}

/// The variables, and what is wrong with those that were read.
pub(super) struct Reader<'l> {
    lookup: &'l dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
}

impl<'l> Reader<'l> {
    pub fn new(lookup: &'l dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    pub fn raw(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub fn get<T>(&mut self, name: &str, expected: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let value = self.raw(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problem(format!("{name}={value}"), format!("expected {expected}"));
        }
        parsed
    }

    /// A value that is not shown to anybody.
    pub fn secret<T>(&mut self, name: &str, expected: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let value = self.raw(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problem(name.to_owned(), format!("expected {expected}"));
        }
        parsed
    }

    pub fn limits(&mut self, names: &LimitNames, usual: Limits) -> Limits {
        let milliseconds = |value: Option<NonZeroU32>, usual: Duration| {
            value.map_or(usual, |value| Duration::from_millis(value.get().into()))
        };
        let count = |value: Option<NonZeroU32>, usual: usize| {
            value.and_then(|value| usize::try_from(value.get()).ok()).unwrap_or(usual)
        };
        Limits {
            timeout: milliseconds(self.get(names.timeout, MILLISECONDS, parse), usual.timeout),
            attempts: count(self.get(names.attempts, COUNT, parse), usual.attempts),
            outages: self.get(names.outages, COUNT, parse).map_or(usual.outages, NonZeroU32::get),
            open_for: milliseconds(self.get(names.open_for, MILLISECONDS, parse), usual.open_for),
            concurrency: count(self.get(names.concurrency, COUNT, parse), usual.concurrency),
        }
    }

    pub fn problem(&mut self, subject: String, expected: String) {
        self.problems.push(Problem { subject, expected });
    }

    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }
}

pub(super) fn parse<T: FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}
