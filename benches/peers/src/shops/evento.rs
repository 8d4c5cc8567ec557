//! evento: the write model is loaded as a projection with its in-memory snapshots, whose gateway commits with the
//! version that was loaded.

use evento::metadata::Event;
use evento::migrator::{Migrate, Plan};
use evento::{Executor, Projection, ProjectionAggregate, WriteError};

use crate::server;
use crate::shop::{CATEGORY, DESCRIPTION, NAME, Shop};

#[evento::aggregate(name = "shop/Product")]
pub enum Product {
    ProductListed { name: String, description: String, category: String },
    ProductRestocked { quantity: i64 },
}

#[evento::projection(id = id)]
#[evento::snapshot(memory)]
pub struct ProductState {
    pub id: String,
    pub stock: i64,
}

#[evento::handler]
async fn on_listed(event: Event<ProductListed>, row: &mut ProductState) -> anyhow::Result<()> {
    row.id = event.aggregate_id.clone();
    Ok(())
}

#[evento::handler]
async fn on_restocked(event: Event<ProductRestocked>, row: &mut ProductState) -> anyhow::Result<()> {
    row.stock += event.data.quantity;
    Ok(())
}

fn products<E: Executor>() -> Projection<E, ProductState> {
    Projection::new::<Product>().handler(on_listed()).handler(on_restocked()).strict()
}

/// Its tables, and what reads and writes them.
pub async fn executor(dsn: &str, connections: u32) -> anyhow::Result<evento::Postgres> {
    let pool = server::pool_for_evento(dsn, connections).await?;
    let migrator = evento::sql_migrator::new::<sqlx_of_evento::Postgres>()?;
    migrator.run(&mut *pool.acquire().await?, &Plan::apply_all()).await?;
    Ok(pool.into())
}

#[derive(Clone)]
struct Evento(evento::Postgres);

/// See [`executor`].
pub async fn open(dsn: &str, connections: u32) -> anyhow::Result<impl Shop> {
    Ok(Evento(executor(dsn, connections).await?))
}

impl Shop for Evento {
    async fn list(&self) -> String {
        let event =
            ProductListed { name: NAME.to_owned(), description: DESCRIPTION.to_owned(), category: CATEGORY.to_owned() };
        evento::create().event(&event).commit(&self.0).await.expect("it is new")
    }

    async fn restock(&self, id: &str) {
        loop {
            let product = products().load(id).execute(&self.0).await.expect("it can be loaded").expect("it is there");
            let mut write = product.write().expect("it has been listed");
            match write.event(&ProductRestocked { quantity: 1 }).commit(&self.0).await {
                Err(WriteError::InvalidOriginalVersion) => {}
                done => {
                    done.expect("it can be stored");
                    return;
                }
            }
        }
    }
}
