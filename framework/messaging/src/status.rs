//! How far a module's messages are, for operators.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, join_all};
use potter_broker::SharedBroker;
use potter_core::messages::{ConsumerStatus, Messages, MessagesStatus, Replayed};
use potter_core::module::Module;
use potter_core::store::{DeadLetterFilter, Generation, SharedStore, StoreError};

use crate::link::Link;
use crate::subscription::consumer;
use crate::{outgoing, replay};

/// Position up to which events have been published, and that of the last event, as a store knows them.
///
/// # Errors
/// The store is out of reach.
pub async fn published(store: &SharedStore) -> Result<(u64, u64), StoreError> {
    let published = store.checkpoint(outgoing::FOLLOWER, Generation::Live).await?;
    Ok((published, *store.head().borrow()))
}

/// How far the subscriptions of `module` are, as the broker knows.
pub async fn consumers(broker: &SharedBroker, module: &Module) -> Vec<ConsumerStatus> {
    let look = async |subscription: &potter_core::subscription::Subscription| ConsumerStatus {
        subscription: subscription.name().to_owned(),
        module: subscription.module().to_owned(),
        backlog: broker.backlog(consumer(module.name(), subscription)).await.map_err(|error| error.to_string()),
    };
    join_all(module.subscriptions().iter().map(look)).await
}

/// The messages of a running service.
pub(crate) struct Desk {
    pub link: Arc<Link>,
}

impl Messages for Desk {
    fn status(&self) -> BoxFuture<'_, Result<MessagesStatus, StoreError>> {
        async {
            let (published, head) = published(self.link.store()).await?;
            let consumers = consumers(&self.link.broker, self.link.dispatcher.module()).await;
            Ok(MessagesStatus { published, head, trouble: self.link.trouble(), consumers })
        }
        .boxed()
    }

    fn replay(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<Replayed>, StoreError>> {
        replay::replay(&self.link, true, filter).boxed()
    }
}
