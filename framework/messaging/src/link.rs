//! The broker as the parts of a service see it: one that is there in the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use potter_broker::backoff::backoff;
use potter_broker::{BrokerError, BrokerErrorKind, Channel, Message, SharedBroker};
use potter_core::dispatch::Dispatcher;
use potter_core::health::{ComponentHealth, HealthStatus};
use potter_core::store::SharedStore;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::meter::{Kind, Meter};
use crate::wire::Wire;

/// How often the broker is asked whether it works.
const LOOK: Duration = Duration::from_secs(1);

/// The broker, and what goes over it.
pub(crate) struct Link {
    pub broker: SharedBroker,
    pub dispatcher: Dispatcher,
    pub wire: Wire,
    pub meter: Meter,
    /// Ends what comes in.
    pub intake_closed: CancellationToken,
    /// Ends everything.
    pub stopping: CancellationToken,
    channels: Vec<Channel>,
    /// Why the broker doesn't work; `None` while it does.
    trouble: Mutex<Option<String>>,
    lag: watch::Sender<u64>,
}

impl Link {
    pub fn new(broker: SharedBroker, dispatcher: Dispatcher, wire: Wire, meter: Meter, channels: Vec<Channel>) -> Self {
        Self {
            broker,
            dispatcher,
            wire,
            meter,
            intake_closed: CancellationToken::new(),
            stopping: CancellationToken::new(),
            channels,
            trouble: Mutex::new(Some("not connected yet".to_owned())),
            lag: watch::Sender::new(0),
        }
    }

    pub fn store(&self) -> &SharedStore {
        self.dispatcher.store()
    }

    /// What `future` gives, or `None` if the messages end before that.
    pub async fn unless_stopping<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.stopping.run_until_cancelled(future).await
    }

    /// Waits a little longer each time; `None` if the messages end meanwhile.
    pub async fn pause(&self, attempt: u32) -> Option<()> {
        self.unless_stopping(tokio::time::sleep(backoff(attempt))).await
    }

    /// Publishes a message, however long that takes; `None` if the messages end before that.
    pub async fn publish(&self, message: &Message, kind: &Kind) -> Option<()> {
        for attempt in 1.. {
            let published = self.unless_stopping(self.broker.publish(message.clone())).await?;
            let Err(error) = published else {
                kind.published.increment(1);
                return Some(());
            };
            kind.failures.increment(1);
            self.failed(&error, attempt);
            if error.kind == BrokerErrorKind::NoChannel {
                self.declare().await?;
            }
            self.pause(attempt).await?;
        }
        unreachable!("attempts are without end")
    }

    /// Makes the channels; at once if that works, else at the next try of whoever needs them.
    pub async fn declare(&self) -> Option<()> {
        for channel in &self.channels {
            let declared = self.unless_stopping(self.broker.declare(channel.clone())).await?;
            if let Err(error) = declared {
                self.failed(&error, 1);
                break;
            }
        }
        Some(())
    }

    /// Notes what went wrong; the log is told the first time and then now and again.
    pub fn failed(&self, error: &BrokerError, attempt: u32) {
        if attempt == 1 || attempt.is_multiple_of(10) {
            tracing::warn!(%error, attempt, "the broker failed; trying again");
        }
        self.set_trouble(Some(error.to_string()));
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// How the broker is. Without it nothing is lost and commands are taken in all the same: it is never worse than
    /// degraded.
    pub fn health(&self) -> ComponentHealth {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lag = *self.lag.borrow();
        let (status, detail) = match trouble {
            None => (HealthStatus::Up, format!("{lag} messages to publish")),
            Some(_) => (HealthStatus::Degraded, format!("out of reach, {lag} messages to publish")),
        };
        ComponentHealth { name: "broker".to_owned(), status, detail }
    }
}

/// Makes the channels as soon as the broker is there, and again when it comes back; keeps health and lag up to date.
pub(crate) async fn keep_watch(link: Arc<Link>, published: watch::Receiver<u64>) {
    let mut declared = false;
    let mut look = tokio::time::interval(LOOK);
    while link.unless_stopping(look.tick()).await.is_some() {
        let Some(pinged) = link.unless_stopping(link.broker.ping()).await else { return };
        match pinged {
            Ok(()) => {
                link.set_trouble(None);
                if !declared && link.declare().await.is_none() {
                    return;
                }
                declared = true;
            }
            Err(error) => {
                if declared {
                    tracing::warn!(%error, "the broker doesn't work");
                }
                link.set_trouble(Some(error.to_string()));
                declared = false;
            }
        }
        let head = *link.store().head().borrow();
        let lag = head.saturating_sub(*published.borrow());
        link.lag.send_replace(lag);
        link.meter.lag.set(lag as f64);
    }
}
