//! disintegrate: a `DecisionMaker` on its `PgEventStore`; a decision's state query is the product's id.

use std::convert::Infallible;
use std::sync::Arc;

use disintegrate::serde::json::Json;
use disintegrate::{Decision, DecisionError, Event, NoSnapshot, StateMutate, StateQuery};
use disintegrate_postgres::{Error, PgDecisionMaker, PgEventStore};
use serde::{Deserialize, Serialize};
use sqlx_of_others::Executor;
use uuid::Uuid;

use crate::server;
use crate::shop::{CATEGORY, DESCRIPTION, NAME, Shop};

/// What happens to a product.
#[derive(Clone, Debug, Deserialize, Eq, Event, PartialEq, Serialize)]
#[stream(ProductStream, [Listed, Restocked])]
pub enum ProductEvent {
    /// There is a new one.
    Listed {
        #[id]
        product_id: String,
        name: String,
        description: String,
        category: String,
    },
    /// There is more of it.
    Restocked {
        #[id]
        product_id: String,
        quantity: i64,
    },
}

/// What decisions are made from.
#[derive(Clone, Default, Deserialize, Serialize, StateQuery)]
#[state_query(ProductEvent)]
pub struct Product {
    #[id]
    product_id: String,
    stock: i64,
}

impl StateMutate for Product {
    fn mutate(&mut self, event: Self::Event) {
        if let ProductEvent::Restocked { quantity, .. } = event {
            self.stock += quantity;
        }
    }
}

/// A decision to list.
pub struct List {
    /// Its identity.
    pub product_id: String,
}

impl Decision for List {
    type Event = ProductEvent;
    type StateQuery = Product;
    type Error = Infallible;

    fn state_query(&self) -> Product {
        Product { product_id: self.product_id.clone(), stock: 0 }
    }

    fn process(&self, _product: &Product) -> Result<Vec<ProductEvent>, Infallible> {
        Ok(vec![ProductEvent::Listed {
            product_id: self.product_id.clone(),
            name: NAME.to_owned(),
            description: DESCRIPTION.to_owned(),
            category: CATEGORY.to_owned(),
        }])
    }
}

struct Restock {
    product_id: String,
}

impl Decision for Restock {
    type Event = ProductEvent;
    type StateQuery = Product;
    type Error = Infallible;

    fn state_query(&self) -> Product {
        Product { product_id: self.product_id.clone(), stock: 0 }
    }

    fn process(&self, _product: &Product) -> Result<Vec<ProductEvent>, Infallible> {
        Ok(vec![ProductEvent::Restocked { product_id: self.product_id.clone(), quantity: 1 }])
    }
}

/// Its store on a new database.
pub type EventStore = PgEventStore<ProductEvent, Json<ProductEvent>>;

/// What makes and stores decisions.
pub type Maker = PgDecisionMaker<ProductEvent, Json<ProductEvent>, NoSnapshot>;

/// Makes its tables.
pub async fn event_store(dsn: &str, connections: u32) -> anyhow::Result<EventStore> {
    let pool = server::pool(dsn, connections).await?;
    pool.execute(include_str!("disintegrate.sql")).await?;
    Ok(PgEventStore::new_uninitialized(pool, Json::default()))
}

#[derive(Clone)]
struct Disintegrate(Arc<Maker>);

/// Without snapshots: products have few events.
pub async fn open(dsn: &str, connections: u32) -> anyhow::Result<impl Shop> {
    let store = event_store(dsn, connections).await?;
    Ok(Disintegrate(Arc::new(disintegrate_postgres::decision_maker(store, NoSnapshot))))
}

impl Shop for Disintegrate {
    async fn list(&self) -> String {
        let product_id = Uuid::now_v7().to_string();
        // Serializable transactions fail now and then although nobody else knows the product.
        while !stored(self.0.make(List { product_id: product_id.clone() }).await) {}
        product_id
    }

    async fn restock(&self, id: &str) {
        while !stored(self.0.make(Restock { product_id: id.to_owned() }).await) {}
    }
}

/// Whether it is stored, or to be decided again.
fn stored<T>(made: Result<T, DecisionError<Infallible>>) -> bool {
    match made {
        Ok(_) => true,
        Err(DecisionError::StateStore(error) | DecisionError::EventStore(error)) if is_conflict(&*error) => false,
        Err(error) => panic!("it can be stored: {error}"),
    }
}

/// Somebody else was faster, or the server could not serialise the transactions.
fn is_conflict(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    match error.downcast_ref::<Error>() {
        Some(Error::Concurrency) => true,
        Some(Error::Database(error)) => {
            error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40001")
        }
        _ => false,
    }
}
