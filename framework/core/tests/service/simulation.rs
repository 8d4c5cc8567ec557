//! Several processes over one store and one broker, with faults: answers that get lost, calls that fail, processes that
//! freeze and die, read models that are paused, emptied and rebuilt in the middle of it. Whatever happens is drawn from a seed,
//! and time is the runtime's own, so that a seed gives the same run again. For that, everybody draws from a sequence of
//! their own, and no two processes do anything in the same millisecond: whom the runtime wakes first is left to chance.
//!
//! `POTTER_SEEDS=5000 cargo test -p potter-core --test service simulation` runs more of them; `POTTER_SEED=17` runs
//! that one alone.

mod messages;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use potter_broker::MemoryBroker;
use potter_core::dispatch::{Dispatcher, Options, Outcome, Request, RequestMetadata};
use potter_core::failure::{Failure, FailureKind};
use potter_core::memory::MemoryStore;
use potter_core::read_model::ReadModel;
use potter_core::store::contract::ledger::{self, Known, Ledger};
use potter_core::store::{Layer, Layered, MayBeOutage, SharedStore, Store, StoreError};
use potter_messaging::Messaging;
use prost::Message;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use self::messages::Line;
use crate::product::{self, *};

/// Seeds that every run of the tests tries.
const SEEDS: u64 = 60;

const PRODUCTS: [&str; 4] = ["a", "b", "c", "d"];
const CLIENTS: usize = 6;
const COMMANDS: usize = 12;

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Lives,
    Frozen,
    Dead,
}

/// What all processes of a run share.
struct World {
    seed: u64,
    began: Instant,
    /// Whether nothing goes wrong any more.
    calm: AtomicBool,
    /// Everything that happens, in order.
    trace: Mutex<DefaultHasher>,
    steps: AtomicU64,
}

impl World {
    fn note(&self, what: impl Hash) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        what.hash(&mut *self.trace.lock().expect("no panic"));
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// What somebody draws from.
    fn chance(&self, who: impl Hash) -> Rng {
        let mut hasher = DefaultHasher::new();
        (self.seed, who).hash(&mut hasher);
        Rng::with_seed(hasher.finish())
    }
}

/// Milliseconds that each process has to itself, one in so many.
const SLOTS: u64 = 64;

/// What is between a process and the store.
struct Network {
    world: Arc<World>,
    process: u64,
    life: watch::Receiver<Life>,
    chance: Mutex<Rng>,
    /// One in so many requests gets lost, and one in so many answers.
    luck: u64,
}

impl Network {
    /// Takes time; a process that is frozen takes more, and one that is dead never comes back.
    async fn travel(&self) {
        loop {
            let now = u64::try_from(self.world.began.elapsed().as_millis()).expect("a short run");
            let arrival = now / SLOTS + 1 + self.draw(..2);
            sleep(Duration::from_millis(arrival * SLOTS + self.process - now)).await;
            let life = *self.life.borrow();
            match life {
                Life::Lives => return,
                Life::Frozen => {}
                Life::Dead => std::future::pending().await,
            }
        }
    }

    fn draw(&self, range: impl RangeBounds<u64>) -> u64 {
        self.chance.lock().expect("no panic").u64(range)
    }

    fn has_bad_luck(&self) -> bool {
        self.draw(..self.luck) == 0 && !self.world.is_calm()
    }

    /// A call whose request or answer may get lost.
    async fn call<T: Send, E: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
        lost: impl Fn(&'static str) -> E + Send,
    ) -> Result<T, E> {
        self.travel().await;
        self.world.note((self.process, operation));
        if self.has_bad_luck() {
            return Err(lost(operation));
        }
        let result = call.await;
        self.travel().await;
        if self.has_bad_luck() {
            return Err(lost(operation));
        }
        result
    }
}

fn lost<E: MayBeOutage>(operation: &'static str) -> E {
    StoreError::new(operation, "lost on purpose").into()
}

impl Layer for Network {
    async fn once<T: Send, E: MayBeOutage>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.call(operation, call, lost).await
    }

    async fn again<T: Send, E: MayBeOutage, F: Future<Output = Result<T, E>> + Send>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T, E> {
        self.call(operation, call(), lost).await
    }

    async fn long<T: Send, E: MayBeOutage>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.call(operation, call, lost).await
    }
}

/// One process.
#[derive(Clone)]
struct Process {
    dispatcher: Dispatcher,
    messaging: Arc<Messaging>,
    life: Arc<watch::Sender<Life>>,
}

/// The processes that there are.
struct Cluster {
    world: Arc<World>,
    memory: Arc<MemoryStore>,
    broker: MemoryBroker,
    processes: Mutex<Vec<Process>>,
    started: AtomicU64,
}

impl Cluster {
    /// Starts another process; tries until it has started.
    async fn start(&self) {
        let process = self.started.fetch_add(1, Ordering::Relaxed);
        assert!(process < SLOTS - 1, "too many processes for one run");
        let life = Arc::new(watch::Sender::new(Life::Lives));
        for attempt in 0.. {
            let network = |way: &str, luck| {
                let chance = Mutex::new(self.world.chance((way, process, attempt)));
                Network { world: self.world.clone(), process, life: life.subscribe(), chance, luck }
            };
            let (line, network) = (network("to the broker", 6), network("to the store", 40));
            let store: SharedStore = Arc::new(Layered::new(self.memory.clone(), network));
            let mut module = product::module(Catalogue);
            module.subscription(messages::articles());
            match Dispatcher::start(module, store, Options::default()).await {
                Ok(dispatcher) => {
                    let messaging = self.start_messages(&dispatcher, line);
                    return self.all().push(Process { dispatcher, messaging, life });
                }
                Err(_) => sleep(Duration::from_millis(SLOTS)).await,
            }
        }
    }

    fn start_messages(&self, dispatcher: &Dispatcher, network: Network) -> Arc<Messaging> {
        let broker = Line { memory: self.broker.clone(), network: Arc::new(network) };
        Arc::new(Messaging::start(dispatcher, Arc::new(broker), Default::default()).expect("no contradictions"))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Process>> {
        self.processes.lock().expect("no panic")
    }

    /// One of those that are not dead.
    fn any(&self, chance: &mut Rng) -> Process {
        chance.choice(self.all().iter()).expect("there is always one").clone()
    }

    /// Does something bad, again and again.
    async fn misbehave(&self) {
        let mut chance = self.world.chance("faults");
        while !self.world.is_calm() {
            sleep(Duration::from_millis(SLOTS * chance.u64(2..30))).await;
            let process = self.any(&mut chance);
            let (name, dispatcher) = (Products::NAME, process.dispatcher.clone());
            let what = chance.u32(..8);
            self.world.note(("fault", what));
            match what {
                0 | 1 => {
                    process.life.send_replace(Life::Frozen);
                    let life = process.life.clone();
                    let nap = Duration::from_millis(SLOTS * chance.u64(2..60));
                    tokio::spawn(async move {
                        sleep(nap).await;
                        life.send_if_modified(|life| {
                            let frozen = *life == Life::Frozen;
                            *life = if frozen { Life::Lives } else { *life };
                            frozen
                        });
                    });
                }
                2 => {
                    self.start().await;
                    // Its tasks stay where they are, and never get an answer.
                    process.life.send_replace(Life::Dead);
                    self.all().retain(|other| !Arc::ptr_eq(&other.life, &process.life));
                }
                3 => self.briefly(async move { dispatcher.rebuild(name).await }),
                4 => self.briefly(async move { dispatcher.reset(name).await }),
                5 => self.briefly(async move { dispatcher.pause(name).await }),
                _ => self.briefly(async move { dispatcher.resume(name).await }),
            }
        }
    }

    /// Asks for something that may never be answered.
    fn briefly(&self, order: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        tokio::spawn(timeout(Duration::from_secs(20), order));
    }
}

/// Sends commands, each until it knows what became of it.
async fn client(cluster: Arc<Cluster>, number: usize) -> Ledger {
    let chance = &mut cluster.world.chance(("client", number));
    let mut known = Vec::new();
    for command in 0..COMMANDS {
        let key = format!("{number}-{command}");
        let product = chance.choice(PRODUCTS).expect("there are some");
        let quantity = chance.i64(1..20);
        let (rpc, body) = match chance.u8(..4) {
            0 => (RESTOCK, restock(product, quantity).encode_to_vec()),
            1 => (CREATE, create(product, product, quantity).encode_to_vec()),
            _ => (RESERVE, reserve(product, quantity).encode_to_vec()),
        };
        known.push((key.clone(), insist(&cluster, rpc, body, &key, chance).await));
        sleep(Duration::from_millis(SLOTS * chance.u64(..10) + 1)).await;
    }
    known
}

async fn insist(cluster: &Cluster, rpc: &str, body: Vec<u8>, key: &str, chance: &mut Rng) -> Known {
    let mut first = true;
    for _ in 0..60 {
        let metadata = RequestMetadata {
            idempotency_key: Some(key.to_owned()),
            correlation_id: Some(key.to_owned()),
            ..RequestMetadata::default()
        };
        let request = Request { body: body.clone().into(), metadata };
        let process = cluster.any(chance);
        match timeout(Duration::from_secs(10), process.dispatcher.call(rpc, request)).await {
            Ok(Ok(reply)) => {
                return match reply.outcome {
                    Outcome::Accepted { command_id, .. } => Known::Accepted(command_id),
                    _ => Known::Executed,
                };
            }
            Ok(Err(failure)) if matches!(failure.kind, FailureKind::Refused | FailureKind::Conflict) => {
                return if first { Known::Refused } else { Known::Nothing };
            }
            Ok(Err(failure)) => assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}"),
            Err(_) => {}
        }
        first = false;
        sleep(Duration::from_millis(50)).await;
    }
    Known::Nothing
}

/// What a run comes to.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    trace: u64,
    steps: u64,
    events: usize,
    processes: u64,
}

/// Everything that a seed makes happen, checked in the end.
fn simulate(seed: u64) -> Run {
    fastrand::seed(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().expect("a runtime").block_on(run(seed))
}

async fn run(seed: u64) -> Run {
    let cluster = Arc::new(Cluster {
        world: Arc::new(World {
            seed,
            began: Instant::now(),
            calm: AtomicBool::new(false),
            trace: Mutex::default(),
            steps: AtomicU64::new(0),
        }),
        memory: Arc::default(),
        broker: MemoryBroker::new(),
        processes: Mutex::default(),
        started: AtomicU64::new(0),
    });
    for _ in 0..=seed % 3 {
        cluster.start().await;
    }
    let faults = tokio::spawn({
        let cluster = cluster.clone();
        async move { cluster.misbehave().await }
    });
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(cluster.clone(), number))).collect();
    let mut known = messages::supply(&cluster.broker, cluster.world.chance("supplier")).await;
    for client in clients {
        known.extend(client.await.expect("no panic"));
    }
    cluster.world.calm.store(true, Ordering::Relaxed);
    faults.await.expect("no panic");
    come_to_rest(&cluster).await;
    ledger::check(&*cluster.memory, &known).await;
    ledger::check_read_model::<Products>(&*cluster.memory).await;
    messages::check(&cluster).await;
    let world = &cluster.world;
    let trace = world.trace.lock().expect("no panic").finish();
    let events = cluster.memory.read_all(0, usize::MAX).await.expect("readable").len();
    let (steps, processes) = (world.steps.load(Ordering::Relaxed), cluster.started.load(Ordering::Relaxed));
    Run { trace, steps, events, processes }
}

/// Nothing goes wrong any more: everybody wakes up, one more process starts, and all finish what there is.
async fn come_to_rest(cluster: &Cluster) {
    sleep(Duration::from_secs(30)).await;
    cluster.start().await;
    cluster.any(&mut Rng::with_seed(0)).dispatcher.resume(Products::NAME).await.expect("goes on");
    settle(cluster).await;
    messages::come_to_rest(cluster).await;
    // What the messages have had as effects is to be seen in the read models as well.
    settle(cluster).await;
}

async fn settle(cluster: &Cluster) {
    let processes = cluster.all().clone();
    for process in processes {
        process.dispatcher.settle(Duration::from_secs(300)).await.expect("it comes to rest");
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

#[test]
fn whatever_happens_every_command_and_event_has_its_effect_once() {
    let seeds = match variable("POTTER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("POTTER_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let run = std::panic::catch_unwind(|| simulate(seed));
        assert!(run.is_ok_and(|run| run.steps > 100), "POTTER_SEED={seed} shows it again");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let run = simulate(3);
    assert!(run.processes > 1 && run.events > 5, "{run:?}");
    // Once in some fifty times something that goes by the machine's clock comes between; not twice in a row.
    let again = simulate(3);
    if again != run {
        assert_eq!(simulate(3), run, "nor was the first repetition the same");
    }
    assert_ne!(simulate(4).trace, run.trace);
}
