//! Meaning: commands whose name is the same, and which do something else.

use super::{
    Acceptable, Finding,
    events::{accept, is_accepted},
    place::Places,
};
use crate::{
    contract::{Contract, Role, RpcShape},
    diagnostic::{Code, Location},
    history::{Accepted, Subject},
    model::{Module, Rpc, RpcKind},
};

/// Fields of `potter.CommandOptions`.
mod key {
    use super::super::place::Key;

    pub const ASYNC: Key = (2, "async");
    pub const IDEMPOTENT: Key = (3, "idempotent");
    pub const ID: Key = (12, "id");
}

/// Compares the commands of two contracts, each with what it was: see [`former`].
pub(super) fn findings(
    was: &Contract,
    now: &Contract,
    accepted: &[Accepted],
    module: &Module,
    places: &Places<'_>,
) -> Vec<Finding> {
    let rpcs = module.services.iter().flat_map(|it| &it.rpcs);
    let findings = rpcs.flat_map(|rpc| {
        let name = rpc.descriptor.full_name();
        match (former(rpc, was), now.rpcs.get(name)) {
            (Some(was), Some(now)) => judge(rpc, &was.role, &now.role, places),
            _ => Vec::new(),
        }
    });
    findings.filter(|it| !it.acceptable.iter().all(|change| is_accepted(accepted, change))).collect()
}

/// What an rpc was. A command is told by its id, which accepted commands and idempotency keys carry, whatever became of
/// the names of its rpc, service and package; else by its name, or by the one that it says it had.
fn former<'a>(rpc: &Rpc, was: &'a Contract) -> Option<&'a RpcShape> {
    let RpcKind::Command(command) = &rpc.kind else { return was.rpcs.get(rpc.descriptor.full_name()) };
    let by_id = was.rpcs.values().find(|it| matches!(&it.role, Role::Command { id, .. } if *id == command.id));
    let service = rpc.descriptor.parent_service();
    let renamed = || was.rpcs.get(&format!("{}.{}", service.full_name(), command.renamed_from.as_ref()?));
    by_id.or_else(|| was.rpcs.get(rpc.descriptor.full_name())).or_else(renamed)
}

fn judge(rpc: &Rpc, was: &Role, now: &Role, places: &Places<'_>) -> Vec<Finding> {
    let method = &rpc.descriptor;
    let name = method.name();
    let finding = |code: Code, location: Location, message: String, keep: String| {
        let subject = Subject::Rpc(method.full_name().to_owned());
        Finding {
            code,
            symbol: method.full_name().to_owned(),
            location: Some(location),
            message,
            ways_out: vec![keep, accept(&subject)],
            rules: Vec::new(),
            acceptable: vec![Acceptable { subject, from: was.to_string(), to: now.to_string() }],
        }
    };
    let (was_command, now_command) = match (was, now) {
        (
            Role::Command { id, is_async, idempotent },
            Role::Command { id: now_id, is_async: now_async, idempotent: now_idempotent },
        ) => ((id, *is_async, *idempotent), (now_id, *now_async, *now_idempotent)),
        (Role::Query, Role::Query) => return Vec::new(),
        _ => {
            let kind = |role: &Role| if matches!(role, Role::Query) { "query" } else { "command" };
            let message = format!("rpc {name} was a {} and is a {} now", kind(was), kind(now));
            let keep = format!("keep {name} as it was, and add an rpc of another name");
            return vec![finding(Code::RpcRoleChanged, places.method(method), message, keep)];
        }
    };
    let mut findings = Vec::new();
    let (was_id, now_id) = (was_command.0, now_command.0);
    if was_id != now_id {
        let message = format!(
            "the id of command {name} was `{was_id}` and is `{now_id}` now: accepted commands and idempotency keys carry \
             the old one"
        );
        let keep = format!("write `id: \"{was_id}\"` in (potter.command)");
        findings.push(finding(Code::CommandIdChanged, places.command_option(method, key::ID), message, keep));
    }
    if was_command.1 != now_command.1 {
        let shown = |it: bool| if it { "async: answered before it is executed" } else { "answered with its outcome" };
        let message = format!("command {name} was {}, and is {} now", shown(was_command.1), shown(now_command.1));
        let keep = format!("write `async: {}` again, or add an rpc of another name", was_command.1);
        findings.push(finding(Code::AsyncFlipped, places.command_option(method, key::ASYNC), message, keep));
    }
    if was_command.2 && !now_command.2 {
        let message = format!("command {name} was idempotent and isn't any more: a caller's repeat is executed again");
        let keep = "write `idempotent: true` again".to_owned();
        let place = places.command_option(method, key::IDEMPOTENT);
        findings.push(finding(Code::IdempotencyDropped, place, message, keep));
    }
    findings
}
