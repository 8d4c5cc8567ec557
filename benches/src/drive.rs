//! Drives work and sums up how long it took. The peers' benchmark includes this very file.

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Operations per second.
    pub rate: f64,
    /// Half of the operations took no longer.
    pub p50: Duration,
    /// 99 of 100 operations took no longer.
    pub p99: Duration,
    /// 999 of 1,000 operations took no longer.
    pub p999: Duration,
}

impl Summary {
    /// Sums up what took that long in `elapsed` altogether.
    #[must_use]
    pub fn of(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let quantile = |part: f64| {
            let place = (latencies.len() as f64 * part) as usize;
            latencies.get(place.min(latencies.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Self {
            rate: latencies.len() as f64 / elapsed.as_secs_f64(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
        }
    }
}

/// One line of four numbers: operations per second, p50, p99 and p99.9 in microseconds.
impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, p50, p99, p999 } = self;
        write!(formatter, "{rate:.0} {} {} {}", p50.as_micros(), p99.as_micros(), p999.as_micros())
    }
}

/// Keeps `callers` busy for `seconds`: each awaits what `operate` makes of its number and a count, again and again.
pub async fn drive<F, O>(callers: usize, seconds: u64, operate: O) -> Summary
where
    F: Future<Output = ()> + Send,
    O: Fn(usize, u64) -> F + Clone + Send + 'static,
{
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let operate = operate.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            let mut called = Instant::now();
            for count in 0.. {
                operate(caller, count).await;
                let answered = Instant::now();
                latencies.push(answered - called);
                if answered >= end {
                    break;
                }
                called = answered;
            }
            latencies
        });
    }
    let latencies = tasks.join_all().await.concat();
    Summary::of(latencies, begin.elapsed())
}
