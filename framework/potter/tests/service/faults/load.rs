//! Callers of the sample service, and what each knows of its commands in the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use potter::store::contract::ledger::{Known, Ledger};
use potter::uuid::Uuid;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::http::{Response, get, post, send_with};

/// Callers at a time, and the products that they fight for.
const CALLERS: usize = 64;
const PRODUCTS: usize = 16;

/// How long a caller waits for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// What a caller waits before it tries again, unless it is sent elsewhere meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// A load on one or several nodes.
pub struct Load {
    aim: watch::Sender<Option<Vec<SocketAddr>>>,
    answered: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Ledger>>,
}

/// What a command is.
struct Order {
    method: &'static str,
    path: String,
    body: String,
    /// Whether it may be sent again under its key.
    repeatable: bool,
}

/// What a caller was told.
enum Told {
    Known(Known),
    Nothing,
}

impl Load {
    /// Makes the products and keeps callers busy, all of them at that node until they are sent elsewhere.
    pub async fn start(node: SocketAddr) -> Self {
        let mut products = Vec::new();
        for number in 0..PRODUCTS {
            // Some are soon sold out, so that commands are refused as well.
            let stock = if number % 4 == 0 { 50 } else { 1_000_000 };
            let created = post(node, "/products", &json!({ "name": "lamp", "stock": stock }).to_string()).await;
            products.push(created.expect("an answer").json()["productId"].as_str().expect("an id").to_owned());
        }
        let aim = watch::Sender::new(Some(vec![node]));
        let (answered, products) = (Arc::default(), Arc::new(products));
        let callers = (0..CALLERS).map(|number| {
            let caller = Caller { number, aim: aim.subscribe(), answered: Arc::clone(&answered) };
            tokio::spawn(caller.call(products.clone()))
        });
        Self { callers: callers.collect(), aim, answered }
    }

    /// Sends the callers to these nodes.
    pub fn aim<const N: usize>(&self, nodes: [SocketAddr; N]) {
        self.aim.send_replace(Some(nodes.into()));
    }

    /// Commands that were answered until now.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more commands are answered.
    pub async fn goes_on(&self, more: usize) {
        let enough = self.answered() + more;
        super::until("the load goes on", async || self.answered() >= enough).await;
    }

    /// Lets every caller find out what became of its last command, if that can be found out; tells what they know.
    pub async fn stop(self) -> Ledger {
        self.aim.send_modify(|aim| *aim = None);
        let mut ledger = Ledger::new();
        for caller in self.callers {
            ledger.extend(caller.await.expect("no panic"));
        }
        ledger
    }
}

struct Caller {
    number: usize,
    aim: watch::Receiver<Option<Vec<SocketAddr>>>,
    answered: Arc<AtomicUsize>,
}

impl Caller {
    async fn call(mut self, products: Arc<Vec<String>>) -> Ledger {
        let mut ledger = Ledger::new();
        let mut nodes = self.nodes();
        while let Some(node) = nodes.as_ref().map(|nodes| nodes[ledger.len() % nodes.len()]) {
            let number = ledger.len();
            let id = format!("{}-{number}", self.number);
            let order = order(self.number.wrapping_mul(31).wrapping_add(number), &products);
            let known = self.insist(node, &order, &id).await;
            ledger.push((id, known));
            nodes = self.nodes();
        }
        ledger
    }

    /// Where to call; `None`: nowhere any more.
    fn nodes(&mut self) -> Option<Vec<SocketAddr>> {
        self.aim.borrow_and_update().clone()
    }

    /// Sends a command, again if that is allowed, until it is known what became of it.
    async fn insist(&mut self, mut node: SocketAddr, order: &Order, id: &str) -> Known {
        for attempt in 0.. {
            match send(node, order, id).await {
                Told::Known(Known::Refused) if attempt > 0 => return Known::Nothing,
                Told::Known(known) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return known;
                }
                Told::Nothing if !order.repeatable => break,
                Told::Nothing => {}
            }
            // Nowhere else to go is an answer too: the load ends, and the last node lives.
            let _ = timeout(PAUSE, self.aim.changed()).await;
            node = self.nodes().map_or(node, |nodes| nodes[attempt % nodes.len()]);
        }
        Known::Nothing
    }
}

fn order(number: usize, products: &[String]) -> Order {
    let product = &products[number % products.len()];
    match number % 5 {
        0 => Order {
            method: "POST",
            path: "/products:import".to_owned(),
            body: json!({ "name": "torch", "stock": number }).to_string(),
            repeatable: true,
        },
        1 => Order {
            method: "PUT",
            path: format!("/products/{product}"),
            body: json!({ "name": "lamp", "priceCents": number.to_string() }).to_string(),
            repeatable: true,
        },
        _ => Order {
            method: "POST",
            path: format!("/products/{product}/reserve"),
            body: json!({ "quantity": 1 + number % 3 }).to_string(),
            repeatable: false,
        },
    }
}

async fn send(node: SocketAddr, order: &Order, id: &str) -> Told {
    let mut headers = format!("x-correlation-id: {id}\r\n");
    if order.repeatable {
        headers += &format!("idempotency-key: {id}\r\n");
    }
    let answer = send_with(node, order.method, &order.path, &order.body, &headers);
    match timeout(ANSWERED_WITHIN, answer).await {
        Ok(Ok(response)) => read(node, &response).await,
        Ok(Err(_)) | Err(_) => Told::Nothing,
    }
}

async fn read(node: SocketAddr, response: &Response) -> Told {
    match response.status {
        200 | 201 => Told::Known(Known::Executed),
        202 => {
            let location = response.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location");
            // Keeps the queue short; what is told here may be told again later.
            let _ = timeout(ANSWERED_WITHIN, get(node, &format!("{location}?wait=1"))).await;
            Told::Known(Known::Accepted(command_id(location)))
        }
        409 | 422 => Told::Known(Known::Refused),
        503 | 504 => Told::Nothing,
        _ => panic!("{response:?}"),
    }
}

fn command_id(location: &str) -> Uuid {
    location.rsplit('/').next().expect("a path").parse().expect("an id")
}
