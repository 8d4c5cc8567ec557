//! The admin API: what operators see of a running service, and do to it. Off unless a token is configured.
//!
//! | request | what |
//! |---|---|
//! | `GET /admin/events?after=&limit=` | the log, from a position |
//! | `GET /admin/streams/{aggregate}/{id}?after=&limit=` | one stream, from a version |
//! | `GET /admin/projections` | how each read model is |
//! | `GET /admin/projections/{name}/parked` | what a read model could not take in |
//! | `POST /admin/projections/{name}/pause`, `resume`, `reset` | as on the command line; answers how it is then |
//! | `POST /admin/projections/{name}/replay?aggregate=&id=&type=` | tries again what is parked; answers how much it could |
//! | `POST /admin/projections/{name}/snapshot` | saves a copy of it; answers with its position |
//! | `POST /admin/projections/{name}/rebuild?from=&from_snapshot=&aggregate=&id=&type=` | begins a rebuild; 202 |
//! | `GET /admin/outgoing` | how far published events are, and the module's subscriptions |
//! | `GET /admin/dead-letters?source=&limit=` | messages that could not be taken in or published |
//! | `GET /admin/dead-letters/{id}` | one of them |
//! | `POST /admin/dead-letters/replay?source=` | tries them again |
//! | `POST /admin/dead-letters/{id}/replay` | tries one again |
//! | `POST /admin/dead-letters/{id}/discard` | removes one for good |
//! | `GET /admin/commands` | accepted commands without an outcome |
//! | `GET /admin/commands/{id}` | how far a command is |

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use potter_core::dispatch::Dispatcher;
use potter_core::event::{RecordedEvent, StreamId};
use potter_core::failure::Failure;
use potter_core::inspect::{self, Payloads};
use potter_core::messages::Messages;
use potter_core::projection::{self, ProjectionStatus, Rebuild};
use potter_core::replay::Replay;
use potter_core::store::{CommandStatus, DeadLetter, DeadLetterFilter, Generation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::exchange::Exchange;
use crate::problem::{Problem, http_codes};
use crate::reply::json_response;

/// Events in an answer if the request doesn't say how many, and at most.
const EVENTS: u64 = 100;
const MAX_EVENTS: u64 = 1000;

/// The parameters that say which events are meant.
const EVENTS_OF: [&str; 3] = ["aggregate", "id", "type"];

/// How long an answer waits for a rebuild that may fail at once.
const BEGINNING: Duration = Duration::from_millis(500);

/// A token that a caller must show.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// The token, of which only a digest is kept.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn is(&self, shown: &str) -> bool {
        self.0.ct_eq(Self::new(shown).0.as_slice()).into()
    }
}

/// Nothing of it is shown.
impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken")
    }
}

/// What can be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admin {
    Events,
    Stream,
    Projections,
    Parked,
    Projection(Action),
    Outgoing,
    DeadLetters,
    DeadLetter,
    ReplayAll,
    ReplayOne,
    Discard,
    PendingCommands,
    Command,
}

/// What can be done to a projection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Pause,
    Resume,
    Reset,
    Snapshot,
    Rebuild,
    Replay,
}

/// Where it is.
pub(crate) const ENDPOINTS: [(Method, &str, Admin); 18] = [
    (Method::GET, "/admin/events", Admin::Events),
    (Method::GET, "/admin/streams/{aggregate}/{id}", Admin::Stream),
    (Method::GET, "/admin/projections", Admin::Projections),
    (Method::GET, "/admin/projections/{name}/parked", Admin::Parked),
    (Method::POST, "/admin/projections/{name}/pause", Admin::Projection(Action::Pause)),
    (Method::POST, "/admin/projections/{name}/resume", Admin::Projection(Action::Resume)),
    (Method::POST, "/admin/projections/{name}/reset", Admin::Projection(Action::Reset)),
    (Method::POST, "/admin/projections/{name}/snapshot", Admin::Projection(Action::Snapshot)),
    (Method::POST, "/admin/projections/{name}/rebuild", Admin::Projection(Action::Rebuild)),
    (Method::POST, "/admin/projections/{name}/replay", Admin::Projection(Action::Replay)),
    (Method::GET, "/admin/outgoing", Admin::Outgoing),
    (Method::GET, "/admin/dead-letters", Admin::DeadLetters),
    (Method::GET, "/admin/dead-letters/{id}", Admin::DeadLetter),
    (Method::POST, "/admin/dead-letters/replay", Admin::ReplayAll),
    (Method::POST, "/admin/dead-letters/{id}/replay", Admin::ReplayOne),
    (Method::POST, "/admin/dead-letters/{id}/discard", Admin::Discard),
    (Method::GET, "/admin/commands", Admin::PendingCommands),
    (Method::GET, "/admin/commands/{id}", Admin::Command),
];

impl Admin {
    /// Answers a request that shows the token; `segments` are those of its path.
    pub(crate) async fn answer(
        self,
        dispatcher: &Dispatcher,
        token: Option<&AdminToken>,
        exchange: &Exchange,
        segments: &[&str],
    ) -> Result<Response, Problem> {
        authenticate(token, exchange)?;
        let request = Request { dispatcher, segments, parameters: Parameters::of(exchange) };
        match self {
            Self::Events => request.events().await,
            Self::Stream => request.stream().await,
            Self::Projections => Ok(request.projections().await),
            Self::Parked => request.parked().await,
            Self::Projection(action) => request.act(action).await,
            Self::Outgoing => request.outgoing().await,
            Self::DeadLetters => request.dead_letters().await,
            Self::DeadLetter => request.dead_letter().await,
            Self::ReplayAll => request.replay_all().await,
            Self::ReplayOne => request.replay_one().await,
            Self::Discard => request.discard().await,
            Self::PendingCommands => request.pending_commands().await,
            Self::Command => request.command().await,
        }
    }
}

fn authenticate(token: Option<&AdminToken>, exchange: &Exchange) -> Result<(), Problem> {
    let header = exchange.parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The scheme's name may be written in any case (RFC 9110, 11.1).
    let shown =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if token.zip(shown).is_some_and(|(token, (_, shown))| token.is(shown.trim())) {
        return Ok(());
    }
    let detail = "the admin API wants `Authorization: Bearer`, with the token of ADMIN_TOKEN";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, http_codes::UNAUTHENTICATED, detail);
    Err(problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
}

/// A request on its way.
struct Request<'r> {
    dispatcher: &'r Dispatcher,
    segments: &'r [&'r str],
    parameters: Parameters<'r>,
}

impl Request<'_> {
    async fn events(&self) -> Result<Response, Problem> {
        let [after, limit] = self.parameters.numbers(["after", "limit"])?;
        let limit = usize::try_from(at_most(limit)).unwrap_or(usize::MAX);
        let events = self.dispatcher.store().read_all(after.unwrap_or(0), limit).await;
        self.listed(&events.map_err(Failure::from)?)
    }

    async fn stream(&self) -> Result<Response, Problem> {
        let [after, limit] = self.parameters.numbers(["after", "limit"])?;
        let stream = StreamId::new(&self.segment(2)?, &self.segment(3)?);
        let read = self.dispatcher.store().read_stream(stream.clone(), after.unwrap_or(0)).await;
        let mut events = read.map_err(Failure::from)?;
        if events.is_empty() && after.is_none() {
            return Err(Failure::not_found("stream", stream.as_str()).into());
        }
        events.truncate(usize::try_from(at_most(limit)).unwrap_or(usize::MAX));
        self.listed(&events)
    }

    fn listed(&self, events: &[RecordedEvent]) -> Result<Response, Problem> {
        let payloads = Payloads::of(self.dispatcher.module()).map_err(|error| Failure::bug(&error))?;
        let events: Vec<_> = events.iter().map(|event| payloads.event(event)).collect();
        Ok(ok(&json!({ "events": events })))
    }

    async fn projections(&self) -> Response {
        let mut projections = Vec::new();
        for known in self.dispatcher.projections() {
            projections.push(inspect::projection(&self.examined(known).await));
        }
        ok(&json!({ "projections": projections }))
    }

    /// With what has become of the last rebuild, if the store can be asked.
    async fn examined(&self, known: ProjectionStatus) -> ProjectionStatus {
        self.dispatcher.examine_projection(known.name).await.unwrap_or(known)
    }

    async fn parked(&self) -> Result<Response, Problem> {
        let status = self.projection()?;
        let parked = self.dispatcher.store().parked(status, Generation::Live).await.map_err(Failure::from)?;
        let parked: Vec<_> = parked.iter().map(inspect::parked).collect();
        Ok(ok(&json!({ "parked": parked })))
    }

    async fn act(&self, action: Action) -> Result<Response, Problem> {
        let name = self.projection()?;
        tracing::info!(read_model = name, ?action, "asked for by the admin API");
        match action {
            Action::Pause => self.dispatcher.pause(name).await?,
            Action::Resume => self.dispatcher.resume(name).await?,
            Action::Reset => self.dispatcher.reset(name).await?,
            Action::Replay => {
                let events = self.replayed()?.unwrap_or_default();
                let replayed = self.dispatcher.replay_parked(name, events).await?;
                return Ok(ok(&json!({ "replayed": replayed })));
            }
            Action::Snapshot => {
                let position = projection::save(self.dispatcher.module(), self.dispatcher.store(), name).await?;
                return Ok(ok(&json!({ "position": position })));
            }
            Action::Rebuild => return self.begin_rebuild(name).await,
        }
        Ok(ok(&inspect::projection(&self.dispatcher.examine_projection(name).await?)))
    }

    /// A rebuild may take longer than anybody waits for an answer; one that fails at once is told, and what becomes of it
    /// later tells the projection.
    async fn begin_rebuild(&self, name: &'static str) -> Result<Response, Problem> {
        let (dispatcher, begin) = (self.dispatcher.clone(), self.rebuild()?);
        let rebuilding = tokio::spawn(async move { dispatcher.rebuild_from(name, begin).await });
        if let Ok(ended) = tokio::time::timeout(BEGINNING, rebuilding).await {
            ended.map_err(|error| Failure::bug(&error))??;
        }
        let status = self.dispatcher.examine_projection(name).await?;
        Ok(json_response(StatusCode::ACCEPTED, &inspect::projection(&status)))
    }

    /// What a rebuild begins with: one of a position, the snapshot, the rows of some events.
    fn rebuild(&self) -> Result<Rebuild, Problem> {
        let texts = ["from_snapshot", "aggregate", "id", "type"];
        let ([from_snapshot, aggregate, id, event_type], [from]) = self.parameters.read(texts, ["from"])?;
        let from_snapshot = match from_snapshot.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::invalid("from_snapshot", "format", "must be true or false")),
        };
        match (from, from_snapshot, self.events_of([aggregate, id, event_type])?) {
            (from, false, None) => Ok(Rebuild::After(from.unwrap_or(0))),
            (None, true, None) => Ok(Rebuild::FromSnapshot),
            (None, false, Some(events)) => Ok(Rebuild::RowsOf(events)),
            _ => {
                let detail = "stands alone, as `from_snapshot` does, and `aggregate`, `id` and `type` among themselves";
                Err(Problem::invalid("from", "too_many_parameters", detail))
            }
        }
    }

    /// Which events are to be tried again; `None` if nothing is said.
    fn replayed(&self) -> Result<Option<Replay>, Problem> {
        let (said, []) = self.parameters.read(EVENTS_OF, [])?;
        self.events_of(said)
    }

    /// The events of which these are the [`EVENTS_OF`]; `None` if nothing is said.
    fn events_of(&self, said: [Option<String>; 3]) -> Result<Option<Replay>, Problem> {
        let said = EVENTS_OF.into_iter().zip(&said);
        let terms: Vec<_> = said.filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        if terms.is_empty() {
            return Ok(None);
        }
        let events =
            Replay::of_terms(&terms).ok_or_else(|| Problem::invalid("id", "aggregate", "takes an `aggregate` too"))?;
        events.check(self.dispatcher.module())?;
        Ok(Some(events))
    }

    async fn pending_commands(&self) -> Result<Response, Problem> {
        let pending = self.dispatcher.store().pending_commands().await.map_err(Failure::from)?;
        let commands: Vec<_> =
            pending.into_iter().map(|command| inspect::command(&CommandStatus { command, outcome: None })).collect();
        Ok(ok(&json!({ "commands": commands })))
    }

    async fn outgoing(&self) -> Result<Response, Problem> {
        let status = self.messages()?.status().await.map_err(Failure::from)?;
        Ok(ok(&inspect::outgoing(&status)))
    }

    async fn dead_letters(&self) -> Result<Response, Problem> {
        let ([source], [limit]) = self.parameters.read(["source"], ["limit"])?;
        let limit = u32::try_from(at_most(limit)).ok();
        let filter = DeadLetterFilter { source, limit, ..DeadLetterFilter::default() };
        let letters = self.dispatcher.store().dead_letters(filter).await.map_err(Failure::from)?;
        let letters: Vec<_> = letters.iter().map(inspect::dead_letter).collect();
        Ok(ok(&json!({ "deadLetters": letters })))
    }

    async fn dead_letter(&self) -> Result<Response, Problem> {
        Ok(ok(&inspect::dead_letter(&self.letter().await?)))
    }

    async fn replay_all(&self) -> Result<Response, Problem> {
        let ([source], []) = self.parameters.read(["source"], [])?;
        self.replay(DeadLetterFilter { source, ..DeadLetterFilter::default() }).await
    }

    async fn replay_one(&self) -> Result<Response, Problem> {
        let id = Some(self.letter().await?.id);
        self.replay(DeadLetterFilter { id, ..DeadLetterFilter::default() }).await
    }

    async fn replay(&self, filter: DeadLetterFilter) -> Result<Response, Problem> {
        tracing::info!(?filter, "replays dead letters: asked for by the admin API");
        let replayed = self.messages()?.replay(filter).await.map_err(Failure::from)?;
        let replayed: Vec<_> = replayed.iter().map(inspect::replayed).collect();
        Ok(ok(&json!({ "replayed": replayed })))
    }

    async fn discard(&self) -> Result<Response, Problem> {
        let letter = self.letter().await?;
        tracing::info!(id = %letter.id, "discards a dead letter: asked for by the admin API");
        self.dispatcher.store().remove_dead_letter(letter.id).await.map_err(Failure::from)?;
        Ok(ok(&inspect::dead_letter(&letter)))
    }

    /// The letter that the path names.
    async fn letter(&self) -> Result<DeadLetter, Problem> {
        let (id, known) = self.id()?;
        let filter = DeadLetterFilter { id: Some(known), ..DeadLetterFilter::default() };
        let found = self.dispatcher.store().dead_letters(filter).await.map_err(Failure::from)?.pop();
        Ok(found.ok_or_else(|| Failure::not_found("dead letter", &id))?)
    }

    fn messages(&self) -> Result<Arc<dyn Messages>, Problem> {
        Ok(self.dispatcher.messages().ok_or_else(|| Failure::unimplemented("a transport for messages"))?)
    }

    /// The UUID that the path names, as it is written and as it is.
    fn id(&self) -> Result<(String, Uuid), Problem> {
        let id = self.segment(2)?;
        let known = Uuid::try_parse(&id).map_err(|_| Problem::invalid("id", "format", "must be a UUID"))?;
        Ok((id, known))
    }

    async fn command(&self) -> Result<Response, Problem> {
        let (id, known) = self.id()?;
        let status = self.dispatcher.status(known).await?.ok_or_else(|| Failure::not_found("command", &id))?;
        Ok(ok(&inspect::command(&status)))
    }

    /// The read model that the path names.
    fn projection(&self) -> Result<&'static str, Problem> {
        let name = self.segment(2)?;
        let known = self.dispatcher.module().read_models().find(|it| **it == *name);
        Ok(known.ok_or_else(|| Failure::not_found("read model", &name))?)
    }

    fn segment(&self, index: usize) -> Result<String, Problem> {
        let decoded = self.segments.get(index).and_then(|it| percent_decode_str(it).decode_utf8().ok());
        decoded.map(Into::into).ok_or_else(|| Problem::invalid("", "utf8", "has a path that is not UTF-8"))
    }
}

fn at_most(limit: Option<u64>) -> u64 {
    limit.unwrap_or(EVENTS).min(MAX_EVENTS)
}

fn ok(value: &Value) -> Response {
    json_response(StatusCode::OK, value)
}

/// The values of parameters that are texts, and of those that are numbers.
type Values<const T: usize, const N: usize> = ([Option<String>; T], [Option<u64>; N]);

/// The parameters of a query.
struct Parameters<'r>(Vec<(&'r str, &'r str)>);

impl<'r> Parameters<'r> {
    fn of(exchange: &'r Exchange) -> Self {
        let query = exchange.parts.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect())
    }

    /// The values of these parameters, all of them numbers; there must be no others.
    fn numbers<const N: usize>(&self, names: [&str; N]) -> Result<[Option<u64>; N], Problem> {
        Ok(self.read([], names)?.1)
    }

    /// The values of these parameters, texts and numbers; there must be no others.
    fn read<const T: usize, const N: usize>(
        &self,
        texts: [&str; T],
        names: [&str; N],
    ) -> Result<Values<T, N>, Problem> {
        let (mut found, mut numbers) = ([const { None }; T], [None; N]);
        for (name, value) in &self.0 {
            if let Some(place) = texts.iter().position(|it| it == name) {
                found[place] = Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
                continue;
            }
            let Some(place) = names.iter().position(|it| it == name) else {
                return Err(Problem::invalid(name, "unknown_parameter", "is not a parameter of this route"));
            };
            let number = value.parse().map_err(|_| Problem::invalid(name, "format", "must be a number"))?;
            numbers[place] = Some(number);
        }
        Ok((found, numbers))
    }
}
