//! The broker of a service: NATS if `NATS_URL` says where, else one in the process.

use std::sync::Arc;
use std::time::Duration;

use potter_core::dispatch::Dispatcher;
use potter_core::resilience::Guard;
use potter_messaging::broker::{Broker, MemoryBroker, SharedBroker};
use potter_messaging::{GuardedBroker, Messaging, Options, Payload};

use crate::config::{self, Config};
use crate::error::{RunError, TaskError};

/// How long a subcommand waits for the broker, and how long between two looks.
const REACHED_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Begins to publish what the module records and to take in what is sent to it.
pub(crate) async fn start(dispatcher: &Dispatcher, config: &Config) -> Result<Messaging, RunError> {
    let module = dispatcher.module().name();
    let broker: SharedBroker = match &config.nats_url {
        Some(url) => {
            let nats = potter_nats::NatsBroker::connect(url, module).await.map_err(RunError::broker)?;
            let guard = Guard::new("broker", config.broker_limits.clone());
            Arc::new(GuardedBroker::new(Arc::new(nats), guard))
        }
        None => {
            tracing::info!("NATS_URL is not set: messages stay in this process, and end with it");
            Arc::new(MemoryBroker::new())
        }
    };
    let options = Options { payload: payload(config.nats_payload), ..Options::default() };
    Messaging::start(dispatcher, broker, options).map_err(RunError::broker)
}

/// The broker at `url`, for a subcommand: it must be there within a few seconds.
pub(crate) async fn reach(url: &str) -> Result<SharedBroker, TaskError> {
    let broker = potter_nats::NatsBroker::connect(url, "a subcommand").await.map_err(TaskError::other)?;
    let mut why = String::new();
    let reached = async {
        while let Err(error) = broker.ping().await {
            why = format!(": {error}");
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(REACHED_WITHIN, reached).await {
        Ok(()) => Ok(Arc::new(broker)),
        Err(_) => Err(TaskError::new(format!("the broker at NATS_URL is out of reach{why}"))),
    }
}

/// Finishes what has been begun, and publishes it if the broker is in reach.
pub(crate) async fn stop(messaging: Messaging, dispatcher: &Dispatcher, patience: Duration) {
    messaging.close_intake();
    dispatcher.drain().await;
    messaging.stop(patience).await;
}

fn payload(configured: config::Payload) -> Payload {
    match configured {
        config::Payload::Protobuf => Payload::Protobuf,
        config::Payload::Json => Payload::Json,
    }
}
