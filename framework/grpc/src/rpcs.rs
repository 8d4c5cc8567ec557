//! All rpcs of a module, as one service.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use metrics::{SharedString, counter, histogram};
use potter_core::dispatch::{Dispatcher, Outcome, Reply, Request as Call};
use potter_core::failure::Failure;
use potter_core::store::CommandStatus;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Request, Response, Status};
use tower::Service;
use tracing::Instrument;
use uuid::Uuid;

use crate::codec::BytesCodec;
use crate::server::Options;
use crate::{metadata, status};

/// All rpcs of a module; clones share everything.
#[derive(Clone)]
pub(crate) struct Rpcs {
    shared: Arc<Shared>,
}

struct Shared {
    dispatcher: Dispatcher,
    options: Options,
    /// By path with the leading slash; others don't become series or names of spans.
    rpcs: HashMap<String, Arc<str>>,
}

/// One rpc that is called.
struct Rpc {
    shared: Arc<Shared>,
    name: Arc<str>,
}

impl Rpcs {
    pub(crate) fn new(dispatcher: Dispatcher, options: Options) -> Self {
        let commands = dispatcher.module().commands().map(|command| command.rpc);
        let rpcs = commands.chain(dispatcher.module().queries());
        let rpcs = rpcs.map(|rpc| (format!("/{rpc}"), Arc::from(rpc))).collect();
        Self { shared: Arc::new(Shared { dispatcher, options, rpcs }) }
    }

    /// Full names of the services, in order and each once.
    pub(crate) fn services(&self) -> Vec<String> {
        let name = |rpc: &Arc<str>| rpc.split_once('/').map(|(service, _)| service.to_owned());
        let mut services: Vec<_> = self.shared.rpcs.values().filter_map(name).collect();
        services.sort_unstable();
        services.dedup();
        services
    }
}

impl Service<http::Request<axum::body::Body>> for Rpcs {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
        let shared = self.shared.clone();
        Box::pin(async move {
            let Some(name) = shared.rpcs.get(request.uri().path()).cloned() else {
                return Ok(Status::unimplemented("there is no such rpc").into_http());
            };
            let limit = shared.options.body_limit;
            let mut grpc = Grpc::new(BytesCodec).apply_max_message_size_config(Some(limit), None);
            Ok(grpc.unary(Rpc { shared, name }, request).await)
        })
    }
}

impl UnaryService<Bytes> for Rpc {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (shared, name) = (self.shared.clone(), self.name.clone());
        Box::pin(async move { shared.answer(name, request).await })
    }
}

impl Shared {
    async fn answer(&self, rpc: Arc<str>, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let began = Instant::now();
        let correlation_id = metadata::correlation_id(request.metadata());
        let span = tracing::info_span!("grpc", rpc = &*rpc, correlation_id);
        let result = self.call(&rpc, request, &correlation_id).instrument(span).await;
        let mut metadata = MetadataMap::new();
        metadata::put(&mut metadata, metadata::CORRELATION_ID, &correlation_id);
        let result = match result {
            Ok(reply) => {
                metadata::write(&reply, &mut metadata);
                Ok(Response::from_parts(metadata, reply.body, http::Extensions::new()))
            }
            Err(failure) => Err(status::of(&failure, self.dispatcher.module().name(), metadata)),
        };
        count(rpc, result.as_ref().map_or_else(Status::code, |_| Code::Ok), began);
        result
    }

    async fn call(&self, rpc: &str, request: Request<Bytes>, correlation_id: &str) -> Result<Reply, Failure> {
        let actor = self.options.actor_key.as_deref();
        let command_id = metadata::command_id(request.metadata())?;
        let metadata = metadata::read(request.metadata(), correlation_id, actor)?;
        let call = Call { body: request.into_inner(), metadata };
        match command_id {
            None => self.dispatcher.call(rpc, call).await,
            Some(id) => self.accept(rpc, id, call).await,
        }
    }

    /// Takes a command of any kind for the workers under an id that the caller has chosen, as what a broker brings is taken.
    async fn accept(&self, rpc: &str, id: Uuid, call: Call) -> Result<Reply, Failure> {
        let command = self.dispatcher.module().commands().find(|command| command.rpc == rpc);
        let command = command.ok_or_else(|| Failure::invalid(metadata::COMMAND_ID, "is for commands only"))?;
        let CommandStatus { command, outcome } = self.dispatcher.accept(command.name, id, call).await?;
        let accepted = Outcome::Accepted { id: command.aggregate_id, command_id: id };
        Ok(Reply { body: Bytes::new(), outcome: accepted, replayed: outcome.is_some() })
    }
}

/// `grpc_requests_total` and `grpc_request_duration_seconds`, by rpc.
fn count(rpc: Arc<str>, code: Code, began: Instant) {
    let rpc = SharedString::from_shared(rpc);
    counter!("grpc_requests_total", "rpc" => rpc.clone(), "code" => label(code)).increment(1);
    histogram!("grpc_request_duration_seconds", "rpc" => rpc).record(began.elapsed());
}

/// Those that a failure can have; see `status`.
fn label(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::NotFound => "NOT_FOUND",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::Aborted => "ABORTED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Unavailable => "UNAVAILABLE",
        Code::Internal => "INTERNAL",
        _ => "OTHER",
    }
}
