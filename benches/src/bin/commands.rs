//! Commands through the whole path in process: decode, load, decide, append, reply.
//!
//! `commands create|change CALLERS SECONDS PLACE [projected]` prints operations per second, p50 and p99 in
//! microseconds. PLACE is a directory for a SQLite file, or the DSN of a PostgreSQL server, which gets a database. `create` makes a product with each command; `change` restocks one of 10,000. With `projected` a
//! projection keeps the read model up to date in the same process meanwhile.

use std::sync::Arc;

use anyhow::{Context, bail};
use potter_benches::catalogue::{self, LIST, ListProduct, ProductReply, Products, RESTOCK, RestockProduct};
use potter_benches::database::{Database, migrations};
use potter_benches::drive::{Summary, drive};
use potter_core::dispatch::{Dispatcher, Options, Request};
use potter_core::read_model::ReadModel;
use potter_core::store::SharedStore;
use prost::Message;

/// Products that `change` is about.
const PRODUCTS: usize = 10_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (what, callers, seconds, place, projected) = match arguments[..] {
        [what, callers, seconds, place] => (what, callers, seconds, place, false),
        [what, callers, seconds, place, "projected"] => (what, callers, seconds, place, true),
        _ => bail!("usage: commands create|change CALLERS SECONDS PLACE [projected]"),
    };
    let callers = callers.parse().context("CALLERS is a number")?;
    let seconds = seconds.parse().context("SECONDS is a number")?;
    println!("{}", run(what, callers, seconds, place, projected)?);
    Ok(())
}

#[tokio::main]
async fn run(what: &str, callers: usize, seconds: u64, place: &str, projected: bool) -> anyhow::Result<Summary> {
    let database = Database::make(place).await?;
    let dispatcher = start(database.store.clone(), projected).await?;
    let summary = match what {
        "create" => {
            let dispatcher = dispatcher.clone();
            drive(callers, seconds, move |_, _| {
                let dispatcher = dispatcher.clone();
                async move { drop(list(&dispatcher).await) }
            })
            .await
        }
        "change" => change(&dispatcher, callers, seconds).await,
        _ => bail!("neither create nor change: {what}"),
    };
    dispatcher.shutdown().await;
    Ok(summary)
}

async fn start(store: SharedStore, projected: bool) -> anyhow::Result<Dispatcher> {
    let mut module = catalogue::module();
    if projected {
        store.migrate(migrations(&Products::TABLE)).await?;
        module.read_model::<Products>();
    }
    Ok(Dispatcher::start(module, store, Options::default()).await?)
}

async fn change(dispatcher: &Dispatcher, callers: usize, seconds: u64) -> Summary {
    let listed = futures::future::join_all((0..PRODUCTS).map(|_| list(dispatcher))).await;
    let ids: Arc<[String]> = listed.into_iter().map(|reply| reply.product_id).collect();
    let dispatcher = dispatcher.clone();
    drive(callers, seconds, move |caller, count| {
        // Each caller walks through the products with a stride of its own, so that they meet, but rarely.
        let place = (caller * 389 + usize::try_from(count).unwrap_or(0) * (2 * caller + 1)) % PRODUCTS;
        let (dispatcher, ids) = (dispatcher.clone(), ids.clone());
        async move {
            let command = RestockProduct { product_id: ids[place].clone(), quantity: 1 };
            drop(call(&dispatcher, RESTOCK, &command).await);
        }
    })
    .await
}

async fn list(dispatcher: &Dispatcher) -> ProductReply {
    let command = ListProduct {
        name: "Teapot, two cups".to_owned(),
        description: "Of stoneware, glazed in celadon; fills two cups, keeps the second warm.".to_owned(),
        category: "kitchen".to_owned(),
    };
    call(dispatcher, LIST, &command).await
}

async fn call(dispatcher: &Dispatcher, rpc: &str, command: &impl Message) -> ProductReply {
    let request = Request { body: command.encode_to_vec().into(), ..Request::default() };
    let reply = dispatcher.call(rpc, request).await.expect("no rule is broken");
    ProductReply::decode(reply.body).expect("the reply is one")
}
