//! Meaning: commands whose name is the same, and which do something else.

use std::collections::BTreeSet;

use super::{
    Acceptable, Finding,
    events::{accept, is_accepted},
    place::Places,
    reading::{Obstacle, obstacles},
};
use crate::{
    contract::{Contract, Role, RpcShape, Target},
    diagnostic::{Code, Location},
    history::{Accepted, REMOVED, Subject},
    model::{Module, Rpc, RpcKind},
    shape::Shape,
};

/// Fields of `potter.CommandOptions`.
mod key {
    use super::super::place::Key;

    pub const AGGREGATE: Key = (1, "aggregate");
    pub const ASYNC: Key = (2, "async");
    pub const IDEMPOTENT: Key = (3, "idempotent");
    pub const CREATES: Key = (11, "creates");
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
    let mut findings = Vec::new();
    let mut followed = BTreeSet::new();
    for rpc in rpcs {
        let (Some((name, before)), Some(after)) = (former(rpc, was), now.rpcs.get(rpc.descriptor.full_name())) else {
            continue;
        };
        followed.insert(name);
        findings.extend(judge(rpc, &before.role, &after.role, places));
        findings.extend(moved(rpc, (&before.role, &after.role), module, places));
        findings.extend(unreadable(rpc, before, was, places));
    }
    let gone = was.rpcs.iter().filter(|(name, _)| !followed.contains(name));
    findings.extend(gone.filter_map(|(name, rpc)| orphaned(name, rpc, places)));
    findings.retain(|it| !it.acceptable.iter().all(|change| is_accepted(accepted, change)));
    findings
}

/// What an rpc was. A command is told by its id, which accepted commands and idempotency keys carry, whatever became of
/// the names of its rpc, service and package; else by its name, or by the one that it says it had.
fn former<'a>(rpc: &Rpc, was: &'a Contract) -> Option<(&'a String, &'a RpcShape)> {
    let by_name = |name: &str| was.rpcs.get_key_value(name);
    let RpcKind::Command(command) = &rpc.kind else { return by_name(rpc.descriptor.full_name()) };
    let by_id = was.rpcs.iter().find(|(_, it)| matches!(&it.role, Role::Command { id, .. } if *id == command.id));
    let service = rpc.descriptor.parent_service();
    let renamed = || by_name(&format!("{}.{}", service.full_name(), command.renamed_from.as_ref()?));
    by_id.or_else(|| by_name(rpc.descriptor.full_name())).or_else(renamed)
}

/// A command that is sent to other streams.
fn moved(rpc: &Rpc, (was, now): (&Role, &Role), module: &Module, places: &Places<'_>) -> Vec<Finding> {
    let (Role::Command { target: Some(before), .. }, Role::Command { target: Some(after), .. }) = (was, now) else {
        return Vec::new();
    };
    let name = rpc.descriptor.name();
    let finding = |code, key, message, keep| {
        let acceptable = (was.to_string(), now.to_string());
        finding(rpc, code, places.command_option(&rpc.descriptor, key), (message, keep), acceptable)
    };
    let mut findings = Vec::new();
    // One that is called otherwise now is told of with its events.
    let is_there = module.aggregates.iter().any(|it| it.name == before.aggregate);
    if before.aggregate != after.aggregate && is_there {
        let message =
            format!("command {name} was sent to {}, and is sent to {} now", before.aggregate, after.aggregate);
        let keep = format!("write `aggregate: \"{}\"` again, or add an rpc of another name", before.aggregate);
        findings.push(finding(Code::CommandMoved, key::AGGREGATE, message, keep));
    }
    if before.creates != after.creates {
        let shown = |it: &Target| if it.creates { "created its stream" } else { "worked on a stream that is there" };
        let became = if after.creates { "creates it now" } else { "no longer does" };
        let message = format!("command {name} {}, and {became}", shown(before));
        let keep = format!("write `creates: {}`, or add an rpc of another name", before.creates);
        findings.push(finding(Code::CreatesFlipped, key::CREATES, message, keep));
    }
    findings
}

/// What keeps accepted requests of an async command, which are stored as protobuf has them, from being read.
fn unreadable(rpc: &Rpc, before: &RpcShape, was: &Contract, places: &Places<'_>) -> Vec<Finding> {
    if !is_async(&before.role) {
        return Vec::new();
    }
    let Some(request) = was.types.shape_of(&before.request) else { return Vec::new() };
    let now = Shape::of(&rpc.descriptor.input());
    let breaking =
        obstacles(&request, &now, &request, &|it| places.has_edition(it)).into_iter().filter(Obstacle::is_in_protobuf);
    let found = breaking.map(|it| {
        let (_, location) = places.element(&it.at);
        let location = location.unwrap_or_else(|| places.method(&rpc.descriptor));
        let message = format!("{}; accepted commands {} may wait with it", it.message, rpc.descriptor.name());
        let acceptable = (request.hash(), now.hash());
        finding(rpc, Code::AcceptedUnreadable, location, (message, it.keep), acceptable)
    });
    found.collect()
}

/// An async command that no rpc is any more.
fn orphaned(name: &str, rpc: &RpcShape, places: &Places<'_>) -> Option<Finding> {
    let Role::Command { id, is_async: true, .. } = &rpc.role else { return None };
    let (service, short) = name.rsplit_once('.').unwrap_or(("", name));
    let subject = Subject::Rpc(name.to_owned());
    Some(Finding {
        code: Code::AcceptedUnreadable,
        symbol: name.to_owned(),
        location: places.service(service).or_else(|| places.module()),
        message: format!("async command {short} was removed: accepted ones may wait, and nobody would execute them"),
        ways_out: vec![
            "keep it, and mark it `option deprecated = true;`".to_owned(),
            format!("write `id: \"{id}\"` in (potter.command) of the rpc that it is now"),
            accept(&subject),
        ],
        rules: Vec::new(),
        acceptable: vec![Acceptable { subject, from: rpc.role.to_string(), to: REMOVED.to_owned() }],
    })
}

fn is_async(role: &Role) -> bool {
    matches!(role, Role::Command { is_async: true, .. })
}

/// A finding about an rpc, which can be accepted as the change from one thing to another.
fn finding(
    rpc: &Rpc,
    code: Code,
    location: Location,
    (message, keep): (String, String),
    (from, to): (String, String),
) -> Finding {
    let symbol = rpc.descriptor.full_name().to_owned();
    let subject = Subject::Rpc(symbol.clone());
    Finding {
        code,
        symbol,
        location: Some(location),
        message,
        ways_out: vec![keep, accept(&subject)],
        rules: Vec::new(),
        acceptable: vec![Acceptable { subject, from, to }],
    }
}

fn judge(rpc: &Rpc, was: &Role, now: &Role, places: &Places<'_>) -> Vec<Finding> {
    let method = &rpc.descriptor;
    let name = method.name();
    let finding = |code, location, message, keep| {
        finding(rpc, code, location, (message, keep), (was.to_string(), now.to_string()))
    };
    let (was_command, now_command) = match (was, now) {
        (
            Role::Command { id, is_async, idempotent, .. },
            Role::Command { id: now_id, is_async: now_async, idempotent: now_idempotent, .. },
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
