//! Liveness and readiness.

use axum::response::Response;
use http::StatusCode;
use potter_core::health::{ComponentHealth, HealthStatus};
use serde::Serialize;

use crate::reply::json_response;

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    components: Vec<Component<'a>>,
}

#[derive(Serialize)]
struct Component<'a> {
    name: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

/// The process answers.
pub(crate) fn live() -> Response {
    json_response(StatusCode::OK, &Health { status: name(HealthStatus::Up), components: Vec::new() })
}

/// The service can do its work; a part that is merely degraded doesn't take it out of rotation, its end does.
pub(crate) fn ready(components: &[ComponentHealth], stopping: bool) -> Response {
    let end = stopping.then_some(HealthStatus::Down);
    let worst = components.iter().map(|component| component.status).chain(end).max().unwrap_or(HealthStatus::Up);
    let status = match worst {
        HealthStatus::Up | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    let components = components
        .iter()
        .map(|ComponentHealth { name: part, status, detail }| Component { name: part, status: name(*status), detail })
        .collect();
    json_response(status, &Health { status: name(worst), components })
}

fn name(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Up => "UP",
        HealthStatus::Degraded => "DEGRADED",
        HealthStatus::Down => "DOWN",
    }
}
