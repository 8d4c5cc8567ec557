//! `kill -9` in the middle of a load, again and again, on one file: see [`potter_core::store::contract::kill`].

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use potter_core::store::SharedStore;
use potter_core::store::contract::kill;
use potter_sqlite::SqliteStore;
use tempfile::TempDir;

fn main() -> ExitCode {
    kill::run(database, open, leaves_one_file)
}

async fn database() -> (String, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    (format!("sqlite://{}", directory.path().join("data.db").display()), directory)
}

async fn open(dsn: &str) -> SharedStore {
    Arc::new(SqliteStore::open(dsn).expect("it can be opened"))
}

fn leaves_one_file(directory: &TempDir) {
    let left: BTreeSet<_> = std::fs::read_dir(directory.path())
        .expect("the directory is there")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(left, BTreeSet::from(["data.db".into()]), "a closed store leaves one file");
}
