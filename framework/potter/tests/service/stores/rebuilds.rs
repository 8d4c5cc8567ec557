//! Whoever starts takes up a rebuild that was broken off, and makes of it what was asked for.

use potter::bytes::Bytes;
use potter::read_model::ReadModel;
use potter::replay::Replay;
use potter::store::{
    Generation, Migration, ProjectionBatch, ProjectionError, Rebuild, RebuildRecord, RowChange, SharedStore,
};
use potter_sample::{CreateProductRequest, ProductReply, Products};

use super::{CREATE, SOON, memory, postgres, sqlite, start};
use crate::in_process;

/// A process has copied the rows, and another starts before it has made any of them anew.
async fn rows_are_made_anew_by_who_starts(store: SharedStore) {
    let node = start(&store).await;
    let create = CreateProductRequest { name: "lamp".to_owned(), price_cents: 5, colour: 1, stock: 30 };
    let created: ProductReply = node.call(CREATE, &create).await.expect("created");
    node.settle().await;
    let spoilt = RowChange { row: Bytes::new(), ..row(&store, &created.product_id).await };
    commit(&store, Generation::Live, 0, vec![spoilt]).await.expect("spoilt");
    let begin = Rebuild::RowsOf(Replay::all().of_type("product.created"));
    let begun = store.begin_rebuild(Products::NAME, Products::TABLE, begin.clone()).await.expect("begun");
    let number = begun.expect("the live rows are there");

    let _other = start(&store).await;
    let rebuild = ended(&store).await;
    assert_eq!((rebuild.number, rebuild.begin, rebuild.end.map(|it| it.failure)), (number + 1, begin, Some(None)));
    assert_ne!(row(&store, &created.product_id).await.row, "");
    let late = commit(&store, Generation::Next, number, Vec::new()).await;
    assert!(matches!(late, Err(ProjectionError::Ended)), "{late:?}");
    let late = store.finish_rebuild(Products::NAME, Products::TABLE, number, 1).await;
    assert!(matches!(late, Err(ProjectionError::Ended)), "{late:?}");
}

/// A migration that makes a table anew forgets how far the read model and its rebuild were, as the generator writes it.
async fn what_a_migration_has_dropped_is_told(store: SharedStore) {
    const FORGET: &[Migration] =
        &[Migration::of_any_database("0002_forget", "DELETE FROM potter_checkpoints WHERE projection = 'Products'")];
    let node = start(&store).await;
    node.settle().await;
    let begun = store.begin_rebuild(Products::NAME, Products::TABLE, Rebuild::After(0)).await.expect("begun");
    store.migrate(FORGET).await.expect("applied");
    let _other = start(&store).await;
    let rebuild = ended(&store).await;
    let failure = rebuild.end.and_then(|it| it.failure).expect("it could not go on");
    assert_eq!((Some(rebuild.number), failure.contains("migration")), (begun, true), "{failure}");
}

/// The row of a product; what it holds beside its bytes isn't asked for.
async fn row(store: &SharedStore, id: &str) -> RowChange {
    let found = store.rows_by_key(Products::TABLE, Generation::Live, vec![id.to_owned()]).await;
    let (key, row) = found.expect("readable").pop().expect("it is there");
    RowChange { key, values: vec!["lamp".into(), 1.into()], row }
}

async fn commit(
    store: &SharedStore,
    generation: Generation,
    epoch: u64,
    put: Vec<RowChange>,
) -> Result<(), ProjectionError> {
    let at = store.checkpoint(Products::NAME, Generation::Live).await.expect("readable");
    let batch = ProjectionBatch::moving(Products::NAME, Products::TABLE, at, at);
    store.commit_projection(ProjectionBatch { generation, epoch, put, ..batch }).await
}

/// What has become of the last rebuild, once it has ended.
async fn ended(store: &SharedStore) -> RebuildRecord {
    let ended = async {
        loop {
            let last = store.projection(Products::NAME).await.expect("readable").rebuild;
            match last.filter(|it| it.end.is_some()) {
                Some(ended) => return ended,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(SOON, ended).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_made_anew_by_who_starts_in_memory() {
    rows_are_made_anew_by_who_starts(memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_made_anew_by_who_starts_on_sqlite() {
    let directory = tempfile::tempdir().expect("a directory");
    rows_are_made_anew_by_who_starts(sqlite(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_migration_has_dropped_is_told_on_sqlite() {
    let directory = tempfile::tempdir().expect("a directory");
    what_a_migration_has_dropped_is_told(sqlite(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_migration_has_dropped_is_told_on_postgres() {
    what_a_migration_has_dropped_is_told(postgres(&in_process::postgres("dropped_rebuilds").await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_made_anew_by_who_starts_on_postgres() {
    rows_are_made_anew_by_who_starts(postgres(&in_process::postgres("rebuilds").await).await).await;
}
