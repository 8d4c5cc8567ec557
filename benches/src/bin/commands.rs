//! Commands through the whole path in process: decode, load, decide, append, reply.
//!
//! `commands create|change CALLERS SECONDS PLACE [projected|shared]` prints operations per second, p50, p99 and p99.9
//! in microseconds. PLACE is a directory for a SQLite file, or the DSN of a PostgreSQL server, which gets a database.
//! `create` makes a product with each command; `change` restocks one of 10,000. With `projected` a projection keeps the
//! read model up to date in the same process meanwhile; with `shared` two nodes share the database and the callers.
//!
//! `commands compare PEERS ROUNDS SECONDS SERVER DIRECTORY` runs Potter and its peers on the PostgreSQL server (`PEERS`
//! is the path of the program that `benches/peers` builds) in turns, probes the disk of DIRECTORY before each run, and
//! prints the medians as a table.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use potter_benches::catalogue::{self, LIST, ListProduct, ProductReply, Products, RESTOCK, RestockProduct};
use potter_benches::compare::{self, Cell, Contender};
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
    let (what, callers, seconds, place, around) = match arguments[..] {
        ["compare", peers, rounds, seconds, server, directory] => {
            return compare(peers, rounds.parse().context("ROUNDS is a number")?, seconds, server, directory);
        }
        [what, callers, seconds, place] => (what, callers, seconds, place, Around::Nothing),
        [what, callers, seconds, place, "projected"] => (what, callers, seconds, place, Around::Projection),
        [what, callers, seconds, place, "shared"] => (what, callers, seconds, place, Around::AnotherNode),
        _ => bail!(
            "usage: commands create|change CALLERS SECONDS PLACE [projected|shared] | \
             compare PEERS ROUNDS SECONDS SERVER DIRECTORY"
        ),
    };
    let callers = callers.parse().context("CALLERS is a number")?;
    let seconds = seconds.parse().context("SECONDS is a number")?;
    println!("{}", run(what, callers, seconds, place, around)?);
    Ok(())
}

/// Each peer, and the connections with which it was fastest with 256 callers.
const PEERS: [(&str, &str); 4] = [("postgres-es", "16"), ("esrs", "16"), ("evento", "16"), ("disintegrate", "4")];

fn compare(peers: &str, rounds: usize, seconds: &str, server: &str, directory: &str) -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    let own = own.to_str().context("the path of this program is text")?;
    let mut cells = Vec::new();
    for what in ["create", "change"] {
        for callers in ["1", "256"] {
            let potter = Contender { name: "Potter", program: own, arguments: vec![what, callers, seconds, server] };
            let mut contenders = vec![potter];
            contenders.extend(PEERS.map(|(name, connections)| Contender {
                name,
                program: peers,
                arguments: vec!["commands", name, what, callers, seconds, server, connections],
            }));
            cells.push(Cell { label: format!("{what} | {callers}"), contenders });
        }
    }
    compare::print("what | callers", &cells, rounds, Path::new(directory))
}

/// What else goes on.
#[derive(Clone, Copy, PartialEq)]
enum Around {
    Nothing,
    Projection,
    /// A second node has half of the callers.
    AnotherNode,
}

#[tokio::main]
async fn run(what: &str, callers: usize, seconds: u64, place: &str, around: Around) -> anyhow::Result<Summary> {
    let database = Database::make(place).await?;
    let mut nodes = vec![start(database.store.clone(), around == Around::Projection).await?];
    if around == Around::AnotherNode {
        nodes.push(start(database.another().await?, false).await?);
    }
    let nodes: Arc<[Dispatcher]> = nodes.into();
    let summary = match what {
        "create" => {
            let nodes = nodes.clone();
            drive(callers, seconds, move |caller, _| {
                let nodes = nodes.clone();
                async move { drop(list(&nodes[caller % nodes.len()]).await) }
            })
            .await
        }
        "change" => change(nodes.clone(), callers, seconds).await,
        _ => bail!("neither create nor change: {what}"),
    };
    for node in nodes.iter() {
        node.shutdown().await;
    }
    database.discard().await?;
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

async fn change(nodes: Arc<[Dispatcher]>, callers: usize, seconds: u64) -> Summary {
    let listed = futures::future::join_all((0..PRODUCTS).map(|_| list(&nodes[0]))).await;
    let ids: Arc<[String]> = listed.into_iter().map(|reply| reply.product_id).collect();
    drive(callers, seconds, move |caller, count| {
        // Each caller walks through the products with a stride of its own, so that they meet, but rarely.
        let place = (caller * 389 + usize::try_from(count).unwrap_or(0) * (2 * caller + 1)) % PRODUCTS;
        let (nodes, ids) = (nodes.clone(), ids.clone());
        async move {
            let command = RestockProduct { product_id: ids[place].clone(), quantity: 1 };
            drop(call(&nodes[caller % nodes.len()], RESTOCK, &command).await);
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
