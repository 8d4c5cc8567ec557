//! How the parts of a running module are, for readiness.

use std::sync::Arc;

use crate::dispatch::Runtime;
use crate::projection::{ProjectionHandle, ProjectionState, ProjectionStatus};
use crate::store::{ReadModels, StoreError};
use crate::worker::Workers;

/// How one part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentHealth {
    /// `intake`, `store`, `read models in redis`, `workers`, `broker`, `projection ProductReadModel`.
    pub name: String,
    /// How it is.
    pub status: HealthStatus,
    /// For people.
    pub detail: String,
}

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthStatus {
    /// All is well.
    Up,
    /// It works, and somebody should look at it.
    Degraded,
    /// It doesn't work.
    Down,
}

/// Looks at every part.
pub(crate) async fn examine(
    runtime: &Runtime,
    projections: &[Arc<ProjectionHandle>],
    workers: &Workers,
) -> Vec<ComponentHealth> {
    let mut components = vec![intake(runtime), store(runtime).await, waiting_commands(workers)];
    for (place, keeper) in runtime.store.elsewhere() {
        components.push(read_models(place, &*keeper).await);
    }
    components.extend(runtime.health_of_parts());
    components.extend(projections.iter().map(|projection| self::projection(&projection.status())));
    components
}

fn intake(runtime: &Runtime) -> ComponentHealth {
    let (status, detail) = match runtime.is_closing() {
        false => (HealthStatus::Up, ""),
        true => (HealthStatus::Down, "shutting down"),
    };
    ComponentHealth { name: "intake".to_owned(), status, detail: detail.to_owned() }
}

async fn store(runtime: &Runtime) -> ComponentHealth {
    answering("store".to_owned(), runtime.store.ping().await)
}

async fn read_models(place: &str, keeper: &dyn ReadModels) -> ComponentHealth {
    answering(format!("read models in {place}"), keeper.ping().await)
}

fn answering(name: String, answer: Result<(), StoreError>) -> ComponentHealth {
    let (status, detail) = match answer {
        Ok(()) => (HealthStatus::Up, String::new()),
        Err(error) => {
            tracing::warn!(%error, part = name, "doesn't answer");
            (HealthStatus::Down, "out of reach".to_owned())
        }
    };
    ComponentHealth { name, status, detail }
}

fn waiting_commands(workers: &Workers) -> ComponentHealth {
    let (pending, full) = workers.pending();
    let status = if full { HealthStatus::Degraded } else { HealthStatus::Up };
    ComponentHealth { name: "workers".to_owned(), status, detail: format!("{pending} commands pending") }
}

fn projection(status: &ProjectionStatus) -> ComponentHealth {
    let lag = status.lag();
    let (health, detail) = match &status.state {
        ProjectionState::Error(reason) => (HealthStatus::Down, reason.clone()),
        ProjectionState::Paused => (HealthStatus::Degraded, format!("paused, {lag} events behind")),
        ProjectionState::Building => (HealthStatus::Up, format!("building, {lag} events to go")),
        ProjectionState::Active if status.parked > 0 => {
            (HealthStatus::Degraded, format!("{} events parked", status.parked))
        }
        ProjectionState::Active => (HealthStatus::Up, format!("{lag} events behind")),
    };
    ComponentHealth { name: format!("projection {}", status.name), status: health, detail }
}
