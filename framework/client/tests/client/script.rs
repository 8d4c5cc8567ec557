//! A gRPC server that answers as a test says, and keeps what it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use potter_client::prost::Message;
use potter_client::prost_types::Any;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tonic::body::Body;
use tonic::codegen::tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Response, Status};

/// What the server got.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub metadata: MetadataMap,
    pub body: Vec<u8>,
}

impl Call {
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name)?.to_str().ok()
    }
}

/// How a call is answered.
pub enum Answer {
    /// With this reply and this metadata.
    Reply(Vec<u8>, Vec<(&'static str, String)>),
    /// With this status.
    Fail(Status),
    /// Never; the other end of the channel hears that the call has arrived.
    Hang(oneshot::Sender<()>),
}

/// Says how the n-th call, from 0, is answered.
type Script = Box<dyn FnMut(usize, &Call) -> Answer + Send>;

pub struct ScriptedServer {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    // Of its own, so that all its connections can be ended at once.
    runtime: Option<Runtime>,
}

impl ScriptedServer {
    pub async fn start(script: impl FnMut(usize, &Call) -> Answer + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), script).await
    }

    pub async fn start_at(address: SocketAddr, script: impl FnMut(usize, &Call) -> Answer + Send + 'static) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let calls = Arc::default();
        let state = Scripted { calls: Arc::clone(&calls), script: Arc::new(Mutex::new(Box::new(script))) };
        let router = Router::new().fallback(move |request: Request| {
            let state = state.clone();
            async move { serve(state, request).await.into_response() }
        });
        let (bound, address_bound) = oneshot::channel();
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.expect("a free port");
            bound.send(listener.local_addr().expect("an address")).expect("somebody waits for it");
            let connections = TcpListenerStream::new(listener);
            Server::builder().add_routes(Routes::from(router)).serve_with_incoming(connections).await
        });
        Self { address: address_bound.await.expect("a bound server"), calls, runtime: Some(runtime) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that arrived so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("calls").clone()
    }

    /// Ends abruptly, connections included.
    pub async fn kill(mut self) {
        let runtime = self.runtime.take().expect("a running server");
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5))).await.expect("ended");
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct Scripted {
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<Mutex<Script>>,
}

async fn serve(state: Scripted, request: Request) -> http::Response<Body> {
    let path = request.uri().path().to_owned();
    let mut grpc = tonic::server::Grpc::new(raw::RawCodec);
    let handler = raw::Handler(move |metadata: MetadataMap, body: Vec<u8>| {
        let call = Call { path: path.clone(), metadata, body };
        let answer = {
            let mut calls = state.calls.lock().expect("calls");
            let mut script = state.script.lock().expect("script");
            let answer = (script)(calls.len(), &call);
            calls.push(call);
            answer
        };
        give(answer)
    });
    grpc.unary(handler, request).await
}

async fn give(answer: Answer) -> Result<Response<Vec<u8>>, Status> {
    match answer {
        Answer::Reply(body, metadata) => {
            let mut response = Response::new(body);
            for (name, value) in metadata {
                response.metadata_mut().insert(name, value.parse().expect("a metadata value"));
            }
            Ok(response)
        }
        Answer::Fail(status) => Err(status),
        Answer::Hang(arrived) => {
            arrived.send(()).expect("somebody waits for the call");
            std::future::pending().await
        }
    }
}

/// A reply without metadata.
pub fn reply(message: &impl Message) -> Answer {
    Answer::Reply(message.encode_to_vec(), Vec::new())
}

/// A failure as Potter services send it.
pub fn failure(grpc: Code, kind: &str, code: &str, retryable: bool, event: Option<Any>) -> Answer {
    let metadata = [("kind", kind.to_owned()), ("retryable", retryable.to_string())];
    let info = tonic_types::pb::ErrorInfo {
        reason: code.to_owned(),
        domain: "product".to_owned(),
        metadata: metadata.map(|(name, value)| (name.to_owned(), value)).into(),
    };
    let details = std::iter::once(any("google.rpc.ErrorInfo", &info)).chain(event).collect();
    let status = tonic_types::pb::Status { code: grpc as i32, message: format!("{code} it is"), details };
    Answer::Fail(Status::with_details(grpc, format!("{code} it is"), status.encode_to_vec().into()))
}

pub fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

/// The server's side of calls whose messages are bytes.
mod raw {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
    use tonic::metadata::MetadataMap;
    use tonic::{Request, Response, Status};

    pub struct RawCodec;

    impl Codec for RawCodec {
        type Encode = Vec<u8>;
        type Decode = Vec<u8>;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            Self
        }

        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for RawCodec {
        type Item = Vec<u8>;
        type Error = Status;

        fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
            bytes::BufMut::put_slice(buffer, &item);
            Ok(())
        }
    }

    impl Decoder for RawCodec {
        type Item = Vec<u8>;
        type Error = Status;

        fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
            let length = bytes::Buf::remaining(buffer);
            Ok(Some(bytes::Buf::copy_to_bytes(buffer, length).to_vec()))
        }
    }

    pub struct Handler<F>(pub F);

    impl<F, A> tonic::codegen::Service<Request<Vec<u8>>> for Handler<F>
    where
        F: FnMut(MetadataMap, Vec<u8>) -> A,
        A: Future<Output = Result<Response<Vec<u8>>, Status>> + Send + 'static,
    {
        type Response = Response<Vec<u8>>;
        type Error = Status;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
            let (metadata, _, body) = request.into_parts();
            Box::pin((self.0)(metadata, body))
        }
    }
}
