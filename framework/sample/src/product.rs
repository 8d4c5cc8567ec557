//! The rules of products.

use potter_core::domain::{Aggregate, Context, DomainError, DomainEvent, Refusal, UnreadableEvent};
use prost::Message;

use crate::messages::{
    CreateProductRequest, DeleteProductRequest, OutOfStock, PatchProductRequest, Product, ProductCreated,
    ProductDeleted, ProductReply, ProductUpdated, ReserveStockRequest, StockReserved, UpdateProductRequest,
};

pub(crate) const EVENTS: &[(&str, u32, &str)] = &[
    ("product.created", 1, "shop.v1.ProductCreated"),
    ("product.updated", 1, "shop.v1.ProductUpdated"),
    ("product.stock_reserved", 1, "shop.v1.StockReserved"),
    ("product.deleted", 1, "shop.v1.ProductDeleted"),
];

/// What happens to products.
#[derive(Clone, Debug, PartialEq)]
pub enum ProductEvent {
    /// A product came to be.
    Created(ProductCreated),
    /// Its name or price changed.
    Updated(ProductUpdated),
    /// Some of its stock is taken.
    StockReserved(StockReserved),
    /// It is gone.
    Deleted(ProductDeleted),
}

pub(crate) fn create(_: &Product, command: CreateProductRequest, _: &Context) -> Result<Vec<ProductEvent>, OutOfStock> {
    let CreateProductRequest { name, price_cents, colour, stock } = command;
    Ok(vec![ProductEvent::Created(ProductCreated { name, price_cents, colour, stock })])
}

pub(crate) fn update(_: &Product, command: UpdateProductRequest, _: &Context) -> Result<Vec<ProductEvent>, OutOfStock> {
    Ok(vec![ProductEvent::Updated(ProductUpdated { name: command.name, price_cents: command.price_cents })])
}

pub(crate) fn patch(
    state: &Product,
    command: PatchProductRequest,
    _: &Context,
) -> Result<Vec<ProductEvent>, OutOfStock> {
    let name = command.product.map(|product| product.name).unwrap_or_default();
    if name.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![ProductEvent::Updated(ProductUpdated { name, price_cents: state.price_cents })])
}

pub(crate) fn delete(_: &Product, _: DeleteProductRequest, _: &Context) -> Result<Vec<ProductEvent>, OutOfStock> {
    Ok(vec![ProductEvent::Deleted(ProductDeleted {})])
}

pub(crate) fn reserve(
    state: &Product,
    command: ReserveStockRequest,
    _: &Context,
) -> Result<Vec<ProductEvent>, OutOfStock> {
    match command.quantity > state.stock {
        true => Err(OutOfStock { wanted: command.quantity, available: state.stock }),
        false => Ok(vec![ProductEvent::StockReserved(StockReserved { quantity: command.quantity })]),
    }
}

pub(crate) fn reply(state: &Product, message: &str) -> ProductReply {
    ProductReply { product_id: state.product_id.clone(), product: Some(state.clone()), message: message.to_owned() }
}

pub(crate) fn accepted(id: &str) -> ProductReply {
    ProductReply { product_id: id.to_owned(), product: None, message: "accepted".to_owned() }
}

impl Aggregate for Product {
    const NAME: &'static str = "Product";
    const SNAPSHOT_EVERY: u32 = 3;
    const SCHEMA: &'static str = "1";
    type Event = ProductEvent;

    fn with_id(id: &str) -> Self {
        Self { product_id: id.to_owned(), ..Self::default() }
    }

    fn apply(&mut self, event: ProductEvent) {
        match event {
            ProductEvent::Created(it) => {
                self.name = it.name;
                self.price_cents = it.price_cents;
                self.colour = it.colour;
                self.stock = it.stock;
            }
            ProductEvent::Updated(it) => {
                self.name = it.name;
                self.price_cents = it.price_cents;
            }
            ProductEvent::StockReserved(it) => self.stock -= it.quantity,
            ProductEvent::Deleted(_) => {}
        }
    }

    fn ends(event: &ProductEvent) -> bool {
        matches!(event, ProductEvent::Deleted(_))
    }
}

impl DomainEvent for ProductEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Created(_) => "product.created",
            Self::Updated(_) => "product.updated",
            Self::StockReserved(_) => "product.stock_reserved",
            Self::Deleted(_) => "product.deleted",
        }
    }

    fn version(&self) -> u32 {
        1
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Created(event) => event.encode_to_vec(),
            Self::Updated(event) => event.encode_to_vec(),
            Self::StockReserved(event) => event.encode_to_vec(),
            Self::Deleted(event) => event.encode_to_vec(),
        }
    }

    fn decode(event_type: &str, version: u32, payload: &[u8]) -> Result<Self, UnreadableEvent> {
        let unreadable = |reason: String| UnreadableEvent { event_type: event_type.to_owned(), version, reason };
        match event_type {
            "product.created" => ProductCreated::decode(payload).map(Self::Created),
            "product.updated" => ProductUpdated::decode(payload).map(Self::Updated),
            "product.stock_reserved" => StockReserved::decode(payload).map(Self::StockReserved),
            "product.deleted" => ProductDeleted::decode(payload).map(Self::Deleted),
            _ => return Err(unreadable("unknown".to_owned())),
        }
        .map_err(|error| unreadable(error.to_string()))
    }
}

impl std::error::Error for OutOfStock {}

impl std::fmt::Display for OutOfStock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "wanted {}, available {}", self.wanted, self.available)
    }
}

impl DomainError for OutOfStock {
    fn refusal(&self) -> Refusal {
        Refusal { code: "OUT_OF_STOCK", retryable: true, event: Some(("shop.v1.OutOfStock", self.encode_to_vec())) }
    }
}
