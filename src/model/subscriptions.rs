//! Subscriptions: which events of other modules lead to commands of this one.
//!
//! An event is named as anywhere else, by its message or its type, and looked for in the files that are imported.
//! Whose it is, the service in its file says; events may also lie in a file without one, as they must where two
//! modules subscribe to each other, since protos cannot import each other in a circle.

use std::collections::BTreeSet;

use prost_reflect::{FileDescriptor, MessageDescriptor, ServiceDescriptor};

use super::{
    RpcKind, Service, SubscribedEvent, Subscription, Transport,
    context::Context,
    roles::is_called,
    scope::{Scope, push_with_nested},
    services::{self, Annotated, key},
    told,
};
use crate::{
    descriptors::{Descriptors, bundled},
    diagnostic::{Code, suggestion},
    options::{self, EventOptions},
};

/// An event in an imported file.
pub(super) struct ImportedEvent {
    message: MessageDescriptor,
    options: EventOptions,
    /// As the service in its file says, if one does.
    module: Option<String>,
}

impl ImportedEvent {
    fn event_type(&self) -> String {
        match self.options.event_type.as_str() {
            "" => self.message.full_name().to_owned(),
            given => given.to_owned(),
        }
    }

    fn is_named(&self, name: &str) -> bool {
        is_called(&self.message, name) || self.event_type() == name
    }
}

/// The events in all files that the files to generate import, but those in a file of the same package that has no
/// service of its own: it is a part of the module itself.
pub(super) fn imported(descriptors: &Descriptors) -> Vec<ImportedEvent> {
    let own: BTreeSet<&str> = descriptors.files().iter().map(FileDescriptor::package_name).collect();
    let mut events = Vec::new();
    for file in imports(descriptors) {
        let module = module_of(&file);
        if file.services().len() == 0 && own.contains(file.package_name()) {
            continue;
        }
        let annotated = messages(&file).into_iter().filter_map(|it| Some((options::event(&it)?, it)));
        events.extend(annotated.map(|(options, message)| ImportedEvent { message, options, module: module.clone() }));
    }
    events
}

/// The files whose events are subscribed to: those are another module's.
pub(super) fn subscribed_files(descriptors: &Descriptors, imported: &[ImportedEvent]) -> BTreeSet<String> {
    let subscriptions = services(descriptors).filter_map(|it| options::service(&it)).flat_map(|it| it.subscribes);
    let file = |it: &ImportedEvent| it.message.parent_file().name().to_owned();
    let named = |it: options::Subscription| {
        let found = it.events.iter().flat_map(|name| find(name, &it.module, imported)).map(file);
        found.collect::<Vec<_>>()
    };
    subscriptions.flat_map(named).collect()
}

/// The events that a name may mean: of several, those of the module that is asked for.
fn find<'a>(name: &str, module: &str, imported: &'a [ImportedEvent]) -> Vec<&'a ImportedEvent> {
    let exact = imported.iter().find(|it| it.message.full_name() == name.trim_start_matches('.'));
    let named: Vec<_> = match exact {
        Some(event) => vec![event],
        None => imported.iter().filter(|it| it.is_named(name)).collect(),
    };
    let of_module: Vec<_> = named.iter().copied().filter(|it| it.module.as_deref() == Some(module)).collect();
    if of_module.is_empty() { named } else { of_module }
}

fn services(descriptors: &Descriptors) -> impl Iterator<Item = ServiceDescriptor> {
    descriptors.files().iter().flat_map(|it| it.services().collect::<Vec<_>>())
}

/// The files that are imported, directly or not, and aren't to be generated.
fn imports(descriptors: &Descriptors) -> Vec<FileDescriptor> {
    let mut seen: BTreeSet<String> = descriptors.files().iter().map(|it| it.name().to_owned()).collect();
    let mut open: Vec<FileDescriptor> = descriptors.files().to_vec();
    let mut found = Vec::new();
    while let Some(file) = open.pop() {
        for import in file.dependencies().filter(|it| !bundled::is_foreign(it.name())) {
            if seen.insert(import.name().to_owned()) {
                found.push(import.clone());
                open.push(import);
            }
        }
    }
    found.sort_by(|a, b| a.name().cmp(b.name()));
    found
}

fn messages(file: &FileDescriptor) -> Vec<MessageDescriptor> {
    let mut messages = Vec::new();
    file.messages().for_each(|it| push_with_nested(it, &mut messages));
    messages
}

/// The module whose service a file has; a service without `module_name` gets it on a command line that isn't seen here.
fn module_of(file: &FileDescriptor) -> Option<String> {
    file.services().filter_map(|it| options::service(&it)).map(|it| it.module_name).find(|it| !it.is_empty())
}

/// Who subscribes.
pub(super) struct Subscriber<'a> {
    pub module: &'a str,
    pub transports: &'a [Transport],
    pub services: &'a [Service],
}

/// What the services subscribe to.
pub(super) fn subscriptions(
    annotated: &[Annotated],
    subscriber: &Subscriber<'_>,
    scope: &Scope,
    context: &mut Context<'_>,
) -> Vec<Subscription> {
    let mut subscriptions: Vec<Subscription> = Vec::new();
    for (service, options) in annotated {
        if !options.subscribes.is_empty() && !subscriber.transports.contains(&Transport::Nats) {
            let text = "events of other modules come over a broker, and this module has none".to_owned();
            let help = "add \"NATS\" to `transport`; without NATS_URL the service runs all the same".to_owned();
            let place = Place { service, value: None };
            place.report(Code::SubscriptionWithoutBroker, text, help, context);
        }
        for asked in &options.subscribes {
            let mut reader = Reader { service, asked, subscriber, scope, context: &mut *context };
            if let Some(subscription) = reader.subscription(&subscriptions) {
                subscriptions.push(subscription);
            }
        }
    }
    subscriptions
}

/// Where something is said: a service, and there a value.
struct Place<'a> {
    service: &'a ServiceDescriptor,
    value: Option<&'a str>,
}

impl Place<'_> {
    fn report(&self, code: Code, text: String, help: String, context: &mut Context<'_>) {
        services::report(self.service, key::SUBSCRIBES, self.value, code, (text, help), context);
    }
}

/// Whether a name can stand in those of the broker and of Rust as it is.
fn is_plain(name: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    name.starts_with(|it: char| it.is_ascii_alphabetic()) && name.chars().all(fits)
}

/// What to do instead of listening to oneself.
const OWN: &str =
    "a subscription is about another module's events; what follows from an own one is a rule or a read model";

/// Reads one subscription.
struct Reader<'a, 'b, 'c> {
    service: &'a ServiceDescriptor,
    asked: &'a options::Subscription,
    subscriber: &'a Subscriber<'a>,
    scope: &'a Scope,
    context: &'c mut Context<'b>,
}

impl Reader<'_, '_, '_> {
    fn subscription(&mut self, others: &[Subscription]) -> Option<Subscription> {
        let module = self.asked.module.clone();
        if module == self.subscriber.module {
            let place = Place { service: self.service, value: None };
            let text = format!("the subscription to `{module}` is to this module itself");
            place.report(Code::OwnEventSubscribed, text, OWN.to_owned(), self.context);
            return None;
        }
        if module.is_empty() {
            let text = "a subscription says not whose events it is about".to_owned();
            self.invalid(None, text, "add `module: \"…\"`, the name of the other module".to_owned());
        }
        let name = if self.asked.name.is_empty() { module.clone() } else { self.asked.name.clone() };
        self.check_name(&name, others);
        if self.asked.events.is_empty() {
            let text = format!("the subscription to `{module}` names no event");
            self.invalid(Some(&module), text, "add `events: \"…\"` for each event".to_owned());
        }
        let mut events: Vec<SubscribedEvent> = Vec::new();
        for name in &self.asked.events {
            if let Some(event) = self.event(name) {
                self.check_repeated(name, &event, &events);
                events.push(event);
            }
        }
        Some(Subscription { name, module, events })
    }

    fn check_name(&mut self, name: &str, others: &[Subscription]) {
        let given = self.asked.name.as_str();
        if !given.is_empty() && !is_plain(given) {
            let text = format!("`{given}` cannot name a subscription");
            let help = "begin with a letter; letters, digits, `-` and `_` may follow".to_owned();
            self.invalid(Some(given), text, help);
        } else if name == "commands" {
            let text = "`commands` cannot name a subscription: dead letters of commands are kept under it".to_owned();
            self.invalid(Some(name), text, "add another `name`, such as `command_events`".to_owned());
        } else if let Some(other) = others.iter().find(|it| it.name == name) {
            let text = format!("two subscriptions are called `{name}`");
            let help = match given.is_empty() && other.module == self.asked.module {
                true => "name all events in one of them, or give this one a `name`".to_owned(),
                false => "give this one another `name`".to_owned(),
            };
            self.invalid(Some(name), text, help);
        }
    }

    fn check_repeated(&mut self, name: &str, event: &SubscribedEvent, others: &[SubscribedEvent]) {
        if others.iter().any(|it| it.event_type == event.event_type) {
            let text = format!("event `{}` is named twice", event.event_type);
            self.invalid(Some(name), text, "name it once: a subscription has one handler for it".to_owned());
        }
    }

    fn event(&mut self, name: &str) -> Option<SubscribedEvent> {
        let found = find(name, &self.asked.module, &self.scope.imported);
        let event = match found.as_slice() {
            [event] => *event,
            [] => {
                self.not_found(name);
                return None;
            }
            several => {
                let names: Vec<_> = several.iter().map(|it| format!("`{}`", it.message.full_name())).collect();
                let text = format!("`{name}` may be {}", names.join(" or "));
                let place = Place { service: self.service, value: Some(name) };
                let help = "write the full name of the message".to_owned();
                place.report(Code::UnknownSubscribedEvent, text, help, self.context);
                return None;
            }
        };
        self.check(name, event);
        Some(SubscribedEvent {
            mirrored_by: self.mirrored_by(event.message.name()),
            event_type: event.event_type(),
            message: event.message.clone(),
        })
    }

    /// Whether an event is published, and by whom.
    fn check(&mut self, name: &str, event: &ImportedEvent) {
        let place = Place { service: self.service, value: Some(name) };
        let event_type = event.event_type();
        let asked = &self.asked.module;
        if let Some(module) = event.module.as_ref().filter(|it| *it != asked && !asked.is_empty()) {
            let text = format!("event `{event_type}` is of module `{module}`, not of `{asked}`");
            let help = format!("write `module: \"{module}\"`; each module has a subscription of its own");
            place.report(Code::InvalidSubscription, text, help, self.context);
        }
        if event.options.internal {
            let text = format!("event `{event_type}` is internal to its module: it isn't published");
            let help = "leave it out, or let the other module publish it by taking `internal` away".to_owned();
            place.report(Code::InternalEventSubscribed, text, help, self.context);
        }
        if event.options.retired {
            let text = format!("event `{event_type}` is retired: its module records it no more");
            let help =
                "subscribe to what is recorded instead; leave it out once the last one has been heard".to_owned();
            place.report(Code::RetiredEventSubscribed, text, help, self.context);
        }
    }

    fn not_found(&mut self, name: &str) {
        let place = Place { service: self.service, value: Some(name) };
        let is_own = |it: &&MessageDescriptor| {
            options::event(it).is_some_and(|options| is_called(it, name) || options.event_type == name)
        };
        if let Some(own) = self.scope.messages.iter().find(is_own) {
            let text = format!("event {} is of this module itself", own.name());
            return place.report(Code::OwnEventSubscribed, text, OWN.to_owned(), self.context);
        }
        let imports = imports(self.context.descriptors());
        let unannotated = imports.iter().flat_map(messages).find(|it| is_called(it, name));
        if let Some(message) = unannotated {
            let text = format!("message {} has no (potter.event)", message.name());
            let help = "only events are published; name one, or annotate the message in its module".to_owned();
            return place.report(Code::UnknownSubscribedEvent, text, help, self.context);
        }
        let known =
            self.scope.imported.iter().filter(|it| it.module.as_ref().is_none_or(|it| *it == self.asked.module));
        let help = match self.scope.imported.is_empty() {
            true => "import the proto of the other module".to_owned(),
            false if name.contains('.') => {
                let types: Vec<_> = known.map(ImportedEvent::event_type).collect();
                suggestion(name, types.iter().map(String::as_str))
            }
            false => suggestion(name, known.map(|it| it.message.name()).collect::<Vec<_>>()),
        };
        let text = format!("no imported proto has an event `{name}`");
        place.report(Code::UnknownSubscribedEvent, text, help, self.context);
    }

    /// The only command whose name says of this module what the event says of the other.
    fn mirrored_by(&self, event: &str) -> Option<String> {
        let rpcs = self.subscriber.services.iter().flat_map(|it| &it.rpcs);
        let mut fits = rpcs.filter(|rpc| match &rpc.kind {
            RpcKind::Command(_) => told::emitted(rpc.descriptor.name(), "", &[event]).is_some(),
            RpcKind::Query(_) => false,
        });
        let first = fits.next()?;
        fits.next().is_none().then(|| first.descriptor.full_name().to_owned())
    }

    fn invalid(&mut self, value: Option<&str>, text: String, help: String) {
        let place = Place { service: self.service, value: value.filter(|it| !it.is_empty()) };
        place.report(Code::InvalidSubscription, text, help, self.context);
    }
}
