//! Random lives of an event: whatever change of its proto is accepted, everything that was recorded is still read.
//!
//! Each day the proto changes a little. A day that is found breaking never came; on any other day events of that day's
//! shape are recorded, and then every event that was ever recorded is read as a service would read it: from its bytes
//! as the last shape of its version, on through the hops that are derived, and from its JSON. No value may be gone, or
//! be another.

mod values;
mod world;

use std::{collections::BTreeMap, fs};

use potter_gen::{
    descriptors::{self, Descriptors},
    evolution::{self, Finding, only_adds},
    history::History,
    lock::Lock,
    model::{self, Module},
    shape::Shape,
};
use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use values::{Dice, filled, same};
use world::{Change, World, change, first_changes};

/// What happens on a day: the proto changes, and events are recorded.
#[derive(Clone, Debug)]
struct Day {
    changes: Vec<Change>,
    seed: u64,
}

/// An event in a stream.
struct Recorded {
    version: u32,
    event: DynamicMessage,
    json: String,
}

/// A service that lives on.
#[derive(Default)]
struct Life {
    world: World,
    history: History,
    /// What the messages of the past were, by their shapes.
    messages: BTreeMap<Shape, MessageDescriptor>,
    stream: Vec<Recorded>,
}

fn understood(proto: &str) -> (Descriptors, Module) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("shop.proto");
    fs::write(&path, proto).expect("a writable folder");
    let descriptors = descriptors::compile(&[path], &[]).unwrap_or_else(|wrong| panic!("{wrong}\n{proto}"));
    let (module, _) = model::build(&descriptors, &model::Settings::default())
        .unwrap_or_else(|wrong| panic!("this proto is right: {wrong}\n{proto}"));
    (descriptors, module)
}

/// The history as the next run finds it.
fn remembered(history: History) -> History {
    let lock = Lock { history, ..Lock::new("shop") };
    Lock::read(&lock.print()).expect("a lock that was printed").history
}

impl Life {
    /// Lives through a day; whether its change was accepted.
    fn day(&mut self, day: &Day) -> Result<bool, String> {
        let mut world = self.world.clone();
        day.changes.iter().for_each(|it| world.apply(it));
        let (descriptors, module) = understood(&world.proto());
        let found = evolution::findings(&self.history, &module, &descriptors);
        if found.iter().any(Finding::is_breaking) {
            return Ok(false);
        }
        self.world = world;
        self.history = remembered(self.history.with(&module));
        self.record(&module, &mut Dice::new(day.seed));
        self.replay(&module)?;
        Ok(true)
    }

    fn record(&mut self, module: &Module, dice: &mut Dice) {
        let message = &module.events[0].message;
        self.messages.insert(Shape::of(message), message.clone());
        for _ in 0..3 {
            let event = filled(message, dice, 0);
            let json = serde_json::to_string(&event).expect("every value has a JSON");
            self.stream.push(Recorded { version: module.events[0].version, event, json });
        }
    }

    fn replay(&self, module: &Module) -> Result<(), String> {
        let now = &module.events[0];
        for recorded in &self.stream {
            self.read(recorded, now.version)?;
            if recorded.version == now.version {
                let mut json = serde_json::Deserializer::from_str(&recorded.json);
                let read = DynamicMessage::deserialize(now.message.clone(), &mut json);
                let read = read.map_err(|error| format!("{} is not read: {error}", recorded.json))?;
                same(&recorded.event, &read).map_err(|why| format!("from JSON: {why}"))?;
            }
        }
        Ok(())
    }

    /// Reads an event's bytes as its version's last shape, and upcasts it as far as that is derived.
    fn read(&self, recorded: &Recorded, now: u32) -> Result<(), String> {
        let mut event = recorded.event.clone();
        let mut shape = self.last(recorded.version);
        event = self.decoded(&event, shape)?;
        for version in recorded.version + 1..=now {
            let Some(next) = self.shapes(version).last() else { continue };
            if !only_adds(shape, next) {
                // A person writes this hop, and has all values in hand.
                return Ok(());
            }
            event = self.decoded(&event, next)?;
            shape = next;
        }
        same(&recorded.event, &event).map_err(|why| format!("after all hops: {why}"))
    }

    fn shapes(&self, version: u32) -> impl DoubleEndedIterator<Item = &Shape> {
        self.history.events["order.placed"].shapes_of(version)
    }

    fn last(&self, version: u32) -> &Shape {
        self.shapes(version).last().expect("an event was recorded under this version")
    }

    fn decoded(&self, event: &DynamicMessage, shape: &Shape) -> Result<DynamicMessage, String> {
        let bytes = event.encode_to_vec();
        let read = DynamicMessage::decode(self.messages[shape].clone(), bytes.as_slice());
        let read = read.map_err(|error| format!("{event:?} is not read: {error}"))?;
        same(event, &read)?;
        Ok(read)
    }
}

/// Mostly one: of two, one that is refused would hide the other.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop_oneof![3 => prop::collection::vec(change(), 1), 1 => prop::collection::vec(change(), 2..4)]
}

fn day() -> impl Strategy<Value = Day> {
    (changes(), any::<u64>()).prop_map(|(changes, seed)| Day { changes, seed })
}

fn first_day() -> impl Strategy<Value = Day> {
    (first_changes(), any::<u64>()).prop_map(|(changes, seed)| Day { changes, seed })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepted_evolutions_replay_every_recorded_event(
        first in first_day(),
        days in prop::collection::vec(day(), 1..10),
    ) {
        let mut life = Life::default();
        prop_assert!(life.day(&first).expect("the first day is read on the first day"), "nothing was before it");
        for day in &days {
            let before = life.world.proto();
            let lived = life.day(day);
            prop_assert!(lived.is_ok(), "{}\n--- was\n{before}\n--- is\n{}", lived.unwrap_err(), life.world.proto());
        }
    }
}

/// The property would hold of a check that refuses everything, too.
#[test]
fn changes_are_accepted_and_refused() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..16 {
        let days = (first_day(), prop::collection::vec(day(), 8)).new_tree(&mut runner).expect("days").current();
        let mut life = Life::default();
        life.day(&days.0).expect("the first day");
        for day in &days.1 {
            match life.day(day).expect("it is read") {
                true => accepted += 1,
                false => refused += 1,
            }
        }
    }
    assert!(accepted > 25 && refused > 25, "{accepted} accepted, {refused} refused");
}
