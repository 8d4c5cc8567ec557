//! The sample service behind a real server, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use potter_core::dispatch;
use potter_core::memory::MemoryStore;
use potter_core::retries::Retries;
use potter_core::testing::TestApp;
use potter_http::{Body, HttpServer, Options, Rest, Route};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const OPENAPI: &str = r#"{"openapi":"3.1.0"}"#;

const fn route(method: &'static str, path: &'static str, rpc: &'static str, body: Body) -> Route {
    Route { method, path, rpc, body, response_body: None }
}

pub const ROUTES: &[Route] = &[
    route("POST", "/api/v1/products", "shop.v1.Catalogue/CreateProduct", Body::All),
    route("POST", "/api/v1/products:import", "shop.v1.Catalogue/ImportProduct", Body::All),
    route("PUT", "/api/v1/products/{product_id}", "shop.v1.Catalogue/UpdateProduct", Body::All),
    route("PATCH", "/api/v1/products/{product.product_id}", "shop.v1.Catalogue/PatchProduct", Body::Field("product")),
    route("DELETE", "/api/v1/products/{product_id}", "shop.v1.Catalogue/DeleteProduct", Body::None),
    route("POST", "/api/v1/products/{product_id}/reserve-stock", "shop.v1.Catalogue/ReserveStock", Body::All),
    route("GET", "/api/v1/products/{id}", "shop.v1.Catalogue/GetProduct", Body::None),
    Route {
        method: "GET",
        path: "/api/v1/products/{id}/bare",
        rpc: "shop.v1.Catalogue/GetProduct",
        body: Body::None,
        response_body: Some("product"),
    },
    route("GET", "/api/v1/products", "shop.v1.Catalogue/ListProducts", Body::None),
    route("POST", "/mirror", "shop.v1.Mirror/Reflect", Body::All),
    route("GET", "/mirror", "shop.v1.Mirror/Reflect", Body::None),
    route("POST", "/mirror/filter", "shop.v1.Mirror/Reflect", Body::Field("filter")),
    route("POST", "/mirror/tags", "shop.v1.Mirror/Reflect", Body::Field("tags")),
    route("GET", "/mirror/numbers/{number}", "shop.v1.Mirror/Reflect", Body::None),
    route("GET", "/mirror/times/{time}/{colour}/{wrapped}", "shop.v1.Mirror/Reflect", Body::None),
    route("GET", "/mirror/shelves/{text=shelves/*}/books/{filter.name}:show", "shop.v1.Mirror/Reflect", Body::None),
    route("GET", "/mirror/files/{text=**}", "shop.v1.Mirror/Reflect", Body::None),
    Route {
        method: "GET",
        path: "/mirror/tags-only",
        rpc: "shop.v1.Mirror/Reflect",
        body: Body::None,
        response_body: Some("tags"),
    },
    Route {
        method: "GET",
        path: "/mirror/filter-only",
        rpc: "shop.v1.Mirror/Reflect",
        body: Body::None,
        response_body: Some("filter"),
    },
    route("GET", "/fail/{kind}", "shop.v1.Mirror/Fail", Body::None),
    route("GET", "/sleep", "shop.v1.Mirror/Sleep", Body::None),
];

/// A running shop.
pub struct Shop {
    pub app: TestApp,
    pub address: SocketAddr,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(Options::default()).await
    }

    pub async fn open_with(options: Options) -> Self {
        let limits = dispatch::Options {
            query_timeout: Duration::from_millis(200),
            // A refusal that may be retried is an outcome at once.
            retries: Retries::none(),
            ..Default::default()
        };
        let app = TestApp::start_with(potter_sample::module(), Arc::new(MemoryStore::new()), limits).await;
        let rest = Rest::new(ROUTES).openapi(OPENAPI);
        let server = HttpServer::new(app.dispatcher().clone(), rest, options).expect("the routes hold together");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            server.serve(listener, stopped).await
        });
        let client = reqwest::Client::new();
        Self { app, address, client, stop: Some(stop), server }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).answer().await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub async fn send(&self, method: Method, path: &str, body: &str) -> Answer {
        self.request(method, path).json_text(body).answer().await
    }

    /// Makes a product and gives its id.
    pub async fn product(&self, body: &str) -> String {
        let created = self.post("/api/v1/products", body).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        created.body["productId"].as_str().expect("a created product has an id").to_owned()
    }

    /// Asks the server to stop.
    pub fn close(&mut self) {
        self.stop.take().expect("closed once").send(()).expect("the server runs");
    }

    /// Waits until the server has stopped.
    pub async fn closed(self) {
        self.server.await.expect("the server doesn't panic").expect("the server stops in peace");
    }
}

/// A response, read.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    /// `Null` if it isn't JSON.
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("printable"))
    }

    /// Field and rule of each violation of a problem document.
    pub fn violations(&self) -> Vec<String> {
        assert_eq!(self.status, StatusCode::BAD_REQUEST, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let violations = self.body["violations"].as_array().cloned().unwrap_or_default();
        violations.iter().map(|it| format!("{}: {}", text(it, "field"), text(it, "rule"))).collect()
    }
}

pub trait Answered {
    fn json_text(self, body: &str) -> Self;
    fn answer(self) -> impl Future<Output = Answer> + Send;
}

impl Answered for RequestBuilder {
    fn json_text(self, body: &str) -> Self {
        self.header("content-type", "application/json").body(body.to_owned())
    }

    async fn answer(self) -> Answer {
        let response: Response = self.send().await.expect("the server answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("the response is whole");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, headers, text, body }
    }
}
