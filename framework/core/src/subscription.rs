//! What a module does about another module's events: commands of its own, each executed once for each event.
//!
//! A handler is a pure function from an event to its [`Effect`]s. Each effect goes the way of every command and is
//! recorded together with the claim of its event, so that an event that comes again does nothing twice. How events
//! come in is a broker's business; here is only what is done about them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use crate::dispatch::{Dispatcher, EffectOf, Request, RequestMetadata};
use crate::failure::{Failure, codes};
use crate::panics;
use crate::store::ProcessedEvent;

/// What becomes of an event: its effects, or why there are none.
type Handle = Arc<dyn Fn(&EventContext, Bytes) -> Result<Vec<Effect>, Failure> + Send + Sync>;

/// What a module does about events of one other module.
#[derive(Clone)]
pub struct Subscription {
    name: String,
    module: String,
    handlers: Vec<Handler>,
}

/// What is done about events of one type.
#[derive(Clone)]
struct Handler {
    event_type: String,
    /// Full name of the message; empty: whatever the publisher says.
    message: String,
    handle: Handle,
}

/// What is known of an event beside its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventContext {
    /// Identity of the event.
    pub event_id: String,
    /// Its stored type.
    pub event_type: String,
    /// Its schema version as the publisher recorded it; 0 where that isn't known.
    pub schema_version: u32,
    /// Kind of its aggregate.
    pub aggregate: String,
    /// Identity of its aggregate.
    pub aggregate_id: String,
    /// Its place in its stream.
    pub version: u64,
    /// Ties together everything that follows from one request; the effects get it too.
    pub correlation_id: String,
    /// Who; the effects are done on the same one's behalf.
    pub actor: Option<String>,
}

/// A command of the subscriber's own module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    command: String,
    body: Bytes,
}

impl Effect {
    /// The command with that stable name: `warehouse.reserve_stock`.
    #[must_use]
    pub fn command(name: &str, request: &impl Message) -> Self {
        Self { command: name.to_owned(), body: request.encode_to_vec().into() }
    }
}

impl Subscription {
    /// The subscription `name`, unique within the subscriber, to events of `module`. The name is kept by the broker and
    /// beside each effect: another name begins again with the oldest event.
    #[must_use]
    pub fn new(name: &str, module: &str) -> Self {
        Self { name: name.to_owned(), module: module.to_owned(), handlers: Vec::new() }
    }

    /// Handles events of that stored type, messages of the type `M`: a pure function from the event to its effects.
    #[must_use]
    pub fn on<M: Message + Default>(
        self,
        event_type: &str,
        handle: impl Fn(M, &EventContext) -> Result<Vec<Effect>, Failure> + Send + Sync + 'static,
    ) -> Self {
        self.on_message(event_type, "", handle)
    }

    /// Handles events of that stored type as [`Subscription::on`] does, where `message` is the full name of `M` in the
    /// module's own descriptors: payloads in JSON are read as that, whatever the publisher calls it today.
    #[must_use]
    pub fn on_message<M: Message + Default>(
        mut self,
        event_type: &str,
        message: &str,
        handle: impl Fn(M, &EventContext) -> Result<Vec<Effect>, Failure> + Send + Sync + 'static,
    ) -> Self {
        let handle = move |context: &EventContext, payload: Bytes| {
            let unreadable = |error| Failure::malformed(format!("not a valid `{}`: {error}", context.event_type));
            handle(M::decode(payload).map_err(unreadable)?, context)
        };
        let (event_type, message) = (event_type.to_owned(), message.to_owned());
        self.handlers.push(Handler { event_type, message, handle: Arc::new(handle) });
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose events they are.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.module
    }

    /// The stored types of its events, in the order in which they were named.
    pub fn event_types(&self) -> impl Iterator<Item = &str> {
        self.handlers.iter().map(|it| it.event_type.as_str())
    }

    /// Whether it does anything about events of that type.
    #[must_use]
    pub fn handles(&self, event_type: &str) -> bool {
        self.handler(event_type).is_some()
    }

    /// Full name of the message of that event type in the subscriber's descriptors, if the subscription says it.
    #[must_use]
    pub fn message(&self, event_type: &str) -> Option<&str> {
        self.handler(event_type).map(|it| it.message.as_str()).filter(|it| !it.is_empty())
    }

    /// Has the effects of an event, each once however often it is asked to, and says whether any is new; an event of
    /// another type has none.
    ///
    /// # Errors
    /// The payload is unreadable, the handler refuses or panics, or an effect fails; the effects before it stay.
    pub async fn apply(
        &self,
        dispatcher: &Dispatcher,
        context: &EventContext,
        payload: Bytes,
    ) -> Result<Effects, Failure> {
        let Some(handler) = self.handler(&context.event_type) else { return Ok(Effects::New) };
        let effects =
            panics::quietly(|| (handler.handle)(context, payload)).map_err(|reason| broken(handler, &reason))??;
        let mut repeated = !effects.is_empty();
        for (number, effect) in effects.into_iter().enumerate() {
            repeated &= self.execute(dispatcher, context, number, effect).await? == Effects::Repeated;
        }
        Ok(if repeated { Effects::Repeated } else { Effects::New })
    }

    async fn execute(
        &self,
        dispatcher: &Dispatcher,
        event: &EventContext,
        number: usize,
        effect: Effect,
    ) -> Result<Effects, Failure> {
        let stream = format!("{}-{}", event.aggregate, event.aggregate_id);
        let processed = ProcessedEvent { subscription: self.name.clone(), stream, version: event.version };
        let effect_of = EffectOf { event: processed, key: format!("{}/{number}", event.event_id) };
        let metadata = RequestMetadata {
            correlation_id: Some(event.correlation_id.clone()),
            causation_id: Some(event.event_id.clone()),
            actor: event.actor.clone(),
            ..RequestMetadata::default()
        };
        let request = Request { body: effect.body, metadata };
        match dispatcher.effect(&effect.command, request, effect_of).await {
            // The event has had another effect before: handlers change, what has happened doesn't.
            Err(failure) if failure.code == codes::IDEMPOTENCY_KEY_REUSED => Ok(Effects::Repeated),
            done => done.map(|reply| if reply.replayed { Effects::Repeated } else { Effects::New }),
        }
    }

    fn handler(&self, event_type: &str) -> Option<&Handler> {
        self.handlers.iter().find(|it| it.event_type == event_type)
    }
}

/// The failure that a panic of a handler is. It says what the panic said: nobody but operators hears of it.
fn broken(handler: &Handler, reason: &str) -> Failure {
    let message = format!("the handler of `{}` {reason}", handler.event_type);
    Failure { message: message.clone(), ..Failure::bug(&message) }
}

/// What came of an event's effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// There is at least one that it hadn't had; or it has none.
    New,
    /// It had had all of them before.
    Repeated,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("name", &self.name).field("module", &self.module).finish_non_exhaustive()
    }
}
