//! How what a store hasn't done waits before it is tried again: until the store answers again, and never long.

use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use crate::backoff::{by_chance, outage};
use crate::store::{SharedStore, StoreError};

/// How often a store that doesn't answer is asked whether it does; by one of those who wait, for all of them.
const LOOK: Duration = Duration::from_millis(100);

/// Where those wait whose store is out of reach.
pub(crate) struct WaitingRoom {
    store: SharedStore,
    /// Held by the one who looks: whether the store was silent when somebody looked last.
    silent: Mutex<bool>,
    /// Counts how often the store has come back.
    back: watch::Sender<u64>,
}

impl WaitingRoom {
    pub fn new(store: SharedStore) -> Self {
        Self { store, silent: Mutex::new(false), back: watch::Sender::new(0) }
    }

    /// Waits before a call is made again that the store hasn't answered: until the store is back, and about a second at
    /// most, because it may answer whoever looks and fail all the same.
    pub async fn wait(&self, attempt: u32) {
        let mut back = self.back.subscribe();
        tokio::select! {
            // So that a simulated run is the same again.
            biased;
            () = sleep(outage(attempt)) => {}
            _ = back.changed() => {}
            () = self.look() => {}
        }
    }

    /// Ends when the store answers and didn't before; then tells the others.
    async fn look(&self) {
        let mut silent = self.silent.lock().await;
        loop {
            let was_silent = std::mem::replace(&mut *silent, true);
            if self.ping().await.is_ok() {
                *silent = false;
                if was_silent {
                    break;
                }
            }
            sleep(by_chance(LOOK)).await;
        }
        drop(silent);
        self.back.send_modify(|times| *times += 1);
    }

    /// Asks the store, and whatever keeps read models beside it.
    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await?;
        for (_, keeper) in self.store.elsewhere() {
            keeper.ping().await?;
        }
        Ok(())
    }
}
