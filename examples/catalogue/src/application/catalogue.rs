//! What the commands and queries of `catalogue.v1.Catalogue` are answered with.

use potter::{Accepted, Executed, Failure};

use crate::generated::application::catalogue::CatalogueHandlers;
use crate::generated::application::product_view;
use crate::generated::application::views::Views;
use crate::generated::messages::{
    CreateProductResponse, DeleteProductResponse, GetProductRequest, GetProductResponse,
    ListProductsRequest, ListProductsResponse, Product, ReserveStockRequest, ReserveStockResponse,
};

/// Answers the commands and queries of `catalogue.v1.Catalogue`.
#[derive(Clone, Debug, Default)]
pub struct Catalogue;

impl CatalogueHandlers for Catalogue {
    fn create_product(&self, executed: Executed<'_, Product>) -> CreateProductResponse {
        CreateProductResponse {
            product_id: executed.id.to_owned(),
            message: "product created".to_owned(),
        }
    }

    fn update_product(&self, executed: Executed<'_, Product>) -> Product {
        executed.state.clone()
    }

    fn delete_product(&self, _executed: Executed<'_, Product>) -> DeleteProductResponse {
        DeleteProductResponse {
            message: "product deleted".to_owned(),
        }
    }

    fn reserve_stock(&self, accepted: Accepted<'_, ReserveStockRequest>) -> ReserveStockResponse {
        ReserveStockResponse {
            product_id: accepted.id.to_owned(),
            message: "reserve stock: accepted".to_owned(),
        }
    }

    async fn get_product(
        &self,
        query: GetProductRequest,
        views: Views,
    ) -> Result<GetProductResponse, Failure> {
        let product_view = views
            .product_view
            .get(&query.product_id)
            .await?
            .ok_or_else(|| Failure::not_found("product view", &query.product_id))?;
        Ok(GetProductResponse {
            product: Some(product_view),
        })
    }

    async fn list_products(
        &self,
        query: ListProductsRequest,
        views: Views,
    ) -> Result<ListProductsResponse, Failure> {
        let page = views
            .product_view
            .find()
            .matching(product_view::CATEGORY, query.category)
            .at_least(product_view::STOCK, query.min_stock)
            .order_by_text(&query.order_by)
            .page(query.page, query.page_size)
            .fetch()
            .await?;
        Ok(ListProductsResponse {
            total: page.total_as(),
            products: page.rows,
        })
    }
}
