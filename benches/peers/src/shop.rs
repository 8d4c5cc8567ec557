//! The commands that are measured, the same as those of Potter's `commands`: products are listed and restocked.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::bail;
use tokio::task::JoinSet;

use crate::drive::{Summary, drive};
use crate::server::Database;

/// Products that changes are about.
const PRODUCTS: usize = 10_000;

/// Callers that make them beforehand.
const STOCKERS: usize = 64;

/// What each new product is called.
pub const NAME: &str = "Teapot, two cups";
/// What it is about.
pub const DESCRIPTION: &str = "Of stoneware, glazed in celadon; fills two cups, keeps the second warm.";
/// Where it belongs.
pub const CATEGORY: &str = "kitchen";

/// A peer's whole command path: load, decide, append.
pub trait Shop: Clone + Send + Sync + 'static {
    /// Makes a product and says which.
    fn list(&self) -> impl Future<Output = String> + Send;

    /// Makes one more of it, deciding again whenever somebody else was faster.
    fn restock(&self, id: &str) -> impl Future<Output = ()> + Send;
}

/// What is done with each command.
#[derive(Clone, Copy)]
pub enum What {
    /// A product is made.
    Create,
    /// One of [`PRODUCTS`] is changed.
    Change,
}

impl FromStr for What {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "create" => Ok(Self::Create),
            "change" => Ok(Self::Change),
            other => bail!("neither create nor change: {other}"),
        }
    }
}

/// How much of it.
#[derive(Clone, Copy)]
pub struct Work {
    /// See [`What`].
    pub what: What,
    /// Commands at the same time.
    pub callers: usize,
    /// How long.
    pub seconds: u64,
}

/// Keeps the callers busy.
pub async fn run(shop: impl Shop, work: Work, database: &Database) -> anyhow::Result<Summary> {
    Ok(match work.what {
        What::Create => {
            drive(work.callers, work.seconds, move |_, _| {
                let shop = shop.clone();
                async move { drop(shop.list().await) }
            })
            .await
        }
        What::Change => {
            let ids = stock(&shop).await;
            // As the server does by itself after a minute; without it evento reads with the wrong index, 250 a second.
            database.analyze().await?;
            change(shop, work, ids).await
        }
    })
}

async fn change(shop: impl Shop, work: Work, ids: Arc<[String]>) -> Summary {
    drive(work.callers, work.seconds, move |caller, count| {
        // As in `commands`: a stride of its own for each caller, so that they meet, but rarely.
        let place = (caller * 389 + usize::try_from(count).unwrap_or(0) * (2 * caller + 1)) % PRODUCTS;
        let (shop, ids) = (shop.clone(), ids.clone());
        async move { shop.restock(&ids[place]).await }
    })
    .await
}

async fn stock(shop: &impl Shop) -> Arc<[String]> {
    let mut stockers = JoinSet::new();
    for stocker in 0..STOCKERS {
        let shop = shop.clone();
        stockers.spawn(async move {
            let mut ids = Vec::new();
            for _ in (stocker..PRODUCTS).step_by(STOCKERS) {
                ids.push(shop.list().await);
            }
            ids
        });
    }
    stockers.join_all().await.concat().into()
}
