//! A small shop, written by hand in the shape of generated code, for the tests of transports.
//!
//! `shop.proto` is its contract; [`module`] is what a test starts.

mod messages;
mod product;
mod queries;
mod view;

pub use messages::*;
pub use product::ProductEvent;
pub use view::Products;

use potter_core::command::Command;
use potter_core::module::Module;
use potter_core::query::{Query, QueryContext};

const DESCRIPTORS: &str = include_str!(concat!(env!("OUT_DIR"), "/descriptors.b64"));

/// The shop.
#[must_use]
pub fn module() -> Module {
    let mut module = Module::new("shop", DESCRIPTORS);
    module.aggregate::<Product>(product::EVENTS).read_model::<Products>().migrations(view::MIGRATIONS);
    declare_commands(&mut module);
    declare_queries(&mut module);
    module
}

fn declare_commands(module: &mut Module) {
    module
        .command(
            Command::declare("shop.create_product", "shop.v1.Catalogue/CreateProduct", product::create)
                .creates()
                .idempotent()
                .reply(|executed| product::reply(executed.state, "created")),
        )
        .command(
            Command::declare("shop.import_product", "shop.v1.Catalogue/ImportProduct", product::create)
                .creates()
                .idempotent()
                .reply_when_accepted(|accepted| product::accepted(accepted.id)),
        )
        .command(
            Command::declare("shop.update_product", "shop.v1.Catalogue/UpdateProduct", product::update)
                .idempotent()
                .id("product_id", |command: &UpdateProductRequest| &command.product_id)
                .reply(|executed| product::reply(executed.state, "updated")),
        )
        .command(
            Command::declare("shop.patch_product", "shop.v1.Catalogue/PatchProduct", product::patch)
                .id("product.product_id", |command: &PatchProductRequest| {
                    command.product.as_ref().map_or("", |product| &product.product_id)
                })
                .reply(|executed| product::reply(executed.state, "patched")),
        )
        .command(
            Command::declare("shop.delete_product", "shop.v1.Catalogue/DeleteProduct", product::delete)
                .id("product_id", |command: &DeleteProductRequest| &command.product_id)
                .reply(|_| ()),
        )
        .command(
            Command::declare("shop.reserve_stock", "shop.v1.Catalogue/ReserveStock", product::reserve)
                .id("product_id", |command: &ReserveStockRequest| &command.product_id)
                .reply_when_accepted(|accepted| product::accepted(accepted.id)),
        );
}

fn declare_queries(module: &mut Module) {
    module
        .query(Query::declare("shop.v1.Catalogue/GetProduct", queries::get_product).reads(&["Products"]))
        .query(
            Query::declare("shop.v1.Catalogue/ListProducts", queries::list_products).reads(&["Products"]).cached(None),
        )
        .query(Query::declare("shop.v1.Mirror/Reflect", |query: Everything, _: QueryContext| async { Ok(query) }))
        .query(Query::declare("shop.v1.Mirror/Fail", queries::fail))
        .query(Query::declare("shop.v1.Mirror/Sleep", queries::sleep));
}
