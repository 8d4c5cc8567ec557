//! The broker of a service: NATS if `NATS_URL` says where, else one in the process.

use std::sync::Arc;
use std::time::Duration;

use potter_core::dispatch::Dispatcher;
use potter_messaging::broker::{MemoryBroker, SharedBroker};
use potter_messaging::{Messaging, Options, Payload};

use crate::config::{self, Config};
use crate::error::RunError;

/// Begins to publish what the module records and to take in what is sent to it.
pub(crate) async fn start(dispatcher: &Dispatcher, config: &Config) -> Result<Messaging, RunError> {
    let module = dispatcher.module().name();
    let broker: SharedBroker = match &config.nats_url {
        Some(url) => Arc::new(potter_nats::NatsBroker::connect(url, module).await.map_err(RunError::broker)?),
        None => {
            tracing::info!("NATS_URL is not set: messages stay in this process, and end with it");
            Arc::new(MemoryBroker::new())
        }
    };
    let options = Options { payload: payload(config.nats_payload), ..Options::default() };
    Messaging::start(dispatcher, broker, options).map_err(RunError::broker)
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
