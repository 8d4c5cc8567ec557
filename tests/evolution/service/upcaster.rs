//! What recorded events of former versions say.

use crate::generated::domain::history::{order_placed, order_shipped};
use crate::generated::messages::Order;

impl order_placed::OrderPlacedV1ToV2 for Order {
    fn upcast(event: order_placed::v1::OrderPlaced) -> order_placed::v2::OrderPlaced {
        order_placed::v2::OrderPlaced {
            order_id: event.order_id,
            remark: event.note,
            lines: event.lines.into_iter().map(Into::into).collect(),
            payment: event.payment.map(Into::into),
            at: event.at,
        }
    }
}

impl order_shipped::OrderShippedV1ToV2 for Order {
    fn upcast(event: order_shipped::v1::OrderShipped) -> order_shipped::v2::OrderShipped {
        order_shipped::v2::OrderShipped {
            order_id: event.order_id,
            boxes: event.parcels.try_into().unwrap_or_default(),
            to: event.to.map(Into::into),
            label: event.label.map(|it| order_shipped::v2::Label {
                title: it.text,
                code: it.code.map(Into::into),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::order_shipped::{v1, v2};

    #[test]
    fn what_was_chosen_of_a_oneof_stays_chosen() {
        let line = v1::Line {
            sku: "a".to_owned(),
            quantity: 2,
            kind: 1,
        };
        let within = v1::order_shipped::To::Within(line.clone());
        assert_eq!(
            v2::order_shipped::To::from(within),
            v2::order_shipped::To::Within(line.into())
        );
        let address = v1::order_shipped::To::Address("here".to_owned());
        assert_eq!(
            v2::order_shipped::To::from(address),
            v2::order_shipped::To::Address("here".to_owned())
        );
    }
}
