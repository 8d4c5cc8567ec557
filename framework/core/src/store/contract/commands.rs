//! Claims, accepted commands, outcomes, and that a unit is all or nothing.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use uuid::{NoContext, Timestamp, Uuid};

use super::{Fixture, append, appending, stream, whole_log};
use crate::store::{
    AcceptedCommand, Claim, ClaimKey, CommandOutcome, CommandStatus, CommitError, Expiry, RecordedClaim, RecordedReply,
    Settlement, SharedStore, Unit,
};

fn key(caller: &str, key: &str) -> ClaimKey {
    ClaimKey { command: "thing.make", caller: caller.to_owned(), key: key.to_owned() }
}

fn claim(key: ClaimKey, body: &str) -> Claim {
    let reply = RecordedReply {
        body: Bytes::copy_from_slice(body.as_bytes()),
        aggregate_id: "1".to_owned(),
        version: 7,
        command_id: Some(Uuid::from_u128(9)),
    };
    Claim { key, request_hash: [5; 32], reply, event: None }
}

fn recorded(claim: Claim) -> RecordedClaim {
    RecordedClaim { request_hash: claim.request_hash, reply: claim.reply }
}

fn claiming(key: ClaimKey, body: &str) -> Unit {
    Unit { claim: Some(claim(key, body)), ..Unit::default() }
}

/// A command that was accepted so many seconds after 1970; ids begin with the time, as those of the runtime do.
pub(super) fn command(seconds: u64) -> AcceptedCommand {
    AcceptedCommand {
        id: Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0)),
        name: "thing.make".to_owned(),
        aggregate: "Thing".to_owned(),
        aggregate_id: seconds.to_string(),
        request: Bytes::from_static(b"request"),
        expected_version: seconds.is_multiple_of(2).then_some(seconds),
        correlation_id: "correlation".to_owned(),
        causation_id: seconds.is_multiple_of(3).then(|| "cause".to_owned()),
        actor: (!seconds.is_multiple_of(2)).then(|| "ada".to_owned()),
        accepted_at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
    }
}

pub(super) fn accepting(command: &AcceptedCommand) -> Unit {
    Unit { accept: Some(command.clone()), ..Unit::default() }
}

pub(super) fn succeeded() -> CommandOutcome {
    let events = vec![("a".to_owned(), Bytes::from_static(b"1")), ("b".to_owned(), Bytes::new())];
    CommandOutcome::Succeeded { version: 2, events }
}

pub(super) fn failed(event: Option<(String, Bytes)>) -> CommandOutcome {
    CommandOutcome::Failed {
        code: "OUT_OF_STOCK".to_owned(),
        message: "nothing left".to_owned(),
        retryable: event.is_some(),
        event,
    }
}

pub(super) fn settling(command: &AcceptedCommand, outcome: CommandOutcome) -> Unit {
    Unit { settle: Some(Settlement { command_id: command.id, outcome }), ..Unit::default() }
}

async fn pending(store: &SharedStore) -> Vec<AcceptedCommand> {
    store.pending_commands().await.expect("readable")
}

async fn status(store: &SharedStore, command: &AcceptedCommand) -> Option<CommandStatus> {
    store.command_status(command.id).await.expect("readable")
}

/// The second to come gets what the first has recorded.
pub async fn records_a_claim_once(Fixture { store, guard: _guard, .. }: Fixture) {
    assert_eq!(store.find_claim(key("ada", "k")).await.expect("readable"), None);
    store.commit(claiming(key("ada", "k"), "first")).await.expect("a new key");
    let first = recorded(claim(key("ada", "k"), "first"));
    assert_eq!(store.find_claim(key("ada", "k")).await.expect("readable"), Some(first.clone()));
    match store.commit(claiming(key("ada", "k"), "second")).await {
        Err(CommitError::Claimed(found)) => assert_eq!(found, first),
        other => panic!("{other:?}"),
    }
    let mut without_id = claim(key("ada", "other"), "body");
    without_id.reply.command_id = None;
    store.commit(Unit { claim: Some(without_id.clone()), ..Unit::default() }).await.expect("a new key");
    assert_eq!(store.find_claim(key("ada", "other")).await.expect("readable"), Some(recorded(without_id)));
}

/// Nobody sees another's reply.
pub async fn scopes_a_claim_by_command_and_caller(Fixture { store, guard: _guard, .. }: Fixture) {
    let other_command = ClaimKey { command: "thing.break", ..key("ada", "k") };
    for key in [key("ada", "k"), key("bob", "k"), key("", "k"), other_command] {
        assert_eq!(store.find_claim(key.clone()).await.expect("readable"), None);
        store.commit(claiming(key, "body")).await.expect("a new scope");
    }
}

/// A repeated creation must get its recorded reply, not be told that the stream exists.
pub async fn tells_a_claim_before_a_conflict(Fixture { store, guard: _guard, .. }: Fixture) {
    let unit = || Unit { claim: Some(claim(key("ada", "k"), "first")), ..appending("1", 0, &["x"]) };
    store.commit(unit()).await.expect("a new stream");
    assert!(matches!(store.commit(unit()).await, Err(CommitError::Claimed(_))));
    assert_eq!(stream(&store, "1").await.len(), 1);
}

/// Oldest first, and every field comes back as it went in.
pub async fn keeps_accepted_commands_until_they_are_settled(Fixture { store, guard: _guard, .. }: Fixture) {
    let commands = [command(30), command(10), command(21)];
    for command in &commands {
        store.commit(accepting(command)).await.expect("a new command");
        let expected = CommandStatus { command: command.clone(), outcome: None };
        assert_eq!(status(&store, command).await, Some(expected));
    }
    let [thirty, ten, twenty_one] = &commands;
    assert_eq!(pending(&store).await, [ten.clone(), twenty_one.clone(), thirty.clone()]);
    store.commit(settling(twenty_one, succeeded())).await.expect("it is pending");
    assert_eq!(pending(&store).await, [ten.clone(), thirty.clone()]);
    assert_eq!(status(&store, &command(77)).await, None);
}

/// What was accepted before, once; what is accepted afterwards is looked after already.
pub async fn gives_each_node_what_nobody_looks_after(Fixture { store, guard: _guard, .. }: Fixture) {
    let (before, after) = (command(1), command(2));
    store.commit(accepting(&before)).await.expect("accepted");
    let node = Uuid::now_v7();
    assert_eq!(store.adopt_commands(node).await.expect("readable"), std::slice::from_ref(&before));
    store.commit(accepting(&after)).await.expect("accepted");
    assert_eq!(store.adopt_commands(node).await.expect("readable"), [], "it looks after both");
    assert_eq!(pending(&store).await, [before, after]);
}

/// Success with its events, failure with its error event or without.
pub async fn keeps_both_kinds_of_outcome(Fixture { store, guard: _guard, .. }: Fixture) {
    let event = ("thing.v1.OutOfStock".to_owned(), Bytes::from_static(b"\x08\x01"));
    for (seconds, outcome) in [(1, succeeded()), (2, failed(Some(event))), (3, failed(None))] {
        let command = command(seconds);
        store.commit(accepting(&command)).await.expect("a new command");
        store.commit(settling(&command, outcome.clone())).await.expect("it is pending");
        assert_eq!(status(&store, &command).await, Some(CommandStatus { command, outcome: Some(outcome) }));
    }
}

/// An outcome is never replaced, and there is none of a command that wasn't accepted.
pub async fn settles_once(Fixture { store, guard: _guard, .. }: Fixture) {
    let accepted = command(1);
    store.commit(accepting(&accepted)).await.expect("a new command");
    store.commit(settling(&accepted, succeeded())).await.expect("it is pending");
    for unknown_or_settled in [&accepted, &command(2)] {
        let result = store.commit(settling(unknown_or_settled, failed(None))).await;
        assert!(matches!(result, Err(CommitError::Settled)), "{result:?}");
    }
    assert_eq!(status(&store, &accepted).await.and_then(|it| it.outcome), Some(succeeded()));
}

/// Whatever the reason, and whatever travels together.
pub async fn leaves_nothing_of_a_refused_unit(Fixture { store, guard: _guard, .. }: Fixture) {
    store.commit(appending("1", 0, &["x"])).await.expect("a new stream");
    store.commit(claiming(key("ada", "taken"), "body")).await.expect("a new key");
    let unit = |claimed: &str, expected_version| Unit {
        append: Some(append("1", expected_version, &["y"])),
        claim: Some(claim(key("ada", claimed), "body")),
        accept: Some(command(1)),
        ..Unit::default()
    };
    assert!(matches!(store.commit(unit("free", 0)).await, Err(CommitError::Conflict { actual: 1 })));
    assert!(matches!(store.commit(unit("taken", 1)).await, Err(CommitError::Claimed(_))));
    let settling = settling(&command(5), succeeded());
    let unsettled = Unit { settle: settling.settle, ..unit("free", 1) };
    assert!(matches!(store.commit(unsettled).await, Err(CommitError::Settled)));

    assert_eq!(whole_log(&store).await.len(), 1);
    assert_eq!(store.find_claim(key("ada", "free")).await.expect("readable"), None);
    assert_eq!(pending(&store).await, []);
    store.commit(unit("free", 1)).await.expect("nothing of it is there yet");
}

/// The caller has been told that it took too long.
pub async fn leaves_nothing_of_an_expired_unit(Fixture { store, guard: _guard, .. }: Fixture) {
    let late = Unit { deadline: Some(Instant::now()), ..appending("1", 0, &["x"]) };
    assert!(matches!(store.commit(late).await, Err(CommitError::Expired)));
    assert_eq!(whole_log(&store).await, []);
    let deadline = Instant::now().checked_add(Duration::from_secs(3600));
    store.commit(Unit { deadline, ..appending("1", 0, &["x"]) }).await.expect("in time");
}

/// A worker that is killed leaves a command executed and settled, or neither.
pub async fn settles_together_with_the_events(Fixture { store, guard: _guard, .. }: Fixture) {
    let accepted = command(1);
    store.commit(accepting(&accepted)).await.expect("a new command");
    store.commit(appending("1", 0, &["somebody else's"])).await.expect("a new stream");
    let unit = |expected_version| Unit {
        append: Some(append("1", expected_version, &["mine"])),
        ..settling(&accepted, succeeded())
    };
    assert!(matches!(store.commit(unit(0)).await, Err(CommitError::Conflict { actual: 1 })));
    assert_eq!(pending(&store).await, std::slice::from_ref(&accepted));
    store.commit(unit(1)).await.expect("the right version");
    assert_eq!(pending(&store).await, []);
    assert!(matches!(store.commit(unit(2)).await, Err(CommitError::Settled)));
    assert_eq!(stream(&store, "1").await.len(), 2);
}

/// Claims by their age, commands by theirs if they have an outcome; events never.
pub async fn forgets_what_is_old_enough(Fixture { store, guard: _guard, .. }: Fixture) {
    let [old, pending_for_long, young] = [command(10), command(11), command(30)];
    // Callers choose ids; not all begin with the time.
    let old = AcceptedCommand { id: Uuid::from_u128(u128::MAX), ..old };
    let claiming = Unit { claim: Some(claim(key("ada", "k"), "body")), ..appending("1", 0, &["x"]) };
    store.commit(claiming).await.expect("a new stream");
    for command in [&old, &pending_for_long, &young] {
        store.commit(accepting(command)).await.expect("a new command");
    }
    for command in [&old, &young] {
        store.commit(settling(command, succeeded())).await.expect("it is pending");
    }

    let an_hour = Duration::from_secs(3600);
    let (before, after) = (SystemTime::now() - an_hour, SystemTime::now() + an_hour);
    let recent = expiry(before, before);
    assert_eq!(purge_all(&store, recent).await, 0, "an outcome is kept from when it came, not from the acceptance");
    let commands = expiry(before, after);
    assert_eq!(purge_all(&store, commands).await, 2);
    assert_eq!((status(&store, &old).await, status(&store, &young).await), (None, None));
    assert!(status(&store, &pending_for_long).await.is_some());
    assert!(store.find_claim(key("ada", "k")).await.expect("readable").is_some());

    let claims = expiry(after, before);
    assert_eq!(purge_all(&store, claims).await, 1);
    assert_eq!(store.find_claim(key("ada", "k")).await.expect("readable"), None);
    assert_eq!(stream(&store, "1").await.len(), 1);
    store.commit(self::claiming(key("ada", "k"), "again")).await.expect("the key is free again");
}

fn expiry(claims_before: SystemTime, commands_before: SystemTime) -> Expiry {
    Expiry { claims_before, commands_before, ..Expiry::nothing() }
}

async fn purge_all(store: &SharedStore, expiry: Expiry) -> u64 {
    let mut purged = 0;
    loop {
        match store.purge(expiry).await.expect("purged") {
            0 => return purged,
            some => purged += some,
        }
    }
}
