//! The `buf.validate` rules of requests: checked before a request reaches whoever answers it, on every transport.

use std::collections::HashMap;

use bytes::Bytes;
use potter_validate::{Cause, Validator, Violation};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use super::StartError;
use crate::failure::{Failure, FieldViolation};
use crate::module::Module;

/// The rules of a module's requests.
pub(super) struct Rules {
    validator: Validator,
    /// By rpc; only requests that have rules, so that the others are not decoded a second time.
    requests: HashMap<&'static str, MessageDescriptor>,
}

impl Rules {
    /// Compiles the rules.
    ///
    /// # Errors
    /// One of them cannot be enforced.
    pub fn new(module: &Module, pool: &DescriptorPool) -> Result<Self, StartError> {
        let validator = Validator::new(pool.clone())?;
        let rpcs = module.commands().map(|spec| spec.rpc).chain(module.queries());
        let requests = rpcs.filter_map(|rpc| Some((rpc, request_of(pool, rpc)?)));
        let requests = requests.filter(|(_, request)| validator.has_rules(request)).collect();
        Ok(Self { validator, requests })
    }

    /// Checks the request of a call to `rpc`.
    pub fn check(&self, rpc: &str, body: &Bytes) -> Result<(), Failure> {
        let Some(request) = self.requests.get(rpc) else { return Ok(()) };
        let message = DynamicMessage::decode(request.clone(), body.clone())
            .map_err(|error| Failure::malformed(format!("not a valid message: {error}")))?;
        self.validator.validate(&message).map_err(failure)
    }
}

fn request_of(pool: &DescriptorPool, rpc: &str) -> Option<MessageDescriptor> {
    let (service, method) = rpc.split_once('/')?;
    let service = pool.get_service_by_name(service)?;
    service.methods().find(|it| it.name() == method).map(|method| method.input())
}

fn failure(violations: Vec<Violation>) -> Failure {
    for broken in violations.iter().filter(|violation| violation.cause == Cause::Rule) {
        tracing::warn!(field = broken.field, rule = broken.rule, "a rule could not be evaluated");
    }
    Failure::violations(violations.into_iter().map(field_violation).collect())
}

fn field_violation(violation: Violation) -> FieldViolation {
    let Violation { field, rule, message, for_key, .. } = violation;
    let message = if for_key { format!("has a key that {message}") } else { message };
    FieldViolation { field, rule, message }
}
