//! NATS keeps every promise of the port.

mod server;

use std::sync::Arc;

use potter_broker::contract::Fixture;

async fn open() -> Fixture {
    Fixture::new(Arc::new(server::connect(server::shared()).await))
}

potter_broker::broker_contract!(open);
