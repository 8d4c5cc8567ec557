//! The requests that a project's README shows.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions, Value};
use serde::Serialize;

use crate::docs::Comments;
use crate::model::{Module, PathTemplate, Route, RouteBody, Rpc, RpcKind, Segment, Transport};
use crate::plan::samples;

/// A request that the README shows.
#[derive(Serialize)]
pub(super) struct Call {
    title: String,
    command: String,
}

/// One request per rpc, over REST where it is served, else over gRPC, else over NATS.
pub(super) fn calls(module: &Module, comments: &Comments) -> Vec<Call> {
    let rpcs = module.services.iter().flat_map(|service| &service.rpcs);
    let call = |rpc: &Rpc| {
        let command = match rpc.routes.first() {
            Some(route) => curl(rpc, route),
            None if module.transports.contains(&Transport::Grpc) => grpcurl(rpc),
            None => nats(rpc, &module.name),
        };
        let comment = comments.raw(&rpc.descriptor).trim().lines().next().unwrap_or_default().trim().to_owned();
        let title = if comment.is_empty() { rpc.descriptor.name().to_owned() } else { comment };
        Call { title, command }
    };
    rpcs.map(call).collect()
}

fn curl(rpc: &Rpc, route: &Route) -> String {
    let template = PathTemplate::parse(&route.path).expect("the model has checked the templates");
    let mut path: String = template.segments.iter().map(shown).collect();
    if let Some(verb) = &template.verb {
        path.push_str(&format!(":{verb}"));
    }
    let request = rpc.descriptor.input();
    let url = format!("localhost:8080{path}");
    let carried: Vec<&str> = template.variables().collect();
    let body = match &route.body {
        RouteBody::None => None,
        RouteBody::All => Some(sample(&request, &carried)),
        RouteBody::Field(name) => request.get_field_by_name(name).and_then(|field| match field.kind() {
            Kind::Message(message) => Some(sample(&message, &[])),
            _ => None,
        }),
    };
    match (route.method.as_str(), body) {
        ("GET", None) => format!("curl {url}"),
        (method, None) => format!("curl -X {method} {url}"),
        ("POST", Some(body)) => format!("curl {url} --json '{body}'"),
        (method, Some(body)) => format!("curl -X {method} {url} --json '{body}'"),
    }
}

/// A part of a path as a caller would write it.
fn shown(segment: &Segment) -> String {
    match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Any | Segment::Rest => "/$ID".to_owned(),
        Segment::Variable { pattern, .. } => pattern.iter().map(shown).collect(),
    }
}

fn grpcurl(rpc: &Rpc) -> String {
    let body = sample(&rpc.descriptor.input(), &[]);
    let service = rpc.descriptor.parent_service().full_name().to_owned();
    format!("grpcurl -plaintext -d '{body}' localhost:50051 {service}/{}", rpc.descriptor.name())
}

fn nats(rpc: &Rpc, module: &str) -> String {
    let body = sample(&rpc.descriptor.input(), &[]);
    let json = "-H content-type:application/json";
    match &rpc.kind {
        RpcKind::Command(command) => {
            format!("nats publish {module}.commands.{} '{body}' {json} -H Nats-Msg-Id:$(uuidgen)", command.id)
        }
        RpcKind::Query(_) => format!("nats request {module}.queries.{} '{body}' {json}", rpc.descriptor.name()),
    }
}

/// A message with a plausible value in each field, as canonical JSON that a shell takes in single quotes.
fn sample(message: &MessageDescriptor, without: &[&str]) -> String {
    let mut sample = sample_message(message, &mut Vec::new());
    for name in without {
        sample.clear_field_by_name(name);
    }
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let written = sample.serialize_with_options(&mut serializer, &SerializeOptions::new()).is_ok();
    let text = if written { String::from_utf8_lossy(&bytes).into_owned() } else { "{}".to_owned() };
    text.replace('\'', "")
}

/// `around` has the messages that this one is in: none is put into itself.
fn sample_message(message: &MessageDescriptor, around: &mut Vec<MessageDescriptor>) -> DynamicMessage {
    around.push(message.clone());
    let mut sample = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let is_first = field.containing_oneof().is_none_or(|it| it.fields().next().as_ref() == Some(&field));
        let value = if is_first && !field.is_map() { sample_value(&field, around) } else { None };
        match value {
            Some(value) if field.is_list() => sample.set_field(&field, Value::List(vec![value])),
            Some(value) => sample.set_field(&field, value),
            None => {}
        }
    }
    around.pop();
    sample
}

fn sample_value(field: &FieldDescriptor, around: &mut Vec<MessageDescriptor>) -> Option<Value> {
    match field.kind() {
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => Some(timestamp(&message)),
            name if name.starts_with("google.protobuf.") || around.contains(&message) => None,
            _ => Some(Value::Message(sample_message(&message, around))),
        },
        _ => samples::value(field),
    }
}

/// The beginning of 2026.
fn timestamp(message: &MessageDescriptor) -> Value {
    let mut timestamp = DynamicMessage::new(message.clone());
    timestamp.set_field_by_name("seconds", Value::I64(1_767_225_600));
    Value::Message(timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::compile;

    #[test]
    fn a_sample_has_what_is_nested_and_keeps_to_plain_rules() {
        let descriptors = compile(
            "import \"buf/validate/validate.proto\";
             message Order { string order_id = 1; Money price = 2; repeated Line lines = 3; Order next = 4; }
             message Money { int64 amount = 1; string currency = 2 [(buf.validate.field).string.pattern = \"^[A-Z]{3}$\"]; }
             message Line { uint32 quantity = 1 [(buf.validate.field).uint32.lte = 5]; }",
        );
        let order = descriptors.pool().get_message_by_name("shop.Order").expect("it is there");
        assert_eq!(
            sample(&order, &["order_id"]),
            r#"{"price":{"amount":"10","currency":"AAA"},"lines":[{"quantity":5}]}"#
        );
    }
}
