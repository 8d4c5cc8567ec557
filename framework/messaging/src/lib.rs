//! What a service does with a message broker: events and outcomes go out, commands and queries come in.
//!
//! [`Messaging::start`] stands beside a running [`Dispatcher`] and needs nothing of it but its public interface.
//! `outgoing` follows the log and publishes; `outcomes` announces how accepted commands went; `intake` accepts the
//! commands that the broker brings; `subscription` brings other modules' events, and [`replay`] tries again
//! what could not be taken in or published (`aside`); `queries` answers questions; [`status`] says how far all of it is;
//! [`GuardedBroker`] keeps an ill broker from making the service ill; `wire` puts all of it into messages and back; `link`
//! is the broker as those parts see it, with its endless patience.
//!
//! | subject | what |
//! |---|---|
//! | `<module>.events.<event type>` | events, kept by the channel `<module>-events` |
//! | `<module>.outcomes.<correlation id>` | outcomes of commands, kept by `<module>-outcomes` |
//! | `<module>.commands.<stable name>` | commands, kept by `<module>-commands` until they are accepted |
//! | `<module>.queries.<rpc>` | questions; nobody keeps them |

mod aside;
mod guarded;
mod intake;
mod link;
mod meter;
mod outcomes;
mod outgoing;
mod queries;
pub mod replay;
pub mod status;
mod subscription;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use potter_broker::{Channel, Keeps, SharedBroker};
use potter_core::dispatch::Dispatcher;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// [`potter_core::store::DeadLetter::source`] of messages that could not be published.
pub const OUTGOING: &str = aside::SOURCE;

/// The port, and the broker in the process.
pub use potter_broker as broker;

pub use crate::guarded::GuardedBroker;
use crate::link::Link;
use crate::meter::Meter;
use crate::wire::Wire;
pub use crate::wire::{DescriptorsError, Payload};

/// What may be chosen about messages.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the payloads of events and outcomes are written.
    pub payload: Payload,
    /// How long the broker keeps events.
    pub events_are_kept: Duration,
    /// Commands that are being accepted at the same time, in each process.
    pub commands_at_once: usize,
    /// Queries that are being answered at the same time, in each process.
    pub queries_at_once: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            payload: Payload::Protobuf,
            events_are_kept: Duration::from_secs(7 * 24 * 60 * 60),
            commands_at_once: 256,
            queries_at_once: 256,
        }
    }
}

/// How long the broker keeps outcomes: whoever waits for one listens already.
const OUTCOMES_ARE_KEPT: Duration = Duration::from_secs(60 * 60);

/// A message that comes again within that time is dropped by the broker: an optimisation, consumers deduplicate too.
const REPEATS_WITHIN: Duration = Duration::from_secs(120);

/// The messages of a running module.
pub struct Messaging {
    link: Arc<Link>,
    progress: Progress,
    tasks: Vec<JoinHandle<()>>,
}

/// How far the outgoing messages are.
struct Progress {
    /// Position up to which events have been published.
    published: watch::Receiver<u64>,
    /// Whether every outcome has been announced.
    announced: watch::Receiver<bool>,
}

impl Messaging {
    /// Begins to publish what the module records and to take in what is sent to it. The broker may come later.
    ///
    /// # Errors
    /// The module's descriptors contradict those of Potter's own messages.
    pub fn start(dispatcher: &Dispatcher, broker: SharedBroker, options: Options) -> Result<Self, DescriptorsError> {
        let module = dispatcher.module().name();
        let wire = Wire::new(dispatcher, options.payload)?;
        let meter = Meter::new(module);
        let channels = channels(&wire, &options);
        let link = Arc::new(Link::new(broker, dispatcher.clone(), wire, meter, channels));
        let (published, seen) = watch::channel(0);
        let (announced, told) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(link::keep_watch(link.clone(), seen.clone())),
            tokio::spawn(outgoing::run(link.clone(), published)),
            tokio::spawn(outcomes::run(link.clone(), announced)),
            tokio::spawn(intake::run(link.clone(), options.commands_at_once)),
            tokio::spawn(queries::run(link.clone(), options.queries_at_once)),
            tokio::spawn(link::count_letters(link.clone())),
            tokio::spawn(link::count_backlogs(link.clone())),
        ];
        dispatcher.attach_messages(Arc::new(status::Desk { link: link.clone() }));
        let subscriptions = dispatcher.module().subscriptions().iter().cloned();
        let followed = subscriptions.map(|it| tokio::spawn(subscription::run(link.clone(), it)));
        tasks.extend(followed);
        let health = link.clone();
        dispatcher.watch_health(move || health.health());
        let letters = link.clone();
        dispatcher.watch_health(move || letters.health_of_letters());
        Ok(Self { link, progress: Progress { published: seen, announced: told }, tasks })
    }

    /// Position up to which this process knows that events have been published.
    #[must_use]
    pub fn published(&self) -> u64 {
        *self.progress.published.borrow()
    }

    /// The broker.
    #[must_use]
    pub fn broker(&self) -> &SharedBroker {
        &self.link.broker
    }

    /// Takes no further commands and queries in; to be called before the dispatcher is drained.
    pub fn close_intake(&self) {
        self.link.intake_closed.cancel();
    }

    /// Publishes what has been recorded, but not longer than `patience`, and ends; the rest is published after the next
    /// start. To be called when the dispatcher is drained, before it is shut down.
    pub async fn stop(mut self, patience: Duration) {
        self.close_intake();
        if tokio::time::timeout(patience, self.flush()).await.is_err() {
            tracing::info!("some messages are left to be published after the next start");
        }
        self.link.stopping.cancel();
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the messages ended by a bug");
            }
        }
        self.link.broker.close().await;
    }

    /// Waits until everything that is recorded now has been published, the outcomes of commands included.
    pub async fn flush(&mut self) {
        let head = *self.link.store().head().borrow();
        let Progress { published, announced } = &mut self.progress;
        // A task that has ended publishes no more.
        let _ = published.wait_for(|position| *position >= head).await;
        let _ = announced.wait_for(|announced| *announced).await;
    }
}

fn channels(wire: &Wire, options: &Options) -> Vec<Channel> {
    let subjects = wire.subjects();
    let channel = |what: &str, pattern: String, keeps| Channel {
        name: subjects.channel(what),
        subjects: vec![pattern],
        keeps,
        repeats_within: REPEATS_WITHIN,
    };
    vec![
        channel("events", subjects.events(), Keeps::For(options.events_are_kept)),
        channel("outcomes", subjects.outcomes(), Keeps::For(OUTCOMES_ARE_KEPT)),
        channel("commands", subjects.commands(), Keeps::UntilAcknowledged),
    ]
}
