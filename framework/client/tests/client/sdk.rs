//! What a generated SDK looks like, written by hand: the template must emit this shape.

use std::time::Duration;

use potter_client::prost::{DecodeError, Message};
use potter_client::{AsyncCommand, Command, Connection, InvalidAddress, Query};

#[derive(Clone, PartialEq, Message)]
pub struct CreateProductRequest {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateProductResponse {
    #[prost(string, tag = "1")]
    pub product_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct UpdateProductRequest {
    #[prost(string, tag = "1")]
    pub product_id: String,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct UpdateProductResponse {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetProductRequest {
    #[prost(string, tag = "1")]
    pub product_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetProductResponse {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductCreatedEvent {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProductCreationFailed {
    #[prost(string, tag = "1")]
    pub reason: String,
}

/// A failed call of this service.
pub type Error = potter_client::Error<ErrorEvent>;

/// Why this service refuses commands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ErrorEvent {
    ProductCreationFailed(ProductCreationFailed),
}

impl potter_client::ErrorEvent for ErrorEvent {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match message {
            "product.ProductCreationFailed" => Self::ProductCreationFailed(ProductCreationFailed::decode(payload)?),
            _ => return Ok(None),
        }))
    }
}

/// What happens to a product.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProductEvent {
    ProductCreatedEvent(ProductCreatedEvent),
}

impl potter_client::Event for ProductEvent {
    fn decode(message: &str, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match message {
            "product.ProductCreatedEvent" => Self::ProductCreatedEvent(ProductCreatedEvent::decode(payload)?),
            _ => return Ok(None),
        }))
    }
}

#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    pub fn connect(address: impl Into<String>) -> Result<Self, InvalidAddress> {
        Connection::to(address).map(Self::new)
    }

    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    pub fn create_product(
        &self,
        request: CreateProductRequest,
    ) -> AsyncCommand<CreateProductResponse, ProductEvent, ErrorEvent> {
        AsyncCommand::new(&self.connection, "/product.ProductService/CreateProduct", &request).idempotent()
    }

    pub fn update_product(&self, request: UpdateProductRequest) -> Command<UpdateProductResponse, ErrorEvent> {
        Command::new(&self.connection, "/product.ProductService/UpdateProduct", &request)
            .timeout(Duration::from_secs(30))
    }

    pub fn get_product(&self, request: GetProductRequest) -> Query<GetProductResponse, ErrorEvent> {
        Query::new(&self.connection, "/product.ProductService/GetProduct", &request)
    }
}
