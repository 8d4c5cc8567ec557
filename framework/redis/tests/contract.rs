//! Read models in Redis pass the part of the stores' suite that is about read models.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use potter_core::read_model::{ColumnType, Table, TableColumn};
use potter_core::store::contract::ReadModelsFixture;
use potter_core::store::contract::read_models::{PROJECTION, THINGS};
use potter_core::store::{ReadModels, Rebuild};
use potter_redis::RedisReadModels;

fn server() -> String {
    std::env::var("POTTER_TEST_REDIS")
        .unwrap_or_else(|_| panic!("there is no Redis: run `scripts/with-servers redis -- cargo test -p potter-redis`"))
}

/// Each test is a service of its own.
async fn open() -> ReadModelsFixture {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let service = format!("contract-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let read_models = RedisReadModels::new(&server(), &service, &[(PROJECTION, THINGS)]).expect("an address");
    ReadModelsFixture { read_models: Arc::new(read_models), guard: Box::new(()) }
}

potter_core::read_models_contract!(open);

/// Rows of another shape are under other keys.
#[tokio::test]
async fn a_copy_of_another_shape_is_not_restored() {
    const COLUMNS: &[TableColumn] = &[TableColumn::new("colour", ColumnType::Text)];
    const CHANGED: Table = Table { columns: COLUMNS, ..THINGS };
    let service = format!("shapes-{}", std::process::id());
    let of = |table| RedisReadModels::new(&server(), &service, &[(PROJECTION, table)]).expect("an address");
    let (before, after) = (of(THINGS), of(CHANGED));
    before.save_copy(PROJECTION, THINGS).await.expect("saved");
    let begun = after.begin_rebuild(PROJECTION, CHANGED, Rebuild::FromSnapshot).await;
    assert_eq!(begun.expect("told"), None);
    let begun = before.begin_rebuild(PROJECTION, THINGS, Rebuild::FromSnapshot).await;
    assert_eq!(begun.expect("begun"), Some(1));
}

/// One that a version has begun which kept nothing of a rebuild but that it goes on.
#[tokio::test]
async fn a_rebuild_that_nothing_is_known_of_is_dropped() {
    let service = format!("unknown-{}", std::process::id());
    let read_models = RedisReadModels::new(&server(), &service, &[(PROJECTION, THINGS)]).expect("an address");
    read_models.begin_rebuild(PROJECTION, THINGS, Rebuild::After(0)).await.expect("begun");
    let client = redis::Client::open(server()).expect("an address");
    let mut connection = client.get_connection().expect("a connection");
    let mut keys = redis::cmd("KEYS");
    let keys: Vec<String> =
        keys.arg(format!("potter:{{{service}}}:{PROJECTION}:*")).query(&mut connection).expect("known");
    let mut forget = redis::cmd("HDEL");
    for field in [&keys[0], "rebuild:number", "rebuild:begins_with", "rebuild:begun_at"] {
        forget.arg(field);
    }
    forget.exec(&mut connection).expect("forgotten");

    let before = read_models.projection(PROJECTION).await.expect("readable");
    assert!(before.rebuilding && before.rebuild.is_none(), "{before:?}");
    assert!(read_models.drop_rebuild(PROJECTION, THINGS, 0, "begin it anew".to_owned()).await.expect("dropped"));
    let after = read_models.projection(PROJECTION).await.expect("readable");
    let failure = after.rebuild.and_then(|it| it.end).and_then(|it| it.failure);
    assert_eq!((after.rebuilding, failure.as_deref()), (false, Some("begin it anew")));
    let begun = read_models.begin_rebuild(PROJECTION, THINGS, Rebuild::After(0)).await;
    assert_eq!(begun.expect("begun"), Some(1));
}
