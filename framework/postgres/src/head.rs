//! Where the log ends: told by this process's writer, by other nodes' (LISTEN), and looked up now and then.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use crate::connection::{Connection, Connector, Driver, told};

/// How often the end is looked up: a notification may not come, through a pooler of connections for example.
const LOOK_UP_EVERY: Duration = Duration::from_millis(100);

/// How long to wait before connecting again.
const PAUSE: Duration = Duration::from_millis(250);

const LOOK_UP: &str = "SELECT coalesce(max(position), 0) FROM potter_events";

/// The position of the last committed event; it never goes back.
pub(crate) struct Head(watch::Sender<u64>);

impl Head {
    /// The head as a connection sees it.
    pub(crate) async fn read(connection: &Connection) -> Result<Self, String> {
        let row = connection.row(LOOK_UP, &[]).await.map_err(|error| told(&error))?;
        let head: i64 = row.ok_or("no answer")?.try_get(0).map_err(|error| told(&error))?;
        Ok(Self(watch::Sender::new(head.cast_unsigned())))
    }

    /// Somebody has seen the log end there.
    pub(crate) fn publish(&self, head: u64) {
        self.0.send_if_modified(|known| head > *known && std::mem::replace(known, head) != head);
    }

    /// For whoever waits for more.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    /// Keeps it up to date with what other nodes write, until it is aborted.
    pub(crate) fn follow(self: Arc<Self>, connector: Connector) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                if let Err(reason) = self.listen(&connector).await {
                    tracing::debug!(reason, "nobody tells the head of the log");
                }
                sleep(PAUSE).await;
            }
        })
    }

    /// Listens and looks until the connection breaks.
    async fn listen(&self, connector: &Connector) -> Result<(), String> {
        let (client, mut driver) = connector.dial(connector.limit()).await.map_err(|unconnected| unconnected.reason)?;
        let driven = drive(&mut driver, |head| self.publish(head));
        let looking = self.look(&client, connector.dsn.patience);
        tokio::select! {
            result = driven => result,
            result = looking => result,
        }
    }

    async fn look(&self, client: &Client, patience: Duration) -> Result<(), String> {
        let failed = |error: tokio_postgres::Error| told(&error);
        let channel: u32 = client.query_one("SELECT 'potter_events'::regclass::oid", &[]).await.map_err(failed)?.get(0);
        client.batch_execute(&format!("LISTEN potter_{channel}")).await.map_err(failed)?;
        let look_up = client.prepare(LOOK_UP).await.map_err(failed)?;
        let mut ticks = interval(LOOK_UP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A server that is frozen neither answers nor closes the connection.
            let row = timeout(patience, client.query_one(&look_up, &[])).await.map_err(|_| "no answer".to_owned())?;
            self.publish(row.map_err(failed)?.get::<_, i64>(0).cast_unsigned());
        }
    }
}

/// Moves bytes, and passes on what is told without having been asked for.
async fn drive(driver: &mut Driver, mut tell: impl FnMut(u64)) -> Result<(), String> {
    while let Some(message) = poll_fn(|context| driver.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message.map_err(|error| told(&error))?
            && let Ok(head) = notification.payload().parse()
        {
            tell(head);
        }
    }
    Ok(())
}
