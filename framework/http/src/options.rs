//! Limits and switches of the HTTP server.

use std::time::Duration;

use http::HeaderName;

use crate::admin::AdminToken;
use crate::metrics::Metrics;

/// Limits and switches of the HTTP server; the defaults are for a service that the world can reach.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest body of a request, in bytes.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long a request's headers may take to arrive, and how long a connection may idle.
    pub header_timeout: Duration,
    /// How long requests may still run once the server is asked to stop.
    pub drain_timeout: Duration,
    /// Origins that browsers may call from; `*` stands for all. Empty: no CORS headers at all.
    pub cors_allowed_origins: Vec<String>,
    /// The header that says who asks. Only for services behind a proxy that sets or removes it: whoever can send it
    /// can be anybody.
    pub actor_header: Option<HeaderName>,
    /// What callers of the admin API must show; `None`: there is no `/admin`.
    pub admin_token: Option<AdminToken>,
    /// What `/metrics` answers with; `None`: there is no `/metrics`.
    pub metrics: Option<Metrics>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body_limit: 2 << 20,
            body_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            cors_allowed_origins: Vec::new(),
            actor_header: None,
            admin_token: None,
            metrics: None,
        }
    }
}
