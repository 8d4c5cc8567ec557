//! Everything that generated code declares of one module.

use std::num::NonZeroUsize;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost_reflect::DescriptorPool;

use crate::command::{Command, CommandSpec};
use crate::dispatch::DeclaredCommand;
use crate::domain::{Aggregate, DomainEvent, UnreadableEvent};
use crate::projection::{DeclaredProjection, TypedProjection};
use crate::query::{AnyQuery, Cache, Query};
use crate::read_model::{KeptIn, ReadModel, Table};
use crate::store::Migration;
use crate::subscription::Subscription;

/// Events that a projection takes in at a time, in one transaction, if nobody says otherwise.
pub const PROJECTION_BATCH: NonZeroUsize = NonZeroUsize::new(1000).expect("it isn't 0");

/// A module: its messages, aggregates, commands, queries, read models, subscriptions and migrations.
///
/// ```text
/// let mut module = Module::new("shop", DESCRIPTORS);
/// module.aggregate::<Product>(&[("product.created", 1, "shop.v1.ProductCreated")]);
/// module.read_model::<Products>().migrations(MIGRATIONS);
/// catalogue::declare(&mut module, handlers);
/// ```
pub struct Module {
    name: &'static str,
    descriptors: &'static str,
    pub(crate) commands: Vec<Arc<dyn DeclaredCommand>>,
    pub(crate) queries: Vec<QueryDeclaration>,
    pub(crate) read_models: Vec<Arc<dyn DeclaredProjection>>,
    aggregates: Vec<AggregateInfo>,
    /// For each of the aggregates, how its events are read as what they are now.
    upcasting: Vec<Upcasting>,
    internal: &'static [&'static str],
    subscriptions: Vec<Subscription>,
    migrations: &'static [Migration],
    pub(crate) projection_batch: NonZeroUsize,
}

/// A query, its types forgotten.
pub(crate) struct QueryDeclaration {
    pub rpc: &'static str,
    pub reads: &'static [&'static str],
    pub cache: Option<Cache>,
    pub query: Arc<dyn AnyQuery>,
}

/// What is declared of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateInfo {
    /// Prefix of its streams.
    pub name: &'static str,
    /// Its events: stored type, schema version, full name of the message.
    pub events: &'static [(&'static str, u32, &'static str)],
}

/// A recorded event as what it is now: events of former versions are upcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentEvent {
    /// The schema version of now.
    pub schema_version: u32,
    /// Full name of its message.
    pub message: &'static str,
    /// Protobuf bytes of that message.
    pub payload: Vec<u8>,
}

/// Reads an event by stored type and schema version; its version of now, and its payload as that.
type Upcasting = fn(&str, u32, &[u8]) -> Result<(u32, Vec<u8>), UnreadableEvent>;

fn as_current<E: DomainEvent>(
    event_type: &str,
    version: u32,
    payload: &[u8],
) -> Result<(u32, Vec<u8>), UnreadableEvent> {
    let event = E::decode(event_type, version, payload)?;
    Ok((event.version(), event.encode()))
}

/// The messages that a module declares cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the module's descriptors cannot be read: {0}")]
pub struct DescriptorError(String);

impl Module {
    /// A module without anything in it. `descriptors` is a `FileDescriptorSet` of all its messages, in base64.
    #[must_use]
    pub fn new(name: &'static str, descriptors: &'static str) -> Self {
        Self {
            name,
            descriptors,
            commands: Vec::new(),
            queries: Vec::new(),
            read_models: Vec::new(),
            aggregates: Vec::new(),
            upcasting: Vec::new(),
            internal: &[],
            subscriptions: Vec::new(),
            migrations: &[],
            projection_batch: PROJECTION_BATCH,
        }
    }

    /// Adds an aggregate and its events: stored type, schema version, full name of the message.
    pub fn aggregate<A: Aggregate>(&mut self, events: &'static [(&'static str, u32, &'static str)]) -> &mut Self {
        self.aggregates.push(AggregateInfo { name: A::NAME, events });
        self.upcasting.push(as_current::<A::Event>);
        self
    }

    /// Adds a command.
    pub fn command<A, C, R>(&mut self, command: Command<A, C, R>) -> &mut Self
    where
        A: Aggregate,
        C: Message + Default + Clone + 'static,
        R: Message + 'static,
    {
        self.commands.push(Arc::new(command));
        self
    }

    /// Adds a query.
    pub fn query<Q, R>(&mut self, query: Query<Q, R>) -> &mut Self
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
    {
        let Query { rpc, reads, cache, .. } = query;
        self.queries.push(QueryDeclaration { rpc, reads, cache, query: Arc::new(query) });
        self
    }

    /// Adds a read model.
    pub fn read_model<M: ReadModel>(&mut self) -> &mut Self {
        self.read_models.push(Arc::new(TypedProjection::<M>::new()));
        self
    }

    /// Names the types of the events that stay inside: recorded, and not published.
    pub fn internal_events(&mut self, event_types: &'static [&'static str]) -> &mut Self {
        self.internal = event_types;
        self
    }

    /// Adds what is done about events of another module.
    pub fn subscription(&mut self, subscription: Subscription) -> &mut Self {
        self.subscriptions.push(subscription);
        self
    }

    /// Names the migrations of the module's own tables, in the order in which they apply.
    pub fn migrations(&mut self, migrations: &'static [Migration]) -> &mut Self {
        self.migrations = migrations;
        self
    }

    /// How many events a projection takes in at a time, in one transaction; [`PROJECTION_BATCH`] unless it is said.
    pub fn projection_batch(&mut self, events: NonZeroUsize) -> &mut Self {
        self.projection_batch = events;
        self
    }

    /// How many events a projection takes in at a time.
    #[must_use]
    pub fn events_per_batch(&self) -> NonZeroUsize {
        self.projection_batch
    }

    /// The module's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The migrations of the module's own tables.
    #[must_use]
    pub fn own_migrations(&self) -> &'static [Migration] {
        self.migrations
    }

    /// The aggregates.
    #[must_use]
    pub fn aggregates(&self) -> &[AggregateInfo] {
        &self.aggregates
    }

    /// Whether events of that type stay inside.
    #[must_use]
    pub fn is_internal(&self, event_type: &str) -> bool {
        self.internal.contains(&event_type)
    }

    /// What is done about other modules' events.
    #[must_use]
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// The commands, in the order in which they were declared.
    pub fn commands(&self) -> impl Iterator<Item = &CommandSpec> {
        self.commands.iter().map(|command| command.spec())
    }

    /// The rpcs that are queries, in the order in which they were declared.
    pub fn queries(&self) -> impl Iterator<Item = &'static str> {
        self.queries.iter().map(|query| query.rpc)
    }

    /// Names of the read models, in the order in which they were declared.
    pub fn read_models(&self) -> impl Iterator<Item = &'static str> {
        self.read_models.iter().map(|model| model.name())
    }

    /// The read models, each with its table and where it is kept if configuration doesn't say otherwise.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, Table, KeptIn)> {
        self.read_models.iter().map(|model| (model.name(), model.table(), model.kept_in()))
    }

    /// The module without queries and read models: what has effects and executes commands, beside the service that answers.
    #[must_use]
    pub fn write_side(self) -> Self {
        Self { queries: Vec::new(), read_models: Vec::new(), ..self }
    }

    /// Full name of the message that is stored as that event type in that schema version.
    #[must_use]
    pub fn event_message(&self, event_type: &str, version: u32) -> Option<&'static str> {
        let events = self.aggregates.iter().flat_map(|aggregate| aggregate.events);
        events.into_iter().find(|(ty, v, _)| *ty == event_type && *v == version).map(|(_, _, message)| *message)
    }

    /// A recorded event as what it is now.
    ///
    /// # Errors
    /// No aggregate has such an event, or its payload can't be read.
    pub fn current_event(
        &self,
        event_type: &str,
        version: u32,
        payload: &[u8],
    ) -> Result<CurrentEvent, UnreadableEvent> {
        let declared = self.aggregates.iter().zip(&self.upcasting).find_map(|(aggregate, upcasting)| {
            let (.., message) = aggregate.events.iter().find(|(ty, ..)| *ty == event_type)?;
            Some((*message, upcasting))
        });
        let Some((message, upcasting)) = declared else {
            let (event_type, reason) = (event_type.to_owned(), "this service knows no such event".to_owned());
            return Err(UnreadableEvent { event_type, version, reason });
        };
        let (schema_version, payload) = upcasting(event_type, version, payload)?;
        Ok(CurrentEvent { schema_version, message, payload })
    }

    /// The descriptors of all messages.
    ///
    /// # Errors
    /// They are not base64 of a `FileDescriptorSet` that holds together.
    pub fn descriptor_pool(&self) -> Result<DescriptorPool, DescriptorError> {
        let compact: String = self.descriptors.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(compact).map_err(|error| DescriptorError(error.to_string()))?;
        DescriptorPool::decode(bytes.as_slice()).map_err(|error| DescriptorError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_may_be_broken_into_lines() {
        let module = Module::new("shop", "CgwKCnNo\nb3AucHJvdG8=");
        let pool = module.descriptor_pool().expect("one empty file");
        assert!(pool.get_file_by_name("shop.proto").is_some());
    }

    #[test]
    fn broken_descriptors_are_an_error() {
        let error = Module::new("shop", "***").descriptor_pool().expect_err("not base64");
        assert!(error.to_string().starts_with("the module's descriptors cannot be read"), "{error}");
    }
}
