//! What the queries answer.

use potter_core::failure::{Failure, codes};
use potter_core::query::{QueryContext, View};

use crate::messages::{FailRequest, GetProductReply, GetProductRequest, ListProductsReply, ListProductsRequest};
use crate::view::{COLOUR, NAME, Products};

pub(crate) async fn get_product(query: GetProductRequest, context: QueryContext) -> Result<GetProductReply, Failure> {
    let product = View::<Products>::new(&context).get(&query.id).await?;
    Ok(GetProductReply { product: Some(product.ok_or_else(|| Failure::not_found("product", &query.id))?) })
}

pub(crate) async fn list_products(
    query: ListProductsRequest,
    context: QueryContext,
) -> Result<ListProductsReply, Failure> {
    let page = View::<Products>::new(&context)
        .find()
        .matching(NAME, query.name)
        .matching(COLOUR, query.colour)
        .page(query.page, query.page_size)
        .fetch()
        .await?;
    Ok(ListProductsReply { total: page.total_as(), products: page.rows })
}

pub(crate) async fn fail(query: FailRequest, _: QueryContext) -> Result<(), Failure> {
    Err(match query.kind.as_str() {
        "invalid" => Failure::invalid("kind", "must be something else"),
        "refused" => Failure::refused("TOO_LATE", "the shop is closed"),
        "not_found" => Failure::not_found("thing", "7"),
        "unimplemented" => Failure::unimplemented("shop.v1.Mirror/Fail"),
        "conflict" => Failure::conflict(codes::CONTENTION, "too many others").retryable(),
        "exists" => Failure::conflict(codes::ALREADY_EXISTS, "is there already"),
        "version" => Failure::conflict(codes::VERSION_MISMATCH, "has another version"),
        "unavailable" => Failure::unavailable("not now"),
        "deadline" => Failure::deadline_exceeded(),
        "bug" => Failure::bug("a secret"),
        _ => panic!("a secret"),
    })
}

pub(crate) async fn sleep((): (), _: QueryContext) -> Result<(), Failure> {
    std::future::pending().await
}
