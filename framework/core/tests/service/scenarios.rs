//! Rules are tested with given, when, then.

use potter_core::events;
use potter_core::testing::{context, given};

use crate::product::*;

fn created(stock: i64) -> ProductEvent {
    ProductCreated { name: "Pen".to_owned(), stock, created_by: String::new() }.into()
}

#[test]
fn stock_is_reserved() {
    given::<Product>([created(3)])
        .when(|product, context| product.reserve_stock(reserve("p", 2), context))
        .then(events![StockReserved { quantity: 2 }]);
}

#[test]
fn no_more_than_there_is() {
    given::<Product>([created(3), StockReserved { quantity: 2 }.into()])
        .when(|product, context| product.reserve_stock(reserve("p", 2), context))
        .then_refused("OUT_OF_STOCK");
}

#[test]
fn the_state_takes_the_events_in() {
    given::<Product>([created(3)])
        .with_context(context("p-7"))
        .when(|product, context| product.reserve_stock(reserve("p", 1), context))
        .then_state(|product| assert_eq!((product.id.as_str(), product.stock), ("p-7", 2)));
}

#[test]
fn the_actor_is_known() {
    let mut by_ada = context("p");
    by_ada.actor = Some("ada".to_owned());
    given::<Product>([])
        .with_context(by_ada)
        .when(|product, context| product.create_product(create("p", "Pen", 1), context))
        .then(events![ProductCreated { name: "Pen".to_owned(), stock: 1, created_by: "ada".to_owned() }]);
}

#[test]
#[should_panic(expected = "refused with OUT_OF_STOCK")]
fn a_refusal_is_not_what_was_expected() {
    given::<Product>([created(0)])
        .when(|product, context| product.reserve_stock(reserve("p", 1), context))
        .then(events![StockReserved { quantity: 1 }]);
}

#[test]
#[should_panic(expected = "expected: ")]
fn other_events_are_not_what_was_expected() {
    given::<Product>([created(9)])
        .when(|product, context| product.reserve_stock(reserve("p", 1), context))
        .then(events![StockReserved { quantity: 2 }]);
}

#[test]
#[should_panic(expected = "not refused")]
fn a_decision_is_not_the_refusal_that_was_expected() {
    given::<Product>([created(9)])
        .when(|product, context| product.reserve_stock(reserve("p", 1), context))
        .then_refused("OUT_OF_STOCK");
}
