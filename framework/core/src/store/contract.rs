//! The suite that every store passes.
//!
//! ```text
//! async fn open() -> Fixture { … }
//! potter_core::store_contract!(open);
//! ```
//!
//! makes one test of each function in [`log`], [`commands`], [`messages`], [`read_models`] and
//! [`operation`]; `read_models_contract!` those of [`read_models`] alone, for what keeps nothing else. Every test opens a
//! store of its own, empty. The crate that calls the macro needs `tokio` with `macros` and `rt-multi-thread`. [`kill`],
//! [`crash`] and [`ledger`] are for tests that end or freeze processes, [`hot`] for several nodes.

pub mod commands;
pub mod crash;
pub mod hot;
pub mod kill;
pub mod ledger;
pub mod log;
pub mod messages;
pub mod operation;
pub mod read_models;

use std::any::Any;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use crate::event::{EventMetadata, NewEvent, RecordedEvent, StreamId};
use crate::read_model::Table;
use crate::store::{Append, SharedReadModels, SharedStore, Unit};

/// A store to be tested.
pub struct Fixture {
    /// Empty.
    pub store: SharedStore,
    /// The text of a migration that makes a read model's table; empty where tables come by themselves.
    pub create_table: fn(&Table) -> String,
    /// Lives as long as the test: a directory that is removed afterwards.
    pub guard: Box<dyn Any + Send>,
}

/// Something that keeps read models, to be tested.
pub struct ReadModelsFixture {
    /// Empty, with a table for [`read_models::THINGS`] of [`read_models::PROJECTION`].
    pub read_models: SharedReadModels,
    /// See [`Fixture::guard`].
    pub guard: Box<dyn Any + Send>,
}

/// Makes a test of each function of the suite; `$open` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! store_contract {
    ($open:path) => {
        $crate::store_contract!(@group $open, log:
            keeps_what_was_appended
            reads_the_tail_of_a_stream
            numbers_the_log_without_gaps
            reads_the_log_in_slices
            refuses_a_wrong_version
            keeps_streams_with_similar_names_apart
            puts_concurrent_commands_in_one_order
            commits_more_at_once_than_fit_in_one_transaction
            tells_the_head_before_the_answer
            wakes_whoever_waits_for_the_head
            keeps_the_newest_snapshot
            misses_a_snapshot_of_another_schema
        );
        $crate::store_contract!(@group $open, commands:
            records_a_claim_once
            scopes_a_claim_by_command_and_caller
            tells_a_claim_before_a_conflict
            keeps_accepted_commands_until_they_are_settled
            gives_each_node_what_nobody_looks_after
            keeps_both_kinds_of_outcome
            settles_once
            leaves_nothing_of_a_refused_unit
            leaves_nothing_of_an_expired_unit
            settles_together_with_the_events
            forgets_what_is_old_enough
        );
        $crate::store_contract!(@group $open, messages:
            tells_which_outcomes_are_not_announced
            keeps_dead_letters_until_they_are_removed
            keeps_a_dead_letter_once
            forgets_old_dead_letters
            knows_for_ever_how_far_streams_are_processed
            keeps_claims_of_a_stream_while_a_letter_of_it_waits
        );
        $crate::read_models_contract!(@of_store $open);
        $crate::store_contract!(@group $open, operation:
            applies_each_migration_once
            tells_which_migrations_are_applied
            refuses_a_changed_migration
            takes_a_migration_back
            does_not_restore_a_copy_from_before_a_migration
            refuses_to_take_back_what_it_cannot
            answers_a_ping
            refuses_everything_once_closed
        );
    };
    (@group $open:path, $group:ident: $($name:ident)*) => {
        mod $group {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::store::contract::$group::$name($open().await).await;
                }
            )*
        }
    };
}

/// Makes a test of each function of [`read_models`]; `$open` is an `async fn() -> ReadModelsFixture`.
#[macro_export]
macro_rules! read_models_contract {
    ($open:path) => {
        $crate::read_models_contract!(@tests $open, std::future::ready);
    };
    (@of_store $open:path) => {
        $crate::read_models_contract!(@tests $open, $crate::store::contract::read_models::of_store);
    };
    (@tests $open:path, $into:path) => {
        $crate::read_models_contract!(@each $open, $into:
            puts_and_removes_rows
            moves_the_checkpoint_only_from_the_expected_one
            moves_a_checkpoint_without_a_table
            refuses_equal_values_in_a_unique_column
            lets_rows_exchange_unique_values
            parks_and_unparks_events
            selects_by_every_test
            selects_whatever_the_case
            orders_and_pages
            orders_absent_values_first
            builds_the_next_generation_beside_the_live_one
            begins_a_rebuild_anew
            rebuilds_again_and_again
            does_not_finish_a_rebuild_that_is_behind
            refuses_a_rebuild_that_does_not_go_on
            tells_what_became_of_a_rebuild
            rebuilds_from_a_position
            rebuilds_from_a_copy
            begins_with_the_live_rows
            pauses_a_projection
            empties_a_read_model
        );
    };
    (@each $open:path, $into:path: $($name:ident)*) => {
        mod read_models {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fixture = $into($open().await).await;
                    $crate::store::contract::read_models::$name(fixture).await;
                }
            )*
        }
    };
}

const EVENT_TYPE: &str = "thing.happened";

/// A time that every store can keep exactly.
fn a_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_790_000_000, 123_456_789)
}

fn event(payload: &str) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        event_type: EVENT_TYPE,
        schema_version: 3,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

fn append(id: &str, expected_version: u64, payloads: &[&str]) -> Append {
    Append {
        aggregate: "Thing",
        aggregate_id: id.to_owned(),
        expected_version,
        events: payloads.iter().map(|payload| event(payload)).collect(),
        metadata: EventMetadata {
            correlation_id: "correlation".to_owned(),
            causation_id: "causation".to_owned(),
            actor: Some("ada".to_owned()),
        },
        time: a_time(),
    }
}

fn appending(id: &str, expected_version: u64, payloads: &[&str]) -> Unit {
    Unit { append: Some(append(id, expected_version, payloads)), ..Unit::default() }
}

async fn stream(store: &SharedStore, id: &str) -> Vec<RecordedEvent> {
    store.read_stream(StreamId::new("Thing", id), 0).await.expect("the stream can be read")
}

async fn whole_log(store: &SharedStore) -> Vec<RecordedEvent> {
    store.read_all(0, usize::MAX).await.expect("the log can be read")
}

fn payloads(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|event| std::str::from_utf8(&event.payload).expect("payloads of the suite are text")).collect()
}
