//! esrs: `AggregateManager` on a `PgStore`, with its optimistic locking (`load`, then `handle_command`).

use std::convert::Infallible;
use std::sync::Arc;

use esrs::manager::AggregateManager;
use esrs::store::postgres::{PgStore, PgStoreBuilder, PgStoreError, UuidFormat};
use esrs::{Aggregate, AggregateState};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::server;
use crate::shop::{CATEGORY, DESCRIPTION, NAME, Shop};

struct Product;

enum ProductCommand {
    List { name: String, description: String, category: String },
    Restock { quantity: i64 },
}

#[derive(Deserialize, Serialize)]
enum ProductEvent {
    Listed { name: String, description: String, category: String },
    Restocked { quantity: i64 },
}

impl Aggregate for Product {
    const NAME: &'static str = "product";
    /// How many there are.
    type State = i64;
    type Command = ProductCommand;
    type Event = ProductEvent;
    type Error = Infallible;

    fn handle_command(_stock: &i64, command: ProductCommand) -> Result<Vec<ProductEvent>, Infallible> {
        Ok(vec![match command {
            ProductCommand::List { name, description, category } => {
                ProductEvent::Listed { name, description, category }
            }
            ProductCommand::Restock { quantity } => ProductEvent::Restocked { quantity },
        }])
    }

    fn apply_event(stock: i64, event: ProductEvent) -> i64 {
        match event {
            ProductEvent::Listed { .. } => stock,
            ProductEvent::Restocked { quantity } => stock + quantity,
        }
    }
}

#[derive(Clone)]
struct Esrs(Arc<AggregateManager<PgStore<Product>>>);

/// Its event ids in order of time, which spares the index.
pub async fn open(dsn: &str, connections: u32) -> anyhow::Result<impl Shop> {
    let pool = server::pool(dsn, connections).await?;
    let store = PgStoreBuilder::new(pool).with_event_id_format(UuidFormat::V7).try_build().await?;
    Ok(Esrs(Arc::new(AggregateManager::new(store))))
}

impl Shop for Esrs {
    async fn list(&self) -> String {
        let id = Uuid::now_v7();
        let command = ProductCommand::List {
            name: NAME.to_owned(),
            description: DESCRIPTION.to_owned(),
            category: CATEGORY.to_owned(),
        };
        let Ok(_) = self.0.handle_command(AggregateState::with_id(id), command).await.expect("it is new");
        id.to_string()
    }

    async fn restock(&self, id: &str) {
        let id: Uuid = id.parse().expect("it is what list has returned");
        loop {
            let state = self.0.load(id).await.expect("it can be loaded").expect("it is there");
            match self.0.handle_command(state, ProductCommand::Restock { quantity: 1 }).await {
                Err(PgStoreError::Sqlx(error)) if is_conflict(&error) => {}
                done => {
                    let Ok(_) = done.expect("it can be stored");
                    return;
                }
            }
        }
    }
}

/// The version was somebody else's.
fn is_conflict(error: &sqlx_of_others::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}
