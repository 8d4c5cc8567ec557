//! What generated code declares of a command.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;

use crate::domain::{Aggregate, Context, DomainError};

/// What a synchronous command's reply is made from: the aggregate after the command.
#[derive(Debug)]
pub struct Executed<'a, A: Aggregate> {
    /// Identity of the aggregate.
    pub id: &'a str,
    /// Its state, the new events taken in.
    pub state: &'a A,
    /// The events that the command recorded; none when there was nothing to do.
    pub events: &'a [A::Event],
    /// Version of the stream: the number of events recorded so far.
    pub version: u64,
}

/// What an asynchronous command's reply is made from: it is stored, and has not been executed yet.
#[derive(Debug)]
pub struct Accepted<'a, C> {
    /// Identity of the aggregate, already assigned.
    pub id: &'a str,
    /// The request.
    pub command: &'a C,
}

/// A command of aggregate `A` with request `C` and reply `R`.
///
/// ```ignore
/// Command::new("shop.create_product", "shop.v1.Catalogue/CreateProduct", ProductDecider::create_product)
///     .creates()
///     .idempotent()
///     .timeout_seconds(30)
///     .id(|command: &CreateProduct| &command.product_id)
///     .reply(move |done| handlers.create_product(done))
/// ```
pub struct Command<A: Aggregate, C, R> {
    /// Stable name on the wire: `shop.create_product`.
    pub name: &'static str,
    /// gRPC path without the leading slash: `shop.v1.Catalogue/CreateProduct`.
    pub rpc: &'static str,
    /// The stream must not exist yet, and the id is assigned if the request carries none.
    pub creates: bool,
    /// Deduplicated by idempotency key.
    pub idempotent: bool,
    /// Deadline on execution.
    pub timeout: Option<Duration>,
    pub(crate) decide: Decide<A, C>,
    pub(crate) id: fn(&C) -> &str,
    pub(crate) answer: Answer<A, C, R>,
}

/// How a command is decided.
pub(crate) type Decide<A, C> =
    Arc<dyn Fn(&A, C, &Context) -> Result<Vec<<A as Aggregate>::Event>, Box<dyn DomainError>> + Send + Sync>;

/// When and from what a command is answered.
pub(crate) enum Answer<A: Aggregate, C, R> {
    /// After its execution.
    Executed(Box<dyn Fn(Executed<'_, A>) -> R + Send + Sync>),
    /// As soon as it is stored; a worker executes it.
    Accepted(Box<dyn Fn(Accepted<'_, C>) -> R + Send + Sync>),
}

/// A command whose answer hasn't been said yet; see [`Command::new`].
pub struct CommandBuilder<A: Aggregate, C> {
    name: &'static str,
    rpc: &'static str,
    creates: bool,
    idempotent: bool,
    timeout: Option<Duration>,
    decide: Decide<A, C>,
    id: fn(&C) -> &str,
}

impl<A: Aggregate, C: Message + Default + Clone + 'static> CommandBuilder<A, C> {
    /// The stream must not exist yet, and the id is assigned if the request carries none.
    #[must_use]
    pub fn creates(mut self) -> Self {
        self.creates = true;
        self
    }

    /// Deduplicated by idempotency key.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Deadline on execution, in seconds.
    #[must_use]
    pub fn timeout_seconds(mut self, seconds: u64) -> Self {
        self.timeout = Some(Duration::from_secs(seconds));
        self
    }

    /// Where the request carries the aggregate's identity; without it the request carries none.
    #[must_use]
    pub fn id(mut self, id: fn(&C) -> &str) -> Self {
        self.id = id;
        self
    }

    /// Answered after its execution, with what `reply` makes of it.
    pub fn reply<R>(self, reply: impl Fn(Executed<'_, A>) -> R + Send + Sync + 'static) -> Command<A, C, R> {
        self.build(Answer::Executed(Box::new(reply)))
    }

    /// Answered as soon as it is stored, with what `reply` makes of it; a worker executes it.
    pub fn reply_when_accepted<R>(
        self,
        reply: impl Fn(Accepted<'_, C>) -> R + Send + Sync + 'static,
    ) -> Command<A, C, R> {
        self.build(Answer::Accepted(Box::new(reply)))
    }

    fn build<R>(self, answer: Answer<A, C, R>) -> Command<A, C, R> {
        let Self { name, rpc, creates, idempotent, timeout, decide, id } = self;
        Command { name, rpc, creates, idempotent, timeout, decide, id, answer }
    }
}

impl<A: Aggregate, C: Message + Default + Clone + 'static, R> Command<A, C, R> {
    /// Begins the declaration of the command `name`, called as `rpc`, decided by `decide`.
    pub fn declare<E: DomainError>(
        name: &'static str,
        rpc: &'static str,
        decide: impl Fn(&A, C, &Context) -> Result<Vec<A::Event>, E> + Send + Sync + 'static,
    ) -> CommandBuilder<A, C> {
        CommandBuilder {
            name,
            rpc,
            creates: false,
            idempotent: false,
            timeout: None,
            decide: Arc::new(move |state, command, context| {
                decide(state, command, context).map_err(|error| Box::new(error) as Box<dyn DomainError>)
            }),
            id: |_| "",
        }
    }
}
