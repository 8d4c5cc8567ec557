//! The service that is measured: products that are listed and restocked, as the generator would declare them.

use std::fmt;

use potter_core::command::Command;
use potter_core::domain::{Aggregate, Context, DomainError, DomainEvent, Refusal, UnreadableEvent};
use potter_core::event::RecordedEvent;
use potter_core::events;
use potter_core::failure::codes;
use potter_core::module::Module;
use potter_core::read_model::{ColumnType, ReadModel, Table, TableColumn, Value};
use prost::Message;

/// Makes a product.
pub const LIST: &str = "shop.Catalogue/ListProduct";
/// Changes one.
pub const RESTOCK: &str = "shop.Catalogue/RestockProduct";

/// The aggregate, and its row in the read model.
#[derive(Clone, PartialEq, Message)]
pub struct Product {
    /// Its identity.
    #[prost(string, tag = "1")]
    pub id: String,
    /// How it is called.
    #[prost(string, tag = "2")]
    pub name: String,
    /// What it is about.
    #[prost(string, tag = "3")]
    pub description: String,
    /// Where it belongs.
    #[prost(string, tag = "4")]
    pub category: String,
    /// How many there are.
    #[prost(int64, tag = "5")]
    pub stock: i64,
}

/// A command that creates.
#[derive(Clone, PartialEq, Message)]
pub struct ListProduct {
    /// See [`Product::name`].
    #[prost(string, tag = "1")]
    pub name: String,
    /// See [`Product::description`].
    #[prost(string, tag = "2")]
    pub description: String,
    /// See [`Product::category`].
    #[prost(string, tag = "3")]
    pub category: String,
}

/// A command that changes.
#[derive(Clone, PartialEq, Message)]
pub struct RestockProduct {
    /// Which.
    #[prost(string, tag = "1")]
    pub product_id: String,
    /// By how many.
    #[prost(int64, tag = "2")]
    pub quantity: i64,
}

/// The reply to both.
#[derive(Clone, PartialEq, Message)]
pub struct ProductReply {
    /// Which.
    #[prost(string, tag = "1")]
    pub product_id: String,
    /// How many there are now.
    #[prost(int64, tag = "2")]
    pub stock: i64,
}

/// There is a new product.
#[derive(Clone, PartialEq, Message)]
pub struct ProductListed {
    /// See [`Product::name`].
    #[prost(string, tag = "1")]
    pub name: String,
    /// See [`Product::description`].
    #[prost(string, tag = "2")]
    pub description: String,
    /// See [`Product::category`].
    #[prost(string, tag = "3")]
    pub category: String,
}

/// There is more of it.
#[derive(Clone, PartialEq, Message)]
pub struct ProductRestocked {
    /// By how many.
    #[prost(int64, tag = "1")]
    pub quantity: i64,
}

/// What happens to a product.
#[derive(Clone, Debug, PartialEq)]
pub enum ProductEvent {
    /// See [`ProductListed`].
    ProductListed(ProductListed),
    /// See [`ProductRestocked`].
    ProductRestocked(ProductRestocked),
}

impl From<ProductListed> for ProductEvent {
    fn from(event: ProductListed) -> Self {
        Self::ProductListed(event)
    }
}

impl From<ProductRestocked> for ProductEvent {
    fn from(event: ProductRestocked) -> Self {
        Self::ProductRestocked(event)
    }
}

impl DomainEvent for ProductEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::ProductListed(_) => "product.listed",
            Self::ProductRestocked(_) => "product.restocked",
        }
    }

    fn version(&self) -> u32 {
        1
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::ProductListed(it) => it.encode_to_vec(),
            Self::ProductRestocked(it) => it.encode_to_vec(),
        }
    }

    fn decode(event_type: &str, version: u32, payload: &[u8]) -> Result<Self, UnreadableEvent> {
        let decoded = match event_type {
            "product.listed" => ProductListed::decode(payload).map(Self::ProductListed),
            _ => ProductRestocked::decode(payload).map(Self::ProductRestocked),
        };
        decoded.map_err(|error| UnreadableEvent {
            event_type: event_type.to_owned(),
            version,
            reason: error.to_string(),
        })
    }
}

/// The rule that can be broken.
#[derive(Debug)]
pub struct NothingToRestock;

impl fmt::Display for NothingToRestock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("nothing to restock")
    }
}

impl std::error::Error for NothingToRestock {}

impl DomainError for NothingToRestock {
    fn refusal(&self) -> Refusal {
        Refusal { code: codes::INVALID_REQUEST, retryable: false, event: None }
    }
}

impl Product {
    fn list(&self, command: ListProduct, _context: &Context) -> Result<Vec<ProductEvent>, NothingToRestock> {
        let ListProduct { name, description, category } = command;
        Ok(events![ProductListed { name, description, category }])
    }

    fn restock(&self, command: RestockProduct, _context: &Context) -> Result<Vec<ProductEvent>, NothingToRestock> {
        if command.quantity <= 0 {
            return Err(NothingToRestock);
        }
        Ok(events![ProductRestocked { quantity: command.quantity }])
    }
}

impl Aggregate for Product {
    const NAME: &'static str = "Product";
    const SNAPSHOT_EVERY: u32 = 100;
    const SCHEMA: &'static str = "1";
    type Event = ProductEvent;

    fn with_id(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    fn apply(&mut self, event: ProductEvent) {
        match event {
            ProductEvent::ProductListed(it) => {
                (self.name, self.description, self.category) = (it.name, it.description, it.category);
            }
            ProductEvent::ProductRestocked(it) => self.stock += it.quantity,
        }
    }

    fn ends(_event: &ProductEvent) -> bool {
        false
    }
}

/// The read model: a row per product, an index on the category.
pub struct Products;

impl ReadModel for Products {
    const NAME: &'static str = "Products";
    const TABLE: Table = Table {
        name: "products",
        key: "id",
        columns: &[
            TableColumn { name: "name", ty: ColumnType::Text, indexed: false, unique: false },
            TableColumn { name: "category", ty: ColumnType::Text, indexed: true, unique: false },
            TableColumn { name: "stock", ty: ColumnType::Integer, indexed: false, unique: false },
        ],
    };
    const EVENTS: &'static [(&'static str, &'static str)] =
        &[("Product", "product.listed"), ("Product", "product.restocked")];
    type Row = Product;
    type Event = ProductEvent;

    fn key(_event: &ProductEvent, recorded: &RecordedEvent) -> Option<String> {
        Some(recorded.aggregate_id.clone())
    }

    fn project(row: &mut Option<Product>, event: ProductEvent, recorded: &RecordedEvent) {
        row.get_or_insert_with(|| Product::with_id(&recorded.aggregate_id)).apply(event);
    }

    fn values(row: &Product) -> Vec<Value> {
        vec![Value::from(&row.name), Value::from(&row.category), Value::from(row.stock)]
    }
}

/// The module with its commands, without the read model.
#[must_use]
pub fn module() -> Module {
    let mut module = Module::new("shop", "");
    module.aggregate::<Product>(&[
        ("product.listed", 1, "shop.ProductListed"),
        ("product.restocked", 1, "shop.ProductRestocked"),
    ]);
    module.command(
        Command::declare("shop.list_product", LIST, Product::list)
            .creates()
            .reply(|done| ProductReply { product_id: done.id.to_owned(), stock: done.state.stock }),
    );
    module.command(
        Command::declare("shop.restock_product", RESTOCK, Product::restock)
            .id("product_id", |command: &RestockProduct| &command.product_id)
            .reply(|done| ProductReply { product_id: done.id.to_owned(), stock: done.state.stock }),
    );
    module
}
