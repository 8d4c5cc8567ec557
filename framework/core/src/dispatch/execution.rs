//! The path of a command: load, decide, append; again when somebody else was first.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message;
use sha2::{Digest, Sha256};
use tracing::Instrument;
use uuid::Uuid;

use super::repository::{Last, Loaded, Repository, save_snapshot};
use super::{Binder, Outcome, Reply, Request, RequestMetadata, Runtime};
use crate::clock;
use crate::command::{Attempt, Command, CommandOf, CommandSpec, Executed};
use crate::domain::{AGGREGATE_ID, Aggregate, Context, DomainEvent, EVENT_IDS, derived_id};
use crate::event::{EventMetadata, NewEvent};
use crate::failure::{Failure, FailureKind, codes};
use crate::identity;
use crate::panics::caught;
use crate::store::{
    AcceptedCommand, Append, Claim, ClaimKey, CommandOutcome, CommitError, ProcessedEvent, RecordedClaim,
    RecordedReply, Settlement, Unit,
};
use crate::telemetry::CommandMeter;

/// How often a command is decided again when another process was first.
const ROUNDS: u32 = 8;

/// What a commit that began before the deadline may take beyond it: its outcome is worth more to the caller than not
/// knowing.
const COMMIT_GRACE: Duration = Duration::from_millis(250);

/// A declared command, its types forgotten.
pub(crate) trait DeclaredCommand: Send + Sync {
    /// What is declared of it.
    fn spec(&self) -> &CommandSpec;

    /// Binds it to a running module.
    fn bind(self: Arc<Self>, binder: &mut Binder) -> Arc<dyn BoundCommand>;
}

impl<A, C, R> DeclaredCommand for Command<A, C, R>
where
    A: Aggregate,
    C: Message + Default + Clone + 'static,
    R: Message + 'static,
{
    fn spec(&self) -> &CommandSpec {
        &self.spec
    }

    fn bind(self: Arc<Self>, binder: &mut Binder) -> Arc<dyn BoundCommand> {
        let repository = binder.repository::<A>();
        let runtime = binder.runtime.clone();
        let meter = CommandMeter::new(runtime.module, self.spec.name);
        Arc::new(Bound { command: self, repository, runtime, meter })
    }
}

/// A command of a running module.
pub(crate) trait BoundCommand: Send + Sync {
    /// What is declared of it.
    fn spec(&self) -> &CommandSpec;

    /// What is counted of it.
    fn meter(&self) -> &CommandMeter;

    /// Executes a request and answers it.
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, Failure>>;

    /// Prepares a request for the workers.
    fn prepare(&self, request: Request) -> Result<Acceptance, Failure>;

    /// Executes what was accepted; its outcome is settled in the same transaction as its events.
    ///
    /// After a failure nothing is settled.
    fn execute_accepted<'a>(&'a self, command: &'a AcceptedCommand) -> BoxFuture<'a, Result<(), Failure>>;
}

/// A request prepared for the workers.
pub(crate) struct Acceptance {
    pub command: AcceptedCommand,
    pub claim: Option<Claim>,
    pub reply: Bytes,
    pub deadline: Instant,
}

/// A command of aggregate `A` in a running module.
struct Bound<A> {
    command: Arc<dyn CommandOf<A>>,
    repository: Arc<Repository<A>>,
    runtime: Arc<Runtime>,
    meter: CommandMeter,
}

/// Everything about one execution that is the same however often it is decided.
struct Execution {
    aggregate_id: String,
    /// The id was made for this execution, so that no stream can have it.
    id_is_new: bool,
    command_id: Uuid,
    correlation_id: String,
    /// What caused the command, if that was said.
    causation_id: Option<String>,
    actor: Option<String>,
    time: SystemTime,
    expected_version: Option<u64>,
    deadline: Instant,
    claim: Option<Claiming>,
    /// The outcome of an accepted command is settled together with its events.
    settles: bool,
}

/// What a repeat of an execution is known by.
struct Claiming {
    key: ClaimKey,
    request_hash: [u8; 32],
    event: Option<ProcessedEvent>,
}

impl Claiming {
    fn reply(&self, reply: RecordedReply) -> Claim {
        Claim { key: self.key.clone(), request_hash: self.request_hash, reply, event: self.event.clone() }
    }
}

/// What an execution decides on.
struct Known<A> {
    loaded: Loaded<A>,
    /// Read from the store for this execution, rather than remembered or assumed.
    certain: bool,
}

/// What a rule has decided, taken in.
struct Decision<A: Aggregate> {
    events: Vec<A::Event>,
    after: Loaded<A>,
    reply: Bytes,
}

impl<A: Aggregate> BoundCommand for Bound<A> {
    fn spec(&self) -> &CommandSpec {
        self.command.spec()
    }

    fn meter(&self) -> &CommandMeter {
        &self.meter
    }

    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let began = clock::now();
            let result = self.answer(request, began).await;
            self.meter.answered(began, &result);
            result
        })
    }

    fn prepare(&self, request: Request) -> Result<Acceptance, Failure> {
        let attempt = self.command.read(request.body.clone())?;
        let execution = self.execution(&*attempt, request.metadata, clock::now())?;
        let id = execution.aggregate_id;
        let reply: Bytes = caught(self.spec().name, || attempt.accepted(&id))?.into();
        let recorded = RecordedReply {
            body: reply.clone(),
            aggregate_id: id.clone(),
            version: 0,
            command_id: Some(execution.command_id),
        };
        let claim = execution.claim.map(|claiming| claiming.reply(recorded));
        let command = AcceptedCommand {
            id: execution.command_id,
            name: self.spec().name.to_owned(),
            aggregate: A::NAME.to_owned(),
            aggregate_id: id,
            request: request.body,
            expected_version: execution.expected_version,
            correlation_id: execution.correlation_id,
            causation_id: execution.causation_id,
            actor: execution.actor,
            accepted_at: execution.time,
        };
        Ok(Acceptance { command, claim, reply, deadline: execution.deadline })
    }

    fn execute_accepted<'a>(&'a self, command: &'a AcceptedCommand) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let began = clock::now();
            let attempt = self.command.read(command.request.clone())?;
            let execution = self.accepted_execution(command, began);
            let span = self.span(&execution);
            let result = self.execute(&*attempt, &execution).instrument(span).await;
            self.meter.answered(began, &result);
            result.map(drop)
        })
    }
}

impl<A: Aggregate> Bound<A> {
    async fn answer(&self, request: Request, began: Instant) -> Result<Reply, Failure> {
        let attempt = self.command.read(request.body)?;
        let execution = self.execution(&*attempt, request.metadata, began)?;
        let span = self.span(&execution);
        let mut reply = self.execute(&*attempt, &execution).instrument(span).await?;
        if let Outcome::Executed { created, .. } = &mut reply.outcome {
            *created = self.spec().creates;
        }
        Ok(reply)
    }

    fn span(&self, execution: &Execution) -> tracing::Span {
        tracing::info_span!(
            "command",
            name = self.spec().name,
            aggregate_id = execution.aggregate_id,
            correlation_id = execution.correlation_id,
        )
    }

    /// What a request asks for.
    fn execution(
        &self,
        attempt: &dyn Attempt<A>,
        metadata: RequestMetadata,
        began: Instant,
    ) -> Result<Execution, Failure> {
        let spec = self.spec();
        let command_id = metadata.command_id.unwrap_or_else(Uuid::now_v7);
        let claim = match (&metadata.effect_of, &metadata.idempotency_key) {
            (Some(effect), _) => {
                let claiming = claiming(spec, attempt, &effect.key, Some(&inbox(&effect.event.subscription)))?;
                Some(Claiming { event: Some(effect.event.clone()), ..claiming })
            }
            (None, Some(key)) if spec.idempotent => Some(claiming(spec, attempt, key, metadata.actor.as_deref())?),
            _ => None,
        };
        if let Some(cause) = &metadata.causation_id {
            identity::check_causation_id(cause)?;
        }
        let deadline = began + spec.timeout.unwrap_or(self.runtime.options.command_timeout);
        let id_is_new = spec.creates && attempt.id().is_empty();
        let aggregate_id = if id_is_new {
            derived_id(command_id, AGGREGATE_ID).to_string()
        } else {
            identity::check(spec.id_field, attempt.id())?;
            attempt.id().to_owned()
        };
        Ok(Execution {
            aggregate_id,
            id_is_new,
            command_id,
            correlation_id: metadata.correlation_id.unwrap_or_else(|| command_id.to_string()),
            causation_id: metadata.causation_id,
            actor: metadata.actor,
            time: SystemTime::now(),
            expected_version: metadata.expected_version,
            deadline: metadata.deadline.map_or(deadline, |it| it.min(deadline)),
            claim,
            settles: false,
        })
    }

    /// What was accepted, as the worker executes it.
    fn accepted_execution(&self, command: &AcceptedCommand, began: Instant) -> Execution {
        Execution {
            aggregate_id: command.aggregate_id.clone(),
            id_is_new: false,
            command_id: command.id,
            correlation_id: command.correlation_id.clone(),
            causation_id: command.causation_id.clone(),
            actor: command.actor.clone(),
            time: command.accepted_at,
            expected_version: command.expected_version,
            deadline: began + self.spec().timeout.unwrap_or(self.runtime.options.command_timeout),
            claim: None,
            settles: true,
        }
    }

    async fn execute(&self, attempt: &dyn Attempt<A>, execution: &Execution) -> Result<Reply, Failure> {
        let until = tokio::time::Instant::from_std(execution.deadline + COMMIT_GRACE);
        let executed = tokio::time::timeout_at(until, self.take_turn(attempt, execution));
        executed.await.unwrap_or_else(|_| Err(Failure::deadline_exceeded())).inspect_err(|failure| {
            tracing::debug!(code = &*failure.code, reason = failure.message, "not executed");
        })
    }

    async fn take_turn(&self, attempt: &dyn Attempt<A>, execution: &Execution) -> Result<Reply, Failure> {
        let _turn = match execution.id_is_new {
            true => None,
            false => Some(self.runtime.turn(A::NAME, &execution.aggregate_id).await),
        };
        match self.decide_and_commit(attempt, execution).await {
            Err(failure) if matches!(failure.kind, FailureKind::Refused | FailureKind::Conflict) => {
                self.recorded(execution).await?.ok_or(failure)
            }
            done => done,
        }
    }

    /// The reply that was recorded under the execution's idempotency key.
    ///
    /// Asked only after a refusal: what can be done is answered by the commit itself if it is a repeat, which saves
    /// the hot path a read.
    async fn recorded(&self, execution: &Execution) -> Result<Option<Reply>, Failure> {
        let Some(claiming) = &execution.claim else { return Ok(None) };
        let found = self.runtime.store.find_claim(claiming.key.clone()).await?;
        found.map(|claim| self.replay(execution, claim)).transpose()
    }

    async fn decide_and_commit(&self, attempt: &dyn Attempt<A>, execution: &Execution) -> Result<Reply, Failure> {
        let mut known = self.known(execution).await?;
        for round in 1..=ROUNDS {
            let decision = self.decide_surely(attempt, execution, &mut known).await?;
            match self.commit(execution, known.loaded.version, &decision).await {
                Ok(position) => return Ok(self.done(execution, known.loaded.version, decision, position)),
                Err(CommitError::Conflict { .. }) => {
                    tokio::time::sleep(jitter(round)).await;
                    self.renew(execution, &mut known).await?;
                }
                Err(CommitError::Claimed(claim)) => return self.replay(execution, claim),
                // Executed before, perhaps in the process before a restart: there is nothing left to do.
                Err(CommitError::Settled) => return Ok(decision.reply(execution, 0)),
                Err(CommitError::Expired) => return Err(Failure::deadline_exceeded()),
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Failure::conflict(codes::CONTENTION, "others keep changing it at the same time").retryable())
    }

    /// What the execution begins with: what is remembered; nothing, for what is to be created; else what is stored.
    async fn known(&self, execution: &Execution) -> Result<Known<A>, Failure> {
        let id = &execution.aggregate_id;
        if let Some(loaded) = self.repository.remembered(id) {
            return Ok(Known { loaded, certain: false });
        }
        if self.spec().creates {
            let state = Arc::new(caught(A::NAME, || A::with_id(id))?);
            let loaded = Loaded { state, version: 0, ended: false };
            return Ok(Known { loaded, certain: execution.id_is_new });
        }
        Ok(Known { loaded: self.repository.load(id).await?, certain: true })
    }

    /// Takes in what others have recorded.
    async fn renew(&self, execution: &Execution, known: &mut Known<A>) -> Result<bool, Failure> {
        known.certain = true;
        let newer = self.repository.newer(&execution.aggregate_id, &known.loaded).await?;
        let changed = newer.is_some();
        if let Some(newer) = newer {
            known.loaded = newer;
        }
        Ok(changed)
    }

    /// Decides; a decision that the append won't check, a refusal for one, is only made on a state that is certain.
    async fn decide_surely(
        &self,
        attempt: &dyn Attempt<A>,
        execution: &Execution,
        known: &mut Known<A>,
    ) -> Result<Decision<A>, Failure> {
        let decided = self.decide(attempt, execution, &known.loaded);
        let appends = matches!(&decided, Ok(decision) if !decision.events.is_empty());
        if !appends && !known.certain && self.renew(execution, known).await? {
            return self.decide(attempt, execution, &known.loaded);
        }
        decided
    }

    fn decide(
        &self,
        attempt: &dyn Attempt<A>,
        execution: &Execution,
        loaded: &Loaded<A>,
    ) -> Result<Decision<A>, Failure> {
        check_existence(self.spec(), &execution.aggregate_id, loaded)?;
        check_version(execution.expected_version, loaded.version)?;
        let context = execution.context(loaded.version);
        caught(self.spec().name, || {
            let events = attempt.decide(&loaded.state, &context)?;
            let after = take_in(loaded, &events);
            let id = &execution.aggregate_id;
            let reply = attempt.executed(Executed { id, state: &after.state, events: &events, version: after.version });
            Ok(Decision { events, after, reply: reply.into() })
        })?
    }

    /// Commits what there is to commit; answers with a position that includes it.
    async fn commit(&self, execution: &Execution, version: u64, decision: &Decision<A>) -> Result<u64, CommitError> {
        let store = &self.runtime.store;
        let append = (!decision.events.is_empty()).then(|| execution.append::<A>(version, &decision.events));
        let claim = execution.claim.as_ref().map(|claiming| claiming.reply(execution.recorded_reply(decision)));
        let settle = execution.settles.then(|| settlement(execution.command_id, decision));
        if append.is_none() && claim.is_none() && settle.is_none() {
            return Ok(*store.head().borrow());
        }
        let unit = Unit { append, claim, settle, accept: None, deadline: Some(execution.deadline) };
        store.commit(unit).await.map(|committed| committed.position)
    }

    /// Remembers the new state, keeps a snapshot if it is time for one, and makes the reply.
    fn done(&self, execution: &Execution, before: u64, decision: Decision<A>, position: u64) -> Reply {
        let reply = decision.reply(execution, position);
        if decision.events.is_empty() {
            return reply;
        }
        let (id, after) = (&execution.aggregate_id, decision.after);
        self.runtime.recorded(decision.events.iter().map(DomainEvent::event_type));
        for event in &decision.events {
            tracing::debug!(event_type = event.event_type(), version = after.version, position, "recorded");
        }
        let every = u64::from(A::SNAPSHOT_EVERY);
        if every > 0
            && after.version / every > before / every
            && let Some((number, _)) = (EVENT_IDS..).zip(&decision.events).last()
        {
            let last = Last { id: derived_id(execution.command_id, number), position };
            self.runtime.spawn(save_snapshot(self.runtime.store.clone(), id.clone(), after.clone(), last));
        }
        self.repository.remember(id, after);
        reply
    }

    /// The recorded reply, if it was recorded for the same request.
    fn replay(&self, execution: &Execution, claim: RecordedClaim) -> Result<Reply, Failure> {
        let hash = execution.claim.as_ref().map(|claiming| claiming.request_hash);
        replay(claim, hash, *self.runtime.store.head().borrow())
    }
}

/// The recorded reply, if it was recorded for the request with that hash.
pub(super) fn replay(claim: RecordedClaim, request_hash: Option<[u8; 32]>, position: u64) -> Result<Reply, Failure> {
    if request_hash != Some(claim.request_hash) {
        let message = "the idempotency key was used with another request";
        return Err(Failure::conflict(codes::IDEMPOTENCY_KEY_REUSED, message));
    }
    let RecordedReply { body, aggregate_id: id, version, command_id } = claim.reply;
    let outcome = match command_id {
        Some(command_id) => Outcome::Accepted { id, command_id },
        None => Outcome::Executed { id, version, created: false, position },
    };
    Ok(Reply { body, outcome, replayed: true })
}

impl<A: Aggregate> Decision<A> {
    fn reply(&self, execution: &Execution, position: u64) -> Reply {
        let id = execution.aggregate_id.clone();
        let outcome = Outcome::Executed { id, version: self.after.version, created: false, position };
        Reply { body: self.reply.clone(), outcome, replayed: false }
    }
}

impl Execution {
    /// What the rule is told; the same each time but for the version.
    fn context(&self, version: u64) -> Context {
        let (id, correlation_id) = (self.aggregate_id.clone(), self.correlation_id.clone());
        Context::of(id, version, self.time, self.actor.clone(), self.command_id, correlation_id)
    }

    fn append<A: Aggregate>(&self, expected_version: u64, events: &[A::Event]) -> Append {
        let new_event = |(number, event): (u32, &A::Event)| NewEvent {
            id: derived_id(self.command_id, number),
            event_type: event.event_type(),
            schema_version: event.version(),
            payload: event.encode().into(),
        };
        Append {
            aggregate: A::NAME,
            aggregate_id: self.aggregate_id.clone(),
            expected_version,
            events: (EVENT_IDS..).zip(events).map(new_event).collect(),
            metadata: EventMetadata {
                correlation_id: self.correlation_id.clone(),
                causation_id: self.causation_id.clone().unwrap_or_else(|| self.command_id.to_string()),
                actor: self.actor.clone(),
            },
            time: self.time,
        }
    }

    fn recorded_reply<A: Aggregate>(&self, decision: &Decision<A>) -> RecordedReply {
        RecordedReply {
            body: decision.reply.clone(),
            aggregate_id: self.aggregate_id.clone(),
            version: decision.after.version,
            command_id: None,
        }
    }
}

/// The scope of a subscription's keys: no actor is called that.
fn inbox(subscription: &str) -> String {
    format!("\u{1}inbox {subscription}")
}

/// Scope of the idempotency key and hash of the request.
fn claiming<A: Aggregate>(
    spec: &CommandSpec,
    attempt: &dyn Attempt<A>,
    key: &str,
    caller: Option<&str>,
) -> Result<Claiming, Failure> {
    identity::check_idempotency_key(key)?;
    let caller = caller.unwrap_or_default().to_owned();
    let request_hash = Sha256::digest(attempt.canonical()).into();
    Ok(Claiming { key: ClaimKey { command: spec.name, caller, key: key.to_owned() }, request_hash, event: None })
}

fn check_existence<A: Aggregate>(spec: &CommandSpec, id: &str, loaded: &Loaded<A>) -> Result<(), Failure> {
    match (spec.creates, loaded.version) {
        (true, 0) => Ok(()),
        (true, _) => Err(Failure::conflict(codes::ALREADY_EXISTS, format!("{} `{id}` already exists", A::NAME))),
        (false, version) if version == 0 || loaded.ended => Err(Failure::not_found(A::NAME, id)),
        (false, _) => Ok(()),
    }
}

fn check_version(expected: Option<u64>, actual: u64) -> Result<(), Failure> {
    match expected {
        Some(expected) if expected != actual => Err(Failure::conflict(
            codes::VERSION_MISMATCH,
            format!("the version is {actual}, not {expected} as expected"),
        )),
        _ => Ok(()),
    }
}

/// The aggregate after the decision.
fn take_in<A: Aggregate>(loaded: &Loaded<A>, events: &[A::Event]) -> Loaded<A> {
    if events.is_empty() {
        return loaded.clone();
    }
    let mut state = A::clone(&loaded.state);
    let mut ended = loaded.ended;
    for event in events {
        ended |= A::ends(event);
        state.apply(event.clone());
    }
    Loaded { state: Arc::new(state), version: loaded.version + events.len() as u64, ended }
}

fn settlement<A: Aggregate>(command_id: Uuid, decision: &Decision<A>) -> Settlement {
    let events = decision.events.iter().map(|event| (event.event_type().to_owned(), event.encode().into())).collect();
    Settlement { command_id, outcome: CommandOutcome::Succeeded { version: decision.after.version, events } }
}

/// How long to wait before deciding again: longer each time, and never as long as the others who lost.
fn jitter(round: u32) -> Duration {
    Duration::from_micros(fastrand::u64(0..500 << round.min(ROUNDS)))
}
