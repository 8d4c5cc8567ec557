//! The rules of product.

use potter::{Context, events};

use crate::generated::domain::product::{ProductDecider, ProductError, ProductEvent};
use crate::generated::messages::{
    CreateProductRequest, DeleteProductRequest, OutOfStock, Product, ProductCreated,
    ProductDeleted, ProductUpdated, ReserveStockRequest, StockReserved, UpdateProductRequest,
};

impl ProductDecider for Product {
    type Error = ProductError;

    fn create_product(
        &self,
        command: CreateProductRequest,
        context: &Context,
    ) -> Result<Vec<ProductEvent>, ProductError> {
        Ok(events![ProductCreated {
            product_id: context.aggregate_id.clone(),
            name: command.name,
            category: command.category,
            price: command.price,
            stock: command.stock,
            created_at: Some(context.timestamp()),
        }])
    }

    fn update_product(
        &self,
        command: UpdateProductRequest,
        context: &Context,
    ) -> Result<Vec<ProductEvent>, ProductError> {
        Ok(events![ProductUpdated {
            product_id: context.aggregate_id.clone(),
            name: command.name,
            category: command.category,
            price: command.price,
        }])
    }

    fn delete_product(
        &self,
        _command: DeleteProductRequest,
        context: &Context,
    ) -> Result<Vec<ProductEvent>, ProductError> {
        Ok(events![ProductDeleted {
            product_id: context.aggregate_id.clone(),
        }])
    }

    fn reserve_stock(
        &self,
        command: ReserveStockRequest,
        context: &Context,
    ) -> Result<Vec<ProductEvent>, ProductError> {
        if command.quantity > self.stock {
            return Err(OutOfStock {
                wanted: command.quantity,
                available: self.stock,
            }
            .into());
        }
        Ok(events![StockReserved {
            product_id: context.aggregate_id.clone(),
            quantity: command.quantity,
        }])
    }

    fn evolve(&mut self, event: ProductEvent) {
        match event {
            ProductEvent::ProductCreated(it) => {
                self.name = it.name;
                self.category = it.category;
                self.price = it.price;
                self.stock = it.stock;
                self.created_at = it.created_at;
            }
            ProductEvent::ProductUpdated(it) => {
                if let Some(name) = it.name {
                    self.name = name;
                }
                if let Some(category) = it.category {
                    self.category = category;
                }
                if let Some(price) = it.price {
                    self.price = Some(price);
                }
            }
            ProductEvent::ProductDeleted(_) => {}
            ProductEvent::StockReserved(it) => self.stock -= it.quantity,
        }
    }
}

#[cfg(test)]
mod tests {
    use potter::events;
    use potter::testing::{context, given};

    use crate::generated::domain::product::{ProductDecider, ProductEvent};
    use crate::generated::messages::{
        CreateProductRequest, DeleteProductRequest, Product, ProductCreated, ProductDeleted,
        ProductUpdated, ReserveStockRequest, StockReserved, UpdateProductRequest,
    };

    #[test]
    fn create_product_records_product_created() {
        let command = CreateProductRequest {
            name: "name".to_owned(),
            category: "category".to_owned(),
            stock: 5,
            ..Default::default()
        };
        given::<Product>([])
            .with_context(context("product-1"))
            .when(|product, context| product.create_product(command, context))
            .then(events![ProductCreated {
                product_id: "product-1".to_owned(),
                name: "name".to_owned(),
                category: "category".to_owned(),
                stock: 5,
                created_at: Some(context("product-1").timestamp()),
                ..Default::default()
            }]);
    }

    #[test]
    fn update_product_records_product_updated() {
        let command = UpdateProductRequest {
            product_id: "product-1".to_owned(),
            name: Some("name".to_owned()),
            category: Some("category".to_owned()),
            ..Default::default()
        };
        given::<Product>(events![ProductCreated {
            product_id: "product-1".to_owned(),
            name: "name".to_owned(),
            category: "category".to_owned(),
            stock: 6,
            ..Default::default()
        }])
        .with_context(context("product-1"))
        .when(|product, context| product.update_product(command, context))
        .then(events![ProductUpdated {
            product_id: "product-1".to_owned(),
            name: Some("name".to_owned()),
            category: Some("category".to_owned()),
            ..Default::default()
        }]);
    }

    #[test]
    fn delete_product_records_product_deleted() {
        let command = DeleteProductRequest {
            product_id: "product-1".to_owned(),
        };
        given::<Product>(events![ProductCreated {
            product_id: "product-1".to_owned(),
            name: "name".to_owned(),
            category: "category".to_owned(),
            stock: 6,
            ..Default::default()
        }])
        .with_context(context("product-1"))
        .when(|product, context| product.delete_product(command, context))
        .then(events![ProductDeleted {
            product_id: "product-1".to_owned(),
        }]);
    }

    fn ten_on_stock() -> Vec<ProductEvent> {
        events![ProductCreated {
            product_id: "product-1".to_owned(),
            stock: 10,
            ..Default::default()
        }]
    }

    fn reserve(quantity: u32) -> ReserveStockRequest {
        ReserveStockRequest {
            product_id: "product-1".to_owned(),
            quantity,
        }
    }

    #[test]
    fn what_is_on_stock_is_reserved() {
        given::<Product>(ten_on_stock())
            .with_context(context("product-1"))
            .when(|product, context| product.reserve_stock(reserve(10), context))
            .then(events![StockReserved {
                product_id: "product-1".to_owned(),
                quantity: 10,
            }]);
    }

    #[test]
    fn more_than_is_on_stock_is_refused() {
        let mut events = ten_on_stock();
        events.extend(events![StockReserved {
            product_id: "product-1".to_owned(),
            quantity: 8,
        }]);
        given::<Product>(events)
            .with_context(context("product-1"))
            .when(|product, context| product.reserve_stock(reserve(3), context))
            .then_refused("OUT_OF_STOCK");
    }
}
