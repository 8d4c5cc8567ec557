//! The past of events: what each version was, how it becomes the next, and proof that all of it is still read.
//!
//! In: the shapes that `potter.lock` keeps. A version that differs from the next one by additions alone becomes it by
//! itself, as protobuf reads it; any other hop is a trait, and the code that reads recorded events doesn't compile
//! before somebody has implemented it. Nothing is ever filled in.

pub(crate) mod fixtures;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase;
use serde::Serialize;

use super::{Scope, symbols};
use crate::{
    evolution,
    file::File,
    history::EventHistory,
    model::{Event, EventId},
    render::Bug,
    rust,
    shape::{Shape, is_well_known},
};
use versions::Version;

/// How recorded events of a former version are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reader {
    pub version: u32,
    /// The function, from the module `history`.
    pub function: String,
}

pub(super) fn files(scope: &Scope<'_>) -> Result<Vec<File>, Bug> {
    let mut files = Vec::new();
    let mut modules = Vec::new();
    for (id, _) in events(scope) {
        if let Some(past) = Past::of(scope, id) {
            files.push(past.file(scope)?);
            modules.push(past.module);
        }
    }
    modules.sort_unstable();
    let fixtures = fixtures::files(scope)?;
    let view = ModulesView { modules, replay: !fixtures.is_empty() };
    files.extend(fixtures);
    if !files.is_empty() {
        let path = "src/generated/domain/history/mod.rs".to_owned();
        files.push(scope.generated(path, &scope.module.name, "generated/domain/history/mod.rs.tera", &view)?);
    }
    Ok(files)
}

#[derive(Serialize)]
struct ModulesView {
    modules: Vec<String>,
    replay: bool,
}

/// The former versions of an event that are still read.
pub(super) fn readers(scope: &Scope<'_>, event: &Event) -> Vec<Reader> {
    let Some((id, _)) = events(scope).find(|(_, it)| it.event_type == event.event_type) else { return Vec::new() };
    let module = module_name(scope, id);
    let shapes = recorded(scope, event).map(former_shapes).unwrap_or_default();
    let former = shapes.into_iter().filter(|(version, _)| *version < event.version);
    former.map(|(version, _)| Reader { version, function: format!("history::{module}::from_v{version}") }).collect()
}

/// What is in the module of each version of the events that have a past.
pub(super) fn names(scope: &Scope<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let pasts = events(scope).filter_map(|(id, _)| Past::of(scope, id));
    let of_past = |past: Past<'_>| {
        let versions = past.versions.iter();
        versions.map(|it| (format!("{}::v{}", past.module, it.number), it.items())).collect::<Vec<_>>()
    };
    pasts.flat_map(of_past).collect()
}

fn events<'a>(scope: &Scope<'a>) -> impl Iterator<Item = (EventId, &'a Event)> {
    scope.module.events.iter().enumerate().map(|(index, event)| (EventId(index), event))
}

fn recorded<'a>(scope: &Scope<'a>, event: &Event) -> Option<&'a EventHistory> {
    scope.history.events.get(&event.event_type)
}

/// Each version with the shape that it had last: that one reads all that it had before.
fn former_shapes(recorded: &EventHistory) -> Vec<(u32, &Shape)> {
    let mut shapes: Vec<(u32, &Shape)> = Vec::new();
    for it in &recorded.shapes {
        match shapes.last_mut() {
            Some(last) if last.0 == it.version => last.1 = &it.shape,
            _ => shapes.push((it.version, &it.shape)),
        }
    }
    shapes
}

/// The module of an event's past, named after its type, which never changes; the history remembers where two events
/// would share a name.
fn module_name(scope: &Scope<'_>, id: EventId) -> String {
    let event = &scope.module.events[id.0];
    let usual = || symbols::file_name(&event.event_type, "event");
    recorded(scope, event).map_or_else(usual, |it| it.module(&event.event_type))
}

/// An event that was something else once.
struct Past<'a> {
    event: &'a Event,
    module: String,
    /// Ascending; the last is what it is now.
    versions: Vec<Version>,
}

impl<'a> Past<'a> {
    /// None for an event that has no former version.
    fn of(scope: &Scope<'a>, id: EventId) -> Option<Self> {
        let event = &scope.module.events[id.0];
        let former = former_shapes(recorded(scope, event)?);
        let former = former.into_iter().filter(|(version, _)| *version < event.version);
        let root = &scope.path(&event.message).ident;
        let mut versions: Vec<_> = former.map(|(number, shape)| Version::former(number, shape.clone(), root)).collect();
        if versions.is_empty() {
            return None;
        }
        versions.push(Version::current(event.version, Shape::of(&event.message), root));
        Some(Past { event, module: module_name(scope, id), versions })
    }

    fn file(&self, scope: &Scope<'_>) -> Result<File, Bug> {
        let (aggregate, symbols) = scope.aggregate(self.event.aggregate);
        let mut imports = scope.imports(&["DecodeError", "Message", "same_data"]);
        for name in ["DecodeError", "Message"] {
            imports.add("potter::prost", name);
        }
        let (conversions, oneofs) = self.derived(scope)?;
        if !conversions.is_empty() {
            imports.add("potter::domain", "same_data");
        }
        let is_written = |(was, now): (&Version, &Version)| !is_derived(was, now);
        let state = match self.pairs().any(is_written) {
            true => imports.path(scope.path(&aggregate.message)),
            false => String::new(),
        };
        let seed = format!("src/domain/{}.rs", symbols.module);
        let view = PastView {
            event_type: &self.event.event_type,
            module: &self.module,
            hops: self.hops(&state, &seed),
            seed: &seed,
            versions: self.versions.iter().map(|it| it.view(scope)).collect::<Result<_, Bug>>()?,
            readers: self.readers(&state),
            conversions,
            oneofs,
            uses: imports.render(0),
            state,
        };
        let path = format!("src/generated/domain/history/{}.rs", self.module);
        let symbol = self.event.message.full_name();
        scope.generated(path, symbol, "generated/domain/history/event.rs.tera", &view)
    }

    fn pairs(&self) -> impl DoubleEndedIterator<Item = (&Version, &Version)> {
        self.versions.iter().zip(self.versions.iter().skip(1))
    }

    /// The hops that somebody has to write.
    fn hops(&self, state: &str, seed: &str) -> Vec<HopView> {
        let written = self.pairs().filter(|(was, now)| !is_derived(was, now));
        written.map(|(was, now)| self.hop(was, now, state, seed)).collect()
    }

    fn hop(&self, was: &Version, now: &Version, state: &str, seed: &str) -> HopView {
        let (name, module, event_type) = (self.trait_name(was, now), &self.module, &self.event.event_type);
        let (from, to) = (was.number, now.number);
        let signature = format!("fn upcast(event: v{from}::{}) -> v{to}::{}", was.root(), now.root());
        let message = format!("`{name}` is missing: what `{event_type}` version {from} says as version {to}");
        let label = format!("recorded events of version {from} cannot be read without it");
        // By the module, so that upcasters of several events can stand in one file.
        let signature_outside =
            format!("fn upcast(event: {module}::v{from}::{}) -> {module}::v{to}::{}", was.root(), now.root());
        let note = format!("write `impl {module}::{name} for {state} {{ {signature_outside} {{ … }} }}` in {seed}");
        let uses = format!("with `use crate::generated::domain::history::{module};`");
        HopView {
            differences: evolution::differences(&was.shape, &now.shape),
            message: formatted_literal(&message),
            label: formatted_literal(&label),
            note: formatted_literal(&note),
            uses: formatted_literal(&uses),
            name,
            from,
            to,
            signature,
            signature_outside,
        }
    }

    /// Named after the event's type, so that it stays when the message is renamed.
    fn trait_name(&self, was: &Version, now: &Version) -> String {
        format!("{}V{}ToV{}", self.module.to_upper_camel_case(), was.number, now.number)
    }

    /// The messages that become those of the next version by themselves, and of the others the oneofs that do.
    fn derived(&self, scope: &Scope<'_>) -> Result<(Vec<ConversionView>, Vec<OneofView>), Bug> {
        let (mut conversions, mut oneofs) = (Vec::new(), Vec::new());
        for (was, now) in self.pairs() {
            for pair in evolution::counterparts(&was.shape, &now.shape) {
                let before = (was.shape.types(), pair.0.as_str());
                let after = (now.shape.types(), pair.1.as_str());
                if evolution::message_only_adds(before, after) {
                    conversions.extend(conversion((was, now), &pair));
                    continue;
                }
                for name in evolution::oneofs_that_only_add(before, after) {
                    oneofs.extend(oneof(scope, (was, now), &pair, &name)?);
                }
            }
        }
        Ok((conversions, oneofs))
    }

    /// How each former version is read: additions at the beginning are read as what they became at once.
    fn readers(&self, state: &str) -> Vec<ReaderView> {
        let reader = |first: usize| {
            let mut at = first;
            while at + 1 < self.versions.len() && is_derived(&self.versions[at], &self.versions[at + 1]) {
                at += 1;
            }
            let steps = self.pairs().skip(at).map(|(was, now)| match is_derived(was, now) {
                true => format!("v{}::{}::from(event)", now.number, now.root()),
                false => format!("<{state} as {}>::upcast(event)", self.trait_name(was, now)),
            });
            let as_what = &self.versions[at];
            ReaderView {
                version: self.versions[first].number,
                decoded: format!("v{}::{}", as_what.number, as_what.root()),
                steps: steps.collect(),
                current: self.versions.last().map(|it| format!("v{}::{}", it.number, it.root())).unwrap_or_default(),
            }
        };
        (0..self.versions.len() - 1).map(reader).collect()
    }
}

/// A literal of a text in which the compiler looks for format arguments.
fn formatted_literal(text: &str) -> String {
    rust::string_literal(&text.replace('{', "{{").replace('}', "}}"))
}

/// How a message becomes that of the next version; none if one of them is nothing that the event has.
fn conversion((was, now): (&Version, &Version), (before, after): &(String, String)) -> Option<ConversionView> {
    Some(ConversionView { from: was.path(before)?, to: now.path(after)? })
}

/// How a oneof of a message becomes that of the message's next version, variant by variant.
fn oneof(
    scope: &Scope<'_>,
    (was, now): (&Version, &Version),
    (before, after): &(String, String),
    name: &str,
) -> Result<Option<OneofView>, Bug> {
    let (Some(from), Some(to)) = (was.oneof(scope, before, name)?, now.oneof(scope, after, name)?) else {
        return Ok(None);
    };
    let fields = was.shape.types().message(before).map(|it| &it.fields);
    let is_own = |number: &u32| {
        let message = fields.and_then(|it| it.get(number)).and_then(|it| it.ty.message());
        message.is_some_and(|it| !is_well_known(it))
    };
    let variants = from.variants.iter().filter_map(|(number, was)| {
        let value = if is_own(number) { "it.into()" } else { "it" };
        Some(VariantView { was: was.clone(), now: to.variants.get(number)?.clone(), value })
    });
    Ok(Some(OneofView { variants: variants.collect(), from: from.path, to: to.path }))
}

fn is_derived(was: &Version, now: &Version) -> bool {
    evolution::only_adds(&was.shape, &now.shape)
}

#[derive(Serialize)]
struct PastView<'a> {
    event_type: &'a str,
    module: &'a str,
    seed: &'a str,
    versions: Vec<versions::VersionView>,
    hops: Vec<HopView>,
    conversions: Vec<ConversionView>,
    oneofs: Vec<OneofView>,
    readers: Vec<ReaderView>,
    state: String,
    uses: String,
}

#[derive(Serialize)]
struct HopView {
    name: String,
    from: u32,
    to: u32,
    /// Of the method, without its body.
    signature: String,
    /// The same, as it is written where the event's module was imported.
    signature_outside: String,
    differences: Vec<String>,
    message: String,
    label: String,
    note: String,
    uses: String,
}

#[derive(Serialize)]
struct ConversionView {
    from: String,
    to: String,
}

#[derive(Serialize)]
struct OneofView {
    from: String,
    to: String,
    variants: Vec<VariantView>,
}

#[derive(Serialize)]
struct VariantView {
    was: String,
    now: String,
    /// What becomes of `it`, the value.
    value: &'static str,
}

#[derive(Serialize)]
struct ReaderView {
    version: u32,
    decoded: String,
    steps: Vec<String>,
    current: String,
}
