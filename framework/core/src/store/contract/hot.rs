//! One stream that everybody writes to.

use std::time::SystemTime;

use bytes::Bytes;
use futures::future::join_all;
use uuid::Uuid;

use crate::event::{EventMetadata, NewEvent};
use crate::store::{Append, CommitError, SharedStore, Unit};

const WRITERS: usize = 64;

/// Appends `commands` events to one stream, with 64 writers that are spread over the nodes, and checks that each version
/// was decided about once: whoever is acknowledged has decided about the latest.
pub async fn has_no_stale_decisions(nodes: &[SharedStore], commands: usize) {
    let writers = nodes.iter().cycle().take(WRITERS).enumerate().map(|(writer, node)| {
        let share = commands / WRITERS + usize::from(writer < commands % WRITERS);
        tokio::spawn(append(node.clone(), share))
    });
    let mut decided: Vec<u64> =
        join_all(writers).await.into_iter().flat_map(|decided| decided.expect("no writer panics")).collect();
    decided.sort_unstable();
    assert_eq!(decided, (0..commands as u64).collect::<Vec<_>>(), "each version was decided about once");
}

/// The versions that a writer has decided about.
async fn append(node: SharedStore, commands: usize) -> Vec<u64> {
    let (mut decided, mut version) = (Vec::new(), 0);
    while decided.len() < commands {
        match node.commit(unit(version)).await {
            Ok(_) => {
                decided.push(version);
                version += 1;
            }
            Err(CommitError::Conflict { actual }) => version = actual,
            Err(error) => panic!("{error}"),
        }
    }
    decided
}

fn unit(expected_version: u64) -> Unit {
    let payload = Bytes::from_static(b"x");
    let append = Append {
        aggregate: "Thing",
        aggregate_id: "hot".to_owned(),
        expected_version,
        events: vec![NewEvent { id: Uuid::now_v7(), event_type: "thing.happened", schema_version: 1, payload }],
        metadata: EventMetadata::default(),
        time: SystemTime::now(),
    };
    Unit { append: Some(append), ..Unit::default() }
}
