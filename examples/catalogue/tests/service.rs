//! The whole service, in memory.

use catalogue::application::Catalogue;
use catalogue::generated;
use catalogue::generated::messages::{
    CreateProductRequest, CreateProductResponse, GetProductRequest, GetProductResponse, Money,
    ReserveStockRequest, ReserveStockResponse,
};
use potter::testing::{TestApp, block_on};

#[test]
fn stock_that_was_reserved_is_gone() {
    block_on(async {
        let app = TestApp::start(generated::module(Catalogue)).await;

        let request = CreateProductRequest {
            name: "Tea".to_owned(),
            category: "drinks".to_owned(),
            price: Some(Money {
                amount: 350,
                currency: "EUR".to_owned(),
            }),
            stock: 10,
        };
        let created: CreateProductResponse = app
            .call("catalogue.v1.Catalogue/CreateProduct", &request)
            .await
            .expect("it is created");
        let request = ReserveStockRequest {
            product_id: created.product_id.clone(),
            quantity: 3,
        };
        let _accepted: ReserveStockResponse = app
            .call("catalogue.v1.Catalogue/ReserveStock", &request)
            .await
            .expect("it is accepted");
        app.settle().await;

        let query = GetProductRequest {
            product_id: created.product_id,
        };
        let found: GetProductResponse = app
            .call("catalogue.v1.Catalogue/GetProduct", &query)
            .await
            .expect("it is found");
        assert_eq!(found.product.expect("the reply has the row").stock, 7);
    });
}
