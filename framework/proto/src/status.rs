//! How far a command is, as transports tell it.

use std::collections::{HashMap, HashSet};

use potter_core::failure::{Failure, FieldViolation};
use potter_core::module::Module;
use potter_core::store::{CommandOutcome, CommandStatus};
use prost_types::Any;

use crate::runtime::v1::{self, command_status::Status};

/// Puts statuses into messages; knows which message an event is, and which events stay inside the service.
#[derive(Clone, Debug)]
pub struct StatusTeller {
    /// Full name of the message by stored type; the newest version's.
    events: HashMap<&'static str, &'static str>,
    /// Stored types of the events that nobody else is told of.
    internal: HashSet<&'static str>,
}

impl StatusTeller {
    /// For the commands of a module.
    #[must_use]
    pub fn new(module: &Module) -> Self {
        let events = module.aggregates().iter().flat_map(|aggregate| aggregate.events);
        let events: HashMap<_, _> = events.map(|(ty, _, message)| (*ty, *message)).collect();
        let internal = events.keys().copied().filter(|ty| module.is_internal(ty)).collect();
        Self { events, internal }
    }

    /// How far a command is. Internal events that it recorded are left out.
    #[must_use]
    pub fn tell(&self, CommandStatus { command, outcome }: &CommandStatus) -> v1::CommandStatus {
        let pending = v1::CommandStatus {
            command_id: command.id.to_string(),
            command: command.name.clone(),
            status: Status::Pending.into(),
            aggregate_id: command.aggregate_id.clone(),
            accepted_at: Some(command.accepted_at.into()),
            correlation_id: command.correlation_id.clone(),
            ..Default::default()
        };
        match outcome {
            None => pending,
            Some(CommandOutcome::Succeeded { version, events }) => v1::CommandStatus {
                status: Status::Succeeded.into(),
                version: *version,
                events: events.iter().filter_map(|(ty, payload)| self.event(ty, payload)).collect(),
                ..pending
            },
            Some(CommandOutcome::Failed { code, message, retryable, event }) => v1::CommandStatus {
                status: Status::Failed.into(),
                error: Some(v1::CommandError {
                    code: code.clone(),
                    message: message.clone(),
                    retryable: *retryable,
                    event: event.as_ref().map(|(name, payload)| any(name, payload)),
                    violations: Vec::new(),
                }),
                ..pending
            },
        }
    }

    fn event(&self, ty: &str, payload: &[u8]) -> Option<v1::CommandEvent> {
        let name = self.events.get(ty).copied().unwrap_or(ty);
        let event = || v1::CommandEvent { r#type: ty.to_owned(), data: Some(any(name, payload)) };
        (!self.internal.contains(ty)).then(event)
    }
}

/// Why a query failed.
#[must_use]
pub fn query_error(failure: &Failure) -> v1::QueryError {
    v1::QueryError {
        code: failure.code.clone().into_owned(),
        message: failure.message.clone(),
        retryable: failure.retryable,
        violations: violations(failure),
    }
}

/// Why a request never became a command.
#[must_use]
pub fn command_error(failure: &Failure) -> v1::CommandError {
    v1::CommandError {
        code: failure.code.clone().into_owned(),
        message: failure.message.clone(),
        retryable: failure.retryable,
        event: failure.event.as_ref().map(|event| any(&event.0, &event.1)),
        violations: violations(failure),
    }
}

fn violations(failure: &Failure) -> Vec<v1::FieldViolation> {
    let violation = |it: &FieldViolation| v1::FieldViolation {
        field: it.field.clone(),
        rule: it.rule.clone(),
        message: it.message.clone(),
    };
    failure.violations.iter().map(violation).collect()
}

/// A message of that full name as an `Any`.
#[must_use]
pub fn any(name: &str, payload: &[u8]) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: payload.to_vec() }
}
