//! A running service: its servers, and how it stops.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use potter_core::dispatch::Dispatcher;
use potter_http::{HttpServer, Metrics, Rest};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::config::Config;
use crate::error::RunError;

/// The transports that `main.rs` has chosen.
#[derive(Default)]
pub(crate) struct Transports {
    /// `None`: health and metrics are served all the same.
    pub(crate) rest: Option<Rest>,
    pub(crate) grpc: bool,
    pub(crate) nats: bool,
}

/// Ports that are taken, with nobody answering yet.
pub(crate) struct Listeners {
    transports: Transports,
    http: TcpListener,
    grpc: Option<TcpListener>,
}

/// A running service.
///
/// Dropping it ends it at once, as a crash would; [`Service::stop`] lets it finish what it has begun.
pub struct Service {
    dispatcher: Dispatcher,
    http_address: SocketAddr,
    grpc_address: Option<SocketAddr>,
    servers: JoinSet<Result<(), RunError>>,
    #[cfg(feature = "nats")]
    messaging: Option<potter_messaging::Messaging>,
    stop: watch::Sender<bool>,
    shutdown_timeout: Duration,
}

impl Transports {
    /// Takes the ports, before anything else is begun that would have to be undone.
    pub(crate) async fn listen(self, config: &Config) -> Result<Listeners, RunError> {
        let http = listen(config.host, config.server_port, "SERVER_PORT").await?;
        let grpc = match self.grpc {
            true => Some(listen(config.host, config.grpc_port, "GRPC_PORT").await?),
            false => None,
        };
        Ok(Listeners { transports: self, http, grpc })
    }
}

async fn listen(host: IpAddr, port: u16, variable: &'static str) -> Result<TcpListener, RunError> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrNotAvailable => {
            RunError::Listen { address, variable: "SERVER_HOST", what: "address of this machine", source }
        }
        _ => RunError::Listen { address, variable, what: "port", source },
    })
}

/// What counts, if it is configured; to be asked for before a module starts.
pub(crate) fn metrics(config: &Config) -> Option<Metrics> {
    if !config.metrics {
        return None;
    }
    Metrics::install().inspect_err(|error| tracing::warn!(%error, "/metrics is not served")).ok()
}

impl Listeners {
    /// Begins to answer.
    pub(crate) async fn serve(
        self,
        dispatcher: Dispatcher,
        metrics: Option<Metrics>,
        config: &Config,
    ) -> Result<Service, RunError> {
        let http_address = self.http.local_addr().map_err(RunError::System)?;
        let grpc_address = self.grpc.as_ref().map(TcpListener::local_addr).transpose().map_err(RunError::System)?;
        #[cfg(feature = "nats")]
        let messaging = match self.transports.nats {
            true => Some(crate::messages::start(&dispatcher, config).await?),
            false => None,
        };
        let docs = self.transports.rest.as_ref().is_some_and(Rest::has_docs);
        let stop = watch::Sender::new(false);
        let mut servers = JoinSet::new();
        let http = HttpServer::new(
            dispatcher.clone(),
            self.transports.rest.unwrap_or_default(),
            http_options(metrics, config),
        )
        .map_err(|error| RunError::Routes(error.to_string()))?;
        servers.spawn(serve_http(http, self.http, stopped(&stop)));
        #[cfg(feature = "grpc")]
        if let Some(listener) = self.grpc {
            let grpc = potter_grpc::GrpcServer::new(dispatcher.clone(), grpc_options(config));
            servers.spawn(serve_grpc(grpc, listener, stopped(&stop)));
        }
        let shutdown_timeout = config.shutdown_timeout;
        let service = Service {
            dispatcher,
            http_address,
            grpc_address,
            servers,
            #[cfg(feature = "nats")]
            messaging,
            stop,
            shutdown_timeout,
        };
        service.greet(config, docs);
        Ok(service)
    }
}

fn http_options(metrics: Option<Metrics>, config: &Config) -> potter_http::Options {
    potter_http::Options {
        body_limit: config.body_limit,
        cors_allowed_origins: config.cors_allowed_origins.clone(),
        drain_timeout: config.shutdown_timeout,
        actor_header: config.actor_header.clone(),
        admin_token: config.admin_token.clone(),
        metrics,
        ..potter_http::Options::default()
    }
}

#[cfg(feature = "grpc")]
fn grpc_options(config: &Config) -> potter_grpc::Options {
    potter_grpc::Options {
        body_limit: config.body_limit,
        actor_key: config.actor_header.as_ref().map(ToString::to_string),
        ..potter_grpc::Options::default()
    }
}

async fn serve_http(
    server: HttpServer,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let served = server.serve(listener, stop).await;
    served.map_err(|error| RunError::Server { transport: "HTTP", reason: error.to_string() })
}

#[cfg(feature = "grpc")]
async fn serve_grpc(
    server: potter_grpc::GrpcServer,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let served = server.serve(listener, stop).await;
    served.map_err(|error| RunError::Server { transport: "gRPC", reason: error.to_string() })
}

/// The part of the time for a stop that running requests get; workers and projections get the rest.
fn for_requests(shutdown_timeout: Duration) -> Duration {
    shutdown_timeout / 2
}

/// The part of the time for a stop that publishing gets; what isn't published then is, after the next start.
#[cfg(feature = "nats")]
fn for_messages(shutdown_timeout: Duration) -> Duration {
    shutdown_timeout / 8
}

/// Ends when the service stops, or is dropped.
fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut stop = stop.subscribe();
    async move {
        // The sender's end says the same as its word.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { http_address, grpc_address, .. } = self;
        f.debug_struct("Service").field("http", http_address).field("grpc", grpc_address).finish_non_exhaustive()
    }
}

impl Service {
    /// Where REST, health and metrics are served.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Where gRPC is served, if it is.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc_address
    }

    /// The broker of the service, if it has the transport `NATS`: in the process when `NATS_URL` isn't set.
    #[cfg(feature = "nats")]
    #[must_use]
    pub fn broker(&self) -> Option<&potter_messaging::broker::SharedBroker> {
        self.messaging.as_ref().map(potter_messaging::Messaging::broker)
    }

    /// What runs the module.
    #[must_use]
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// Waits until a server ends by itself, which it does only if something is wrong.
    pub(crate) async fn failed(&mut self) -> RunError {
        let ended = self.servers.join_next().await;
        let unexpected = || RunError::Server { transport: "a", reason: "it ended by itself".to_owned() };
        ended.and_then(|ended| flatten(ended).err()).unwrap_or_else(unexpected)
    }

    /// Stops in this order: says that it isn't ready, takes no further connections, finishes the requests that are
    /// running, lets workers and projections finish, releases the database.
    ///
    /// # Errors
    /// Not everything ended in time; whatever was accepted and not executed is executed after the next start.
    pub async fn stop(mut self) -> Result<(), RunError> {
        let deadline = Instant::now() + self.shutdown_timeout;
        self.dispatcher.announce_shutdown();
        self.stop.send_replace(true);
        let requests = tokio::time::timeout(for_requests(self.shutdown_timeout), self.servers_end()).await;
        // Whatever still runs is broken off, so that it doesn't cost the rest its time.
        self.servers.abort_all();
        let released = tokio::time::timeout_at(deadline, self.release()).await;
        let unfinished = |_| RunError::Unfinished { seconds: self.shutdown_timeout.as_secs() };
        requests.map_err(unfinished)??;
        released.map_err(unfinished)?;
        tracing::info!("stopped");
        Ok(())
    }

    /// Lets workers, messages and projections finish, and releases the database.
    async fn release(&mut self) {
        #[cfg(feature = "nats")]
        if let Some(messaging) = self.messaging.take() {
            crate::messages::stop(messaging, &self.dispatcher, for_messages(self.shutdown_timeout)).await;
        }
        self.dispatcher.shutdown().await;
    }

    async fn servers_end(&mut self) -> Result<(), RunError> {
        let mut result = Ok(());
        while let Some(ended) = self.servers.join_next().await {
            result = result.and(flatten(ended));
        }
        result
    }

    /// Tells where the service is to be found.
    fn greet(&self, config: &Config, docs: bool) {
        let http = url(self.http_address);
        tracing::info!(
            %http,
            docs = docs.then(|| format!("{http}/docs")).map(tracing::field::display),
            grpc = self.grpc_address.map(url).map(tracing::field::display),
            database = %config.database,
            "{} is ready",
            self.dispatcher.module().name()
        );
    }
}

fn flatten(ended: Result<Result<(), RunError>, JoinError>) -> Result<(), RunError> {
    ended.unwrap_or_else(|panic| Err(RunError::Server { transport: "a", reason: panic.to_string() }))
}

/// Where people reach `address` from this machine.
fn url(address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(host, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_all_is_shown_as_this_machine() {
        assert_eq!(url("0.0.0.0:8080".parse().expect("an address")), "http://127.0.0.1:8080");
        assert_eq!(url("[::]:8080".parse().expect("an address")), "http://[::1]:8080");
        assert_eq!(url("10.0.0.1:80".parse().expect("an address")), "http://10.0.0.1:80");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_names_the_variable() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = taken.local_addr().expect("an address").port();
        let error = listen(Ipv4Addr::LOCALHOST.into(), port, "GRPC_PORT").await.expect_err("taken").to_string();
        assert!(error.starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");
        assert!(error.ends_with("set GRPC_PORT to another port"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_names_the_host() {
        let error = listen("192.0.2.1".parse().expect("an address"), 0, "SERVER_PORT").await.expect_err("not ours");
        assert!(error.to_string().ends_with("set SERVER_HOST to another address of this machine"), "{error}");
    }
}
