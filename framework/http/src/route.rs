//! REST routes as data.

/// A REST route of one rpc; generated code declares them, one for each binding of `google.api.http`.
///
/// ```
/// use potter_http::{Body, Route};
///
/// const ROUTES: &[Route] = &[Route {
///     method: "PUT",
///     path: "/api/v1/products/{product_id}",
///     rpc: "shop.v1.Catalogue/UpdateProduct",
///     body: Body::All,
///     response_body: None,
/// }];
/// # assert_eq!(ROUTES.len(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// Path in the notation of `google.api.http`: `/v1/{name=shelves/*}/books/{book.id}:archive`.
    pub path: &'static str,
    /// gRPC path without the leading slash: `shop.v1.Catalogue/UpdateProduct`.
    pub rpc: &'static str,
    /// What of the request the body carries.
    pub body: Body,
    /// The field of the reply that the response's body carries; `None`: the whole reply.
    pub response_body: Option<&'static str>,
}

/// What of the request a body carries. Whatever neither path nor body carries is a query parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// Everything that the path doesn't carry.
    All,
    /// This field.
    Field(&'static str),
}
