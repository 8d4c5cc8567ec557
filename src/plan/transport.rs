//! The transports: routes, and the descriptors of all messages.

use serde::Serialize;

use super::{Scope, application::rpc_path, descriptor_set};
use crate::{
    file::{Class, File},
    model::{Route, RouteBody, Rpc, Transport},
    render::Bug,
    rust,
};

pub(super) fn files(scope: &Scope<'_>) -> Result<Vec<File>, Bug> {
    let name = &scope.module.name;
    let rest = scope.module.transports.contains(&Transport::Rest);
    let path = "src/generated/transport/mod.rs".to_owned();
    let mut files = vec![scope.generated(path, name, "generated/transport/mod.rs.tera", &TransportView { rest })?];
    let contents = descriptor_set::base64(scope.module, scope.descriptors)?;
    let path = "src/generated/transport/descriptors.b64".to_owned();
    files.push(File { path, class: Class::Generated, symbol: name.clone(), contents });
    if rest {
        let path = "src/generated/transport/rest.rs".to_owned();
        files.push(scope.generated(path, name, "generated/transport/rest.rs.tera", &rest_view(scope))?);
    }
    Ok(files)
}

#[derive(Serialize)]
struct TransportView {
    rest: bool,
}

#[derive(Serialize)]
struct RestView {
    openapi: bool,
    routes: Vec<RouteView>,
}

#[derive(Serialize)]
struct RouteView {
    method: String,
    path: String,
    rpc: String,
    body: String,
    response_body: String,
}

fn rest_view(scope: &Scope<'_>) -> RestView {
    let rpcs = scope.module.services.iter().flat_map(|it| &it.rpcs);
    let routes = rpcs.flat_map(|rpc| rpc.routes.iter().map(|route| route_view(rpc, route))).collect();
    RestView { openapi: scope.module.openapi.is_some(), routes }
}

fn route_view(rpc: &Rpc, route: &Route) -> RouteView {
    let literal = |text: &String| rust::string_literal(text);
    RouteView {
        method: literal(&route.method),
        path: literal(&route.path),
        rpc: rust::string_literal(&rpc_path(rpc)),
        body: match &route.body {
            RouteBody::None => "Body::None".to_owned(),
            RouteBody::All => "Body::All".to_owned(),
            RouteBody::Field(field) => format!("Body::Field({})", literal(field)),
        },
        response_body: route.response_body.as_ref().map_or("None".to_owned(), |it| format!("Some({})", literal(it))),
    }
}
