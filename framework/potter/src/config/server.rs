//! What REST, gRPC, health, metrics and `/admin` are told.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use potter_core::retries::Retries;
use potter_http::{AdminToken, HeaderName};

use super::reader::{COUNT, Reader, parse};
use super::{Variable, variable};

pub(super) const VARIABLES: &[Variable] = &[
    variable("SERVER_HOST", "0.0.0.0", "address that REST and gRPC listen on"),
    variable("SERVER_PORT", "8080", "port of REST, health and metrics; 0: any free one"),
    variable("GRPC_PORT", "50051", "port of gRPC; 0: any free one"),
    variable("METRICS_ENABLED", "true", "whether /metrics is served: true or false"),
    variable("ACTOR_HEADER", "", "header, or gRPC metadata key, in which a proxy that you trust names the caller"),
    variable(
        "ADMIN_TOKEN",
        "",
        "what callers of /admin must show, 16 characters or more; without it there is no /admin",
    ),
    variable("CORS_ALLOWED_ORIGINS", "", "origins whose pages may call REST, separated by commas; * for all"),
    variable("BODY_LIMIT_BYTES", "2097152", "largest request body that is read"),
    variable(
        "RETRY_DELAYS_MS",
        "",
        "waits in milliseconds before a command or an event that failed is tried again; then it is given up; without it as the code says, else 100,1000,10000",
    ),
    variable("SHUTDOWN_TIMEOUT_SECONDS", "30", "how long a stop may take; half of it is for requests that are running"),
];

const PORT: &str = "a port number from 0 to 65535";
const ORIGINS: &str = "`*`, or origins such as `https://shop.example` separated by commas";

impl Reader<'_> {
    pub(super) fn host(&mut self) -> IpAddr {
        let host = self.get("SERVER_HOST", "an IP address such as 0.0.0.0", parse);
        host.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }

    pub(super) fn server_port(&mut self) -> u16 {
        self.get("SERVER_PORT", PORT, parse).unwrap_or(8080)
    }

    pub(super) fn grpc_port(&mut self) -> u16 {
        self.get("GRPC_PORT", PORT, parse).unwrap_or(50051)
    }

    pub(super) fn metrics(&mut self) -> bool {
        self.get("METRICS_ENABLED", "true or false", switch).unwrap_or(true)
    }

    pub(super) fn actor_header(&mut self) -> Option<HeaderName> {
        self.get("ACTOR_HEADER", "the name of a header, such as x-user", parse)
    }

    pub(super) fn admin_token(&mut self) -> Option<AdminToken> {
        self.secret("ADMIN_TOKEN", "16 characters or more", admin_token)
    }

    pub(super) fn cors_allowed_origins(&mut self) -> Vec<String> {
        self.get("CORS_ALLOWED_ORIGINS", ORIGINS, origins).unwrap_or_default()
    }

    pub(super) fn body_limit(&mut self) -> usize {
        self.get("BODY_LIMIT_BYTES", "a number of bytes", parse).unwrap_or(2 * 1024 * 1024)
    }

    pub(super) fn retries(&mut self) -> Option<Retries> {
        self.get("RETRY_DELAYS_MS", "up to 10 numbers from 1 to 30000 with commas between", retries)
    }

    pub(super) fn shutdown_timeout(&mut self) -> Duration {
        let seconds: Option<NonZeroU32> = self.get("SHUTDOWN_TIMEOUT_SECONDS", COUNT, parse);
        Duration::from_secs(seconds.map_or(30, |seconds| seconds.get().into()))
    }
}

/// At most ten waits, none so long that the broker delivers the event to another node meanwhile.
fn retries(value: &str) -> Option<Retries> {
    let wait = |text: &str| text.trim().parse().ok().filter(|it| (1..=30_000).contains(it)).map(Duration::from_millis);
    let waits: Option<Vec<_>> = value.split(',').map(wait).collect();
    waits.filter(|waits| waits.len() <= 10).map(Retries::new)
}

fn admin_token(value: &str) -> Option<AdminToken> {
    (value.chars().count() >= 16).then(|| AdminToken::new(value))
}

fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn origins(value: &str) -> Option<Vec<String>> {
    let origins: Vec<_> = value.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
    origins.iter().all(|origin| is_origin(origin)).then_some(origins)
}

/// `*`, or scheme and authority without a path.
fn is_origin(origin: &str) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    origin == "*" || authority.is_some_and(|it| !it.is_empty() && !it.contains(['/', '*', ' ']))
}
