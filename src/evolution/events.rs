//! Recorded events: can the module as it is now read everything that its streams hold?

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Acceptable, Finding,
    place::Places,
    reading::{At, HasEdition, Obstacle, obstacles},
};
use crate::{
    diagnostic::{Code, Location, Severity},
    history::{Accepted, EventHistory, History, INTERNAL, REMOVED, Subject},
    model::{Event, Module},
    shape::Shape,
};

/// Fields of `potter.EventOptions`.
mod key {
    use super::super::place::Key;

    pub const EVENT_TYPE: Key = (1, "event_type");
    pub const AGGREGATE: Key = (2, "aggregate");
    pub const VERSION: Key = (3, "version");
    pub const INTERNAL: Key = (4, "internal");
}

/// All findings about recorded events.
pub(super) fn findings(history: &History, module: &Module, places: &Places<'_>) -> Vec<Finding> {
    let judge = Judge { history, module, places };
    let mut findings = Vec::new();
    let mut unreadable = Unreadable::default();
    for (event_type, recorded) in &history.events {
        match module.events.iter().find(|it| it.event_type == *event_type) {
            None => findings.extend(judge.gone(event_type, recorded)),
            Some(event) => {
                findings.extend(judge.moved(event, recorded));
                findings.extend(judge.lowered(event, recorded));
                findings.extend(judge.audience(event, recorded));
                judge.read(event, recorded, &mut unreadable);
            }
        }
    }
    findings.extend(unreadable.findings(places));
    findings
}

struct Judge<'a> {
    history: &'a History,
    module: &'a Module,
    places: &'a Places<'a>,
}

impl Judge<'_> {
    /// An event type that no message has any more.
    fn gone(&self, event_type: &str, recorded: &EventHistory) -> Option<Finding> {
        let latest = recorded.latest()?;
        let acceptable =
            Acceptable { subject: Subject::Event(event_type.to_owned()), from: latest.hash(), to: REMOVED.to_owned() };
        if is_accepted(&self.history.accepted, &acceptable) {
            return None;
        }
        let same_message = self.module.events.iter().find(|it| it.message.full_name() == latest.message());
        Some(match same_message {
            Some(event) => self.retyped(event, event_type, acceptable),
            None => self.removed(event_type, recorded, latest, acceptable),
        })
    }

    fn retyped(&self, event: &Event, event_type: &str, acceptable: Acceptable) -> Finding {
        Finding {
            code: Code::EventTypeChanged,
            symbol: event.message.full_name().to_owned(),
            location: Some(self.places.event_option(&event.message, key::EVENT_TYPE)),
            message: format!(
                "the event_type of {} was `{event_type}` and is `{}` now: recorded events keep the old one",
                event.message.name(),
                event.event_type
            ),
            ways_out: vec![
                format!("write `event_type: \"{event_type}\"` again"),
                format!(
                    "keep a message with `event_type: \"{event_type}\"` and `retired: true`, and make `{}` a message \
                     of its own",
                    event.event_type
                ),
                accept(&acceptable.subject),
            ],
            rules: Vec::new(),
            acceptable: vec![acceptable],
        }
    }

    fn removed(&self, event_type: &str, recorded: &EventHistory, latest: &Shape, acceptable: Acceptable) -> Finding {
        // The message may still be there without its option; else its aggregate is the nearest thing.
        let aggregate = self.module.aggregates.iter().find(|it| it.name == recorded.aggregate);
        let aggregate = aggregate.and_then(|it| self.places.message(it.message.full_name()));
        Finding {
            code: Code::EventRemoved,
            symbol: latest.message().to_owned(),
            location: self.places.message(latest.message()).or(aggregate).or_else(|| self.places.module()),
            message: format!(
                "event `{event_type}` ({}) was removed, and streams of {} may hold it",
                latest.message(),
                recorded.aggregate
            ),
            ways_out: vec![
                format!(
                    "bring the message back with `retired: true` in (potter.event): `{event_type}` is no longer \
                     emitted and stays readable"
                ),
                accept(&acceptable.subject),
            ],
            rules: Vec::new(),
            acceptable: vec![acceptable],
        }
    }

    /// An event that belongs to another aggregate now.
    fn moved(&self, event: &Event, recorded: &EventHistory) -> Option<Finding> {
        let aggregate = &self.module.aggregates[event.aggregate.0];
        let acceptable = Acceptable {
            subject: Subject::Event(event.event_type.clone()),
            from: format!("aggregate {}", recorded.aggregate),
            to: format!("aggregate {}", aggregate.name),
        };
        if aggregate.name == recorded.aggregate || is_accepted(&self.history.accepted, &acceptable) {
            return None;
        }
        let was_renamed = self.module.aggregates.iter().all(|it| it.name != recorded.aggregate);
        let back = match was_renamed {
            true => format!(
                "name the aggregate as its streams are: `option (potter.aggregate) = {{ name: \"{}\" }};`",
                recorded.aggregate
            ),
            false => format!("write `aggregate: \"{}\"` again", recorded.aggregate),
        };
        Some(Finding {
            code: Code::EventMoved,
            symbol: event.message.full_name().to_owned(),
            location: Some(self.places.event_option(&event.message, key::AGGREGATE)),
            message: format!(
                "event `{}` was recorded in streams of {} and belongs to {} now",
                event.event_type, recorded.aggregate, aggregate.name
            ),
            ways_out: vec![
                back,
                format!(
                    "make it another event of {}, with an event_type of its own, and retire this one",
                    aggregate.name
                ),
                accept(&acceptable.subject),
            ],
            rules: Vec::new(),
            acceptable: vec![acceptable],
        })
    }

    /// A version below one that was recorded.
    fn lowered(&self, event: &Event, recorded: &EventHistory) -> Option<Finding> {
        let (was, now) = (recorded.version(), event.version);
        let acceptable = Acceptable {
            subject: Subject::Event(event.event_type.clone()),
            from: format!("version {was}"),
            to: format!("version {now}"),
        };
        if now >= was || is_accepted(&self.history.accepted, &acceptable) {
            return None;
        }
        Some(Finding {
            code: Code::EventVersionLowered,
            symbol: event.message.full_name().to_owned(),
            location: Some(self.places.event_option(&event.message, key::VERSION)),
            message: format!("the version of event `{}` is {now}, and version {was} was recorded", event.event_type),
            ways_out: vec![
                format!("write `version: {was}`, or {} if it looks otherwise than it did then", was.saturating_add(1)),
                accept(&acceptable.subject),
            ],
            rules: Vec::new(),
            acceptable: vec![acceptable],
        })
    }

    /// An event that its consumers no longer get, or that gets out now.
    fn audience(&self, event: &Event, recorded: &EventHistory) -> Option<Finding> {
        if event.internal == recorded.internal || event.retired {
            return None;
        }
        let shown = |internal| if internal { INTERNAL } else { "published" };
        let acceptable = Acceptable {
            subject: Subject::Event(event.event_type.clone()),
            from: shown(recorded.internal).to_owned(),
            to: shown(event.internal).to_owned(),
        };
        let of = format!("event `{}`", event.event_type);
        let (code, message, ways_out, acceptable) = match event.internal {
            true if is_accepted(&self.history.accepted, &acceptable) => return None,
            true => (
                Code::EventWithdrawn,
                format!("{of} was published and is internal now: whoever consumes it gets no more of them"),
                vec!["take `internal: true` out again".to_owned(), accept(&acceptable.subject)],
                vec![acceptable],
            ),
            false => (
                Code::EventPublished,
                format!("{of} was internal, and is published from now on with all that is in it"),
                vec!["write `internal: true` again if it isn't meant for others".to_owned()],
                Vec::new(),
            ),
        };
        Some(Finding {
            code,
            symbol: event.message.full_name().to_owned(),
            location: Some(self.places.event_option(&event.message, key::INTERNAL)),
            message,
            ways_out,
            rules: Vec::new(),
            acceptable,
        })
    }

    /// Compares the current shape with all that were recorded under its version, the latest first.
    fn read(&self, event: &Event, recorded: &EventHistory, unreadable: &mut Unreadable) {
        let now = Shape::of(&event.message);
        let shapes: Vec<_> = recorded.shapes_of(event.version).rev().collect();
        let Some(latest) = shapes.first() else { return };
        let mut told: BTreeMap<(Code, At), Obstacle> = BTreeMap::new();
        for was in &shapes {
            let silenced = self.silenced(event, was, &shapes, &now);
            for obstacle in obstacles(was, &now, latest, &|it| self.places.has_edition(it)) {
                let known = (obstacle.at.clone(), obstacle.keep.clone());
                if silenced.contains(&known) {
                    continue;
                }
                let from = was.hash();
                let acceptable = Acceptable { subject: Subject::Event(event.event_type.clone()), from, to: now.hash() };
                // Told once, of the latest shape that has it; accepted for all of them.
                let place = (obstacle.code, obstacle.at.clone());
                let first = told.entry(place).or_insert(obstacle);
                unreadable.add(first, event, acceptable);
            }
        }
    }

    /// What of the shape `was` was accepted to be read otherwise: that which already differs in the shapes that it
    /// was accepted to become.
    fn silenced(&self, event: &Event, was: &Shape, recorded: &[&Shape], now: &Shape) -> BTreeSet<(At, String)> {
        let (subject, from) = (Subject::Event(event.event_type.clone()), was.hash());
        let accepted = self.history.accepted.iter().filter(|it| !it.used && it.subject == subject && it.from == from);
        let became = accepted.filter_map(|it| {
            let mut shapes = recorded.iter().copied().chain([now]);
            shapes.find(|shape| shape.hash() == it.to)
        });
        became.flat_map(|to| read_otherwise(was, to, &|it| self.places.has_edition(it))).collect()
    }
}

/// What of the shape `was` reads otherwise as `now`.
fn read_otherwise(was: &Shape, now: &Shape, has_edition: HasEdition<'_>) -> BTreeSet<(At, String)> {
    obstacles(was, now, now, has_edition).into_iter().map(|it| (it.at, it.keep)).collect()
}

/// How much of an accepted change still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// All that was accepted is so.
    Wholly,
    /// Some of it was taken back.
    Partly,
    /// The event reads what it was as ever.
    Not,
}

/// How much of the change from `was` to `became` holds for an event that is `now` something else.
pub(crate) fn holds(was: &Shape, became: &Shape, now: &Shape) -> Holds {
    // However it would be told.
    let read = |to| read_otherwise(was, to, &|_| false);
    let (accepted, left) = (read(became), read(now));
    match accepted.is_subset(&left) {
        true => Holds::Wholly,
        false if left.is_empty() => Holds::Not,
        false => Holds::Partly,
    }
}

/// Obstacles with the events that they stand before: a nested message is part of many.
#[derive(Default)]
struct Unreadable {
    obstacles: BTreeMap<Obstacle, Vec<Met>>,
}

/// An event that meets an obstacle.
struct Met {
    event_type: String,
    message: String,
    version: u32,
    /// For each of its shapes that has the obstacle.
    acceptable: Vec<Acceptable>,
}

impl Unreadable {
    fn add(&mut self, obstacle: &Obstacle, event: &Event, acceptable: Acceptable) {
        let met = self.obstacles.entry(obstacle.clone()).or_default();
        if let Some(known) = met.iter_mut().find(|it| it.event_type == event.event_type) {
            known.acceptable.push(acceptable);
            return;
        }
        met.push(Met {
            event_type: event.event_type.clone(),
            message: event.message.name().to_owned(),
            version: event.version,
            acceptable: vec![acceptable],
        });
    }

    fn findings(self, places: &Places<'_>) -> Vec<Finding> {
        self.obstacles.into_iter().map(|(obstacle, met)| finding(obstacle, met, places)).collect()
    }
}

fn finding(obstacle: Obstacle, met: Vec<Met>, places: &Places<'_>) -> Finding {
    let (symbol, location) = places.element(&obstacle.at);
    let events: Vec<_> = met.iter().map(|it| format!("`{}` version {}", it.event_type, it.version)).collect();
    let breaking = obstacle.code.severity() == Severity::Error;
    let mut ways_out = Vec::new();
    if breaking {
        ways_out.push(raise(&met));
    }
    ways_out.push(obstacle.keep);
    if breaking {
        ways_out.push(accept_all(met.iter().map(|it| Subject::Event(it.event_type.clone()))));
    }
    Finding {
        code: obstacle.code,
        symbol,
        location,
        message: format!("{}; recorded in {}", obstacle.message, events.join(", ")),
        ways_out,
        rules: Vec::new(),
        acceptable: met.into_iter().flat_map(|it| it.acceptable).collect(),
    }
}

/// How the versions of all events that meet an obstacle are raised.
fn raise(met: &[Met]) -> String {
    let raised = |it: &Met| format!("`version: {}` in (potter.event) of {}", it.version.saturating_add(1), it.message);
    let all = met.iter().map(raised).collect::<Vec<_>>().join(", ");
    match met {
        [it] => format!("raise the event's version: {all}; an upcaster from version {} is then asked for", it.version),
        _ => format!("raise the version of each event: {all}; upcasters are then asked for"),
    }
}

/// Where an event's version is given.
pub(super) fn version_place(event: &Event, places: &Places<'_>) -> Location {
    places.event_option(&event.message, key::VERSION)
}

/// How a change is accepted.
pub(super) fn accept(subject: &Subject) -> String {
    accept_all([subject.clone()])
}

/// How a change is accepted for all that it is about.
fn accept_all(subjects: impl IntoIterator<Item = Subject>) -> String {
    let command = |subject| {
        let subject = match subject {
            Subject::Event(event_type) => format!("--event {event_type}"),
            Subject::Rpc(name) => format!("--rpc {name}"),
        };
        format!("`potter-gen accept {subject} --reason \"…\"`")
    };
    let commands: Vec<_> = subjects.into_iter().map(command).collect();
    format!("accept it on purpose: {}", commands.join(" and "))
}

/// Whether exactly this change was accepted, and not made yet.
pub(super) fn is_accepted(accepted: &[Accepted], change: &Acceptable) -> bool {
    accepted.iter().any(|it| !it.used && it.subject == change.subject && it.from == change.from && it.to == change.to)
}
