//! Given another module's event, when it is handled, then effects or a refusal.

use crate::failure::Failure;
use crate::subscription::{Effect, EventContext};

/// Begins a scenario with an event of another module.
///
/// ```text
/// heard(OrderPlaced { order_id: "1".to_owned() })
///     .when(OrdersSubscription::order_placed)
///     .then(vec![effects::reserve_stock(&ReserveStockRequest { order_id: "1".to_owned() })]);
/// ```
pub fn heard<M>(event: M) -> Heard<M> {
    let context = EventContext {
        event_id: "019b795f-9c00-7000-8000-000000000001".to_owned(),
        schema_version: 1,
        version: 1,
        correlation_id: "019b795f-9c00-7000-8000-000000000002".to_owned(),
        ..EventContext::default()
    };
    Heard { event, context }
}

/// An event of another module; see [`heard`].
#[must_use = "a scenario tests nothing before `then`"]
pub struct Heard<M> {
    event: M,
    context: EventContext,
}

/// What an event leads to; see [`heard`].
#[must_use = "a scenario tests nothing before `then`"]
pub struct Reaction {
    effects: Result<Vec<Effect>, Failure>,
}

impl<M> Heard<M> {
    /// Handles it in another context: of another stream, version or actor.
    pub fn with_context(mut self, context: EventContext) -> Self {
        self.context = context;
        self
    }

    /// The event is of that aggregate's stream.
    pub fn of(mut self, aggregate_id: &str) -> Self {
        self.context.aggregate_id = aggregate_id.to_owned();
        self
    }

    /// Asks a handler.
    pub fn when(self, handle: impl FnOnce(M, &EventContext) -> Result<Vec<Effect>, Failure>) -> Reaction {
        Reaction { effects: handle(self.event, &self.context) }
    }
}

impl Reaction {
    /// It leads to exactly these effects, in this order.
    ///
    /// # Panics
    /// When it doesn't.
    #[track_caller]
    pub fn then(self, expected: Vec<Effect>) {
        match self.effects {
            Ok(effects) => assert!(effects == expected, "effects: {effects:#?}\nexpected: {expected:#?}"),
            Err(failure) => panic!("refused with {}: {failure}\nexpected: {expected:#?}", failure.code),
        }
    }

    /// It is refused with that code.
    ///
    /// # Panics
    /// When it isn't.
    #[track_caller]
    pub fn then_refused(self, code: &str) {
        match self.effects {
            Ok(effects) => panic!("not refused but effects: {effects:#?}\nexpected: {code}"),
            Err(failure) => assert_eq!(failure.code, code, "refused with another code: {failure}"),
        }
    }
}
