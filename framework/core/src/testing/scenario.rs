//! Given events, when a command is decided, then events or a refusal.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::domain::{Aggregate, Context, DomainError, DomainEvent};

/// The identity of the aggregate in scenarios that don't name one.
const SOME_ID: &str = "00000000-0000-7000-8000-000000000001";

/// A context that is the same in every run: midday of 1 January 2026 in UTC, fixed ids, nobody as its actor.
///
/// ```
/// let context = potter_core::testing::context("p-1");
/// assert_eq!(context.aggregate_id, "p-1");
/// assert_eq!(context.timestamp().to_string(), "2026-01-01T12:00:00Z");
/// ```
#[must_use]
pub fn context(aggregate_id: &str) -> Context {
    let midday = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_268_800);
    Context::new(aggregate_id, Uuid::from_u128(0x019b_795f_9c00_7000_8000_0000_0000_0001), midday)
}

/// Begins a scenario with what has happened before.
///
/// ```text
/// given::<Product>(events![ProductListed { stock: 3 }])
///     .when(|product, context| product.reserve_stock(ReserveStock { quantity: 2 }, context))
///     .then(events![StockReserved { quantity: 2 }]);
/// ```
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given { events: events.into_iter().collect(), context: context(SOME_ID) }
}

/// What has happened before; see [`given`].
#[must_use = "a scenario tests nothing before `then`"]
pub struct Given<A: Aggregate> {
    events: Vec<A::Event>,
    context: Context,
}

/// What a rule has decided; see [`given`].
#[must_use = "a scenario tests nothing before `then`"]
pub struct Outcome<A: Aggregate> {
    state: A,
    decided: Result<Vec<A::Event>, Box<dyn DomainError>>,
}

impl<A: Aggregate> Given<A> {
    /// Decides in another context: of another aggregate, time or actor.
    pub fn with_context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Asks a rule.
    pub fn when<E: DomainError>(mut self, decide: impl FnOnce(&A, &Context) -> Result<Vec<A::Event>, E>) -> Outcome<A> {
        let state = take_in(A::with_id(&self.context.aggregate_id), &self.events);
        self.context.version = self.events.len() as u64;
        let decided = decide(&state, &self.context).map_err(|error| Box::new(error) as Box<dyn DomainError>);
        Outcome { state, decided }
    }
}

impl<A: Aggregate> Outcome<A> {
    /// The rule has decided on exactly these events, in this order.
    ///
    /// # Panics
    /// When it hasn't.
    #[track_caller]
    pub fn then(self, expected: Vec<A::Event>) {
        let actual = match &self.decided {
            Ok(events) => events,
            Err(error) => panic!("refused with {}: {error}\nexpected: {expected:#?}", error.refusal().code),
        };
        assert!(same(actual, &expected), "decided: {actual:#?}\nexpected: {expected:#?}");
    }

    /// The rule has refused with the error event of that code.
    ///
    /// # Panics
    /// When it hasn't.
    #[track_caller]
    pub fn then_refused(self, code: &str) {
        match &self.decided {
            Ok(events) => panic!("not refused but decided: {events:#?}\nexpected: {code}"),
            Err(error) => assert_eq!(error.refusal().code, code, "refused with another code: {error}"),
        }
    }

    /// The rule has decided, and the aggregate with its events taken in is as `check` says.
    ///
    /// # Panics
    /// When the rule has refused, or `check` panics.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&A)) {
        match &self.decided {
            Ok(events) => check(&take_in(self.state, events)),
            Err(error) => panic!("refused with {}: {error}", error.refusal().code),
        }
    }
}

fn take_in<A: Aggregate>(mut state: A, events: &[A::Event]) -> A {
    for event in events {
        state.apply(event.clone());
    }
    state
}

/// Events are the same when they are recorded the same.
fn same<E: DomainEvent + Debug>(left: &[E], right: &[E]) -> bool {
    let recorded = |event: &E| (event.event_type(), event.version(), event.encode());
    left.iter().map(recorded).eq(right.iter().map(recorded))
}
