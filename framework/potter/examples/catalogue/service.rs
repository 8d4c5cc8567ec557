//! The service: messages, rules, read model, queries, and their declaration.

use std::fmt;
use std::sync::LazyLock;

use potter::command::Command;
use potter::domain::{Aggregate, DomainError, DomainEvent, Refusal, UnreadableEvent};
use potter::http::{Body, Rest, Route};
use potter::module::Module;
use potter::prost::Message;
use potter::prost_types::Timestamp;
use potter::query::{Query, QueryContext, View};
use potter::read_model::{Column, ColumnType, ReadModel, Table, TableColumn, Value};
use potter::store::{Migration, Script};
use potter::{Accepted, Context, Executed, Failure, RecordedEvent, events};

// Messages: what prost makes of catalogue.proto.

#[derive(Clone, PartialEq, Message)]
pub struct Product {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(int64, tag = "3")]
    pub price_cents: i64,
    #[prost(message, optional, tag = "4")]
    pub created_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateProductRequest {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "2")]
    pub price_cents: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateProductResponse {
    #[prost(string, tag = "1")]
    pub product_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct RenameProductRequest {
    #[prost(string, tag = "1")]
    pub product_id: String,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct RenameProductResponse {
    #[prost(message, optional, tag = "1")]
    pub product: Option<Product>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RemoveProductRequest {
    #[prost(string, tag = "1")]
    pub product_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct RemoveProductResponse {
    #[prost(string, tag = "1")]
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetProductRequest {
    #[prost(string, tag = "1")]
    pub product_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetProductResponse {
    #[prost(message, optional, tag = "1")]
    pub product: Option<Product>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ListProductsRequest {
    #[prost(int32, tag = "1")]
    pub page: i32,
    #[prost(int32, tag = "2")]
    pub page_size: i32,
    #[prost(string, tag = "3")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ListProductsResponse {
    #[prost(message, repeated, tag = "1")]
    pub products: Vec<Product>,
    #[prost(int32, tag = "2")]
    pub total: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductCreated {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "2")]
    pub price_cents: i64,
    #[prost(message, optional, tag = "3")]
    pub created_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductRenamed {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductRemoved {}

#[derive(Clone, PartialEq, Message)]
pub struct NameTaken {
    #[prost(string, tag = "1")]
    pub name: String,
}

// Domain: the rules.

impl Product {
    /// The name that is always taken, so that a refusal can be seen.
    pub const TAKEN: &str = "taken";

    fn create(&self, command: CreateProductRequest, context: &Context) -> Result<Vec<ProductEvent>, ProductError> {
        let CreateProductRequest { name, price_cents } = command;
        if name == Self::TAKEN {
            return Err(ProductError::NameTaken(NameTaken { name }));
        }
        Ok(events![ProductCreated { name, price_cents, created_at: Some(context.timestamp()) }])
    }

    fn rename(&self, command: RenameProductRequest, _: &Context) -> Result<Vec<ProductEvent>, ProductError> {
        if command.name == self.name {
            return Ok(events![]);
        }
        Ok(events![ProductRenamed { name: command.name }])
    }

    fn remove(&self, _: RemoveProductRequest, _: &Context) -> Result<Vec<ProductEvent>, ProductError> {
        Ok(events![ProductRemoved {}])
    }

    fn evolve(&mut self, event: ProductEvent) {
        match event {
            ProductEvent::Created(it) => {
                self.name = it.name;
                self.price_cents = it.price_cents;
                self.created_at = it.created_at;
            }
            ProductEvent::Renamed(it) => self.name = it.name,
            ProductEvent::Removed(_) => {}
        }
    }
}

// Domain: what is generated around the rules.

#[derive(Clone, Debug, PartialEq)]
pub enum ProductEvent {
    Created(ProductCreated),
    Renamed(ProductRenamed),
    Removed(ProductRemoved),
}

impl From<ProductCreated> for ProductEvent {
    fn from(event: ProductCreated) -> Self {
        Self::Created(event)
    }
}

impl From<ProductRenamed> for ProductEvent {
    fn from(event: ProductRenamed) -> Self {
        Self::Renamed(event)
    }
}

impl From<ProductRemoved> for ProductEvent {
    fn from(event: ProductRemoved) -> Self {
        Self::Removed(event)
    }
}

impl DomainEvent for ProductEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Created(_) => "product.created",
            Self::Renamed(_) => "product.renamed",
            Self::Removed(_) => "product.removed",
        }
    }

    fn version(&self) -> u32 {
        1
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Created(event) => event.encode_to_vec(),
            Self::Renamed(event) => event.encode_to_vec(),
            Self::Removed(event) => event.encode_to_vec(),
        }
    }

    fn decode(event_type: &str, version: u32, payload: &[u8]) -> Result<Self, UnreadableEvent> {
        let unreadable = |reason: String| UnreadableEvent { event_type: event_type.to_owned(), version, reason };
        match (event_type, version) {
            ("product.created", 1) => ProductCreated::decode(payload).map(Self::Created),
            ("product.renamed", 1) => ProductRenamed::decode(payload).map(Self::Renamed),
            ("product.removed", 1) => ProductRemoved::decode(payload).map(Self::Removed),
            _ => return Err(unreadable("unknown type".to_owned())),
        }
        .map_err(|error| unreadable(error.to_string()))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ProductError {
    NameTaken(NameTaken),
}

impl fmt::Display for ProductError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::NameTaken(event) = self;
        write!(f, "the name `{}` is taken", event.name)
    }
}

impl std::error::Error for ProductError {}

impl DomainError for ProductError {
    fn refusal(&self) -> Refusal {
        let Self::NameTaken(event) = self;
        let event = Some(("catalogue.NameTaken", event.encode_to_vec()));
        Refusal { code: "NAME_TAKEN", retryable: false, event }
    }
}

impl Aggregate for Product {
    const NAME: &'static str = "Product";
    const SNAPSHOT_EVERY: u32 = 0;
    const SCHEMA: &'static str = "1";
    type Event = ProductEvent;

    fn with_id(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    fn apply(&mut self, event: ProductEvent) {
        self.evolve(event);
    }

    fn ends(event: &ProductEvent) -> bool {
        matches!(event, ProductEvent::Removed(_))
    }
}

// Application: read model and queries.

/// The products, a row each.
pub struct Products;

const NAME: Column<String> = Column::new("name");

impl ReadModel for Products {
    const NAME: &'static str = "Products";
    const TABLE: Table = Table {
        name: "products",
        key: "id",
        columns: &[
            TableColumn { name: "name", ty: ColumnType::Text, indexed: true, unique: false },
            TableColumn { name: "price_cents", ty: ColumnType::Integer, indexed: false, unique: false },
        ],
    };
    const EVENTS: &'static [(&'static str, &'static str)] =
        &[("Product", "product.created"), ("Product", "product.renamed"), ("Product", "product.removed")];
    type Row = Product;
    type Event = ProductEvent;

    fn key(_: &ProductEvent, recorded: &RecordedEvent) -> Option<String> {
        Some(recorded.aggregate_id.clone())
    }

    fn project(row: &mut Option<Product>, event: ProductEvent, recorded: &RecordedEvent) {
        match event {
            ProductEvent::Removed(_) => *row = None,
            event => row.get_or_insert_with(|| Product::with_id(&recorded.aggregate_id)).evolve(event),
        }
    }

    fn values(row: &Product) -> Vec<Value> {
        vec![row.name.clone().into(), row.price_cents.into()]
    }
}

const DOWN: &str = "DROP TABLE products; DELETE FROM potter_checkpoints WHERE projection = 'Products';";

const MIGRATIONS: &[Migration] = &[Migration {
    name: "0001_init",
    sqlite: Script {
        up: r#"CREATE TABLE IF NOT EXISTS "products" (
  "id" TEXT NOT NULL PRIMARY KEY,
  "name" TEXT,
  "price_cents" INTEGER,
  "potter_row" BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS "products__name" ON "products" ("name", "id");
"#,
        down: DOWN,
    },
    postgres: Script {
        up: r#"CREATE TABLE IF NOT EXISTS "products" (
  "id" TEXT COLLATE "C" NOT NULL CONSTRAINT "products__key" PRIMARY KEY,
  "name" TEXT COLLATE "C",
  "price_cents" BIGINT,
  "potter_row" BYTEA NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS "products__name" ON "products" ("name" NULLS FIRST, "id");
"#,
        down: DOWN,
    },
}];

/// The product that a neighbouring service must be asked about first.
pub const NEIGHBOURS: &str = "neighbours";

async fn get_product(
    query: GetProductRequest,
    context: QueryContext,
    neighbour: impl Future<Output = ()>,
) -> Result<GetProductResponse, Failure> {
    if query.product_id == NEIGHBOURS {
        neighbour.await;
    }
    let product = View::<Products>::new(&context).get(&query.product_id).await?;
    let product = product.ok_or_else(|| Failure::not_found("product", &query.product_id))?;
    Ok(GetProductResponse { product: Some(product) })
}

async fn list_products(query: ListProductsRequest, context: QueryContext) -> Result<ListProductsResponse, Failure> {
    let products = View::<Products>::new(&context);
    let page = products.find().matching(NAME, query.name).page(query.page, query.page_size).fetch().await?;
    Ok(ListProductsResponse { total: page.total_as(), products: page.rows })
}

// Declaration.

/// The module, with what a slow neighbour is asked by; the generator brings its descriptors along as text.
pub fn module<N>(neighbour: impl Fn() -> N + Send + Sync + 'static) -> Module
where
    N: Future<Output = ()> + Send + 'static,
{
    let mut module = Module::new("catalogue", &DESCRIPTORS);
    module
        .aggregate::<Product>(&[
            ("product.created", 1, "catalogue.ProductCreated"),
            ("product.renamed", 1, "catalogue.ProductRenamed"),
            ("product.removed", 1, "catalogue.ProductRemoved"),
        ])
        .read_model::<Products>()
        .migrations(MIGRATIONS)
        .command(
            Command::declare("catalogue.create_product", "catalogue.Catalogue/CreateProduct", Product::create)
                .creates()
                .idempotent()
                .reply_when_accepted(|accepted: Accepted<'_, CreateProductRequest>| CreateProductResponse {
                    product_id: accepted.id.to_owned(),
                }),
        )
        .command(
            Command::declare("catalogue.rename_product", "catalogue.Catalogue/RenameProduct", Product::rename)
                .id("product_id", |command: &RenameProductRequest| &command.product_id)
                .reply(|executed: Executed<'_, Product>| RenameProductResponse {
                    product: Some(executed.state.clone()),
                }),
        )
        .command(
            Command::declare("catalogue.remove_product", "catalogue.Catalogue/RemoveProduct", Product::remove)
                .id("product_id", |command: &RemoveProductRequest| &command.product_id)
                .reply(|_: Executed<'_, Product>| RemoveProductResponse { message: "removed".to_owned() }),
        )
        .query(
            Query::declare("catalogue.Catalogue/GetProduct", move |query, context| {
                get_product(query, context, neighbour())
            })
            .reads(&["Products"]),
        )
        .query(Query::declare("catalogue.Catalogue/ListProducts", list_products).reads(&["Products"]).cached(Some(60)));
    module
}

static DESCRIPTORS: LazyLock<String> = LazyLock::new(|| {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/catalogue");
    let annotations = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let mut compiler = protox::Compiler::new([directory, annotations]).expect("the directories are there");
    compiler.include_imports(true).open_file("catalogue.proto").expect("the example's proto is valid");
    // As protox encodes it: prost-types would drop the annotations.
    let files = compiler.encode_file_descriptor_set();
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, files)
});

const ROUTES: &[Route] = &[
    route("POST", "/api/v1/products", "catalogue.Catalogue/CreateProduct", Body::All),
    route("PUT", "/api/v1/products/{product_id}", "catalogue.Catalogue/RenameProduct", Body::All),
    route("DELETE", "/api/v1/products/{product_id}", "catalogue.Catalogue/RemoveProduct", Body::None),
    route("GET", "/api/v1/products/{product_id}", "catalogue.Catalogue/GetProduct", Body::None),
    route("GET", "/api/v1/products", "catalogue.Catalogue/ListProducts", Body::None),
];

const fn route(method: &'static str, path: &'static str, rpc: &'static str, body: Body) -> Route {
    Route { method, path, rpc, body, response_body: None }
}

/// The REST side.
pub fn api() -> Rest {
    Rest::new(ROUTES).openapi("{}")
}
