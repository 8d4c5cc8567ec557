//! What a follower of a peer's log never sees, while eight writers write.
//!
//! A deferred trigger makes each transaction wait before it commits, mostly for a short time and rarely for a long one,
//! as a slow disk, a busy machine or a synchronous standby would, and rolls back one of ten. The writers use the peer's
//! own commands, the follower its own subscriptions. postgres-es and esrs have no log over all aggregates that could be
//! followed from a place in it: they hand events on in process, after the commit, and who dies meanwhile has lost them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{bail, ensure};
use async_trait::async_trait;
use disintegrate::{EventListener, PersistedEvent, StreamQuery};
use disintegrate_postgres::{PgEventId, PgEventListener, PgEventListenerConfig};
use evento::Executor;
use evento::metadata::Event;
use evento::subscription::{Context, SubscriptionBuilder};
use sqlx_of_others::Executor as _;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::server::{self, Database};
use crate::shop::{CATEGORY, DESCRIPTION, NAME};
use crate::shops::disintegrate::{List, Maker, ProductEvent, event_store};
use crate::shops::evento::{ProductListed, executor};

/// Writers at the same time.
const WRITERS: usize = 8;

/// Connections for them and the follower.
const CONNECTIONS: u32 = 16;

/// How long the follower may take for the last events.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of it.
pub struct Outcome {
    written: usize,
    lost: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} written, {} of them never seen by the follower", self.written, self.lost)
    }
}

/// Identities of products that somebody knows of.
#[derive(Clone, Default)]
struct Products(Arc<Mutex<BTreeSet<String>>>);

impl Products {
    fn add(&self, id: &str) {
        self.0.lock().expect("nobody panics with it").insert(id.to_owned());
    }

    fn missing_in(&self, others: &Self) -> usize {
        let others = others.0.lock().expect("nobody panics with it");
        self.0.lock().expect("nobody panics with it").difference(&others).count()
    }

    fn count(&self) -> usize {
        self.0.lock().expect("nobody panics with it").len()
    }
}

/// Writes so many events, whose transactions take up to `delay` milliseconds each.
#[tokio::main]
pub async fn run(peer: &str, events: usize, delay: u32, server: &str) -> anyhow::Result<Outcome> {
    let database = Database::make(server).await?;
    let outcome = match peer {
        "evento" => with_evento(database.dsn(), events, delay).await?,
        "disintegrate" => with_disintegrate(database.dsn(), events, delay).await?,
        other => bail!("no log to follow, or unknown: {other}"),
    };
    let stored: i64 = sqlx_of_others::query_scalar("SELECT count(*) FROM event")
        .fetch_one(&server::pool(database.dsn(), 1).await?)
        .await?;
    ensure!(usize::try_from(stored)? == outcome.written, "{stored} stored, but {} acknowledged", outcome.written);
    database.discard().await?;
    Ok(outcome)
}

/// Both peers keep their events in a table `event`.
async fn hamper(dsn: &str, delay: u32) -> anyhow::Result<()> {
    let trigger = format!(
        "CREATE FUNCTION hamper() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
           PERFORM pg_sleep(random() ^ 8 * {delay} / 1000);
           IF random() < 0.1 THEN RAISE EXCEPTION 'rolled back'; END IF;
           RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER hamper AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION hamper()"
    );
    server::pool(dsn, 1).await?.execute(trigger.as_str()).await?;
    Ok(())
}

/// `write` makes a product and says which, if it hasn't been rolled back.
async fn write<F>(events: usize, write: impl Fn() -> F + Clone + Send + 'static) -> Products
where
    F: Future<Output = Option<String>> + Send,
{
    let written = Products::default();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (write, written) = (write.clone(), written.clone());
        writers.spawn(async move {
            for _ in (writer..events).step_by(WRITERS) {
                if let Some(id) = write().await {
                    written.add(&id);
                }
            }
        });
    }
    writers.join_all().await;
    written
}

/// Gives the follower time to see everything.
async fn outcome(written: &Products, seen: &Products) -> Outcome {
    let all_seen = async {
        while written.missing_in(seen) > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let lost = tokio::time::timeout(PATIENCE, all_seen).await.map_or_else(|_| written.missing_in(seen), |()| 0);
    Outcome { written: written.count(), lost }
}

#[evento::subscription]
async fn notice<E: Executor>(context: &Context<'_, E>, event: Event<ProductListed>) -> anyhow::Result<()> {
    context.extract::<Products>().add(&event.aggregate_id);
    Ok(())
}

async fn with_evento(dsn: &str, events: usize, delay: u32) -> anyhow::Result<Outcome> {
    let executor = executor(dsn, CONNECTIONS).await?;
    hamper(dsn, delay).await?;
    let seen = Products::default();
    let builder = SubscriptionBuilder::new("follower").handler(notice()).data(seen.clone()).any_routing_key();
    let subscription = builder.start(&executor).await?;
    let written = write(events, move || {
        let executor = executor.clone();
        async move {
            let event = ProductListed {
                name: NAME.to_owned(),
                description: DESCRIPTION.to_owned(),
                category: CATEGORY.to_owned(),
            };
            evento::create().event(&event).commit(&executor).await.ok()
        }
    })
    .await;
    let outcome = outcome(&written, &seen).await;
    subscription.shutdown().await?;
    Ok(outcome)
}

struct Follower {
    query: StreamQuery<PgEventId, ProductEvent>,
    seen: Products,
}

#[async_trait]
impl EventListener<PgEventId, ProductEvent> for Follower {
    type Error = Infallible;

    fn id(&self) -> &'static str {
        "follower"
    }

    fn query(&self) -> &StreamQuery<PgEventId, ProductEvent> {
        &self.query
    }

    async fn handle(&self, event: PersistedEvent<PgEventId, ProductEvent>) -> Result<(), Infallible> {
        if let ProductEvent::Listed { product_id, .. } = &*event {
            self.seen.add(product_id);
        }
        Ok(())
    }
}

async fn with_disintegrate(dsn: &str, events: usize, delay: u32) -> anyhow::Result<Outcome> {
    let store = event_store(dsn, CONNECTIONS).await?;
    hamper(dsn, delay).await?;
    let seen = Products::default();
    let follower = Follower { query: disintegrate::query!(ProductEvent), seen: seen.clone() };
    let config = PgEventListenerConfig::poller(Duration::from_millis(50)).with_notifier();
    let listener = PgEventListener::builder(store.clone()).register_listener(follower, config);
    let listening = tokio::spawn(listener.start());
    let maker: Arc<Maker> = Arc::new(disintegrate_postgres::decision_maker(store, disintegrate::NoSnapshot));
    let written = write(events, move || {
        let maker = maker.clone();
        async move {
            let product_id = Uuid::now_v7().to_string();
            maker.make(List { product_id: product_id.clone() }).await.ok().map(|_| product_id)
        }
    })
    .await;
    let outcome = outcome(&written, &seen).await;
    listening.abort();
    Ok(outcome)
}
