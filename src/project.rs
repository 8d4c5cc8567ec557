//! The files of a project that aren't Rust: manifest, Makefile, container, README, environment, git's attributes.

mod calls;

use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use self::calls::{Call, calls};

use crate::docs::Comments;
use crate::file::{Class, File};
use crate::framework::{Framework, normalise};
use crate::model::{Module, Subscription, Transport};
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
    /// Whether the project has a copy of them.
    has_protos: bool,
    rest: bool,
    grpc: bool,
    nats: bool,
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
    subscriptions: Vec<Heard>,
}

/// What is heard of another module.
#[derive(Serialize)]
struct Heard {
    module: String,
    /// The event types, as a sentence names them.
    events: String,
}

/// Everything that the project files depend on beside the model.
#[derive(Debug)]
pub struct Setting<'a> {
    /// Where the framework comes from.
    pub framework: &'a Framework,
    /// Import names of the protos that were given.
    pub protos: &'a [String],
    /// Whether the project has a copy of them; not so if a descriptor set was given.
    pub has_protos: bool,
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
    files.extend(ATTRIBUTES.map(|(path, contents)| File {
        path: path.to_owned(),
        class: Class::Generated,
        symbol: module.name.clone(),
        contents: contents.to_owned(),
    }));
    Ok(files)
}

/// What git must know to merge branches. A text that was merged line by line out of two generated ones is what no
/// protos ask for (the SDK, a crate of its own, says so itself), and a copy that is named after its contents has no other contents.
const ATTRIBUTES: [(&str, &str); 2] = [
    (
        ".potter/.gitattributes",
        "# Copies that are named after their contents: never merged, never converted.\n/base/* -text -diff -merge\n",
    ),
    (
        "src/.gitattributes",
        "# After a merge `potter-gen update` writes these files anew.\n/generated/** -merge\n\
         # Lists of modules: what either branch added is in them.\n\
         /application/mod.rs merge=union\n/domain/mod.rs merge=union\n",
    ),
];

fn view(module: &Module, setting: &Setting<'_>) -> View {
    let has = |transport| module.transports.contains(&transport);
    let first = module.services.first();
    let features: Vec<&str> = [("grpc", Transport::Grpc), ("nats", Transport::Nats), ("rest", Transport::Rest)]
        .into_iter()
        .filter(|(_, transport)| has(*transport))
        .map(|(feature, _)| feature)
        .collect();
    let folder = if setting.has_protos { "proto/" } else { "" };
    let checkout = setting.framework.checkout();
    let place = place_in_image(checkout);
    View {
        package: module.name.clone(),
        title: module.openapi.as_ref().map_or_else(|| module.name.clone(), |openapi| openapi.title.clone()),
        about: first.map(|service| setting.comments.raw(&service.descriptor).trim().to_owned()).unwrap_or_default(),
        protos: setting.protos.iter().map(|name| format!("`{folder}{name}`")).collect::<Vec<_>>().join(", "),
        has_protos: setting.has_protos,
        rest: has(Transport::Rest),
        grpc: has(Transport::Grpc),
        nats: has(Transport::Nats),
        features: features.iter().map(|feature| format!("{feature:?}")).collect::<Vec<_>>().join(", "),
        potter: setting.framework.dependency("potter"),
        potter_client: setting.framework.dependency("client"),
        checkout_in_image: checkout.map(|path| normalise(&place.join(path)).to_string_lossy().into_owned()),
        checkout: checkout.map(|path| path.to_string_lossy().into_owned()),
        place_in_image: place.to_string_lossy().into_owned(),
        calls: calls(module, setting.comments),
        subscriptions: module.subscriptions.iter().map(heard).collect(),
    }
}

fn heard(subscription: &Subscription) -> Heard {
    let events: Vec<_> = subscription.events.iter().map(|it| format!("`{}`", it.event_type)).collect();
    Heard { module: subscription.module.clone(), events: events.join(", ") }
}

/// A directory as deep as the way up to a checkout asks for, so that its relative path holds in the image too.
fn place_in_image(checkout: Option<&Path>) -> PathBuf {
    let up = checkout.iter().flat_map(|it| it.components()).filter(|it| *it == Component::ParentDir).count();
    match up {
        0 => PathBuf::from("/service"),
        _ => std::iter::once("/potter").chain(std::iter::repeat_n("service", up)).collect(),
    }
}
