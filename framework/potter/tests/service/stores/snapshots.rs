//! Whatever a snapshot holds, an aggregate is what a replay of its whole stream gives.

use potter::RecordedEvent;
use potter::bytes::Bytes;
use potter::dispatch::{Outcome, Reply, RequestMetadata};
use potter::domain::{Aggregate, DomainEvent};
use potter::event::StreamId;
use potter::store::{SharedStore, Snapshot};
use potter::testing::TestApp;
use potter_sample::{
    CreateProductRequest, DeleteProductRequest, PatchProductRequest, Product, ProductEvent, ProductReply,
    ReserveStockRequest, UpdateProductRequest,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::{CREATE, SOON, UPDATE, memory, postgres, sqlite, start};
use crate::in_process;

const PATCH: &str = "shop.v1.Catalogue/PatchProduct";
const RESERVE: &str = "shop.v1.Catalogue/ReserveStock";
const DELETE: &str = "shop.v1.Catalogue/DeleteProduct";

#[derive(Clone, Debug)]
enum Step {
    Update(String, i64),
    Patch(String),
    Reserve(i32),
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => ("[a-z]{1,8}", 0..1_000_i64).prop_map(|(name, price)| Step::Update(name, price)),
        2 => "[a-z]{0,3}".prop_map(Step::Patch),
        3 => (1..9_i32).prop_map(Step::Reserve),
        1 => Just(Step::Delete),
    ]
}

/// What becomes of one of the snapshots that were kept of a product, before it is loaded.
#[derive(Clone, Debug)]
enum Fate {
    Whole,
    Gone,
    BitFlipped(Index),
    Cut(Index),
    Replaced(Vec<u8>),
    OfAnotherSchema,
    OfAnotherStream,
    OfAnotherVersion(u64),
    Ended,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Whole),
        1 => Just(Fate::Gone),
        2 => any::<Index>().prop_map(Fate::BitFlipped),
        1 => any::<Index>().prop_map(Fate::Cut),
        1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(Fate::Replaced),
        1 => Just(Fate::OfAnotherSchema),
        1 => Just(Fate::OfAnotherStream),
        1 => (1..30_u64).prop_map(Fate::OfAnotherVersion),
        1 => Just(Fate::Ended),
    ]
}

impl Fate {
    fn apply(&self, snapshot: Snapshot) -> Snapshot {
        let mut bytes = snapshot.state.to_vec();
        match self {
            Self::Whole | Self::Gone | Self::OfAnotherSchema | Self::OfAnotherStream => {}
            Self::BitFlipped(bit) => {
                let bit = bit.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Self::Cut(length) => bytes.truncate(length.index(bytes.len())),
            Self::Replaced(others) => bytes.clone_from(others),
            Self::OfAnotherVersion(version) => return Snapshot { version: *version, ..snapshot },
            Self::Ended => return Snapshot { ended: !snapshot.ended, ..snapshot },
        }
        Snapshot { state: Bytes::from(bytes), ..snapshot }
    }
}

/// A product and the snapshots that were taken of it.
struct Told {
    id: String,
    snapshots: Vec<Snapshot>,
}

/// Takes a product through some steps; those after its end are refused.
async fn tell(store: &SharedStore, app: &TestApp, steps: &[Step]) -> Told {
    let create = CreateProductRequest { name: "lamp".to_owned(), price_cents: 5, colour: 1, stock: 30 };
    let created: ProductReply = app.call(CREATE, &create).await.expect("created");
    let mut told = Told { id: created.product_id, snapshots: Vec::new() };
    for step in steps {
        take(app, &told.id, step).await;
        let version = log(store, &told.id).await.last().expect("it was created").version;
        let due = version - version % u64::from(Product::SNAPSHOT_EVERY);
        if due > told.snapshots.last().map_or(0, |last| last.version) {
            told.snapshots.push(snapshot(store, &told.id, due).await);
        }
    }
    told
}

/// A step; refusals are part of it.
async fn take(app: &TestApp, id: &str, step: &Step) {
    let (product_id, metadata) = (id.to_owned(), RequestMetadata::default());
    let taken = match step.clone() {
        Step::Update(name, price_cents) => {
            app.send(UPDATE, &UpdateProductRequest { product_id, name, price_cents }, metadata).await
        }
        Step::Patch(name) => app.send(PATCH, &patch(id, &name), metadata).await,
        Step::Reserve(quantity) => app.send(RESERVE, &ReserveStockRequest { product_id, quantity }, metadata).await,
        Step::Delete => app.send(DELETE, &DeleteProductRequest { product_id }, metadata).await,
    };
    if let Ok(Reply { outcome: Outcome::Accepted { command_id, .. }, .. }) = taken {
        let status = app.dispatcher().await_outcome(command_id, SOON).await.expect("readable").expect("it is known");
        assert!(status.outcome.is_some(), "it is executed");
    }
}

fn patch(id: &str, name: &str) -> PatchProductRequest {
    let product = Product { product_id: id.to_owned(), name: name.to_owned(), ..Product::default() };
    PatchProductRequest { product: Some(product), ..PatchProductRequest::default() }
}

async fn log(store: &SharedStore, id: &str) -> Vec<RecordedEvent> {
    store.read_stream(StreamId::new(Product::NAME, id), 0).await.expect("readable")
}

/// The snapshot of that version, which is kept in the background.
async fn snapshot(store: &SharedStore, id: &str, version: u64) -> Snapshot {
    let kept = async {
        loop {
            let found =
                store.load_snapshot(StreamId::new(Product::NAME, id), Snapshot::schema_of(Product::SCHEMA)).await;
            match found.expect("readable").filter(|it| it.version == version) {
                Some(snapshot) => return snapshot,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(SOON, kept).await.expect("a snapshot is kept")
}

/// Puts one of the snapshots in place of the one that there is.
async fn meet(store: &SharedStore, told: &Told, which: Index, fate: &Fate) {
    if told.snapshots.is_empty() {
        return;
    }
    let snapshot = fate.apply(which.get(&told.snapshots).clone());
    let other = StreamId::new(Product::NAME, &format!("{}-other", told.id));
    // A store replaces what is of another schema, whatever its version.
    store.save_snapshot(Snapshot { schema: "another".to_owned(), ..snapshot.clone() }).await.expect("saved");
    match fate {
        Fate::Gone | Fate::OfAnotherSchema => {}
        Fate::OfAnotherStream => {
            store.save_snapshot(Snapshot { stream: other, ..snapshot }).await.expect("saved");
        }
        _ => store.save_snapshot(snapshot).await.expect("saved"),
    }
}

/// What a node that has never seen the product makes of it, and what it decides about it.
async fn check(store: &SharedStore, app: &TestApp, id: &str) {
    let log = log(store, id).await;
    let events: Vec<_> = log
        .iter()
        .map(|it| ProductEvent::decode(&it.event_type, it.schema_version, &it.payload).expect("readable"))
        .collect();
    let ended = events.iter().any(Product::ends);
    let replayed = events.into_iter().fold(Product::with_id(id), |mut state, event| {
        state.apply(event);
        state
    });
    let seen = app.call::<_, ProductReply>(PATCH, &patch(id, "")).await;
    let changed = app.call::<_, ProductReply>(PATCH, &patch(id, "changed")).await;
    if ended {
        assert_eq!(seen.expect_err("it is gone").code, "NOT_FOUND");
        assert_eq!(changed.expect_err("it is gone").code, "NOT_FOUND");
    } else {
        assert_eq!(seen.expect("it is there").product, Some(replayed.clone()));
        let after = Product { name: "changed".to_owned(), ..replayed };
        assert_eq!(changed.expect("it can be changed").product, Some(after));
    }
}

fn whatever_a_snapshot_holds<F: Future<Output = SharedStore>>(cases: u32, open: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let store = runtime.block_on(open());
    let (one, other) = runtime.block_on(async { (start(&store).await, start(&store).await) });
    let histories = (proptest::collection::vec(step(), 0..16), any::<Index>(), fate());
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    let tried = TestRunner::new(config).run(&histories, |(steps, which, fate)| {
        runtime.block_on(async {
            let told = tell(&store, &one, &steps).await;
            meet(&store, &told, which, &fate).await;
            check(&store, &other, &told.id).await;
            // What isn't trusted is forgotten.
            if let (Fate::Whole, Some(last)) = (&fate, told.snapshots.last()) {
                let kept = store.load_snapshot(last.stream.clone(), last.schema.clone()).await.expect("readable");
                assert!(kept.is_some_and(|it| it.version >= which.get(&told.snapshots).version), "it is trusted");
            }
        });
        Ok(())
    });
    tried.unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn an_aggregate_is_a_replay_whatever_its_snapshot_in_memory() {
    whatever_a_snapshot_holds(128, async || memory());
}

#[test]
fn an_aggregate_is_a_replay_whatever_its_snapshot_on_sqlite() {
    let directory = tempfile::tempdir().expect("a directory");
    whatever_a_snapshot_holds(64, async || sqlite(directory.path()));
}

#[test]
fn an_aggregate_is_a_replay_whatever_its_snapshot_on_postgres() {
    whatever_a_snapshot_holds(64, async || postgres(&in_process::postgres("snapshots").await).await);
}
