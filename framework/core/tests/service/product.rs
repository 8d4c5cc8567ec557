//! The sample: products that are created, restocked, reserved, renamed, deleted and listed.

use std::fmt;
use std::sync::Arc;

use potter_core::command::{Accepted, Command, Executed};
use potter_core::domain::{Aggregate, Context, DomainError, DomainEvent, Refusal, UnreadableEvent};
use potter_core::event::RecordedEvent;
use potter_core::events;
use potter_core::failure::{Failure, codes};
use potter_core::module::Module;
use potter_core::query::{Query, QueryContext, View};
use potter_core::read_model::{Column, ColumnType, ReadModel, Table, TableColumn, Value};
use prost::Message;

// What would be in generated/messages.

#[derive(Clone, PartialEq, Message)]
pub struct Product {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(int64, tag = "3")]
    pub stock: i64,
    #[prost(string, tag = "4")]
    pub created_by: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateProduct {
    #[prost(string, tag = "1")]
    pub product_id: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(int64, tag = "3")]
    pub stock: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReserveStock {
    #[prost(string, tag = "1")]
    pub product_id: String,
    #[prost(int64, tag = "2")]
    pub quantity: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct RestockProduct {
    #[prost(string, tag = "1")]
    pub product_id: String,
    #[prost(int64, tag = "2")]
    pub quantity: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct RenameProduct {
    #[prost(string, tag = "1")]
    pub product_id: String,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeleteProduct {
    #[prost(string, tag = "1")]
    pub product_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductReply {
    #[prost(string, tag = "1")]
    pub product_id: String,
    #[prost(int64, tag = "2")]
    pub stock: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetProduct {
    #[prost(string, tag = "1")]
    pub id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ListProducts {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, optional, tag = "2")]
    pub min_stock: Option<i64>,
    #[prost(int32, tag = "3")]
    pub page: i32,
    #[prost(int32, tag = "4")]
    pub page_size: i32,
    #[prost(string, tag = "5")]
    pub page_token: String,
    #[prost(string, tag = "6")]
    pub order_by: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductList {
    #[prost(message, repeated, tag = "1")]
    pub products: Vec<Product>,
    #[prost(int32, tag = "2")]
    pub total: i32,
    #[prost(string, tag = "3")]
    pub next_page_token: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductCreated {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "2")]
    pub stock: i64,
    #[prost(string, tag = "3")]
    pub created_by: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct StockReserved {
    #[prost(int64, tag = "1")]
    pub quantity: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductRestocked {
    #[prost(int64, tag = "1")]
    pub quantity: i64,
    #[prost(string, tag = "2")]
    pub delivery_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductRenamed {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductDeleted {}

#[derive(Clone, PartialEq, Message)]
pub struct OutOfStock {
    #[prost(int64, tag = "1")]
    pub available: i64,
}

// What would be in generated/domain.

pub trait ProductDecider: Sized {
    type Error: DomainError;
    fn create_product(&self, command: CreateProduct, context: &Context) -> Result<Vec<ProductEvent>, Self::Error>;
    fn reserve_stock(&self, command: ReserveStock, context: &Context) -> Result<Vec<ProductEvent>, Self::Error>;
    fn restock_product(&self, command: RestockProduct, context: &Context) -> Result<Vec<ProductEvent>, Self::Error>;
    fn rename_product(&self, command: RenameProduct, context: &Context) -> Result<Vec<ProductEvent>, Self::Error>;
    fn delete_product(&self, command: DeleteProduct, context: &Context) -> Result<Vec<ProductEvent>, Self::Error>;
    fn evolve(&mut self, event: ProductEvent);
}

#[derive(Clone, Debug, PartialEq)]
pub enum ProductEvent {
    ProductCreated(ProductCreated),
    StockReserved(StockReserved),
    ProductRestocked(ProductRestocked),
    ProductRenamed(ProductRenamed),
    ProductDeleted(ProductDeleted),
}

macro_rules! event_conversions {
    ($($variant:ident),*) => {$(
        impl From<$variant> for ProductEvent {
            fn from(event: $variant) -> Self {
                Self::$variant(event)
            }
        }
    )*};
}

event_conversions!(ProductCreated, StockReserved, ProductRestocked, ProductRenamed, ProductDeleted);

impl DomainEvent for ProductEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::ProductCreated(_) => "product.created",
            Self::StockReserved(_) => "product.stock_reserved",
            Self::ProductRestocked(_) => "product.restocked",
            Self::ProductRenamed(_) => "product.renamed",
            Self::ProductDeleted(_) => "product.deleted",
        }
    }

    fn version(&self) -> u32 {
        1
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::ProductCreated(it) => it.encode_to_vec(),
            Self::StockReserved(it) => it.encode_to_vec(),
            Self::ProductRestocked(it) => it.encode_to_vec(),
            Self::ProductRenamed(it) => it.encode_to_vec(),
            Self::ProductDeleted(it) => it.encode_to_vec(),
        }
    }

    fn decode(event_type: &str, version: u32, payload: &[u8]) -> Result<Self, UnreadableEvent> {
        let unreadable = |reason: String| UnreadableEvent { event_type: event_type.to_owned(), version, reason };
        let decoded = match (event_type, version) {
            ("product.created", 1) => ProductCreated::decode(payload).map(Self::ProductCreated),
            ("product.stock_reserved", 1) => StockReserved::decode(payload).map(Self::StockReserved),
            ("product.restocked", 1) => ProductRestocked::decode(payload).map(Self::ProductRestocked),
            ("product.renamed", 1) => ProductRenamed::decode(payload).map(Self::ProductRenamed),
            ("product.deleted", 1) => ProductDeleted::decode(payload).map(Self::ProductDeleted),
            _ => return Err(unreadable("this service knows no such event".to_owned())),
        };
        decoded.map_err(|error| unreadable(error.to_string()))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ProductError {
    OutOfStock(OutOfStock),
    Unimplemented(&'static str),
}

impl From<OutOfStock> for ProductError {
    fn from(error: OutOfStock) -> Self {
        Self::OutOfStock(error)
    }
}

impl fmt::Display for ProductError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfStock(it) => write!(formatter, "out of stock: {} available", it.available),
            Self::Unimplemented(command) => write!(formatter, "`{command}` is not implemented yet"),
        }
    }
}

impl std::error::Error for ProductError {}

impl DomainError for ProductError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::OutOfStock(it) => {
                Refusal { code: "OUT_OF_STOCK", retryable: true, event: Some(("shop.OutOfStock", it.encode_to_vec())) }
            }
            Self::Unimplemented(_) => Refusal { code: codes::UNIMPLEMENTED, retryable: false, event: None },
        }
    }
}

impl Aggregate for Product {
    const NAME: &'static str = "Product";
    const SNAPSHOT_EVERY: u32 = 5;
    const SCHEMA: &'static str = "1";
    type Event = ProductEvent;

    fn with_id(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    fn apply(&mut self, event: ProductEvent) {
        self.evolve(event);
    }

    fn ends(event: &ProductEvent) -> bool {
        matches!(event, ProductEvent::ProductDeleted(_))
    }
}

// What would be in domain/product.rs.

impl ProductDecider for Product {
    type Error = ProductError;

    fn create_product(&self, command: CreateProduct, context: &Context) -> Result<Vec<ProductEvent>, ProductError> {
        let created_by = context.actor.clone().unwrap_or_default();
        Ok(events![ProductCreated { name: command.name, stock: command.stock, created_by }])
    }

    fn reserve_stock(&self, command: ReserveStock, _context: &Context) -> Result<Vec<ProductEvent>, ProductError> {
        assert!(command.quantity >= 0, "a bug in the rule, on purpose");
        match command.quantity {
            0 => Ok(events![]),
            quantity if quantity > self.stock => Err(OutOfStock { available: self.stock }.into()),
            quantity => Ok(events![StockReserved { quantity }]),
        }
    }

    fn restock_product(&self, command: RestockProduct, context: &Context) -> Result<Vec<ProductEvent>, ProductError> {
        assert!(command.quantity >= 0, "a bug in the rule, on purpose");
        if self.stock + command.quantity > 1_000_000 {
            return Err(OutOfStock { available: self.stock }.into());
        }
        Ok(events![ProductRestocked { quantity: command.quantity, delivery_id: context.new_id().to_string() }])
    }

    fn rename_product(&self, command: RenameProduct, _context: &Context) -> Result<Vec<ProductEvent>, ProductError> {
        match command.name.as_str() {
            "" => Err(ProductError::Unimplemented("rename_product")),
            _ => Ok(events![ProductRenamed { name: command.name }]),
        }
    }

    fn delete_product(&self, _command: DeleteProduct, _context: &Context) -> Result<Vec<ProductEvent>, ProductError> {
        Ok(events![ProductDeleted {}])
    }

    fn evolve(&mut self, event: ProductEvent) {
        match event {
            ProductEvent::ProductCreated(it) => {
                self.name = it.name;
                self.stock = it.stock;
                self.created_by = it.created_by;
            }
            ProductEvent::StockReserved(it) => self.stock -= it.quantity,
            ProductEvent::ProductRestocked(it) => self.stock += it.quantity,
            ProductEvent::ProductRenamed(it) => self.name = it.name,
            ProductEvent::ProductDeleted(_) => {}
        }
    }
}

// What would be in generated/application and generated/infrastructure.

pub struct Products;

pub const NAME: Column<String> = Column::new("name");
pub const STOCK: Column<i64> = Column::new("stock");

pub trait ProductsProjection {
    fn key(_event: &ProductEvent, recorded: &RecordedEvent) -> Option<String> {
        Some(recorded.aggregate_id.clone())
    }

    fn project(row: &mut Option<Product>, event: ProductEvent, recorded: &RecordedEvent);
}

impl ReadModel for Products {
    const NAME: &'static str = "Products";
    const TABLE: Table = Table {
        name: "products",
        key: "id",
        columns: &[
            TableColumn { name: "name", ty: ColumnType::Text, indexed: false, unique: true },
            TableColumn { name: "stock", ty: ColumnType::Integer, indexed: true, unique: false },
        ],
    };
    const EVENTS: &'static [(&'static str, &'static str)] = &[
        ("Product", "product.created"),
        ("Product", "product.stock_reserved"),
        ("Product", "product.restocked"),
        ("Product", "product.renamed"),
        ("Product", "product.deleted"),
    ];
    type Row = Product;
    type Event = ProductEvent;

    fn key(event: &ProductEvent, recorded: &RecordedEvent) -> Option<String> {
        <Self as ProductsProjection>::key(event, recorded)
    }

    fn project(row: &mut Option<Product>, event: ProductEvent, recorded: &RecordedEvent) {
        <Self as ProductsProjection>::project(row, event, recorded);
    }

    fn values(row: &Product) -> Vec<Value> {
        vec![Value::from(&row.name), Value::from(row.stock)]
    }
}

pub struct Views {
    pub products: View<Products>,
}

impl Views {
    pub fn new(context: &QueryContext) -> Self {
        Self { products: View::new(context) }
    }
}

pub trait CatalogueHandlers: Send + Sync + 'static {
    fn create_product(&self, executed: Executed<'_, Product>) -> ProductReply;
    fn reserve_stock(&self, executed: Executed<'_, Product>) -> ProductReply;
    fn restock_product(&self, accepted: Accepted<'_, RestockProduct>) -> ProductReply;
    fn rename_product(&self, executed: Executed<'_, Product>) -> ProductReply;
    fn delete_product(&self, executed: Executed<'_, Product>);
    fn get_product(&self, query: GetProduct, views: Views) -> impl Future<Output = Result<Product, Failure>> + Send;
    fn list_products(
        &self,
        query: ListProducts,
        views: Views,
    ) -> impl Future<Output = Result<ProductList, Failure>> + Send;
}

pub const CREATE: &str = "shop.Catalogue/CreateProduct";
pub const RESERVE: &str = "shop.Catalogue/ReserveStock";
pub const RESTOCK: &str = "shop.Catalogue/RestockProduct";
pub const RENAME: &str = "shop.Catalogue/RenameProduct";
pub const DELETE: &str = "shop.Catalogue/DeleteProduct";
pub const GET: &str = "shop.Catalogue/GetProduct";
pub const LIST: &str = "shop.Catalogue/ListProducts";

pub fn declare(module: &mut Module, handlers: impl CatalogueHandlers) {
    let handlers = Arc::new(handlers);
    module.command(
        Command::declare("shop.create_product", CREATE, Product::create_product)
            .creates()
            .idempotent()
            .id("product_id", |command: &CreateProduct| &command.product_id)
            .reply({
                let handlers = Arc::clone(&handlers);
                move |executed| handlers.create_product(executed)
            }),
    );
    module.command(
        Command::declare("shop.reserve_stock", RESERVE, Product::reserve_stock)
            .idempotent()
            .timeout_seconds(5)
            .id("product_id", |command: &ReserveStock| &command.product_id)
            .reply({
                let handlers = Arc::clone(&handlers);
                move |executed| handlers.reserve_stock(executed)
            }),
    );
    module.command(
        Command::declare("shop.restock_product", RESTOCK, Product::restock_product)
            .idempotent()
            .id("product_id", |command: &RestockProduct| &command.product_id)
            .reply_when_accepted({
                let handlers = Arc::clone(&handlers);
                move |accepted| handlers.restock_product(accepted)
            }),
    );
    module.command(
        Command::declare("shop.rename_product", RENAME, Product::rename_product)
            .id("product_id", |command: &RenameProduct| &command.product_id)
            .reply({
                let handlers = Arc::clone(&handlers);
                move |executed| handlers.rename_product(executed)
            }),
    );
    module.command(
        Command::declare("shop.delete_product", DELETE, Product::delete_product)
            .idempotent()
            .id("product_id", |command: &DeleteProduct| &command.product_id)
            .reply({
                let handlers = Arc::clone(&handlers);
                move |executed| handlers.delete_product(executed)
            }),
    );
    module.query(
        Query::declare(GET, {
            let handlers = Arc::clone(&handlers);
            move |query: GetProduct, context| {
                let handlers = Arc::clone(&handlers);
                async move { handlers.get_product(query, Views::new(&context)).await }
            }
        })
        .reads(&["Products"])
        .cached(Some(300)),
    );
    module.query(
        Query::declare(LIST, {
            let handlers = Arc::clone(&handlers);
            move |query: ListProducts, context| {
                let handlers = Arc::clone(&handlers);
                async move { handlers.list_products(query, Views::new(&context)).await }
            }
        })
        .reads(&["Products"]),
    );
}

/// What would be `generated::module`.
pub fn module(catalogue: impl CatalogueHandlers) -> Module {
    let mut module = Module::new("shop", "");
    module.aggregate::<Product>(&[
        ("product.created", 1, "shop.ProductCreated"),
        ("product.stock_reserved", 1, "shop.StockReserved"),
        ("product.restocked", 1, "shop.ProductRestocked"),
        ("product.renamed", 1, "shop.ProductRenamed"),
        ("product.deleted", 1, "shop.ProductDeleted"),
    ]);
    module.read_model::<Products>();
    declare(&mut module, catalogue);
    module
}

// What would be in application.

/// A row of this name cannot be projected, on purpose.
pub const UNPROJECTABLE: &str = "a bug in the projection, on purpose";

impl ProductsProjection for Products {
    fn project(row: &mut Option<Product>, event: ProductEvent, recorded: &RecordedEvent) {
        match event {
            ProductEvent::ProductDeleted(_) => *row = None,
            event => {
                let row = row.get_or_insert_with(|| Product::with_id(&recorded.aggregate_id));
                row.evolve(event);
                assert_ne!(row.name, UNPROJECTABLE);
            }
        }
    }
}

#[derive(Default)]
pub struct Catalogue;

fn reply(executed: &Executed<'_, Product>) -> ProductReply {
    ProductReply { product_id: executed.id.to_owned(), stock: executed.state.stock }
}

impl CatalogueHandlers for Catalogue {
    fn create_product(&self, executed: Executed<'_, Product>) -> ProductReply {
        reply(&executed)
    }

    fn reserve_stock(&self, executed: Executed<'_, Product>) -> ProductReply {
        reply(&executed)
    }

    fn restock_product(&self, accepted: Accepted<'_, RestockProduct>) -> ProductReply {
        ProductReply { product_id: accepted.id.to_owned(), stock: accepted.command.quantity }
    }

    fn rename_product(&self, executed: Executed<'_, Product>) -> ProductReply {
        reply(&executed)
    }

    fn delete_product(&self, _executed: Executed<'_, Product>) {}

    async fn get_product(&self, query: GetProduct, views: Views) -> Result<Product, Failure> {
        assert_ne!(query.id, "panic", "a bug in the handler, on purpose");
        views.products.get(&query.id).await?.ok_or_else(|| Failure::not_found("product", &query.id))
    }

    async fn list_products(&self, query: ListProducts, views: Views) -> Result<ProductList, Failure> {
        let found = views
            .products
            .find()
            .matching(NAME, query.name)
            .at_least(STOCK, query.min_stock)
            .order_by_text(&query.order_by);
        let page = if query.page_token.is_empty() {
            found.page(query.page, query.page_size).fetch().await?
        } else {
            found.page_token(&query.page_token, query.page_size).fetch().await?
        };
        Ok(ProductList { total: page.total_as(), next_page_token: page.next_page_token, products: page.rows })
    }
}

// What the tests say again and again.

pub fn create(id: &str, name: &str, stock: i64) -> CreateProduct {
    CreateProduct { product_id: id.to_owned(), name: name.to_owned(), stock }
}

pub fn reserve(id: &str, quantity: i64) -> ReserveStock {
    ReserveStock { product_id: id.to_owned(), quantity }
}

pub fn restock(id: &str, quantity: i64) -> RestockProduct {
    RestockProduct { product_id: id.to_owned(), quantity }
}

pub fn rename(id: &str, name: &str) -> RenameProduct {
    RenameProduct { product_id: id.to_owned(), name: name.to_owned() }
}

pub fn delete(id: &str) -> DeleteProduct {
    DeleteProduct { product_id: id.to_owned() }
}

pub fn get(id: &str) -> GetProduct {
    GetProduct { id: id.to_owned() }
}
