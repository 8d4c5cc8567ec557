//! What answers requests: every route there is, and what lies behind it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Request as HttpRequest, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use potter_core::dispatch::{Dispatcher, Request};
use potter_core::failure::Failure;
use potter_core::store::CommandStatus;
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

use crate::admin::{self, Admin};
use crate::bind::{Binding, BodyBinding};
use crate::docs::{self, Asset};
use crate::exchange::Exchange;
use crate::messages::Messages;
use crate::options::Options;
use crate::problem::{Problem, http_codes};
use crate::reply::{self, json_response};
use crate::route::Route;
use crate::router::{Found, Router};
use crate::template::{self, Segment, Template};
use crate::{health, metrics};

/// Where asynchronous commands tell how far they are.
const STATUS_PATH: &str = "/api/v1/commands/{command_id}";

/// Longest time that a status request may wait for the outcome.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A service's routes and what they need.
pub(crate) struct Service {
    dispatcher: Dispatcher,
    messages: Messages,
    options: Options,
    router: Router<Place>,
    /// True once the server stops: it isn't ready then, and nobody is kept waiting for an outcome.
    stopping: watch::Sender<bool>,
}

/// A place in the router.
struct Place {
    /// The path's template, for metrics and logs.
    route: &'static str,
    endpoint: Endpoint,
}

enum Endpoint {
    Rpc(Box<Rpc>),
    CommandStatus,
    Admin(Admin),
    Live,
    Ready,
    Metrics(metrics::Metrics),
    Asset(Asset),
    Docs,
}

/// An rpc at one of its routes.
struct Rpc {
    binding: Binding,
    /// Whether what this route creates can be read at its own path and the new id.
    has_resource: bool,
}

/// Routes that cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A route contradicts the descriptors or another route.
    #[error("the route {method} {path} of {rpc} cannot be served: {reason}")]
    Route {
        /// Its method.
        method: &'static str,
        /// Its path.
        path: &'static str,
        /// Its rpc.
        rpc: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The messages of `potter.runtime.v1` don't fit the module's.
    #[error("the module's descriptors cannot be extended: {0}")]
    Descriptors(#[from] prost_reflect::DescriptorError),
}

impl Service {
    pub(crate) fn new(
        dispatcher: Dispatcher,
        routes: &[Route],
        openapi: Option<&'static str>,
        options: Options,
    ) -> Result<Self, RouteError> {
        let messages = Messages::new(dispatcher.module(), dispatcher.pool())?;
        let mut router = Router::default();
        for route in routes {
            add_rpc(&mut router, route, routes, &messages).map_err(|reason| RouteError::Route {
                method: route.method,
                path: route.path,
                rpc: route.rpc,
                reason,
            })?;
        }
        for (method, path, endpoint) in own_endpoints(openapi, &options) {
            add_own(&mut router, method, path, endpoint);
        }
        Ok(Self { dispatcher, messages, options, router, stopping: watch::Sender::new(false) })
    }

    /// Says that the server stops.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Answers a request, whatever happens.
    pub(crate) async fn answer(&self, request: HttpRequest<Body>) -> Response {
        let began = Instant::now();
        let (parts, body) = request.into_parts();
        let exchange = Exchange::new(parts);
        // HEAD is GET without the body, which hyper leaves out by itself.
        let method = if exchange.parts.method == Method::HEAD { &Method::GET } else { &exchange.parts.method };
        let found = self.router.find(method, exchange.path());
        let route = if let Found::Route(place, _) = &found { place.route } else { "none" };
        let span = tracing::info_span!(
            "http", method = %exchange.parts.method, route, correlation_id = %exchange.correlation_id
        );
        let answer = self.answer_at(found, &exchange, body);
        let result = AssertUnwindSafe(answer).catch_unwind().instrument(span.clone()).await;
        let mut response = span.in_scope(|| {
            let response = result
                .unwrap_or_else(|panic| Err(Problem::from(Failure::bug(panic_message(&*panic)))))
                .unwrap_or_else(|problem| problem.into_response(&exchange, &self.messages));
            let (status, took) = (response.status(), began.elapsed());
            tracing::debug!(path = exchange.path(), status = status.as_u16(), ?took, "answered");
            metrics::answered(method_label(&exchange.parts.method), route, status, took);
            response
        });
        exchange.sign(response.headers_mut());
        response
    }

    async fn answer_at(
        &self,
        found: Found<'_, '_, Place>,
        exchange: &Exchange,
        body: Body,
    ) -> Result<Response, Problem> {
        match found {
            Found::Route(place, segments) => match &place.endpoint {
                Endpoint::Rpc(rpc) => self.call(rpc, exchange, &segments, body).await,
                Endpoint::CommandStatus => self.command_status(exchange, segments.last().copied()).await,
                Endpoint::Admin(admin) => {
                    admin.answer(&self.dispatcher, self.options.admin_token.as_ref(), exchange, &segments).await
                }
                Endpoint::Live => Ok(health::live()),
                Endpoint::Ready => Ok(health::ready(&self.dispatcher.health().await, *self.stopping.borrow())),
                Endpoint::Metrics(metrics) => Ok(text_response(metrics.render())),
                Endpoint::Asset(asset) => Ok(asset.response()),
                Endpoint::Docs => Ok(docs::redirect_to_docs()),
            },
            Found::OtherMethods(methods) => other_method(exchange, methods.into_iter().collect()),
            Found::Nothing => Err(Problem::route_not_found(&exchange.parts.method, exchange.path())),
        }
    }

    async fn call(&self, rpc: &Rpc, exchange: &Exchange, segments: &[&str], body: Body) -> Result<Response, Problem> {
        let binding = &rpc.binding;
        let metadata = exchange.metadata(&self.options)?;
        let has_precondition = metadata.expected_version.is_some();
        let body = match binding.body {
            BodyBinding::None => Bytes::new(),
            BodyBinding::All | BodyBinding::Field(_) => self.read_json(exchange, body).await?,
        };
        let message = binding.bind(segments, exchange.parts.uri.query(), &body).map_err(Problem::violations)?;
        let request = Request { body: prost::Message::encode_to_vec(&message).into(), metadata };
        let reply = self.dispatcher.call(&binding.rpc, request).await;
        reply
            .and_then(|reply| reply::response(binding, reply, rpc.has_resource.then(|| exchange.path())))
            .map_err(|failure| Problem::of(failure, has_precondition))
    }

    async fn read_json(&self, exchange: &Exchange, body: Body) -> Result<Bytes, Problem> {
        let limit = self.options.body_limit;
        let announced =
            exchange.parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > limit) {
            return Err(too_large(limit));
        }
        let body = tokio::time::timeout(self.options.body_timeout, Limited::new(body, limit).collect())
            .await
            .map_err(|_| {
                let detail = "the body did not arrive in time";
                Problem::new(StatusCode::REQUEST_TIMEOUT, http_codes::REQUEST_TIMEOUT, detail)
            })?
            .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => too_large(limit),
                None => Problem::invalid("", "syntax", "is incomplete"),
            })?
            .to_bytes();
        if !body.is_empty() && !is_json(exchange) {
            let detail = "the body must have the Content-Type application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, http_codes::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        Ok(body)
    }

    /// How far a command is; `?wait=seconds` waits for its outcome.
    async fn command_status(&self, exchange: &Exchange, id: Option<&str>) -> Result<Response, Problem> {
        let id = id.and_then(|id| Uuid::try_parse(id).ok());
        let id = id.ok_or_else(|| Problem::invalid("command_id", "format", "must be a UUID"))?;
        let status = match wait(exchange.parts.uri.query().unwrap_or_default())? {
            Some(patience) => self.outcome(id, patience).await,
            None => self.dispatcher.status(id).await,
        };
        let status = status?.ok_or_else(|| Failure::not_found("command", &id.to_string()))?;
        Ok(json_response(StatusCode::OK, &self.messages.status_json(&status)))
    }

    async fn outcome(&self, id: Uuid, patience: Duration) -> Result<Option<CommandStatus>, Failure> {
        let mut stopping = self.stopping.subscribe();
        let stopped = async { drop(stopping.wait_for(|stopping| *stopping).await) };
        tokio::select! {
            status = self.dispatcher.await_outcome(id, patience) => status,
            () = stopped => self.dispatcher.status(id).await,
        }
    }
}

fn add_rpc(router: &mut Router<Place>, route: &Route, all: &[Route], messages: &Messages) -> Result<(), String> {
    let template = template::parse(route.path)?;
    let (service, method) = route.rpc.split_once('/').ok_or("its rpc is not like package.Service/Method")?;
    let service = messages.pool().get_service_by_name(service).ok_or("there is no such service")?;
    let method = service.methods().find(|it| it.name() == method).ok_or("there is no such rpc")?;
    let binding = Binding::resolve(route, &template, &method)?;
    let rpc = Rpc { binding, has_resource: has_resource(&template, all) };
    let method = route.method.parse().map_err(|_| "its method is not one of HTTP")?;
    router.add(method, &template, Place { route: route.path, endpoint: Endpoint::Rpc(Box::new(rpc)) })
}

/// Whether there is a GET route of the same path with one more variable at its end.
fn has_resource(template: &Template, all: &[Route]) -> bool {
    let mut wanted = template.segments.clone();
    wanted.push(Segment::Any);
    all.iter()
        .filter(|route| route.method == "GET")
        .filter_map(|route| template::parse(route.path).ok())
        .any(|other| other.verb.is_none() && template.verb.is_none() && other.segments == wanted)
}

fn own_endpoints(openapi: Option<&'static str>, options: &Options) -> Vec<(Method, &'static str, Endpoint)> {
    let mut endpoints = vec![
        (Method::GET, STATUS_PATH, Endpoint::CommandStatus),
        (Method::GET, "/health/live", Endpoint::Live),
        (Method::GET, "/health/ready", Endpoint::Ready),
    ];
    if let Some(metrics) = &options.metrics {
        endpoints.push((Method::GET, "/metrics", Endpoint::Metrics(metrics.clone())));
    }
    if let Some(document) = openapi {
        let document = Asset::openapi(document);
        endpoints.push((Method::GET, document.path, Endpoint::Asset(document)));
        endpoints.push((Method::GET, "/docs/", Endpoint::Docs));
        endpoints.extend(docs::SWAGGER_UI.map(|asset| (Method::GET, asset.path, Endpoint::Asset(asset))));
    }
    if options.admin_token.is_some() {
        endpoints.extend(admin::ENDPOINTS.map(|(method, path, admin)| (method, path, Endpoint::Admin(admin))));
    }
    endpoints
}

/// A service may have a route of its own where one of ours would be: it asked for that, so it gets it.
fn add_own(router: &mut Router<Place>, method: Method, path: &'static str, endpoint: Endpoint) {
    let added = template::parse(path.trim_end_matches('/')).and_then(|mut template| {
        if path.ends_with('/') {
            template.segments.push(Segment::Literal(String::new()));
        }
        router.add(method, &template, Place { route: path, endpoint })
    });
    if let Err(reason) = added {
        tracing::warn!(path, reason, "the service has a route of its own here");
    }
}

/// `OPTIONS` tells what there is; anything else is not allowed here.
fn other_method(exchange: &Exchange, mut methods: Vec<&str>) -> Result<Response, Problem> {
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    let allow = HeaderValue::try_from(methods.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""));
    if exchange.parts.method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, allow);
        return Ok(response);
    }
    let detail = format!("{} is not allowed at {}", exchange.parts.method, exchange.path());
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, http_codes::METHOD_NOT_ALLOWED, detail);
    Err(problem.with_header(ALLOW, allow))
}

fn is_json(exchange: &Exchange) -> bool {
    let Some(value) = exchange.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, http_codes::BODY_TOO_LARGE, detail)
}

fn wait(query: &str) -> Result<Option<Duration>, Problem> {
    let mut wait = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some(seconds) = pair.strip_prefix("wait=") else {
            let name = pair.split('=').next().unwrap_or_default();
            return Err(Problem::invalid(name, "unknown_parameter", "is not a parameter of this route"));
        };
        if seconds.is_empty() || !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Problem::invalid("wait", "format", "must be a number of seconds"));
        }
        // Digits that are no number are more than any.
        wait = Some(seconds.parse().map_or(MAX_WAIT, |seconds| Duration::from_secs(seconds).min(MAX_WAIT)));
    }
    Ok(wait)
}

fn text_response(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// Anybody can make up methods, but not series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panicked")
}
