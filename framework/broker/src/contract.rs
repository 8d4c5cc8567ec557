//! The suite that every broker passes.
//!
//! ```text
//! async fn open() -> Fixture { … }
//! potter_broker::broker_contract!(open);
//! ```
//!
//! makes one test of each function here. Every test uses names of its own, so that a server may be shared. The crate
//! that calls the macro needs `tokio` with `macros` and `rt-multi-thread`.

mod asked;
mod kept;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use tokio::time::timeout;

pub use self::asked::*;
pub use self::kept::*;
use crate::message::Message;
use crate::port::{Channel, Consumer, Deliveries, Delivery, Keeps, Messages, SharedBroker};

/// A broker to be tested, and names that nobody else uses.
pub struct Fixture {
    broker: SharedBroker,
    prefix: String,
}

/// What must come, comes within that time.
const SOON: Duration = Duration::from_secs(10);

/// What must not come, doesn't come within that time either.
const WHILE: Duration = Duration::from_millis(150);

impl Fixture {
    /// For a test of `broker`.
    ///
    /// # Panics
    /// When the clock is before 1970.
    #[must_use]
    pub fn new(broker: SharedBroker) -> Self {
        static TESTS: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
        let number = TESTS.fetch_add(1, Ordering::Relaxed);
        Self { broker, prefix: format!("test{}-{}-{number}", now.as_nanos(), std::process::id()) }
    }

    fn subject(&self, rest: &str) -> String {
        format!("{}.{rest}", self.prefix)
    }

    fn message(&self, rest: &str, payload: &str) -> Message {
        Message::new(self.subject(rest), payload.to_owned())
    }

    fn channel(&self, keeps: Keeps) -> Channel {
        Channel {
            name: self.prefix.clone(),
            subjects: vec![self.subject(">")],
            keeps,
            repeats_within: Duration::from_secs(60),
        }
    }

    async fn declare(&self, keeps: Keeps) {
        self.broker.declare(self.channel(keeps)).await.expect("the channel can be made");
    }

    async fn publish(&self, rest: &str, payload: &str) {
        self.broker.publish(self.message(rest, payload)).await.expect("it is kept");
    }

    fn consumer(&self, name: &str) -> Consumer {
        Consumer::new(self.prefix.clone(), name)
    }

    async fn consume(&self, name: &str) -> Deliveries {
        self.broker.consume(self.consumer(name)).await.expect("it can take part")
    }
}

/// Makes a test of each function of the suite; `$open` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! broker_contract {
    ($open:path) => {
        $crate::broker_contract!(@each $open:
            keeps_a_message_as_it_was
            keeps_messages_for_a_consumer_that_comes_later
            goes_on_where_a_consumer_has_stopped
            keeps_one_of_repeats
            delivers_again_what_is_put_back
            delivers_again_what_nobody_answers
            waits_for_who_is_working
            delivers_no_more_than_may_be_in_flight
            lets_two_share_a_consumer
            gives_every_consumer_everything
            gives_a_consumer_the_subjects_it_wants
            tells_how_much_a_consumer_has_before_it
            forgets_what_a_queue_has_delivered
            keeps_what_it_has_when_declared_again
            refuses_a_subject_that_nobody_keeps
            refuses_a_consumer_of_no_channel
            refuses_to_look_at_no_consumer
            lets_listeners_hear_from_now_on
            passes_a_question_to_one_of_a_group
            says_that_nobody_serves
            says_that_nobody_answers
            answers_a_ping_until_it_is_closed
        );
    };
    (@each $open:path: $($name:ident)*) => {
        mod contract {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::contract::$name($open().await).await;
                }
            )*
        }
    };
}

async fn next(deliveries: &mut Deliveries) -> Delivery {
    let next = timeout(SOON, deliveries.next()).await.expect("a message comes");
    next.expect("the consumer goes on").expect("the broker is in reach")
}

async fn done(deliveries: &mut Deliveries) -> String {
    let delivery = next(deliveries).await;
    delivery.answer.done().await.expect("it can be acknowledged");
    text(&delivery.message)
}

async fn nothing(deliveries: &mut Deliveries) {
    let next = timeout(WHILE, deliveries.next()).await;
    assert!(next.is_err(), "{next:?}");
}

async fn heard(messages: &mut Messages) -> String {
    text(&timeout(SOON, messages.next()).await.expect("a message comes").expect("they go on"))
}

fn text(message: &Message) -> String {
    String::from_utf8(message.payload.to_vec()).expect("payloads of the suite are text")
}
