//! The HTTP server: routes, CORS, connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, Method, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use potter_core::dispatch::Dispatcher;
use tokio::net::{TcpListener, TcpStream};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use crate::exchange::headers;
use crate::options::Options;
use crate::route::Route;
use crate::service::{RouteError, Service};

/// What generated code declares of a service's REST side.
///
/// ```
/// use potter_http::{Rest, Route};
///
/// const ROUTES: &[Route] = &[];
/// let rest = Rest::new(ROUTES).openapi("{}");
/// # drop(rest);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Rest {
    routes: &'static [Route],
    openapi: Option<&'static str>,
}

impl Rest {
    /// These routes, without documentation.
    pub const fn new(routes: &'static [Route]) -> Self {
        Self { routes, openapi: None }
    }

    /// Serves this document at `/openapi.json`, and Swagger UI at `/docs`.
    pub const fn openapi(mut self, document: &'static str) -> Self {
        self.openapi = Some(document);
        self
    }

    /// Whether there is documentation at `/docs`.
    #[must_use]
    pub const fn has_docs(&self) -> bool {
        self.openapi.is_some()
    }
}

/// The HTTP server of one service: its REST routes, the status of its commands, health, metrics, documentation.
///
/// A service without REST serves the rest of it with `Rest::default()`.
#[derive(Clone)]
pub struct HttpServer {
    service: Arc<Service>,
}

impl HttpServer {
    /// Resolves all routes.
    ///
    /// # Errors
    /// One of them contradicts the module's descriptors or another one.
    pub fn new(dispatcher: Dispatcher, rest: Rest, options: Options) -> Result<Self, RouteError> {
        let service = Service::new(dispatcher, rest.routes, rest.openapi, options)?;
        Ok(Self { service: Arc::new(service) })
    }

    /// The server as an axum router, to nest it or to add to it.
    pub fn router(&self) -> Router {
        let router = Router::new().fallback(answer).with_state(self.service.clone());
        match cors(&self.service.options().cors_allowed_origins) {
            Some(cors) => router.layer(cors),
            None => router,
        }
    }

    /// Serves until `stop`, and then until the running requests are answered or the drain timeout has passed.
    ///
    /// # Errors
    /// None that a single connection can cause.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()> + Send) -> io::Result<()> {
        let options = self.service.options();
        let service = TowerToHyperService::new(self.router());
        let server = connections(options);
        let connections = GracefulShutdown::new();
        let upkeep = async {
            match &options.metrics {
                Some(metrics) => metrics.keep_up().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(stop, upkeep);
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
                () = &mut upkeep => continue,
            };
            match stream {
                Ok((stream, _)) => spawn(stream, &server, &service, &connections),
                Err(error) => pause_after(&error).await,
            }
        }
        drop(listener);
        self.service.stop();
        if tokio::time::timeout(options.drain_timeout, connections.shutdown()).await.is_err() {
            tracing::warn!("some requests were not answered in time");
        }
        Ok(())
    }
}

async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response {
    service.answer(request).await
}

/// HTTP/1.1 and HTTP/2 without TLS, which is a proxy's business.
fn connections(options: &Options) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(options.header_timeout).max_concurrent_streams(256);
    server
}

fn spawn(
    stream: TcpStream,
    server: &auto::Builder<TokioExecutor>,
    service: &TowerToHyperService<Router>,
    connections: &GracefulShutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is gone already");
        return;
    }
    let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service.clone()).into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection broke");
        }
    });
}

/// A connection that broke before it was accepted is nobody's loss; without free file descriptors the next attempt
/// would fail at once as well.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "cannot accept connections");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn cors(origins: &[String]) -> Option<CorsLayer> {
    let allowed = match origins {
        [] => return None,
        origins if origins.iter().any(|origin| origin == "*") => AllowOrigin::from(Any),
        origins => AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok())),
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            headers::IDEMPOTENCY_REPLAYED,
            headers::POTTER_POSITION,
            headers::X_CORRELATION_ID,
            headers::X_REQUEST_ID,
        ])
        .max_age(Duration::from_secs(3600));
    Some(layer)
}
