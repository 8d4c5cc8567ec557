//! The gRPC server.

use std::time::Duration;

use potter_core::dispatch::Dispatcher;
use potter_proto::runtime::v1::commands_server::CommandsServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use crate::commands::CommandsService;
use crate::health;
use crate::rpcs::Rpcs;

/// Limits and switches of the gRPC server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest request message, in bytes.
    pub body_limit: usize,
    /// How often a silent connection is asked whether it is still there, and how long that may take.
    pub keepalive: Duration,
    /// The metadata that says who asks. Only for services behind a proxy that sets or removes it: whoever can send it
    /// can be anybody.
    pub actor_key: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { body_limit: 4 << 20, keepalive: Duration::from_secs(30), actor_key: None }
    }
}

/// The server cannot be started, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The descriptors cannot be reflected.
    #[error("cannot serve reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// The gRPC server of one service: all of its rpcs, the status of its commands, health and reflection.
#[derive(Clone)]
pub struct GrpcServer {
    dispatcher: Dispatcher,
    options: Options,
}

impl GrpcServer {
    /// A server of whatever the dispatcher can answer.
    #[must_use]
    pub fn new(dispatcher: Dispatcher, options: Options) -> Self {
        Self { dispatcher, options }
    }

    /// Serves until `stop`, and then until the running calls are answered. Health says at once that it stops, and
    /// nobody is kept waiting for the outcome of a command any more.
    ///
    /// # Errors
    /// The descriptors cannot be reflected, or the listener fails.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let rpcs = Rpcs::new(self.dispatcher.clone(), self.options.clone());
        let services = rpcs.services();
        let (reporter, health_server) = tonic_health::server::health_reporter();
        health::say(&reporter, &services, ServingStatus::Serving).await;
        let stopping = watch::Sender::new(false);
        let routes = self.routes(rpcs, &services, &stopping)?.add_service(health_server).prepare();
        let stopped = async {
            tokio::select! {
                () = stop => {}
                () = health::report(&self.dispatcher, &reporter, &services) => {}
            }
            stopping.send_replace(true);
            health::say(&reporter, &services, ServingStatus::NotServing).await;
        };
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let keepalive = Some(self.options.keepalive);
        let mut server = Server::builder().http2_keepalive_interval(keepalive).http2_keepalive_timeout(keepalive);
        Ok(server.add_routes(routes).serve_with_incoming_shutdown(incoming, stopped).await?)
    }

    fn routes(&self, rpcs: Rpcs, services: &[String], stopping: &watch::Sender<bool>) -> Result<Routes, ServeError> {
        let mut routes = Routes::default();
        for service in services {
            let router = std::mem::take(routes.axum_router_mut());
            *routes.axum_router_mut() = router.route_service(&format!("/{service}/{{*rpc}}"), rpcs.clone());
        }
        let commands = CommandsService::new(self.dispatcher.clone(), stopping.subscribe());
        Ok(routes
            .add_service(CommandsServer::new(commands))
            .add_service(self.reflection().build_v1()?)
            .add_service(self.reflection().build_v1alpha()?))
    }

    fn reflection(&self) -> tonic_reflection::server::Builder<'static> {
        tonic_reflection::server::Builder::configure()
            .register_file_descriptor_set(file_descriptors(&self.dispatcher))
            .register_encoded_file_descriptor_set(potter_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    }
}

fn file_descriptors(dispatcher: &Dispatcher) -> prost_types::FileDescriptorSet {
    prost_types::FileDescriptorSet { file: dispatcher.pool().file_descriptor_protos().cloned().collect() }
}
