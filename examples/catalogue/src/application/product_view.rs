//! How events become rows of `ProductView`.

use potter::RecordedEvent;

use crate::generated::application::product_view::{ProductView, ProductViewProjection};
use crate::generated::domain::product::ProductEvent;
use crate::generated::messages;

impl ProductViewProjection for ProductView {
    fn project(
        row: &mut Option<messages::ProductView>,
        event: ProductEvent,
        recorded: &RecordedEvent,
    ) {
        match event {
            ProductEvent::ProductCreated(it) => {
                let row = row.get_or_insert_with(|| messages::ProductView {
                    product_id: recorded.aggregate_id.clone(),
                    ..Default::default()
                });
                row.name = it.name;
                row.category = it.category;
                row.price = it.price;
                row.stock = it.stock;
                row.created_at = it.created_at;
            }
            ProductEvent::ProductUpdated(it) => {
                if let Some(row) = row {
                    if let Some(name) = it.name {
                        row.name = name;
                    }
                    if let Some(category) = it.category {
                        row.category = category;
                    }
                    if let Some(price) = it.price {
                        row.price = Some(price);
                    }
                }
            }
            ProductEvent::ProductDeleted(_) => *row = None,
            ProductEvent::StockReserved(it) => {
                if let Some(row) = row {
                    row.stock -= it.quantity;
                }
            }
        }
    }
}
