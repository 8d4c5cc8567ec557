//! What keeps a service upright while a database or a broker isn't: timeouts, retries, a circuit breaker, a bulkhead.
//!
//! A [`Guard`] stands before one such part. Every call through it ends within the timeout; after several outages in a
//! row the circuit opens, and calls fail at once until one that is let through to try succeeds, or until the part answers a
//! ping after it hadn't; calls that may be repeated are, a few times; and no more than so many run at the same time, so that a slow part doesn't take all of
//! the service with it. [`GuardedStore`] is a store behind a guard.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use failsafe::futures::CircuitBreaker;
use failsafe::{Config, Error, StateMachine, backoff, failure_policy};
use metrics::{Counter, Histogram, counter, histogram};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::store::{Layer, Layered, MayBeOutage, StoreError};

/// How much a guard puts up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a call may take, all attempts together; waiting for its turn may take as long.
    pub timeout: Duration,
    /// How often a call that may be repeated is made before its outage is told.
    pub attempts: usize,
    /// After so many outages in a row the circuit opens.
    pub outages: u32,
    /// How long it stays open before a call is let through to try.
    pub open_for: Duration,
    /// Calls that run at the same time; others wait for their turn, within the timeout.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            attempts: 3,
            outages: 5,
            open_for: Duration::from_secs(1),
            concurrency: 512,
        }
    }
}

/// A store behind a guard.
///
/// What writes needs no place in the bulkhead, because a store writes many units at once.
pub type GuardedStore = Layered<Guard>;

type Breaker = StateMachine<failure_policy::ConsecutiveFailures<backoff::Constant>, ()>;

/// Stands before a part of the service that may fail.
pub struct Guard {
    limits: Limits,
    breaker: Breaker,
    places: Semaphore,
    /// Whether the part didn't answer the last ping.
    silent: AtomicBool,
    meter: Meter,
}

/// What is counted of a guard's calls.
struct Meter {
    duration: Histogram,
    outages: Counter,
    rejected: Counter,
    retries: Counter,
}

impl Meter {
    fn new(part: &'static str) -> Self {
        Self {
            duration: histogram!("potter_guarded_call_duration_seconds", "part" => part),
            outages: counter!("potter_guarded_call_outages_total", "part" => part),
            rejected: counter!("potter_guarded_call_rejections_total", "part" => part),
            retries: counter!("potter_guarded_call_retries_total", "part" => part),
        }
    }
}

impl Guard {
    /// A guard before `part`, which is what metrics call it.
    #[must_use]
    pub fn new(part: &'static str, limits: Limits) -> Self {
        let policy = failure_policy::consecutive_failures(limits.outages.max(1), backoff::constant(limits.open_for));
        Self {
            breaker: Config::new().failure_policy(policy).build(),
            places: Semaphore::new(limits.concurrency.max(1)),
            silent: AtomicBool::new(false),
            meter: Meter::new(part),
            limits,
        }
    }

    async fn call_until<T: Send, E: MayBeOutage>(
        &self,
        deadline: Instant,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let began = Instant::now();
        let in_time = async {
            let result = timeout_at(deadline, call).await;
            result.unwrap_or_else(|_| Err(self.took_too_long(operation).into()))
        };
        let result = self.breaker.call_with(E::is_outage, in_time).await;
        self.meter.duration.record(began.elapsed());
        result.map_err(|error| match error {
            Error::Inner(error) => {
                self.meter.outages.increment(u64::from(error.is_outage()));
                error
            }
            Error::Rejected => {
                self.meter.rejected.increment(1);
                StoreError::new(operation, "it has failed several times in a row and isn't tried at the moment").into()
            }
        })
    }

    /// How long to wait before each further attempt.
    fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let attempts = self.limits.attempts.saturating_sub(1);
        let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(20)).with_max_times(attempts);
        pauses.with_jitter().build()
    }

    fn may_try_again(&self) -> bool {
        self.breaker.is_call_permitted()
    }

    fn took_too_long(&self, operation: &'static str) -> StoreError {
        StoreError::new(operation, format!("no answer within {:?}", self.limits.timeout))
    }
}

impl Layer for Guard {
    /// Ends with the call's own result; or it took too long, or the circuit is open: then nobody knows, or nothing was done.
    async fn once<T: Send, E: MayBeOutage>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.call_until(Instant::now() + self.limits.timeout, operation, call).await
    }

    /// When its turn has come; again after an outage, unless the circuit is open.
    async fn again<T: Send, E: MayBeOutage, F: Future<Output = Result<T, E>> + Send>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T, E> {
        let waiting = timeout(self.limits.timeout, self.places.acquire());
        let Ok(_place) = waiting.await else { return Err(self.took_too_long(operation).into()) };
        // For all attempts together. Its turn has a time of its own: who waited long would otherwise be taken for an outage.
        let deadline = Instant::now() + self.limits.timeout;
        let mut pauses = self.pauses();
        let mut told = None;
        loop {
            let failed = match self.call_until(deadline, operation, call()).await {
                Err(error) if error.is_outage() => error,
                result => return result,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // That an attempt was broken off says less than what the one before it was told.
                return Err(told.unwrap_or(failed));
            }
            let Some(pause) = pauses.next().filter(|pause| self.may_try_again() && *pause < left) else {
                return Err(failed);
            };
            sleep(pause).await;
            if !self.may_try_again() {
                return Err(failed);
            }
            self.meter.retries.increment(1);
            told = Some(failed);
        }
    }

    /// A part that didn't answer, and now does, is back: the circuit closes at once.
    fn pinged(&self, answered: bool) {
        let was_silent = self.silent.swap(!answered, Ordering::Relaxed);
        if answered && was_silent {
            self.breaker.reset();
        }
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::CommitError;
    use crate::store::contract::Fixture;

    fn outage() -> StoreError {
        StoreError::new("test", "out of reach")
    }

    fn guard(limits: Limits) -> Guard {
        Guard::new("test", limits)
    }

    /// Fails so many times, and then works; counts the calls.
    struct Part(AtomicU32, u32);

    impl Part {
        async fn call(&self) -> Result<(), StoreError> {
            if self.0.fetch_add(1, Ordering::SeqCst) < self.1 { Err(outage()) } else { Ok(()) }
        }

        fn calls(&self) -> u32 {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_repeated_is() {
        let part = Part(AtomicU32::new(0), 2);
        guard(Limits::default()).again("test", || part.call()).await.expect("the third time");
        assert_eq!(part.calls(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_not_be_repeated_is_not() {
        let part = Part(AtomicU32::new(0), 1);
        guard(Limits::default()).once("test", part.call()).await.expect_err("told at once");
        assert_eq!(part.calls(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_timeout() {
        let guard = guard(Limits::default());
        let began = tokio::time::Instant::now();
        let never = std::future::pending::<Result<(), StoreError>>();
        let error = guard.once("read", never).await.expect_err("no answer").to_string();
        assert_eq!((error.as_str(), began.elapsed().as_secs()), ("read: no answer within 5s", 5));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_share_the_timeout() {
        let (guard, calls) = (guard(Limits::default()), AtomicU32::new(0));
        let began = tokio::time::Instant::now();
        let slowly = || async {
            calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(3)).await;
            Err::<(), _>(outage())
        };
        let error = guard.again("read", slowly).await.expect_err("no answer").to_string();
        assert_eq!((calls.load(Ordering::SeqCst), began.elapsed().as_secs()), (2, 5));
        assert_eq!(error, "test: out of reach", "what the first attempt was told");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_pauses_beyond_the_timeout() {
        let (guard, calls) = (guard(Limits::default()), AtomicU32::new(0));
        let began = tokio::time::Instant::now();
        let late = || async {
            calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(4990)).await;
            Err::<(), _>(outage())
        };
        let error = guard.again("read", late).await.expect_err("out of reach").to_string();
        assert_eq!((error.as_str(), calls.load(Ordering::SeqCst)), ("test: out of reach", 1));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn the_circuit_closes_when_the_part_answers_again() {
        let limits = Limits { outages: 1, open_for: Duration::from_secs(3600), ..Limits::default() };
        let (guard, part) = (guard(limits), Part(AtomicU32::new(0), 1));
        guard.once("test", part.call()).await.expect_err("out of reach");
        guard.pinged(true);
        guard.once("test", part.call()).await.expect_err("it has answered all along, and fails all the same");
        guard.pinged(false);
        guard.once("test", part.call()).await.expect_err("it doesn't answer");
        guard.pinged(true);
        guard.once("test", part.call()).await.expect("it is back");
    }

    #[tokio::test]
    async fn the_circuit_opens_and_closes_again() {
        let limits = Limits { outages: 2, open_for: Duration::from_millis(50), ..Limits::default() };
        let (guard, part) = (guard(limits), Part(AtomicU32::new(0), 2));
        for _ in 0..5 {
            guard.once("test", part.call()).await.expect_err("out of reach, or not tried");
        }
        assert_eq!(part.calls(), 2, "not tried while the circuit is open");
        let opened = async {
            while guard.once("test", part.call()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), opened).await.expect("it closes again");
    }

    #[tokio::test]
    async fn a_refusal_is_no_outage() {
        let guard = guard(Limits { outages: 1, ..Limits::default() });
        for _ in 0..3 {
            let refused = guard.once("commit", async { Err::<(), _>(CommitError::Conflict { actual: 1 }) }).await;
            assert!(matches!(refused, Err(CommitError::Conflict { .. })), "{refused:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_run_at_the_same_time() {
        let guard = guard(Limits { concurrency: 1, ..Limits::default() });
        let never = guard.again("first", std::future::pending::<Result<(), StoreError>>);
        let second = guard.again("second", || async { Ok::<_, StoreError>(()) });
        let (_, second) = tokio::join!(tokio::time::timeout(Duration::from_secs(6), never), second);
        assert_eq!(second.expect_err("no place").to_string(), "second: no answer within 5s");
    }

    async fn open() -> Fixture {
        let store = GuardedStore::new(Arc::new(MemoryStore::new()), guard(Limits::default()));
        Fixture { store: Arc::new(store), create_table: |_| String::new(), guard: Box::new(()) }
    }

    crate::store_contract!(open);
}
