//! What is counted, for Prometheus.
//!
//! | metric | kind | labels | counts |
//! |---|---|---|---|
//! | `http_requests_total` | counter | `method`, `route`, `status` | answered requests |
//! | `http_request_duration_seconds` | histogram | `method`, `route` | from the headers to the reply |
//!
//! `route` is the path's template, so that ids don't make series. [`potter_core`] lists the others.

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use metrics::{counter, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Everything that the process counts.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

/// Bounds of the histograms, in seconds.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How often histograms are folded together; without that they grow until somebody reads them.
const UPKEEP: Duration = Duration::from_secs(1);

static INSTALLED: OnceLock<Metrics> = OnceLock::new();

impl Metrics {
    /// Begins to count. There is one recorder in a process, so that a second call gives what the first one gave; to
    /// be called before a module starts.
    ///
    /// # Errors
    /// Somebody else has installed another recorder.
    pub fn install() -> Result<Self, MetricsError> {
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .install_recorder();
        match handle {
            Ok(handle) => Ok(INSTALLED.get_or_init(|| Self(handle)).clone()),
            // Another thread may have been faster.
            Err(error) => INSTALLED.get().cloned().ok_or(MetricsError(error)),
        }
    }

    /// In Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps memory bounded for as long as it is polled.
    pub(crate) async fn keep_up(&self) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.0.run_upkeep();
        }
    }
}

/// Nothing can be counted.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the metrics' recorder: {0}")]
pub struct MetricsError(#[from] BuildError);

/// Counts an answered request.
pub(crate) fn answered(method: &'static str, route: &'static str, status: StatusCode, took: Duration) {
    counter!("http_requests_total", "method" => method, "route" => route, "status" => status_label(status))
        .increment(1);
    histogram!("http_request_duration_seconds", "method" => method, "route" => route).record(took);
}

/// The statuses that occur all the time don't cost an allocation.
fn status_label(status: StatusCode) -> metrics::SharedString {
    match status {
        StatusCode::OK => metrics::SharedString::const_str("200"),
        StatusCode::CREATED => metrics::SharedString::const_str("201"),
        StatusCode::ACCEPTED => metrics::SharedString::const_str("202"),
        other => metrics::SharedString::from_owned(other.as_str().to_owned()),
    }
}
