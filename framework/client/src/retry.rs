//! Which failures are tried again, how often and after how long.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::error::{Failure, FailureKind};

/// How often a call is tried again, and after how long.
///
/// The delays double from `first_delay` to `longest_delay`, each lengthened by a random part of itself so that
/// clients that failed together don't come back together. The call's deadline always wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first one. Default 4.
    pub times: usize,
    /// Before the second try. Default 100 ms.
    pub first_delay: Duration,
    /// Between any two tries. Default 5 s.
    pub longest_delay: Duration,
}

impl Retries {
    /// Nothing is tried again.
    pub const NONE: Self = Self { times: 0, first_delay: Duration::ZERO, longest_delay: Duration::ZERO };

    pub(crate) fn delays(&self) -> ExponentialBackoff {
        self.builder().with_max_times(self.times).build()
    }

    /// The same delays without an end.
    pub(crate) fn endless_delays(&self) -> ExponentialBackoff {
        self.builder().without_max_times().build()
    }

    fn builder(&self) -> ExponentialBuilder {
        ExponentialBuilder::default().with_min_delay(self.first_delay).with_max_delay(self.longest_delay).with_jitter()
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { times: 4, first_delay: Duration::from_millis(100), longest_delay: Duration::from_secs(5) }
    }
}

/// What is known of a failed try: whether the service may have acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It never left: the connection could not be made.
    NotSent,
    /// The service said what it did.
    Answered,
    /// The connection or the deadline broke it off: the service may have acted.
    Unknown,
}

/// Whether `failure` may be tried again without doing the same thing twice.
///
/// `repeatable`: a query, or a command that the service deduplicates.
pub(crate) fn may_repeat(failure: &Failure, reach: Reach, repeatable: bool) -> bool {
    match reach {
        Reach::NotSent => true,
        Reach::Unknown => repeatable,
        // A service that ran out of time may have acted; every other answer says that it did not.
        Reach::Answered if ran_out_of_time(failure) => failure.retryable && repeatable,
        Reach::Answered => failure.retryable,
    }
}

fn ran_out_of_time(failure: &Failure) -> bool {
    failure.kind == FailureKind::Unavailable && failure.code == "DEADLINE_EXCEEDED"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind, code: &str, retryable: bool) -> Failure {
        let failure = Failure::new(kind, code, "");
        if retryable { failure.retryable() } else { failure }
    }

    #[test]
    fn what_never_left_is_always_tried_again() {
        let failed = failure(FailureKind::Unavailable, "UNAVAILABLE", true);
        assert!(may_repeat(&failed, Reach::NotSent, false));
    }

    #[test]
    fn a_broken_connection_is_tried_again_only_where_a_repeat_does_no_harm() {
        let failed = failure(FailureKind::Unavailable, "UNAVAILABLE", true);
        assert!(may_repeat(&failed, Reach::Unknown, true));
        assert!(!may_repeat(&failed, Reach::Unknown, false));
    }

    #[test]
    fn a_service_out_of_time_may_have_acted() {
        let failed = failure(FailureKind::Unavailable, "DEADLINE_EXCEEDED", true);
        assert!(may_repeat(&failed, Reach::Answered, true));
        assert!(!may_repeat(&failed, Reach::Answered, false));
    }

    #[test]
    fn an_answer_says_itself_whether_trying_again_helps() {
        let contention = failure(FailureKind::Conflict, "CONTENTION", true);
        assert!(may_repeat(&contention, Reach::Answered, false));
        let mismatch = failure(FailureKind::Conflict, "VERSION_MISMATCH", false);
        assert!(!may_repeat(&mismatch, Reach::Answered, true));
    }

    #[test]
    fn delays_grow_to_the_longest_and_end() {
        let retries =
            Retries { times: 6, first_delay: Duration::from_millis(100), longest_delay: Duration::from_millis(400) };
        let delays: Vec<_> = retries.delays().collect();
        assert_eq!(delays.len(), 6);
        assert!(delays.iter().all(|delay| (100..=800).contains(&delay.as_millis())), "{delays:?}");
        assert!(delays[5] >= Duration::from_millis(400), "{delays:?}");
        assert_eq!(Retries::NONE.delays().count(), 0);
    }
}
