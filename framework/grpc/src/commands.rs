//! `potter.runtime.v1.Commands`: how far asynchronous commands are.

use std::time::{Duration, Instant};

use potter_core::dispatch::Dispatcher;
use potter_core::failure::Failure;
use potter_proto::runtime::v1::commands_server::Commands;
use potter_proto::runtime::v1::{AwaitCommandRequest, CommandStatus, GetCommandRequest};
use potter_proto::status::StatusTeller;
use tokio::sync::watch;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{metadata, status};

/// Longest time that a call waits for an outcome.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Tells how far commands are.
pub(crate) struct CommandsService {
    dispatcher: Dispatcher,
    teller: StatusTeller,
    /// True once the server stops: nobody is kept waiting then.
    stopping: watch::Receiver<bool>,
}

impl CommandsService {
    pub(crate) fn new(dispatcher: Dispatcher, stopping: watch::Receiver<bool>) -> Self {
        let teller = StatusTeller::new(dispatcher.module());
        Self { dispatcher, teller, stopping }
    }

    async fn tell(&self, id: &str, patience: Duration) -> Result<CommandStatus, Failure> {
        let id = Uuid::try_parse(id).map_err(|_| Failure::invalid("command_id", "must be a UUID"))?;
        let status = match patience.is_zero() {
            true => self.dispatcher.status(id).await?,
            false => self.outcome(id, patience).await?,
        };
        let status = status.ok_or_else(|| Failure::not_found("command", &id.to_string()))?;
        Ok(self.teller.tell(&status))
    }

    async fn outcome(
        &self,
        id: Uuid,
        patience: Duration,
    ) -> Result<Option<potter_core::store::CommandStatus>, Failure> {
        let mut stopping = self.stopping.clone();
        let stopped = async { drop(stopping.wait_for(|stopping| *stopping).await) };
        tokio::select! {
            status = self.dispatcher.await_outcome(id, patience) => status,
            () = stopped => self.dispatcher.status(id).await,
        }
    }

    fn respond(
        &self,
        told: Result<CommandStatus, Failure>,
        asked: &MetadataMap,
    ) -> Result<Response<CommandStatus>, Status> {
        let mut metadata = MetadataMap::new();
        metadata::put(&mut metadata, metadata::CORRELATION_ID, &metadata::correlation_id(asked));
        match told {
            Ok(told) => Ok(Response::from_parts(metadata, told, tonic::Extensions::default())),
            Err(failure) => Err(status::of(&failure, self.dispatcher.module().name(), metadata)),
        }
    }
}

#[tonic::async_trait]
impl Commands for CommandsService {
    async fn get_command(&self, request: Request<GetCommandRequest>) -> Result<Response<CommandStatus>, Status> {
        let told = self.tell(&request.get_ref().command_id, Duration::ZERO).await;
        self.respond(told, request.metadata())
    }

    async fn await_command(&self, request: Request<AwaitCommandRequest>) -> Result<Response<CommandStatus>, Status> {
        let told = self.tell(&request.get_ref().command_id, patience(&request)).await;
        self.respond(told, request.metadata())
    }
}

/// The shortest of what the request, its deadline and the server allow. A negative timeout doesn't wait.
fn patience(request: &Request<AwaitCommandRequest>) -> Duration {
    let timeout = request.get_ref().timeout;
    let asked = timeout.map_or(MAX_WAIT, |timeout| timeout.try_into().unwrap_or_default());
    let deadline = metadata::deadline(request.metadata());
    let left = deadline.map_or(MAX_WAIT, |deadline| deadline.saturating_duration_since(Instant::now()));
    asked.min(left).min(MAX_WAIT)
}
