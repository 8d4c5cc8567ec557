//! Builds the model: collects what is annotated, resolves every name, judges every option.
//!
//! Each stage reports what is wrong and goes on with what it understood, so that one run says everything. A
//! [`Module`] comes out only when nothing was wrong.

use super::{
    Aggregate, AggregateId, ErrorEvent, ErrorId, Event, EventEffect, EventId, Module, RpcKind, Service,
    context::Context,
    events, lint, marks, roles,
    rpcs::{self, Drafts},
    scope::Scope,
    services, subscriptions, told, validation,
};
use crate::{
    descriptors::Descriptors,
    diagnostic::{Diagnostics, Severity},
};

/// What the command line says about the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Its name, instead of that of the services.
    pub module: Option<String>,
}

/// Builds the model of the files to generate; with it come the warnings.
///
/// # Errors
///
/// Everything that is wrong, the warnings included, when one of the findings is an error.
pub fn build(descriptors: &Descriptors, settings: &Settings) -> Result<(Module, Diagnostics), Diagnostics> {
    let mut context = Context::new(descriptors);
    let module = module(&mut context, settings);
    if let Some(module) = module.as_ref().filter(|_| !context.findings.has_errors()) {
        lint::check(module, &mut context);
    }
    let findings = context.findings.sorted();
    match module {
        Some(module) if !findings.has_errors() => Ok((module, findings)),
        _ => {
            debug_assert!(findings.iter().any(|it| it.severity == Severity::Error), "no module, and nobody says why");
            Err(findings)
        }
    }
}

fn module(context: &mut Context<'_>, settings: &Settings) -> Option<Module> {
    let scope = Scope::of(context.descriptors());
    let annotated = services::annotated(&scope, context);
    let name = services::module_name(&annotated, settings, context);
    let transports = services::transports(&annotated, context);
    let openapi = services::openapi(&annotated, &transports, &name, context);

    let aggregates = roles::aggregates(&scope, context);
    let events = events::events(&scope, &aggregates, context);
    let errors = roles::errors(&scope, context);
    let read_models = roles::read_models(&scope, &aggregates, &events, context);
    roles::no_two_roles(&scope, context);

    let mut drafts = Drafts {
        module: &name,
        named: aggregates.iter().map(roles::AggregateDraft::named).collect(),
        aggregates: &aggregates,
        events: &events,
        errors: &errors,
        read_models,
    };
    let services = rpcs::services(&annotated, (&transports, openapi.is_some()), &mut drafts, context);
    let read_models = drafts.read_models;
    marks::check(&scope, &aggregates, &services, &read_models, context);

    let subscriber = subscriptions::Subscriber { module: &name, transports: &transports, services: &services };
    let subscriptions = subscriptions::subscriptions(&annotated, &subscriber, &scope, context);

    validation::check(context);

    let (messages, enums) = scope.types(&subscriptions);
    Some(Module {
        aggregates: finish_aggregates(aggregates, &events, &errors, &services)?,
        events: finish_events(events, &services)?,
        read_models: read_models.into_iter().map(roles::ReadModelDraft::finish).collect::<Option<_>>()?,
        value_objects: roles::value_objects(&scope),
        name,
        transports,
        openapi,
        services,
        errors,
        subscriptions,
        messages,
        enums,
    })
}

fn finish_aggregates(
    drafts: Vec<roles::AggregateDraft>,
    events: &[events::EventDraft],
    errors: &[ErrorEvent],
    services: &[Service],
) -> Option<Vec<Aggregate>> {
    let owners = error_owners(&drafts, errors, services);
    let finish = |(at, draft): (usize, roles::AggregateDraft)| {
        let events = (0..events.len()).filter(|it| events[*it].aggregate == Some(AggregateId(at))).map(EventId);
        let errors = (0..errors.len()).filter(|it| owners[*it].contains(&AggregateId(at))).map(ErrorId);
        Some(Aggregate {
            id_field: draft.id_field?,
            name: draft.name,
            message: draft.message,
            repository: draft.repository,
            snapshot_every: draft.snapshot_every,
            events: events.collect(),
            errors: errors.collect(),
        })
    };
    drafts.into_iter().enumerate().map(finish).collect()
}

/// The aggregates that may be refused with each error event: those whose commands name it; where no command does, the
/// one whose name it begins with; where there is none either, all.
fn error_owners(
    drafts: &[roles::AggregateDraft],
    errors: &[ErrorEvent],
    services: &[Service],
) -> Vec<Vec<AggregateId>> {
    let names: Vec<_> = drafts.iter().map(roles::AggregateDraft::named).collect();
    let commands: Vec<_> = commands(services).collect();
    let owners = |at: usize| {
        let naming = commands.iter().filter(|it| it.fails_with.contains(&ErrorId(at))).map(|it| it.aggregate);
        let mut owners: Vec<_> = naming.collect();
        if owners.is_empty() {
            owners = match told::by_prefix(errors[at].message.name(), &names) {
                Some(owner) => vec![AggregateId(owner)],
                None => (0..drafts.len()).map(AggregateId).collect(),
            };
        }
        owners
    };
    (0..errors.len()).map(owners).collect()
}

fn finish_events(drafts: Vec<events::EventDraft>, services: &[Service]) -> Option<Vec<Event>> {
    let finish = |(at, draft): (usize, events::EventDraft)| {
        let told = draft.effect;
        let effect = if told == EventEffect::Changes && only_creates(EventId(at), services) {
            EventEffect::Creates
        } else {
            told
        };
        Some(Event {
            aggregate: draft.aggregate?,
            message: draft.message,
            event_type: draft.event_type,
            version: draft.version,
            internal: draft.internal,
            retired: draft.retired,
            id_field: draft.id_field,
            effect,
        })
    };
    drafts.into_iter().enumerate().map(finish).collect()
}

/// Whether some command records the event, and every one that does creates.
fn only_creates(event: EventId, services: &[Service]) -> bool {
    let mut emitting = commands(services).filter(|it| it.emits.contains(&event)).peekable();
    emitting.peek().is_some() && emitting.all(|it| it.creates)
}

fn commands(services: &[Service]) -> impl Iterator<Item = &super::Command> {
    services.iter().flat_map(|it| &it.rpcs).filter_map(|it| match &it.kind {
        RpcKind::Command(command) => Some(command),
        RpcKind::Query(_) => None,
    })
}
