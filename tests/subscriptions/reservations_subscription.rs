//! What somebody has written into the warehouse of `tests/services`.

use potter::Failure;
use potter::subscription::{Effect, EventContext};

use crate::generated::application::effects;
use crate::generated::application::reservations_subscription::{
    ReservationsEventHandlers, ReservationsSubscription,
};
use crate::generated::messages::ReserveGoodsRequest;
use crate::generated::messages::orders::v1::{OrderCancelled, OrderPlaced};

impl ReservationsEventHandlers for ReservationsSubscription {
    fn order_placed(event: OrderPlaced, _context: &EventContext) -> Result<Vec<Effect>, Failure> {
        Ok(vec![effects::reserve_goods(&ReserveGoodsRequest {
            reservation_id: event.order_id,
            sku: event.sku,
            quantity: event.quantity,
        })])
    }

    fn order_cancelled(
        _event: OrderCancelled,
        _context: &EventContext,
    ) -> Result<Vec<Effect>, Failure> {
        Ok(vec![])
    }
}
