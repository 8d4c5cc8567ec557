//! The model: what the annotated protos say, resolved and valid.
//!
//! In: descriptors and options. Out: one [`Module`], the whole meaning of a run. It knows neither Rust syntax
//! nor paths; `plan` decides from it what is written and how the seeds behave.
//!
//! Every reference is resolved (an [`AggregateId`] always points at an aggregate), every order is that of
//! declaration, files being sorted by name, so that the same input always gives the same model.

mod build;
mod command_ids;
mod context;
mod events;
mod fields;
pub mod intent;
mod lint;
mod marks;
mod path;
mod queries;
mod roles;
mod routes;
mod rpcs;
mod scope;
mod services;
mod subscriptions;
mod told;
mod validation;
pub mod words;

pub use build::{Settings, build};
pub use path::{PathTemplate, Segment};

use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor, MethodDescriptor, ServiceDescriptor};

/// Index into [`Module::aggregates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateId(pub usize);

/// Index into [`Module::events`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub usize);

/// Index into [`Module::errors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorId(pub usize);

/// Index into [`Module::read_models`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadModelId(pub usize);

/// One module: what is generated into one project.
#[derive(Clone, Debug)]
pub struct Module {
    /// As given on the command line, else `module_name` of the services.
    pub name: String,
    /// Transports asked for and served by this version, without repetition, in the order of [`Transport`].
    pub transports: Vec<Transport>,
    /// The OpenAPI document, when REST is served and it isn't switched off.
    pub openapi: Option<OpenApi>,
    /// Services with `(potter.service)`.
    pub services: Vec<Service>,
    /// Messages with `(potter.aggregate)`.
    pub aggregates: Vec<Aggregate>,
    /// Messages with `(potter.event)`.
    pub events: Vec<Event>,
    /// Messages with `(potter.error_event)`.
    pub errors: Vec<ErrorEvent>,
    /// Messages with `(potter.value_object)`.
    pub value_objects: Vec<MessageDescriptor>,
    /// Declared read models first, then the default ones that queries ask for.
    pub read_models: Vec<ReadModel>,
    /// What it does about other modules' events.
    pub subscriptions: Vec<Subscription>,
    /// Every message that needs a Rust type in the service: those of the module's files, and those that they reach
    /// in imports, events of other modules that it subscribes to included. Top-level ones only: nested messages and enums come with the message around them. Well-known
    /// types are not among them.
    pub messages: Vec<MessageDescriptor>,
    /// See [`Module::messages`].
    pub enums: Vec<EnumDescriptor>,
}

/// A way in that this version of Potter serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// HTTP and JSON.
    Rest,
    /// gRPC.
    Grpc,
    /// Messages over NATS.
    Nats,
}

/// What `(potter.service)` says of the OpenAPI document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenApi {
    /// `3.1.0` or `3.0.3`.
    pub version: OpenApiVersion,
    /// `info.title`; default: the module's name.
    pub title: String,
    /// `info.version`; default `1.0.0`.
    pub info_version: String,
    /// `info.description`; default: the comment of the first service.
    pub description: String,
    /// `info.termsOfService`, empty when not given.
    pub terms_of_service: String,
    /// `info.contact`: name, url, email; empty when not given.
    pub contact: [String; 3],
    /// `info.license`: name, url; empty when not given.
    pub license: [String; 2],
}

/// Version of the OpenAPI specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenApiVersion {
    /// 3.0.3
    V3_0,
    /// 3.1.0
    #[default]
    V3_1,
}

/// A proto service of the module.
#[derive(Clone, Debug)]
pub struct Service {
    /// The descriptor: names, comments.
    pub descriptor: ServiceDescriptor,
    /// Its rpcs, each a command or a query.
    pub rpcs: Vec<Rpc>,
}

/// One rpc.
#[derive(Clone, Debug)]
pub struct Rpc {
    /// The descriptor: names, request and reply, comments.
    pub descriptor: MethodDescriptor,
    /// Command or query.
    pub kind: RpcKind,
    /// REST routes, the first being the main one; empty when REST is not served.
    pub routes: Vec<Route>,
    /// Documentation.
    pub docs: RpcDocs,
}

/// What an rpc does.
#[derive(Clone, Debug)]
pub enum RpcKind {
    /// Changes an aggregate.
    Command(Command),
    /// Reads.
    Query(Query),
}

/// A command.
#[derive(Clone, Debug)]
pub struct Command {
    /// Stable name on the wire, `<module>.<snake rpc>` unless given.
    pub id: String,
    /// Where it is sent.
    pub aggregate: AggregateId,
    /// The request's field that carries the aggregate's identity; `None` only where `creates`.
    pub id_field: Option<FieldDescriptor>,
    /// The stream must not exist yet, and the id is assigned if the request carries none.
    pub creates: bool,
    /// Accepted now, executed by a worker.
    pub is_async: bool,
    /// Deduplicated by idempotency key.
    pub idempotent: bool,
    /// Deadline on execution, in seconds.
    pub timeout_seconds: Option<u32>,
    /// The events that it may record: given, or inferred when exactly one fits; empty when nothing is plain.
    pub emits: Vec<EventId>,
    /// The error events that it may be refused with, as given.
    pub fails_with: Vec<ErrorId>,
    /// The previous name of the rpc.
    pub renamed_from: Option<String>,
}

/// A query.
#[derive(Clone, Debug)]
pub struct Query {
    /// What it reads; `None` when no read model could be told.
    pub read_model: Option<ReadModelId>,
    /// The request's field that carries a row's identity, if one does; always there with [`QueryIntent::Get`].
    pub id_field: Option<FieldDescriptor>,
    /// How results are cached; `None`: they are not.
    pub cache: Option<Cache>,
    /// What its names and types make plain.
    pub intent: QueryIntent,
}

/// How a query's results are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Lifetime in seconds; `None`: until the read model changes.
    pub ttl_seconds: Option<u32>,
}

/// What a query is plainly for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryIntent {
    /// One row by its id; [`intent::get`] says how request and reply say so.
    Get,
    /// Rows by filters, in pages; [`intent::list`] says what each field is for.
    List,
    /// Not plain: the seed refuses with `UNIMPLEMENTED`.
    Unclear,
}

/// Documentation of an rpc, from its options and comments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcDocs {
    /// OpenAPI tags; default: the service's name.
    pub tags: Vec<String>,
    /// One line.
    pub summary: String,
    /// More.
    pub description: String,
    /// By Potter's option or protobuf's own.
    pub deprecated: bool,
}

/// A REST route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST`, …, or a custom verb's name.
    pub method: String,
    /// Path in the notation of `google.api.http`: `/v1/{name=shelves/*}:archive`.
    pub path: String,
    /// What of the request comes from the body.
    pub body: RouteBody,
    /// The reply's field that is sent instead of the whole reply.
    pub response_body: Option<String>,
}

/// What of the request comes from the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteBody {
    /// Nothing: what the path doesn't carry comes as query parameters.
    None,
    /// Everything that the path doesn't carry.
    All,
    /// One field; the others come as query parameters.
    Field(String),
}

/// An aggregate.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Its name: the option's, else the message's. Prefix of its streams.
    pub name: String,
    /// The message that is its state.
    pub message: MessageDescriptor,
    /// The state's identity; always a string.
    pub id_field: FieldDescriptor,
    /// The default store.
    pub repository: Repository,
    /// A snapshot after that many events; `None`: never.
    pub snapshot_every: Option<u32>,
    /// Its events, the retired ones included.
    pub events: Vec<EventId>,
    /// The error events that its commands may be refused with: those that a command names, and those that no
    /// command names and that belong here by name (or to everybody).
    pub errors: Vec<ErrorId>,
}

/// The default store of an aggregate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repository {
    /// A SQLite file.
    #[default]
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    MySql,
    /// MongoDB.
    MongoDb,
    /// Nothing survives the process.
    InMemory,
}

/// Where the rows of a read model are kept, once that is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeptIn {
    /// Beside the events.
    #[default]
    Database,
    /// Redis.
    Redis,
    /// A PostgreSQL database of their own.
    Postgres,
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The message that carries it.
    pub message: MessageDescriptor,
    /// The stored type name.
    pub event_type: String,
    /// Schema version, from 1.
    pub version: u32,
    /// In whose stream.
    pub aggregate: AggregateId,
    /// Recorded, not published.
    pub internal: bool,
    /// Readable, no longer emitted.
    pub retired: bool,
    /// The field that carries the aggregate's identity, if any does.
    pub id_field: Option<FieldDescriptor>,
    /// What it plainly does to the aggregate.
    pub effect: EventEffect,
}

/// What an event plainly does, told from its verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventEffect {
    /// `…Created`, `…Registered`, …, or emitted by a command that creates.
    Creates,
    /// `…Deleted`, `…Removed`: ends the aggregate's life.
    Ends,
    /// Anything else.
    Changes,
}

/// An error event.
#[derive(Clone, Debug)]
pub struct ErrorEvent {
    /// The message that carries it.
    pub message: MessageDescriptor,
    /// Stable code.
    pub code: String,
    /// Whether trying again may help.
    pub retryable: bool,
}

/// What the module does about events of another one.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Stable name, unique in the module.
    pub name: String,
    /// The other module's name.
    pub module: String,
    /// The events, in the order in which they are named; never empty.
    pub events: Vec<SubscribedEvent>,
}

/// An event of another module.
#[derive(Clone, Debug)]
pub struct SubscribedEvent {
    /// The message that carries it.
    pub message: MessageDescriptor,
    /// The published type name.
    pub event_type: String,
    /// Full name of the rpc that does the same here, where names make that plain: `CustomerRegistered` and
    /// `RegisterCustomer`.
    pub mirrored_by: Option<String>,
}

/// A read model.
#[derive(Clone, Debug)]
pub struct ReadModel {
    /// Name in Rust and in the projections' list: the option of the queries, or the message's name.
    pub name: String,
    /// Table name, snake case.
    pub table: String,
    /// The message that is a row: declared, or the aggregate's.
    pub row: MessageDescriptor,
    /// The row's identity; always a string.
    pub key: FieldDescriptor,
    /// The events that it is built from.
    pub events: Vec<EventId>,
    /// Where its rows are kept.
    pub kept_in: KeptIn,
    /// The aggregate that it was derived from, when no message declares it.
    pub derived_from: Option<AggregateId>,
    /// Columns of the table beside the key: the row's fields that SQL can hold.
    pub columns: Vec<Column>,
}

/// A column of a read model.
#[derive(Clone, Debug)]
pub struct Column {
    /// The row's field.
    pub field: FieldDescriptor,
    /// Its type in SQL.
    pub ty: ColumnType,
    /// Whether it may be null: `optional`, wrappers, times.
    pub nullable: bool,
    /// Whether an index is made.
    pub indexed: bool,
    /// Whether two rows may not have the same.
    pub unique: bool,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// bool.
    Bool,
    /// Whole numbers and enums' numbers.
    Integer,
    /// float, double.
    Real,
    /// string.
    Text,
    /// bytes.
    Bytes,
    /// Timestamp, as RFC 3339 in UTC with nine digits of nanoseconds.
    Timestamp,
    /// Duration, in nanoseconds.
    Duration,
}
