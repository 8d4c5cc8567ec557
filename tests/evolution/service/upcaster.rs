//! What recorded events of former versions say.

use crate::generated::domain::history::order_placed::{OrderPlacedV1ToV2, v1, v2};
use crate::generated::messages::Order;

impl OrderPlacedV1ToV2 for Order {
    fn upcast(event: v1::OrderPlaced) -> v2::OrderPlaced {
        v2::OrderPlaced {
            order_id: event.order_id,
            remark: event.note,
            lines: event.lines.into_iter().map(Into::into).collect(),
            payment: event.payment.map(|it| match it {
                v1::order_placed::Payment::Card(it) => v2::order_placed::Payment::Card(it),
                v1::order_placed::Payment::Voucher(it) => {
                    v2::order_placed::Payment::Voucher(it.into())
                }
            }),
            at: event.at,
        }
    }
}
