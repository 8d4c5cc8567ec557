//! The sample service behind a real server, and a client of it.

use std::sync::Arc;
use std::time::Duration;

use potter_core::dispatch;
use potter_core::memory::MemoryStore;
use potter_core::retries::Retries;
use potter_core::testing::TestApp;
use potter_grpc::{GrpcServer, Options, ServeError};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// A running shop.
pub struct Shop {
    /// Kept running as long as the shop is open.
    _app: TestApp,
    pub channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(Options::default(), dispatch::Options::default()).await
    }

    pub async fn open_with(options: Options, limits: dispatch::Options) -> Self {
        // A refusal that may be retried is an outcome at once.
        let limits = dispatch::Options { retries: Retries::none(), ..limits };
        let app = TestApp::start_with(potter_sample::module(), Arc::new(MemoryStore::new()), limits).await;
        let server = GrpcServer::new(app.dispatcher().clone(), options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move { server.serve(listener, async { drop(stopped.await) }).await });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.connect().await.expect("the server listens");
        Self { _app: app, channel, stop: Some(stop), server }
    }

    /// Calls an rpc by its path.
    pub async fn call<Q, R>(&self, rpc: &str, request: Q) -> Result<Response<R>, Status>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        self.send(rpc, Request::new(request)).await
    }

    /// Calls an rpc with metadata.
    pub async fn send<Q, R>(&self, rpc: &str, request: Request<Q>) -> Result<Response<R>, Status>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.expect("the server takes calls");
        let path = format!("/{rpc}").parse().expect("a path");
        client.unary(request, path, ProstCodec::<Q, R>::default()).await
    }

    /// Asks the server to stop.
    pub fn close(&mut self) {
        self.stop.take().expect("closed once").send(()).expect("the server runs");
    }

    /// Waits until the server has stopped.
    pub async fn closed(self) {
        drop(self.channel);
        self.server.await.expect("the server doesn't panic").expect("the server stops in peace");
    }
}

/// A request with metadata.
pub fn with<Q>(request: Q, metadata: &[(&'static str, &str)]) -> Request<Q> {
    let mut request = Request::new(request);
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().expect("printable"));
    }
    request
}

/// A value of a reply's metadata.
pub fn value<'a, R>(response: &'a Response<R>, name: &str) -> &'a str {
    response.metadata().get(name).map_or("", |value| value.to_str().expect("printable"))
}

/// Limits under which a query that never answers is over soon.
pub fn impatient() -> dispatch::Options {
    dispatch::Options { query_timeout: Duration::from_millis(100), ..dispatch::Options::default() }
}
