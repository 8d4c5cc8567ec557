//! One channel: what it keeps, and how far its consumers are.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use tokio::time::Instant;

use crate::message::Message;
use crate::port::{Channel, Consumer, Keeps};
use crate::subject::matches;

/// A channel that keeps messages for a time keeps no more than that many.
const KEPT: usize = 10_000;

/// A channel with its messages.
pub(super) struct Queue {
    pub channel: Channel,
    messages: BTreeMap<u64, Kept>,
    last: u64,
    /// Ids that came lately, oldest first.
    recent: VecDeque<(Instant, String)>,
    /// The same ids, to be found at once.
    known: HashSet<String>,
    consumers: HashMap<String, Progress>,
}

struct Kept {
    message: Message,
    at: Instant,
}

/// How far a consumer is.
#[derive(Default)]
struct Progress {
    /// The last message that was looked at.
    seen: u64,
    /// Messages that wait for their acknowledgement.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    attempts: u64,
    /// When it is delivered again.
    due: Instant,
}

/// What there is for a consumer.
pub(super) enum Next {
    /// A message.
    Ready {
        /// Its number in the channel.
        sequence: u64,
        /// How often it has been delivered, this time included.
        attempt: u64,
        /// The message.
        message: Message,
    },
    /// Nothing before that.
    At(Instant),
    /// Nothing until something changes.
    WhenChanged,
}

impl Queue {
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            messages: BTreeMap::new(),
            last: 0,
            recent: VecDeque::new(),
            known: HashSet::new(),
            consumers: HashMap::new(),
        }
    }

    /// Keeps a message; false if it is a repeat.
    pub fn keep(&mut self, message: &Message, now: Instant) -> bool {
        self.forget(now);
        if !message.id.is_empty() {
            if !self.known.insert(message.id.clone()) {
                return false;
            }
            self.recent.push_back((now, message.id.clone()));
        }
        self.last += 1;
        self.messages.insert(self.last, Kept { message: message.clone(), at: now });
        true
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) >= self.channel.repeats_within) {
            if let Some((_, id)) = self.recent.pop_front() {
                self.known.remove(&id);
            }
        }
        let Keeps::For(time) = self.channel.keeps else { return };
        while let Some(oldest) = self.messages.first_entry()
            && (now.duration_since(oldest.get().at) >= time || self.last - oldest.key() >= KEPT as u64)
        {
            oldest.remove();
        }
    }

    /// Lets a consumer take part; one that is new begins with the oldest message.
    pub fn join(&mut self, consumer: &Consumer) {
        self.consumers.entry(consumer.name.clone()).or_default();
    }

    /// What there is for a consumer now: first what is delivered again, then what is new.
    pub fn next(&mut self, consumer: &Consumer, now: Instant) -> Next {
        let progress = self.consumers.entry(consumer.name.clone()).or_default();
        let messages = &self.messages;
        progress.waiting.retain(|sequence, _| messages.contains_key(sequence));
        if let Some((&sequence, waiting)) = progress.waiting.iter_mut().find(|(_, it)| it.due <= now) {
            waiting.attempts += 1;
            waiting.due = now + consumer.patience;
            let message = messages[&sequence].message.clone();
            return Next::Ready { sequence, attempt: waiting.attempts, message };
        }
        if progress.waiting.len() < consumer.max_in_flight
            && let Some((sequence, message)) = progress.unseen(messages, consumer)
        {
            progress.waiting.insert(sequence, Waiting { attempts: 1, due: now + consumer.patience });
            return Next::Ready { sequence, attempt: 1, message };
        }
        let due = progress.waiting.values().map(|waiting| waiting.due).min();
        due.map_or(Next::WhenChanged, Next::At)
    }

    /// How many messages a consumer has before it; `None` if there is no such consumer.
    pub fn backlog(&self, consumer: &Consumer) -> Option<u64> {
        let progress = self.consumers.get(&consumer.name)?;
        let unseen = self.messages.range(progress.seen + 1..);
        let unseen = unseen.filter(|(_, kept)| wants(consumer, &kept.message)).count();
        let waiting = progress.waiting.keys().filter(|sequence| self.messages.contains_key(sequence)).count();
        Some((unseen + waiting) as u64)
    }

    /// Takes a consumer's answer to one attempt: when the message is due again, or that it is done with.
    pub fn answer(&mut self, consumer: &Consumer, sequence: u64, attempt: u64, due: Option<Instant>) {
        let Some(progress) = self.consumers.get_mut(&consumer.name) else { return };
        match (progress.waiting.get_mut(&sequence), due) {
            (Some(waiting), Some(due)) if waiting.attempts == attempt => waiting.due = due,
            (Some(_), None) => {
                progress.waiting.remove(&sequence);
                if self.channel.keeps == Keeps::UntilAcknowledged {
                    self.messages.remove(&sequence);
                }
            }
            _ => {}
        }
    }
}

fn wants(consumer: &Consumer, message: &Message) -> bool {
    consumer.subjects.is_empty() || consumer.subjects.iter().any(|it| matches(it, &message.subject))
}

impl Progress {
    /// The next message that the consumer wants and hasn't seen; passes over the others.
    fn unseen(&mut self, messages: &BTreeMap<u64, Kept>, consumer: &Consumer) -> Option<(u64, Message)> {
        for (&sequence, kept) in messages.range(self.seen + 1..) {
            self.seen = sequence;
            if wants(consumer, &kept.message) {
                return Some((sequence, kept.message.clone()));
            }
        }
        None
    }
}
