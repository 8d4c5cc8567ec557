//! cqrs-es with postgres-es: `CqrsFramework::execute` loads the events, handles and persists.

use std::convert::Infallible;
use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, AggregateError, DomainEvent};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlx_of_others::Executor;
use uuid::Uuid;

use crate::server;
use crate::shop::{CATEGORY, DESCRIPTION, NAME, Shop};

/// The table of its `db/init.sql`; the others there are for what isn't used here.
const TABLE: &str = "CREATE TABLE events (
  aggregate_type text                         NOT NULL,
  aggregate_id   text                         NOT NULL,
  sequence       bigint CHECK (sequence >= 0) NOT NULL,
  event_type     text                         NOT NULL,
  event_version  text                         NOT NULL,
  payload        json                         NOT NULL,
  metadata       json                         NOT NULL,
  PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

#[derive(Default, Deserialize, Serialize)]
struct Product {
    stock: i64,
}

enum ProductCommand {
    List { name: String, description: String, category: String },
    Restock { quantity: i64 },
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
enum ProductEvent {
    Listed { name: String, description: String, category: String },
    Restocked { quantity: i64 },
}

impl DomainEvent for ProductEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Listed { .. } => "product.listed".to_owned(),
            Self::Restocked { .. } => "product.restocked".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Product {
    const TYPE: &'static str = "Product";
    type Command = ProductCommand;
    type Event = ProductEvent;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, command: ProductCommand, (): &(), sink: &EventSink<Self>) -> Result<(), Infallible> {
        let event = match command {
            ProductCommand::List { name, description, category } => {
                ProductEvent::Listed { name, description, category }
            }
            ProductCommand::Restock { quantity } => ProductEvent::Restocked { quantity },
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: ProductEvent) {
        if let ProductEvent::Restocked { quantity } = event {
            self.stock += quantity;
        }
    }
}

#[derive(Clone)]
struct PostgresEs(Arc<PostgresCqrs<Product>>);

/// Its plain event store: products have few events, so snapshots would only cost.
pub async fn open(dsn: &str, connections: u32) -> anyhow::Result<impl Shop> {
    let pool = server::pool(dsn, connections).await?;
    pool.execute(TABLE).await?;
    Ok(PostgresEs(Arc::new(postgres_cqrs(pool, vec![], ()))))
}

impl Shop for PostgresEs {
    async fn list(&self) -> String {
        let id = Uuid::now_v7().to_string();
        let command = ProductCommand::List {
            name: NAME.to_owned(),
            description: DESCRIPTION.to_owned(),
            category: CATEGORY.to_owned(),
        };
        self.0.execute(&id, command).await.expect("it is new");
        id
    }

    async fn restock(&self, id: &str) {
        loop {
            match self.0.execute(id, ProductCommand::Restock { quantity: 1 }).await {
                Err(AggregateError::AggregateConflict) => {}
                done => return done.expect("no rule is broken"),
            }
        }
    }
}
