//! What generated code declares of a command.

use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::domain::{Aggregate, Context, DomainError};
use crate::failure::Failure;

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
/// ```text
/// Command::declare("shop.create_product", "shop.v1.Catalogue/CreateProduct",
///     |state: &Product, command: CreateProductRequest, context| state.create_product(command, context))
///     .creates()
///     .idempotent()
///     .timeout_seconds(30)
///     .id("product_id", |command: &CreateProductRequest| &command.product_id)
///     .reply(move |executed| handlers.create_product(executed))
/// ```
pub struct Command<A: Aggregate, C, R> {
    /// What doesn't depend on the types.
    pub spec: CommandSpec,
    decide: Decide<A, C>,
    id: fn(&C) -> &str,
    answer: Answer<A, C, R>,
}

/// What is declared of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSpec {
    /// Stable name on the wire: `shop.create_product`.
    pub name: &'static str,
    /// gRPC path without the leading slash: `shop.v1.Catalogue/CreateProduct`.
    pub rpc: &'static str,
    /// Kind of the aggregate that it is sent to.
    pub aggregate: &'static str,
    /// The stream must not exist yet, and the id is assigned if the request carries none.
    pub creates: bool,
    /// Deduplicated by idempotency key.
    pub idempotent: bool,
    /// Deadline on execution.
    pub timeout: Option<Duration>,
    /// The field of the request that carries the aggregate's identity; empty if there is none.
    pub id_field: &'static str,
    /// Answered when accepted, executed by a worker.
    pub asynchronous: bool,
}

/// How a command is decided.
type Decide<A, C> =
    Box<dyn Fn(&A, C, &Context) -> Result<Vec<<A as Aggregate>::Event>, Box<dyn DomainError>> + Send + Sync>;

/// When and from what a command is answered.
enum Answer<A: Aggregate, C, R> {
    /// After its execution.
    Executed(Box<FromExecuted<A, R>>),
    /// As soon as it is stored; a worker executes it.
    Accepted(Box<FromAccepted<C, R>>),
}

/// Makes the reply of a synchronous command.
type FromExecuted<A, R> = dyn Fn(Executed<'_, A>) -> R + Send + Sync;

/// Makes the reply of an asynchronous command.
type FromAccepted<C, R> = dyn Fn(Accepted<'_, C>) -> R + Send + Sync;

/// A command whose answer hasn't been said yet; see [`Command::declare`].
pub struct CommandBuilder<A: Aggregate, C> {
    spec: CommandSpec,
    decide: Decide<A, C>,
    id: fn(&C) -> &str,
}

impl<A: Aggregate, C: Message + Default + Clone + 'static> CommandBuilder<A, C> {
    /// The stream must not exist yet, and the id is assigned if the request carries none.
    #[must_use]
    pub fn creates(mut self) -> Self {
        self.spec.creates = true;
        self
    }

    /// Deduplicated by idempotency key.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.spec.idempotent = true;
        self
    }

    /// Deadline on execution, in seconds.
    #[must_use]
    pub fn timeout_seconds(mut self, seconds: u64) -> Self {
        self.spec.timeout = Some(Duration::from_secs(seconds));
        self
    }

    /// Where the request carries the aggregate's identity: the field's name in the proto, and how to read it.
    /// Without it the request carries none.
    #[must_use]
    pub fn id(mut self, field: &'static str, id: fn(&C) -> &str) -> Self {
        self.spec.id_field = field;
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

    fn build<R>(mut self, answer: Answer<A, C, R>) -> Command<A, C, R> {
        self.spec.asynchronous = matches!(answer, Answer::Accepted(_));
        let Self { spec, decide, id } = self;
        Command { spec, decide, id, answer }
    }
}

/// The declaration begins without the reply's type, which the builder's last step brings.
impl<A: Aggregate, C: Message + Default + Clone + 'static> Command<A, C, ()> {
    /// Begins the declaration of the command `name`, called as `rpc`, decided by `decide`.
    pub fn declare<E: DomainError>(
        name: &'static str,
        rpc: &'static str,
        decide: impl Fn(&A, C, &Context) -> Result<Vec<A::Event>, E> + Send + Sync + 'static,
    ) -> CommandBuilder<A, C> {
        CommandBuilder {
            spec: CommandSpec {
                name,
                rpc,
                aggregate: A::NAME,
                creates: false,
                idempotent: false,
                timeout: None,
                id_field: "",
                asynchronous: false,
            },
            decide: Box::new(move |state, command, context| {
                decide(state, command, context).map_err(|error| Box::new(error) as Box<dyn DomainError>)
            }),
            id: |_| "",
        }
    }
}

/// A command whose request and reply are known only to itself.
pub(crate) trait CommandOf<A: Aggregate>: Send + Sync {
    /// What is declared of it.
    fn spec(&self) -> &CommandSpec;

    /// Reads the request.
    fn read(&self, body: Bytes) -> Result<Box<dyn Attempt<A> + '_>, Failure>;
}

/// A command with its request read: synchronous and pure steps, in the order in which they are taken.
pub(crate) trait Attempt<A: Aggregate>: Send + Sync {
    /// Identity of the aggregate, if the request carries one.
    fn id(&self) -> &str;

    /// The request as this service writes it: the same for all spellings of the same request.
    fn canonical(&self) -> Vec<u8>;

    /// Asks the rule.
    fn decide(&self, state: &A, context: &Context) -> Result<Vec<A::Event>, Failure>;

    /// The reply of a synchronous command: protobuf bytes. An asynchronous one has none.
    fn executed(&self, executed: Executed<'_, A>) -> Vec<u8>;

    /// The reply of an asynchronous command: protobuf bytes. A synchronous one has none.
    fn accepted(&self, id: &str) -> Vec<u8>;
}

impl<A: Aggregate, C: Message + Default + Clone + 'static, R: Message + 'static> CommandOf<A> for Command<A, C, R> {
    fn spec(&self) -> &CommandSpec {
        &self.spec
    }

    fn read(&self, body: Bytes) -> Result<Box<dyn Attempt<A> + '_>, Failure> {
        let request = C::decode(body).map_err(|error| Failure::malformed(format!("not a valid message: {error}")))?;
        Ok(Box::new(TypedAttempt { request, command: self, reply: PhantomData }))
    }
}

/// The request of a [`Command`].
struct TypedAttempt<'a, A: Aggregate, C, R> {
    request: C,
    command: &'a Command<A, C, R>,
    reply: PhantomData<fn() -> R>,
}

impl<A: Aggregate, C: Message + Clone + 'static, R: Message> Attempt<A> for TypedAttempt<'_, A, C, R> {
    fn id(&self) -> &str {
        (self.command.id)(&self.request)
    }

    fn canonical(&self) -> Vec<u8> {
        self.request.encode_to_vec()
    }

    fn decide(&self, state: &A, context: &Context) -> Result<Vec<A::Event>, Failure> {
        (self.command.decide)(state, self.request.clone(), context).map_err(|error| Failure::from(error.as_ref()))
    }

    fn executed(&self, executed: Executed<'_, A>) -> Vec<u8> {
        match &self.command.answer {
            Answer::Executed(reply) => reply(executed).encode_to_vec(),
            Answer::Accepted(_) => Vec::new(),
        }
    }

    fn accepted(&self, id: &str) -> Vec<u8> {
        match &self.command.answer {
            Answer::Executed(_) => Vec::new(),
            Answer::Accepted(reply) => reply(Accepted { id, command: &self.request }).encode_to_vec(),
        }
    }
}
