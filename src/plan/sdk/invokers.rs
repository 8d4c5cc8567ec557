//! The SDK's invokers: one constructor for each rpc, over a broker.

use serde::Serialize;

use super::{Sdk, methods};
use crate::{
    model::{Rpc, RpcKind},
    plan::{symbols::docs_or, types::Item},
    rust,
};

#[derive(Serialize)]
pub(super) struct InvokersView<'a> {
    uses: String,
    services: Vec<ServiceView<'a>>,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    full_name: &'a str,
    name: String,
    rpcs: Vec<RpcView>,
}

#[derive(Serialize)]
struct RpcView {
    docs: Vec<String>,
    deprecated: bool,
    method: String,
    /// `CommandInvoker` or `QueryInvoker`.
    kind: &'static str,
    /// With its type arguments.
    ty: String,
    module: String,
    /// The command's stable name, or the query's rpc.
    wire_name: String,
}

impl<'a> Sdk<'a, '_> {
    /// The structs of the services' invokers.
    pub(super) fn invoker_names(&self) -> Vec<String> {
        self.scope.symbols.services.iter().map(|it| format!("{}Invokers", it.service)).collect()
    }

    pub(super) fn invokers(&self) -> InvokersView<'a> {
        let names = self.invoker_names();
        let events = self.scope.symbols.aggregates.iter().map(|it| it.event.as_str());
        let taken = ["CommandInvoker", "ErrorEvent", "QueryInvoker", "SharedBroker"];
        let own: Vec<&str> = names.iter().map(String::as_str).chain(taken).chain(events).collect();
        let mut imports = self.imports(&own);
        imports.add("potter_client::broker", "SharedBroker");
        let mut services = Vec::new();
        for (service, name) in self.scope.module.services.iter().zip(names) {
            let rpcs = service.rpcs.iter().zip(methods(service));
            let rpcs = rpcs.map(|(rpc, method)| self.invoker(rpc, method, &mut imports)).collect();
            services.push(ServiceView { full_name: service.descriptor.full_name(), name, rpcs });
        }
        InvokersView { uses: imports.render(0), services }
    }

    fn invoker(&self, rpc: &Rpc, method: String, imports: &mut super::Imports<'_>) -> RpcView {
        let request = imports.item(&Item::of_message(&rpc.descriptor.input()));
        imports.add("crate::errors", "ErrorEvent");
        let (kind, other, wire_name) = match &rpc.kind {
            RpcKind::Command(command) => {
                let event = &self.scope.symbols.aggregates[command.aggregate.0].event;
                imports.add("crate::events", event);
                ("CommandInvoker", event.clone(), command.id.clone())
            }
            RpcKind::Query(_) => {
                let reply = imports.item(&Item::of_message(&rpc.descriptor.output()));
                ("QueryInvoker", reply, rpc.descriptor.name().to_owned())
            }
        };
        imports.add("potter_client::invoker", kind);
        RpcView {
            docs: docs_or(self.scope.comments, &rpc.descriptor, format!("Invokes `{}`.", rpc.descriptor.name())),
            deprecated: rpc.docs.deprecated,
            method,
            kind,
            ty: format!("{kind}<{request}, {other}, ErrorEvent>"),
            module: rust::string_literal(&self.scope.module.name),
            wire_name: rust::string_literal(&wire_name),
        }
    }
}
