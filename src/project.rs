//! The files of a project that aren't Rust: manifest, Makefile, container, README, environment.

use std::path::{Component, Path, PathBuf};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions, Value};
use serde::Serialize;

use crate::docs::Comments;
use crate::file::{Class, File};
use crate::framework::{Framework, normalise};
use crate::model::{Module, PathTemplate, Route, RouteBody, Rpc, Segment, Transport};
use crate::render::{self, Bug};

/// What the project's own files are made from.
#[derive(Serialize)]
struct View {
    /// Name of the crate and of the binary.
    package: String,
    title: String,
    about: String,
    /// The protos, as a sentence names them.
    protos: String,
    rest: bool,
    grpc: bool,
    /// Features of `potter`, quoted.
    features: String,
    /// Dependencies, as TOML values.
    potter: String,
    potter_client: String,
    /// Potter's checkout, when the framework comes from one, and where it lies inside the image.
    checkout: Option<String>,
    checkout_in_image: Option<String>,
    /// Where the service is built inside the image.
    place_in_image: String,
    calls: Vec<Call>,
}

/// A request that the README shows.
#[derive(Serialize)]
struct Call {
    title: String,
    command: String,
}

/// Everything that the project files depend on beside the model.
#[derive(Debug)]
pub struct Setting<'a> {
    /// Where the framework comes from.
    pub framework: &'a Framework,
    /// Import names of the protos that were given.
    pub protos: &'a [String],
    /// The protos' comments.
    pub comments: &'a Comments,
}

/// The project files.
///
/// # Errors
/// A bug in Potter.
pub fn files(module: &Module, setting: &Setting<'_>) -> Result<Vec<File>, Bug> {
    let view = view(module, setting);
    let file = |path: &str, class| {
        let contents = render::text(&format!("project/{path}.tera"), &view)?;
        Ok(File { path: path.to_owned(), class, symbol: module.name.clone(), contents })
    };
    let mut files = vec![file("Cargo.toml", Class::Structured)?];
    for seed in
        ["Makefile", "README.md", "Dockerfile", "docker-compose.yml", ".env.example", ".gitignore", ".dockerignore"]
    {
        files.push(file(seed, Class::Seed)?);
    }
    Ok(files)
}

fn view(module: &Module, setting: &Setting<'_>) -> View {
    let has = |transport| module.transports.contains(&transport);
    let first = module.services.first();
    let features: Vec<&str> = [("grpc", Transport::Grpc), ("rest", Transport::Rest)]
        .into_iter()
        .filter(|(_, transport)| has(*transport))
        .map(|(feature, _)| feature)
        .collect();
    let checkout = setting.framework.checkout();
    let place = place_in_image(checkout);
    View {
        package: module.name.clone(),
        title: module.openapi.as_ref().map_or_else(|| module.name.clone(), |openapi| openapi.title.clone()),
        about: first.map(|service| setting.comments.raw(&service.descriptor).trim().to_owned()).unwrap_or_default(),
        protos: setting.protos.iter().map(|name| format!("`proto/{name}`")).collect::<Vec<_>>().join(", "),
        rest: has(Transport::Rest),
        grpc: has(Transport::Grpc),
        features: features.iter().map(|feature| format!("{feature:?}")).collect::<Vec<_>>().join(", "),
        potter: setting.framework.dependency("potter"),
        potter_client: setting.framework.dependency("client"),
        checkout_in_image: checkout.map(|path| normalise(&place.join(path)).to_string_lossy().into_owned()),
        checkout: checkout.map(|path| path.to_string_lossy().into_owned()),
        place_in_image: place.to_string_lossy().into_owned(),
        calls: calls(module, setting.comments),
    }
}

/// A directory as deep as the way up to a checkout asks for, so that its relative path holds in the image too.
fn place_in_image(checkout: Option<&Path>) -> PathBuf {
    let up = checkout.iter().flat_map(|it| it.components()).filter(|it| *it == Component::ParentDir).count();
    match up {
        0 => PathBuf::from("/service"),
        _ => std::iter::once("/potter").chain(std::iter::repeat_n("service", up)).collect(),
    }
}

/// One request per rpc, over REST where it is served, else over gRPC.
fn calls(module: &Module, comments: &Comments) -> Vec<Call> {
    let rpcs = module.services.iter().flat_map(|service| &service.rpcs);
    let call = |rpc: &Rpc| {
        let command = match rpc.routes.first() {
            Some(route) => curl(rpc, route),
            None => grpcurl(rpc),
        };
        let comment = comments.raw(&rpc.descriptor).trim().lines().next().unwrap_or_default().trim().to_owned();
        let title = if comment.is_empty() { rpc.descriptor.name().to_owned() } else { comment };
        Call { title, command }
    };
    rpcs.map(call).collect()
}

fn curl(rpc: &Rpc, route: &Route) -> String {
    let template = PathTemplate::parse(&route.path).expect("the model has checked the templates");
    let mut path = String::new();
    for segment in &template.segments {
        match segment {
            Segment::Literal(text) => path.push_str(&format!("/{text}")),
            Segment::Any | Segment::Rest => path.push_str("/1"),
            Segment::Variable { pattern, .. } => {
                for part in pattern {
                    path.push_str(&match part {
                        Segment::Literal(text) => format!("/{text}"),
                        _ => "/1".to_owned(),
                    });
                }
            }
        }
    }
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

fn grpcurl(rpc: &Rpc) -> String {
    let body = sample(&rpc.descriptor.input(), &[]);
    let service = rpc.descriptor.parent_service().full_name().to_owned();
    format!("grpcurl -plaintext -d '{body}' localhost:50051 {service}/{}", rpc.descriptor.name())
}

/// A message with a plausible value in each plain field, as canonical JSON that a shell takes in single quotes.
fn sample(message: &MessageDescriptor, without: &[&str]) -> String {
    let mut sample = DynamicMessage::new(message.clone());
    for field in message.fields().filter(|field| !without.contains(&field.name())) {
        if field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) || field.is_list() || field.is_map() {
            continue;
        }
        if let Some(value) = sample_value(&field) {
            sample.set_field(&field, value);
        }
    }
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let options = SerializeOptions::new();
    let written = sample.serialize_with_options(&mut serializer, &options).is_ok();
    let text = if written { String::from_utf8_lossy(&bytes).into_owned() } else { "{}".to_owned() };
    text.replace('\'', "")
}

fn sample_value(field: &FieldDescriptor) -> Option<Value> {
    Some(match field.kind() {
        Kind::Bool => Value::Bool(true),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(10),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(10),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(10),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(10),
        Kind::Float => Value::F32(9.5),
        Kind::Double => Value::F64(9.5),
        Kind::String if field.name() == "id" || field.name().ends_with("_id") => Value::String("1".to_owned()),
        Kind::String => Value::String(format!("a {}", field.name().replace('_', " "))),
        Kind::Enum(descriptor) => Value::EnumNumber(descriptor.values().nth(1)?.number()),
        Kind::Bytes | Kind::Message(_) => return None,
    })
}
