//! The published contract: what callers of a module lean on, as data that outlives its proto.
//!
//! In: a [`Module`]. Out: a [`Contract`]: the rpcs with their routes, the error codes, and the shapes of the messages
//! that they carry. `potter.lock` keeps the one that was generated last; the evolution rules compare the next one
//! with it. Like a [`Shape`](crate::shape::Shape) it has one text:
//!
//! ```text
//! rpc .shop.Orders.PlaceOrder {
//!   request .shop.PlaceOrderRequest
//!   reply .shop.PlaceOrderReply
//!   command "shop.place_order" async idempotent to "Order" creates
//!   route "POST" "/api/v1/orders" body "*"
//! }
//! error "OUT_OF_STOCK" .shop.OutOfStock retryable
//! message .shop.PlaceOrderRequest {
//!   1 string order_id
//! }
//! …
//! ```

mod text;

use std::collections::BTreeMap;

use prost_reflect::MessageDescriptor;

use crate::{
    model::{self, Module, RouteBody, RpcKind},
    shape::Types,
};

/// What callers of a module lean on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// The rpcs by full name: `shop.Orders.PlaceOrder`.
    pub rpcs: BTreeMap<String, RpcShape>,
    /// The error events by code.
    pub errors: BTreeMap<String, ErrorShape>,
    /// The messages of both, and all that they reach.
    pub types: Types,
}

/// What callers know of an rpc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcShape {
    /// Full name of the request's message.
    pub request: String,
    /// Whether it is a stream of them.
    pub request_stream: bool,
    /// Full name of the reply's message.
    pub reply: String,
    /// Whether it is a stream of them.
    pub reply_stream: bool,
    /// What it does.
    pub role: Role,
    /// REST routes, the main one first.
    pub routes: Vec<RouteShape>,
}

/// What an rpc does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Changes an aggregate.
    Command {
        /// Stable name on the wire.
        id: String,
        /// Whether the reply comes before the work.
        is_async: bool,
        /// Whether a repeat has no effect.
        idempotent: bool,
        /// Where it is sent; locks of former versions don't know.
        target: Option<Target>,
    },
    /// Reads.
    Query,
}

/// The streams that a command is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of the aggregate, as its streams have it.
    pub aggregate: String,
    /// Whether the stream must not be there yet.
    pub creates: bool,
}

/// A REST route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteShape {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path in the notation of `google.api.http`.
    pub path: String,
    /// `*`, a field of the request, or nothing.
    pub body: Option<String>,
    /// The reply's field that is sent instead of the whole reply.
    pub response_body: Option<String>,
}

/// What callers know of an error event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorShape {
    /// Full name of its message.
    pub message: String,
    /// Whether trying again may help.
    pub retryable: bool,
}

impl Contract {
    /// The contract of `module`.
    pub fn of(module: &Module) -> Self {
        let rpcs = module.services.iter().flat_map(|service| &service.rpcs);
        let errors = module.errors.iter();
        Contract {
            types: Types::reached_from(messages(module)),
            rpcs: rpcs.map(|rpc| (rpc.descriptor.full_name().to_owned(), RpcShape::of(rpc, module))).collect(),
            errors: errors.map(|error| (error.code.clone(), ErrorShape::of(error))).collect(),
        }
    }

    /// Adds what only `other` has.
    pub fn unite(&mut self, other: Contract) {
        for (name, rpc) in other.rpcs {
            self.rpcs.entry(name).or_insert(rpc);
        }
        for (code, error) in other.errors {
            self.errors.entry(code).or_insert(error);
        }
        self.types.unite(other.types);
    }
}

/// Requests, replies and error events.
fn messages(module: &Module) -> Vec<MessageDescriptor> {
    let rpcs = module.services.iter().flat_map(|service| &service.rpcs);
    let carried = rpcs.flat_map(|rpc| [rpc.descriptor.input(), rpc.descriptor.output()]);
    carried.chain(module.errors.iter().map(|error| error.message.clone())).collect()
}

impl RpcShape {
    fn of(rpc: &model::Rpc, module: &Module) -> Self {
        RpcShape {
            request: rpc.descriptor.input().full_name().to_owned(),
            request_stream: rpc.descriptor.is_client_streaming(),
            reply: rpc.descriptor.output().full_name().to_owned(),
            reply_stream: rpc.descriptor.is_server_streaming(),
            role: Role::of(&rpc.kind, module),
            routes: rpc.routes.iter().map(RouteShape::of).collect(),
        }
    }
}

impl Role {
    fn of(kind: &RpcKind, module: &Module) -> Self {
        match kind {
            RpcKind::Command(command) => Role::Command {
                id: command.id.clone(),
                is_async: command.is_async,
                idempotent: command.idempotent,
                target: Some(Target {
                    aggregate: module.aggregates[command.aggregate.0].name.clone(),
                    creates: command.creates,
                }),
            },
            RpcKind::Query(_) => Role::Query,
        }
    }
}

impl RouteShape {
    fn of(route: &model::Route) -> Self {
        RouteShape {
            method: route.method.clone(),
            path: route.path.clone(),
            body: match &route.body {
                RouteBody::None => None,
                RouteBody::All => Some("*".to_owned()),
                RouteBody::Field(field) => Some(field.clone()),
            },
            response_body: route.response_body.clone(),
        }
    }
}

impl ErrorShape {
    fn of(error: &model::ErrorEvent) -> Self {
        ErrorShape { message: error.message.full_name().to_owned(), retryable: error.retryable }
    }
}

#[cfg(test)]
mod tests;
