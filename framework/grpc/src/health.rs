//! `grpc.health.v1.Health`: as the module's parts are.

use std::time::Duration;

use potter_core::dispatch::Dispatcher;
use potter_core::health::HealthStatus;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// How often the parts are looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps what is reported of each service current, for as long as it is polled.
pub(crate) async fn report(dispatcher: &Dispatcher, reporter: &HealthReporter, services: &[String]) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let down = dispatcher.health().await.iter().any(|component| component.status == HealthStatus::Down);
        let status = if down { ServingStatus::NotServing } else { ServingStatus::Serving };
        say(reporter, services, status).await;
    }
}

/// Says the same of all services, and of the server as a whole.
pub(crate) async fn say(reporter: &HealthReporter, services: &[String], status: ServingStatus) {
    for service in services.iter().map(String::as_str).chain([""]) {
        reporter.set_service_status(service, status).await;
    }
}
